package controller

import (
	"maps"
	"slices"
	"sort"
	"strings"
)

// fixed is a name with static records.
type fixed struct {
	name string
	says *content
}

func byName(a, b fixed) int { return strings.Compare(a.name, b.name) }

// statics are the names with static records, in order, and what they say. A list that differs
// from another one in a few names has all other stretches of it, as the same memory.
type statics struct {
	stretches [][]fixed // none of them empty
	starts    []int     // how many names come before each
	n         int
}

// A stretch has so many names, and twice as many at most.
const stretch = 256

// newStatics makes a list of names in order.
func newStatics(all []fixed) statics { return listed(stretches(nil, all)) }

func listed(of [][]fixed) statics {
	s := statics{stretches: of, starts: make([]int, len(of))}
	for i := range of {
		s.starts[i] = s.n
		s.n += len(of[i])
	}
	return s
}

// stretches divides names, which follow those of out.
func stretches(out [][]fixed, all []fixed) [][]fixed {
	for len(all) > 2*stretch {
		out, all = append(out, slices.Clone(all[:stretch])), all[stretch:]
	}
	if len(all) > 0 {
		out = append(out, slices.Clone(all))
	}
	return out
}

func (s *statics) len() int { return s.n }

// at is a name by its number.
func (s *statics) at(i int) *fixed {
	k := sort.SearchInts(s.starts, i+1) - 1
	return &s.stretches[k][i-s.starts[k]]
}

// find is the number of a name, -1 when it is not there.
func (s *statics) find(name string) int {
	k := sort.Search(len(s.stretches), func(k int) bool { return s.stretches[k][0].name > name }) - 1
	if k < 0 {
		return -1
	}
	i, found := slices.BinarySearchFunc(s.stretches[k], fixed{name: name}, byName)
	if !found {
		return -1
	}
	return s.starts[k] + i
}

// each calls f with every name until it returns false.
func (s *statics) each(f func(name string, says *content) bool) {
	for _, of := range s.stretches {
		for i := range of {
			if !f(of[i].name, of[i].says) {
				return
			}
		}
	}
}

// with is the list with what some names say from now on; those of nil are gone.
func (s *statics) with(changes map[string]*content) statics {
	var others []fixed
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		var was *content
		if i := s.find(name); i >= 0 {
			was = s.at(i).says
		}
		if !was.same(changes[name]) {
			others = append(others, fixed{name, changes[name]})
		}
	}
	if len(others) == 0 {
		return *s
	}
	var out [][]fixed
	for k, of := range s.stretches {
		n := len(others)
		if k+1 < len(s.stretches) {
			n, _ = slices.BinarySearchFunc(others, s.stretches[k+1][0], byName)
		}
		if n == 0 {
			out = append(out, of)
		} else {
			out = stretches(out, replaced(of, others[:n]))
		}
		others = others[n:]
	}
	out = stretches(out, replaced(nil, others)) // of an empty list
	next := listed(out)
	if len(out) > 8+4*next.n/stretch { // most of them have been left by almost all of their names
		return newStatics(slices.Concat(out...))
	}
	return next
}

// replaced is the names of a stretch with others in their places; those that say nothing are
// gone.
func replaced(of, others []fixed) []fixed {
	out := make([]fixed, 0, len(of)+len(others))
	merge(len(of), len(others),
		func(i, j int) int { return byName(of[i], others[j]) },
		func(i, j int) {
			switch {
			case j < 0:
				out = append(out, of[i])
			case others[j].says != nil:
				out = append(out, others[j])
			}
		})
	return out
}

// differ calls f with what each name says in one list and in the other, nil for nothing; what
// both have as the same memory is left out.
func differ(a, b *statics, f func(name string, was, is *content)) {
	was, is := a.stretches, b.stretches
	i, j := 0, 0
	for len(was) > 0 || len(is) > 0 {
		order := 0
		switch {
		case len(is) == 0:
			order = -1
		case len(was) == 0:
			order = 1
		case i == 0 && j == 0 && &was[0][0] == &is[0][0]:
			was, is = was[1:], is[1:]
			continue
		default:
			order = byName(was[0][i], is[0][j])
		}
		var name string
		var before, now *content
		if order <= 0 {
			name, before = was[0][i].name, was[0][i].says
			if i++; i == len(was[0]) {
				was, i = was[1:], 0
			}
		}
		if order >= 0 {
			name, now = is[0][j].name, is[0][j].says
			if j++; j == len(is[0]) {
				is, j = is[1:], 0
			}
		}
		f(name, before, now)
	}
}
