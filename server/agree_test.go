package server

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/server/meter"
)

// TestCountsAgree asks what is answered, refused, limited and slipped, and holds
// what has been counted of it against each other: every answer that went out has
// a zone, a latency and a size, and an endpoint is counted when it was given.
func TestCountsAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const refused = "198.51.100.1"
		w := guarded(t, dnswire.UDP, &Setup{
			Access:    Access{Deny: []netip.Prefix{netip.MustParsePrefix(refused + "/32")}},
			RateLimit: &RateLimit{Answers: 3, Errors: 3, Slip: 2},
		})
		out := 0
		for _, client := range []string{"192.0.2.1", refused} {
			for range 10 {
				msg := asking(t, "www.x.test.", dnswire.TypeA)
				answer := w.from(client, msg)
				if len(answer) > 0 {
					out++
				}
				if client == refused && w.scratch.Outcome.Zone >= 0 {
					t.Fatal("what is refused is of no zone")
				}
				w.sent()
			}
		}
		r := w.s.Reading()
		queries, rcodes := uint64(0), map[string]uint64{}
		for _, q := range r.Queries {
			queries += q.N
			rcodes[fmt.Sprint(q.Zone, " ", q.RCode)] += q.N
		}
		latencies, sizes := uint64(0), uint64(0)
		for i := range meter.Transports {
			latencies += r.Latency[i].Count()
			for _, n := range r.Sizes[i].Counts {
				sizes += n
			}
		}
		if queries != uint64(out) || latencies != queries || sizes != queries {
			t.Errorf("%d answers: %d queries, %d latencies, %d sizes", out, queries, latencies, sizes)
		}
		// Of seven beyond each limit every other one slips, as NOERROR.
		if got := fmt.Sprint(rcodes); got != "map[- NOERROR:4 - REFUSED:3 x.test. NOERROR:6]" {
			t.Errorf("counted %s", got)
		}
		if s := counted(r.Endpoints); s != "192.0.2.1=3" {
			t.Errorf("endpoints %s: one that was not given does not count", s)
		}
		if s := counted(r.Dropped); s != "rate_limit=7" {
			t.Errorf("dropped %s", s)
		}
		if s := counted(r.Denied); s != "refused=10" {
			t.Errorf("denied %s", s)
		}
	})
}
