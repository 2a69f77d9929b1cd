//go:build unix

package controller_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// BenchmarkChain is a record that another controller has changed, in a zone of so many, until
// the edge behind this one is told, the pause of 50 ms among it; and the time that all of it
// takes of a processor, the edge's part included.
func BenchmarkChain(b *testing.B) {
	for _, names := range []int{1000, 300_000} {
		b.Run(fmt.Sprint(names), func(b *testing.B) { chained(b, names) })
	}
}

func chained(b *testing.B, names int) {
	w := newWebhook(b, "shared-with-edges")
	w.unlisted = true // so that it is told everything at first
	n := start(b, strings.Replace(fedWorld, "\ncontroller: {", fmt.Sprintf("\ncontroller: {edges: [{url: %q}], ", w.URL), 1))
	owner := func(i int) string { return fmt.Sprintf("host%d.gslb.test", i%names) }
	record := func(i int) text.Record {
		return text.Record{Owner: name(b, owner(i)), Type: dnswire.TypeA, TTL: 30, Data: []byte{10, byte(i >> 16), byte(i >> 8), byte(i)}}
	}
	made := zone.NewBuilder(name(b, "gslb.test"))
	for _, r := range n.engine.Apex(name(b, "gslb.test")) {
		if err := made.Add(&r); err != nil {
			b.Fatal(err)
		}
	}
	for i := range names {
		r := record(i)
		if err := made.Add(&r); err != nil {
			b.Fatal(err)
		}
	}
	d, faults, _ := made.Build()
	if len(faults) > 0 {
		b.Fatal(faults)
	}
	feed := func() {
		if err := n.engine.Feed(d.Name, d); err != nil {
			b.Fatal(err)
		}
	}
	feed()
	w.until("all that there is", func() bool { return len(w.has) >= names })
	before := spent(b)
	for i := names; b.Loop(); i++ {
		r := record(i)
		next, err := d.Amend([]zone.Edit{{Owner: r.Owner, Exists: true, Records: []text.Record{r}}})
		if err != nil {
			b.Fatal(err)
		}
		d = next
		feed()
		want := fmt.Sprintf("10.%d.%d.%d", byte(i>>16), byte(i>>8), byte(i))
		w.until(want, func() bool {
			ips := w.has[api.Key{Name: owner(i), Type: "A"}].IPs
			return len(ips) == 1 && ips[0] == want
		})
	}
	b.ReportMetric((spent(b)-before).Seconds()*1000/float64(b.N), "cpu-ms/op")
}

// spent is how much of a processor the process has had.
func spent(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
