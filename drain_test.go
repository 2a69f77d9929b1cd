package rhumb_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
)

// drawn is how many of so many answers to A have an address, and their TTL.
func drawn(t testing.TB, e *rhumb.Engine, name, address string, answers int) (n int, ttl uint32) {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), dns.TypeA)
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	q := &dnswire.Query{}
	q.Parse(packet)
	c, buf := resolve.NewScratch(5, 6), []byte(nil)
	for range answers {
		buf = e.Snapshot().Append(buf[:0], q, c)
		if err := m.Unpack(buf); err != nil {
			t.Fatal(err)
		}
		for _, rr := range m.Answer {
			if ttl = rr.Header().Ttl; rr.(*dns.A).A.String() == address {
				n++
			}
		}
	}
	return n, ttl
}

// TestDrain: an endpoint that an operator drains has less and less of the answers
// of its service, by its own name and where that is nested, and then none.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{}
		e := newEngine(t, rhumb.Options{Prober: s.prober})
		commit(t, e, parse(t, config, "www: {pools: [eu], answers: 0}", "www: {pools: [eu], steer: weighted}\n      top: {pools: [{service: www}, sorry], steer: failover}\n      turns: {pools: [eu]}"))
		stop := run(t, e)
		after(time.Minute)
		const answers = 10_000
		check := func(share float64, ttl uint32) {
			t.Helper()
			for _, name := range []string{"www.example.com", "top.example.com"} {
				p := share / (1 + share)
				got, is := drawn(t, e, name, "192.0.2.1", answers)
				if math.Abs(float64(got)-p*answers) > 5*math.Sqrt(p*(1-p)*answers) || is != ttl {
					t.Errorf("%s: %d of %d answers with TTL %d, want %.0f with %d", name, got, answers, is, p*answers, ttl)
				}
			}
			if got, is := drawn(t, e, "turns.example.com", "192.0.2.1", answers); got != answers/2 || is != 30 {
				t.Errorf("the drain of another service: %d of %d, TTL %d", got, answers, is)
			}
		}
		check(1, 30)
		drain := health.Overriding{Service: "www.example.com", Endpoint: "192.0.2.1", Drain: true, Over: 100 * time.Second}
		if err := e.Override(drain); err != nil {
			t.Fatal(err)
		}
		after(11 * time.Second)
		check(.9, 10)
		after(40 * time.Second)
		check(.5, 10)
		after(46 * time.Second)
		check(.04, 10)
		after(4 * time.Second)
		check(0, 30)
		if err := e.ClearOverride("www.example.com", "192.0.2.1", audit.By{Who: "ops"}); err != nil {
			t.Fatal(err)
		}
		check(1, 30)
		stop()
	})
}
