package admin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/api"
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
	n := newNode(t, configuration)
	const path = "/api/v1/overrides/www.gslb.example.com/192.0.2.10"
	for _, c := range []struct {
		path, body string
		code       int
		want       string
	}{
		{path, `{"source":"me"}`, 400, "body: healthy: true or false is required"},
		{path, `{"healthy":null,"source":"me"}`, 400, "body: healthy: true or false is required"},
		{path, `{"healthy":true}`, 400, "body: source: who or what sets it is required"},
		{path, `{"healthy":"yes","source":"me"}`, 400, "body: healthy: it cannot be of type string"},
		{path, `{"healthy":true,"source":"me","why":"x"}`, 400, `body: unknown field "why"`},
		{path, `{"healthy":true,"source":"me"} {}`, 400, "body: more than one JSON value"},
		{path, `[]`, 400, "body: a JSON object is expected, not one of type array"},
		{path, `{"healthy":`, 400, "body: it ends too early"},
		{path, ` `, 400, "body: it is empty"},
		{path, `{"healthy":true,"source":"a\nb"}`, 400, "body: source: it has control characters"},
		{path, `{"healthy":true,"source":"me","reason":"\u001b[2J"}`, 400, "body: reason: it has control characters"},
		{path, `{"healthy":true,"source":"` + strings.Repeat("x", 201) + `"}`, 400, "body: source: longer than 200 bytes"},
		{path, `{"healthy":true,"source":"` + strings.Repeat("x", 65<<10) + `"}`, 413, "the body is longer than 65536 bytes"},
		{"/api/v1/overrides/www.gslb.example.com/192.0.2.99", `{"healthy":true,"source":"me"}`, 404, "www.gslb.example.com. has no endpoint 192.0.2.99"},
		{"/api/v1/overrides/none.gslb.example.com/192.0.2.10", `{"healthy":true,"source":"me"}`, 404, "none.gslb.example.com. has no endpoint 192.0.2.10"},
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
