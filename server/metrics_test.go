package server

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	twoZones = `
pools:
  p: {endpoints: [192.0.2.1]}
zones:
  a.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [p]}}}
  b.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [p]}}}
`
	oneZone = `
pools:
  p: {endpoints: [192.0.2.1]}
zones:
  b.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [p]}}}
`
)

// TestCountsFollowTheirZone reloads so that the index of a zone changes.
func TestCountsFollowTheirZone(t *testing.T) {
	r := start(t, Options{}, "127.0.0.1:0")
	udp, tcp := dial(t, "udp", r.Addrs()[0]), dial(t, "tcp", r.Addrs()[0])
	both := snapshot(t, twoZones)
	r.snap.Store(both)
	id := uint16(0)
	askAll := func() {
		for _, name := range []string{"www.b.test.", "www.a.test.", "www.b.test."} {
			id++
			ask(t, udp, id, name)
			send(t, tcp, query(t, id, name))
			check(t, receive(t, tcp), id)
		}
	}
	expect := func(series string, want float64) {
		t.Helper()
		for _, transport := range []string{"udp", "tcp"} {
			s := strings.Replace(series, "TRANSPORT", transport, 1)
			if got := r.metric(t, s); got != want {
				t.Errorf("%s is %v, want %v", s, got, want)
			}
		}
	}
	const a, b = `rhumb_dns_queries_total{rcode="NOERROR",transport="TRANSPORT",type="A",zone="a.test."}`,
		`rhumb_dns_queries_total{rcode="NOERROR",transport="TRANSPORT",type="A",zone="b.test."}`
	askAll()
	expect(a, 1)
	expect(b, 2)
	expect(`rhumb_answers_total{pool="p",service="www.b.test."}`, 4)

	r.snap.Store(compile(t, both.Table, oneZone)) // b.test moves into a.test's place
	askAll()
	expect(a, 1)
	expect(b, 4)
	expect(`rhumb_answers_total{pool="p",service="www.b.test."}`, 8)
	expect(`rhumb_dns_queries_total{rcode="REFUSED",transport="TRANSPORT",type="A",zone="-"}`, 1)

	r.snap.Store(compile(t, r.snap.Load().Table, twoZones))
	askAll()
	expect(a, 2)
	expect(b, 6)
	expect(`rhumb_answers_total{pool="p",service="www.b.test."}`, 12)
}

// TestLabelsAreOurs asks for what no configuration has, and sees that none of
// it becomes a label.
func TestLabelsAreOurs(t *testing.T) {
	r := start(t, Options{}, "127.0.0.1:0")
	c := dial(t, "udp", r.Addrs()[0])
	for id := range uint16(200) {
		q := query(t, id, "random"+strings.Repeat("x", int(id)%50)+".example.")
		q[len(q)-11-4], q[len(q)-11-3] = byte(id), byte(id*7) // the type
		if _, err := c.Write(q); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for series := range gather(t, r.registry) {
		if strings.Contains(series, "example") || strings.Contains(series, "random") {
			t.Errorf("series %s", series)
		}
		if strings.HasPrefix(series, "rhumb_dns_queries_total") {
			n++
		}
	}
	if n > len(typeNames)*len(rcodeNames) {
		t.Errorf("%d series", n)
	}
}

// TestDescribed compares what is collected with what is described.
func TestDescribed(t *testing.T) {
	r := startSetup(t, Options{}, Setup{Listen: addresses("127.0.0.1:0"), TLS: addresses("127.0.0.1:0"), Certificate: certificate(t, 1)})
	ask(t, dial(t, "udp", r.Addrs()[0]), 1, "www.x.test.")
	described := map[*prometheus.Desc]bool{}
	descs := make(chan *prometheus.Desc, 100)
	r.Describe(descs)
	close(descs)
	for d := range descs {
		described[d] = true
	}
	metrics := make(chan prometheus.Metric, 1000)
	r.Collect(metrics)
	close(metrics)
	seen := map[*prometheus.Desc]bool{}
	for m := range metrics {
		if !described[m.Desc()] {
			t.Errorf("not described: %s", m.Desc())
		}
		seen[m.Desc()] = true
	}
	for d := range described {
		if !seen[d] {
			t.Errorf("described and not collected: %s", d)
		}
	}
}
