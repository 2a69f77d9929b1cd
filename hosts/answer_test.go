package hosts

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// answered is the answer to a query for "name type" that has records; those
// after "--" are of the authority section.
func answered(q *dns.Msg, records ...string) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	section := &m.Answer
	for _, text := range records {
		if text == "--" {
			section = &m.Ns
			continue
		}
		*section = append(*section, rr(text))
	}
	return m
}

func chain(n int) (records []string) {
	for i := range n {
		from := fmt.Sprintf("c%d.test.", i)
		if i == 0 {
			from = "h.test."
		}
		records = append(records, fmt.Sprintf("%s 60 CNAME c%d.test.", from, i+1))
	}
	return append(records, fmt.Sprintf("c%d.test. 60 A 192.0.2.1", n))
}

func TestRead(t *testing.T) {
	with := func(change func(m *dns.Msg)) func(m *dns.Msg) { return change }
	rcode := func(code int) func(m *dns.Msg) { return func(m *dns.Msg) { m.Rcode = code } }
	for _, c := range []struct {
		what    string
		v6      bool
		records []string
		change  func(m *dns.Msg)
		verdict verdict
		addrs   string
		ttl     uint32
		result  string
		reason  string // part of it
	}{
		{what: "sorted and unique", records: []string{"h.test. 60 A 192.0.2.9", "h.test. 60 A 192.0.2.1", "h.test. 60 A 192.0.2.9"}, verdict: found, addrs: "192.0.2.1 192.0.2.9", ttl: 60, result: "ok"},
		{what: "IPv6", v6: true, records: []string{"h.test. 60 AAAA 2001:db8::2", "h.test. 60 AAAA 2001:db8::1"}, verdict: found, addrs: "2001:db8::1 2001:db8::2", ttl: 60, result: "ok"},
		{what: "mapped IPv4 is an IPv6 address", v6: true, records: []string{"h.test. 60 AAAA ::ffff:192.0.2.1"}, verdict: found, addrs: "::ffff:192.0.2.1", ttl: 60, result: "ok"},
		{what: "loopback as it is", records: []string{"h.test. 60 A 127.0.0.1"}, verdict: found, addrs: "127.0.0.1", ttl: 60, result: "ok"},
		{what: "the lowest TTL", records: []string{"h.test. 60 A 192.0.2.9", "h.test. 30 A 192.0.2.1"}, verdict: found, addrs: "192.0.2.1 192.0.2.9", ttl: 30, result: "ok"},
		{what: "the lowest TTL is the alias's", records: []string{"h.test. 20 CNAME x.test.", "x.test. 60 A 192.0.2.1"}, verdict: found, addrs: "192.0.2.1", ttl: 20, result: "ok"},
		{what: "the TTL of what does not belong", records: []string{"h.test. 60 A 192.0.2.1", "x.test. 20 A 192.0.2.2"}, verdict: found, addrs: "192.0.2.1", ttl: 60, result: "ok"},
		{what: "TTL 0", records: []string{"h.test. 0 A 192.0.2.1"}, verdict: found, addrs: "192.0.2.1", ttl: 5, result: "ok"},
		{what: "a day", records: []string{"h.test. 86400 A 192.0.2.1"}, verdict: found, addrs: "192.0.2.1", ttl: 3600, result: "ok"},
		{what: "top bit of the TTL", records: []string{"h.test. 60 A 192.0.2.1"}, change: with(func(m *dns.Msg) { m.Answer[0].Header().Ttl = 1 << 31 }), verdict: found, addrs: "192.0.2.1", ttl: 5, result: "ok"},
		{what: "case", records: []string{"H.TesT. 60 CNAME X.test.", "x.TEST. 60 A 192.0.2.1"}, change: with(func(m *dns.Msg) { m.Question[0].Name = "h.TEST." }), verdict: found, addrs: "192.0.2.1", ttl: 60, result: "ok"},
		{what: "order of a chain", records: []string{"y.test. 60 A 192.0.2.1", "x.test. 60 CNAME y.test.", "h.test. 60 CNAME x.test."}, verdict: found, addrs: "192.0.2.1", ttl: 60, result: "ok"},
		{what: "synthesised from DNAME", records: []string{"test. 60 DNAME example.", "h.test. 0 CNAME h.example.", "h.example. 60 A 192.0.2.1"}, verdict: found, addrs: "192.0.2.1", ttl: 5, result: "ok"},
		{what: "16 aliases", records: chain(16), verdict: found, addrs: "192.0.2.1", ttl: 60, result: "ok"},
		{what: "17 aliases", records: chain(17), result: "malformed", reason: "more than 16"},
		{what: "loop", records: []string{"h.test. 60 CNAME x.test.", "x.test. 60 CNAME h.test."}, result: "malformed", reason: "loop"},
		{what: "alias of itself", records: []string{"h.test. 60 CNAME h.test."}, result: "malformed", reason: "loop"},
		{what: "another name's addresses", records: []string{"x.test. 60 A 192.0.2.1"}, result: "malformed", reason: "another name"},
		{what: "addresses beside the chain", records: []string{"h.test. 60 CNAME x.test.", "y.test. 60 A 192.0.2.1"}, result: "malformed", reason: "another name"},
		{what: "addresses in the authority section", records: []string{"--", "h.test. 60 A 192.0.2.1"}, verdict: nodata, result: "nodata"},
		{what: "class CH", records: []string{"h.test. 60 CH A 192.0.2.1"}, change: with(func(m *dns.Msg) {
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "h.test.", Rrtype: dns.TypeA, Class: dns.ClassCHAOS}, A: []byte{192, 0, 2, 1}}}
		}), result: "malformed"},
		{what: "no octets", records: []string{"h.test. 60 A 192.0.2.1"}, change: with(func(m *dns.Msg) { m.Answer[0].(*dns.A).A = nil }), result: "malformed", reason: "length"},
		{what: "the other family only", v6: true, records: []string{"h.test. 60 A 192.0.2.1"}, verdict: nodata, result: "nodata", reason: "no AAAA records"},
		{what: "nothing", verdict: nodata, result: "nodata", reason: "no A records"},
		{what: "alias to nothing", records: []string{"h.test. 60 CNAME x.test."}, verdict: nodata, result: "nodata"},
		{what: "no such name", change: rcode(dns.RcodeNameError), verdict: nxdomain, result: "nxdomain"},
		{what: "alias to no such name", records: []string{"h.test. 60 CNAME x.test."}, change: rcode(dns.RcodeNameError), verdict: nxdomain, result: "nxdomain"},
		{what: "no such name, with addresses", records: []string{"h.test. 60 A 192.0.2.1"}, change: rcode(dns.RcodeNameError), result: "malformed"},
		{what: "referral", records: []string{"--", "test. 60 NS ns.test."}, change: with(func(m *dns.Msg) { m.RecursionAvailable = false }), result: "not_recursive"},
		{what: "authoritative, no data", records: []string{"--", "test. 60 SOA a. b. 1 2 3 4 5"}, change: with(func(m *dns.Msg) { m.RecursionAvailable, m.Authoritative = false, true }), verdict: nodata, result: "nodata"},
		{what: "authoritative, alias out of its zones", records: []string{"h.test. 60 CNAME x.example."}, change: with(func(m *dns.Msg) { m.RecursionAvailable, m.Authoritative = false, true }), result: "not_recursive"},
		{what: "truncated", change: with(func(m *dns.Msg) { m.Truncated = true }), verdict: truncated, result: "truncated"},
		{what: "SERVFAIL", change: rcode(dns.RcodeServerFailure), result: "servfail", reason: "SERVFAIL"},
		{what: "REFUSED", change: rcode(dns.RcodeRefused), result: "refused", reason: "REFUSED"},
		{what: "an error without the question", change: with(func(m *dns.Msg) { m.Rcode, m.Question = dns.RcodeRefused, nil }), result: "refused"},
		{what: "FORMERR", change: rcode(dns.RcodeFormatError), verdict: plain, result: "formerr"},
		{what: "NOTIMP", change: rcode(dns.RcodeNotImplemented), verdict: plain, result: "notimp"},
		{what: "BADVERS", change: rcode(dns.RcodeBadVers), verdict: plain, result: "other_rcode"},
		{what: "a code nobody knows", change: rcode(3841), result: "other_rcode", reason: "RCODE3841"},
		{what: "extended error", change: with(func(m *dns.Msg) {
			m.Rcode = dns.RcodeServerFailure
			o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
			o.Option = append(o.Option, &dns.EDNS0_EDE{InfoCode: 6, ExtraText: "bad\nkey " + strings.Repeat("x", 300)})
			m.Extra = append(m.Extra, o)
		}), result: "servfail", reason: `SERVFAIL (6 DNSSEC Bogus "bad\nkey xxx`},
		{what: "a query", change: with(func(m *dns.Msg) { m.Response = false }), result: "malformed"},
		{what: "another ID", change: with(func(m *dns.Msg) { m.Id++ }), result: "malformed"},
		{what: "another opcode", change: with(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), result: "malformed"},
		{what: "no question", change: with(func(m *dns.Msg) { m.Question = nil }), result: "malformed", reason: "another question"},
		{what: "another name", change: with(func(m *dns.Msg) { m.Question[0].Name = "i.test." }), result: "malformed", reason: "another question"},
		{what: "another type", change: with(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeMX }), result: "malformed", reason: "another question"},
		{what: "another class", change: with(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), result: "malformed", reason: "another question"},
		{what: "two questions", change: with(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), result: "malformed", reason: "another question"},
	} {
		t.Run(c.what, func(t *testing.T) {
			q := query(named("h.test"), c.v6, true)
			m := answered(q, c.records...)
			if c.change != nil {
				c.change(m)
			}
			r := read(q, m)
			if r.verdict != c.verdict || text(unpack(r.packed, c.v6)) != c.addrs || r.ttl != c.ttl || r.result != c.result {
				t.Errorf("%+v (%s)", r, text(unpack(r.packed, c.v6)))
			}
			if !strings.Contains(r.reason, c.reason) || (r.reason == "") != (r.verdict == found) || len(r.reason) > 300 {
				t.Errorf("reason %q, want %q", r.reason, c.reason)
			}
		})
	}
	if r := read(query(named("h.test"), false, true), nil); r.verdict != failed {
		t.Errorf("no message is %+v", r)
	}
	q := query(named("h.test"), false, false)
	m := answered(q)
	m.Rcode = dns.RcodeFormatError
	if r := read(q, m); r.verdict != failed {
		t.Errorf("FORMERR without EDNS is %+v", r)
	}
}

// slowly is what read finds, by the shortest way to say it: the addresses at the
// end of the chain of the first aliases, if there is one.
func slowly(name string, want uint16, m *dns.Msg) (addrs []string) {
	seen := map[string]bool{}
	for name = dns.CanonicalName(name); !seen[name] && len(seen) <= maxChain; {
		seen[name] = true
		next := ""
		for _, rr := range m.Answer {
			if h := rr.Header(); dns.CanonicalName(h.Name) != name || h.Class != dns.ClassINET {
				continue
			}
			switch rr := rr.(type) {
			case *dns.A:
				if want == dns.TypeA {
					addrs = append(addrs, string(rr.A.To4()))
				}
			case *dns.AAAA:
				if want == dns.TypeAAAA {
					addrs = append(addrs, string(rr.AAAA))
				}
			case *dns.CNAME:
				if next == "" {
					next = dns.CanonicalName(rr.Target)
				}
			}
		}
		if len(addrs) > 0 || next == "" {
			break
		}
		name = next
	}
	slices.Sort(addrs)
	return slices.Compact(addrs)
}

// FuzzRead reads any message as the answer to the question that it has.
func FuzzRead(f *testing.F) {
	q := query(named("h.test"), false, true)
	q.Id = 0
	for _, m := range []*dns.Msg{
		answered(q, chain(3)...), answered(q, chain(17)...),
		answered(q, "h.test. 60 A 192.0.2.2", "H.test. 5 A 192.0.2.1"),
		answered(q, "h.test. 60 CNAME x.test.", "x.test. 60 CNAME h.test."),
		answered(q, "--", "test. 60 SOA a. b. 1 2 3 4 5"),
		answered(query(named(`a\.b\000c.test`), true, true), `a\.b\000c.test. 60 AAAA 2001:db8::1`),
	} {
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire, false)
		f.Add(wire, true)
	}
	f.Fuzz(func(t *testing.T, wire []byte, v6 bool) {
		m := new(dns.Msg)
		if m.Unpack(wire) != nil || len(m.Question) == 0 {
			return
		}
		name, err := dnswire.ParseName(m.Question[0].Name)
		if err != nil {
			t.Fatalf("%q: %v", m.Question[0].Name, err)
		}
		q := query(name, v6, true)
		q.Id = m.Id
		r := read(q, m)
		if (r.verdict == found) != (len(r.packed) > 0) || (r.verdict == found) != (r.ttl > 0) || (r.verdict == found) != (r.reason == "") {
			t.Fatalf("%+v", r)
		}
		if r.result == "" {
			t.Fatal("it is not counted")
		}
		if r.verdict != found {
			return
		}
		if r.ttl < 5 || r.ttl > 3600 {
			t.Fatalf("TTL %d", r.ttl)
		}
		want := slowly(m.Question[0].Name, q.Question[0].Qtype, m)
		if got := strings.Join(want, ""); !bytes.Equal(r.packed, []byte(got)) {
			t.Fatalf("%v, want %q", r.packed, got)
		}
	})
}
