package mouth

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
)

// TestShared takes a thing over a reload, one that fails, and to its end.
func TestShared(t *testing.T) {
	var inForce []string
	ended, applied := 0, 0
	bad := errors.New("bad")
	s := Shared[*int, string]{Apply: func(_ *int, wants []string) error {
		if slices.Contains(wants, "bad") {
			return bad
		}
		inForce = wants
		applied++
		return nil
	}}
	begin := func() (*int, func(), error) { return new(int), func() { ended++ }, nil }
	take := func(by *Instance, want string) *Hold[*int, string] {
		t.Helper()
		h, err := s.Take("key", by, want, begin)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	now := func(want ...string) {
		t.Helper()
		if !slices.Equal(inForce, want) {
			t.Errorf("%v is in force, want %v", inForce, want)
		}
	}
	first, second, third := &Instance{number: 1}, &Instance{number: 2}, &Instance{number: 3}
	a, b := take(first, "a"), take(first, "b")
	now("a", "b")
	c := take(second, "c")
	now("c")
	if c.Thing != a.Thing {
		t.Error("the second instance has another thing")
	}
	// The second could not start: the first has it back.
	for range 2 {
		if err := errors.Join(a.Reclaim(), b.Reclaim()); err != nil {
			t.Error(err)
		}
		now("a", "b")
	}
	if _, err := s.Take("key", second, "bad", begin); !errors.Is(err, bad) {
		t.Error(err)
	}
	now("a", "b")
	// The third could.
	d := take(third, "d")
	before := applied
	for range 2 {
		if err := errors.Join(a.LetGo(), b.LetGo(), c.LetGo()); err != nil {
			t.Error(err)
		}
	}
	now("d")
	if applied != before {
		t.Error("the same was put in force again")
	}
	if ended > 0 {
		t.Error("it has ended while somebody holds it")
	}
	if err := d.LetGo(); err != nil || ended != 1 {
		t.Errorf("%v, ended %d times", err, ended)
	}
	if _, err := s.Take("key", third, "bad", begin); !errors.Is(err, bad) || ended != 2 {
		t.Errorf("%v, ended %d times", err, ended)
	}
	if again := take(third, "e"); again.Thing == d.Thing {
		t.Error("what has ended is there again")
	}
}

// TestAnnounced has an instance that takes a thing several times: what it wants is in force
// once it has, and not in parts.
func TestAnnounced(t *testing.T) {
	var inForce [][]string
	bad := errors.New("bad")
	s := Shared[*int, string]{Apply: func(_ *int, wants []string) error {
		if slices.Contains(wants, "bad") {
			return bad
		}
		inForce = append(inForce, wants)
		return nil
	}}
	ended := 0
	begin := func() (*int, func(), error) { return new(int), func() { ended++ }, nil }
	var before []*Hold[*int, string]
	for n := range 3 {
		by := &Instance{number: uint64(n)}
		s.Announce("key", by)
		s.Announce("other", by)
		s.Announce("key", by)
		var now []*Hold[*int, string]
		for i, want := range []string{"a", "b"} {
			h, err := s.Take("key", by, want, begin)
			if err != nil {
				t.Fatal(err)
			}
			if now = append(now, h); len(inForce) != n+i {
				t.Errorf("%v is in force after take %d of start %d", inForce, i, n)
			}
		}
		for _, h := range before {
			if err := h.LetGo(); err != nil {
				t.Error(err)
			}
		}
		before = now
	}
	for _, got := range inForce {
		if !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("%v was in force", got)
		}
	}
	// The next one ends before it has all: the one before has the thing, as it was.
	failing := &Instance{number: 9}
	s.Announce("key", failing)
	s.Announce("key", failing)
	if _, err := s.Take("key", failing, "c", begin); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Take("key", failing, "bad", begin); !errors.Is(err, bad) {
		t.Error(err)
	}
	if err := errors.Join(before[0].Reclaim(), before[0].LetGo(), before[1].LetGo()); err != nil || ended != 1 {
		t.Errorf("%v, ended %d times", err, ended)
	}
	if slices.ContainsFunc(inForce, func(w []string) bool { return slices.Contains(w, "c") }) {
		t.Errorf("%v was in force", inForce)
	}
}

// TestInstance tells starts apart.
func TestInstance(t *testing.T) {
	one, other := caddy.NewTestController("dns", ""), caddy.NewTestController("dns", "")
	a, b := InstanceOf(one), InstanceOf(other)
	if a != InstanceOf(one) || a == b || b.number <= a.number {
		t.Errorf("%v %v", a, b)
	}
}

// TestBlocks has several server blocks with the same zone and port, as views have them.
func TestBlocks(t *testing.T) {
	instance := &Instance{}
	made := func(index int, keys, view string, hosts ...string) *Block {
		b := &Block{instance, index, keys, &dnsserver.Config{ViewName: view, ListenHosts: hosts}}
		instance.blocks = append(instance.blocks, b)
		return b
	}
	blocks := []*Block{
		made(0, "a.:53", "in", ""), made(1, "a.:53", "out", ""), made(2, "a.:53", "", "192.0.2.1"), made(3, "a.:53", "", "192.0.2.2"),
		made(4, "a.:53", "", "192.0.2.2"), made(5, "b.:53", "", "192.0.2.1"),
	}
	keys := map[string]bool{}
	for _, b := range blocks {
		keys[b.Key()] = true
	}
	if len(keys) != len(blocks) {
		t.Errorf("%d blocks have these keys: %q", len(blocks), slices.Collect(maps.Keys(keys)))
	}
	// Another plugin of the block is at the same place, and what bind says of a block
	// that is the only one with its zones tells it from no other.
	if other := made(3, "a.:53", "", "192.0.2.2"); other.Key() != blocks[3].Key() {
		t.Errorf("%q and %q", other.Key(), blocks[3].Key())
	}
	was := blocks[5].Key()
	if blocks[5].config.ListenHosts = []string{"192.0.2.9"}; blocks[5].Key() != was {
		t.Errorf("%q after %q", blocks[5].Key(), was)
	}
}
