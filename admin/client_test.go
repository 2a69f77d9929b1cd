package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/spec"
)

// TestClient goes with the client through a real server: what a handler writes
// is what a method returns, field by field.
func TestClient(t *testing.T) {
	n := newNode(t, configuration).probed()
	srv := httptest.NewServer(n.handler)
	defer srv.Close()
	c, err := api.New(srv.URL, api.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	healthy := false
	o, err := c.SetOverride(ctx, "www.gslb.example.com", "192.0.2.10", api.OverrideRequest{Healthy: &healthy, Source: "me", Reason: "because"})
	if err != nil || o.Healthy || o.Reason != "because" {
		t.Fatalf("%+v, %v", o, err)
	}
	n.configure(configuration)
	n.traffic = traffic()[1:]

	for path, call := range map[string]func() (any, error){
		"ready":                           func() (any, error) { return c.Ready(ctx) },
		"health/regions":                  func() (any, error) { return c.Regions(ctx) },
		"health/servers?pool=eu&state=up": func() (any, error) { return c.Servers(ctx, api.ServersQuery{Pool: "eu", State: "up"}) },
		"services?limit=2&after=cdn.gslb.example.com": func() (any, error) {
			return c.Services(ctx, api.ServicesQuery{Limit: 2, After: "cdn.gslb.example.com"})
		},
		"explain?name=www.gslb.example.com&type=AAAA": func() (any, error) {
			return c.Explain(ctx, api.ExplainQuery{Name: "www.gslb.example.com", Type: "AAAA"})
		},
		"overrides":             func() (any, error) { return c.Overrides(ctx) },
		"top?window=0s&limit=1": func() (any, error) { return c.Top(ctx, api.TopQuery{Limit: 1}) },
		"version":               func() (any, error) { return c.Version(ctx) },
		"status":                func() (any, error) { return c.Status(ctx) },
	} {
		v, err := call()
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(n.ask("GET", "/api/v1/"+path, "").Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := timeless(t, b), timeless(t, raw); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", path, got, want)
		}
	}

	if err := c.ClearOverride(ctx, "www.gslb.example.com", "192.0.2.10", api.Because{Reason: "mended", Source: "ops"}); err != nil {
		t.Error(err)
	}
	var p *api.Problem
	if err := c.ClearOverride(ctx, "www.gslb.example.com", "192.0.2.10", api.Because{Reason: "mended", Source: "ops"}); !errors.As(err, &p) || p.Status != http.StatusNotFound {
		t.Errorf("cleared twice: %v", err)
	}
	if r, err := c.Reload(ctx, api.Because{}); err != nil || !r.Reloaded {
		t.Errorf("%+v, %v", r, err)
	}
	n.process.refuse = spec.Errors{{File: "a.yaml", Line: 1, Col: 1, Msg: "wrong"}}
	if _, err := c.Reload(ctx, api.Because{}); !errors.As(err, &p) || fmt.Sprint(p.Errors) != "[a.yaml:1:1: wrong]" || err.Error() != "a.yaml:1:1: wrong" {
		t.Errorf("%v", err)
	}
	n.process.condition.Bound = false
	if r, err := c.Ready(ctx); err != nil || r.Ready {
		t.Errorf("a node that is not ready is no error: %+v, %v", r, err)
	}
}

// timeless is an object without what depends on when it was made.
func timeless(t *testing.T, b []byte) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	delete(m, "generated_at")
	delete(m, "uptime_seconds")
	delete(m, "listeners") // shows the port that was asked
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
