package admin_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestAllowedNetworks(t *testing.T) {
	n := newNode(t, `admin: {listen: "0.0.0.0:8080", allowed_networks: [192.0.2.0/24, "2001:db8::/32"]}`)
	for _, c := range []struct {
		from string
		want int
	}{
		{"192.0.2.7:1000", 200},
		{"[::ffff:192.0.2.7]:1000", 200},
		{"[2001:db8::1]:1000", 200},
		{"[2001:db8::1%eth0]:1000", 200},
		{"192.0.3.7:1000", 403},
		{"127.0.0.1:1000", 403},
		{"[::1]:1000", 403},
		{"@", 403}, // a Unix socket
		{"", 403},
	} {
		for _, path := range []string{"/api/v1/live", "/metrics", "/nothing"} {
			resp := n.ask("GET", path, "", "From: "+c.from)
			switch {
			case c.want == http.StatusForbidden:
				refused(t, resp, http.StatusForbidden)
			case path == "/nothing":
				refused(t, resp, http.StatusNotFound)
			case resp.StatusCode != http.StatusOK:
				t.Errorf("%s from %s: %d", path, c.from, resp.StatusCode)
			}
		}
	}
	for _, header := range []string{"X-Forwarded-For: 192.0.2.7", "X-Real-IP: 192.0.2.7", "Forwarded: for=192.0.2.7"} {
		refused(t, n.ask("GET", "/api/v1/live", "", "From: 203.0.113.1:1", header), http.StatusForbidden)
	}
}

func TestAllowedNetworksFollowReload(t *testing.T) {
	n := newNode(t, `admin: {allowed_networks: [127.0.0.0/8]}`)
	if resp := n.ask("GET", "/api/v1/live", ""); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	n.configure(`admin: {allowed_networks: [192.0.2.0/24]}`)
	refused(t, n.ask("GET", "/api/v1/live", ""), http.StatusForbidden)
}

func TestBeforeAnyConfiguration(t *testing.T) {
	n := newNode(t, "")
	refused(t, n.ask("GET", "/api/v1/live", "", "From: 192.0.2.1:1"), http.StatusForbidden)
	for _, path := range []string{"/live", "/ready", "/version", "/status", "/health/servers", "/health/regions", "/services", "/overrides"} {
		if resp := n.ask("GET", "/api/v1"+path, ""); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	refused(t, n.ask("GET", "/api/v1/explain?name=www.example.org", ""), http.StatusServiceUnavailable)
}

// A page of another site that has its name pointed at this machine asks with
// that name as the host.
func TestHost(t *testing.T) {
	at := func(listen string) *node {
		return newNode(t, fmt.Sprintf("admin: {listen: %q, allowed_networks: [127.0.0.0/8]}", listen))
	}
	inside := at("127.0.0.1:8080")
	for host, ok := range map[string]bool{
		"127.0.0.1:8080": true, "127.0.0.1": true, "[::1]:8080": true, "[::1]": true, "192.0.2.1": true,
		"localhost:8080": true, "LOCALHOST.": true, "ns1.localhost": true,
		"evil.example": false, "evil.example:8080": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false, "evillocalhost": false,
	} {
		resp := inside.ask("GET", "http://"+host+"/api/v1/live", "")
		if !ok {
			refused(t, resp, http.StatusForbidden)
		} else if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", host, resp.Status)
		}
	}
	if resp := at("0.0.0.0:8080").ask("GET", "http://ns1.example.com/api/v1/live", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("beyond loopback a name is as good as an address: %s", resp.Status)
	}
}

func TestOtherSites(t *testing.T) {
	n := newNode(t, configuration)
	for _, header := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.example"} {
		refused(t, n.ask("POST", "/api/v1/reload", "", header), http.StatusForbidden)
		refused(t, n.ask("PUT", "/api/v1/overrides/www.gslb.example.com/192.0.2.10", `{"healthy":false,"source":"me"}`, header), http.StatusForbidden)
		refused(t, n.ask("DELETE", "/api/v1/overrides/www.gslb.example.com/192.0.2.10", "", header), http.StatusForbidden)
	}
	if n.process.reloads > 0 || len(n.engine.Overrides()) > 0 {
		t.Fatal("another site's page changed something")
	}
	if resp := n.ask("POST", "/api/v1/reload", "", "Sec-Fetch-Site: same-origin"); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
}

func TestMethodsAndPaths(t *testing.T) {
	n := newNode(t, configuration)
	for _, c := range []struct{ method, path, allow string }{
		{"POST", "/api/v1/live", "GET, HEAD"},
		{"DELETE", "/metrics", "GET, HEAD"},
		{"OPTIONS", "/api/v1/services", "GET, HEAD"},
		{"GET", "/api/v1/reload", "POST"},
		{"HEAD", "/api/v1/reload", "POST"},
		{"PATCH", "/api/v1/overrides/a.example/192.0.2.1", "DELETE, GET, HEAD, PUT"},
	} {
		resp := n.ask(c.method, c.path, "")
		if got := resp.Header.Get("Allow"); got != c.allow {
			t.Errorf("%s %s: Allow %q, want %q", c.method, c.path, got, c.allow)
		}
		refused(t, resp, http.StatusMethodNotAllowed)
	}
	for _, path := range []string{"/", "/api", "/api/v1", "/api/v1/", "/api/v1/live/", "/api/v2/live", "/api/v1/overrides/a", "/favicon.ico"} {
		refused(t, n.ask("GET", path, ""), http.StatusNotFound)
	}
}

func TestHead(t *testing.T) {
	n := newNode(t, configuration)
	for _, path := range []string{"/api/v1/live", "/api/v1/status", "/metrics", "/api/v1/openapi.json"} {
		if resp := n.ask("HEAD", path, ""); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

func TestHeaders(t *testing.T) {
	n := newNode(t, configuration)
	for _, resp := range []*http.Response{n.ask("GET", "/api/v1/live", ""), n.ask("GET", "/nothing", ""), n.ask("GET", "/metrics", "", "From: 203.0.113.1:1")} {
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
}

func TestMetrics(t *testing.T) {
	n := newNode(t, configuration)
	n.ask("GET", "/api/v1/live", "")
	n.ask("GET", "/api/v1/live?x=1", "")
	n.ask("BREW", "/api/v1/live", "")
	n.ask("GET", "/made/up/by/a/client", "")
	n.ask("GET", "/api/v1/overrides/www.example.org/192.0.2.1", "")
	n.ask("GET", "/api/v1/live", "", "From: 203.0.113.1:1")
	for _, path := range []string{"/metrics", "/api/v1/metrics"} {
		b, err := io.ReadAll(n.ask("GET", path, "").Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`rhumb_build_info{goversion="go`, `version="v1.2.3"} 1`,
			`rhumb_admin_requests_total{code="200",method="GET",path="/api/v1/live"} 2`,
			`rhumb_admin_requests_total{code="405",method="other",path="/api/v1/live"} 1`,
			`rhumb_admin_requests_total{code="404",method="GET",path="other"} 1`,
			`rhumb_admin_requests_total{code="404",method="GET",path="/api/v1/overrides/{service}/{address}"} 1`,
			`rhumb_admin_requests_total{code="403",method="GET",path="other"} 1`,
			`rhumb_endpoint_up{`,
		} {
			if !strings.Contains(string(b), want) {
				t.Errorf("%s has no %s", path, want)
			}
		}
	}
	if _, err := (prometheus.Gatherers{n.metrics}).Gather(); err != nil {
		t.Error(err)
	}
}

// What a handler cannot do is a problem and a line in the log, and the next
// request is answered.
func TestFailure(t *testing.T) {
	n := newNode(t, configuration)
	n.process.fail = true
	got := refused(t, n.ask("POST", "/api/v1/reload", ""), http.StatusInternalServerError)
	if want := "the node failed at this; its log says more"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	n.process.fail = false
	if resp := n.ask("POST", "/api/v1/reload", ""); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
}
