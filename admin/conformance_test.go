package admin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/rhumb-dns/rhumb/admin"
	"github.com/rhumb-dns/rhumb/history"
)

// described is the document that a node serves. Its shapes are closed for the
// test: a field that is not described is an error here, and news to a client.
func described(t *testing.T, n *node) *openapi3.T {
	t.Helper()
	b, err := io.ReadAll(n.ask("GET", "/api/v1/openapi.json", "").Body)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, s := range doc.Components.Schemas {
		closeShape(s.Value)
	}
	return doc
}

func closeShape(s *openapi3.Schema) {
	if len(s.Properties) == 0 {
		return
	}
	no := false
	s.AdditionalProperties = openapi3.AdditionalProperties{Has: &no}
	for _, p := range s.Properties {
		closeShape(p.Value)
	}
}

// TestConformance asks everything that the document describes of a real
// handler, and validates what goes in and what comes out.
func TestConformance(t *testing.T) {
	n := newNode(t, configuration).probed()
	doc := described(t, n)
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	openapi3filter.RegisterBodyDecoder("application/openmetrics-text", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder)

	const word = "/api/v1/overrides/www.gslb.example.com/192.0.2.10"
	broken := errors.New("rhumb.yaml:1:1: dns: no such key\nrhumb.yaml:2:1: zone: no such key; zones was meant?")
	seen := map[string]bool{}
	for _, c := range []struct {
		method, target, body string
		want                 int
		before               func()
	}{
		{"GET", "/api/v1/live", "", 200, nil},
		{"GET", "/api/v1/ready", "", 200, nil},
		{"GET", "/api/v1/version", "", 200, nil},
		{"GET", "/api/v1/status", "", 200, nil},
		{"GET", "/api/v1/health/servers", "", 200, nil},
		{"GET", "/api/v1/health/servers?pool=eu&state=down", "", 200, nil},
		{"GET", "/api/v1/health/servers?region=us-east", "", 200, nil},
		{"GET", "/api/v1/health/servers?pool=none", "", 200, nil},
		{"GET", "/api/v1/health/servers?service=%FF..", "", 400, nil},
		{"GET", "/api/v1/health/regions", "", 200, nil},
		{"GET", "/api/v1/pools", "", 200, nil},
		{"GET", "/api/v1/pools?pool=us", "", 200, nil},
		{"GET", "/api/v1/pools?name=us", "", 400, nil},
		{"POST", "/api/v1/pools/us/failback", "", 200, nil},
		{"POST", "/api/v1/pools/eu/failback", "", 409, nil},
		{"POST", "/api/v1/pools/none/failback", "", 404, nil},
		{"GET", "/api/v1/services", "", 200, nil},
		{"GET", "/api/v1/services?limit=2&zone=gslb.example.com&after=www.gslb.example.com", "", 200, nil},
		{"GET", "/api/v1/services?name=..", "", 400, nil},
		{"GET", "/api/v1/explain?name=www.gslb.example.com&type=AAAA&client=192.0.2.1&subnet=198.51.100.0/24", "", 200, nil},
		{"GET", "/api/v1/explain?name=web.gslb.example.com", "", 200, nil},
		{"GET", "/api/v1/explain?name=nowhere.example", "", 200, nil},
		{"GET", "/api/v1/explain?name=www.gslb.example.com&type=NONSENSE", "", 400, nil},
		{"GET", "/api/v1/geo", "", 200, nil},
		{"GET", "/api/v1/geo/lookup?ip=10.1.2.3", "", 200, nil},
		{"GET", "/api/v1/geo/lookup?ip=2001:db8::1", "", 200, nil},
		{"GET", "/api/v1/geo/lookup?ip=8.8.8.8", "", 200, nil},
		{"GET", "/api/v1/geo", "", 200, nil},
		{"GET", "/api/v1/geo/lookup?ip=here", "", 400, nil},
		{"GET", "/api/v1/top?window=1ms&limit=2", "", 200, nil},
		{"GET", "/api/v1/top?window=11s", "", 400, nil},
		{"GET", "/api/v1/overrides", "", 200, nil},
		{"GET", word, "", 404, nil},
		{"PUT", word, `{"healthy":false,"reason":"disk","source":"me"}`, 200, nil},
		{"GET", word, "", 200, nil},
		{"GET", "/api/v1/overrides", "", 200, nil},
		{"GET", "/api/v1/health/servers?service=www.gslb.example.com", "", 200, nil},
		{"PUT", "/api/v1/overrides/www.gslb.example.com/192.0.2.99", `{"healthy":true,"source":"me"}`, 404, nil},
		{"DELETE", word, "", 204, nil},
		{"DELETE", word, "", 404, nil},
		{"DELETE", "/api/v1/overrides/a..b/192.0.2.99", "", 400, nil},
		{"PUT", word, `{"state":"drain","duration":"10m","reason":"disk","source":"me"}`, 200, nil},
		{"GET", "/api/v1/overrides", "", 200, nil},
		{"GET", "/api/v1/explain?name=www.gslb.example.com", "", 200, func() { n.configure(configuration) }},
		{"DELETE", word, "", 204, nil},
		{"PUT", word, `{"state":"down","for":"2h","reason":"disk"}`, 200, nil},
		{"GET", word, "", 200, nil},
		{"DELETE", word + "?reason=mended&source=me", "", 204, nil},
		{"GET", "/api/v1/maintenance", "", 200, nil},
		{"POST", "/api/v1/maintenance", `{"select":{"pools":["eu"]},"for":"1h","reason":"power","drain":"10m"}`, 200, nil},
		{"POST", "/api/v1/maintenance", `{"select":{"pools":["none"]},"for":"1h","reason":"power"}`, 404, nil},
		{"POST", "/api/v1/maintenance", `{"select":{},"for":"1h","reason":"power"}`, 400, nil},
		{"GET", "/api/v1/maintenance", "", 200, nil},
		{"GET", "/api/v1/maintenance/none", "", 404, nil},
		{"DELETE", "/api/v1/maintenance/none", "", 404, nil},
		{"DELETE", "/api/v1/maintenance/none?why=x", "", 400, nil},
		{"GET", "/api/v1/audit", "", 200, nil},
		{"GET", "/api/v1/audit?since=2026-01-01T00:00Z&limit=2", "", 200, nil},
		{"GET", "/api/v1/audit?after=1", "", 200, nil},
		{"GET", "/api/v1/history", "", 200, func() {
			n.history.Tell(history.Event{
				Type: history.Down, Endpoint: "192.0.2.10", State: "down", Was: "up", Lasted: time.Second, Check: "web", Class: "timeout", Reason: "check web: timeout",
			})
			n.history.Tell(history.Event{Type: history.Degraded, Endpoint: "192.0.2.10", State: "degraded", Was: "degraded", Share: 0.2, Check: "deep"})
			n.history.Tell(history.Event{Type: history.MaintenanceBegan, Endpoint: "192.0.2.10", Service: "www.gslb.example.com.", Who: "ops", On: "abc"})
		}},
		{"GET", "/api/v1/history?type=down,up&service=www.gslb.example.com&endpoint=192.0.2.10&pool=eu&since=2026-01-01T00:00Z&after=1&limit=5", "", 200, nil},
		{"GET", "/api/v1/history?type=sideways", "", 400, nil},
		{"GET", "/api/v1/events?type=sideways", "", 400, nil},
		{"GET", "/api/v1/notify", "", 200, n.notify},
		{"POST", "/api/v1/notify/ops/test", "", 200, nil},
		{"POST", "/api/v1/notify/nobody/test", "", 404, nil},
		{"POST", "/api/v1/notify/broken/test", "", 502, nil},
		{"GET", "/api/v1/loads", "", 200, nil},
		{"GET", "/api/v1/loads/192.0.2.10", "", 404, nil},
		{"PUT", "/api/v1/loads/192.0.2.10", `{"load":0.83,"valid_for":"60s","source":"me"}`, 200, nil},
		{"PUT", "/api/v1/loads/192.0.2.99", `{"load":0}`, 404, nil},
		{"GET", "/api/v1/loads/192.0.2.10", "", 200, nil},
		{"GET", "/api/v1/loads/a..b", "", 400, nil},
		{"PUT", "/api/v1/loads", `{"loads":[{"address":"192.0.2.10","load":2},{"address":"192.0.2.99","load":1}]}`, 200, nil},
		{"GET", "/api/v1/loads", "", 200, nil},
		{"GET", "/api/v1/health/servers", "", 200, nil},
		{"DELETE", "/api/v1/loads/192.0.2.10", "", 204, nil},
		{"DELETE", "/api/v1/loads/192.0.2.10", "", 404, nil},
		{"GET", "/api/v1/results", "", 200, func() { n.configure(reported) }},
		{"PUT", reportedAt, `{"ok":true,"degraded":true,"detail":"40 s behind","valid_for":"30s","source":"me"}`, 200, nil},
		{"GET", "/api/v1/results?check=batch", "", 200, nil},
		{"GET", "/api/v1/results?checks=batch", "", 400, nil},
		{"GET", reportedAt, "", 200, nil},
		{"GET", "/api/v1/health/servers?results=true", "", 200, nil},
		{"GET", "/api/v1/health/servers?state=degraded", "", 200, nil},
		{"GET", "/api/v1/health/regions", "", 200, nil},
		{"GET", "/api/v1/status", "", 200, nil},
		{"GET", "/api/v1/explain?name=www.gslb.example.com", "", 200, nil},
		{"PUT", "/api/v1/results/shut/127.0.0.1", `{"ok":true}`, 409, nil},
		{"PUT", "/api/v1/results/batch/192.0.2.99", `{"ok":true}`, 404, nil},
		{"DELETE", reportedAt, "", 204, nil},
		{"DELETE", reportedAt, "", 404, nil},
		{"GET", reportedAt, "", 404, nil},
		{"POST", "/api/v1/reload", "", 200, func() { n.configure(configuration) }},
		{"POST", "/api/v1/reload", "", 422, func() { n.process.refuse = broken }},
		{"GET", "/api/v1/ready", "", 200, func() {
			n.process.condition.ReloadError, n.process.condition.ReloadErrorAt = broken.Error(), began
		}},
		{"GET", "/api/v1/status", "", 200, nil},
		{"GET", "/api/v1/ready", "", 503, func() { n.process.condition.Bound, n.process.condition.Settled = false, false }},
		{"GET", "/api/v1/openapi.json", "", 200, nil},
		{"GET", "/api/v1/metrics", "", 200, nil},
		{"GET", "/metrics", "", 200, nil},
		{"GET", "/dns/snapshot?zone=gslb.example.com", "", 404, nil},
		{"GET", "/dns/changes?zone=gslb.example.com&since=x", "", 404, nil},
		{"GET", "/dns/events?zone=gslb.example.com", "", 404, nil},
		{"GET", "/debug/pprof/", "", 200, nil},
		{"GET", "/debug/pprof/cmdline", "", 200, nil},
		{"GET", "/debug/pprof/symbol?0x1", "", 200, nil},
		{"POST", "/debug/pprof/symbol", "", 200, nil},
		{"GET", "/debug/pprof/profile?seconds=1", "", 200, nil},
		{"GET", "/debug/pprof/trace", "", 200, nil},
		{"GET", "/debug/pprof/heap?gc=1", "", 200, nil},
		{"GET", "/debug/pprof/goroutine?debug=2", "", 200, nil},
		{"GET", "/debug/pprof/nothing", "", 404, nil},
	} {
		if c.before != nil {
			c.before()
		}
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			request := func() *http.Request {
				r := httptest.NewRequest(c.method, "http://127.0.0.1:8080"+c.target, strings.NewReader(c.body))
				if c.body != "" {
					r.Header.Set("Content-Type", "application/json")
				}
				return r
			}
			found, values, err := router.FindRoute(request())
			if err != nil {
				t.Fatal(err)
			}
			seen[c.method+" "+found.Path] = true
			in := &openapi3filter.RequestValidationInput{Request: request(), PathParams: values, Route: found, Options: &openapi3filter.Options{
				AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, // TestRoles has it
			}}
			if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
				t.Errorf("request: %v", err)
			}
			resp := n.ask(c.method, c.target, c.body)
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != c.want {
				t.Fatalf("status %d, want %d: %s", resp.StatusCode, c.want, b)
			}
			if bytes.Contains(b, []byte(":null")) {
				t.Errorf("null in %s", b)
			}
			err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
				RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header, Body: io.NopCloser(bytes.NewReader(b)),
				Options: &openapi3filter.Options{IncludeResponseStatus: true},
			})
			if err != nil {
				t.Errorf("response: %v\n%s", err, b)
			}
		})
	}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			if !seen[method+" "+path] {
				t.Errorf("%s %s is described and not tried here", method, path)
			}
		}
	}
}

// TestTypesOfEvents compares the types that there are with those that are described.
func TestTypesOfEvents(t *testing.T) {
	manual, err := os.ReadFile("../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []any
	for _, typ := range history.Types {
		want = append(want, typ.Name)
		if row := "| `" + typ.Name + "` | " + typ.Doc + " |\n"; !strings.Contains(string(manual), row) {
			t.Errorf("docs/events.md has no row %s", row)
		}
	}
	if got := described(t, newNode(t, configuration)).Components.Schemas["Event"].Value.Properties["type"].Value.Enum; !slices.Equal(got, want) {
		t.Errorf("described %v, not %v", got, want)
	}
}

// TestDescribed compares what is served, and for whom, with what is described,
// both ways.
func TestDescribed(t *testing.T) {
	n := newNode(t, configuration)
	doc := described(t, n)
	var written []string
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			role := o.Extensions["x-rhumb-role"]
			written = append(written, fmt.Sprint(method, " ", path, " ", role))
			// Edges have a secret of their own, and need no token.
			open := o.Security != nil && !slices.ContainsFunc(*o.Security, func(r openapi3.SecurityRequirement) bool { return r["edge"] == nil })
			if open != (role == "none") {
				t.Errorf("%s %s: the role %v, and security %v", method, path, role, o.Security)
			}
		}
	}
	served := admin.Served()
	slices.Sort(written)
	slices.Sort(served)
	if !slices.Equal(written, served) {
		t.Errorf("described: %s\nserved:    %s", strings.Join(written, ", "), strings.Join(served, ", "))
	}
}
