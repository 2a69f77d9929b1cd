package admin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/health"
)

func TestServices(t *testing.T) {
	n := newNode(t, configuration).probed()
	set(t, n, "www.gslb.example.com", "192.0.2.10", false)
	got := decode[api.Services](t, n.ask("GET", "/api/v1/services", ""), http.StatusOK)
	var b strings.Builder
	for _, s := range got.Services {
		fmt.Fprintf(&b, "%s in %s: %s, ttl %d, answers %d, %s, panic %v:", s.Name, s.Zone, s.Steer, s.TTL, s.Answers, s.AllDown, s.Panic)
		for _, p := range s.Pools {
			fmt.Fprintf(&b, " %s %d/%d", p.Name, p.Healthy, p.Endpoints)
		}
		b.WriteByte('\n')
	}
	const want = `gslb.example.com. in gslb.example.com.: rotate, ttl 30, answers 1, serve-all, panic 0: us 1/1
*.any.gslb.example.com. in gslb.example.com.: shuffle, limit: 1, ttl 30, answers 1, last-healthy, panic 0: us 1/1
api.gslb.example.com. in gslb.example.com.: rotate, ttl 30, answers 1, us, panic 0: hosted 0/1
cdn.gslb.example.com. in gslb.example.com.: rotate, ttl 30, answers 1, serve-all, panic 0: far 1/1
web.gslb.example.com. in gslb.example.com.: rotate, ttl 30, answers 1, servfail, panic 0: hosted 0/1
www.gslb.example.com. in gslb.example.com.: tier, rotate, ttl 20, answers 0, serve-all, panic 0: eu 1/3 us 1/1
www.example.org. in example.org.: weighted, ttl 30, answers 1, nodata, panic 0.5: us 1/1
`
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
	if got.Total != 7 || got.Next != "" {
		t.Errorf("total %d, next %q", got.Total, got.Next)
	}
}

// The endpoints of a nested service stand as one pool, as they stand for that
// service, whose overrides they have.
func TestNestedServices(t *testing.T) {
	n := newNode(t, `
pools:
  eu: {endpoints: [192.0.2.1, 192.0.2.2]}
  us: {endpoints: [198.51.100.1]}
  both: {pools: [eu, us], min_healthy: 2}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      inner: {pools: [eu], ttl: 5}
      www: {pools: [{service: inner}, both], steer: failover}
      api: {pools: [{service: www}]}
`)
	for service, address := range map[string]string{"inner.x.test": "192.0.2.1", "www.x.test": "192.0.2.2"} {
		if err := n.engine.Override(health.Overriding{Service: service, Endpoint: address}); err != nil {
			t.Fatal(err)
		}
	}
	got := decode[api.Services](t, n.ask("GET", "/api/v1/services?name=www.x.test", ""), http.StatusOK)
	want := []api.ServicePool{{Name: "inner.x.test", Endpoints: 2, Healthy: 1, MinHealthy: 1}, {Name: "both", Endpoints: 3, Healthy: 2, MinHealthy: 2}}
	if len(got.Services) != 1 || got.Services[0].TTL != 5 || !slices.Equal(got.Services[0].Pools, want) {
		t.Errorf("%+v", got)
	}
	for service, want := range map[string]string{
		"inner.x.test": "eu 192.0.2.1 \"inner.x.test.\" unhealthy operator override\neu 192.0.2.2 \"inner.x.test.\" healthy",
		"www.x.test":   "eu 192.0.2.1 \"www.x.test.\" healthy no check\neu 192.0.2.2 \"www.x.test.\" unhealthy operator override\nus 198.51.100.1",
	} {
		if got := rows(t, n, "?service="+service); !strings.HasPrefix(got, want) {
			t.Errorf("%s has\n%swant\n%s", service, got, want)
		}
	}
	refused := n.ask("PUT", "/api/v1/overrides/api.x.test/198.51.100.1", `{"healthy":false,"source":"ops"}`)
	const why = "198.51.100.1 is an endpoint of www.x.test., which api.x.test. nests: set the override there"
	if p := decode[api.Problem](t, refused, http.StatusNotFound); p.Detail != why {
		t.Errorf("%+v", p)
	}
}

func names(s []api.Service) (out []string) {
	for _, x := range s {
		out = append(out, x.Name)
	}
	return out
}

// Pages of every size are the whole list cut up.
func TestServicesPages(t *testing.T) {
	var b strings.Builder
	b.WriteString("pools: {p: {endpoints: [192.0.2.1]}}\nzones:\n")
	for _, zone := range []string{"b.example", "a.example", "sub.a.example"} {
		fmt.Fprintf(&b, "  %s:\n    nameservers: {ns: 192.0.2.53}\n    services:\n      \"@\": {pools: [p]}\n", zone)
		for i := range 40 {
			fmt.Fprintf(&b, "      s%d.x%d: {pools: [p]}\n", i*7%40, i%3)
		}
	}
	n := newNode(t, b.String())
	page := func(query url.Values) api.Services {
		return decode[api.Services](t, n.ask("GET", "/api/v1/services?"+query.Encode(), ""), http.StatusOK)
	}
	whole := page(nil)
	if whole.Total != 123 || len(whole.Services) != 123 {
		t.Fatalf("total %d, %d listed", whole.Total, len(whole.Services))
	}
	all := names(whole.Services)
	if sorted := slices.SortedFunc(slices.Values(all), byLabels); !slices.Equal(all, sorted) {
		t.Errorf("not in order: %v", all)
	}
	for _, limit := range []int{1, 2, 7, 41, 122, 123, 124} {
		var got []string
		for after := ""; ; {
			p := page(url.Values{"limit": {fmt.Sprint(limit)}, "after": {after}})
			if p.Total != 123 || len(p.Services) > limit {
				t.Fatalf("limit %d: total %d, %d listed", limit, p.Total, len(p.Services))
			}
			got = append(got, names(p.Services)...)
			if after = p.Next; after == "" || len(got) > len(all) {
				break
			}
		}
		if !slices.Equal(got, all) {
			t.Errorf("limit %d: %v\nwant %v", limit, got, all)
		}
	}
	if p := page(url.Values{"zone": {"A.example."}}); p.Total != 41 || p.Services[0].Name != "a.example." {
		t.Errorf("a zone and not the zone in it: total %d, %v", p.Total, names(p.Services))
	}
	if p := page(url.Values{"zone": {"none.example"}}); p.Total != 0 || len(p.Services) != 0 {
		t.Errorf("a zone that is not ours: %+v", p)
	}
	if p := page(url.Values{"name": {"S0.x0.B.example"}}); p.Total != 1 || p.Services[0].Name != "s0.x0.b.example." {
		t.Errorf("one name: %+v", p)
	}
	if p := page(url.Values{"name": {"x0.b.example"}}); p.Total != 0 {
		t.Errorf("a name that is no service: %+v", p)
	}
	if p := page(url.Values{"name": {"s0.x0.b.example"}, "zone": {"a.example"}}); p.Total != 0 {
		t.Errorf("one name of another zone: %+v", p)
	}
}

// byLabels is the order of names written the slow way: reversed labels.
func byLabels(x, y string) int {
	reversed := func(s string) []string {
		l := strings.Split(strings.TrimSuffix(s, "."), ".")
		slices.Reverse(l)
		return l
	}
	return slices.Compare(reversed(x), reversed(y))
}

func TestServicesRefuse(t *testing.T) {
	n := newNode(t, configuration)
	for query, want := range map[string]string{
		"limit=0":     `limit: "0" is not a number from 1 to 10000`,
		"limit=10001": `limit: "10001" is not a number from 1 to 10000`,
		"limit=all":   `limit: "all" is not a number from 1 to 10000`,
		"after=a..":   `after: empty label in "a.."`,
		"q=www":       `query: no parameter "q"; there are zone, name, after, limit`,
	} {
		if got := refused(t, n.ask("GET", "/api/v1/services?"+query, ""), http.StatusBadRequest); got != want {
			t.Errorf("%s: %s\nwant %s", query, got, want)
		}
	}
}
