package limit

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// second is a second in ticks.
const second = Time(credit)

func rates(n int) Rates {
	r := Rates{Bits4: 24, Bits6: 56}
	for k := range r.Kinds {
		r.Kinds[k] = n
	}
	return r
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// burst is how many answers pass at one time, of n.
func burst(l *Responses, now Time, n int, client string, k Kind, name string) (passed int) {
	for range n {
		if l.Take(now, addr(client), k, []byte(name)) {
			passed++
		}
	}
	return passed
}

// TestAccount is one account over time: a second's answers at once, then as many
// as it earns, and nothing more for having been quiet for long.
func TestAccount(t *testing.T) {
	l := NewResponses(NewAccounts(1024), rates(200))
	for _, c := range []struct {
		at     Time
		passed int
	}{
		{10 * second, 200},
		{10 * second, 0},
		{10*second + second/4, 50},
		{10*second + second/4, 0},
		{11 * second, 150},
		{12 * second, 200},
		{12*second - second/100, 0},
		{3600 * second, 200},
		// Every 19 hours the time in the table comes round.
		{1<<timeBits - second/2, 200},
		{1<<timeBits + second/2, 200},
		{1<<timeBits + second/2, 0},
	} {
		if got := burst(l, c.at, 300, "192.0.2.1", Answer, "name"); got != c.passed {
			t.Errorf("at %v: %d pass, want %d", float64(c.at)/float64(second), got, c.passed)
		}
	}
}

// TestRates holds each rate to what it says, and the highest to what it promises.
func TestRates(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 10, 200, 999, 5000, 100_000, MaxPerSecond} {
		l := NewResponses(NewAccounts(8), rates(n))
		got := burst(l, second, 2*n, "192.0.2.1", Answer, "name")
		if got < n || got > n+n/100 && n <= 100_000 || got > n+n/10 {
			t.Errorf("%d a second: %d pass", n, got)
		}
	}
	if got := burst(NewResponses(NewAccounts(8), rates(0)), 0, 10_000, "192.0.2.1", Answer, "name"); got != 10_000 {
		t.Errorf("without a limit: %d pass", got)
	}
}

// TestWhatSharesAnAccount goes through networks, kinds and names.
func TestWhatSharesAnAccount(t *testing.T) {
	r := rates(10)
	r.Exempt = []netip.Prefix{netip.MustParsePrefix("192.0.2.64/26"), netip.MustParsePrefix("2001:db8:0:100::/64")}
	for _, c := range []struct {
		client string
		kind   Kind
		name   string
		left   int
	}{
		{"192.0.2.1", Answer, "name", 0},
		{"192.0.2.250", Answer, "name", 0},
		{"::ffff:192.0.2.250", Answer, "name", 0},
		{"192.0.2.65", Answer, "name", 20}, // exempt
		{"192.0.3.1", Answer, "name", 10},
		{"192.0.2.1", Answer, "nam", 10},
		{"192.0.2.1", Answer, "", 10},
		{"192.0.2.1", NoData, "name", 10},
		{"192.0.2.1", NXDomain, "name", 10},
		{"c000:200::", Answer, "name", 10}, // the bits of 192.0.2.0
		{"2001:db8::1", Answer, "name", 10},
	} {
		l := NewResponses(NewAccounts(1024), r)
		burst(l, second, 10, "192.0.2.1", Answer, "name")
		if got := burst(l, second, 20, c.client, c.kind, c.name); got != c.left {
			t.Errorf("%s %s %q: %d left, want %d", c.client, c.kind, c.name, got, c.left)
		}
	}
	for client, left := range map[string]int{
		"2001:db8::1": 0, "2001:db8:0:ff::": 0, "2001:db8::1%eth0": 0, "2001:db8:0:200::": 10, "2001:db8:0:100::": 20,
	} {
		l := NewResponses(NewAccounts(1024), r)
		burst(l, second, 10, "2001:db8::1", Answer, "name")
		if got := burst(l, second, 20, client, Answer, "name"); got != left {
			t.Errorf("%s: %d left, want %d", client, got, left)
		}
	}
	// Each kind has its own rate, and all of them one together.
	r = Rates{Bits4: 32, Bits6: 64, All: 25, Kinds: [Kinds]int{Answer: 10, NXDomain: 20}}
	l := NewResponses(NewAccounts(1024), r)
	for _, c := range []struct {
		client string
		kind   Kind
		passed int
	}{
		{"192.0.2.1", Answer, 10}, {"192.0.2.1", NXDomain, 15}, {"192.0.2.1", Failure, 0}, {"192.0.2.2", Failure, 25},
	} {
		if got := burst(l, second, 50, c.client, c.kind, ""); got != c.passed {
			t.Errorf("%s %s: %d pass, want %d", c.client, c.kind, got, c.passed)
		}
	}
}

// exact is what Responses stands for, without a hash and without end: for each
// account, what is used of its credit, and when that was.
type exact map[string]struct {
	at   Time
	used int64
}

func (e exact) take(now Time, account string, r Rate) bool {
	a := e[account]
	a.used = max(a.used-int64(now-a.at), 0)
	a.at = now
	ok := a.used+int64(r) <= credit
	if ok {
		a.used += int64(r)
	}
	e[account] = a
	return ok
}

// TestAgainstExact compares a table with room enough with exact accounts.
func TestAgainstExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	l, e := NewResponses(NewAccounts(1<<14), rates(20)), exact{}
	passed := 0
	for now := Time(second); now < 200*second; now += Time(rng.Uint64N(uint64(second) / 100)) {
		client, k, name := rng.IntN(5), Kind(rng.IntN(2)), fmt.Sprint(rng.IntN(4))
		got := l.Take(now, netip.AddrFrom4([4]byte{192, 0, byte(client), byte(rng.IntN(256))}), k, []byte(name))
		want := e.take(now, fmt.Sprint(client, k, name), PerSecond(20))
		if got != want {
			t.Fatalf("at %d, client %d, %s %s: %v, want %v", now, client, k, name, got, want)
		}
		if got {
			passed++
		}
	}
	if passed < 10_000 {
		t.Errorf("only %d have passed", passed)
	}
}

// TestFlood has a table small enough to be full, in which an account that is at
// its limit stays there however many others come by.
func TestFlood(t *testing.T) {
	l := NewResponses(NewAccounts(512), rates(100))
	size := l.Accounts().Len()
	rng := rand.New(rand.NewPCG(3, 4))
	now := second
	burst(l, now, 100, "192.0.2.1", NXDomain, "zone")
	passed := 0
	for range 1_000_000 { // 10 s of 100,000 different networks a second
		now += second / 100_000
		var a [16]byte
		a[0] = 0x20
		for i := 1; i < 8; i++ {
			a[i] = byte(rng.Uint32())
		}
		l.Take(now, netip.AddrFrom16(a), NXDomain, []byte("zone"))
		if rng.IntN(10) == 0 && l.Take(now, addr("192.0.2.77"), NXDomain, []byte("zone")) {
			passed++
		}
	}
	// 10 s of 100 each. Where a set is full of accounts that are hardly in use, a
	// hot one is never the one that is forgotten.
	if passed < 990 || passed > 1000 {
		t.Errorf("%d pass in 10 s, want 1,000", passed)
	}
	if l.Accounts().Len() != size {
		t.Error("the table has grown")
	}
}

// TestWorkersShare has many goroutines at one account: together they get what
// one would.
func TestWorkersShare(t *testing.T) {
	l := NewResponses(NewAccounts(8), rates(1000))
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { passed.Add(int64(burst(l, second, 2000, "192.0.2.1", Answer, "name"))) })
	}
	wg.Wait()
	// Who is overtaken some times in a row gets his answer without an account.
	if n := passed.Load(); n < 1000 || n > 1050 {
		t.Errorf("%d pass, want 1,000", n)
	}
}

// TestHash looks whether networks next to each other and names that differ in a
// letter spread over the sets.
func TestHash(t *testing.T) {
	a := NewAccounts(64 * ways)
	of := newClients(24, 56)
	for what, id := range map[string]func(i int) uint64{
		"IPv4": func(i int) uint64 {
			return a.id(of.network(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i)})), NXDomain, nil)
		},
		"IPv6": func(i int) uint64 {
			return a.id(of.network(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, byte(i >> 8), byte(i)})), NXDomain, []byte("x"))
		},
		"names": func(i int) uint64 { return a.id(v4|192<<24, Answer, fmt.Appendf(nil, "%d.example", i)) },
	} {
		const n = 64 * 400
		var sets [64]int
		tags := map[uint64]int{}
		for i := range n {
			h := id(i)
			sets[h&a.mask]++
			tags[h>>timeBits]++
		}
		// 400 each, with a deviation of 20: 8 of them are never seen.
		for i, got := range sets {
			if got < 240 || got > 560 {
				t.Errorf("%s: %d of %d in set %d", what, got, n, i)
			}
		}
		if len(tags) < n-n/50 { // 20 pairs are to be expected
			t.Errorf("%s: %d tags of %d", what, len(tags), n)
		}
	}
	if other := NewAccounts(8); other.id(1, Answer, []byte("x")) == a.id(1, Answer, []byte("x")) {
		t.Error("two tables hash alike")
	}
}

// TestLine holds a set to one line of the cache.
func TestLine(t *testing.T) {
	a := NewAccounts(1 << 16)
	if unsafe.Sizeof(set{}) != 64 || uintptr(unsafe.Pointer(&a.sets[0]))%64 != 0 {
		t.Errorf("a set of %d bytes at %p", unsafe.Sizeof(set{}), &a.sets[0])
	}
	if NewAccounts(1).Len() != 8 || NewAccounts(9).Len() != 16 || a.Len() != 1<<16 {
		t.Error("not the next power of two")
	}
}

func TestArrivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewArrivals(64, 32, 64)
		for i := range 30 {
			if got := a.Take(addr("192.0.2.1"), PerSecond(20)); got != (i < 20) {
				t.Errorf("%d: %v", i, got)
			}
		}
		if !a.Take(addr("192.0.2.2"), PerSecond(20)) || !a.Take(addr("192.0.2.1"), 0) {
			t.Error("another one, or without a limit, is not taken")
		}
		time.Sleep(time.Second / 2) // of the bubble's clock
		for i := range 11 {
			if got := a.Take(addr("192.0.2.1"), PerSecond(20)); got != (i < 10) {
				t.Errorf("half a second later, %d: %v", i, got)
			}
		}
	})
}

func TestAllocations(t *testing.T) {
	r := rates(1 << 19)
	r.All, r.Exempt = 1<<19, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	l := NewResponses(NewAccounts(1024), r)
	a, name := addr("192.0.2.1"), []byte("\x03www\x07example\x00")
	if n := testing.AllocsPerRun(1000, func() { l.Take(l.accounts.Now(), a, Answer, name) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkResponses(b *testing.B) {
	name := []byte("\x03www\x07example\x03com\x00")
	clients := make([]netip.Addr, 256)
	for i := range clients {
		clients[i] = netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
	}
	exempt := rates(MaxPerSecond)
	exempt.Exempt = []netip.Prefix{netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("2001:db8::/32")}
	everything := rates(MaxPerSecond)
	everything.All = MaxPerSecond
	for _, c := range []struct {
		name  string
		rates Rates
		step  Time // between two queries
		pass  bool
	}{
		{"pass", rates(MaxPerSecond), 200, true},
		{"pass with exempt networks", exempt, 200, true},
		{"pass with all_per_second", everything, 200, true},
		{"beyond the limit", rates(1), 0, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			l := NewResponses(NewAccounts(1<<17), c.rates)
			now, passed := second, 0
			for range clients {
				l.Take(now, clients[0], Answer, name)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				now += c.step
				client := clients[i&255]
				if !c.pass {
					client = clients[0]
				}
				if l.Take(now, client, Answer, name) {
					passed++
				}
				i++
			}
			if c.pass != (passed > 0) {
				b.Errorf("%d have passed", passed)
			}
		})
	}
	b.Run("pass, all workers at once", func(b *testing.B) {
		l := NewResponses(NewAccounts(1<<17), rates(MaxPerSecond))
		var workers atomic.Uint32
		b.RunParallel(func(pb *testing.PB) {
			now, i := second, int(workers.Add(1))*128
			for pb.Next() {
				now += 200
				l.Take(now, clients[i&255], Answer, name)
				i++
			}
		})
	})
}
