package admin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/health"
)

// set puts an override in force through the API, and into the snapshot, as a
// running engine does.
func set(t *testing.T, n *node, service, address string, healthy bool) api.Override {
	t.Helper()
	o := decode[api.Override](t, n.ask("PUT", "/api/v1/overrides/"+service+"/"+address,
		fmt.Sprintf(`{"healthy":%t,"reason":"maintenance","source":"ops"}`, healthy)), http.StatusOK)
	n.configure(configuration)
	return o
}

// An override set through the API is what queries are answered by.
func TestOverrideChangesAnswers(t *testing.T) {
	n := newNode(t, configuration)
	answers := func() string {
		e := decode[api.Explanation](t, n.ask("GET", "/api/v1/explain?name=www.gslb.example.com", ""), http.StatusOK)
		return strings.Join(e.Answers, " ")
	}
	if got := answers(); got != "A 192.0.2.10" {
		t.Fatal(got)
	}
	o := set(t, n, "WWW.gslb.example.com", "192.0.2.10", false)
	if o.Service != "www.gslb.example.com." || o.Address != "192.0.2.10" || o.Healthy || !o.InForce || o.Since.IsZero() ||
		o.Reason != "maintenance" || o.Source != "ops" {
		t.Errorf("%+v", o)
	}
	if got := answers(); got != "A 198.51.100.10" {
		t.Errorf("overridden: %s", got)
	}
	if resp := n.ask("DELETE", "/api/v1/overrides/www.gslb.example.com/192.0.2.10", ""); resp.StatusCode != http.StatusNoContent {
		t.Fatal(resp.Status)
	}
	n.configure(configuration)
	if got := answers(); got != "A 192.0.2.10" {
		t.Errorf("cleared: %s", got)
	}
}

// Addresses and names are taken in any of their forms.
func TestOverrideForms(t *testing.T) {
	n := newNode(t, configuration)
	for _, c := range []struct{ service, address, want string }{
		{"www.gslb.example.com.", "2001:DB8:0::10", "2001:db8::10"},
		{"www.gslb.example.com", "::ffff:192.0.2.10", "192.0.2.10"},
		{"cdn.gslb.example.com", "WWW.example.net.", "www.example.net"},
		{"*.any.gslb.example.com", "198.51.100.10", "198.51.100.10"},
		{"api.gslb.example.com", "198.51.100.10", "198.51.100.10"}, // of the all-down pool
	} {
		if o := set(t, n, c.service, c.address, true); o.Address != c.want {
			t.Errorf("%+v: %+v", c, o)
		}
	}
	all := decode[api.Overrides](t, n.ask("GET", "/api/v1/overrides", ""), http.StatusOK)
	if all.Total != 5 || len(all.Overrides) != 5 {
		t.Errorf("%+v", all)
	}
}

// A drain shows what is left of it, and at its end its endpoint is out.
func TestDrain(t *testing.T) {
	n := newNode(t, configuration)
	const path = "/api/v1/overrides/www.gslb.example.com/192.0.2.10"
	put := func(duration string) api.Override {
		t.Helper()
		o := decode[api.Override](t, n.ask("PUT", path, fmt.Sprintf(`{"state":"drain","duration":%q,"reason":"disk","source":"ops"}`, duration)), http.StatusOK)
		n.configure(configuration)
		return o
	}
	endpoint := func() api.ExplainedEndpoint {
		t.Helper()
		e := decode[api.Explanation](t, n.ask("GET", "/api/v1/explain?name=www.gslb.example.com", ""), http.StatusOK)
		for _, x := range e.Endpoints {
			if x.Address == "192.0.2.10" {
				return x
			}
		}
		t.Fatalf("no such endpoint in %+v", e)
		return api.ExplainedEndpoint{}
	}
	if x := endpoint(); x.Share != 0 || x.State != "up" {
		t.Errorf("before: %+v", x)
	}
	// It began two days ago, as it would have for a node that was off since.
	if err := n.engine.Override(health.Overriding{
		Service: "www.gslb.example.com", Endpoint: "192.0.2.10", Source: "ops", Drain: true,
		Over: 4 * 24 * time.Hour, Since: time.Now().Add(-2*24*time.Hour - time.Minute),
	}); err != nil {
		t.Fatal(err)
	}
	n.configure(configuration)
	o := decode[api.Override](t, n.ask("GET", path, ""), http.StatusOK)
	if o.State != "drain" || o.Healthy || o.Share != 0.5 || o.Duration != "96h0m0s" || o.OutAt.Sub(o.Since) != 4*24*time.Hour || !o.InForce {
		t.Errorf("%+v", o)
	}
	if x := endpoint(); x.Share != 0.5 || x.State != "up" || x.Authority != "operator drain" || !strings.HasPrefix(x.Reason, "draining, 50% left, out at ") {
		t.Errorf("half way: %+v", x)
	}
	all := decode[api.Servers](t, n.ask("GET", "/api/v1/health/servers?service=www.gslb.example.com&pool=eu", ""), http.StatusOK)
	if s := all.Servers[0]; s.State != "up" || s.Authority != "operator drain" || len(s.Overrides) != 1 || s.Overrides[0].Share != 0.5 {
		t.Errorf("half way: %+v", s)
	}
	if o := put("0s"); o.Share != 0 || o.Duration != "0s" {
		t.Errorf("at once: %+v", o)
	}
	if x := endpoint(); x.State != "down" || x.Authority != "operator override" || x.Reason != "drained: disk (ops)" {
		t.Errorf("at once: %+v", x)
	}
	if metrics := read(t, n.ask("GET", "/metrics", "")); !strings.Contains(metrics, `rhumb_endpoint_share{endpoint="192.0.2.10",service="www.gslb.example.com."} 0`) {
		t.Errorf("metrics: %s", metrics)
	}
}

// The states that an override may be of, in the two ways to say them.
func TestOverrideStates(t *testing.T) {
	n := newNode(t, configuration)
	const path = "/api/v1/overrides/www.gslb.example.com/192.0.2.10"
	for body, want := range map[string]api.Override{
		`{"healthy":true,"source":"ops"}`:  {Healthy: true, State: "up", Share: 1},
		`{"state":"up","source":"ops"}`:    {Healthy: true, State: "up", Share: 1},
		`{"healthy":false,"source":"ops"}`: {State: "down"},
		`{"state":"down","source":"ops"}`:  {State: "down"},
		`{"state":"drain","source":"ops"}`: {State: "drain", Duration: "0s"},
	} {
		o := decode[api.Override](t, n.ask("PUT", path, body), http.StatusOK)
		if o.Healthy != want.Healthy || o.State != want.State || o.Share != want.Share || o.Duration != want.Duration || o.OutAt.IsZero() != (want.State != "drain") {
			t.Errorf("%s: %+v", body, o)
		}
	}
}

// An override waits for an endpoint that a reload has taken away.
func TestOverrideWithoutEndpoint(t *testing.T) {
	n := newNode(t, configuration)
	set(t, n, "www.gslb.example.com", "192.0.2.10", false)
	n.configure("pools: {p: {endpoints: [192.0.2.1]}}")
	o := decode[api.Override](t, n.ask("GET", "/api/v1/overrides/www.gslb.example.com/192.0.2.10", ""), http.StatusOK)
	if o.InForce {
		t.Error("in force on nothing")
	}
	if resp := n.ask("DELETE", "/api/v1/overrides/www.gslb.example.com/192.0.2.10", ""); resp.StatusCode != http.StatusNoContent {
		t.Error(resp.Status)
	}
}

func TestOverrideRefuses(t *testing.T) {
	if api.MaxDrain != health.MaxDrain {
		t.Errorf("clients take a drain of %v for the longest, and it is %v", api.MaxDrain, health.MaxDrain)
	}
	n := newNode(t, configuration)
	const path = "/api/v1/overrides/www.gslb.example.com/192.0.2.10"
	for _, c := range []struct {
		path, body string
		code       int
		want       string
	}{
		{path, `{"source":"me"}`, 400, "body: healthy: true or false is required, or state: up, down or drain"},
		{path, `{"healthy":null,"source":"me"}`, 400, "body: healthy: true or false is required, or state: up, down or drain"},
		{path, `{"healthy":"yes","source":"me"}`, 400, "body: healthy: it cannot be of type string"},
		{path, `{"healthy":true,"source":"me","why":"x"}`, 400, `body: unknown field "why"`},
		{path, `{"healthy":true,"source":"me"} {}`, 400, "body: more than one JSON value"},
		{path, `{"healthy":false,"state":"drain","source":"me"}`, 400, "body: healthy and state: one of them says it"},
		{path, `{"state":"out","source":"me"}`, 400, `body: state: "out" is not up, down or drain`},
		{path, `{"state":"down","for":"1h","until":"2030-01-01T00:00Z"}`, 400, "body: for and until: one of them says it"},
		{path, `{"state":"down","for":"1"}`, 400, `body: for: "1" is not a duration from 1s to 8784h, such as 2h`},
		{path, `{"state":"down","for":"0s"}`, 400, `body: for: "0s" is not a duration from 1s to 8784h, such as 2h`},
		{path, `{"state":"down","until":"tomorrow"}`, 400, `body: until: "tomorrow" is not a time such as 2026-11-21T18:00Z (RFC 3339)`},
		{path, `{"state":"down","until":"2001-01-01T00:00Z"}`, 400, "body: until: 2001-01-01T00:00Z is past"},
		{path, `{"state":"down","until":"2999-01-01T00:00Z"}`, 400, "body: until: 2999-01-01T00:00Z is more than 8784h ahead"},
		{path, `{"state":"down","duration":"1m","source":"me"}`, 400, "body: duration: it is for state drain"},
		{path, `{"state":"drain","duration":"10","source":"me"}`, 400, `body: duration: "10" is not a duration from 0s to 168h, such as 10m`},
		{path, `{"state":"drain","duration":"-1s","source":"me"}`, 400, `body: duration: "-1s" is not a duration from 0s to 168h, such as 10m`},
		{path, `{"state":"drain","duration":"169h","source":"me"}`, 400, `body: duration: "169h" is not a duration from 0s to 168h, such as 10m`},
		{path, `[]`, 400, "body: a JSON object is expected, not one of type array"},
		{path, `{"healthy":`, 400, "body: it ends too early"},
		{path, ` `, 400, "body: it is empty"},
		{path, `{"healthy":true,"source":"a\nb"}`, 400, "body: source: it has control characters"},
		{path, `{"healthy":true,"source":"me","reason":"\u001b[2J"}`, 400, "body: reason: it has control characters"},
		{path, `{"healthy":true,"source":"me","reason":"\u202elive"}`, 400, "body: reason: it has control characters"},
		{path, `{"healthy":true,"source":"me","reason":"two\u2028lines"}`, 400, "body: reason: it has control characters"},
		{path, `{"healthy":true,"source":"` + strings.Repeat("x", 201) + `"}`, 400, "body: source: longer than 200 bytes"},
		{path, `{"healthy":true,"source":"` + strings.Repeat("x", 65<<10) + `"}`, 413, "the body is longer than 65536 bytes"},
		{"/api/v1/overrides/www.gslb.example.com/192.0.2.99", `{"healthy":true,"source":"me"}`, 404, "www.gslb.example.com. has no endpoint 192.0.2.99"},
		{"/api/v1/overrides/none.gslb.example.com/192.0.2.10", `{"healthy":true,"source":"me"}`, 404, "there is no service none.gslb.example.com."},
		{"/api/v1/overrides/a%2e%2eb/192.0.2.10", `{"healthy":true,"source":"me"}`, 400, `service: empty label in "a..b"`},
		{"/api/v1/overrides/www.gslb.example.com/a..b", `{"healthy":true,"source":"me"}`, 400, `address: "a..b" is neither an IP address nor a host name`},
	} {
		if got := refused(t, n.ask("PUT", c.path, c.body), c.code); got != c.want {
			t.Errorf("%s %.60s: %s\nwant %s", c.path, c.body, got, c.want)
		}
	}
	for _, media := range []string{"", "text/plain", "application/x-www-form-urlencoded"} {
		got := refused(t, n.ask("PUT", path, `{"healthy":true,"source":"me"}`, "Content-Type: "+media), http.StatusUnsupportedMediaType)
		if want := "the body is JSON: state Content-Type application/json"; got != want {
			t.Errorf("%q: %s", media, got)
		}
	}
	if len(n.engine.Overrides()) > 0 {
		t.Error("a refused request set an override")
	}
	if got, want := refused(t, n.ask("DELETE", path, ""), http.StatusNotFound), "no override on 192.0.2.10 of www.gslb.example.com."; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
