//go:build unix

package store

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"
)

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPut writes 50,000 entries as large as verdicts, in any order, into a bucket
// that has none of them, and into one that has all. What counts is the CPU time of each.
func BenchmarkPut(b *testing.B) {
	const n = 50_000
	var all []Entry
	for i := range n {
		all = append(all, entry(fmt.Sprintf("10.%d.%d.%d http:80 GET / www.example.com", i>>16, i>>8&255, i&255), strings.Repeat("v", 260)))
	}
	for _, c := range []struct {
		name string
		anew bool
	}{{"new", true}, {"known", false}} {
		b.Run(c.name, func(b *testing.B) {
			s, err := Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			if err := s.Put("b", all); err != nil {
				b.Fatal(err)
			}
			var took time.Duration
			for i := range b.N {
				rand.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
				bucket := "b"
				if c.anew {
					bucket = fmt.Sprint(i)
				}
				began := cpu()
				if err := s.Put(bucket, all); err != nil {
					b.Fatal(err)
				}
				took += cpu() - began
			}
			b.ReportMetric(float64(took.Nanoseconds())/float64(b.N)/n, "cpu-ns/entry")
		})
	}
}
