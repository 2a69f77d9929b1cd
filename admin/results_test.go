package admin_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

// reported is the configuration with an external check on an endpoint, and one that
// is calculated from it.
var reported = strings.NewReplacer(
	"checks:\n", "checks:\n  batch: {type: external, ttl: 1m}\n  either: {type: calculated, any: [batch, shut]}\n",
	"tags: [ssd], priority: 1}", "tags: [ssd], priority: 1, checks: [{check: batch, degraded_share: 25%}]}",
	"checks: [shut]}", "checks: [either]}",
).Replace(configuration)

const reportedAt = "/api/v1/results/batch/192.0.2.10"

func TestResults(t *testing.T) { synctest.Test(t, testResults) }

func testResults(t *testing.T) {
	n := newNode(t, reported)
	// Changes that follow each other closely share a view; these do not.
	later := func() { time.Sleep(10 * time.Millisecond) }
	first := func() api.Server {
		return decode[api.Servers](t, n.ask("GET", "/api/v1/health/servers?results=true", ""), http.StatusOK).Servers[0]
	}
	if s := first(); s.State != "unknown" || s.Reason != "check batch: no result was reported yet" || s.Share != 0 || s.Checks[0].Results != nil {
		t.Errorf("before any report: %+v", s)
	}

	later()
	got := decode[api.CheckResult](t, n.ask("PUT", reportedAt, `{"ok":true,"degraded":true,"detail":"40 s behind","valid_for":"30s","source":"me"}`), http.StatusOK)
	if !got.OK || !got.Degraded || got.Check != "batch" || got.Address != "192.0.2.10" || got.Detail != "40 s behind" || got.Source != "me" ||
		got.ValidUntil.Sub(got.ReportedAt).Seconds() != 30 {
		t.Errorf("taken as %+v", got)
	}
	s := first()
	if s.State != "up" || !s.Healthy || !s.Degraded || s.Share != 0.25 || s.Authority != "reported result" ||
		s.Reason != "degraded to 25%: check batch: 40 s behind" || !s.Checks[0].ValidUntil.Equal(got.ValidUntil) {
		t.Errorf("degraded: %+v", s)
	}
	if r := s.Checks[0].Results; len(r) != 1 || !r[0].OK || !r[0].Degraded || r[0].Detail != "40 s behind" {
		t.Errorf("its results: %+v", r)
	}
	all := decode[api.CheckResults](t, n.ask("GET", "/api/v1/results", ""), http.StatusOK)
	if all.Total != 1 || all.Results[0] != got {
		t.Errorf("all: %+v", all)
	}
	if all := decode[api.CheckResults](t, n.ask("GET", "/api/v1/results?check=other", ""), http.StatusOK); all.Total != 0 {
		t.Errorf("of another check: %+v", all)
	}
	if got := rows(t, n, "?state=degraded"); got != "eu 192.0.2.10 \"\" healthy reported result\n" {
		t.Errorf("state degraded selects\n%s", got)
	}
	if st := decode[api.Status](t, n.ask("GET", "/api/v1/status", ""), http.StatusOK).Endpoints; st.Degraded != 1 || st.Up < 2 {
		t.Errorf("status counts %+v", st)
	}
	if rs := decode[api.Regions](t, n.ask("GET", "/api/v1/health/regions", ""), http.StatusOK).Regions; rs[1].DegradedCount != 1 {
		t.Errorf("regions count %+v", rs)
	}
	e := decode[api.Explanation](t, n.ask("GET", "/api/v1/explain?name=www.gslb.example.com", ""), http.StatusOK)
	if x := e.Endpoints[0]; !x.Degraded || x.Share != 0.25 || x.State != "up" {
		t.Errorf("explained as %+v", x)
	}
	page, err := io.ReadAll(n.ask("GET", "/metrics", "").Body)
	if metrics := string(page); err != nil || !strings.Contains(metrics,
		`rhumb_endpoint_degraded_share{endpoint="192.0.2.10",pool="eu",reason="probe",service=""} 0.25`) ||
		!strings.Contains(metrics, `rhumb_targets_degraded{reason="probe"} 1`) ||
		!strings.Contains(metrics, `rhumb_check_reports_total{check="batch",result="degraded"} 1`) {
		t.Errorf("metrics:\n%s", metrics)
	}

	later()
	decode[api.CheckResult](t, n.ask("PUT", reportedAt, `{"ok":false}`), http.StatusOK)
	if s := first(); s.State != "down" || s.Reason != "check batch: reported as failed" || s.Degraded || s.Share != 0 || s.Checks[0].Class != "reported" {
		t.Errorf("failed: %+v", s)
	}
	later()
	decode[api.CheckResult](t, n.ask("PUT", reportedAt, `{"ok":false}`), http.StatusOK)
	if s := first(); s.ConsecutiveFailures != 2 || s.ConsecutiveSuccesses != 0 {
		t.Errorf("failed twice, down at the first: %+v", s)
	}
	later()
	if resp := n.ask("DELETE", reportedAt, ""); resp.StatusCode != http.StatusNoContent {
		t.Errorf("cleared with status %d", resp.StatusCode)
	}
	if s := first(); s.State != "unknown" {
		t.Errorf("cleared: %+v", s)
	}
}

// TestCalculatedServer has the members of a calculated check in its list.
func TestCalculatedServer(t *testing.T) {
	n := newNode(t, reported).run(reported)
	s := decode[api.Servers](t, n.ask("GET", "/api/v1/health/servers?pool=eu", ""), http.StatusOK).Servers[1]
	if len(s.Checks) != 3 {
		t.Fatalf("checks %+v", s.Checks)
	}
	either, batch, shut := s.Checks[0], s.Checks[1], s.Checks[2]
	if either.Type != "calculated" || either.Within != "" || batch.Within != "either" || batch.Type != "external" ||
		shut.Name != "shut" || shut.Within != "either" || shut.State != "down" || s.State != "unknown" {
		t.Errorf("%s: %+v", s.State, s.Checks)
	}
}

func TestResultsRefuse(t *testing.T) {
	n := newNode(t, reported)
	for _, c := range []struct {
		method, target, body string
		want                 int
		says                 string
	}{
		{"PUT", reportedAt, `{}`, 400, "body: ok: true or false is required"},
		{"PUT", reportedAt, `{"ok":false,"degraded":true}`, 400, "body: degraded: an endpoint that is degraded serves: it goes with ok true"},
		{"PUT", reportedAt, `{"ok":true,"valid_for":"10ms"}`, 400, `body: valid_for: "10ms" is not a duration from 1s to the check's ttl, such as 60s`},
		{"PUT", reportedAt, `{"ok":true,"valid_for":"2m"}`, 400, "body: valid_for: longer than the check's ttl: 2m0s is more than 1m0s"},
		{"PUT", reportedAt, `{"ok":true,"detail":"a\nb"}`, 400, "body: detail: it has control characters"},
		{"PUT", reportedAt, `{"ok":true,"source":"` + strings.Repeat("x", 201) + `"}`, 400, "body: source: longer than 200 bytes"},
		{"PUT", reportedAt, `{"up":true}`, 400, `body: unknown field "up"`},
		{"PUT", "/api/v1/results/batch/a..b", `{"ok":true}`, 400, `address: "a..b" is neither an IP address nor a host name`},
		{"PUT", "/api/v1/results/shut/127.0.0.1", `{"ok":true}`, 409, "not an external check: shut is probed"},
		{"PUT", "/api/v1/results/batch/192.0.2.99", `{"ok":true}`, 404, "not found: no service has an endpoint 192.0.2.99 with the external check batch"},
		{"DELETE", reportedAt, "", 404, "not found: no result of batch for 192.0.2.10 counts"},
		{"GET", reportedAt, "", 404, "no result of batch for 192.0.2.10 counts"},
		{"GET", "/api/v1/health/servers?results=1", "", 400, `results: "1" is not true or false`},
	} {
		if p := decode[api.Problem](t, n.ask(c.method, c.target, c.body), c.want); p.Detail != c.says {
			t.Errorf("%s %s %s: %q, want %q", c.method, c.target, c.body, p.Detail, c.says)
		}
	}
}
