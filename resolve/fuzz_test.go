package resolve_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
)

// rich is a configuration with something of everything.
var rich = `
dns: {nsid: "` + strings.Repeat("n", 128) + `"}
checks: {c: {type: tcp, port: 1}}
pools:
  dual: {checks: [c], min_healthy: 2, endpoints: [192.0.2.1, {address: 192.0.2.2, tags: [a]}, {address: 192.0.2.3, weight: 0}, "2001:db8::1"]}
  down: {checks: [c], endpoints: [198.51.100.1, 198.51.100.2, "2001:db8::2"]}
  many: {endpoints: [` + addresses(250) + `]}
  toweb: {endpoints: [w.y.test, a.b.y.test]}
  toself: {endpoints: [loop.x.test]}
  tolong: {endpoints: [` + strings.Repeat("a.", 110) + `wild.y.test]}
zones:
  x.test:
    nameservers: {ns1: [192.0.2.53, "2001:db8::53"], ns2.example.: []}
    services:
      "@": {pools: [dual, down], steer: failover}
      w: {pools: [dual, down], steer: weighted, answers: 2, panic: 0.4}
      t: {pools: [dual], steer: [shuffle, tags: [a], limit: 1], answers: 0}
      m: {pools: [many], answers: 0}
      c: {pools: [toweb]}
      l: {pools: [tolong]}
      loop2: {pools: [toself]}
      d: {pools: [down], all_down: dual}
      f: {pools: [down], all_down: servfail}
      n: {pools: [down], all_down: nodata}
      h: {pools: [down], all_down: last-healthy}
      a.b.e: {pools: [dual]}
      "*.i": {pools: [dual]}
  y.test:
    nameservers: {ns1: 192.0.2.53}
    services: {w: {pools: [dual]}, a.b: {pools: [toself], ttl: 1}, "*.wild": {pools: [many], answers: 30}}
  s.y.test: {nameservers: {s.y.test.: 192.0.2.53}}
`

func richSnapshot(t testing.TB) *resolve.Snapshot {
	return compile(t, rich, "192.0.2.1", "198.51.100.1", "198.51.100.2", "2001:db8::2")
}

// FuzzAppend answers whatever packet over UDP and TCP: it never panics, and
// what comes out is sound.
func FuzzAppend(f *testing.F) {
	s := richSnapshot(f)
	for _, name := range []string{"x.test", "w.x.test", "M.x.test", "c.x.test", "l.x.test", "f.x.test", "i.i.x.test", "nope.x.test", "s.y.test", "loop2.x.test", "."} {
		for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeNS, dns.TypeDS, dns.TypeANY, dns.TypeSOA} {
			f.Add(query(f, name, typ, edns(512)))
			f.Add(query(f, name, typ))
		}
	}
	for _, line := range []string{"w.x.test A nsid ecs=203.0.113.0/24", "w.x.test A version=1", "x.test AXFR tsig", "x.test SOA opcode=4", "m.x.test A questions=2", "d.x.test A do cd rd ecs=2001:db8::/56 option=65001:00"} {
		f.Add(asked(f, strings.Fields(line)).Msg)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		for _, tr := range []dnswire.Transport{dnswire.UDP, dnswire.TCP} {
			q := parsed(msg, tr)
			out := s.Append(nil, q, resolve.NewScratch(1, 2))
			if len(out) == 0 {
				if len(msg) >= dnswire.HeaderLen && msg[2]&0x80 == 0 {
					t.Fatal("a query is not answered")
				}
				return
			}
			if len(out) > q.Limit() {
				t.Fatalf("%d octets; the client takes %d", len(out), q.Limit())
			}
			if len(q.Name()) > 0 && !textual(q.Name()) {
				// miekg/dns reads such names and writes them otherwise.
				if err := new(dns.Msg).Unpack(out); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if binary.BigEndian.Uint16(msg) != binary.BigEndian.Uint16(out) {
				t.Fatal("another ID")
			}
			sound(t, q, out)
		}
	})
}

// textual is whether a name has only letters, digits and a few more.
func textual(name []byte) bool {
	for len(name) > 1 {
		for _, c := range name[1 : 1+name[0]] {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '*' {
				return false
			}
		}
		name = name[1+name[0]:]
	}
	return true
}

// TestAllocatesNothing holds Append to no allocation, once its memory is warm.
func TestAllocatesNothing(t *testing.T) {
	s := richSnapshot(t)
	c := resolve.NewScratch(1, 2)
	buf := make([]byte, 0, dnswire.MaxTCP)
	for _, line := range []string{
		"x.test A edns", "x.test AAAA", "x.test NS edns", "x.test SOA", "x.test DS", "s.y.test DS", "ns1.x.test A",
		"w.x.test A edns", "w.x.test AAAA edns", "w.x.test MX edns", "W.X.test A nsid ecs=203.0.113.0/24", "t.x.test A",
		"m.x.test A", "m.x.test A tcp", "c.x.test A", "c.x.test AAAA edns", "l.x.test A tcp", "loop2.x.test A",
		"d.x.test A edns", "f.x.test A edns", "n.x.test A edns", "h.x.test A edns", "b.e.x.test A", "i.i.x.test A", "i.x.test A",
		"nope.x.test A edns", "nope.example A edns", "w.x.test ANY edns", "w.x.test A class=CH", "x.test AXFR tcp",
		"w.x.test A version=1", "x.test SOA opcode=4", "w.x.test A questions=2", "w.x.test A tsig",
	} {
		q := asked(t, strings.Fields(line))
		if n := testing.AllocsPerRun(50, func() {
			q.Parse(q.Msg)
			buf = s.Append(buf[:0], q, c)
		}); n != 0 {
			t.Errorf("%s allocates %v times", line, n)
		}
	}
}

// TestAllocatesNothingOverridden is the same with operators' words in the view,
// and more endpoints than there is room for at first.
func TestAllocatesNothingOverridden(t *testing.T) {
	s := compile(t, "pools: {p: {endpoints: ["+strings.ReplaceAll(addresses(250), "10.0.0.", "10.0.1.")+", "+addresses(250)+", "+strings.ReplaceAll(addresses(250), "10.0.0.", "10.0.2.")+`]}}
zones: {x.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [p], answers: 0, panic: 1}}}}
`)
	s.Health = states{}.overridden(t, s.Table, []health.Overriding{{Service: "www.x.test", Endpoint: "10.0.1.7"}})
	c := resolve.NewScratch(1, 2)
	buf := make([]byte, 0, dnswire.MaxTCP)
	q := asked(t, []string{"www.x.test", "A", "tcp"})
	if m := sound(t, q, s.Append(nil, q, c)); len(m.Answer) != 749 {
		t.Fatalf("%d records", len(m.Answer))
	}
	if n := testing.AllocsPerRun(50, func() { buf = s.Append(buf[:0], q, c) }); n != 0 {
		t.Errorf("allocates %v times", n)
	}
}
