package edge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone"
)

const secret = "my-shared-secret"

// call is a request at a handler, by who knows the secret unless another is given.
type call struct {
	method, path, body string
	secret             string // "-" for none
	from               string
}

func (c call) do(h http.Handler) *httptest.ResponseRecorder {
	if c.method == "" {
		c.method = http.MethodGet
	}
	r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
	switch c.secret {
	case "":
		r.Header.Set("X-Elchi-Secret", secret)
	case "-":
	default:
		r.Header.Set("X-Elchi-Secret", c.secret)
	}
	if c.from != "" {
		r.RemoteAddr = c.from
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// loaded is an edge with records, and what it has put in force.
func loaded(t *testing.T, o Options, records ...string) *Edge {
	t.Helper()
	e := start(t, o, says(strings.Replace(snapshot("abc123", records...), "gslb.elchi", dotless(o.Zone), 1)))
	if err := e.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestNotify(t *testing.T) {
	for _, c := range []struct {
		name, body, answer string
		want               []string
	}{
		{
			"the documents' updates", `{"records":[{"name":"new.gslb.elchi","type":"A","ttl":300,"ips":["192.168.3.10"]}]}`,
			`{"status":"ok","updated":1,"deleted":0}`,
			[]string{"a.gslb.elchi. 20 A 192.0.2.1", "new.gslb.elchi. 300 A 192.168.3.10", "s.gslb.elchi. 20 CNAME x.elchi."},
		},
		{
			"the documents' deletes", `{"deletes":[{"name":"a.gslb.elchi","type":"A"}]}`,
			`{"status":"ok","updated":0,"deleted":1}`,
			[]string{"s.gslb.elchi. 20 CNAME x.elchi."},
		},
		{
			"both, updates first", `{"deletes":[{"name":"A.gslb.elchi.","type":"a"}],"records":[{"name":"a.gslb.elchi","type":"A","ips":["192.0.2.7"]},{"name":"b.gslb.elchi","type":"A","ips":["192.0.2.8"]}]}`,
			`{"status":"ok","updated":2,"deleted":1}`,
			[]string{"b.gslb.elchi. 300 A 192.0.2.8", "s.gslb.elchi. 20 CNAME x.elchi."},
		},
		{
			"addresses take the place of an alias", `{"records":[{"name":"s.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.9"]}]}`,
			`{"status":"ok","updated":1,"deleted":0}`,
			[]string{"a.gslb.elchi. 20 A 192.0.2.1", "s.gslb.elchi. 20 A 192.0.2.9"},
		},
		{
			"an alias goes by the type of its record", `{"deletes":[{"name":"s.gslb.elchi","type":"A"}]}`,
			`{"status":"ok","updated":0,"deleted":1}`,
			[]string{"a.gslb.elchi. 20 A 192.0.2.1"},
		},
		{
			"an alias goes as an alias", `{"deletes":[{"name":"s.gslb.elchi","type":"CNAME"},{"name":"a.gslb.elchi","type":"CNAME"}]}`,
			`{"status":"ok","updated":0,"deleted":1,"refused":[{"name":"a.gslb.elchi","type":"CNAME","reason":"there is no such record"}]}`,
			[]string{"a.gslb.elchi. 20 A 192.0.2.1"},
		},
		{
			"what cannot be is told, and the rest is done", `{"records":[{"name":"x.evilgslb.elchi","type":"A","ips":["192.0.2.1"]},{"name":"b.gslb.elchi","type":"A","ips":["192.0.2.8","::1"]},{"name":"c.gslb.elchi","type":"MX"}],"deletes":[{"name":"no.gslb.elchi","type":"A"},{"name":"a.gslb.elchi","type":"TXT"},7]}`,
			`{"status":"ok","updated":1,"deleted":0,"refused":[{"name":"x.evilgslb.elchi","type":"A","reason":"it is outside of the zone gslb.elchi."},{"name":"b.gslb.elchi","type":"A","reason":"address \"::1\" is not IPv4: it is left out"},{"name":"c.gslb.elchi","type":"MX","reason":"type \"MX\" is neither A nor AAAA"},{"name":"a.gslb.elchi","type":"TXT","reason":"type \"TXT\" is none of A, AAAA and CNAME"},{"name":"","type":"","reason":"it is no object"},{"name":"no.gslb.elchi","type":"A","reason":"there is no such record"}]}`,
			[]string{"a.gslb.elchi. 20 A 192.0.2.1", "b.gslb.elchi. 300 A 192.0.2.8", "s.gslb.elchi. 20 CNAME x.elchi."},
		},
		{"nothing", `{}`, `{"status":"ok","updated":0,"deleted":0}`, []string{"a.gslb.elchi. 20 A 192.0.2.1", "s.gslb.elchi. 20 CNAME x.elchi."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var put *zone.Data
			o := options()
			o.Put = func(d *zone.Data) error { put = d; return nil }
			e := loaded(t, o, one, away)
			w := call{method: "POST", path: "/notify", body: c.body}.do(e.Handler())
			if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != c.answer || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%d %s\nwant\n%s", w.Code, got, c.answer)
			}
			same(t, "in force", holds(put), c.want)
			if e.Health().VersionHash != "abc123" {
				t.Error("a notification changes the version")
			}
		})
	}
}

func TestRefusedRequests(t *testing.T) {
	e := loaded(t, options(), one)
	h := e.Handler()
	for _, c := range []struct {
		call
		code int
		text string
	}{
		{call{method: "POST", path: "/notify", body: `{`}, 400, "Invalid request body: octet 1: it ends in the middle"},
		{call{method: "POST", path: "/notify", body: `{"records":7}`}, 400, "Invalid request body: "},
		{call{method: "POST", path: "/notify", body: `{} {}`}, 400, "Invalid request body: "},
		{call{method: "POST", path: "/notify", body: `{"records":[` + two + strings.Repeat(",0", 10_001) + `]}`}, 400, `Invalid request body: more than 10000 of its items cannot be taken, such as "" "": it is no object`},
		{call{method: "POST", path: "/notify", body: `{"records":[` + two + `],"deletes":[0` + strings.Repeat(",0", 10_000) + `]}`}, 400, `Invalid request body: more than 10000 of its items`},
		{call{method: "POST", path: "/notify", body: `{"x":"` + strings.Repeat("x", int(usual.notice)) + `"}`}, 413, "Request body is larger than 8388608 octets"},
		{call{method: "POST", path: "/notify", secret: "-"}, 401, "Unauthorized"},
		{call{method: "POST", path: "/notify", secret: "my-shared-secre"}, 401, "Unauthorized"},
		{call{path: "/records", secret: "my-shared-secret2"}, 401, "Unauthorized"},
		{call{path: "/notify"}, 405, "Method not allowed"},
		{call{method: "POST", path: "/records"}, 405, "Method not allowed"},
		{call{method: "DELETE", path: "/health", secret: "-"}, 405, "Method not allowed"},
		{call{path: "/other"}, 404, "404"},
		{call{path: "/records?zone=other.elchi"}, 404, "No such zone"},
		{call{path: "/health?zone=other.elchi", secret: "-"}, 404, "No such zone"},
	} {
		w := c.do(h)
		if w.Code != c.code || !strings.HasPrefix(w.Body.String(), c.text) {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, w.Code, w.Body, c.code, c.text)
		}
		if c.code == 405 && w.Header().Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.path)
		}
	}
	same(t, "records", holds(e.st.data), []string{"a.gslb.elchi. 20 A 192.0.2.1"})

	o := options()
	o.MaxRecords = 1
	if w := (call{method: "POST", path: "/notify", body: `{"records":[` + two + `]}`}).do(loaded(t, o, one).Handler()); w.Code != 413 {
		t.Errorf("more records than there may be: %d %s", w.Code, w.Body)
	}
	if w := (call{method: "POST", path: "/notify", body: `{"records":[{"name":"bare.gslb.elchi","type":"A","enabled":false}]}`}).do(loaded(t, o, one).Handler()); w.Code != 413 {
		t.Errorf("more names than there may be: %d %s", w.Code, w.Body)
	}
	if w := (call{method: "POST", path: "/notify", body: `{"records":[` + two + `]}`}).do(start(t, options(), noController).Handler()); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("before there is anything: %d %s", w.Code, w.Body)
	}
	fails := options()
	var err error
	fails.Put = func(*zone.Data) error { return err }
	f := loaded(t, fails, one)
	err = io.ErrShortWrite
	if w := (call{method: "POST", path: "/notify", body: `{"records":[` + two + `]}`}).do(f.Handler()); w.Code != 500 {
		t.Errorf("when it cannot be put in force: %d %s", w.Code, w.Body)
	}
}

// Who tries secrets is not heard for a while, with the right one either; others are.
func TestWrongSecretsAtSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := loaded(t, options(), one).Handler()
		wrong := call{path: "/records", secret: "wrong-secret", from: "[2001:db8::1]:1000"}
		codes := map[int]int{}
		for i := range 1000 {
			wrong.from = fmt.Sprintf("[2001:db8::%x]:%d", i+1, 1000+i)
			codes[wrong.do(h).Code]++
		}
		if codes[401] != wrongBurst || codes[429] != 1000-wrongBurst {
			t.Errorf("codes %v", codes)
		}
		if w := wrong.do(h); w.Header().Get("Retry-After") != "2" && w.Header().Get("Retry-After") != "1" {
			t.Errorf("Retry-After %s", w.Header().Get("Retry-After"))
		}
		if w := (call{path: "/records", from: "[2001:db8::ffff]:1"}).do(h); w.Code != 429 {
			t.Errorf("the right secret from there: %d", w.Code)
		}
		for _, other := range []string{"[2001:db8:0:1::1]:1", "192.0.2.1:1", "@"} {
			if w := (call{path: "/records", from: other}).do(h); w.Code != 200 {
				t.Errorf("from %s: %d", other, w.Code)
			}
		}
		if w := (call{path: "/health", from: "[2001:db8::1]:1", secret: "-"}).do(h); w.Code != 200 {
			t.Errorf("health: %d", w.Code)
		}
		time.Sleep(2 * time.Second)
		if w := (call{path: "/records", from: "[2001:db8::ffff]:1"}).do(h); w.Code != 200 {
			t.Errorf("two seconds later: %d", w.Code)
		}
	})
}

func TestGuardIsBounded(t *testing.T) {
	var g guard
	now := time.Now()
	for i := range 3 * maxSuspects {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
		for range 1 + i%3 {
			g.wrong(p, now)
		}
	}
	if len(g.free) > maxSuspects {
		t.Errorf("%d networks are remembered", len(g.free))
	}
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := loaded(t, options(), one, two)
		w := call{path: "/health", secret: "-"}.do(e.Handler())
		want := `{"status":"healthy","zone":"gslb.elchi","records_count":2,"version_hash":"abc123","last_sync":"` + time.Now().UTC().Format(time.RFC3339) + `","last_sync_status":"success","source":"controller","age_seconds":0,"stream":false,"refused":0}`
		if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != want {
			t.Errorf("%d %s\nwant\n%s", w.Code, got, want)
		}
		at := time.Now()
		time.Sleep(10*time.Minute + time.Second)
		e.client.http.Transport = wire{noController}
		_ = e.sync(t.Context())
		w = call{path: "/health", secret: "-"}.do(e.Handler())
		var h api.Health
		if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil || w.Code != 503 || h.Status != "degraded" || h.LastSyncStatus != "failed" || h.Error == "" || !h.LastSync.Equal(at.UTC().Truncate(time.Second)) || h.RecordsCount != 2 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

func TestRecords(t *testing.T) {
	h := loaded(t, options(), one, two, away, hid, `{"name":"off.gslb.elchi","type":"A","ttl":20,"enabled":false}`).Handler()
	a := `{"name":"a.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]}`
	b := `{"name":"b.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.2"]}`
	s := `{"name":"s.gslb.elchi","type":"A","ttl":20,"ips":[],"enabled":false,"failover":"x.elchi"}`
	s6 := `{"name":"s.gslb.elchi","type":"AAAA","ttl":30,"ips":["2001:db8::1"]}`
	off := `{"name":"off.gslb.elchi","type":"A","ttl":20,"ips":[],"enabled":false}`
	for query, want := range map[string][]string{
		"":                              {a, b, s, s6, off},
		"?name=a":                       {a},
		"?name=S.GSLB.elchi.":           {s, s6},
		"?type=aaaa":                    {s6},
		"?type=A&name=off":              {off},
		"?type=CNAME":                   {},
		"?name=nothing&zone=gslb.elchi": {},
	} {
		w := call{path: "/records" + query}.do(h)
		want := fmt.Sprintf(`{"zone":"gslb.elchi","version_hash":"abc123","count":%d,"records":[%s]}`, len(want), strings.Join(want, ","))
		if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != want || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s\nwant\n%s", query, w.Code, got, want)
		}
	}
	if w := (call{path: "/records"}).do(start(t, options(), noController).Handler()); w.Body.String() != `{"zone":"gslb.elchi","version_hash":"","count":0,"records":[]}`+"\n" {
		t.Errorf("before there is anything: %s", w.Body)
	}
}

// A listing takes a place until it is read, and there are few.
func TestListingsAreBounded(t *testing.T) {
	h := NewWebhook(loaded(t, options(), one))
	for range maxListings {
		h.listings <- struct{}{}
	}
	if w := (call{path: "/records"}).do(h); w.Code != 429 {
		t.Errorf("%d", w.Code)
	}
}

// Several zones at one address: a secret opens its own.
func TestSeveralZones(t *testing.T) {
	options2 := func(zone, secret string) Options {
		o := options()
		o.Zone, o.Apex, o.Secret = name(zone), apex(zone), secret
		return o
	}
	outer := loaded(t, options2("gslb.elchi", secret), one)
	inner := loaded(t, options2("in.gslb.elchi", secret), `{"name":"a.in.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]}`)
	other := loaded(t, options2("other.elchi", "another-secret"), `{"name":"a.other.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]}`)
	h := NewWebhook(outer, inner, other)
	all := `{"records":[{"name":"n.gslb.elchi","type":"A","ttl":1,"ips":["192.0.2.5"]},{"name":"n.in.gslb.elchi","type":"A","ttl":1,"ips":["192.0.2.6"]},{"name":"n.other.elchi","type":"A","ttl":1,"ips":["192.0.2.7"]}]}`
	w := call{method: "POST", path: "/notify", body: all}.do(h)
	if got := strings.TrimSpace(w.Body.String()); got != `{"status":"ok","updated":2,"deleted":0,"refused":[{"name":"n.other.elchi","type":"A","reason":"it is outside of the zone gslb.elchi."}]}` {
		t.Errorf("%s", got)
	}
	same(t, "the outer zone", holds(outer.st.data), []string{"a.gslb.elchi. 20 A 192.0.2.1", "n.gslb.elchi. 1 A 192.0.2.5"})
	same(t, "the inner zone", holds(inner.st.data), []string{"a.in.gslb.elchi. 20 A 192.0.2.1", "n.in.gslb.elchi. 1 A 192.0.2.6"})
	same(t, "the other zone", holds(other.st.data), []string{"a.other.elchi. 20 A 192.0.2.1"})
	w = call{path: "/health", secret: "-"}.do(h)
	var hs api.Healths
	if err := json.Unmarshal(w.Body.Bytes(), &hs); err != nil || hs.Status != "healthy" || len(hs.Zones) != 3 || hs.Zones[1].Zone != "in.gslb.elchi" {
		t.Errorf("%v %s", err, w.Body)
	}
	if w = (call{path: "/health?zone=Other.elchi.", secret: "-"}).do(h); !strings.Contains(w.Body.String(), `"zone":"other.elchi"`) {
		t.Errorf("%s", w.Body)
	}
	if w = (call{path: "/records"}).do(h); w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w = (call{path: "/records?zone=other.elchi"}).do(h); w.Code != 404 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w = (call{path: "/records", secret: "another-secret"}).do(h); !strings.Contains(w.Body.String(), "a.other.elchi") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestTwins has two edges of one zone, which are told the same.
func TestTwins(t *testing.T) {
	one := loaded(t, options(), one)
	two := start(t, options(), noController)
	h := NewWebhook(one, two)
	told := call{method: "POST", path: "/notify", body: `{"records":[{"name":"n.gslb.elchi","type":"A","ttl":1,"ips":["192.0.2.5"]}],"deletes":[{"name":"a.gslb.elchi","type":"A"}]}`}
	if w := told.do(h); w.Code != 503 {
		t.Errorf("one of them has no records yet: %d %s", w.Code, w.Body)
	}
	two.st = loaded(t, options(), `{"name":"a.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]}`).st
	if w := told.do(h); w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"status":"ok","updated":1,"deleted":0,"refused":[{"name":"a.gslb.elchi","type":"A","reason":"there is no such record"}]}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, e := range []*Edge{one, two} {
		same(t, "a twin", holds(e.st.data), []string{"n.gslb.elchi. 1 A 192.0.2.5"})
	}
	two.began, two.failure = time.Now().Add(-time.Hour), ErrSecret
	if w := (call{path: "/health"}).do(h); w.Code != 503 || !strings.Contains(w.Body.String(), `{"status":"degraded","zone":"gslb.elchi","records_count":1,"version_hash":""`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := (call{path: "/records"}).do(h); w.Code != 200 || !strings.Contains(w.Body.String(), `"count":1,`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		m, err := NewMetrics(reg)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := NewMetrics(reg); again != m || err != nil {
			t.Errorf("registered twice: %v", err)
		}
		o := options()
		o.Metrics = m
		e := loaded(t, o, one, two, `{"name":"x"}`)
		// A rate sees the first of each only when it was 0 before.
		if n := testutil.CollectAndCount(m, "coredns_elchi_requests_total", "coredns_elchi_cache_hits_total", "coredns_elchi_cache_misses_total"); n != 6 {
			t.Errorf("%d series of A and AAAA before the first query", n)
		}
		h := e.Handler()
		e.client.http.Transport = wire{noController}
		_ = e.sync(t.Context())
		for _, c := range []call{{path: "/health"}, {path: "/records"}, {path: "/records", secret: "-"}, {method: "POST", path: "/notify", body: "{"}, {method: "POST", path: "/notify", body: `{"records":[{}]}`}, {path: "/none"}} {
			c.do(h)
		}
		for range 3 {
			e.Asked(dnswire.TypeA, true)
		}
		e.Asked(dnswire.TypeAAAA, false)
		for _, odd := range []dnswire.Type{0, 200, 201, 40000, 65535} {
			e.Asked(odd, false)
		}
		time.Sleep(time.Minute)
		want := `
# HELP coredns_elchi_cache_age_seconds How long ago a controller last said how the records are; absent while none ever has.
# TYPE coredns_elchi_cache_age_seconds gauge
coredns_elchi_cache_age_seconds{zone="gslb.elchi."} 60
# HELP coredns_elchi_cache_hits_total Total number of cache hits.
# TYPE coredns_elchi_cache_hits_total counter
coredns_elchi_cache_hits_total{type="A",zone="gslb.elchi."} 3
coredns_elchi_cache_hits_total{type="AAAA",zone="gslb.elchi."} 0
coredns_elchi_cache_hits_total{type="other",zone="gslb.elchi."} 0
# HELP coredns_elchi_cache_misses_total Total number of cache misses.
# TYPE coredns_elchi_cache_misses_total counter
coredns_elchi_cache_misses_total{type="A",zone="gslb.elchi."} 0
coredns_elchi_cache_misses_total{type="AAAA",zone="gslb.elchi."} 1
coredns_elchi_cache_misses_total{type="other",zone="gslb.elchi."} 5
# HELP coredns_elchi_cache_size Number of DNS records currently in cache.
# TYPE coredns_elchi_cache_size gauge
coredns_elchi_cache_size{zone="gslb.elchi."} 2
# HELP coredns_elchi_refused_total Items of controllers that were not taken.
# TYPE coredns_elchi_refused_total counter
coredns_elchi_refused_total{zone="gslb.elchi."} 2
# HELP coredns_elchi_requests_total Total number of DNS requests handled by elchi plugin.
# TYPE coredns_elchi_requests_total counter
coredns_elchi_requests_total{type="A",zone="gslb.elchi."} 3
coredns_elchi_requests_total{type="AAAA",zone="gslb.elchi."} 1
coredns_elchi_requests_total{type="other",zone="gslb.elchi."} 5
# HELP coredns_elchi_stream 1 while the controller tells changes as they happen, else 0.
# TYPE coredns_elchi_stream gauge
coredns_elchi_stream{zone="gslb.elchi."} 0
# HELP coredns_elchi_sync_errors_total Total number of backend sync errors.
# TYPE coredns_elchi_sync_errors_total counter
coredns_elchi_sync_errors_total{type="changes",zone="gslb.elchi."} 1
coredns_elchi_sync_errors_total{type="snapshot",zone="gslb.elchi."} 0
# HELP coredns_elchi_webhook_requests_total Total number of webhook requests received.
# TYPE coredns_elchi_webhook_requests_total counter
coredns_elchi_webhook_requests_total{endpoint="health",status="error"} 0
coredns_elchi_webhook_requests_total{endpoint="health",status="success"} 1
coredns_elchi_webhook_requests_total{endpoint="notify",status="error"} 1
coredns_elchi_webhook_requests_total{endpoint="notify",status="success"} 1
coredns_elchi_webhook_requests_total{endpoint="notify",status="unauthorized"} 0
coredns_elchi_webhook_requests_total{endpoint="records",status="error"} 0
coredns_elchi_webhook_requests_total{endpoint="records",status="success"} 1
coredns_elchi_webhook_requests_total{endpoint="records",status="unauthorized"} 1
`
		var names []string
		all, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if f.GetName() != "coredns_elchi_sync_duration_seconds" {
				names = append(names, f.GetName())
				continue
			}
			if n := len(f.GetMetric()); n != 2 || len(f.GetMetric()[0].GetHistogram().GetBucket()) != 11 || f.GetMetric()[0].GetHistogram().GetSampleCount() != 1 {
				t.Errorf("durations %v", f)
			}
		}
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
			t.Error(err)
		}
		if len(names) != 9 {
			t.Errorf("there are %v", names)
		}
		// One that has the same zone, as with another transport, began later and ends before.
		run(t, start(t, e.o, noController))()
		if n := testutil.CollectAndCount(m, "coredns_elchi_cache_size"); n != 1 {
			t.Errorf("%d sizes after the end of another", n)
		}
		run(t, e)()
		if n := testutil.CollectAndCount(m, "coredns_elchi_cache_size"); n != 0 {
			t.Errorf("%d sizes after the end", n)
		}
		if n := testing.AllocsPerRun(100, func() { e.Asked(dnswire.TypeA, true) }); n != 0 {
			t.Errorf("%v allocations for a query", n)
		}
	})
}

// A client of a listing that reads nothing is let go.
func TestListingIsNotWaitedFor(t *testing.T) {
	e := loaded(t, options(), one)
	var got bytes.Buffer
	l := &listing{st: e.st, head: api.Listing{Zone: "z", Records: []api.Record{}}}
	if err := l.write(&got); err != nil || !json.Valid(got.Bytes()) {
		t.Errorf("%v %s", err, &got)
	}
	if err := l.write(broken{}); err == nil {
		t.Error("a client that is gone")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func FuzzNotify(f *testing.F) {
	for _, s := range texts {
		f.Add(s)
	}
	f.Add(`{"records":[` + one + `,` + away + `,` + hid + `],"deletes":[{"name":"a.gslb.elchi","type":"CNAME"}]}`)
	o := gatherWith("gslb.elchi")
	f.Fuzz(func(t *testing.T, body string) {
		taken, err := gather(strings.NewReader(snapshot("1", one, away, hid)), o)
		if err != nil {
			t.Fatal(err)
		}
		op := options()
		e, err := New(op)
		if err != nil {
			t.Fatal(err)
		}
		e.st = taken.st
		w := call{method: "POST", path: "/notify", body: body}.do(e.Handler())
		if w.Code != 200 && w.Code != 400 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		// What is listed afterwards is what there is.
		listed := lists(e.st)
		again, err := gather(strings.NewReader(snapshot("1", listed...)), o)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "records", holds(again.st.data), holds(e.st.data))
		same(t, "listing", lists(again.st), listed)
	})
}
