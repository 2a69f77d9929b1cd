package admin_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLoads(t *testing.T) {
	n := newNode(t, configuration)
	got := decode[api.Load](t, n.ask("PUT", "/api/v1/loads/::ffff:192.0.2.10", `{"load":0.83,"valid_for":"90s","source":"agent"}`), http.StatusOK)
	if got.Address != "192.0.2.10" || got.Load != 0.83 || got.Source != "agent" || got.ValidUntil.Sub(got.ReportedAt) != 90*time.Second {
		t.Errorf("%+v", got)
	}
	done := decode[api.LoadsReported](t, n.ask("PUT", "/api/v1/loads",
		`{"loads":[{"address":"WWW.example.net.","load":3},{"address":"192.0.2.99","load":1},{"address":"2001:DB8:0::10","load":0}]}`), http.StatusOK)
	if done.Accepted != 2 || !slices.Equal(done.Unknown, []string{"192.0.2.99"}) {
		t.Errorf("%+v", done)
	}
	all := decode[api.Loads](t, n.ask("GET", "/api/v1/loads", ""), http.StatusOK)
	if all.Total != 3 || all.Loads[0].Address != "192.0.2.10" || all.Loads[1].Address != "2001:db8::10" || all.Loads[2].Address != "www.example.net" {
		t.Fatalf("%+v", all)
	}
	if l := all.Loads[2]; l.Load != 3 || l.ValidUntil.Sub(l.ReportedAt) != time.Minute {
		t.Errorf("%+v", l)
	}
	for _, s := range decode[api.Servers](t, n.ask("GET", "/api/v1/health/servers", ""), http.StatusOK).Servers {
		want := map[string]float64{"192.0.2.10": 0.83, "2001:db8::10": 0, "www.example.net": 3}
		if l, ok := want[s.Address]; ok != (s.Load != nil) || ok && *s.Load != l {
			t.Errorf("%s: load %v", s.Address, s.Load)
		}
	}
	metrics := read(t, n.ask("GET", "/metrics", ""))
	for _, want := range []string{
		`rhumb_endpoint_load{endpoint="192.0.2.10"} 0.83`, `rhumb_load_reports_total{result="ok"} 3`, `rhumb_load_reports_total{result="unknown"} 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("metrics without %s", want)
		}
	}
	if resp := n.ask("DELETE", "/api/v1/loads/192.0.2.10", ""); resp.StatusCode != http.StatusNoContent {
		t.Error(resp.Status)
	}
	for _, method := range []string{"GET", "DELETE"} {
		if got, want := refused(t, n.ask(method, "/api/v1/loads/192.0.2.10", ""), http.StatusNotFound), "no load of 192.0.2.10 is known"; got != want {
			t.Errorf("%s: %s, want %s", method, got, want)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	n := newNode(t, configuration)
	const one, many = "/api/v1/loads/192.0.2.10", "/api/v1/loads"
	for _, c := range []struct {
		path, body string
		code       int
		want       string
	}{
		{one, `{}`, 400, "body: load: a number is required"},
		{one, `{"load":"high"}`, 400, "body: load: it cannot be of type string"},
		{one, `{"load":-0.1}`, 400, "body: load: -0.1 is not a number from 0 to 4000000"},
		{one, `{"load":4000001}`, 400, "body: load: 4000001 is not a number from 0 to 4000000"},
		{one, `{"load":1,"valid_for":"60"}`, 400, `body: valid_for: "60" is not a duration from 1s to 24h0m0s, such as 60s`},
		{one, `{"load":1,"valid_for":"1ms"}`, 400, `body: valid_for: "1ms" is not a duration from 1s to 24h0m0s, such as 60s`},
		{one, `{"load":1,"valid_for":"25h"}`, 400, `body: valid_for: "25h" is not a duration from 1s to 24h0m0s, such as 60s`},
		{one, `{"load":1,"source":"a\nb"}`, 400, "body: source: it has control characters"},
		{one, `{"load":1,"why":"x"}`, 400, `body: unknown field "why"`},
		{"/api/v1/loads/192.0.2.99", `{"load":1}`, 404, "no service has an endpoint 192.0.2.99"},
		{"/api/v1/loads/a..b", `{"load":1}`, 400, `address: "a..b" is neither an IP address nor a host name`},
		{many, `{}`, 400, "body: loads: at least one is required"},
		{many, `{"loads":[{"address":"192.0.2.10","load":1},{"address":"","load":1}]}`, 400, `body: loads: item 2 (""): address: "" is neither an IP address nor a host name`},
		{many, `{"loads":[{"address":"192.0.2.10","load":1},{"address":"::ffff:192.0.2.10","load":1}]}`, 400, `body: loads: item 2 ("::ffff:192.0.2.10"): it is there twice`},
		{many, `{"loads":[{"address":"192.0.2.10","load":1},{"address":"198.51.100.10"}]}`, 400, `body: loads: item 2 ("198.51.100.10"): load: a number is required`},
	} {
		if got := refused(t, n.ask("PUT", c.path, c.body), c.code); got != c.want {
			t.Errorf("%s %s: %s\nwant %s", c.path, c.body, got, c.want)
		}
	}
	if all := n.engine.Loads(); len(all) > 0 {
		t.Errorf("a refused report counts: %+v", all)
	}
}
