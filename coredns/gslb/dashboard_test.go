package gslb

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rhumb-dns/rhumb/coredns/rig"
)

// dashboard are the queries of CoreDNS-GSLB's Grafana dashboard ("GSLB Observability"),
// each once, and those that its variables come from.
var dashboard = []string{
	`gslb_version_info`,
	`gslb_zones_total`,
	`gslb_records_total`,
	`count(gslb_record_health_status == 1) or vector(0)`,
	`count(gslb_record_health_status == 0) or vector(0)`,
	`gslb_backends_total`,
	`count(gslb_backend_health_status == 1) or vector(0)`,
	`count(gslb_backend_health_status == 0) or vector(0)`,
	`count(gslb_backend_health_status == 2) or vector(0)`,
	`gslb_healthchecks_total`,
	`count(gslb_backend_healthcheck_status == 1) or vector(0)`,
	`count(gslb_backend_healthcheck_status == 0) or vector(0)`,
	`count(gslb_backend_healthcheck_status == 2) or vector(0)`,
	`go_goroutines`,
	`process_resident_memory_bytes`,
	`rate(process_cpu_seconds_total[$__rate_interval])*100`,
	`gslb_config_reload_total{result="success"}`,
	`gslb_config_reload_total{result="failure"}`,
	`rate(gslb_config_reload_total[$__rate_interval])`,
	`sum(gslb_record_resolution_total{result="success"})`,
	`sum(gslb_record_resolution_total{result="fail"})`,
	`rate(gslb_record_resolution_total{name=~"$name"}[$__rate_interval])`,
	`histogram_quantile(0.95, sum by (result, le) (rate(gslb_record_resolution_duration_seconds_bucket{result="success"}[$sampling])))`,
	`gslb_record_health_status{name=~"$name"}`,
	`gslb_backend_active{name=~"$name"}`,
	`gslb_backend_health_status{name=~"$name"}`,
	`sum by (name, address, type) (gslb_backend_healthcheck_status{name=~"$name", address=~"$address"})`,
	`histogram_quantile(0.95, sum by (type, le) (rate(gslb_healthcheck_duration_seconds_bucket{}[$__rate_interval])))`,
	`label_values(gslb_backend_active, name)`,
	`label_values(gslb_backend_selected_total, address)`,
}

// legends are the labels that the dashboard's legends take from a query's series; what
// a query has aggregated away is not among them.
var legends = map[string][]string{
	`rate(gslb_config_reload_total[$__rate_interval])`:                    {"result"},
	`rate(gslb_record_resolution_total{name=~"$name"}[$__rate_interval])`: {"name", "result"},
	`gslb_record_health_status{name=~"$name"}`:                            {"name"},
	`gslb_backend_active{name=~"$name"}`:                                  {"name"},
	`gslb_backend_health_status{name=~"$name"}`:                           {"name", "address"},
	`gslb_version_info`: {"version"},
}

var (
	selectors  = regexp.MustCompile(`\b((?:gslb|go|process)_\w+)(?:\{([^}]*)\})?(?: == (\d))?`)
	matchers   = regexp.MustCompile(`(\w+)(=~?)"([^"]*)"`)
	aggregated = regexp.MustCompile(`by \(([^)]*)\)`)
	valued     = regexp.MustCompile(`label_values\(\w+, (\w+)\)`)
	exposed    = regexp.MustCompile(`(?m)^(\w+)(?:\{(.*)\})? (\S+)$`)
)

// series is a line of what is exposed.
type series struct {
	labels map[string]string
	value  string
}

// scraped is what Prometheus sees, by the name of the metric: CoreDNS's plugin
// prometheus exposes the default registry.
func scraped(t *testing.T) map[string][]series {
	t.Helper()
	res := httptest.NewRecorder()
	promhttp.Handler().ServeHTTP(res, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if res.Code != http.StatusOK {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	all := map[string][]series{}
	for _, m := range exposed.FindAllStringSubmatch(res.Body.String(), -1) {
		s := series{map[string]string{}, m[3]}
		for _, l := range matchers.FindAllStringSubmatch(m[2], -1) {
			s.labels[l[1]] = l[3]
		}
		all[m[1]] = append(all[m[1]], s)
	}
	return all
}

// missing is the selector of a query for which there is no series with the labels and
// the value that it asks for, and those that the query sums by; "" for none.
func missing(all map[string][]series, query string, more []string) string {
	wants := more
	for _, m := range aggregated.FindAllStringSubmatch(query, -1) {
		wants = append(wants, strings.Split(m[1], ", ")...)
	}
	for _, m := range valued.FindAllStringSubmatch(query, -1) {
		wants = append(wants, m[1])
	}
	for _, sel := range selectors.FindAllStringSubmatch(query, -1) {
		fits := func(s series) bool {
			for _, l := range wants {
				if s.labels[l] == "" {
					return false
				}
			}
			for _, l := range matchers.FindAllStringSubmatch(sel[2], -1) {
				// A variable of the dashboard is any of the values that there are.
				if has := s.labels[l[1]]; has == "" || l[2] == "=" && has != l[3] {
					return false
				}
			}
			return sel[3] == "" || s.value == sel[3]
		}
		ok := false
		for _, s := range all[sel[1]] {
			ok = ok || fits(s)
		}
		if !ok {
			return fmt.Sprintf("%s with the labels %v: there are %v", sel[0], wants, all[sel[1]])
		}
	}
	return ""
}

// TestDashboard holds every query of the dashboard against what is exposed once there
// have been answers, checks and reloads of each kind: a panel without a series shows
// nothing.
func TestDashboard(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	text := fmt.Sprintf(`
healthcheck_profiles: {it: {type: tcp, params: {port: %d, timeout: 1s}}}
defaults: {scrape_interval: 1s}
records:
  web.example.net.:
    backends:
      - {address: 127.0.0.1, healthchecks: [it]}
      - {address: 127.0.0.2, healthchecks: [it]}
      - {address: 127.0.0.3, healthchecks: [it], enable: false}
  down.example.net.:
    backends: [{address: 127.0.0.4, healthchecks: [it]}]
`, l.Addr().(*net.TCPAddr).Port)
	path := put(t, dir, "db.yml", text)
	i := rig.Start(t, fmt.Sprintf("example.net:0 {\n bind 127.0.0.1\n gslb {\n  zone example.net. %s\n }\n}\n", path))
	rig.Until(t, "nothing is down", func() bool {
		return missing(scraped(t), `gslb_backend_health_status{name="down.example.net."} == 0`, nil) == ""
	})
	i.Ask("web.example.net.", dns.TypeA)
	i.Ask("web.example.net.", dns.TypeAAAA)
	more := moreReloads(t)
	put(t, dir, "db.yml", "# another\n"+text)
	rig.Until(t, "the file is not read again", more("success"))
	more = moreReloads(t)
	put(t, dir, "db.yml", "nonsense")
	rig.Until(t, "the wrong file is not noticed", more("failure"))
	all := scraped(t)
	for _, q := range dashboard {
		if what := missing(all, q, legends[q]); what != "" {
			t.Errorf("%s\n\tfinds no %s", q, what)
		}
	}
	for q := range legends {
		if !strings.Contains(strings.Join(dashboard, "\n"), q) {
			t.Errorf("the dashboard does not ask %s", q)
		}
	}
}
