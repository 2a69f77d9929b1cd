package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

func TestNew(t *testing.T) {
	for base, want := range map[string]string{
		"http://127.0.0.1:8080":     "",
		"127.0.0.1:8080":            "",
		"localhost:8080":            "",
		"https://[::1]:8443/rhumb/": "",
		"":                          `address "": no host`,
		"ftp://127.0.0.1":           `address "ftp://127.0.0.1": the scheme is http or https`,
		"http://:8080":              `address "http://:8080": no host`,
		"http://a/?b":               `address "http://a/?b": neither ? nor # belongs in it`,
		"http://a:b":                `address "http://a:b": invalid port ":b" after host`,
	} {
		_, err := api.New(base, api.Options{})
		if got := text(err); got != want {
			t.Errorf("%s: %s\nwant %s", base, got, want)
		}
	}
	for token, ok := range map[string]bool{"": true, "a-token/of=0123": true, "two words": false, "line\n": false, "schlüssel": false} {
		if _, err := api.New("127.0.0.1", api.Options{Token: token}); errors.Is(err, api.ErrToken) == ok {
			t.Errorf("the token %q: %v", token, err)
		}
	}
}

func TestToken(t *testing.T) {
	for token, want := range map[string]string{"": "[]", "s3cret": "[Bearer s3cret]"} {
		got := ""
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = fmt.Sprint(r.Header["Authorization"])
			answer(200, "application/json", "{}")(w, r)
		}))
		c, err := api.New(srv.URL, api.Options{Token: token})
		if err == nil {
			_, err = c.Version(t.Context())
		}
		srv.Close()
		if err != nil || got != want {
			t.Errorf("%q: %v, Authorization %s", token, err, got)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// asked runs one call against a server with one answer.
func asked(t *testing.T, answer http.HandlerFunc, call func(*api.Client) error) error {
	t.Helper()
	srv := httptest.NewServer(answer)
	defer srv.Close()
	c, err := api.New(srv.URL, api.Options{UserAgent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return call(c)
}

// answer is a handler with a fixed answer.
func answer(code int, media, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func TestRequests(t *testing.T) {
	ctx := context.Background()
	yes := true
	for want, call := range map[string]func(*api.Client) error{
		"GET /api/v1/top?limit=7&window=2s ": func(c *api.Client) error {
			_, err := c.Top(ctx, api.TopQuery{Window: 2 * time.Second, Limit: 7})
			return err
		},
		"GET /api/v1/version ": func(c *api.Client) error { _, err := c.Version(ctx); return err },
		"GET /api/v1/health/servers?pool=a+b&state=up ": func(c *api.Client) error {
			_, err := c.Servers(ctx, api.ServersQuery{Pool: "a b", State: "up"})
			return err
		},
		"GET /api/v1/services?after=x&limit=5 ": func(c *api.Client) error {
			_, err := c.Services(ctx, api.ServicesQuery{After: "x", Limit: 5})
			return err
		},
		"GET /api/v1/explain?client=%3A%3A1&name=www.example&subnet=10.0.0.0%2F8&type=A ": func(c *api.Client) error {
			_, err := c.Explain(ctx, api.ExplainQuery{Name: "www.example", Type: "A", Client: "::1", Subnet: "10.0.0.0/8"})
			return err
		},
		"POST /api/v1/reload ": func(c *api.Client) error { _, err := c.Reload(ctx, api.Because{}); return err },
		`PUT /api/v1/overrides/%2A.a%2Fb/2001:db8::1 {"healthy":true,"reason":"r","source":"s"}`: func(c *api.Client) error {
			_, err := c.SetOverride(ctx, "*.a/b", "2001:db8::1", api.OverrideRequest{Healthy: &yes, Reason: "r", Source: "s"})
			return err
		},
		"GET /api/v1/maintenance ": func(c *api.Client) error { _, err := c.Maintenance(ctx); return err },
		"DELETE /api/v1/maintenance/a%2Fb?reason=done&source=me ": func(c *api.Client) error {
			return c.CancelMaintenance(ctx, "a/b", api.Because{Reason: "done", Source: "me"})
		},
		"GET /api/v1/audit?after=3&limit=5&since=2026-01-02T03%3A04%3A05Z ": func(c *api.Client) error {
			_, err := c.Audit(ctx, api.AuditQuery{Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), After: 3, Limit: 5})
			return err
		},
		"DELETE /api/v1/overrides/a.example/192.0.2.1 ": func(c *api.Client) error { return c.ClearOverride(ctx, "a.example", "192.0.2.1", api.Because{}) },
	} {
		got := ""
		err := asked(t, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			got = r.Method + " " + r.RequestURI + " " + string(b)
			if r.UserAgent() != "test" || (len(b) > 0) != (r.Header.Get("Content-Type") == "application/json") {
				t.Errorf("%s: headers %v", want, r.Header)
			}
			answer(200, "application/json", "{}")(w, r)
		}, call)
		if err != nil || got != want {
			t.Errorf("%s, %v\nwant %s", got, err, want)
		}
	}
}

func TestPathOfBase(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(200, "application/json", `{"version":"`+r.URL.Path+`"}`)(w, r)
	}))
	defer srv.Close()
	c, err := api.New(srv.URL+"/dns/", api.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := c.Version(context.Background()); err != nil || v.Version != "/dns/api/v1/version" {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestErrors(t *testing.T) {
	version := func(c *api.Client) error { _, err := c.Version(context.Background()); return err }
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   string // after the address, where there is one
	}{
		{"problem", answer(403, "application/problem+json", `{"status":403,"title":"Forbidden","detail":"not you"}`), "not you"},
		{"problem without detail", answer(404, "application/problem+json; charset=utf-8", `{}`), "refused: 404 Not Found"},
		{"another program", answer(404, "text/html", "<html>"), " is not the API of a node: it answered 404 Not Found with text/html"},
		{"a page", answer(200, "text/html", "<html>"), " is not the API of a node: it answered 200 OK with text/html"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, " is not the API of a node: it answered 302 Found with text/html"},
		{"other JSON", answer(200, "application/json", "[]"), " answered what is not understood: json: cannot unmarshal array into Go value of type api.Version"},
		{"unready for anything else", answer(503, "application/json", "{}"), " is not the API of a node: it answered 503 Service Unavailable with application/json"},
	} {
		if got := text(asked(t, c.answer, version)); !strings.HasSuffix(got, c.want) {
			t.Errorf("%s: %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + l.Addr().String()
	_ = l.Close()
	c, err := api.New(base, api.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Version(context.Background())
	var u *api.Unreachable
	if !errors.As(err, &u) || err.Error() != "cannot reach "+base+": connection refused" {
		t.Errorf("%v", err)
	}
}

func TestTimeout(t *testing.T) {
	over := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	defer srv.Close()
	defer close(over)
	c, err := api.New(srv.URL, api.Options{Timeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Version(context.Background())
	if want := "cannot reach " + srv.URL + ": no answer within 1ms"; text(err) != want {
		t.Errorf("%v, want %s", err, want)
	}
}
