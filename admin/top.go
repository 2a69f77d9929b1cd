package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/server/meter"
)

const (
	// The window of rates. A request is read for no longer than 30 s, and one that
	// waits should not hold up a node that is to end.
	defaultWindow = time.Second
	maxWindow     = 10 * time.Second

	// Sizes of each list.
	defaultTop = 20
	maxTop     = 1000
)

// top reads the counters twice, a window apart. What has the highest rates may
// be far from what has the highest totals, so that a client which took the
// difference of two lists of totals would miss it.
func (a *Admin) top(w http.ResponseWriter, r *http.Request) {
	window, limit, err := topOf(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	var before *meter.Reading
	if window > 0 {
		before = a.traffic()
		over := time.NewTimer(window)
		defer over.Stop()
		select {
		case <-over.C:
		case <-r.Context().Done():
			return // nobody is there to be answered
		}
	}
	t := rates(before, a.traffic(), limit)
	if s := a.engine.Spec(); s != nil {
		t.Node = s.Node.Name
	}
	respond(w, http.StatusOK, t)
}

// topOf is the window and the length of the lists that are asked for.
func topOf(r *http.Request) (window time.Duration, limit int, err error) {
	window, limit = defaultWindow, defaultTop
	q, err := parameters(r, "window", "limit")
	if err != nil {
		return 0, 0, err
	}
	if text := q("window"); text != "" {
		if window, err = time.ParseDuration(text); err != nil || window < 0 || window > maxWindow {
			return 0, 0, fmt.Errorf("window: %q is not a duration from 0s to %v, such as 1s", text, maxWindow)
		}
	}
	if text := q("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxTop {
			return 0, 0, fmt.Errorf("limit: %q is not a number from 1 to %d", text, maxTop)
		}
	}
	return window, limit, nil
}

// ranking adds counts up by name, of two readings.
type ranking struct {
	window float64 // seconds; 0: none
	limit  int
	sums   map[string]*sums
}

type sums struct{ now, before uint64 }

func (r *ranking) at(name string) *sums {
	s := r.sums[name]
	if s == nil {
		s = &sums{}
		r.sums[name] = s
	}
	return s
}

// rate is how often a second a counter has gone up. One that went back, since it
// was begun anew, says nothing.
func (r *ranking) rate(now, before uint64) float64 {
	if r.window == 0 || now < before {
		return 0
	}
	return float64(now-before) / r.window
}

// list is the entries as they are answered, and an empty ranking is left.
func (r *ranking) list() []api.TopEntry {
	out := make([]api.TopEntry, 0, len(r.sums))
	for name, s := range r.sums {
		if s.now > 0 {
			out = append(out, api.TopEntry{Name: name, Total: s.now, Rate: r.rate(s.now, s.before)})
		}
	}
	clear(r.sums)
	slices.SortFunc(out, func(x, y api.TopEntry) int {
		return cmp.Or(cmp.Compare(y.Rate, x.Rate), cmp.Compare(y.Total, x.Total), cmp.Compare(x.Name, y.Name))
	})
	return out[:min(len(out), r.limit)]
}

// rates is a reading as it is answered, with the rates since an earlier one; nil:
// there is none.
func rates(before, now *meter.Reading, limit int) *api.Top {
	r := &ranking{limit: limit, sums: map[string]*sums{}}
	if before == nil {
		before = &meter.Reading{}
	} else {
		r.window = now.At.Sub(before.At).Seconds()
	}
	t := &api.Top{WindowSeconds: r.window, TCPConnections: now.Connections, GeneratedAt: now.At.UTC()}

	queries := func(name func(*meter.QueryCount) string) []api.TopEntry {
		for i := range now.Queries {
			r.at(name(&now.Queries[i])).now += now.Queries[i].N
		}
		for i := range before.Queries {
			r.at(name(&before.Queries[i])).before += before.Queries[i].N
		}
		return r.list()
	}
	for _, all := range queries(func(*meter.QueryCount) string { return "" }) {
		t.Queries = api.TopRate{Total: all.Total, Rate: all.Rate}
	}
	t.Zones = queries(func(q *meter.QueryCount) string { return q.Zone })
	t.Types = queries(func(q *meter.QueryCount) string { return q.Type })
	t.RCodes = queries(func(q *meter.QueryCount) string { return q.RCode })
	t.Transports = queries(func(q *meter.QueryCount) string { return q.Transport })

	for _, s := range now.Services {
		r.at(s.Service).now += s.Queries
	}
	for _, s := range before.Services {
		r.at(s.Service).before += s.Queries
	}
	t.Services = r.list()

	counts := func(now, before []meter.Count) []api.TopEntry {
		for _, c := range now {
			r.at(c.Name).now += c.N
		}
		for _, c := range before {
			r.at(c.Name).before += c.N
		}
		return r.list()
	}
	t.Endpoints = counts(now.Endpoints, before.Endpoints)
	t.Dropped = counts(now.Dropped, before.Dropped)
	t.Limits = counts(now.Limits, before.Limits)

	hits := func(now, before []meter.Hit, name func(string) string) []api.TopEntry {
		for _, h := range meter.Ranked(now, nil) {
			s := r.at(name(h.Key))
			s.now, s.before = h.N, h.N
		}
		for _, h := range meter.Ranked(now, before) {
			r.at(name(h.Key)).before -= h.N
		}
		return r.list()
	}
	network := func(key string) string { return meter.Network(key).String() }
	name := func(key string) string { return dnswire.Name(key).String() }
	t.Networks = hits(now.Networks, before.Networks, network)
	t.Names = hits(now.Names, before.Names, name)
	t.LimitedNetworks = hits(now.LimitedNetworks, before.LimitedNetworks, network)
	t.LimitedNames = hits(now.LimitedNames, before.LimitedNames, name)

	var latency, earlier meter.Durations
	var octets, fewer uint64
	for i := range meter.Transports {
		latency.Add(&now.Latency[i])
		earlier.Add(&before.Latency[i])
		octets += now.Sizes[i].Sum
		fewer += before.Sizes[i].Sum
	}
	latency = latency.Since(&earlier)
	t.Latency = latencies(&latency)
	t.ResponseBytes = api.TopRate{Total: octets, Rate: r.rate(octets, fewer)}
	return t
}

func latencies(d *meter.Durations) api.TopLatency {
	n := d.Count()
	if n == 0 {
		return api.TopLatency{}
	}
	return api.TopLatency{
		Count: n, MeanMS: milliseconds(d.Sum) / float64(n),
		P50MS: milliseconds(d.Quantile(0.5)), P90MS: milliseconds(d.Quantile(0.9)), P99MS: milliseconds(d.Quantile(0.99)),
	}
}
