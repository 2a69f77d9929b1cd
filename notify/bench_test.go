package notify

import (
	"fmt"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/history"
	"github.com/rhumb-dns/rhumb/spec"
)

// BenchmarkHold is what it costs to find out which of 10,000 endpoints that went down at
// once have stayed so, with a list that is full.
func BenchmarkHold(b *testing.B) {
	l, err := history.Open(history.Options{})
	if err != nil {
		b.Fatal(err)
	}
	const down = 10_000
	for i := range history.Most {
		to, was := history.Up, history.Down
		if i >= history.Most-down {
			to, was = was, to
		}
		l.Tell(history.Event{
			Type: to, Endpoint: fmt.Sprintf("10.0.%d.%d", i%down>>8, i&255), Pools: []string{"eu"}, State: to, Was: was,
			Check: "web", Class: "refused", Reason: "check web: connection refused",
		})
	}
	all, _ := l.Read(history.Query{}, down)
	n, err := New(Options{History: l})
	if err != nil {
		b.Fatal(err)
	}
	by := &setting{Destination: &spec.Destination{Name: "ops", Hold: time.Nanosecond, Batch: 500, MaxAge: time.Hour}}
	d := newDestination(n, by, 0)
	b.ReportAllocs()
	for b.Loop() {
		at, told := all[0].ID-1, 0
		for told < down {
			c := d.collect(by, at)
			at, told = c.at, told+len(c.events)
		}
	}
}
