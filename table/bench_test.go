package table

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
)

// million is a zone of so many services of a few policies.
func million(b *testing.B, n int, format string) *spec.Spec {
	b.Helper()
	policies := make([]*spec.Policy, 4)
	for i := range policies {
		p := *onePool
		p.TTL = uint32(i)
		policies[i] = &p
	}
	zone := &spec.Zone{Name: "\x04gslb\x07example\x03com\x00", Nameservers: []spec.Nameserver{{Name: "\x02ns\x07example\x03net\x00"}}}
	zone.Data = static(b, zone)
	services := make([]spec.Service, n)
	for i := range services {
		services[i] = spec.Service{Label: fmt.Sprintf(format, i), Policy: policies[i%len(policies)]}
	}
	zone.Services = spec.StateServices(services)
	return bare(zone)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkCompileMillion compiles a million rotating services, at first and
// as a reload. B/name is all that the table takes; the budget is 100.
func BenchmarkCompileMillion(b *testing.B) {
	for _, c := range []struct {
		name, format string
		n            int
	}{
		{"names", "n%07d", 1_000_000},
		{"past-a-power-of-two", "n%07d", 1<<20 + 1000},
		{"dotted", "web.n%07d", 500_000}, // each with an empty non-terminal
	} {
		b.Run(c.name, func(b *testing.B) {
			s := million(b, c.n, c.format)
			before := heap()
			var t *Table
			for b.Loop() {
				var err error
				if t, err = Compile(nil, s); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(heap()-before)/float64(t.Len()), "B/name")
			runtime.KeepAlive(s)
		})
		b.Run(c.name+"-reload", func(b *testing.B) {
			s := million(b, c.n, c.format)
			t, err := Compile(nil, s)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if t, err = Compile(t, s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFind looks names up in a table of a million, in no order.
func BenchmarkFind(b *testing.B) {
	const n = 1_000_000
	tab, err := Compile(nil, million(b, n, "n%07d"))
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ name, format string }{
		{"there", "\x08n%07d\x04gslb\x07example\x03com\x00"},
		{"not-there", "\x08m%07d\x04gslb\x07example\x03com\x00"},
		{"other-zone", "\x08m%07d\x04gslb\x07example\x03net\x00"},
		{"deep", "\x08m%07d" + strings.Repeat("\x01x", 110) + "\x04gslb\x07example\x03com\x00"},
	} {
		b.Run(c.name, func(b *testing.B) {
			asked := make([]dnswire.Name, 1<<16)
			for i := range asked {
				asked[i] = dnswire.Name(fmt.Sprintf(c.format, i*7919%n))
			}
			name := make([]byte, 0, 256)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				name = append(name[:0], asked[i&(1<<16-1)]...)
				// The next one depends on this one, as in a server much lies between.
				i += tab.Find(name, dnswire.TypeA).Encloser >> 8
				i++
			}
		})
	}
}
