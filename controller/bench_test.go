package controller_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// large is a zone of so many services that share a hundred pools.
func large(services int) string {
	var b strings.Builder
	b.WriteString("pools:\n")
	for i := range 100 {
		fmt.Fprintf(&b, "  p%d: {place: {region: r%d}, endpoints: [192.0.2.%d, 198.51.100.%d, \"2001:db8::%d\"]}\n", i, i%4, i+1, i+1, i+1)
	}
	b.WriteString("zones:\n  gslb.test:\n    nameservers: {ns1.example.net.: []}\n    services:\n")
	for i := range services {
		fmt.Fprintf(&b, "      s%d: {pools: [p%d, p%d], steer: geo}\n", i, i%100, (i+1)%100)
	}
	b.WriteString("controller: {secret: shared-with-edges, zones: [gslb.test]}\n")
	return b.String()
}

// BenchmarkAnew is a first answer, BenchmarkChange an operator's word on one service until
// a follower is told, the pause of 50 ms among it.
func BenchmarkAnew(b *testing.B) {
	n := start(b, large(100_000))
	text := large(100_000)
	for b.Loop() {
		b.StopTimer()
		n.configure(text)
		b.StartTimer()
		n.now("r1")
	}
}

func BenchmarkChange(b *testing.B) {
	n := start(b, large(100_000))
	n.now()
	f, err := n.Follow(name(b, "gslb.test"), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for i := 0; b.Loop(); i++ {
		before := n.now().Hash
		n.override("s7.gslb.test", "192.0.2.8", i%2 == 1)
		if n.now().Hash == before {
			b.Fatal("nothing has changed")
		}
	}
}

// BenchmarkWrite is a snapshot of 100,000 services as JSON.
func BenchmarkWrite(b *testing.B) {
	st := start(b, large(100_000)).now()
	b.ReportMetric(float64(st.Len()), "records")
	for b.Loop() {
		if err := st.WriteJSON(io.Discard, false); err != nil {
			b.Fatal(err)
		}
	}
}
