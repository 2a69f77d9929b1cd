package meter

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestBuckets looks at both sides of every bound.
func TestBuckets(t *testing.T) {
	for i := 1; i < buckets; i++ {
		at := lower(i)
		if got := bucket(at); got != i-1 {
			t.Errorf("%v is in bucket %d, want %d", at, got, i-1)
		}
		if got := bucket(at + 1); got != i {
			t.Errorf("%v is in bucket %d, want %d", at+1, got, i)
		}
		if width := lower(i+1) - at; width > max(tick, at/parts) {
			t.Errorf("bucket %d from %v is %v wide", i, at, width)
		}
	}
	for d, want := range map[time.Duration]int{-time.Second: 0, 0: 0, time.Hour: buckets - 1} {
		if got := bucket(d); got != want {
			t.Errorf("%v is in bucket %d, want %d", d, got, want)
		}
	}
	if got := lower(buckets); got != 16777216*time.Microsecond {
		t.Errorf("the last bucket ends at %v", got)
	}
}

// TestQuantiles compares with a sorted list.
func TestQuantiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h, second Histogram
	before := h.Load()
	var all []time.Duration
	sum := time.Duration(0)
	for i := range 10_000 {
		d := time.Duration(r.ExpFloat64() * float64(50*time.Microsecond))
		n := uint64(1 + i%3)
		into := &h
		if i%2 == 0 {
			into = &second
		}
		into.Observe(d, n)
		sum += d * time.Duration(n)
		for range n {
			all = append(all, d)
		}
	}
	h.Add(&second)
	got := h.Load()
	got = got.Since(&before)
	if got.Count() != uint64(len(all)) || got.Sum != sum {
		t.Errorf("%d durations of %v, want %d of %v", got.Count(), got.Sum, len(all), sum)
	}
	slices.Sort(all)
	for _, share := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
		want := all[int(share*float64(len(all)-1))]
		if q := got.Quantile(share); q < want-want/parts-tick || q > want+want/parts+tick {
			t.Errorf("quantile %v is %v, want about %v", share, q, want)
		}
	}
	for k := range 12 {
		limit := time.Microsecond << k
		want := uint64(0)
		for _, d := range all {
			if d <= limit {
				want++
			}
		}
		if n := got.UpTo(limit); n != want {
			t.Errorf("%d are up to %v, want %d", n, limit, want)
		}
	}
	if none := (&Durations{}).Quantile(0.5); none != 0 {
		t.Errorf("the median of nothing is %v", none)
	}
}

func TestSizes(t *testing.T) {
	var s Sizes
	for _, size := range []int{0, 64, 65, 512, 513, 1232, 1233, 65535} {
		var o Octets
		o.Observe(size)
		s.Add(&o)
	}
	if got, want := fmt.Sprint(s.Load()), "{[2 1 0 1 2 1 0 1] 69154}"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestHeavy finds the heavy ones among many light ones, which come in between.
func TestHeavy(t *testing.T) {
	h := NewHeavy(16, 8)
	before := h.Append(nil)
	add := func(i int) { h.Add(fmt.Appendf(nil, "heavy%d", i), 3) }
	for i := range 20_000 {
		h.Add(fmt.Appendf(nil, "l%d", i), 1)
		if i%50 == 0 { // each a seventeenth of all that comes
			for k := range 3 {
				add(k)
			}
		}
	}
	hits := h.Append(nil)
	if len(hits) > 16*ways {
		t.Errorf("%d keys", len(hits))
	}
	top := Ranked(hits, before)
	slices.SortFunc(top, func(x, y Hit) int { return int(y.N) - int(x.N) })
	found := map[string]uint64{}
	for _, hit := range top[:3] {
		found[hit.Key] = hit.N
	}
	for k := range 3 {
		if n := found[fmt.Sprintf("heavy%d", k)]; n < 1000 || n > 1200 {
			t.Errorf("heavy%d was counted %d times: %v", k, n, found)
		}
	}

	// What was counted between two readings, of keys that stay and keys that come.
	add(0)
	h.Add([]byte("newcomer-that-is-long"), 5)
	h.Add([]byte("newcomer-that-differs-too-late"), 2)
	since := map[string]uint64{}
	for _, hit := range Ranked(h.Append(nil), hits) {
		since[hit.Key] = hit.N
	}
	if len(since) != 2 || since["heavy0"] != 3 || since["newcomer"] != 7 {
		t.Errorf("since then %v", since)
	}
}

// TestHeavyForgets sees that what was heavy once makes room.
func TestHeavyForgets(t *testing.T) {
	h := NewHeavy(1, 8)
	for i := range ways {
		h.Add([]byte{byte(i)}, 1_000_000)
	}
	has := func(key byte) bool {
		return slices.ContainsFunc(h.Append(nil), func(hit Hit) bool { return hit.Key == string([]byte{key}) })
	}
	for range 100 * fade * ways {
		h.Add([]byte{100}, 1)
		h.Add([]byte{101}, 1)
	}
	if !has(100) || !has(101) {
		t.Error("what is heavy now has no place")
	}
}

// TestHeavyTogether reads while others count.
func TestHeavyTogether(t *testing.T) {
	h := NewHeavy(4, 16)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 2000 {
				h.Add(fmt.Appendf(nil, "key%d", (i*g)%50), 1)
			}
		})
	}
	for range 50 {
		for _, hit := range h.Append(nil) {
			if len(hit.Key) < 4 || hit.Key[:3] != "key" {
				t.Errorf("key %q", hit.Key)
			}
		}
	}
	all.Wait()
}

// TestSampler sees all of few and some of many, which stand for all.
func TestSampler(t *testing.T) {
	s := NewSampler(1, 2)
	now := time.Second
	s.Begin(now)
	for range 100 {
		if s.Take() != 1 {
			t.Fatal("few, and not all of them are taken")
		}
	}
	for round := range 8 {
		taken, stands := 0, uint64(0)
		const each = 100_000 // 400,000 a second
		for range each {
			if n := s.Take(); n > 0 {
				taken++
				stands += n
			}
		}
		now += period
		s.Begin(now)
		if round == 0 {
			continue
		}
		if taken < looks/4 || taken > 2*looks {
			t.Errorf("%d are taken", taken)
		}
		if stands < each*3/4 || stands > each*5/4 {
			t.Errorf("they stand for %d of %d", stands, each)
		}
	}
	now += time.Minute
	s.Begin(now)
	for range 1000 { // what was passed over before
		s.Take()
	}
	if s.Take() != 1 {
		t.Error("few again, and not all of them are taken")
	}
}

func TestNetworks(t *testing.T) {
	for client, want := range map[string]string{
		"192.0.2.77": "192.0.2.0/24", "::ffff:192.0.2.77": "192.0.2.0/24",
		"2001:db8:1:23ff::5": "2001:db8:1:2300::/56", "::": "::/56", "0.0.0.1": "0.0.0.0/24",
	} {
		key := AppendNetwork(nil, netip.MustParseAddr(client))
		if got := Network(string(key)).String(); got != want || len(key) > NetworkKey {
			t.Errorf("%s is in %s, want %s", client, got, want)
		}
	}
}

// TestAllocations counts without allocating.
func TestAllocations(t *testing.T) {
	heavy, sampler := NewHeavy(4, 16), NewSampler(1, 2)
	var h Histogram
	var s Sizes
	key := []byte("key")
	if n := testing.AllocsPerRun(1000, func() {
		key[0]++
		heavy.Add(key, sampler.Take())
		h.Observe(time.Millisecond, 1)
		var o Octets
		o.Observe(100)
		s.Add(&o)
		sampler.Begin(time.Hour)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHeavy(b *testing.B) {
	h := NewHeavy(128, 8)
	var key [8]byte
	i := 0
	for b.Loop() {
		i++
		key[0], key[1] = byte(i), byte(i>>8)
		h.Add(key[:], 1)
	}
}
