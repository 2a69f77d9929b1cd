package hosts

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
)

func live() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// instant answers every query at once with two addresses and TTL 60.
func instant(_ context.Context, _ netip.AddrPort, q *dns.Msg, _ bool) (*dns.Msg, error) {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	question := q.Question[0]
	for i := range byte(2) {
		h := dns.RR_Header{Name: question.Name, Rrtype: question.Qtype, Class: dns.ClassINET, Ttl: 60}
		if question.Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{Hdr: h, A: []byte{192, 0, 2, i}})
		} else {
			m.Answer = append(m.Answer, &dns.AAAA{Hdr: h, AAAA: []byte{0x20, 1, 0xd, 0xb8, 15: i}})
		}
	}
	return m, nil
}

func many(n int) []dnswire.Name {
	all := make([]dnswire.Name, n)
	for i := range all {
		all[i] = named(fmt.Sprintf("host-%d.example.com", i))
	}
	return all
}

// pass does all that is due at now, to its end.
func (l *loop) pass(ctx context.Context, now time.Time) {
	for {
		l.step(ctx, now)
		if l.inFlight == [lanes]int{} {
			return
		}
		l.collect(<-l.results, now)
	}
}

// BenchmarkMinute is a minute of 10,000 names with TTL 60, A and AAAA, in steps
// of 10 ms: what the schedule, the reading of answers and the views cost, without
// sockets, as a share of one core, and the memory of each name.
func BenchmarkMinute(b *testing.B) {
	const n = 10_000
	before := live()
	r, err := New(Options{Exchange: instant})
	if err != nil {
		b.Fatal(err)
	}
	names := many(n)
	l := newLoop(r)
	r.Apply(names, []netip.AddrPort{netip.MustParseAddrPort(server1)})
	now := time.Now().Add(time.Second)
	l.pass(b.Context(), now)
	b.ReportAllocs()
	for b.Loop() {
		for range 6000 {
			now = now.Add(10 * time.Millisecond)
			l.pass(b.Context(), now)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/60e9, "cores")
	b.ReportMetric(float64(live()-before)/n, "B/name")
	runtime.KeepAlive(names)
	if v := r.View(); v.Len() != n || v.Detail(n-1).V6.Addrs == nil {
		b.Fatal("nothing was resolved")
	}
}

func BenchmarkAddrs(b *testing.B) {
	r, err := New(Options{Exchange: instant})
	if err != nil {
		b.Fatal(err)
	}
	l := newLoop(r)
	r.Apply(many(10_000), []netip.AddrPort{netip.MustParseAddrPort(server1)})
	l.pass(b.Context(), time.Now().Add(time.Second))
	b.ReportAllocs()
	v := r.View()
	i := 0
	for b.Loop() {
		i = (i + 4099) % 10_000
		if packed, _ := v.Addrs(i, false); len(packed) != 8 {
			b.Fatal("not resolved")
		}
	}
}

func BenchmarkApply(b *testing.B) {
	r, err := New(Options{Exchange: instant})
	if err != nil {
		b.Fatal(err)
	}
	names, servers := many(10_000), []netip.AddrPort{netip.MustParseAddrPort(server1)}
	for b.Loop() {
		r.Apply(names, servers)
	}
}
