package admin

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	netpprof "net/http/pprof"
	"net/url"
	"runtime/pprof"
	"strconv"

	"github.com/rhumb-dns/rhumb/spec"
)

// profiles is where `go tool pprof` looks.
const profiles = "/debug/pprof/"

// maxSeconds is how long a profile may be taken: less than maxWrite, with time
// left to send it.
const maxSeconds = 60

// profileRoutes are the profiles of the process, by net/http/pprof. That package
// also registers itself with http.DefaultServeMux, which nobody serves here.
func (a *Admin) profileRoutes() []route {
	const admin = spec.RoleAdmin
	return []route{
		{profiles, get(admin, a.profiled(profileIndex))},
		{profiles + "cmdline", get(admin, a.profiled(netpprof.Cmdline))},
		{profiles + "symbol", map[string]deed{
			http.MethodGet:  {admin, a.profiled(netpprof.Symbol)},
			http.MethodPost: {admin, a.profiled(netpprof.Symbol)},
		}},
		{profiles + "profile", get(admin, a.profiled(a.timed(30, netpprof.Profile)))},
		{profiles + "trace", get(admin, a.profiled(a.timed(1, netpprof.Trace)))},
		{profiles + "{profile}", get(admin, a.profiled(a.profile))},
	}
}

// profiled keeps pages of other sites away, also from what only reads: a
// profile makes the node work. Who asks from no page states no site.
func (a *Admin) profiled(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Sec-Fetch-Site") {
		case "", "none", "same-origin":
			h(w, r)
		default:
			refuse(w, http.StatusForbidden, "a web page of another site may not do this")
		}
	}
}

// profileIndex is the page that lists the profiles. Its links are relative to
// the path with its slash.
func profileIndex(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != profiles {
		http.Redirect(w, r, profiles, http.StatusMovedPermanently)
		return
	}
	netpprof.Index(w, r)
}

// profile is one of the runtime's profiles: as it stands, or with seconds what
// was added to it meanwhile.
func (a *Admin) profile(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("profile")
	if pprof.Lookup(name) == nil {
		refuse(w, http.StatusNotFound, "no profile %q; %s lists them", name, profiles)
		return
	}
	q, err := parameters(r, "debug", "gc", "seconds")
	if err == nil {
		err = errors.Join(whole("debug", q("debug"), 0, 2), whole("gc", q("gc"), 0, 1))
	}
	if err == nil && q("seconds") != "" && q("debug")+q("gc") != "" {
		err = errors.New("query: seconds goes without debug and gc")
	}
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, "%s", err)
	case q("seconds") != "":
		a.timed(1, netpprof.Handler(name).ServeHTTP)(w, r)
	default:
		netpprof.Handler(name).ServeHTTP(w, r)
	}
}

// timed takes a profile for as long as the request states, one at a time.
func (a *Admin) timed(unstated int, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, err := parameters(r, "seconds")
		if err == nil {
			err = whole("seconds", q("seconds"), 1, maxSeconds)
		}
		if err != nil {
			refuse(w, http.StatusBadRequest, "%s", err)
			return
		}
		seconds := cmp.Or(q("seconds"), strconv.Itoa(unstated))
		if !a.profiling.TryLock() {
			refuse(w, http.StatusConflict, "another profile is being taken: ask again when it is done")
			return
		}
		defer a.profiling.Unlock()
		r = r.Clone(r.Context())
		r.URL.RawQuery = url.Values{"seconds": {seconds}}.Encode()
		h(w, r)
	}
}

// whole says what is wrong with a parameter that is stated and not a number in
// a range.
func whole(name, text string, lo, hi int) error {
	if text == "" {
		return nil
	}
	if n, err := strconv.Atoi(text); err != nil || n < lo || n > hi {
		return fmt.Errorf("%s: %q is no whole number from %d to %d", name, text, lo, hi)
	}
	return nil
}
