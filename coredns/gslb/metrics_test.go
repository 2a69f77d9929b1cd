package gslb

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/coredns/rig"
)

// TestMetricsOfChecks has a backend of which one check passes and one does not, and one
// whose check is aimed at somebody else: two records share that one.
func TestMetricsOfChecks(t *testing.T) {
	for _, s := range gathered(t) {
		if strings.HasPrefix(s, "gslb_records_total") || strings.HasPrefix(s, "gslb_version_info") {
			t.Errorf("no block states gslb, and there is %s", s)
		}
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	path := put(t, t.TempDir(), "db.yml", strings.ReplaceAll(`
defaults: {scrape_interval: 1s}
healthcheck_profiles:
  elsewhere: {type: grpc, params: {host: 127.0.0.1, port: PORT, timeout: 1s}}
records:
  half.example.com.:
    backends:
      - address: 127.0.0.1
        healthchecks:
          - {type: tcp, params: {port: PORT}}
          - {type: http, params: {port: PORT, enable_tls: false}}
  unchecked.example.com.: {backends: [{address: 127.0.0.1}, {address: 192.0.2.7, enable: false, healthchecks: [elsewhere]}]}
  one.example.com.: {backends: [{address: 192.0.2.7, healthchecks: [elsewhere]}]}
  two.example.com.: {backends: [{address: 192.0.2.7, healthchecks: [elsewhere]}, {address: 192.0.2.8, healthchecks: [elsewhere]}]}
`, "PORT", u.Port()))
	rig.Start(t, fmt.Sprintf("example.com:0 {\n bind 127.0.0.1\n gslb {\n  zone example.com. %s\n  api_enable\n  api_listen_port 0\n }\n}\n", path))
	for _, result := range reloaded {
		if s := "gslb_config_reload_total{result=" + result + "} "; !slices.ContainsFunc(gathered(t), func(g string) bool { return strings.HasPrefix(g, s) }) {
			t.Errorf("%s is not there before the first", s)
		}
	}
	for _, want := range []string{
		"gslb_backend_healthcheck_status{address=127.0.0.1,name=half.example.com.,type=tcp/" + u.Port() + "} 1",
		"gslb_backend_healthcheck_status{address=127.0.0.1,name=half.example.com.,type=http/" + u.Port() + "} 0",
		"gslb_backend_health_status{address=127.0.0.1,name=half.example.com.} 0",
		"gslb_backend_healthcheck_status{address=192.0.2.7,name=one.example.com.,type=grpc} 0",
	} {
		rig.Until(t, want+" is not told", func() bool { return slices.Contains(gathered(t), want) })
	}
	count := func(parts ...string) (n float64) {
		for _, s := range gathered(t) {
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(s, part) }) {
				v, err := strconv.ParseFloat(s[strings.LastIndexByte(s, ' ')+1:], 64)
				if err != nil {
					t.Fatal(err)
				}
				n += v
			}
		}
		return n
	}
	for _, address := range []string{"192.0.2.7", "192.0.2.8"} {
		rig.Until(t, "the checks for "+address+" are not counted alike", func() bool {
			failed := count("gslb_healthcheck_total{address="+address, "name=two.example.com.,result=fail,type=grpc}")
			return failed > 0 && failed == count("gslb_healthcheck_failures_total{address="+address, "type=grpc}") &&
				failed == count("gslb_healthcheck_duration_seconds{address="+address, "type=grpc}")
		})
	}
	// What is not checked has no time of a check, whoever else has the address checked.
	c := client{t: t, base: rig.Door(t, doors.Each)}
	_, raw := c.do(http.MethodGet, "/api/overview/example.com.", "")
	var all []overview
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		for _, b := range o.Backends {
			if never := strings.HasPrefix(b.Last, "0001-"); never != (o.Record == "unchecked.example.com.") {
				t.Errorf("%s: %+v", o.Record, b)
			}
		}
	}
}
