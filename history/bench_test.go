package history

import (
	"fmt"
	"runtime"
	"testing"
)

// BenchmarkTell is what an event costs whoever tells it.
func BenchmarkTell(b *testing.B) {
	l, err := Open(Options{})
	if err != nil {
		b.Fatal(err)
	}
	e := Event{Type: Down, Endpoint: "192.0.2.1", State: Down, Was: Up, Reason: "check web: timeout"}
	b.ReportAllocs()
	for b.Loop() {
		l.Tell(e)
		if l.last%10_000 == 0 {
			b.StopTimer()
			l.take()
			b.StartTimer()
		}
	}
}

// BenchmarkFull is what the list takes when it is full, a byte count for each event.
func BenchmarkFull(b *testing.B) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		before := heap()
		l, err := Open(Options{})
		if err != nil {
			b.Fatal(err)
		}
		for i := range Most {
			l.Tell(Event{
				Type: Down, Endpoint: fmt.Sprintf("10.0.%d.%d", i>>8&255, i&255), Pools: []string{"eu"}, State: Down, Was: Up, Lasted: 1e9,
				Check: "web", Class: "timeout", Reason: fmt.Sprintf("check web: took %d ms", i%500),
			})
		}
		l.take()
		b.ReportMetric(float64(heap()-before)/Most, "B/event")
		runtime.KeepAlive(l)
	}
}
