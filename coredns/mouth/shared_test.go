package mouth

import (
	"errors"
	"slices"
	"testing"

	"github.com/coredns/caddy"
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
	first, second, third := &Instance{1}, &Instance{2}, &Instance{3}
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

// TestInstance tells starts apart.
func TestInstance(t *testing.T) {
	one, other := caddy.NewTestController("dns", ""), caddy.NewTestController("dns", "")
	a, b := InstanceOf(one), InstanceOf(other)
	if a != InstanceOf(one) || a == b || b.number <= a.number {
		t.Errorf("%v %v", a, b)
	}
}
