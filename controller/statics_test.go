package controller

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestStatics: a list is what a map is, however it came about, and two differ where the maps
// do. What has not changed is the same memory.
func TestStatics(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	say := func() *content {
		return &content{records: []record{{key: fmt.Sprint(r.IntN(5))}}}
	}
	name := func(i int) string { return fmt.Sprintf("%05d", i) }
	is := map[string]*content{}
	list := newStatics(nil)
	type version struct {
		list statics
		is   map[string]*content
	}
	versions := []version{{list, maps.Clone(is)}}
	for round := range 150 {
		changes := map[string]*content{}
		at, size := r.IntN(6000), []int{1, 1, 2, 30, 900, 3000}[r.IntN(6)]
		gone := r.IntN(5) // in fifths; now and then all of them
		for i := at; i < min(at+size, 6000); i++ {
			if r.IntN(5) < gone {
				changes[name(i)] = nil
			} else {
				changes[name(i)] = say()
			}
		}
		next := list.with(changes)
		for k, says := range changes {
			if is[k] = says; says == nil {
				delete(is, k)
			}
		}
		check(t, &next, is)
		if len(changes) == 1 {
			if n := others(&list, &next); n > 2 {
				t.Fatalf("round %d: %d of %d stretches are others after a change of one name", round, n, len(next.stretches))
			}
		}
		if most := 8 + 4*next.n/stretch; len(next.stretches) > most {
			t.Fatalf("round %d: %d names are in %d stretches", round, next.n, len(next.stretches))
		}
		list = next
		before := versions[r.IntN(len(versions))]
		compared(t, &before.list, &list, before.is, is)
		if r.IntN(10) == 0 {
			versions = append(versions, version{list, maps.Clone(is)})
		}
	}
	// Almost all of all stretches go.
	all, few := map[string]*content{}, map[string]*content{}
	for i := range 6000 {
		all[name(i)] = say()
		if i%200 > 0 {
			few[name(i)] = nil
		}
	}
	full := list.with(all)
	thin := full.with(few)
	if len(full.stretches) < 6000/stretch/2 || len(thin.stretches) > 8 || thin.n != 30 {
		t.Errorf("%d names are in %d stretches, and %d are left in %d", full.n, len(full.stretches), thin.n, len(thin.stretches))
	}
}

// others is how many stretches of b are not of a.
func others(a, b *statics) (n int) {
	for _, of := range b.stretches {
		if !slices.ContainsFunc(a.stretches, func(was []fixed) bool { return &was[0] == &of[0] }) {
			n++
		}
	}
	return n
}

// check compares a list with a map.
func check(t *testing.T, s *statics, want map[string]*content) {
	t.Helper()
	names := slices.Sorted(maps.Keys(want))
	if s.len() != len(names) {
		t.Fatalf("%d names, want %d", s.len(), len(names))
	}
	i := 0
	s.each(func(name string, says *content) bool {
		if at := s.at(i); name != names[i] || at.name != name || !says.same(want[name]) || !at.says.same(says) || s.find(name) != i {
			t.Fatalf("name %d is %s, by its number %s, want %s; it is found as %d", i, name, at.name, names[i], s.find(name))
		}
		i++
		return true
	})
	for _, none := range []string{"", "0", "03000x", "zzz"} {
		if at := s.find(none); at >= 0 {
			t.Fatalf("%q is there as %d", none, at)
		}
	}
}

// compared checks what is said to differ between two lists.
func compared(t *testing.T, a, b *statics, was, is map[string]*content) {
	t.Helper()
	now := maps.Clone(was)
	last := ""
	differ(a, b, func(name string, before, says *content) {
		if name <= last || !before.same(was[name]) || !says.same(is[name]) {
			t.Fatalf("%s after %s: said %v, says %v", name, last, before, says)
		}
		last = name
		if now[name] = says; says == nil {
			delete(now, name)
		}
	})
	if !maps.EqualFunc(now, is, (*content).same) {
		t.Fatal("some names that differ are left out")
	}
}
