//go:build linux

package interop

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// resolver is unbound, as strict as it can be.
type resolver struct {
	t    testing.TB
	port string
	logs logBuffer
	a    *asker
	// stop ends it, as the end of the test does.
	stop  func()
	ended chan struct{}
}

// strict is what every resolver here has in its configuration: the query names
// are minimised and spelled in random case, and what does not fit is dropped.
const strict = `server:
  interface: 127.0.0.1@%[1]s
  username: ""
  chroot: ""
  directory: %[2]q
  pidfile: ""
  use-syslog: no
  logfile: ""
  do-daemonize: no
  do-ip6: no
  verbosity: 3
  val-log-level: 2
  log-servfail: yes
  ede: yes
  do-not-query-localhost: no
  local-zone: "test." nodefault
  rrset-roundrobin: no
  qname-minimisation: yes
  qname-minimisation-strict: yes
  use-caps-for-id: yes
  harden-below-nxdomain: yes
  harden-dnssec-stripped: yes
  harden-referral-path: yes
  harden-large-queries: yes
  aggressive-nsec: yes
  unwanted-reply-threshold: 1
remote-control:
  control-enable: no
`

// inFront starts unbound on a port, with more configuration, and waits until it
// answers.
func inFront(t testing.TB, port, more string) *resolver {
	t.Helper()
	unbound := program(t, "unbound")
	dir := t.TempDir()
	r := &resolver{t: t, port: port, ended: make(chan struct{})}
	cmd := exec.Command(unbound, "-d", "-c", write(t, filepath.Join(dir, "unbound.conf"), fmt.Sprintf(strict, port, dir)+more))
	cmd.Stdout, cmd.Stderr = &r.logs, &r.logs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.a = newAsker(t, &peer{port: port})
	go func() {
		_ = cmd.Wait()
		close(r.ended)
	}()
	r.stop = sync.OnceFunc(func() {
		r.a.close()
		_ = cmd.Process.Kill()
		<-r.ended
	})
	t.Cleanup(r.stop)
	r.ask("localhost.", dns.TypeA) // which it knows by itself
	return r
}

// ask asks as a client that wants to see signatures, until there is an answer.
func (r *resolver) ask(name string, qtype uint16, options ...dns.EDNS0) *dns.Msg {
	r.t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.AuthenticatedData = true
	m.SetEdns0(1232, true)
	m.IsEdns0().Option = options
	var got *dns.Msg
	var err error
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		r.a.id++
		m.Id = r.a.id
		wire, err2 := m.Pack()
		if err2 != nil {
			r.t.Fatal(err2)
		}
		if got, err = r.a.exchange(wire); err == nil && got.Truncated {
			got, err = r.a.stream(wire)
		}
		if err == nil {
			return got
		}
		select {
		case <-r.ended:
			r.t.Fatalf("unbound has ended:\n%s", r.logs.String())
		default:
		}
	}
	r.t.Fatalf("%s %s: no answer: %v\n%s", name, dns.Type(qtype), err, r.logs.String())
	return nil
}

// reply is what a resolver's answer comes down to: the code, "AD" where it has
// validated the answer, and types and data of the records. Record sets are in
// order, and each is sorted.
func reply(m *dns.Msg) string {
	s := []string{dns.RcodeToString[m.Rcode]}
	if m.AuthenticatedData {
		s = append(s, "AD")
	}
	start, before := len(s), ""
	for _, rr := range m.Answer {
		h := rr.Header()
		if h.Rrtype == dns.TypeRRSIG {
			continue
		}
		if set := dns.CanonicalName(h.Name) + dns.Type(h.Rrtype).String(); set != before {
			start, before = len(s), set
		}
		s = append(s, dns.Type(h.Rrtype).String()+" "+strings.SplitN(rr.String(), "\t", 5)[4])
		slices.Sort(s[start:])
	}
	return strings.Join(s, " | ")
}

// wants asks, and compares the answer.
func (r *resolver) wants(q asked) {
	r.t.Helper()
	m := r.ask(q.name, typeOf(q.qtype))
	if got := reply(m); got != q.want {
		r.t.Errorf("%s %s: %s\nwant %s\n%s", q.name, q.qtype, got, q.want, m)
	}
	if m.Rcode != dns.RcodeServerFailure && len(m.Answer) == 0 && !hasSOA(m) {
		r.t.Errorf("%s %s: no SOA:\n%s", q.name, q.qtype, m)
	}
}

// typeOf is a type by its name; what has none is unknownType.
func typeOf(name string) uint16 {
	if t, ok := dns.StringToType[name]; ok {
		return t
	}
	return unknownType
}

func hasSOA(m *dns.Msg) bool {
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == dns.TypeSOA {
			return true
		}
	}
	return false
}

// complaint is what unbound logs when it does not like an answer. That it removes
// from an answer what a CNAME leads to is none: it asks for that itself, whoever
// answers.
var complaint = regexp.MustCompile(`(?im)^.*(` + strings.Join([]string{
	`query response .*lame`, `mark (rec_)?lame`, `lame server`, // the server does not have the zone
	`capsforid`, `0x20`, // the question does not come back as it was sent
	`bogus`, `validation failure`, `could not establish`, // the proofs do not hold
	`throwaway`, `scrub`, `poison reference`, `overreaching`, `parse error`, `unknown type`, // what is in the answer does not belong there
	`unwanted reply`, `servfail`, `ssl`, `tcp error`,
}, "|") + `).*$`)

// content fails where unbound has complained, but for what is to be expected.
func (r *resolver) content(but ...*regexp.Regexp) {
	r.t.Helper()
	text := r.logs.String()
	for _, b := range but {
		text = b.ReplaceAllString(text, "")
	}
	if found := complaint.FindAllString(text, 20); len(found) > 0 {
		r.t.Errorf("unbound complains:\n%s", strings.Join(found, "\n"))
	}
}

// sent is whether unbound has sent a question upstream.
func (r *resolver) sent(question string) bool {
	return strings.Contains(r.logs.String(), "sending query: "+question+" IN")
}

// stub is the configuration of a zone that a server on a port has.
func stub(zone, port string) string {
	return fmt.Sprintf("stub-zone:\n  name: %q\n  stub-addr: 127.0.0.1@%s\n", zone, port)
}

// relay is a server in front of one on a port; see is given each question and its
// answer, which it may change. Over UDP only.
func relay(t *testing.T, port string, see func(q, a *dns.Msg)) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		if a, err := dns.Exchange(q, "127.0.0.1:"+port); err == nil {
			see(q, a)
			_ = w.WriteMsg(a)
		}
	})}
	ended := make(chan error, 1)
	go func() { ended <- s.ActivateAndServe() }()
	t.Cleanup(func() {
		_ = pc.Close()
		<-ended
	})
	return strconv.Itoa(pc.LocalAddr().(*net.UDPAddr).Port)
}

// near is a node with services, far one that a name of it is delegated to. The
// first is at 127.0.0.13 and the second at 127.0.0.14, as far as anybody asks
// them there.
const near = `
dns: {listen: [127.0.0.1:0%s], resolvers: ["127.0.0.1:%s"]%s}
pools:
  eu: {endpoints: [192.0.2.1, {address: "2001:db8::1"}]}
  v4: {endpoints: [192.0.2.4]}
  many: {endpoints: [%s]}
  cdn: {endpoints: [www.far.test]}
  sip: {endpoints: [{address: 192.0.2.60, port: 5070}, {address: www.far.test, weight: 20}]}
zones:
  gslb.test:
    nameservers: {ns: 127.0.0.13}
    services:
      "@": {pools: [cdn], https: {alpn: [h3, h2]}}
      www: {pools: [eu], ttl: 20, https: {alpn: [h3, h2], port: 8443}, txt: [hello]}
      v4: {pools: [v4]}
      many: {pools: [many], answers: 0}
      cdn: {pools: [cdn]}
      a.b.c.deep: {pools: [eu]}
      _sip._udp: {pools: [sip], srv: {port: 5060}, answers: 0}
      "*.apps": {pools: [eu]}
      fixed.apps: {pools: [v4]}
    records:
      - "@ MX 10 mail"
      - "mail A 192.0.2.25"
      - "www CAA 0 issue ca.example"
      - "one CNAME two"
      - "two CNAME www"
      - "over CNAME www.near.test."
      - "beyond CNAME www.far.test."
      - "into CNAME www.child"
      - "gone CNAME none.near.test."
      - "*.alias CNAME www"
      - "d DNAME near.test."
      - "e DNAME c.deep"
      - "x TYPE65280 \\# 2 0001"
      - "child NS ns.child"
      - "ns.child A 127.0.0.14"
  near.test:
    records:
      - "@ SOA ns hostmaster 1 3600 600 604800 60"
      - "@ NS ns"
      - "ns A 127.0.0.13"
      - "www A 192.0.2.7"
      - "back CNAME v4.gslb.test."
      - 'big TXT %s'
`

const far = `
dns: {listen: [127.0.0.1:0%s]}
zones:
  far.test:
    records:
      - "@ SOA ns hostmaster 1 3600 600 604800 60"
      - "@ NS ns"
      - "ns A 127.0.0.14"
      - "www A 192.0.2.9"
      - "www AAAA 2001:db8::9"
      - "back CNAME www.gslb.test."
  child.gslb.test:
    records:
      - "@ SOA ns hostmaster 1 3600 600 604800 60"
      - "@ NS ns"
      - "ns A 127.0.0.14"
      - "www A 192.0.2.5"
      - "*.w TXT wild"
`

// bigText is the strings of a TXT record of 3 KB.
func bigText() string {
	var s []string
	for i := range 12 {
		s = append(s, fmt.Sprintf("%q", strings.Repeat(string(rune('a'+i)), 250)))
	}
	return strings.Join(s, " ")
}

func addresses() string {
	var all []string
	for i := range 100 {
		all = append(all, fmt.Sprintf("198.51.100.%d", i+1))
	}
	return strings.Join(all, ", ")
}

// asked is a question to a resolver, and what the reply must be.
type asked struct{ name, qtype, want string }

// resolved are names of near and far, and what a resolver must say of them.
var resolved = []asked{
	{"www.gslb.test.", "A", "NOERROR | A 192.0.2.1"},
	{"wWw.gSlB.tEsT.", "AAAA", "NOERROR | AAAA 2001:db8::1"},
	{"www.gslb.test.", "HTTPS", `NOERROR | HTTPS 1 . alpn="h3,h2" port="8443" ipv4hint="192.0.2.1" ipv6hint="2001:db8::1"`},
	{"www.gslb.test.", "TXT", `NOERROR | TXT "hello"`},
	{"www.gslb.test.", "CAA", `NOERROR | CAA 0 issue "ca.example"`},
	{"www.gslb.test.", "MX", "NOERROR"},
	{"v4.gslb.test.", "AAAA", "NOERROR"},
	{"v4.gslb.test.", "A", "NOERROR | A 192.0.2.4"},
	{"none.v4.gslb.test.", "A", "NXDOMAIN"},
	{"none.gslb.test.", "HTTPS", "NXDOMAIN"},
	{"a.none.gslb.test.", "A", "NXDOMAIN"},
	{"gslb.test.", "A", "NOERROR | A 192.0.2.9"},
	{"gslb.test.", "AAAA", "NOERROR | AAAA 2001:db8::9"},
	{"gslb.test.", "HTTPS", `NOERROR | HTTPS 1 . alpn="h3,h2" ipv4hint="192.0.2.9" ipv6hint="2001:db8::9"`},
	{"gslb.test.", "MX", "NOERROR | MX 10 mail.gslb.test."},
	{"gslb.test.", "NS", "NOERROR | NS ns.gslb.test."},
	{"gslb.test.", "TXT", "NOERROR"},
	{"cdn.gslb.test.", "A", "NOERROR | CNAME www.far.test. | A 192.0.2.9"},
	{"cdn.gslb.test.", "MX", "NOERROR | CNAME www.far.test."},
	{"_sip._udp.gslb.test.", "SRV", "NOERROR | SRV 0 100 5070 192-0-2-60.gslb.test. | SRV 0 20 5060 www.far.test."},
	{"192-0-2-60.gslb.test.", "A", "NOERROR | A 192.0.2.60"},
	{"_udp.gslb.test.", "A", "NOERROR"},
	{"a.b.c.deep.gslb.test.", "A", "NOERROR | A 192.0.2.1"},
	{"a.b.c.deep.gslb.test.", "TXT", "NOERROR"},
	{"b.c.deep.gslb.test.", "A", "NOERROR"},
	{"deep.gslb.test.", "A", "NOERROR"},
	{"a.a.b.c.deep.gslb.test.", "A", "NXDOMAIN"},
	{"x.y.z.c.deep.gslb.test.", "A", "NXDOMAIN"},
	{"a.apps.gslb.test.", "A", "NOERROR | A 192.0.2.1"},
	{"a.b.c.apps.gslb.test.", "AAAA", "NOERROR | AAAA 2001:db8::1"},
	{"a.b.c.apps.gslb.test.", "TXT", "NOERROR"},
	{"apps.gslb.test.", "A", "NOERROR"},
	{"*.apps.gslb.test.", "A", "NOERROR | A 192.0.2.1"},
	{"fixed.apps.gslb.test.", "A", "NOERROR | A 192.0.2.4"},
	{"fixed.apps.gslb.test.", "AAAA", "NOERROR"},
	{"a.fixed.apps.gslb.test.", "A", "NXDOMAIN"},
	{"one.gslb.test.", "A", "NOERROR | CNAME two.gslb.test. | CNAME www.gslb.test. | A 192.0.2.1"},
	{"one.gslb.test.", "MX", "NOERROR | CNAME two.gslb.test. | CNAME www.gslb.test."},
	{"one.gslb.test.", "CNAME", "NOERROR | CNAME two.gslb.test."},
	{"over.gslb.test.", "A", "NOERROR | CNAME www.near.test. | A 192.0.2.7"},
	{"back.near.test.", "A", "NOERROR | CNAME v4.gslb.test. | A 192.0.2.4"},
	{"beyond.gslb.test.", "AAAA", "NOERROR | CNAME www.far.test. | AAAA 2001:db8::9"},
	{"back.far.test.", "AAAA", "NOERROR | CNAME www.gslb.test. | AAAA 2001:db8::1"},
	{"into.gslb.test.", "A", "NOERROR | CNAME www.child.gslb.test. | A 192.0.2.5"},
	{"gone.gslb.test.", "A", "NXDOMAIN | CNAME none.near.test."},
	{"a.b.alias.gslb.test.", "A", "NOERROR | CNAME www.gslb.test. | A 192.0.2.1"},
	{"www.d.gslb.test.", "A", "NOERROR | DNAME near.test. | CNAME www.near.test. | A 192.0.2.7"},
	{"none.d.gslb.test.", "A", "NXDOMAIN | DNAME near.test. | CNAME none.near.test."},
	{"back.d.gslb.test.", "A", "NOERROR | DNAME near.test. | CNAME back.near.test. | CNAME v4.gslb.test. | A 192.0.2.4"},
	{"d.gslb.test.", "DNAME", "NOERROR | DNAME near.test."},
	{"d.gslb.test.", "A", "NOERROR"},
	{"a.b.e.gslb.test.", "A", "NOERROR | DNAME c.deep.gslb.test. | CNAME a.b.c.deep.gslb.test. | A 192.0.2.1"},
	{"b.e.gslb.test.", "A", "NOERROR | DNAME c.deep.gslb.test. | CNAME b.c.deep.gslb.test."},
	{"x.gslb.test.", "TYPE65280", `NOERROR | TYPE65280 \# 2 0001`},
	{"www.child.gslb.test.", "A", "NOERROR | A 192.0.2.5"},
	{"a.b.w.child.gslb.test.", "TXT", `NOERROR | TXT "wild"`},
	{"none.child.gslb.test.", "A", "NXDOMAIN"},
	{"child.gslb.test.", "NS", "NOERROR | NS ns.child.gslb.test."},
	{"child.gslb.test.", "A", "NOERROR"},
	{"child.gslb.test.", "DS", "NOERROR"},
	{"big.near.test.", "TXT", "NOERROR | TXT " + bigText()},
	{"many.gslb.test.", "A", "NOERROR | A " + strings.Join(sorted(strings.Split(addresses(), ", ")), " | A ")},
}

// place is what near or far has besides: addresses to listen at, keys of the
// section dns, zones.
type place struct{ listen, options, zones string }

// nodes starts near and far.
func nodes(t testing.TB, nearby, away place) (n, f *node) {
	t.Helper()
	f = serve(t, config(t, fmt.Sprintf(far, away.listen)+away.zones))
	n = serve(t, config(t, fmt.Sprintf(near, nearby.listen, f.port, nearby.options, addresses(), bigText())+nearby.zones))
	// Until it knows the addresses of www.far.test.
	n.until("192.0.2.9", "gslb.test", "A")
	n.until("2001:db8::9", "gslb.test", "AAAA")
	return n, f
}

// TestUnbound asks through a resolver, which takes no answer that breaks a rule.
func TestUnbound(t *testing.T) {
	program(t, "unbound")
	crt, key := certificate(t)
	n, f := nodes(t, place{options: ", tls: {listen: [127.0.0.1:0], cert: " + crt + ", key: " + key + "}"}, place{})
	ours := func(port string) string { return stub("gslb.test", port) + stub("near.test", port) }
	for _, c := range []struct{ name, transport, text string }{
		{"plain", "udp", ours(n.port)},
		{"over TCP", "tcp", "server:\n  tcp-upstream: yes\n" + ours(n.port)},
		{"over TLS", "tls", "server:\n  tls-cert-bundle: " + crt + "\n" +
			strings.ReplaceAll(ours(n.tlsPort()+"#ns1.interop.test"), "  stub-addr", "  stub-tls-upstream: yes\n  stub-addr")},
		{"client subnets", "udp", "server:\n  module-config: \"subnetcache validator iterator\"\n  send-client-subnet: 127.0.0.1\n" + ours(n.port)},
	} {
		t.Run(c.name, func(t *testing.T) {
			queries := func(transport string) float64 {
				return metric(t, `rhumb_dns_queries_total{.*transport="`+transport+`".*}`, n)
			}
			before := map[string]float64{}
			for _, transport := range []string{"udp", "tcp", "tls"} {
				before[transport] = queries(transport)
			}
			r := inFront(t, freePort(t), c.text+stub("far.test", f.port)+stub("child.gslb.test", f.port))
			for _, q := range resolved {
				r.wants(q)
			}
			r.content()
			for transport, b := range before {
				got := queries(transport) - b
				switch {
				case transport == c.transport && got < float64(len(resolved))/2,
					transport != c.transport && got > 0 && (transport != "tcp" || c.transport != "udp"),
					transport == "tcp" && c.transport == "udp" && got < 2: // what is truncated
					t.Errorf("%v queries over %s", got, transport)
				}
			}
			for _, q := range []string{"apps.gslb.test. A", "none.gslb.test. A", "z.c.deep.gslb.test. A"} {
				if !r.sent(q) {
					t.Errorf("%s was not asked: query names are not minimised", q)
				}
			}
		})
	}
}

// TestUnboundComplains shows that a fault is seen: a server that does not give the
// question back byte for byte.
func TestUnboundComplains(t *testing.T) {
	program(t, "unbound")
	n := serve(t, config(t, zoneText()))
	r := inFront(t, freePort(t), stub("interop.test", relay(t, n.port, func(_, a *dns.Msg) {
		a.Question[0].Name = strings.ToLower(a.Question[0].Name)
	})))
	r.ask("a-name-with-some-letters.interop.test.", dns.TypeA)
	if !complaint.MatchString(r.logs.String()) {
		t.Errorf("unbound has not seen that the case was lost:\n%s", r.logs.String())
	}
}

// TestUnboundSubnets has clients of different networks ask for the same: unbound
// tells us their networks, and learns that the answer is for everybody.
func TestUnboundSubnets(t *testing.T) {
	program(t, "unbound")
	n := serve(t, config(t, zoneText()))
	var mu sync.Mutex
	subnets := map[string][]string{} // by question
	through := relay(t, n.port, func(q, a *dns.Msg) {
		mu.Lock()
		defer mu.Unlock()
		key := strings.ToLower(q.Question[0].Name) + " " + dns.Type(q.Question[0].Qtype).String()
		subnets[key] = append(subnets[key], subnetOf(q))
		if want := subnetOf(q); want != "" && subnetOf(a) != want+" for 0" {
			t.Errorf("%s: %q comes back as %q", key, want, subnetOf(a))
		}
	})
	r := inFront(t, freePort(t), "server:\n  module-config: \"subnetcache validator iterator\"\n  send-client-subnet: 127.0.0.1\n"+stub("interop.test", through))
	for _, q := range []asked{
		{"www.interop.test.", "AAAA", "NOERROR | AAAA 2001:db8::1"},
		{"v4.interop.test.", "AAAA", "NOERROR"},
		{"none.interop.test.", "A", "NXDOMAIN"},
		{"interop.test.", "NS", "NOERROR | NS ns1.interop.test."},
		{"cdn.interop.test.", "CNAME", "NOERROR | CNAME edge.example.net."},
	} {
		for _, client := range []string{"192.0.2.0/24", "198.51.100.0/25", "198.51.100.128/25", "2001:db8::/32", "0.0.0.0/0", ""} {
			var options []dns.EDNS0
			if client != "" {
				options = append(options, subnet(client))
			}
			if got := reply(r.ask(q.name, typeOf(q.qtype), options...)); got != q.want {
				t.Errorf("%s %s for %q: %s, want %s", q.name, q.qtype, client, got, q.want)
			}
		}
		mu.Lock()
		// The first client of each family is told of, and no other.
		if got := subnets[q.name+" "+q.qtype]; !slices.Equal(got, []string{"192.0.2.0/24", "2001:db8::/32"}) {
			t.Errorf("%s %s was asked for %q: the answer is not for everybody", q.name, q.qtype, got)
		}
		mu.Unlock()
	}
	r.content()
}

// subnet is the option of a client's network.
func subnet(network string) dns.EDNS0 {
	p := netip.MustParsePrefix(network)
	o := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(p.Bits()), Address: p.Addr().AsSlice()}
	if p.Addr().Is6() {
		o.Family = 2
	}
	return o
}

// subnetOf is the option of a message; its scope too, where it is an answer.
func subnetOf(m *dns.Msg) string {
	opt := m.IsEdns0()
	if opt == nil {
		return ""
	}
	for _, o := range opt.Option {
		if s, ok := o.(*dns.EDNS0_SUBNET); ok {
			text := fmt.Sprintf("%s/%d", s.Address, s.SourceNetmask)
			if m.Response {
				text += fmt.Sprintf(" for %d", s.SourceScope)
			}
			return text
		}
	}
	return ""
}
