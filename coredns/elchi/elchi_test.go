package elchi

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/coredns/rig"
)

// TestAnswers is what the document says of records, and of what there is none.
func TestAnswers(t *testing.T) {
	c := newController(t, records)
	i := rig.Start(t, fmt.Sprintf("gslb.elchi:0 {\n bind 127.0.0.1\n elchi {\n  endpoint %s\n  secret %s\n }\n}\n", c.URL, secret))
	for _, q := range []struct {
		name string
		typ  uint16
		want string
	}{
		{"listener1.gslb.elchi.", dns.TypeA, "NOERROR A/300/192.168.1.10 A/300/192.168.1.11"},
		{"LiStener1.gSlb.elchi.", dns.TypeA, "NOERROR A/300/192.168.1.10 A/300/192.168.1.11"},
		{"listener3.gslb.elchi.", dns.TypeAAAA, "NOERROR AAAA/600/2001:db8::1 AAAA/600/2001:db8::2"},
		{"default.gslb.elchi.", dns.TypeA, "NOERROR A/300/192.168.1.12"},
		// Not NXDOMAIN: the name is there.
		{"listener1.gslb.elchi.", dns.TypeAAAA, "NOERROR +SOA"},
		{"listener1.gslb.elchi.", dns.TypeTXT, "NOERROR +SOA"},
		{"listener1.gslb.elchi.", dns.TypeHTTPS, "NOERROR +SOA"},
		{"asia.gslb.elchi.", dns.TypeA, "NOERROR CNAME/20/europe.gslb.elchi. A/20/10.20.1.30 A/20/10.20.1.31"},
		{"asia.gslb.elchi.", dns.TypeAAAA, "NOERROR CNAME/20/europe.gslb.elchi. +SOA"},
		{"off.gslb.elchi.", dns.TypeA, "NOERROR CNAME/20/europe.gslb.elchi. A/20/10.20.1.30 A/20/10.20.1.31"},
		{"off.gslb.elchi.", dns.TypeCNAME, "NOERROR CNAME/20/europe.gslb.elchi."},
		{"dark.gslb.elchi.", dns.TypeA, "NOERROR +SOA"},
		{"none.gslb.elchi.", dns.TypeA, "NXDOMAIN +SOA"},
		{"gslb.elchi.", dns.TypeA, "NOERROR +SOA"},
		{"evilgslb.elchi.", dns.TypeA, "REFUSED not authoritative"},
	} {
		for _, network := range []string{"udp", "tcp"} {
			got := i.AskOver(network, q.name, q.typ)
			if s := rig.Short(got); s != q.want {
				t.Errorf("%s %s %s: %s, want %s", network, q.name, dns.TypeToString[q.typ], s, q.want)
			}
			if got.Question[0].Name != q.name {
				t.Errorf("the question %s went back as %s", q.name, got.Question[0].Name)
			}
		}
	}
	if soa := i.Ask("gslb.elchi.", dns.TypeSOA); len(soa.Answer) != 1 {
		t.Errorf("the zone has no SOA record: %v", soa)
	}
}

// TestSeveralZones has all zones of a server block, and several blocks.
func TestSeveralZones(t *testing.T) {
	c := newController(t, records)
	block := fmt.Sprintf(" {\n bind 127.0.0.1\n elchi {\n  endpoint http://127.0.0.1:1 %s\n  secret %s\n regions asya avrupa\n node_ip 192.0.2.9\n }\n}\n", c.URL, secret)
	i := rig.Start(t, "one.test:0 two.test:0"+block+"three.test:0"+block)
	for _, zone := range []string{"one.test.", "two.test.", "three.test."} {
		if s := rig.Short(i.Ask("listener1."+zone, dns.TypeA)); s != "NOERROR A/300/192.168.1.10 A/300/192.168.1.11" {
			t.Errorf("%s: %s", zone, s)
		}
	}
	asked := strings.Join(c.requests(), " ")
	for _, want := range []string{"zone=one.test", "zone=two.test", "zone=three.test", "regions=asya%2Cavrupa", "node_ip=192.0.2.9"} {
		if !strings.Contains(asked, want) {
			t.Errorf("%s was not asked for: %s", want, asked)
		}
	}
}

const zoneFile = `$ORIGIN gslb.elchi.
@ 3600 SOA ns1 admin 7 7200 3600 1209600 3600
@ 3600 NS ns1
@ 60 A 203.0.113.1
ns1 60 A 203.0.113.53
static 60 A 203.0.113.2
listener1 60 TXT "beside"
`

// TestBeside has a zone file beside the records, with fallthrough and without.
func TestBeside(t *testing.T) {
	c := newController(t, records)
	file := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(file, []byte(zoneFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, fall := range []string{"", "fallthrough", "fallthrough static.gslb.elchi", "fallthrough other.test"} {
		t.Run(fall, func(t *testing.T) {
			i := rig.Start(t, fmt.Sprintf("gslb.elchi:0 {\n bind 127.0.0.1\n elchi {\n  endpoint %s\n  secret %s\n %s\n }\n file %s\n}\n", c.URL, secret, fall, file))
			static := "NXDOMAIN +SOA"
			if fall == "fallthrough" || strings.Contains(fall, "static") {
				static = "NOERROR A/60/203.0.113.2 +NS"
			}
			top := "NOERROR +SOA"
			if fall == "fallthrough" {
				top = "NOERROR A/60/203.0.113.1 +NS"
			}
			for _, q := range []struct {
				name string
				typ  uint16
				want string
			}{
				{"listener1.gslb.elchi.", dns.TypeA, "NOERROR A/300/192.168.1.10 A/300/192.168.1.11"},
				{"static.gslb.elchi.", dns.TypeA, static},
				{"gslb.elchi.", dns.TypeA, top},
				// Other types are looked for there in any case.
				{"gslb.elchi.", dns.TypeSOA, "NOERROR SOA/3600/ns1.gslb.elchi. admin.gslb.elchi. 7 7200 3600 1209600 3600 +NS"},
				{"listener1.gslb.elchi.", dns.TypeTXT, `NOERROR TXT/60/"beside" +NS`},
				// The file has no such name; that it does not exist must not be said.
				{"listener3.gslb.elchi.", dns.TypeHTTPS, "NOERROR +SOA"},
				{"listener3.gslb.elchi.", dns.TypeA, "NOERROR +SOA"},
				{"none.gslb.elchi.", dns.TypeTXT, "NXDOMAIN +SOA"},
			} {
				if s := rig.Short(i.Ask(q.name, q.typ)); s != q.want {
					t.Errorf("%s %s: %s, want %s", q.name, dns.TypeToString[q.typ], s, q.want)
				}
			}
		})
	}
}

// TestAliasOfWhatIsBeside has failovers to names that a zone file beside the records has,
// wholly or in part: they are not denied, nor is the name that fails over.
func TestAliasOfWhatIsBeside(t *testing.T) {
	c := newController(t, `[{"name":"to.ZONE","type":"A","ttl":20,"failover":"static.ZONE"},{"name":"part.ZONE","type":"A","ttl":20,"failover":"listener1.ZONE"},
		{"name":"chain.ZONE","type":"A","ttl":20,"failover":"to.ZONE"},{"name":"none.ZONE","type":"A","ttl":20,"failover":"nowhere.ZONE"},
		{"name":"listener1.ZONE","type":"A","ttl":20,"ips":["192.0.2.1"]}]`)
	file := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(file, []byte(zoneFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, fall := range []string{"", "fallthrough", "fallthrough static.gslb.elchi", "fallthrough other.test"} {
		t.Run(fall, func(t *testing.T) {
			i := rig.Start(t, fmt.Sprintf("gslb.elchi:0 {\n bind 127.0.0.1\n elchi {\n  endpoint %s\n  secret %s\n %s\n }\n file %s\n}\n", c.URL, secret, fall, file))
			code, denial := "NXDOMAIN", " +SOA"
			if fall == "fallthrough" || strings.Contains(fall, "static") {
				code, denial = "NOERROR", ""
			}
			none := "NXDOMAIN CNAME/20/nowhere.gslb.elchi. +SOA"
			if fall == "fallthrough" {
				none = "NOERROR CNAME/20/nowhere.gslb.elchi."
			}
			for _, q := range []struct {
				name string
				typ  uint16
				want string
			}{
				{"to.gslb.elchi.", dns.TypeA, code + " CNAME/20/static.gslb.elchi." + denial},
				{"To.gslb.elchi.", dns.TypeAAAA, code + " CNAME/20/static.gslb.elchi." + denial},
				{"chain.gslb.elchi.", dns.TypeA, code + " CNAME/20/to.gslb.elchi. CNAME/20/static.gslb.elchi." + denial},
				{"none.gslb.elchi.", dns.TypeA, none},
				{"part.gslb.elchi.", dns.TypeA, "NOERROR CNAME/20/listener1.gslb.elchi. A/20/192.0.2.1"},
				// Of other types nothing is known here.
				{"to.gslb.elchi.", dns.TypeTXT, "NOERROR CNAME/20/static.gslb.elchi."},
				{"none.gslb.elchi.", dns.TypeTXT, "NOERROR CNAME/20/nowhere.gslb.elchi."},
				{"part.gslb.elchi.", dns.TypeTXT, "NOERROR CNAME/20/listener1.gslb.elchi."},
			} {
				for _, network := range []string{"udp", "tcp"} {
					if s := rig.Short(i.AskOver(network, q.name, q.typ)); s != q.want {
						t.Errorf("%s %s %s: %s, want %s", network, q.name, dns.TypeToString[q.typ], s, q.want)
					}
				}
			}
		})
	}
}

// TestAround has CoreDNS's plugins around ours.
func TestAround(t *testing.T) {
	c := newController(t, records)
	i := rig.Start(t, fmt.Sprintf("gslb.elchi:0 {\n bind 127.0.0.1\n errors\n log\n cache 30\n elchi {\n  endpoint %s\n  secret %s\n }\n}\n", c.URL, secret))
	for range 3 { // from the cache as well
		for name, want := range map[string]string{
			"listener1.gslb.elchi.": "NOERROR A/", "none.gslb.elchi.": "NXDOMAIN +SOA", "dark.gslb.elchi.": "NOERROR +SOA", "asia.gslb.elchi.": "NOERROR CNAME/",
		} {
			if s := rig.Short(i.Ask(name, dns.TypeA)); !strings.HasPrefix(s, want) {
				t.Errorf("%s: %s", name, s)
			}
		}
	}
}

// TestNotReady has no controller: it is not known what there is, so nothing is said
// to exist or not.
func TestNotReady(t *testing.T) {
	c := newController(t, records)
	c.fails = true
	i := rig.Start(t, fmt.Sprintf("gslb.elchi:0 {\n bind 127.0.0.1\n elchi {\n  endpoint %s\n  secret %s\n  timeout 1s\n  sync_interval 5s\n }\n}\n", c.URL, secret))
	if s := rig.Short(i.Ask("listener1.gslb.elchi.", dns.TypeA)); !strings.HasPrefix(s, "SERVFAIL") {
		t.Error(s)
	}
}

// TestNotReadyBeside has no controller and a zone file beside us, which has a name without
// addresses: that is not known yet, nor what else its name has.
func TestNotReadyBeside(t *testing.T) {
	c := newController(t, records)
	c.fails = true
	file := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(file, []byte(zoneFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, fall := range []string{"", "fallthrough"} {
		i := rig.Start(t, fmt.Sprintf("gslb.elchi:0 {\n bind 127.0.0.1\n elchi {\n  endpoint %s\n  secret %s\n  timeout 1s\n  sync_interval 5s\n %s\n }\n file %s\n}\n", c.URL, secret, fall, file))
		for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeMX} {
			if s := rig.Short(i.Ask("listener1.gslb.elchi.", typ)); !strings.HasPrefix(s, "SERVFAIL") {
				t.Errorf("%s %s: %s", fall, dns.TypeToString[typ], s)
			}
		}
		if s := rig.Short(i.Ask("listener1.gslb.elchi.", dns.TypeTXT)); s != `NOERROR TXT/60/"beside" +NS` {
			t.Error(s)
		}
		i.Stop()
	}
}

// TestWildAlias has a wildcard that fails over to a name that is not ours to deny, beside a
// zone file: it is for names that the file does not have.
func TestWildAlias(t *testing.T) {
	c := newController(t, `[{"name":"*.ZONE","type":"A","ttl":20,"failover":"nowhere.else.ZONE"},{"name":"else.ZONE","type":"A","ttl":20,"ips":["192.0.2.1"]}]`)
	file := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(file, []byte(zoneFile), 0o600); err != nil {
		t.Fatal(err)
	}
	i := rig.Start(t, fmt.Sprintf("gslb.elchi:0 {\n bind 127.0.0.1\n elchi {\n  endpoint %s\n  secret %s\n }\n file %s\n}\n", c.URL, secret, file))
	for name, want := range map[string]string{
		"static.gslb.elchi.": "NOERROR +SOA", "any.gslb.elchi.": "NOERROR CNAME/20/nowhere.else.gslb.elchi.", "else.gslb.elchi.": "NOERROR +SOA",
	} {
		if s := rig.Short(i.Ask(name, dns.TypeTXT)); s != want {
			t.Errorf("%s: %s, want %s", name, s, want)
		}
	}
}

// TestLongAliases has a chain that is too long for UDP, to a name that is not there: the
// name that is asked for is, whatever the zone file beside us says.
func TestLongAliases(t *testing.T) {
	var records []string
	label := func(i int) string { return fmt.Sprintf("%c%s", 'a'+i, strings.Repeat("x", 62)) }
	for i := range 9 {
		records = append(records, fmt.Sprintf(`{"name":"%s.ZONE","type":"A","ttl":20,"failover":"%s.ZONE"}`, label(i), label(i+1)))
	}
	c := newController(t, "["+strings.Join(records, ",")+"]")
	file := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(file, []byte(zoneFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, fall := range []string{"", "fallthrough"} {
		i := rig.Start(t, fmt.Sprintf("gslb.elchi:0 {\n bind 127.0.0.1\n elchi {\n  endpoint %s\n  secret %s\n %s\n }\n file %s\n}\n", c.URL, secret, fall, file))
		for _, typ := range []uint16{dns.TypeA, dns.TypeTXT} {
			if m := i.Ask(label(0)+".gslb.elchi.", typ); !m.Truncated {
				t.Errorf("%s %s: %s", fall, dns.TypeToString[typ], rig.Short(m))
			}
			code := dns.RcodeSuccess
			if typ == dns.TypeA && fall == "" {
				code = dns.RcodeNameError // of the target, which is ours to deny
			}
			if m := i.AskOver("tcp", label(0)+".gslb.elchi.", typ); len(m.Answer) != 9 || m.Rcode != code {
				t.Errorf("%s %s: %s", fall, dns.TypeToString[typ], rig.Short(m))
			}
		}
		i.Stop()
	}
}

// TestReload has the webhook and the records survive.
func TestReload(t *testing.T) {
	c := newController(t, records)
	text := func(more string) string {
		return fmt.Sprintf("gslb.elchi:0 {\n bind 127.0.0.1\n elchi {\n  endpoint %s\n  secret %s\n  webhook 127.0.0.1:0\n %s\n }\n}\n", c.URL, secret, more)
	}
	i := rig.Start(t, text(""))
	notify := func(name string) {
		t.Helper()
		body := fmt.Sprintf(`{"records": [{"name": %q, "type": "A", "ttl": 30, "ips": ["192.0.2.77"]}], "deletes": [{"name": "europe.gslb.elchi", "type": "A"}]}`, name)
		r, err := http.NewRequest(http.MethodPost, rig.Door(t, doors.Each)+api.NotifyPath, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(api.SecretHeader, secret)
		resp, err := http.DefaultClient.Do(r)
		if code, v := decode[api.Notified](t, resp, err); code != http.StatusOK || v.Updated != 1 {
			t.Fatalf("%d %+v", code, v)
		}
		if s := rig.Short(i.Ask(name+".", dns.TypeA)); s != "NOERROR A/30/192.0.2.77" {
			t.Fatalf("%s: %s", name, s)
		}
	}
	notify("pushed1.gslb.elchi")
	before := rig.Door(t, doors.Each)
	if err := i.Reload(text("fallthrough")); err != nil {
		t.Fatal(err)
	}
	if rig.Door(t, doors.Each) != before {
		t.Error("the webhook has another socket now")
	}
	// What was pushed is still there: the edge went on.
	if s := rig.Short(i.Ask("pushed1.gslb.elchi.", dns.TypeA)); s != "NOERROR A/30/192.0.2.77" {
		t.Error(s)
	}
	notify("pushed2.gslb.elchi")
	if n := len(c.requests()); n != 1 {
		t.Errorf("the controller was asked %d times: %v", n, c.requests())
	}

	// A reload that fails changes nothing.
	for _, bad := range []string{"ttl none", "webhook 192.0.2.1:1"} {
		if err := i.Reload(text(bad)); err == nil {
			t.Fatalf("%s was taken", bad)
		}
		notify("pushed3.gslb.elchi")
	}

	// Another statement fetches anew, and answers meanwhile.
	if err := i.Reload(text("ttl 77")); err != nil {
		t.Fatal(err)
	}
	if s := rig.Short(i.Ask("listener1.gslb.elchi.", dns.TypeA)); s != "NOERROR A/300/192.168.1.10 A/300/192.168.1.11" {
		t.Error(s)
	}
	i.Stop()
	doors.Each(func(a string) { t.Errorf("a listener is left at %s", a) })
}

// TestWebhookOfSeveral has two blocks with one address.
func TestWebhookOfSeveral(t *testing.T) {
	c := newController(t, records)
	block := fmt.Sprintf(" {\n bind 127.0.0.1\n elchi {\n  endpoint %s\n  secret %s\n  webhook 127.0.0.1:0\n }\n}\n", c.URL, secret)
	rig.Start(t, "one.test:0"+block+"two.test:0"+block)
	resp, err := http.Get(rig.Door(t, doors.Each) + api.HealthPath)
	if code, v := decode[api.Healths](t, resp, err); code != http.StatusOK || len(v.Zones) != 2 {
		t.Errorf("%d %+v", code, v)
	}
	resp, err = http.Get(rig.Door(t, doors.Each) + api.HealthPath + "?zone=two.test")
	if code, v := decode[api.Health](t, resp, err); code != http.StatusOK || v.Zone != "two.test" || v.Status != api.EdgeHealthy {
		t.Errorf("%d %+v", code, v)
	}
}

// TestWebhookOverFailedReload has two blocks with one address, of different zones and of the
// same one, and reloads that fail when other edges have begun for some or for all: what is
// pushed comes to those that answer.
func TestWebhookOverFailedReload(t *testing.T) {
	c := newController(t, records)
	c.shuns = "192.0.2.99"
	for _, zones := range [][2]string{{"one.test", "two.test"}, {"one.test", "one.test"}} {
		text := func(first, second, more string) string {
			out := ""
			for i, node := range []string{first, second} {
				out += fmt.Sprintf("%s:0 {\n bind 127.0.0.%d\n elchi {\n  endpoint %s\n  secret %s\n  webhook 127.0.0.1:0\n  node_ip %s\n }\n}\n", zones[i], i+1, c.URL, secret, node)
			}
			return out + more
		}
		const node = "192.0.2.9"
		fails := fmt.Sprintf("three.test:0 {\n bind 127.0.0.1\n elchi {\n  endpoint %s\n  secret %s\n  webhook 192.0.2.1:1\n }\n}\n", c.URL, secret)
		i := rig.Start(t, text(node, node, ""))
		for n, bad := range []string{text(c.shuns, c.shuns, fails), text(node, c.shuns, fails), text(c.shuns, node, fails)} {
			if err := i.Reload(bad); err == nil {
				t.Fatal("it was taken")
			}
			for _, zone := range zones {
				name := fmt.Sprintf("pushed%d.%s", n, zone)
				body := fmt.Sprintf(`{"records":[{"name":%q,"type":"A","ttl":60,"ips":["192.0.2.77"]}]}`, name)
				rig.Until(t, "nobody takes "+name, func() bool {
					req, err := http.NewRequest(http.MethodPost, rig.Door(t, doors.Each)+api.NotifyPath, strings.NewReader(body))
					if err != nil {
						t.Fatal(err)
					}
					req.Header.Set(api.SecretHeader, secret)
					resp, err := http.DefaultClient.Do(req)
					code, _ := decode[api.Notified](t, resp, err)
					return code == http.StatusOK
				})
				for _, server := range i.Servers() { // in no order
					got, err := dns.Exchange(new(dns.Msg).SetQuestion(name+".", dns.TypeA), server.LocalAddr().String())
					if err != nil || rig.Short(got) != "NOERROR A/60/192.0.2.77" && (zones[0] == zones[1] || got.Rcode != dns.RcodeRefused) {
						t.Errorf("%v: %v", got, err)
					}
				}
			}
		}
		i.Stop()
	}
}

// TestWebhookOfOneZone has a zone at two addresses, in one block and in two with the same in
// them: what is pushed is answered at both.
func TestWebhookOfOneZone(t *testing.T) {
	c := newController(t, records)
	block := fmt.Sprintf(" {\n bind 127.0.0.1\n elchi {\n  endpoint %s\n  secret %s\n  webhook 127.0.0.1:0\n }\n}\n", c.URL, secret)
	for _, text := range []string{
		"gslb.elchi:0 tls://GSLB.elchi.:0" + block,
		"gslb.elchi:0" + block + "gslb.elchi:0" + strings.Replace(block, "127.0.0.1", "127.0.0.2", 1),
	} {
		i := rig.Start(t, text)
		body := `{"records":[{"name":"pushed.gslb.elchi","type":"A","ttl":60,"ips":["192.0.2.77"]}]}`
		req, err := http.NewRequest(http.MethodPost, rig.Door(t, doors.Each)+api.NotifyPath, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(api.SecretHeader, secret)
		resp, err := http.DefaultClient.Do(req)
		if code, v := decode[api.Notified](t, resp, err); code != http.StatusOK || v.Updated != 1 || len(v.Refused) != 0 {
			t.Errorf("%d %+v", code, v)
		}
		if n := len(i.Servers()); n != 2 {
			t.Fatalf("%d servers", n)
		}
		for _, s := range i.Servers() {
			if s.LocalAddr() == nil {
				continue // no UDP
			}
			got, err := dns.Exchange(new(dns.Msg).SetQuestion("pushed.gslb.elchi.", dns.TypeA), s.LocalAddr().String())
			if err != nil || rig.Short(got) != "NOERROR A/60/192.0.2.77" {
				t.Errorf("%v %v: %v", s.LocalAddr(), got, err)
			}
		}
		resp, err = http.Get(rig.Door(t, doors.Each) + api.HealthPath)
		if code, v := decode[api.Health](t, resp, err); code != http.StatusOK || v.Zone != "gslb.elchi" || v.Status != api.EdgeHealthy {
			t.Errorf("%d %+v", code, v)
		}
		i.Stop()
	}
	_, err := caddy.Start(rig.Corefile("gslb.elchi:0" + block + "gslb.elchi:0" + strings.Replace(block, "127.0.0.1\n elchi {\n", "127.0.0.2\n elchi {\n  ttl 7\n", 1)))
	if err == nil || !strings.Contains(err.Error(), "several blocks have the zone gslb.elchi. and do not say the same of it") {
		t.Error(err)
	}
}

// TestViews has one zone in two views, over a reload too.
func TestViews(t *testing.T) {
	text := ""
	for address, expr := range map[string]string{"192.0.2.1": "do()", "192.0.2.2": "!do()"} {
		c := newController(t, fmt.Sprintf(`[{"name": "www.ZONE", "type": "A", "ttl": 60, "ips": [%q]}]`, address))
		text += fmt.Sprintf("gslb.elchi:0 {\n bind 127.0.0.1\n view v%s {\n  expr %s\n }\n elchi {\n  endpoint %s\n  secret %s\n }\n}\n", address, expr, c.URL, secret)
	}
	i := rig.Start(t, text)
	for range 2 {
		for address, do := range map[string]bool{"192.0.2.1": true, "192.0.2.2": false} {
			got := i.Ask("www.gslb.elchi.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, do) })
			if s := rig.Short(got); s != "NOERROR A/60/"+address {
				t.Errorf("the view of %s: %s", address, s)
			}
		}
		if err := i.Reload(text); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDataDirOfSeveral has two blocks keep one zone in one directory: the same records, as
// with a block for each transport, and others, as with views.
func TestDataDirOfSeveral(t *testing.T) {
	one, other := newController(t, records), newController(t, records)
	dir := t.TempDir()
	block := func(view string, c *controller) string {
		return fmt.Sprintf("gslb.elchi:0 {\n bind 127.0.0.1\n view %s {\n  expr true\n }\n elchi {\n  endpoint %s\n  secret %s\n  data_dir %s\n }\n}\n", view, c.URL, secret, dir)
	}
	rig.Start(t, block("a", one)+block("b", one)).Stop()
	_, err := caddy.Start(rig.Corefile(block("a", one) + block("b", other)))
	if err == nil || !strings.Contains(err.Error(), "Corefile:21 - Error during parsing: several blocks keep the zone gslb.elchi. in "+dir) {
		t.Error(err)
	}
}

// TestReady has a block before its start, with records, and after its end.
func TestReady(t *testing.T) {
	c := newController(t, records)
	s, err := setUp(fmt.Sprintf("elchi {\n endpoint %s\n secret %s\n}", c.URL, secret))
	if err != nil {
		t.Fatal(err)
	}
	e := &Elchi{block: &block{statement: s, all: &blocks{n: 1}}}
	e.block.Attach(caddy.NewTestController("dns", ""), e.Name(), e.block.begin)
	if e.Ready() {
		t.Error("ready before the start")
	}
	if err := e.block.begin(); err != nil {
		t.Fatal(err)
	}
	if !e.Ready() {
		t.Error("not ready with records")
	}
	if err := e.block.End(); err != nil {
		t.Error(err)
	}
}

// TestSigned has CoreDNS's plugin dnssec sign the answers.
func TestSigned(t *testing.T) {
	c := newController(t, records)
	base, signed := rig.Key(t, "gslb.elchi.")
	i := rig.Start(t, fmt.Sprintf("gslb.elchi:0 {\n bind 127.0.0.1\n dnssec {\n  key file %s\n }\n elchi {\n  endpoint %s\n  secret %s\n }\n}\n", base, c.URL, secret))
	for name, typ := range map[string]uint16{"listener1.gslb.elchi.": dns.TypeA, "listener3.gslb.elchi.": dns.TypeAAAA} {
		got := i.Ask(name, typ, func(m *dns.Msg) { m.SetEdns0(1232, true) })
		if !signed(got) {
			t.Errorf("%s: %v", name, got.Answer)
		}
	}
	denied := i.Ask("listener1.gslb.elchi.", dns.TypeAAAA, func(m *dns.Msg) { m.SetEdns0(1232, true) })
	if s := rig.Short(denied); !strings.Contains(s, "+NSEC") || !strings.Contains(s, "+RRSIG") {
		t.Errorf("nobody can prove it: %s", s)
	}
}

// TestLane has queries come by a lane, be handed over where the next plugin may have
// what is asked for, and counted once either way.
func TestLane(t *testing.T) {
	c := newController(t, records)
	i := rig.Start(t, fmt.Sprintf("lane.test:0 {\n bind 127.0.0.1\n elchi {\n  endpoint %s\n  secret %s\n  fallthrough\n }\n forward . 127.0.0.1:1\n}\n", c.URL, secret))
	rig.Until(t, "there is no lane", func() bool { return rig.Metric(t, "coredns_lane_sockets", "server=dns://127.0.0.1:0") == 1 })
	to := func(who string) float64 { return rig.Metric(t, "coredns_lane_datagrams_total", "to="+who) }
	for _, q := range []struct {
		name string
		typ  uint16
		to   string
		code int
	}{
		{"default.lane.test.", dns.TypeA, "lane", dns.RcodeSuccess},
		{"asia.lane.test.", dns.TypeCNAME, "lane", dns.RcodeSuccess},
		{"asia.lane.test.", dns.TypeAAAA, "coredns", dns.RcodeSuccess},        // a CNAME to what may have some
		{"default.lane.test.", dns.TypeMX, "coredns", dns.RcodeServerFailure}, // nobody knows whether it has some
		{"none.lane.test.", dns.TypeA, "coredns", dns.RcodeServerFailure},     // of the next plugin
	} {
		before := to(q.to)
		asked := rig.Metric(t, "coredns_elchi_requests_total", "zone=lane.test.")
		if got := i.Ask(q.name, q.typ); got.Rcode != q.code {
			t.Errorf("%s: %v", q.name, got)
		}
		rig.Until(t, q.name+" has not come to "+q.to, func() bool { return to(q.to) == before+1 })
		if n := rig.Metric(t, "coredns_elchi_requests_total", "zone=lane.test."); n != asked+1 {
			t.Errorf("%s is counted %v times", q.name, n-asked)
		}
	}
}
