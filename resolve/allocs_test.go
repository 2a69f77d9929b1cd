package resolve_test

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/table"
)

// steeredBy has a service for everything that steering goes by.
const steeredBy = `
checks: {c: {type: tcp, port: 1}}
pools:
  ie: {checks: [c], place: {country: IE, at: [53.3, -6.2]}, endpoints: [192.0.2.1, {address: 192.0.2.2, tags: [a]}, "2001:db8::1"]}
  de: {checks: [c], place: {country: DE, at: [50.1, 8.7]}, endpoints: [192.0.2.3, 192.0.2.4, 192.0.2.7, "2001:db8::3"]}
  us: {checks: [c], place: {country: US, at: [40.7, -74]}, endpoints: [{address: 192.0.2.5, soft_limit: 1, hard_limit: 3}, {address: 192.0.2.6, soft_limit: 1, hard_limit: 3}, "2001:db8::5"]}
  slow: {checks: [c], slow_start: 1h, failover_delay: 1h, max_ejected: 50%, endpoints: [192.0.2.11, 192.0.2.12, 192.0.2.13]}
  dead: {checks: [c], endpoints: [203.0.113.1, 203.0.113.2]}
  both: {pools: [ie, de], steer: failover}
  three: {pools: [ie, de, us], steer: [rotate], answers: 0}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      geo: {pools: [ie, de, us], steer: geo}
      near: {pools: [ie, de, us], steer: nearest, answers: 2}
      fence: {pools: [ie, de, us], steer: [{geofence: {levels: country, strict: true}}, nearest, weighted], all_down: slow}
      firsts: {pools: [ie, de, us], steer: [first: [[{geofence: {levels: country, strict: true}}, sticky], [nearest, weighted]]]}
      chance: {pools: [ie, de, us], steer: [shuffle, limit: 3, geofence: country]}
      lost: {pools: [ie, de, us], steer: [geofence: country, weighted, limit: 1, tags: [a]]}
      sticky: {pools: [ie, de, us], steer: sticky}
      geosticky: {pools: [ie, de, us], steer: [geofence: country, sticky], answers: 2}
      spill: {pools: [ie, de, us], steer: [tier: {min_healthy: 75%, spill: 80%}, shuffle]}
      shed: {pools: [us, ie], steer: [shed, weighted]}
      thin: {pools: [us, ie], steer: [shed, rotate]}
      geoshed: {pools: [us, ie], steer: [geofence: country, shed, rotate]}
      latency: {pools: [ie, de, us], steer: latency}
      hours: {pools: [ie, de], steer: [schedule: [{pools: [ie], days: [mon-fri], from: "08:00", to: "20:00", zone: UTC}], failover]}
      slow: {pools: [slow, ie], steer: [tier, rotate], ttl: 60}
      slowly: {pools: [slow, ie], steer: weighted}
      in: {pools: [three], steer: rotate, all_down: slow}
      out: {pools: [{service: in}, both, slow], steer: rotate, panic: 0.2, answers: 0}
      top: {pools: [{service: out}, {service: geosticky}, us], steer: [geofence: country, sticky], https: {alpn: [h2]}}
      lasting: {pools: [{service: dead}, dead], steer: failover, all_down: last-healthy}
      dead: {pools: [dead], steer: weighted}
`

// TestAllocatesNothingSteered is TestAllocatesNothing for everything that steering
// goes by, with plans settled and not.
func TestAllocatesNothingSteered(t *testing.T) {
	onStage(t, steeredBy, func(k *stage) {
		k.wait(time.Minute).say("down 192.0.2.11 192.0.2.12 192.0.2.4 203.0.113.1 203.0.113.2")
		k.say("up 192.0.2.11") // slowly
		k.say("unknown 192.0.2.3")
		s := k.now()
		if !s.Conduct.Course(0).Moving || s.Conduct.Course(0).Shares == nil {
			t.Fatal("nothing is in transition")
		}
		n := len(s.Table.Targets)
		f := health.Figures{Latency: make([]uint32, n), Load: make([]uint32, n)}
		for i := range n {
			f.Latency[i], f.Load[i] = uint32(i*10_000+1), health.LoadUnits(2)
		}
		f.Shares = map[dnswire.Name]map[int]uint16{wire(t, "geo.x.test"): {0: 300}, wire(t, "in.x.test"): {1: 300}}
		f.Words = map[dnswire.Name]map[int]health.State{wire(t, "top.x.test"): {2: health.Down}}
		s.Health = s.Health.With(f)
		s.Hours = &resolve.Hours{Open: []bool{true}}
		where, nets := geography(t, rand.New(rand.NewPCG(1, 1)), 50)
		s.Geo = where
		settled := *s
		settled.Settle(nil)
		c := resolve.NewScratch(1, 2)
		buf := make([]byte, 0, dnswire.MaxTCP)
		s.Table.EachService(func(node *table.Node, _ *table.Plan) bool {
			name := s.Table.Name(node).String()
			for _, words := range []string{"A", "A edns", "AAAA edns", "A edns ecs=10.1.2.0/24", "AAAA edns ecs=2001:db8:1::/48", "HTTPS edns ecs=10.1.2.0/24"} {
				q := asked(t, strings.Fields(name+" "+words))
				for _, s := range []*resolve.Snapshot{s, &settled} {
					// The memory is warm, and what nesting needs of it is made.
					for i := range 4 {
						q.Client = netip.AddrPortFrom(nets[i].Addr(), 53)
						sound(t, q, s.Append(nil, q, c))
					}
					i := 0
					if n := testing.AllocsPerRun(20, func() {
						q.Client = netip.AddrPortFrom(nets[i%len(nets)].Addr(), 53)
						i++
						buf = s.Append(buf[:0], q, c)
					}); n != 0 {
						t.Errorf("%s %s allocates %v times", name, words, n)
					}
				}
			}
			return true
		})
	})
}
