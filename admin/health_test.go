package admin_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/api"
)

// rows is the servers that a query selects, one a line.
func rows(t *testing.T, n *node, query string) string {
	t.Helper()
	all := decode[api.Servers](t, n.ask("GET", "/api/v1/health/servers"+query, ""), http.StatusOK)
	if all.Total != len(all.Servers) || all.GeneratedAt.IsZero() {
		t.Errorf("%s: total %d of %d, generated at %v", query, all.Total, len(all.Servers), all.GeneratedAt)
	}
	var b strings.Builder
	for _, s := range all.Servers {
		fmt.Fprintf(&b, "%s %s %q %s %s\n", s.Pool, s.Address, s.Service, s.Status, s.Authority)
		if s.Healthy != (s.Status == "healthy") || s.Healthy != (s.State == "up") {
			t.Errorf("healthy, status and state disagree: %+v", s)
		}
	}
	return b.String()
}

const everything = `eu 192.0.2.10 "" healthy no check
eu 127.0.0.1 "" unhealthy probe
eu 2001:db8::10 "" healthy no check
far www.example.net "" healthy no check
hosted 127.0.0.1 "api.gslb.example.com." unhealthy probe
hosted 127.0.0.1 "web.gslb.example.com." unhealthy probe
us 198.51.100.10 "" healthy no check
`

func TestServers(t *testing.T) {
	n := newNode(t, configuration).probed()
	for query, want := range map[string]string{
		"":                         everything,
		"?pool=us":                 "us 198.51.100.10 \"\" healthy no check\n",
		"?region=us-east":          "us 198.51.100.10 \"\" healthy no check\n",
		"?pool=eu&state=down":      "eu 127.0.0.1 \"\" unhealthy probe\n",
		"?pool=eu&state=unhealthy": "eu 127.0.0.1 \"\" unhealthy probe\n",
		"?state=unknown":           "",
		"?pool=nowhere":            "",
		"?service=nowhere.example": "",
		"?service=EXAMPLE.org":     "",
		"?service=WWW.Example.ORG": "us 198.51.100.10 \"www.example.org.\" healthy no check\n",
		"?service=api.gslb.example.com": "hosted 127.0.0.1 \"api.gslb.example.com.\" unhealthy probe\n" +
			"us 198.51.100.10 \"api.gslb.example.com.\" healthy no check\n",
	} {
		if got := rows(t, n, query); got != want {
			t.Errorf("%s:\n%swant\n%s", query, got, want)
		}
	}
	down := decode[api.Servers](t, n.ask("GET", "/api/v1/health/servers?pool=eu&state=down", ""), http.StatusOK).Servers[0]
	if down.Port != 1 || down.Region != "eu-west" || down.LastCheck.IsZero() || !down.LastHealthy.IsZero() || down.Since.IsZero() ||
		down.ConsecutiveFailures != 1 || down.ConsecutiveSuccesses != 0 || !strings.Contains(down.LastError, "refused") {
		t.Errorf("the one that is down: %+v", down)
	}
	if len(down.Checks) != 1 || down.Checks[0].Name != "shut" || down.Checks[0].Runs != 1 || down.Checks[0].OK {
		t.Errorf("its checks: %+v", down.Checks)
	}
	first := decode[api.Servers](t, n.ask("GET", "/api/v1/health/servers?pool=eu", ""), http.StatusOK).Servers[0]
	if first.Weight != 300 || first.Priority != 1 || len(first.Tags) != 1 || first.Tags[0] != "ssd" {
		t.Errorf("weight, priority and tags: %+v", first)
	}
}

func TestServersRefuse(t *testing.T) {
	n := newNode(t, configuration)
	for query, want := range map[string]string{
		"?state=sick":         `state: "sick" is not up, degraded, down or unknown`,
		"?pol=eu":             `query: no parameter "pol"; there are pool, region, state, service, results`,
		"?pool=eu&pool=us":    "query: pool is there twice",
		"?service=a..b":       `service: empty label in "a..b"`,
		"?pool=%zz":           `query: invalid URL escape "%zz"`,
		"?pool=eu;state=down": "query: invalid semicolon separator in query",
	} {
		if got := refused(t, n.ask("GET", "/api/v1/health/servers"+query, ""), http.StatusBadRequest); got != want {
			t.Errorf("%s: %s\nwant %s", query, got, want)
		}
	}
}

// An override is for one service: the row of the endpoint for all services
// shows it and keeps its state, the row for that service follows it.
func TestServersShowOverrides(t *testing.T) {
	n := newNode(t, configuration).probed()
	set(t, n, "www.gslb.example.com", "192.0.2.10", false)
	set(t, n, "api.gslb.example.com", "127.0.0.1", true)

	all := decode[api.Servers](t, n.ask("GET", "/api/v1/health/servers", ""), http.StatusOK).Servers
	if s := all[0]; s.State != "up" || len(s.Overrides) != 1 || s.Overrides[0].Service != "www.gslb.example.com." || s.Overrides[0].Healthy {
		t.Errorf("shared by services: %+v", s)
	}
	if s := all[4]; s.State != "up" || s.Authority != "operator override" || len(s.Overrides) != 1 {
		t.Errorf("judged for the service: %+v", s)
	}
	if s := all[5]; s.State != "down" || len(s.Overrides) != 0 {
		t.Errorf("judged for another service: %+v", s)
	}
	want := `eu 192.0.2.10 "www.gslb.example.com." unhealthy operator override` + "\n"
	if got := rows(t, n, "?service=www.gslb.example.com&pool=eu&state=down"); !strings.HasPrefix(got, want) {
		t.Errorf("%swant it to begin with\n%s", got, want)
	}
	if got := rows(t, n, "?service=www.example.org"); strings.Contains(got, "override") {
		t.Errorf("another service has it: %s", got)
	}
}

func TestRegions(t *testing.T) {
	n := newNode(t, configuration).probed()
	got := decode[api.Regions](t, n.ask("GET", "/api/v1/health/regions", ""), http.StatusOK)
	want := []api.Region{
		// An endpoint that is judged for two services is one endpoint.
		{Name: "", TotalServers: 2, HealthyCount: 1, UnhealthyCount: 1, HealthPercent: 50},
		{Name: "eu-west", TotalServers: 3, HealthyCount: 2, UnhealthyCount: 1, HealthPercent: 200.0 / 3},
		{Name: "us-east", TotalServers: 1, HealthyCount: 1, HealthPercent: 100},
	}
	if fmt.Sprint(got.Regions) != fmt.Sprint(want) {
		t.Errorf("%v\nwant %v", got.Regions, want)
	}
	if before := decode[api.Regions](t, newNode(t, configuration).ask("GET", "/api/v1/health/regions", ""), http.StatusOK); before.Regions[1].UnknownCount != 1 {
		t.Errorf("before the first probe: %v", before.Regions)
	}
}

// One server may live for one service and not for another. Counted once, it is
// as bad as its worst.
func TestWorstOfServices(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Host, "well.") {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer srv.Close()
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range [][2]string{{"a", "well"}, {"well", "z"}} {
		config := fmt.Sprintf(`checks: {page: {type: http, port: %s, interval: 1h}}
pools: {p: {place: {region: r}, checks: [page], endpoints: [127.0.0.1]}}
zones: {a.example: {nameservers: {ns: 192.0.2.53}, services: {%s: {pools: [p]}, %s: {pools: [p]}}}}`, port, names[0], names[1])
		n := newNode(t, config).run(config)
		if got := decode[api.Status](t, n.ask("GET", "/api/v1/status", ""), http.StatusOK).Endpoints; got != (api.EndpointCounts{Total: 1, Down: 1}) {
			t.Errorf("%v: %+v", names, got)
		}
		got := decode[api.Servers](t, n.ask("GET", "/api/v1/health/servers?state=up", ""), http.StatusOK)
		if got.Total != 1 || got.Servers[0].Service != "well.a.example." {
			t.Errorf("%v: %+v", names, got)
		}
		if last := got.Servers[0]; last.LastHealthy != last.LastCheck || last.ConsecutiveSuccesses != 1 || last.LastError != "" {
			t.Errorf("%v: %+v", names, last)
		}
	}
}
