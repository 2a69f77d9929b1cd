package edge

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
)

const (
	// bodyTime is how long a notification may take to come in.
	bodyTime = 10 * time.Second
	// chunkTime is how long a client may take to read some of a listing.
	chunkTime = 10 * time.Second
	// maxRefused is how many items of a notification may be none: more are no slip, and
	// what is said of each is longer than the item.
	maxRefused = 10_000
	// maxListings is how many listings may be under way at once.
	maxListings = 2
)

// What became of a request, as Metrics count it.
const (
	succeeded    = "success"
	refusedIt    = "error"
	unauthorized = "unauthorized"
)

// Webhook is what edges offer over HTTP: /notify, /health and /records. Several may share
// one, each for its zone: a secret opens those edges whose secret it is. Edges of one zone
// are told the same, and the first of them speaks for all.
type Webhook struct {
	edges    []*Edge
	twins    map[*Edge][]*Edge // the other edges of its zone
	secrets  [][sha256.Size]byte
	metrics  *Metrics
	guard    guard
	done     memory
	listings chan struct{}
	notice   int64
}

// Handler is what one edge offers over HTTP.
func (e *Edge) Handler() http.Handler { return NewWebhook(e) }

// NewWebhook makes a handler for edges, of which there is at least one. Those of one zone
// have the same options.
func NewWebhook(edges ...*Edge) *Webhook {
	h := &Webhook{twins: map[*Edge][]*Edge{}, listings: make(chan struct{}, maxListings), notice: edges[0].lim.notice}
	first := map[dnswire.Name]*Edge{}
	for _, e := range edges {
		if one := first[e.o.Zone]; one != nil {
			h.twins[one] = append(h.twins[one], e)
			continue
		}
		first[e.o.Zone] = e
		h.edges = append(h.edges, e)
		h.secrets = append(h.secrets, sha256.Sum256([]byte(e.o.Secret)))
		if h.metrics == nil {
			h.metrics = e.o.Metrics
		}
	}
	h.metrics.offered()
	return h
}

// ServeHTTP implements http.Handler.
func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	endpoint := strings.TrimPrefix(r.URL.Path, "/")
	var status string
	switch r.URL.Path {
	case api.NotifyPath:
		status = h.guarded(w, r, h.notify)
	case api.RecordsPath:
		status = h.guarded(w, r, h.records)
	case api.HealthPath:
		status = h.health(w, r)
	default:
		http.NotFound(w, r)
		return
	}
	h.metrics.requested(endpoint, status)
}

// guarded lets those in that know a secret.
func (h *Webhook) guarded(w http.ResponseWriter, r *http.Request, f func(http.ResponseWriter, *http.Request, []*Edge) string) string {
	from, now := network(r.RemoteAddr), time.Now()
	if wait := h.guard.wait(from, now); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		http.Error(w, "Too many wrong secrets", http.StatusTooManyRequests)
		return unauthorized
	}
	edges := h.opened(r.Header.Get(api.SecretHeader))
	if len(edges) == 0 {
		h.guard.wrong(from, now)
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return unauthorized
	}
	return f(w, r, edges)
}

// opened are the edges whose secret it is. How long that takes says nothing of any.
func (h *Webhook) opened(secret string) (edges []*Edge) {
	sum := sha256.Sum256([]byte(secret))
	for i, e := range h.edges {
		if subtle.ConstantTimeCompare(sum[:], h.secrets[i][:]) == 1 {
			edges = append(edges, e)
		}
	}
	return edges
}

// allowed is whether the method is one of those; otherwise that is answered.
func allowed(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
	return false
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "Internal server error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// health answers how the edges stand: of one as elchi's documents have it, of several
// as api.Healths, or of the one that is asked for by zone.
func (h *Webhook) health(w http.ResponseWriter, r *http.Request) string {
	if !allowed(w, r, http.MethodGet, http.MethodHead) {
		return refusedIt
	}
	edges, ok := asked(h.edges, r)
	if !ok {
		http.Error(w, "No such zone", http.StatusNotFound)
		return refusedIt
	}
	all := api.Healths{Status: api.EdgeHealthy}
	code := http.StatusOK
	for _, e := range edges {
		one := e.Health()
		for _, t := range h.twins[e] {
			if other := t.Health(); one.Status == api.EdgeHealthy && other.Status != api.EdgeHealthy {
				one = other
			}
		}
		if one.Status != api.EdgeHealthy {
			all.Status, code = one.Status, http.StatusServiceUnavailable
		}
		all.Zones = append(all.Zones, one)
	}
	if len(all.Zones) == 1 {
		writeJSON(w, code, all.Zones[0])
	} else {
		writeJSON(w, code, all)
	}
	return succeeded
}

// asked are the edges that a request is about: all, or the one of the zone that it names.
func asked(edges []*Edge, r *http.Request) (some []*Edge, ok bool) {
	zone := r.URL.Query().Get("zone")
	if zone == "" {
		return edges, true
	}
	name, err := appendName(nil, []byte(zone))
	for _, e := range edges {
		if err == nil && string(name) == string(e.o.Zone) {
			return []*Edge{e}, true
		}
	}
	return nil, false
}

// batch is what a notification has for one edge.
type batch struct {
	edge          *Edge
	checker       checker
	updates, gone []op
}

// notify does what a controller pushes.
func (h *Webhook) notify(w http.ResponseWriter, r *http.Request, edges []*Edge) string {
	if !allowed(w, r, http.MethodPost) {
		return refusedIt
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.notice))
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		http.Error(w, fmt.Sprintf("Request body is larger than %d octets", large.Limit), http.StatusRequestEntityTooLarge)
		return refusedIt
	} else if err != nil {
		http.Error(w, "Invalid request body: it does not come to an end", http.StatusBadRequest)
		return refusedIt
	}
	if !signed(r.Header) {
		return h.do(w, body, edges)
	}
	id, now := r.Header.Get("Webhook-Id"), time.Now()
	if err := verify(r.Header, edges[0].o.Secret, body, now); err != nil {
		http.Error(w, "Unauthorized: "+err.Error(), http.StatusUnauthorized)
		return unauthorized
	}
	if h.done.knows(id, now) {
		writeJSON(w, http.StatusOK, api.Notified{Status: "ok"})
		return succeeded
	}
	status := h.do(w, body, edges)
	if status == succeeded {
		h.done.add(id, now)
	}
	return status
}

// do does what a notification says at the edges.
func (h *Webhook) do(w http.ResponseWriter, body []byte, edges []*Edge) string {
	batches := make([]batch, len(edges))
	for i, e := range edges {
		batches[i] = batch{edge: e, checker: checker{rules: e.rules}}
	}
	refused := report{most: maxRefused}
	enough := func() error {
		if refused.n > maxRefused {
			return fmt.Errorf("more than %d of its items cannot be taken, such as %s %s: %s", maxRefused, quoted(refused.kept[0].Name), quoted(refused.kept[0].Type), refused.kept[0].Reason)
		}
		return nil
	}
	d := newDecoder(bytes.NewReader(body))
	d.record = func(it *item) error {
		b := pick(batches, it)
		if rec, ok := b.checker.check(it, &refused); ok {
			b.updates = append(b.updates, operation(it, &rec))
		}
		return enough()
	}
	d.gone = func(it *item) error {
		b := pick(batches, it)
		if o, ok := b.checker.removal(it, &refused); ok {
			b.gone = append(b.gone, o)
		}
		return enough()
	}
	if _, err := d.decode(); err != nil {
		http.Error(w, "Invalid request body: "+oneLine(err.Error()), http.StatusBadRequest)
		return refusedIt
	}
	answer := api.Notified{Status: "ok"}
	for i := range batches {
		b := &batches[i]
		if len(b.updates)+len(b.gone) == 0 {
			continue
		}
		ops := append(b.updates, b.gone...)
		c, err := h.apply(b.edge, ops)
		switch {
		case err != nil && answer.Updated+answer.Deleted == 0:
			return failed(w, err)
		case err != nil: // what was done for another zone is done
			for _, o := range ops {
				refused.addKey(o.key.Name, o.key.Type, oneLine(err.Error()))
			}
			continue
		}
		answer.Updated += c.updated
		answer.Deleted += c.deleted
		refused.n += c.report.n
		refused.kept = append(refused.kept, c.report.kept...)
	}
	if answer.Refused = refused.kept; refused.n > 0 {
		batches[0].edge.meters.refuse(refused.n)
	}
	writeJSON(w, http.StatusOK, answer)
	return succeeded
}

// apply does what a notification says at all edges of a zone. When one of them cannot, it
// is to be said again: done twice it is as done once.
func (h *Webhook) apply(e *Edge, ops []op) (c *change, err error) {
	c, err = e.apply(ops)
	for _, t := range h.twins[e] {
		if _, again := t.apply(ops); err == nil {
			err = again
		}
	}
	return c, err
}

// failed answers that a notification could not be done.
func failed(w http.ResponseWriter, err error) string {
	switch {
	case errors.Is(err, errNothing):
		w.Header().Set("Retry-After", "1")
		http.Error(w, "No snapshot of the zone yet", http.StatusServiceUnavailable)
	case errors.Is(err, errTooMany):
		http.Error(w, oneLine(err.Error()), http.StatusRequestEntityTooLarge)
	default:
		http.Error(w, "Failed to update records: "+oneLine(err.Error()), http.StatusInternalServerError)
	}
	return refusedIt
}

// pick is the batch that an item belongs to: that of the zone nearest to its name, or the
// first, which then says that the name is outside.
func pick(batches []batch, it *item) *batch {
	best := &batches[0]
	if len(batches) == 1 {
		return best
	}
	name, err := appendName(nil, it.name)
	longest := -1
	for i := range batches {
		if zone := batches[i].edge.o.Zone; err == nil && len(zone) > longest && within(name, zone) {
			best, longest = &batches[i], len(zone)
		}
	}
	return best
}

// records answers with the records that there are.
func (h *Webhook) records(w http.ResponseWriter, r *http.Request, edges []*Edge) string {
	if !allowed(w, r, http.MethodGet) {
		return refusedIt
	}
	some, ok := asked(edges, r)
	if !ok {
		http.Error(w, "No such zone", http.StatusNotFound)
		return refusedIt
	}
	if len(some) > 1 {
		http.Error(w, "There are several zones: say which one with zone=", http.StatusBadRequest)
		return refusedIt
	}
	select {
	case h.listings <- struct{}{}:
		defer func() { <-h.listings }()
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, "Others are being listed to", http.StatusTooManyRequests)
		return refusedIt
	}
	st, hash := some[0].listing()
	q := r.URL.Query()
	l := &listing{
		st: st, name: strings.ToLower(strings.TrimSuffix(q.Get("name"), ".")), kind: strings.ToUpper(q.Get("type")),
		head: api.Listing{Zone: dotless(some[0].o.Zone), VersionHash: hash, Records: []api.Record{}},
	}
	w.Header().Set("Content-Type", "application/json")
	if l.write(&patient{w: w, c: http.NewResponseController(w)}) != nil {
		return refusedIt
	}
	return succeeded
}

// listing is some records of a zone.
type listing struct {
	st         *standing // nil: there are none
	name, kind string    // what is wanted: part of a name, a type; empty for all
	head       api.Listing
}

// each calls f with each record that is wanted.
func (l *listing) each(f func(json []byte) bool) {
	if l.st == nil {
		return
	}
	l.st.list(func(name string, k kind, json []byte) bool {
		if l.kind != "" && l.kind != k.String() || !strings.Contains(name, l.name) {
			return true
		}
		return f(json)
	})
}

// write writes the listing. It goes through the records twice, for the count stands
// before them.
func (l *listing) write(to io.Writer) error {
	l.each(func([]byte) bool { l.head.Count++; return true })
	head, err := json.Marshal(l.head)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(to, windowLen)
	_, _ = w.Write(bytes.TrimSuffix(head, []byte("]}")))
	comma := false
	l.each(func(json []byte) bool {
		if comma {
			_ = w.WriteByte(',')
		}
		comma = true
		_, err = w.Write(json)
		return err == nil
	})
	_, _ = w.WriteString("]}\n")
	return w.Flush()
}

// patient writes for as long as the other side reads.
type patient struct {
	w io.Writer
	c *http.ResponseController
}

// Write implements io.Writer.
func (p *patient) Write(b []byte) (int, error) {
	_ = p.c.SetWriteDeadline(time.Now().Add(chunkTime))
	return p.w.Write(b)
}
