package steer

import (
	"strings"

	"github.com/rhumb-dns/rhumb/geo"
)

// First keeps what the first of its chains keeps that keeps anything.
type First struct{ chains []inner }

// inner is a chain within a chain.
type inner struct {
	filters []Filter
	// wants are as those of a whole chain of which every answer is wanted. From
	// last on there are only limits behind a filter, so that what is wanted behind
	// the First counts as well.
	wants []int
	last  int
	// thins says that Share counts for nothing in the chain, so that it is thinned
	// where chance comes in; the other chains of the First may go by it.
	thins  bool
	chance int // where that is
}

// NewFirst is First of chains, none of them empty.
func NewFirst(chains ...[]Filter) *First {
	f := &First{}
	var all Needs
	for _, c := range chains {
		all |= needs(c)
	}
	for _, c := range chains {
		in := inner{filters: c, wants: Wants(c, 0), last: len(c) - 1, thins: all&(Chance|Weights) != 0 && needs(c)&Weights == 0}
		in.chance = Choice(c)
		for in.last > 0 {
			if _, ok := c[in.last].(Limit); !ok {
				break
			}
			in.last--
		}
		f.chains = append(f.chains, in)
	}
	return f
}

// Drawn says that a filter behind the First draws by shares, so that it need not
// thin.
func (f *First) Drawn() *First {
	for i := range f.chains {
		f.chains[i].thins = false
	}
	return f
}

// Choice is where a chain begins to choose: its first filter by chance or by
// subnet, or without one the limits that it ends in.
func Choice(chain []Filter) int {
	limits := len(chain)
	for i, f := range chain {
		if f.Needs()&(Chance|Subnets) != 0 {
			return i
		}
		if _, ok := f.(Limit); !ok {
			limits = len(chain)
		} else if limits > i {
			limits = i
		}
	}
	return limits
}

func needs(chain []Filter) Needs {
	var n Needs
	for _, f := range chain {
		n |= f.Needs()
	}
	return n
}

// Wants is how many candidates matter behind each filter of a chain that ends
// in so many answers; 0 is all of them. With a filter behind it that chooses by
// itself, all do.
func Wants(chain []Filter, answers int) []int {
	out := make([]int, len(chain))
	want := answers
	for i := len(chain) - 1; i >= 0; i-- {
		out[i] = want
		l, ok := chain[i].(Limit)
		switch {
		case !ok:
			want = 0
		case want == 0 || l.N < want:
			want = l.N
		}
	}
	return out
}

// Chains are the chains in their order. They are not to be changed.
func (f *First) Chains() [][]Filter {
	out := make([][]Filter, len(f.chains))
	for i := range f.chains {
		out[i] = f.chains[i].filters
	}
	return out
}

// Apply implements Filter.
func (f *First) Apply(q *Query, set []Candidate) []Candidate { return f.Walk(q, set, nil) }

// Walk is Apply, and tells of every step within when it has somebody to tell:
// the filter, what it was given and what it kept of it.
func (f *First) Walk(q *Query, set []Candidate, tell func(f Filter, given, kept []Candidate)) []Candidate {
	if len(set) == 0 {
		return set
	}
	outer, from := q.Want, len(q.saved)
	// Filters work in place, so that the next chain needs a copy to begin with.
	q.saved = append(q.saved, set...)
	var out []Candidate
	for i := range f.chains {
		if i > 0 {
			copy(set, q.saved[from:])
		}
		out = f.chains[i].apply(q, set, outer, tell)
		if len(out) > 0 {
			break
		}
	}
	q.saved, q.Want = q.saved[:from], outer
	return out
}

func (in *inner) apply(q *Query, set []Candidate, outer int, tell func(f Filter, given, kept []Candidate)) []Candidate {
	for i, f := range in.filters {
		if in.thins && i == in.chance {
			set = Thin(q, set)
		}
		q.Want = in.wants[i]
		if i >= in.last && outer > 0 && (q.Want == 0 || outer < q.Want) {
			q.Want = outer
		}
		if tell == nil {
			set = f.Apply(q, set)
			continue
		}
		given := append([]Candidate(nil), set...)
		if sub, ok := f.(*First); ok {
			set = sub.Walk(q, set, tell)
		} else {
			set = f.Apply(q, set)
		}
		tell(f, given, set)
	}
	if in.thins && in.chance == len(in.filters) {
		set = Thin(q, set)
	}
	return set
}

// Class implements Placed. The classes of filters end by themselves, so that
// one behind the other they are a class.
func (f *First) Class(dst []byte, client *geo.Place) []byte {
	for i := range f.chains {
		for _, g := range f.chains[i].filters {
			if p, ok := g.(Placed); ok {
				dst = p.Class(dst, client)
			}
		}
	}
	return dst
}

// String implements Filter.
func (f *First) String() string {
	var b strings.Builder
	b.WriteString("first: [")
	for i := range f.chains {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('[')
		for j, g := range f.chains[i].filters {
			if j > 0 {
				b.WriteString(", ")
			}
			b.WriteString(g.String())
		}
		b.WriteByte(']')
	}
	b.WriteByte(']')
	return b.String()
}

// Rule implements Filter.
func (*First) Rule() string { return "what the first of the chains keeps that keeps anything" }

// Needs implements Filter.
func (f *First) Needs() Needs {
	var n Needs
	for i := range f.chains {
		n |= needs(f.chains[i].filters)
		if f.chains[i].thins {
			n |= Chance | Weights
		}
	}
	return n
}
