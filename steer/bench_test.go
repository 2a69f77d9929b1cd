package steer

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rhumb-dns/rhumb/geo"
)

// BenchmarkApply is one application to a set of candidates, the copy of the set
// included.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{8, 256} {
		whole := set(n)
		soft, hard := make([]uint32, n), make([]uint32, n)
		places := make([]geo.Place, min(n, 16))
		for i := range places {
			places[i] = geo.Place{Country: string(rune('A' + i)), Located: true, Lat: float64(i * 5), Lon: float64(i * 10)}
		}
		q := rnd(1)
		q.Place = &geo.Place{Country: "C", Located: true, Lat: 11, Lon: 22}
		for i := range whole {
			whole[i].Weight, whole[i].Pool, whole[i].Site = uint32(50+i), uint16(i%2), uint16(i%len(places))
			soft[i], hard[i] = 50, 100
			q.Targets = append(q.Targets, int32(i))
			q.Latency = append(q.Latency, uint32(1000+i*37%500))
			q.Load = append(q.Load, uint32(i%90))
		}
		part := append([]Candidate(nil), whole...)
		part[n/2].Share = Whole / 2
		fence := &Geofence{Levels: []geo.Level{geo.ByCountry}, Sites: places}
		for _, c := range []struct {
			name   string
			filter Filter
			set    []Candidate
			want   int
		}{
			{"copy", Limit{n}, whole, 1},
			{"rotate", Rotate{}, whole, 1},
			{"shuffle", Shuffle{}, whole, 1},
			{"shuffle-part", Shuffle{}, part, 1},
			{"weighted", Weighted{}, whole, 1},
			{"weighted-part", Weighted{}, part, 1},
			{"sticky", sticky(n), whole, 1},
			{"sticky-2", sticky(n), whole, 2},
			{"sticky-all", sticky(n), whole, 0},
			{"tier", Tier{}, whole, 1},
			{"spill", &Spill{Least: 50, Percent: true, Most: 100, Mates: make([]uint32, n)}, whole, 1},
			{"latency", &Latency{Tolerance: 15}, whole, 1},
			{"shed", &Shed{Soft: soft, Hard: hard}, whole, 1},
			{"geofence", fence, whole, 1},
			{"nearest", NewNearest(10, 100, places), whole, 1},
			{"first", NewFirst([]Filter{&Geofence{Levels: fence.Levels, Strict: true}}, []Filter{Weighted{}}), whole, 1},
		} {
			b.Run(fmt.Sprintf("%s-%d", c.name, n), func(b *testing.B) {
				buf := make([]Candidate, n)
				r := rand.NewPCG(1, 1)
				b.ReportAllocs()
				for b.Loop() {
					q.Want = c.want
					q.Seq++
					q.Subnet = r.Uint64()
					c.filter.Apply(q, buf[:copy(buf, c.set)])
				}
			})
		}
	}
}
