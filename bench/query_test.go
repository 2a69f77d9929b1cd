package main

import (
	"encoding/binary"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// What the client asks is a query, by a library that is not ours, and it takes
// the right answers and no others.
func TestAsker(t *testing.T) {
	for _, kind := range []string{"plain", "edns", "ecs", "world", "sources", "nxdomain"} {
		a, err := newAsker(shape{Kind: kind, Names: 1000}, 1)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, a.size())
		for range 100 {
			id := a.put(b)
			var q dns.Msg
			if err := q.Unpack(b); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			if q.Id != id || len(q.Question) != 1 || q.Question[0].Qtype != dns.TypeA {
				t.Fatalf("%s: %v", kind, &q)
			}
			opt, subnet := q.IsEdns0(), kind == "ecs" || kind == "world"
			if (opt != nil) != (kind == "edns" || subnet) || opt != nil && (len(opt.Option) == 1) != subnet {
				t.Fatalf("%s: EDNS: %v", kind, opt)
			}
			checkAnswers(t, a, kind, &q, b)
		}
	}
	if _, err := newAsker(shape{Kind: "any", Names: 1}, 1); err == nil {
		t.Error("an unknown kind is taken")
	}
}

func checkAnswers(t *testing.T, a *asker, kind string, q *dns.Msg, query []byte) {
	t.Helper()
	var m dns.Msg
	m.SetReply(q)
	m.Authoritative = true
	soa, _ := dns.NewRR(zoneName + ". 30 SOA ns1 h 1 1 1 1 1")
	rr, _ := dns.NewRR(q.Question[0].Name + " 30 A 10.1.0.1")
	if kind == "nxdomain" {
		m.Rcode, m.Ns = dns.RcodeNameError, []dns.RR{soa}
	} else {
		m.Answer = []dns.RR{rr}
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if !a.right(b) {
		t.Fatalf("%s: the right answer is not taken: %v", kind, &m)
	}
	for what, spoil := range map[string]func([]byte){
		"another name":      func(b []byte) { b[digitsAt+digits-1] ^= 1 },
		"another ID":        func(b []byte) { binary.BigEndian.PutUint16(b, binary.BigEndian.Uint16(b)+1) },
		"another rcode":     func(b []byte) { b[3] ^= 2 },
		"no authority":      func(b []byte) { b[2] &^= 4 },
		"cut":               func(b []byte) { b[2] |= 2 },
		"a query":           func(b []byte) { b[2] &^= 0x80 },
		"nothing in it":     func(b []byte) { clear(b[6:dnswire.HeaderLen]) },
		"only its question": func(b []byte) { copy(b, query[:dnswire.HeaderLen]) },
	} {
		c := append([]byte(nil), b...)
		spoil(c)
		if what == "another ID" && a.asked[binary.BigEndian.Uint16(c)] == a.asked[binary.BigEndian.Uint16(b)] {
			continue
		}
		if a.right(c) {
			t.Errorf("%s: %s is taken", kind, what)
		}
	}
	if a.right(b[:20]) {
		t.Errorf("%s: a stump is taken", kind)
	}
}
