package server

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/server/meter"
)

// counted is a list of counts as text, sorted, without the zeros.
func counted(counts []meter.Count) string {
	var all []string
	for _, c := range counts {
		if c.N > 0 {
			all = append(all, fmt.Sprintf("%s=%d", c.Name, c.N))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// twoEndpoints has an endpoint on its own and one in two pools of a service.
const twoEndpoints = `
pools:
  p: {endpoints: [192.0.2.1]}
  q: {endpoints: [192.0.2.2, 192.0.2.3]}
  away: {endpoints: [www.x.test]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [p]}
      both: {pools: [p, q], answers: 0, steer: failover}
      all: {pools: [p, q], answers: 0, steer: random}
      far: {pools: [away]}
`

// TestReading asks over UDP and TCP and reads what was counted.
func TestReading(t *testing.T) {
	r := start(t, Options{}, "127.0.0.1:0")
	first := snapshot(t, twoEndpoints)
	r.snap.Store(first)
	udp, tcp := dial(t, "udp", r.Addrs()[0]), dial(t, "tcp", r.Addrs()[0])
	names := []string{"www.x.test.", "all.x.test.", "far.x.test.", "no.x.test.", "www.elsewhere."}
	id := uint16(0)
	askAll := func() {
		for _, name := range names {
			id++
			ask(t, udp, id, name)
			send(t, tcp, query(t, id, name))
			check(t, receive(t, tcp), id)
		}
	}
	askAll()
	got := r.Reading()
	if s := counted(got.Endpoints); s != "192.0.2.1=6 192.0.2.2=2 192.0.2.3=2 www.x.test=2" {
		t.Errorf("endpoints %s", s)
	}
	services := map[string][2]uint64{}
	for _, s := range got.Services {
		at := services[s.Service]
		services[s.Service] = [2]uint64{at[0] + s.Queries, at[1] + s.Records}
	}
	// far leads on to www, which gives records and was not asked for.
	if s := fmt.Sprint(services); s != "map[all.x.test.:[2 6] far.x.test.:[2 2] www.x.test.:[2 4]]" {
		t.Errorf("services %s", s)
	}

	// All of few are looked at.
	for _, h := range meter.Ranked(got.Networks, nil) {
		if n := meter.Network(h.Key); n != netip.MustParsePrefix("127.0.0.0/24") || h.N != 10 {
			t.Errorf("%d queries from %s", h.N, n)
		}
	}
	asked := map[string]uint64{}
	for _, h := range meter.Ranked(got.Names, nil) {
		asked[dnswire.Name(h.Key).String()] = h.N
	}
	if len(asked) != len(names) || asked["no.x.test."] != 2 || asked["www.elsewhere."] != 2 {
		t.Errorf("names %v", asked)
	}
	// The latency of an answer is known only when it is out, so the last one's of
	// each may come later.
	for i, transport := range meter.Transports[:2] {
		if n := got.Latency[i].Count(); n < 4 || n > 5 {
			t.Errorf("%s: %d latencies", transport, n)
		}
		if p := got.Latency[i].Quantile(0.5); p <= 0 || p > patience {
			t.Errorf("%s: the median latency is %v", transport, p)
		}
		if o := got.Sizes[i]; o.Sum < 4*40 || o.Counts[0]+o.Counts[1] < 4 {
			t.Errorf("%s: sizes %+v", transport, o)
		}
	}

	// An endpoint keeps its count when its index changes, and without its service.
	r.snap.Store(compile(t, first.Table, strings.Replace(twoEndpoints, "pools:", "pools:\n  o: {endpoints: [192.0.2.9]}", 1)+"      o: {pools: [o]}\n"))
	askAll()
	if s := counted(r.Reading().Endpoints); s != "192.0.2.1=12 192.0.2.2=4 192.0.2.3=4 www.x.test=4" {
		t.Errorf("endpoints after a reload %s", s)
	}

	// Nothing is lost with the workers.
	r.stop(t)
	got = r.Reading()
	if s := counted(got.Endpoints); s != "192.0.2.1=12 192.0.2.2=4 192.0.2.3=4 www.x.test=4" {
		t.Errorf("endpoints at the end %s", s)
	}
	for i, transport := range meter.Transports[:2] {
		if n := got.Latency[i].Count(); n != 10 {
			t.Errorf("%s: %d latencies at the end", transport, n)
		}
		sizes := uint64(0)
		for _, n := range got.Sizes[i].Counts {
			sizes += n
		}
		if sizes != 10 {
			t.Errorf("%s: %d sizes at the end", transport, sizes)
		}
	}
}

// TestEndpointsAreForgotten changes the endpoints again and again: what is
// counted of those that are gone does not pile up.
func TestEndpointsAreForgotten(t *testing.T) {
	s := New(Options{})
	c := s.newCounters(nil)
	for round := range 5 {
		snap := snapshot(t, "pools: {p: {endpoints: ["+manyAddresses(round, endpointSlack)+"]}}\nzones: {x.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [p]}}}}\n")
		v := c.viewOf(snap, snapshotOf(snap))
		for i := range snap.Table.Targets {
			v.endpoint(c, snap, int32(i))
		}
	}
	if n := len(c.endpoints); n > 4*endpointSlack {
		t.Errorf("%d endpoints are counted", n)
	}
}

func manyAddresses(round, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("10.%d.%d.%d", round, i/250, i%250)
	}
	return strings.Join(all, ", ")
}

// TestAnswerAllocates checks that a query does not, whatever is counted of it.
func TestAnswerAllocates(t *testing.T) {
	for _, name := range []string{"www.x.test.", "big.x.test.", "nope.x.test."} {
		w, msg, client := answering(t, name)
		out := make([]byte, 0, dnswire.MaxTCP)
		if n := testing.AllocsPerRun(1000, func() {
			w.begin()
			out = w.answer(out[:0], msg, client)
			w.sent()
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
