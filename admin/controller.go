package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/controller"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
)

const (
	// maxEdgeWait is how long a snapshot may take to be computed.
	maxEdgeWait = time.Minute
	// maxVersion is how long a version may be that an edge states, in octets.
	maxVersion = 256
	// maxNode is how long the address may be that an edge states of itself.
	maxNode = 64
)

// edgeRequest is what an edge asks for.
type edgeRequest struct {
	zone    dnswire.Name
	regions []string
	since   string
	node    string          // as it calls itself; it decides nothing
	expired <-chan struct{} // closed when the secret that it has stated is not that of edges any more
}

// edgeRequestOf reads the query of a request. What it does not know it leaves alone, since
// controllers and edges are not always of one age.
func edgeRequestOf(query string) (*edgeRequest, error) {
	v, err := url.ParseQuery(query)
	if err != nil {
		return nil, errors.New("the query cannot be read")
	}
	for _, name := range []string{"zone", "since", "regions", "node_ip"} {
		if len(v[name]) > 1 {
			return nil, fmt.Errorf("%s is there twice", name)
		}
	}
	r := &edgeRequest{since: v.Get("since"), node: v.Get("node_ip")}
	zone := v.Get("zone")
	switch {
	case zone == "":
		return nil, errors.New("zone: the parameter is missing")
	case len(r.since) > maxVersion:
		return nil, fmt.Errorf("since: a version has at most %d characters", maxVersion)
	case len(r.node) > maxNode:
		return nil, fmt.Errorf("node_ip: an address has at most %d characters", maxNode)
	}
	if r.zone, err = dnswire.ParseName(zone); err != nil {
		return nil, fmt.Errorf("zone: %w", err)
	}
	r.regions, err = edgeRegions(v.Get("regions"))
	return r, err
}

// edgeRegions is a list of regions; none for "all", as edges have it.
func edgeRegions(s string) ([]string, error) {
	var out []string
	for region := range strings.SplitSeq(s, ",") {
		region = strings.TrimSpace(region)
		switch {
		case region == "", slices.Contains(out, region):
		case len(region) > spec.MaxRegion:
			return nil, fmt.Errorf("regions: the name of one has at most %d characters", spec.MaxRegion)
		case len(out) == spec.MaxRegions:
			return nil, fmt.Errorf("regions: at most %d", spec.MaxRegions)
		default:
			out = append(out, region)
		}
	}
	if slices.Contains(out, "all") {
		return nil, nil
	}
	return out, nil
}

// edge is what somebody asks for who has the secret of edges; it is false when the request
// has been refused.
func (a *Admin) edge(w http.ResponseWriter, r *http.Request) (*edgeRequest, bool) {
	secret, expired, on := "", (<-chan struct{})(nil), false
	if a.controller != nil {
		secret, expired, on = a.controller.Secret()
	}
	if !on {
		refuse(w, http.StatusNotFound, "this node is no controller: its configuration has no section controller")
		return nil, false
	}
	stated := r.Header.Values(api.SecretHeader)
	if len(stated) != 1 {
		refuse(w, http.StatusUnauthorized, "the secret is needed, as %s", api.SecretHeader)
		return nil, false
	}
	from := askerOf(w).from
	ok, wait, say := a.guesses.try(time.Now(), from, func() bool {
		is, want := sha256.Sum256([]byte(stated[0])), sha256.Sum256([]byte(secret)) // so that the length says nothing
		return subtle.ConstantTimeCompare(is[:], want[:]) == 1
	})
	if !ok {
		if say > 0 {
			a.log.Warn("an edge with a wrong secret; more are counted, and logged once a minute", "from", from.String(), "since_last", say)
		}
		if wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		}
		refuse(w, http.StatusUnauthorized, "the secret is not the one of this controller")
		return nil, false
	}
	q, err := edgeRequestOf(r.URL.RawQuery)
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return nil, false
	}
	q.expired = expired
	return q, true
}

// hasExpired is whether the edge would not be let in any more.
func (q *edgeRequest) hasExpired() bool {
	select {
	case <-q.expired:
		return true
	default:
		return false
	}
}

// refuseEdge refuses what a controller does not have.
func (a *Admin) refuseEdge(w http.ResponseWriter, q *edgeRequest, err error) {
	zone := strings.TrimSuffix(q.zone.String(), ".")
	switch {
	case errors.Is(err, controller.ErrNoZone):
		refuse(w, http.StatusNotFound, "%s is not one of the controller's zones", zone)
	case errors.Is(err, controller.ErrNoRegion):
		refuse(w, http.StatusBadRequest, "regions: no place has %s; there are %s", strings.Join(q.regions, " or "), strings.Join(a.controller.Regions(), ", "))
	case errors.Is(err, controller.ErrWaits):
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "the records of %s have not come yet: this node asks a controller for them itself", zone)
	case errors.Is(err, controller.ErrBusy):
		w.Header().Set("Retry-After", "60")
		refuse(w, http.StatusServiceUnavailable, "too many different lists of regions are asked for")
	default:
		refuse(w, http.StatusInternalServerError, "the records of %s could not be computed: %s", zone, err)
	}
}

// edgeState is what is asked for; nil when the request has been refused.
func (a *Admin) edgeState(w http.ResponseWriter, r *http.Request, q *edgeRequest) *controller.State {
	ctx, cancel := context.WithTimeout(r.Context(), maxEdgeWait)
	defer cancel()
	st, err := a.controller.Ask(ctx, q.zone, q.regions)
	if err != nil {
		a.refuseEdge(w, q, err)
		return nil
	}
	return st
}

// edgeSnapshot gives all records of a zone.
func (a *Admin) edgeSnapshot(w http.ResponseWriter, r *http.Request) {
	q, ok := a.edge(w, r)
	if !ok {
		return
	}
	if st := a.edgeState(w, r, q); st != nil && !unmodified(w, r, st) {
		respondState(w, r, st, false)
	}
}

// edgeChanges gives all records of a zone, unless the edge has them.
func (a *Admin) edgeChanges(w http.ResponseWriter, r *http.Request) {
	q, ok := a.edge(w, r)
	if !ok {
		return
	}
	if q.since == "" {
		refuse(w, http.StatusBadRequest, "since: the parameter is missing; ask for %s first", api.SnapshotPath)
		return
	}
	st := a.edgeState(w, r, q)
	switch {
	case st == nil, unmodified(w, r, st):
	case q.since == st.Hash:
		respond(w, http.StatusOK, api.Unchanged{Unchanged: true})
	default:
		respondState(w, r, st, true)
	}
}

// unmodified answers a request that is for another version than the one that its client
// has (RFC 9110 section 13.1.2). The tags are weak: the records may stand in another order.
func unmodified(w http.ResponseWriter, r *http.Request, st *controller.State) bool {
	tag := `"` + st.Hash + `"`
	w.Header().Set("ETag", "W/"+tag)
	w.Header().Set("Vary", "Accept-Encoding")
	for _, line := range r.Header.Values("If-None-Match") {
		for stated := range strings.SplitSeq(line, ",") {
			if stated = strings.TrimSpace(stated); stated == "*" || strings.TrimPrefix(stated, "W/") == tag {
				w.WriteHeader(http.StatusNotModified)
				return true
			}
		}
	}
	return false
}

// respondState answers with all records, compressed when that is taken.
func respondState(w http.ResponseWriter, r *http.Request, st *controller.State, changes bool) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	zip := takesGzip(r.Header.Values("Accept-Encoding"))
	if zip {
		h.Set("Content-Encoding", "gzip")
	}
	w.WriteHeader(http.StatusOK)
	switch { // a client that left is no error of ours
	case r.Method == http.MethodHead:
	case zip:
		_, _ = w.Write(st.Compressed(changes))
	default:
		_ = st.WriteJSON(w, changes)
	}
}

// takesGzip is whether a client takes gzip (RFC 9110 section 12.5.3).
func takesGzip(accepted []string) bool {
	for _, line := range accepted {
		for item := range strings.SplitSeq(line, ",") {
			coding, params, err := mime.ParseMediaType("x/" + strings.TrimSpace(item))
			if err != nil || coding != "x/gzip" && coding != "x/*" {
				continue
			}
			q, err := strconv.ParseFloat(params["q"], 64)
			return params["q"] == "" || err == nil && q > 0
		}
	}
	return false
}

// edgeEvents tells an edge of changes as they happen, as server-sent events.
func (a *Admin) edgeEvents(w http.ResponseWriter, r *http.Request) {
	q, ok := a.edge(w, r)
	if !ok {
		return
	}
	if id := r.Header.Get("Last-Event-ID"); id != "" && len(id) <= maxVersion { // later than where it began
		q.since = id
	}
	ending, ok := a.edgeStreams.enter(w)
	if !ok {
		return
	}
	defer a.edgeStreams.leave()
	f, err := a.controller.Follow(q.zone, q.regions)
	if err != nil {
		a.refuseEdge(w, q, err)
		return
	}
	defer f.Close()
	s, ok := newStream(w, r)
	if !ok {
		return
	}
	s.say("\n")
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	at := q.since
	for !f.Ended() {
		st, steps, ok, moved := f.Since(at)
		if q.hasExpired() { // later than what it would be told
			return
		}
		switch {
		case st == nil || at == st.Hash:
		case ok:
			for _, step := range steps {
				s.say("id: %s\nevent: %s\ndata: ", step.VersionHash, api.EventChange)
				s.out = append(s.out, step.JSON()) // one for all who follow
				s.say("\n\n")
			}
			at = st.Hash
		default:
			s.reset(st.Hash)
			at = st.Hash
		}
		if s.flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-ending:
			return
		case <-q.expired:
		case <-moved:
		case <-beat.C:
			s.say(":\n\n")
		}
	}
}

// reset asks the edge to begin anew.
func (s *stream) reset(hash string) {
	b, err := json.Marshal(api.Reset{VersionHash: hash})
	if err != nil {
		panic(err) // our own type
	}
	s.say("id: %s\nevent: %s\ndata: %s\n\n", hash, api.EventReset, b)
}
