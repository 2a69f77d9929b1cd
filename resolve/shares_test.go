package resolve_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
)

// dual is a service www.x.test with an IPv4 and an IPv6 endpoint for each weight.
func dual(steer string, weights ...int) string {
	var b strings.Builder
	b.WriteString("pools:\n  p:\n    endpoints:\n")
	for i, w := range weights {
		fmt.Fprintf(&b, "      - {address: 192.0.2.%d, weight: %d}\n", i+1, w)
		fmt.Fprintf(&b, "      - {address: \"2001:db8::%d\", weight: %d}\n", i+1, w)
	}
	fmt.Fprintf(&b, "zones:\n  x.test:\n    nameservers: {ns1: 192.0.2.53}\n    services:\n      www: {pools: [p], steer: %s}\n", steer)
	return b.String()
}

// last is the last octet of the one address in an answer.
func last(t *testing.T, answer []byte, q *dnswire.Query) int {
	t.Helper()
	if n := answer[7]; n != 1 {
		t.Fatalf("%d records", n)
	}
	size := 16
	if q.Type == dnswire.TypeAAAA {
		size = 28
	}
	if len(answer) != len(q.Msg)+size {
		t.Fatalf("%d octets", len(answer))
	}
	return int(answer[len(answer)-1])
}

// ask plays answers with A and AAAA in turn, and counts them by type and by
// the last octet of the address.
func ask(t *testing.T, s *resolve.Snapshot, answers int) (counts [2][256]int) {
	t.Helper()
	c := resolve.NewScratch(1, 2)
	queries := []*dnswire.Query{
		parsed(query(t, "www.x.test", dns.TypeA), dnswire.UDP),
		parsed(query(t, "www.x.test", dns.TypeAAAA), dnswire.UDP),
	}
	var buf []byte
	for i := range 2 * answers {
		q := queries[i%2]
		buf = s.Append(buf[:0], q, c)
		counts[i%2][last(t, buf, q)]++
	}
	return counts
}

// TestWeightedShares holds what clients see to 1% of the weights, over 100,000
// answers of each type asked in turn.
func TestWeightedShares(t *testing.T) {
	if raced {
		t.Skip("one goroutine counts its answers")
	}
	const answers = 100_000
	weights := []int{100, 200, 50, 0, 400, 1, 249}
	for _, down := range [][]string{
		nil,
		{"192.0.2.5", "2001:db8::2"},
		{"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::5", "2001:db8::7"},
	} {
		s := compile(t, dual("weighted", weights...), down...)
		counts := ask(t, s, answers)
		for f, format := range []string{"192.0.2.%d", "2001:db8::%d"} {
			up := func(i int) bool {
				return !strings.Contains(" "+strings.Join(down, " ")+" ", " "+fmt.Sprintf(format, i+1)+" ")
			}
			sum := 0
			for i, w := range weights {
				if up(i) {
					sum += w
				}
			}
			for i, w := range weights {
				want := 0.0
				if up(i) {
					want = float64(w) / float64(sum)
				}
				share := float64(counts[f][i+1]) / answers
				if math.Abs(share-want) > 0.01 || want == 0 && share > 0 {
					t.Errorf("down %v: "+format+" has share %.4f, its weight is %.4f", down, i+1, share, want)
				}
			}
		}
	}
}

// TestRoundRobinShares asks for A and AAAA in turn, as clients do: each of the
// two goes round all endpoints.
func TestRoundRobinShares(t *testing.T) {
	const answers = 12_000
	for n := 1; n <= 6; n++ {
		s := compile(t, dual("round-robin", make([]int, n)...))
		counts := ask(t, s, answers)
		for f := range counts {
			for i := 1; i <= n; i++ {
				if got := counts[f][i]; got != answers/n {
					t.Errorf("%d endpoints: number %d is in %d of %d answers of type %d", n, i, got, answers, f)
				}
			}
		}
	}
}

// TestCNAMEShares is the same for host names, where A and AAAA both lead to a CNAME.
func TestCNAMEShares(t *testing.T) {
	s := compile(t, `
pools: {p: {endpoints: [a.example, b.example]}}
zones: {x.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [p]}}}}
`)
	c := resolve.NewScratch(1, 2)
	counts := map[string]int{}
	for i := range 400 {
		typ := []uint16{dns.TypeA, dns.TypeAAAA}[i%2]
		q := parsed(query(t, "www.x.test", typ), dnswire.UDP)
		m := sound(t, q, s.Append(nil, q, c))
		counts[fmt.Sprint(dns.TypeToString[typ], m.Answer[0].(*dns.CNAME).Target)]++
	}
	for _, k := range []string{"Aa.example.", "Ab.example.", "AAAAa.example.", "AAAAb.example."} {
		if counts[k] != 100 {
			t.Errorf("%v", counts)
		}
	}
}

// TestOutcome is what a server counts by.
func TestOutcome(t *testing.T) {
	s := compile(t, `
pools:
  p: {endpoints: [192.0.2.1, 192.0.2.2]}
  q: {endpoints: [198.51.100.1]}
  toweb: {endpoints: [www.x.test]}
  dead: {endpoints: [203.0.113.1]}
  big: {endpoints: [`+addresses(60)+`]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [p, q], answers: 0}
      cname: {pools: [toweb]}
      one: {pools: [q, p], steer: failover}
      reserve: {pools: [dead], all_down: q}
      failing: {pools: [dead], all_down: servfail}
      big: {pools: [big], answers: 0}
  y.test: {nameservers: {ns1: 192.0.2.53}}
`, "203.0.113.1")
	names := map[uint32]string{}
	s.Table.EachCounter(func(uint32) bool { return true }, func(i uint32, service, pool string) { names[i] = service + pool })
	c := resolve.NewScratch(1, 2)
	for _, want := range []struct {
		name     string
		typ      uint16
		zone     int
		rcode    dnswire.RCode
		counters string
	}{
		{"www.x.test.", dns.TypeA, 0, dnswire.NoError, "www.x.test.p www.x.test.p www.x.test.q"},
		{"cname.x.test.", dns.TypeA, 0, dnswire.NoError, "cname.x.test.toweb www.x.test.p www.x.test.q www.x.test.p"},
		{"one.x.test.", dns.TypeA, 0, dnswire.NoError, "one.x.test.q"},
		{"reserve.x.test.", dns.TypeA, 0, dnswire.NoError, "reserve.x.test.q"},
		{"failing.x.test.", dns.TypeA, 0, dnswire.ServFail, ""},
		{"big.x.test.", dns.TypeA, 0, dnswire.NoError, ""}, // truncated: no record was given
		{"www.x.test.", dns.TypeAAAA, 0, dnswire.NoError, ""},
		{"no.y.test.", dns.TypeA, 1, dnswire.NXDomain, ""},
		{"no.z.test.", dns.TypeA, -1, dnswire.Refused, ""},
	} {
		q := parsed(query(t, want.name, want.typ), dnswire.UDP)
		m := sound(t, q, s.Append(nil, q, c))
		var got, endpoints, answered []string
		for _, i := range c.Outcome.Counters {
			got = append(got, names[i])
		}
		for _, i := range c.Outcome.Targets {
			endpoints = append(endpoints, s.Table.Targets[i].String())
		}
		for _, r := range m.Answer {
			switch r := r.(type) {
			case *dns.A:
				answered = append(answered, r.A.String())
			case *dns.CNAME:
				answered = append(answered, strings.TrimSuffix(r.Target, "."))
			}
		}
		if strings.Join(endpoints, " ") != strings.Join(answered, " ") {
			t.Errorf("%s %d: the targets are %q, the answer has %q", want.name, want.typ, endpoints, answered)
		}
		if c.Outcome.Zone != want.zone || c.Outcome.RCode != want.rcode || strings.Join(got, " ") != want.counters {
			t.Errorf("%s %d: zone %d, %s, counters %q", want.name, want.typ, c.Outcome.Zone, c.Outcome.RCode, got)
		}
	}
}

// addresses is so many of them, as a list.
func addresses(n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("10.0.0.%d", i+1)
	}
	return strings.Join(out, ", ")
}

// TestSharesOfPools holds what clients see to the weights of pools and of nested
// services, however many of their endpoints are up.
func TestSharesOfPools(t *testing.T) {
	if raced {
		t.Skip("one goroutine counts its answers")
	}
	const answers = 60_000
	s := compile(t, `
checks: {c: {type: tcp, port: 1}}
pools:
  eu: {checks: [c], endpoints: [192.0.2.1, 192.0.2.2, {address: 192.0.2.3, weight: 300}]}
  us: {checks: [c], endpoints: [192.0.2.4]}
  asia: {checks: [c], endpoints: [192.0.2.5, 192.0.2.6]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      west: {pools: [us, asia], steer: failover}
      www: {pools: [{pool: eu, weight: 70}, {service: west, weight: 30}], steer: weighted}
`)
	for _, c := range []struct {
		down []int
		want map[int]float64
	}{
		{nil, map[int]float64{1: 0.14, 2: 0.14, 3: 0.42, 4: 0.3}},
		{[]int{3}, map[int]float64{1: 0.35, 2: 0.35, 4: 0.3}},
		{[]int{1, 3, 4}, map[int]float64{2: 0.7, 5: 0.15, 6: 0.15}},
		{[]int{1, 2, 3}, map[int]float64{4: 1}},
	} {
		states := map[int]health.Detail{}
		for i, target := range s.Table.Targets {
			states[i] = health.Detail{State: health.Up}
			if n := target.Addr.As4()[3]; slices.Contains(c.down, int(n)) {
				states[i] = health.Detail{State: health.Down}
			}
		}
		s.Health = health.Fixed(len(s.Table.Targets), states)
		scratch := resolve.NewScratch(1, 2)
		counts := map[int]int{}
		q := parsed(query(t, "www.x.test", dns.TypeA), dnswire.UDP)
		for range answers {
			m := sound(t, q, s.Append(nil, q, scratch))
			counts[int(m.Answer[0].(*dns.A).A.To4()[3])]++
		}
		for i := 1; i <= 6; i++ {
			if share := float64(counts[i]) / answers; math.Abs(share-c.want[i]) > 0.01 {
				t.Errorf("down %v: %d has share %.3f, not %.3f", c.down, i, share, c.want[i])
			}
		}
	}
}
