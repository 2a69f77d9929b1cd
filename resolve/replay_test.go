package resolve_test

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
)

// TestSettle plays what happens to random services, and settles each snapshot with
// the help of the one before, afresh, and not at all: all three answer alike, and
// the first two to the same clients.
func TestSettle(t *testing.T) {
	answers, settled := 0, 0
	played := inRealms(t, 60, false, func(t *testing.T, r *realm) {
		nets := r.move()
		var before *resolve.Snapshot
		for range 12 {
			r.next()
			switch n := len(r.now.Table.Targets); r.IntN(9) {
			case 0: // nothing
			case 1, 2:
				r.judge(r.IntN(n))
			case 3:
				for i := range n {
					if r.IntN(2) == 0 {
						r.judge(i)
					}
				}
			case 4:
				r.measure()
			case 5:
				r.speak()
			case 6:
				r.wait(time.Duration(1+r.IntN(40)) * time.Second)
			case 7:
				i, was := r.IntN(len(r.services)), ""
				was, r.services[i] = r.services[i], r.service(i, false)
				if !r.load() {
					r.services[i] = was
				}
			case 8:
				if r.IntN(2) == 0 {
					r.now.Hours = r.hours()
				} else {
					nets = r.move()
				}
			}
			plain, fresh, next := *r.now, *r.now, *r.now
			fresh.Settle(nil)
			next.Settle(before)
			before = &next
			a, b := resolve.NewScratch(1, 2), resolve.NewScratch(1, 2)
			for range 30 {
				q := r.question(nets)
				x, y := r.Uint64(), r.Uint64()
				want := plain.Explain(q, x, y).Message
				whole := fresh.Explain(q, x, y).Message
				a.Seed(x, y)
				if got := fresh.Append(nil, q, a); unscoped(t, got) != unscoped(t, want) {
					t.Errorf("%s %s: settled\n%s\nnot settled\n%s", q.Name(), q.Client, unscoped(t, got), unscoped(t, want))
				} else if string(got) != string(whole) {
					t.Errorf("%s %s: answered\n%x\nexplained\n%x", q.Name(), q.Client, got, whole)
				}
				want = plain.Explain(q, x, y).Message
				whole = fresh.Explain(q, x, y).Message
				b.Seed(x, y)
				got := next.Append(nil, q, b)
				if string(got) != string(whole) {
					t.Errorf("%s %s: settled after another\n%x\nafresh\n%x", q.Name(), q.Client, got, whole)
				}
				sound(t, q, got)
				answers++
				if string(got) != string(want) {
					settled++ // a scope of its own
				}
				if t.Failed() {
					return
				}
			}
		}
	})
	if !raced && (played < 30 || settled < answers/20) {
		t.Errorf("%d realms, %d of %d answers with a scope of their own", played, settled, answers)
	}
}

const irish = `
checks: {c: {type: tcp, port: 1, interval: 5s}}
pools:
  ie: {checks: [c], place: {country: IE}, endpoints: [192.0.2.1, "2001:db8::1"]}
  de: {checks: [c], place: {country: DE}, endpoints: [192.0.2.2, "2001:db8::2"]}
  fr: {checks: [c], place: {country: FR}, endpoints: [192.0.2.3, "2001:db8::3"]}
  pair: {checks: [c], endpoints: [{address: 192.0.2.1, tags: [i]}, {address: 192.0.2.2}]}
  none: {checks: [c], endpoints: [{address: 192.0.2.9, tags: [x]}]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      in: {pools: [ie, de], steer: tier, failover_delay: 30s, failback_delay: 60s}
      out: {pools: [{service: in}, fr], steer: [tier, geofence: country]}
      both: {pools: [ie, de], steer: [geofence: country, tier], answers: 0}
      around: {pools: [{service: both}, fr], steer: [geofence: country]}
      alone: {pools: [ie, de], steer: [geofence: country]}
      lucky: {pools: [{service: alone}], steer: [geofence: country]}
      last: {pools: [ie, de, fr], steer: [geofence: country], answers: 0, all_down: last-healthy}
      above: {pools: [{service: last}], steer: [geofence: country], answers: 0}
      fences: {pools: [ie, de], steer: [first: [[{geofence: {levels: country, strict: true}}, rotate], rotate]]}
      drawn: {pools: [de, ie], steer: [first: [[{geofence: {levels: continent, strict: true}}, shuffle], [limit: 5]], weighted]}
      tagged: {pools: [pair], steer: [first: [[tags: [i], rotate], rotate]]}
      once: {pools: [pair, none], steer: [first: [[tags: [x], shuffle], [limit: 5]], weighted]}
      cut: {pools: [pair], steer: [tier, limit: 1]}
      panics: {pools: [pair, none], panic: 0.9}
      srv: {pools: [ie, de], steer: [geofence: country], srv: {port: 80}, https: {alpn: [h2]}}
`

// TestSettleNested has what changes inside of a plan that is settled: how the pools
// of a nested service conduct themselves, and what an operator says of it.
func TestSettleNested(t *testing.T) {
	onStage(t, irish, func(k *stage) {
		where := view(t, geo.Config{Databases: []string{"../geo/testdata/asn.mmdb"}, Networks: []geo.Network{
			{Prefix: netip.MustParsePrefix("10.0.0.0/9"), Place: geo.Place{Country: "IE"}},
		}})
		var before *resolve.Snapshot
		c := resolve.NewScratch(1, 2)
		want := func(name, subnet, want string) {
			t.Helper()
			s := k.now()
			s.Geo = where
			s.Settle(before)
			before = s
			if got, _ := askFor(t, s, c, name, dns.TypeA, netip.MustParsePrefix(subnet)); got != "["+want+"] 0" {
				t.Errorf("%s has %s for %s, want %s", name, got, subnet, want)
			}
		}
		k.wait(time.Minute)
		want("out.x.test", "10.0.0.0/24", "192.0.2.1")
		k.say("down 192.0.2.1 2001:db8::1")
		want("out.x.test", "10.0.0.0/24", "192.0.2.1")
		k.wait(31 * time.Second) // health is as it was
		want("out.x.test", "10.0.0.0/24", "192.0.2.2")
		k.say("up 192.0.2.1 2001:db8::1")
		want("out.x.test", "10.0.0.0/24", "192.0.2.2")
		k.wait(61 * time.Second)
		want("out.x.test", "10.0.0.0/24", "192.0.2.1")

		// All are down, and go on being, while others of them were the last to be up.
		k.say("down 192.0.2.1 192.0.2.2 192.0.2.3").wait(time.Minute)
		for _, last := range []string{"192.0.2.2", "192.0.2.3"} {
			k.say("up " + last).wait(time.Minute)
			k.say("down " + last)
			want("last.x.test", "10.200.0.0/24", last)
			want("above.x.test", "10.200.0.0/24", last)
		}
		k.say("up 192.0.2.1 192.0.2.2 192.0.2.3").wait(2 * time.Minute)

		want("around.x.test", "10.0.0.0/24", "192.0.2.1")
		judged := k.snap.Health
		both := wire(t, "both.x.test")
		for i := range k.snap.Table.Targets {
			if k.snap.Table.Targets[i].String() == "192.0.2.1" {
				k.snap.Health = judged.With(health.Figures{Words: map[dnswire.Name]map[int]health.State{both: {i: health.Down}}})
				want("around.x.test", "10.0.0.0/24", "192.0.2.2")
				k.snap.Health = judged
				want("around.x.test", "10.0.0.0/24", "192.0.2.1")
			}
		}
	})
}

// TestSettleShares has endpoints with half of their share where places decide: each
// query has luck of its own, and a fence does not let go of who is alone in it.
func TestSettleShares(t *testing.T) {
	if raced {
		t.Skip("one goroutine counts its answers")
	}
	s := compile(t, irish, "192.0.2.9")
	s.Geo = view(t, geo.Config{Databases: []string{"../geo/testdata/asn.mmdb"}, Networks: []geo.Network{
		{Prefix: netip.MustParsePrefix("10.0.0.0/9"), Place: geo.Place{Country: "IE"}},
	}})
	half := map[dnswire.Name]map[int]uint16{}
	for i := range s.Table.Targets {
		if s.Table.Targets[i].String() == "192.0.2.1" {
			for _, name := range []string{"both", "alone", "fences", "drawn", "srv", "tagged", "once", "cut", "panics"} {
				half[wire(t, name+".x.test")] = map[int]uint16{i: 512}
			}
		}
	}
	s.Health = s.Health.With(health.Figures{Shares: half})
	const answers = 10_000
	for _, settled := range []bool{false, true} {
		s := *s
		if settled {
			s.Settle(nil)
		}
		c := resolve.NewScratch(1, 2)
		for _, want := range []struct {
			name, subnet string
			share        float64
		}{
			{"fences.x.test", "10.0.0.0/24", 1},
			{"fences.x.test", "10.200.0.0/24", .25},
			{"drawn.x.test", "10.0.0.0/24", 1. / 3},
			{"drawn.x.test", "10.200.0.0/24", 1. / 3},
			{"tagged.x.test", "10.0.0.0/24", 1},
			{"once.x.test", "10.0.0.0/24", 1. / 3},
			{"cut.x.test", "10.0.0.0/24", .5},
			{"panics.x.test", "10.0.0.0/24", .5 / 3},
			{"lucky.x.test", "10.0.0.0/24", 1},
			{"lucky.x.test", "10.200.0.0/24", .5},
			{"around.x.test", "10.0.0.0/24", 1},
			{"around.x.test", "10.200.0.0/24", .5},
		} {
			got := 0
			for range answers {
				if has, _ := askFor(t, &s, c, want.name, dns.TypeA, netip.MustParsePrefix(want.subnet)); has == "[192.0.2.1] 0" {
					got++
				}
			}
			if p := want.share; math.Abs(float64(got)-p*answers) > 5*math.Sqrt(p*(1-p)*answers) {
				t.Errorf("settled %t: %s has it in %d of %d answers for %s, want %v", settled, want.name, got, answers, want.subnet, p)
			}
		}
		// All records of a set have one TTL, whichever family is in transition.
		for _, typ := range []string{"SRV", "HTTPS"} {
			q := asked(t, []string{"srv.x.test", typ, "edns"})
			q.Client = netip.MustParseAddrPort("10.200.0.1:53")
			m := sound(t, q, s.Append(nil, q, c))
			for _, rr := range m.Answer {
				if rr.Header().Ttl != 10 {
					t.Errorf("%s", rr)
				}
			}
		}
	}
}

// TestSettleInherited has something nested serve by its all_down beside what is up:
// an answer says so when it is of that, whatever was found when it was settled.
func TestSettleInherited(t *testing.T) {
	var made []string // plans of their own, each settled with other luck
	for i := range 8 {
		made = append(made, fmt.Sprintf("      out%d: {pools: [{service: in}, ie], steer: [geofence: country, shuffle], ttl: %d}\n", i, 10+i))
	}
	s := compile(t, `
pools:
  ie: {place: {country: IE}, endpoints: [192.0.2.1]}
  de: {place: {country: DE}, endpoints: [192.0.2.2]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      in: {pools: [de], steer: [tier], all_down: serve-all}
`+strings.Join(made, ""), "192.0.2.2")
	s.Geo = view(t, geo.Config{Databases: []string{"../geo/testdata/asn.mmdb"}})
	s.Settle(nil)
	c := resolve.NewScratch(1, 2)
	seen := map[string]int{}
	for i := range 400 {
		q := asked(t, []string{fmt.Sprintf("out%d.x.test", i%8), "A", "edns", "ecs=10.0.0.0/24"})
		m := sound(t, q, s.Append(nil, q, c))
		says := ""
		for _, o := range m.IsEdns0().Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				says = e.ExtraText
			}
		}
		seen[m.Answer[0].(*dns.A).A.String()+" "+says]++
	}
	if len(seen) != 2 || seen["192.0.2.1 "] == 0 || seen["192.0.2.2 no endpoint is healthy: serving all"] == 0 {
		t.Errorf("%v", seen)
	}
}

// TestSettleApart has services with the same filters and the same places, of which
// one tells clients apart by fewer of them.
func TestSettleApart(t *testing.T) {
	const services = `
pools:
  ie: {place: {country: IE}, endpoints: [192.0.2.1]}
  de: {place: {country: DE}, endpoints: [192.0.2.2]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      a: {pools: [{service: FIRST}, de], steer: [tier], answers: 0}
      b: {pools: [{service: SECOND}, de], steer: [tier], answers: 0}
      one: {pools: [ie], steer: [geofence: country], answers: 0}
      two: {pools: [ie, de], steer: [geofence: country], answers: 0}
`
	for _, names := range [][2]string{{"one", "two"}, {"two", "one"}} {
		s := compile(t, strings.NewReplacer("FIRST", names[0], "SECOND", names[1]).Replace(services))
		s.Geo = view(t, geo.Config{Databases: []string{"../geo/testdata/asn.mmdb"}, Networks: []geo.Network{
			{Prefix: netip.MustParsePrefix("10.0.0.0/9"), Place: geo.Place{Country: "IE"}},
			{Prefix: netip.MustParsePrefix("10.128.0.0/10"), Place: geo.Place{Country: "DE"}},
		}})
		s.Settle(nil)
		c := resolve.NewScratch(1, 2)
		for i, name := range []string{"a.x.test", "b.x.test"} {
			for client, want := range map[string]map[string]string{
				"10.0.0.0/24":   {"one": "192.0.2.1", "two": "192.0.2.1"},
				"10.128.0.0/24": {"one": "192.0.2.1", "two": "192.0.2.2"},
				"10.192.0.0/24": {"one": "192.0.2.1", "two": "192.0.2.1 192.0.2.2"},
			} {
				if got, _ := askFor(t, s, c, name, dns.TypeA, netip.MustParsePrefix(client)); got != "["+want[names[i]]+"] 0" {
					t.Errorf("%s over %s has %s for %s, want %s", name, names[i], got, client, want[names[i]])
				}
			}
		}
	}
}
