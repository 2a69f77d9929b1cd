package spec

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// million is the file of a large node: a few pools and a million services.
func million(n int, service string) []byte {
	var b bytes.Buffer
	b.WriteString(`checks:
  web: {type: http, port: 8080, path: /healthz, host: www.example.com}
pools:
  eu: {checks: [web], endpoints: [192.0.2.10, 192.0.2.11]}
  us: {checks: [web], endpoints: [198.51.100.10, {address: "2001:db8::10", weight: 200}]}
zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
`)
	for i := range n {
		fmt.Fprintf(&b, service, i)
	}
	return b.Bytes()
}

const oneLine = "      n%07d: {pools: [eu, us], steer: weighted}\n"

// BenchmarkLoadMillion loads a million services from a file. peak-MB is the
// most that the heap held.
func BenchmarkLoadMillion(b *testing.B) {
	for name, service := range map[string]string{
		"flow":     oneLine,
		"block":    "      n%07d:\n        pools: [eu, us]\n        steer: weighted\n",
		"https":    "      n%07d: {pools: [eu, us], https: {alpn: [h3, h2]}}\n",
		"distinct": "      n%07[1]d: {pools: [eu, us], ttl: %[1]d}\n",
	} {
		n := 1_000_000
		if name == "distinct" {
			n = 600_000 // TTLs end at 604800
		}
		b.Run(name, func(b *testing.B) {
			file := filepath.Join(b.TempDir(), "million.yaml")
			if err := os.WriteFile(file, million(n, service), 0o644); err != nil {
				b.Fatal(err)
			}
			runtime.GC()
			debug.FreeOSMemory()
			peak, stop := watchHeap()
			defer stop()
			for b.Loop() {
				s, _, err := Load(file, Options{})
				if err != nil || s.Zones[0].Services.Len() != n {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(peak.Load())/1e6, "peak-MB")
		})
	}
}

// watchHeap follows the most that the heap takes.
func watchHeap() (*atomic.Uint64, func()) {
	var peak atomic.Uint64
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), m.HeapAlloc))
			}
		}
	}()
	return &peak, func() { close(done); <-over }
}

// BenchmarkReloadMillion loads a million services again, after a change.
func BenchmarkReloadMillion(b *testing.B) {
	text := million(1_000_000, oneLine)
	middle := bytes.Index(text, []byte("      n0500000"))
	at := func(b []byte, off, cut int, put string) []byte {
		return slices.Concat(b[:off], []byte(put), b[off+cut:])
	}
	for _, change := range []struct {
		name string
		make func(i int) []byte // another one for each i
	}{
		{"nothing", func(int) []byte { return text }},
		{"line", func(i int) []byte { return at(text, middle, len("      n"), fmt.Sprintf("      %c", 'o'+i%2)) }},
		{"insert", func(i int) []byte {
			return at(text, middle, 0, fmt.Sprintf("      new%d: {pools: [eu, us], steer: weighted}\n", i))
		}},
		{"endpoint", func(i int) []byte {
			return bytes.Replace(text, []byte("192.0.2.11"), fmt.Appendf(nil, "192.0.2.%d", 20+i%2), 1)
		}},
		{"pool", func(i int) []byte {
			return bytes.Replace(text, []byte("checks: [web]"), fmt.Appendf(nil, "checks: [web], min_healthy: %d", 1+i%2), 1)
		}},
	} {
		b.Run(change.name, func(b *testing.B) {
			file := filepath.Join(b.TempDir(), "million.yaml")
			kept := &Kept{}
			load := func(i int) {
				b.StopTimer()
				if err := os.WriteFile(file, change.make(i), 0o644); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if _, _, err := Load(file, Options{Kept: kept}); err != nil {
					b.Fatal(err)
				}
			}
			load(0)
			b.ResetTimer()
			for i := range b.N {
				load(i + 1)
			}
		})
	}
}
