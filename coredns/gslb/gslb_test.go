package gslb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/coredns/rig"
)

const records = `
defaults: {record_ttl: 20}
records:
  web.example.org.:
    mode: failover
    backends:
      - {address: 192.0.2.1, priority: 1, tags: [blue], location: eu-west-1}
      - {address: 192.0.2.2, priority: 2, tags: [green], location: us-east-1}
  all.example.org.:
    mode: random
    record_ttl: 7
    backends:
      - {address: 192.0.2.1, location: eu-west-1}
      - {address: 192.0.2.3, location: us-east-1, enable: false}
      - {address: "2001:db8::3"}
  near.example.org.:
    mode: geoip
    backends:
      - {address: 192.0.2.4, location: home}
      - {address: 192.0.2.5, location: away}
`

const subnets = `
subnets:
  - {subnet: 198.51.100.0/24, location: home}
  - {subnet: 203.0.113.0/24, location: away}
`

const besides = `$ORIGIN example.org.
@ 3600 SOA ns1 admin 7 7200 3600 1209600 3600
@ 3600 NS ns1
@ 60 A 203.0.113.1
ns1 60 A 203.0.113.53
static 60 A 203.0.113.2
web 60 MX 10 static
`

// TestAnswers has records, alone and with a zone file beside them.
func TestAnswers(t *testing.T) {
	dir := t.TempDir()
	text := fmt.Sprintf("example.org:0 {\n bind 127.0.0.1\n gslb {\n  zone example.org. %s\n  geoip_custom %s\n  use_edns_csubnet\n }\n",
		put(t, dir, "db.yml", records), put(t, dir, "subnets.yml", subnets))
	beside := " file " + put(t, dir, "db", besides) + "\n"
	for _, file := range []string{"", beside} {
		i := rig.Start(t, text+file+"}\n")
		either := func(with, without string) string {
			if file != "" {
				return with
			}
			return without
		}
		for _, q := range []struct {
			name string
			typ  uint16
			want string
		}{
			{"web.example.org.", dns.TypeA, "NOERROR A/20/192.0.2.1"},
			{"wEb.eXample.org.", dns.TypeA, "NOERROR A/20/192.0.2.1"},
			{"all.example.org.", dns.TypeA, "NOERROR A/7/192.0.2.1"},
			{"all.example.org.", dns.TypeAAAA, "NOERROR AAAA/7/2001:db8::3"},
			// Not SERVFAIL, and not NXDOMAIN of the file.
			{"web.example.org.", dns.TypeAAAA, "NOERROR +SOA"},
			{"all.example.org.", dns.TypeHTTPS, "NOERROR +SOA"},
			{"web.example.org.", dns.TypeMX, either("NOERROR MX/60/10 static.example.org. +NS", "NOERROR +SOA")},
			{"static.example.org.", dns.TypeA, either("NOERROR A/60/203.0.113.2 +NS", "NXDOMAIN +SOA")},
			{"example.org.", dns.TypeA, either("NOERROR A/60/203.0.113.1 +NS", "NOERROR +SOA")},
			{"none.example.org.", dns.TypeA, "NXDOMAIN +SOA"},
			{"evilexample.org.", dns.TypeA, "REFUSED not authoritative"},
		} {
			got := i.Ask(q.name, q.typ)
			if s := rig.Short(got); s != q.want {
				t.Errorf("%s %s: %s, want %s", q.name, dns.TypeToString[q.typ], s, q.want)
			}
			if got.Question[0].Name != q.name {
				t.Errorf("the question %s went back as %s", q.name, got.Question[0].Name)
			}
		}
		txt := i.Ask("web.example.org.", dns.TypeTXT)
		if len(txt.Answer) != 2 || !strings.Contains(rig.Short(txt), `"Backend: 192.0.2.1 | Priority: 1 | Status: healthy | Enabled: true`) {
			t.Errorf("TXT: %v", txt.Answer)
		}
		for from, want := range map[string]string{"198.51.100.0": "192.0.2.4", "203.0.113.0": "192.0.2.5"} {
			got := i.Ask("near.example.org.", dns.TypeA, func(m *dns.Msg) {
				m.SetEdns0(1232, false)
				m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.ParseIP(from).To4()}}
			})
			scope := -1
			if o := got.IsEdns0(); o != nil {
				for _, e := range o.Option {
					if s, ok := e.(*dns.EDNS0_SUBNET); ok {
						scope = int(s.SourceScope)
					}
				}
			}
			if rig.Short(got) != "NOERROR A/20/"+want || scope != 24 {
				t.Errorf("from %s: %s, scope %d", from, rig.Short(got), scope)
			}
		}
		i.Stop()
	}
}

// TestNamesAbove asks for names that have records only below them, with a zone file
// beside that knows nothing of those: NXDOMAIN would take them from resolvers
// (RFC 8020), which ask for such names first (RFC 9156).
func TestNamesAbove(t *testing.T) {
	dir := t.TempDir()
	i := rig.Start(t, fmt.Sprintf("example.org:0 {\n bind 127.0.0.1\n gslb {\n  zone example.org. %s\n }\n file %s\n}\n",
		put(t, dir, "db.yml", `
records:
  a.b.example.org.: {backends: [{address: 192.0.2.1}]}
  "*.w.example.org.": {backends: [{address: 192.0.2.2}]}
`),
		put(t, dir, "db", "$ORIGIN example.org.\n@ 3600 SOA ns1.example.com. admin 7 7200 3600 1209600 3600\n@ 3600 NS ns1.example.com.\n")))
	for _, q := range []struct {
		name string
		typ  uint16
		want string
	}{
		{"a.b.example.org.", dns.TypeA, "NOERROR A/30/192.0.2.1"},
		{"b.example.org.", dns.TypeA, "NOERROR +SOA"},
		{"example.org.", dns.TypeA, "NOERROR +SOA"},
		{"example.org.", dns.TypeHTTPS, "NOERROR +SOA"},
		{"example.org.", dns.TypeNS, "NOERROR NS/3600/ns1.example.com."},
		{"c.b.example.org.", dns.TypeA, "NXDOMAIN +SOA"},
		{"x.w.example.org.", dns.TypeA, "NOERROR A/30/192.0.2.2"},
	} {
		if s := rig.Short(i.Ask(q.name, q.typ)); s != q.want {
			t.Errorf("%s %s: %s, want %s", q.name, dns.TypeToString[q.typ], s, q.want)
		}
	}
}

// TestAround has CoreDNS's plugins around ours, and what they sign hold.
func TestAround(t *testing.T) {
	dir := t.TempDir()
	base, signed := rig.Key(t, "example.org.")
	i := rig.Start(t, fmt.Sprintf("example.org:0 {\n bind 127.0.0.1\n errors\n log\n cache 30\n dnssec {\n  key file %s\n }\n gslb {\n  zone example.org. %s\n }\n}\n", base, put(t, dir, "db.yml", records)))
	for range 2 { // from the cache as well
		for name, typ := range map[string]uint16{"web.example.org.": dns.TypeA, "all.example.org.": dns.TypeAAAA, "wEb.example.org.": dns.TypeTXT} {
			got := i.Ask(name, typ, func(m *dns.Msg) { m.SetEdns0(1232, true) })
			if !signed(got) {
				t.Errorf("%s: %v", name, got.Answer)
			}
		}
		denied := i.Ask("web.example.org.", dns.TypeAAAA, func(m *dns.Msg) { m.SetEdns0(1232, true) })
		if s := rig.Short(denied); !strings.HasPrefix(s, "NOERROR +") || !strings.Contains(s, "+NSEC") || !strings.Contains(s, "+RRSIG") {
			t.Errorf("nobody can prove it: %s", s)
		}
		if s := rig.Short(i.Ask("none.example.org.", dns.TypeA)); s != "NXDOMAIN +SOA" {
			t.Error(s)
		}
	}
}

// TestViews has one zone in two views, with records of their own.
func TestViews(t *testing.T) {
	dir, text := t.TempDir(), ""
	for address, expr := range map[string]string{"192.0.2.8": "do()", "192.0.2.9": "!do()"} {
		path := put(t, dir, address+".yml", strings.ReplaceAll(records, "192.0.2.1", address))
		text += fmt.Sprintf("example.org:0 {\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n view v%s {\n  expr %s\n }\n gslb {\n  zone example.org. %s\n }\n}\n", address, expr, path)
	}
	i := rig.Start(t, text)
	for address, do := range map[string]bool{"192.0.2.8": true, "192.0.2.9": false} {
		got := i.Ask("web.example.org.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, do) })
		if s := rig.Short(got); s != "NOERROR A/20/"+address {
			t.Errorf("the view of %s: %s", address, s)
		}
	}
	if len(gathered(t)) == 0 { // a series that is told twice is an error
		t.Error("there are no metrics")
	}
}

// TestReloadOfFiles has a file replaced by renaming, and by one that is wrong.
func TestReloadOfFiles(t *testing.T) {
	dir := t.TempDir()
	path := put(t, dir, "db.yml", records)
	i := rig.Start(t, fmt.Sprintf("example.org:0 {\n bind 127.0.0.1\n gslb {\n  zone example.org. %s\n }\n}\n", path))
	if s := rig.Short(i.Ask("web.example.org.", dns.TypeA)); s != "NOERROR A/20/192.0.2.1" {
		t.Fatal(s)
	}
	put(t, dir, "db.yml", strings.ReplaceAll(records, "192.0.2.1", "192.0.2.99"))
	rig.Until(t, "the new file is not in force", func() bool {
		return rig.Short(i.Ask("web.example.org.", dns.TypeA)) == "NOERROR A/20/192.0.2.99"
	})
	more := moreReloads(t)
	put(t, dir, "db.yml", "records: {web.example.org.: {mode: nonsense}}")
	rig.Until(t, "the wrong file is not noticed", more("failure"))
	if s := rig.Short(i.Ask("web.example.org.", dns.TypeA)); s != "NOERROR A/20/192.0.2.99" {
		t.Errorf("after a wrong file: %s", s)
	}
	put(t, dir, "db.yml", strings.ReplaceAll(records, "192.0.2.1", "192.0.2.98"))
	rig.Until(t, "what came after a wrong file is not in force", func() bool {
		return rig.Short(i.Ask("web.example.org.", dns.TypeA)) == "NOERROR A/20/192.0.2.98"
	})
}

// client asks the API of the block.
type client struct {
	t              *testing.T
	base           string
	user, password string
}

func (c *client) do(method, path, body string) (int, []byte) {
	c.t.Helper()
	r, err := http.NewRequest(method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.user != "" {
		r.SetBasicAuth(c.user, c.password)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, bytes.TrimSpace(raw)
}

// TestAPI says things of backends, over a reload and a restart.
func TestAPI(t *testing.T) {
	dir := t.TempDir()
	path := put(t, dir, "db.yml", records)
	text := fmt.Sprintf("example.org:0 {\n bind 127.0.0.1\n gslb {\n  zone example.org. %s\n  data_dir %s\n  api_enable\n  api_listen_port 0\n  api_basic_user admin\n  api_basic_pass s3cret\n }\n}\n", path, dir+"/data")
	i := rig.Start(t, text)
	api := func() *client { return &client{t, rig.Door(t, doors.Each), "admin", "s3cret"} }
	c := api()
	if !strings.HasPrefix(c.base, "http://127.0.0.1:") {
		t.Errorf("the API listens at %s", c.base)
	}
	code, raw := c.do(http.MethodGet, "/api/overview", "")
	var all map[string][]overview
	if err := json.Unmarshal(raw, &all); err != nil || code != http.StatusOK || len(all["example.org."]) != 3 {
		t.Fatalf("%d %s %v", code, raw, err)
	}
	if o := all["example.org."][0]; o.Record != "web.example.org." || o.Status != healthy || len(o.Backends) != 2 || o.Backends[0].Alive != healthy {
		t.Errorf("%+v", o)
	}
	for _, q := range []struct {
		method, path, body string
		user               string
		code               int
		want               string
	}{
		{"GET", "/api/overview/", "", "admin", 200, `{"example.org.":[{"record":"web.example.org."`},
		{"GET", "/api/overview/example.org", "", "admin", 200, `[{"record":"web.example.org."`},
		{"GET", "/api/overview/example.org.", "", "admin", 200, `[{"record":"web.example.org."`},
		{"GET", "/api/overview/none.org.", "", "admin", 404, `{"error":"Zone not found"}`},
		{"GET", "/api/overview", "", "other", 401, `{"error":"Unauthorized"}`},
		{"POST", "/api/overview", "", "admin", 405, `{"error":"Method not allowed. Only GET is supported."}`},
		{"GET", "/api/backends/disable", "", "admin", 405, `{"error":"Method not allowed. Only POST is supported."}`},
		{"POST", "/api/backends/disable", "{", "admin", 400, `{"error":"Invalid JSON"}`},
		{"POST", "/api/backends/disable", `{"tags": ["blue"]} {"tags": ["green"]}`, "admin", 400, `{"error":"Invalid JSON"}`},
		{"POST", "/api/backends/disable", "{}", "admin", 400, `{"error":"location, address_prefix, or tags required"}`},
		{"POST", "/api/backends/disable", `{"location": "` + strings.Repeat("x", 100_000) + `"}`, "admin", 413, `{"error":`},
		{"POST", "/api/backends/disable", `{"location": "nowhere"}`, "admin", 200, `{"success":true,"backends":[]}`},
		{"POST", "/api/backends/disable", `{"tags": ["blue"]}`, "admin", 200, `{"success":true,"backends":[{"record":"web.example.org.","address":"192.0.2.1"}]}`},
	} {
		c.user = q.user
		if code, raw := c.do(q.method, q.path, q.body); code != q.code || !strings.HasPrefix(string(raw), q.want) {
			t.Errorf("%s %s %.40s: %d %s", q.method, q.path, q.body, code, raw)
		}
	}
	web := func(want string) {
		t.Helper()
		if s := rig.Short(i.Ask("web.example.org.", dns.TypeA)); s != want {
			t.Errorf("%s, want %s", s, want)
		}
	}
	web("NOERROR A/20/192.0.2.2") // at once
	if !strings.Contains(rig.Short(i.Ask("web.example.org.", dns.TypeTXT)), "192.0.2.1 | Priority: 1 | Status: unhealthy | Enabled: false") {
		t.Error("TXT says something else")
	}
	before := api().base
	if err := i.Reload(text); err != nil {
		t.Fatal(err)
	}
	web("NOERROR A/20/192.0.2.2")
	if now := api().base; now != before {
		t.Errorf("the API has moved from %s to %s", before, now)
	}
	if err := i.Reload(strings.Replace(text, "api_enable", "nonsense", 1)); err == nil {
		t.Error("nonsense was taken")
	}
	if code, _ := api().do("GET", "/api/overview", ""); code != http.StatusOK {
		t.Errorf("after a reload that failed: %d", code)
	}
	i.Stop()
	doors.Each(func(a string) { t.Errorf("a listener is left at %s", a) })
	i = rig.Start(t, text)
	web("NOERROR A/20/192.0.2.2")
	if code, raw := api().do("POST", "/api/backends/enable", `{"address_prefix": "192.0.2.1"}`); code != http.StatusOK {
		t.Errorf("%d %s", code, raw)
	}
	web("NOERROR A/20/192.0.2.1")
	if b, err := os.ReadFile(path); err != nil || string(b) != records {
		t.Error("the user's file has been changed")
	}
}

// TestHalfAPassword has the document's own block, with a user and no password: it
// starts, and nobody is let in.
func TestHalfAPassword(t *testing.T) {
	dir := t.TempDir()
	for _, half := range []string{"api_basic_user admin", "api_basic_pass s3cret", "api_basic_user admin\n api_basic_pass \"\""} {
		i := rig.Start(t, fmt.Sprintf("example.org:0 {\n bind 127.0.0.1\n root %s\n gslb {\n  zone example.org. %s\n  api_enable\n  api_tls_cert \"\"\n  api_tls_key \"\"\n  api_listen_port 0\n  %s\n }\n}\n", dir, put(t, dir, "db.yml", records), half))
		for _, c := range []client{{user: "", password: ""}, {user: "admin", password: ""}, {user: "admin", password: "s3cret"}} {
			c.t, c.base = t, rig.Door(t, doors.Each)
			if code, body := c.do(http.MethodGet, "/api/overview", ""); code != http.StatusUnauthorized {
				t.Errorf("%q, as %s: %d %s", half, c.user, code, body)
			}
		}
		i.Stop()
	}
}

// TestOffUnlessEnabled has an API that is described and not enabled.
func TestOffUnlessEnabled(t *testing.T) {
	dir := t.TempDir()
	for _, more := range []string{"", "api_listen_port 0", "api_enable false\n api_listen_port 0"} {
		i := rig.Start(t, fmt.Sprintf("example.org:0 {\n bind 127.0.0.1\n gslb {\n  zone example.org. %s\n  %s\n }\n}\n", put(t, dir, "db.yml", records), more))
		doors.Each(func(a string) { t.Errorf("%q: something listens at %s", more, a) })
		i.Stop()
	}
}

// TestChecks has health decide, and be counted.
func TestChecks(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	path := put(t, dir, "db.yml", fmt.Sprintf(`
records:
  web.example.org.:
    mode: failover
    scrape_interval: 1s
    backends:
      - {address: 127.0.0.2, priority: 1, healthchecks: [{type: tcp, params: {port: %[1]d, timeout: 1s}}]}
      - {address: 127.0.0.1, priority: 2, healthchecks: [{type: tcp, params: {port: %[1]d, timeout: 1s}}]}
`, l.Addr().(*net.TCPAddr).Port))
	i := rig.Start(t, fmt.Sprintf("example.org:0 {\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n gslb {\n  zone example.org. %s\n }\n}\n", path))
	rig.Until(t, "the backend that is down is answered", func() bool {
		return rig.Short(i.Ask("web.example.org.", dns.TypeA)) == "NOERROR A/30/127.0.0.1"
	})
	// Each of the two checks has its result when it has it.
	for _, want := range []string{
		`gslb_backend_health_status{address=127.0.0.1,name=web.example.org.} 1`,
		`gslb_backend_health_status{address=127.0.0.2,name=web.example.org.} 0`,
		fmt.Sprintf(`gslb_backend_healthcheck_status{address=127.0.0.2,name=web.example.org.,type=tcp/%d} 0`, l.Addr().(*net.TCPAddr).Port),
		`gslb_backend_active{name=web.example.org.} 1`,
		`gslb_record_health_status{name=web.example.org.} 1`,
		`gslb_backends_total{} 2`, `gslb_records_total{} 1`, `gslb_zones_total{} 1`, `gslb_healthchecks_total{} 2`,
		`gslb_version_info{version=rhumb} 1`,
	} {
		rig.Until(t, want+" is not told", func() bool { return slices.Contains(gathered(t), want) })
	}
	for _, want := range []string{
		"gslb_healthcheck_total{address=127.0.0.1,name=web.example.org.,result=success,", "gslb_healthcheck_total{address=127.0.0.2,name=web.example.org.,result=fail,",
		"gslb_healthcheck_duration_seconds{address=127.0.0.1,", "gslb_healthcheck_failures_total{address=127.0.0.2,reason=connection,",
		"gslb_record_resolution_total{name=web.example.org.,result=success}", "gslb_record_resolution_duration_seconds{name=web.example.org.,result=success}",
		"gslb_backend_selected_total{address=127.0.0.1,name=web.example.org.}",
	} {
		rig.Until(t, want+"… is not told", func() bool {
			return slices.ContainsFunc(gathered(t), func(s string) bool { return strings.HasPrefix(s, want) && !strings.HasSuffix(s, " 0") })
		})
	}
}

// TestLane has the same answers on a lane and without one, and counts them once.
func TestLane(t *testing.T) {
	path := put(t, t.TempDir(), "db.yml", records)
	for _, with := range []string{"on", "off"} {
		i := rig.Start(t, fmt.Sprintf("example.org:0 {\n bind 127.0.0.1\n gslb {\n  zone example.org. %s\n  lane %s\n }\n}\n", path, with))
		if with == "on" {
			rig.Until(t, "there is no lane", func() bool { return rig.Metric(t, "coredns_lane_sockets") == 1 })
		}
		taken, counted := rig.Metric(t, "coredns_lane_datagrams_total"), rig.Metric(t, "gslb_record_resolution_total")
		if s := rig.Short(i.Ask("web.example.org.", dns.TypeA)); s != "NOERROR A/20/192.0.2.1" {
			t.Errorf("lane %s: %s", with, s)
		}
		if s := rig.Short(i.Ask("web.example.org.", dns.TypeAAAA)); s != "NOERROR +SOA" {
			t.Errorf("lane %s: %s", with, s)
		}
		if n := rig.Metric(t, "gslb_record_resolution_total"); n != counted+2 {
			t.Errorf("lane %s: %v answers are counted", with, n-counted)
		}
		if with == "on" {
			taken += 2
		}
		rig.Until(t, "they have come by another way", func() bool { return rig.Metric(t, "coredns_lane_datagrams_total") == taken })
		i.Stop()
	}
}
