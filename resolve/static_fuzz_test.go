package resolve_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
)

// wholeSnapshot has all that can be answered: services of every kind, static
// zones, and zones signed with NSEC, with NSEC3 and with opt-out.
func wholeSnapshot(t testing.TB) *resolve.Snapshot {
	t.Helper()
	config := `
dns: {nsid: ` + strings.Repeat("n", 128) + `, report_channel: ` + strings.Repeat("agent.", 38) + `example, chaos: {version: v, id: i}, require_cookie: true}
checks: {c: {type: tcp, port: 1}}
pools:
  p: {checks: [c], endpoints: [{address: 192.0.2.1, port: 5060}, 192.0.2.2, "2001:db8::1"]}
  h: {endpoints: [{address: h.example, port: 99}, www.s.test]}
  many: {endpoints: [` + addresses(100) + `]}
` + strings.TrimRight(statics, "\n") + `
      - loop CNAME pool
      - pool CNAME loop
      - grow DNAME a.grow
      - big TXT ` + strings.Repeat(strings.Repeat("x", 200)+" ", 100) + `
      - svc SVCB 1 mail alpn=h2
    services:
      "@": {pools: [p], https: {alpn: [h2]}, srv: {port: 5060}, txt: [t]}
      steered: {pools: [p], https: {alpn: [h2, h3]}}
      hosts: {pools: [h]}
      flat: {pools: [h, p], flatten: true, answers: 0, https: {}}
      _sip._udp: {pools: [p, h], srv: {port: 5060}}
      "*.any": {pools: [many], answers: 0}
  sub2.s.test: {nameservers: {ns1: 192.0.2.1}}
`
	common := []string{
		"@ 600 SOA ns1 h 7 2 3 4 300", "@ NS ns1", "ns1 A 192.0.2.1", "www A 192.0.2.1", "*.w TXT t", "a.*.v TXT t", "c CNAME www.w", "d DNAME w", "x.y TXT t",
		"i NS ns.i", "ns.i A 192.0.2.1", "j NS ns1", "j DS 1 13 2 " + strings.Repeat("00", 32), "i.k.k NS ns1", "out CNAME steered.s.test.", "in CNAME c.h.test.", "big TXT " + strings.Repeat(strings.Repeat("x", 200)+" ", 30),
	}
	return serve(t, config,
		sign(t, "n.test.", denial{}, common...),
		sign(t, "h.test.", denial{hashed: true, iterations: 2, salt: "ab"}, common...),
		sign(t, "o.test.", denial{hashed: true, optOut: true}, common...),
	)
}

// wholeQuestions are names and types that lead to every kind of answer.
func wholeQuestions() (lines []string) {
	for _, name := range []string{
		"s", "www.s", "a.wild.s", "nope.s", "www.sub.s", "c2.s", "www.d.s", "mail.s", "_x._tcp.s", "loop.s", "x.grow.s", "big.s", "svc.s", "steered.s", "hosts.s", "flat.s", "_sip._udp.s", "q.any.s", "sub2.s", "192-0-2-1._sip._udp.s",
		"n", "www.n", "z.w.n", "z.v.n", "y.n", "c.n", "z.d.n", "nope.n", "a.i.n", "a.j.n", "k.n", "in.n", "big.n",
		"h", "www.h", "z.w.h", "z.v.h", "y.h", "c.h", "z.d.h", "nope.nope.h", "a.i.h", "a.j.h", "k.h", "out.h", "big.h",
		"o", "z.w.o", "nope.o", "a.i.o", "i.o", "k.o", "q.k.o", "other",
	} {
		for _, typ := range []string{"A", "TXT", "HTTPS", "SRV", "MX", "NS", "DS", "ANY", "RRSIG"} {
			lines = append(lines, name+".test "+typ)
		}
	}
	return lines
}

// FuzzWhole answers whatever packet over every transport, with cookies in every
// state: it never panics, and what comes out is sound.
func FuzzWhole(f *testing.F) {
	s := wholeSnapshot(f)
	for i, line := range wholeQuestions() {
		options := []string{" do edns=512", " do", "", " edns nsid zoneversion padding cookie", " do edns=4096 ecs=203.0.113.0/24 cookie=valid", " do tcp keepalive padding"}[i%6]
		f.Add(asked(f, strings.Fields(line+options)).Msg)
	}
	for _, line := range []string{"version.bind TXT class=CH edns", ". A questions=0 cookie", ". A questions=0 cookie=0000000000000000", "s.test AXFR tcp", "s.test A tsig"} {
		f.Add(asked(f, strings.Fields(line)).Msg)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		c := resolve.NewScratch(1, 2)
		for i := range 9 {
			q := parsed(msg, []dnswire.Transport{dnswire.UDP, dnswire.TCP, dnswire.TLS}[i%3])
			q.IdleTimeout = uint16(i)
			if len(q.Cookie) > 0 {
				q.CookieState, q.ServerCookie = []dnswire.CookieState{dnswire.CookieNone, dnswire.CookieUnverified, dnswire.CookieValid}[i/3], serverCookie
			}
			whole(t, q, s.Append(nil, q, c))
		}
	})
}

// whole checks what holds of every answer.
func whole(t *testing.T, q *dnswire.Query, out []byte) {
	t.Helper()
	if len(out) == 0 {
		if q.Status != dnswire.StatusDrop {
			t.Fatal("a query is not answered")
		}
		return
	}
	if len(out) > q.Limit() {
		t.Fatalf("%d octets; the client takes %d", len(out), q.Limit())
	}
	if len(out) < dnswire.HeaderLen || binary.BigEndian.Uint16(out) != q.ID {
		t.Fatal("another ID")
	}
	if question := q.Msg[dnswire.HeaderLen:q.QuestionEnd]; string(out[dnswire.HeaderLen:][:len(question)]) != string(question) {
		t.Fatal("another question")
	}
	if len(q.Name()) == 0 || textual(q.Name()) {
		sound(t, q, out)
	}
	var m dns.Msg
	if err := m.Unpack(out); err != nil {
		t.Fatalf("%x: %v", out, err)
	}
	counts := [3]int{len(m.Answer), len(m.Ns), len(m.Extra)}
	for i, n := range counts {
		if stated := int(binary.BigEndian.Uint16(out[6+2*i:])); stated != n {
			t.Fatalf("section %d has %d records and says %d", i, n, stated)
		}
	}
	opts := 0
	for i, rr := range m.Extra {
		if rr.Header().Rrtype == dns.TypeOPT {
			if opts++; i+1 != len(m.Extra) {
				t.Fatalf("OPT is not the last record:\n%s", &m)
			}
		}
	}
	switch {
	case opts > 1 || opts == 1 != q.EDNS:
		t.Fatalf("%d OPT records, asked %t", opts, q.EDNS)
	case m.Truncated && (len(m.Answer)+len(m.Ns) > 0 || len(m.Extra) > opts):
		t.Fatalf("TC, and records:\n%s", &m)
	case m.Truncated && q.Transport != dnswire.UDP:
		t.Fatalf("TC over a connection:\n%s", &m)
	case q.Transport == dnswire.TLS && q.Padding && q.Status == dnswire.StatusOK && len(out)%468 != 0 && len(out) < dnswire.MaxTCP-468:
		t.Fatalf("%d octets are not padded", len(out))
	}
	if o := m.IsEdns0(); o != nil {
		for _, option := range o.Option {
			if option.Option() == dns.EDNS0COOKIE && q.CookieState == dnswire.CookieNone {
				t.Fatal("a cookie that nobody has checked")
			}
		}
	}
}

// TestAllocatesNothingWhole holds answers of every kind to no allocation.
func TestAllocatesNothingWhole(t *testing.T) {
	s := wholeSnapshot(t)
	c := resolve.NewScratch(1, 2)
	buf := make([]byte, 0, dnswire.MaxTCP)
	kinds := map[string]int{}
	for _, line := range wholeQuestions() {
		for _, options := range []string{" edns=1232", " do tcp", " cookie=valid nsid zoneversion", " do edns=512 cookie", " tls padding do"} {
			q := asked(t, strings.Fields(line+options))
			state, cookie := q.CookieState, q.ServerCookie
			m := sound(t, q, s.Append(nil, q, c))
			kinds[dns.RcodeToString[m.Rcode]]++
			if n := testing.AllocsPerRun(3, func() {
				q.Parse(q.Msg)
				q.CookieState, q.ServerCookie = state, cookie
				buf = s.Append(buf[:0], q, c)
			}); n != 0 {
				t.Errorf("%s%s allocates %v times", line, options, n)
			}
		}
	}
	for _, kind := range []string{"NOERROR", "NXDOMAIN", "REFUSED"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s among %v", kind, kinds)
		}
	}
}
