package gslb

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// The words of the API for how a record or a backend is.
const (
	healthy   = "healthy"
	unhealthy = "unhealthy"
)

// overview is a record and how its backends are.
type overview struct {
	Record   string     `json:"record"` // with its final dot
	Status   string     `json:"status"` // healthy when one of the backends is
	Backends []standing `json:"backends"`
}

// standing is how a backend is.
type standing struct {
	Address string `json:"address"`
	Alive   string `json:"alive"`            // healthy or unhealthy; one that is disabled is unhealthy
	Last    string `json:"last_healthcheck"` // RFC 3339; the year 1 before the first
}

// choice is which backends are meant: those of the location, those whose address
// begins so, here or in the file, and those with one of the tags.
type choice struct {
	Location      string   `json:"location"`
	AddressPrefix string   `json:"address_prefix"`
	Tags          []string `json:"tags"`
}

// named names a backend.
type named struct {
	Record  string `json:"record"`
	Address string `json:"address"`
}

// done is what became of a choice.
type done struct {
	Success  bool    `json:"success"`
	Backends []named `json:"backends"` // never null
}

// maxBody is how long a request may be, in octets.
const maxBody = 64 << 10

// handler is the API of a block.
func (b *block) handler() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/api/overview", "/api/overview/{$}"} {
		mux.HandleFunc(path, b.only(http.MethodGet, b.overview))
	}
	mux.HandleFunc("/api/overview/{zone}", b.only(http.MethodGet, b.zoneOverview))
	mux.HandleFunc("/api/backends/enable", b.only(http.MethodPost, func(w http.ResponseWriter, r *http.Request) { b.say(w, r, true) }))
	mux.HandleFunc("/api/backends/disable", b.only(http.MethodPost, func(w http.ResponseWriter, r *http.Request) { b.say(w, r, false) }))
	// A page from elsewhere, in the browser of somebody who may, must not say
	// anything: without a password nothing else would stop it.
	return http.NewCrossOriginProtection().Handler(b.guarded(mux))
}

// guarded lets those in that know the user and the password, if any are stated.
func (b *block) guarded(next http.Handler) http.Handler {
	want := credentials(b.api.user, b.api.password)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if b.api.user != "" || b.api.password != "" {
			user, password, ok := r.BasicAuth()
			got := credentials(user, password)
			if same := subtle.ConstantTimeCompare(got[:], want[:]) == 1; !ok || !same || b.api.closed() {
				w.Header().Set("WWW-Authenticate", `Basic realm="GSLB API"`)
				fail(w, http.StatusUnauthorized, "Unauthorized")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// credentials is a sum of both, which takes as long whatever is right in them.
func credentials(user, password string) [sha256.Size]byte {
	u, p := sha256.Sum256([]byte(user)), sha256.Sum256([]byte(password))
	return sha256.Sum256(append(u[:], p[:]...))
}

// only answers requests of one method.
func (b *block) only(method string, f http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			w.Header().Set("Allow", method)
			fail(w, http.StatusMethodNotAllowed, "Method not allowed. Only "+method+" is supported.")
			return
		}
		f(w, r)
	}
}

func answer(w http.ResponseWriter, code int, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "internal server error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(raw, '\n'))
}

func fail(w http.ResponseWriter, code int, why string) {
	answer(w, code, map[string]string{"error": why})
}

// overviews are the records by zone.
func (b *block) overviews() map[string][]overview {
	s := b.site.Load()
	snap, now := b.now()
	out := map[string][]overview{}
	for _, z := range b.zones {
		out[z.zone.String()] = []overview{}
	}
	if snap == nil || snap.Table != now.table {
		return out
	}
	// By the record's own checks: those of another one for the same address have times of
	// their own.
	last := map[inPool]time.Time{}
	all := s.engine.Endpoints()
	for i := range all {
		at := inPool{all[i].Pool.Name, all[i].Endpoint.String()}
		for _, c := range all[i].Checks {
			if c.At.After(last[at]) {
				last[at] = c.At
			}
		}
	}
	for _, rec := range now.order {
		o := overview{Record: rec.Name, Status: unhealthy, Backends: []standing{}}
		for i := range rec.backends {
			back := &rec.backends[i]
			st := standing{back.Address, unhealthy, last[inPool{rec.pool(), back.Address}].UTC().Format(time.RFC3339)}
			if back.up(snap.Health) {
				st.Alive, o.Status = healthy, healthy
			}
			o.Backends = append(o.Backends, st)
		}
		out[rec.Zone] = append(out[rec.Zone], o)
	}
	return out
}

func (b *block) overview(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, b.overviews())
}

func (b *block) zoneOverview(w http.ResponseWriter, r *http.Request) {
	name, err := dnswire.ParseName(strings.ToLower(r.PathValue("zone")))
	if err == nil {
		if o, ok := b.overviews()[name.String()]; ok {
			answer(w, http.StatusOK, o)
			return
		}
	}
	fail(w, http.StatusNotFound, "Zone not found")
}

// say enables or disables backends. When it answers, queries are answered so.
func (b *block) say(w http.ResponseWriter, r *http.Request, on bool) {
	var c choice
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(body, &c) // the whole of it: what is behind was meant, too
	}
	if err != nil {
		if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
			fail(w, http.StatusRequestEntityTooLarge, "Request body is too large")
			return
		}
		fail(w, http.StatusBadRequest, "Invalid JSON")
		return
	}
	if c.Location == "" && c.AddressPrefix == "" && len(c.Tags) == 0 {
		fail(w, http.StatusBadRequest, "location, address_prefix, or tags required")
		return
	}
	s := b.site.Load()
	_, now := b.now()
	if now == nil {
		fail(w, http.StatusServiceUnavailable, "not ready")
		return
	}
	all := []named{}
	for _, rec := range now.order {
		for i := range rec.backends {
			if back := &rec.backends[i]; c.means(back) {
				all = append(all, named{rec.Name, back.Address})
			}
		}
	}
	if len(all) > 0 {
		if err := errors.Join(s.words.say(all, on), s.again()); err != nil {
			log.Error("what the API has said is not in force", "error", err)
			fail(w, http.StatusInternalServerError, "it could not be kept or put in force; the log says why")
			return
		}
		log.Info("the API has spoken", "enabled", on, "backends", len(all), "from", r.RemoteAddr)
	}
	answer(w, http.StatusOK, done{true, all})
}

// means is whether a backend is meant.
func (c *choice) means(b *backend) bool {
	return c.Location != "" && slices.Contains(b.Locations, c.Location) ||
		c.AddressPrefix != "" && (strings.HasPrefix(b.Address, c.AddressPrefix) || slices.ContainsFunc(b.Spelled, func(s string) bool { return strings.HasPrefix(s, c.AddressPrefix) })) ||
		slices.ContainsFunc(c.Tags, func(t string) bool { return slices.Contains(b.Tags, t) })
}
