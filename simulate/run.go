package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sort"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/table"
)

// DefaultQueries is how many queries are simulated: shares are then known to
// about a tenth of a percent.
const DefaultQueries = 1_000_000

// Options are a simulation.
type Options struct {
	Before *World
	After  *World // nil: nothing is compared
	Mix    *Mix
	// Services are the names of those that are asked for; empty: all. Types are A,
	// AAAA and so on; empty: those that a service answers from its endpoints.
	Services []dnswire.Name
	Types    []dnswire.Type
	Queries  int
	Seed     uint64
	Load     Load
}

var noSubnet netip.Prefix

func addrPort(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 0) }

// question is a name and a type, and who asks it how much.
type question struct {
	name   dnswire.Name
	typ    dnswire.Type
	weight float64
	takers []taker // of a recording; else all clients by their weight
}

// taker is a client and how often it asks a question.
type taker struct {
	client int
	weight float64
}

// run is a simulation at work.
type run struct {
	o             Options
	lines         *lines
	before, after *side // after is nil when nothing is compared
	questions     []question
	left          Left

	groups  groups
	cells   numbering // of group and line
	counts  []cell
	members numbering // of client and group
	asking  []member

	seen [2][]uint32 // by client: the number of the place that each side sees it at
}

// cell is how many answers of a line a group of clients got on each side.
type cell struct {
	group, line   int
	before, after float64
}

// member is how many queries a client made in a group.
type member struct {
	client, group int
	queries       float64
}

// Run asks the questions of a mix, and says what came of it. Errors are of
// services that are not there, and that of ctx.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Queries < 1 {
		return nil, errors.New("simulate: at least one query is to be asked")
	}
	r := &run{o: o, lines: &lines{known: map[line]int{}}, left: o.Mix.Left}
	r.before = newSide(o.Before, r.lines)
	if o.After != nil {
		r.after = newSide(o.After, r.lines)
	}
	if err := r.pose(); err != nil {
		return nil, err
	}
	r.see()
	shares := random(o.Seed, forShares)
	order := random(o.Seed, forOrder)
	total := 0.0
	for i := range r.questions {
		total += r.questions[i].weight
	}
	all := everybody(o.Mix)
	sum, done := 0.0, 0
	for i := range r.questions {
		q := &r.questions[i]
		sum += q.weight
		// What is due by now and was not asked yet, so that no rest is lost.
		due := int(sum/total*float64(o.Queries)+0.5) - done
		if due <= 0 {
			continue
		}
		done += due
		who := all
		if q.takers != nil {
			who = takersOf(q.takers)
		}
		r.answer(q, who.allot(due, shares.Float64()), order)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return r.result(done), nil
}

// pose finds the questions.
func (r *run) pose() error {
	wanted := map[dnswire.Name]bool{}
	for _, name := range r.o.Services {
		found := false
		r.each(func(w *World) {
			n := w.Snapshot.Table.Lookup([]byte(name))
			found = found || serves(n)
		})
		if !found {
			return fmt.Errorf("there is no service %s", name)
		}
		wanted[name] = true
	}
	if r.o.Mix.Asked != nil {
		r.record(wanted)
	} else {
		r.all(wanted)
	}
	if len(r.questions) == 0 {
		return errors.New("there is nothing to ask: no service has endpoints for these types")
	}
	slices.SortFunc(r.questions, func(a, b question) int {
		if a.name != b.name {
			if a.name < b.name {
				return -1
			}
			return 1
		}
		return int(a.typ) - int(b.typ)
	})
	return nil
}

// each calls f with the worlds that there are.
func (r *run) each(f func(*World)) {
	f(r.o.Before)
	if r.o.After != nil {
		f(r.o.After)
	}
}

// all poses the questions for every service that is wanted, each service as often
// as any other.
func (r *run) all(wanted map[dnswire.Name]bool) {
	names := map[dnswire.Name]bool{}
	r.each(func(w *World) {
		w.Snapshot.Table.EachService(func(n *table.Node, _ *table.Plan) bool {
			if name := w.Snapshot.Table.Name(n); len(wanted) == 0 || wanted[name] {
				names[name] = true
			}
			return true
		})
	})
	for name := range names {
		types := r.o.Types
		if types == nil {
			for _, t := range []dnswire.Type{dnswire.TypeA, dnswire.TypeAAAA} {
				if r.gives(name, t) {
					types = append(types, t)
				}
			}
		}
		for _, t := range types {
			r.questions = append(r.questions, question{name: name, typ: t, weight: 1 / float64(len(types))})
		}
	}
}

// gives is whether some side answers a type of a service from endpoints. Of
// endpoints with a host name A alone stands for all types.
func (r *run) gives(name dnswire.Name, typ dnswire.Type) bool {
	found := false
	r.each(func(w *World) {
		_, p := w.service(name, typ)
		if p != nil && typ == dnswire.TypeAAAA && len(p.Members[table.Hosts].Candidates) > 0 {
			return
		}
		found = found || gives(p, typ)
	})
	return found
}

// record poses the questions of a recording.
func (r *run) record(wanted map[dnswire.Name]bool) {
	type key struct {
		name dnswire.Name
		typ  dnswire.Type
	}
	at := map[key]int{} // -1: not wanted
	for i := range r.o.Mix.Asked {
		a := &r.o.Mix.Asked[i]
		k := key{a.Name, a.Type}
		q, known := at[k]
		if !known {
			q = -1
			if r.wants(a, wanted) {
				q = len(r.questions)
				r.questions = append(r.questions, question{name: a.Name, typ: a.Type})
			}
			at[k] = q
		}
		if q < 0 {
			r.left.NotWanted += a.Times
			continue
		}
		r.questions[q].weight += a.Times
		r.questions[q].takers = append(r.questions[q].takers, taker{a.Client, a.Times})
	}
}

// wants is whether a recorded question is one of those that are simulated.
func (r *run) wants(a *Asking, wanted map[dnswire.Name]bool) bool {
	if r.o.Types != nil && !slices.Contains(r.o.Types, a.Type) {
		return false
	}
	found := false
	r.each(func(w *World) {
		n, p := w.service(a.Name, a.Type)
		if p == nil || len(wanted) > 0 && !wanted[w.Snapshot.Table.Name(n)] {
			return
		}
		found = found || r.o.Types != nil || gives(p, a.Type)
	})
	return found
}

// crowd is clients with the sums of their weights.
type crowd struct {
	clients []int
	upTo    []float64
}

func everybody(m *Mix) *crowd {
	if m.Asked != nil {
		return nil
	}
	c := &crowd{}
	sum := 0.0
	for i := range m.Clients {
		sum += m.Clients[i].Weight
		c.clients, c.upTo = append(c.clients, i), append(c.upTo, sum)
	}
	return c
}

func takersOf(all []taker) *crowd {
	c := &crowd{}
	sum := 0.0
	for _, t := range all {
		sum += t.weight
		c.clients, c.upTo = append(c.clients, t.client), append(c.upTo, sum)
	}
	return c
}

// allotted is how often a client asks.
type allotted struct{ client, times int }

// allot gives n queries to clients in proportion to their weights: client i gets
// as many as there are of the points (k + offset) / n within its part of the
// whole (systematic sampling), which is its share to within one query.
func (c *crowd) allot(n int, offset float64) []allotted {
	total := c.upTo[len(c.upTo)-1]
	out := make([]allotted, 0, min(n, len(c.clients)))
	few := n < len(c.clients)/8 // then looking for each is faster than passing all
	i := 0
	for k := range n {
		at := (float64(k) + offset) / float64(n) * total
		if few {
			i += sort.SearchFloat64s(c.upTo[i:], at)
		}
		for i < len(c.upTo)-1 && c.upTo[i] <= at {
			i++
		}
		if last := len(out) - 1; last >= 0 && out[last].client == c.clients[i] {
			out[last].times++
		} else {
			out = append(out, allotted{c.clients[i], 1})
		}
	}
	return out
}

// answer has clients ask a question, in random order: those of one network come
// together otherwise, and what goes in turn would go in step with them.
func (r *run) answer(q *question, who []allotted, order *rand.Rand) {
	order.Shuffle(len(who), func(i, j int) { who[i], who[j] = who[j], who[i] })
	r.before.ask(q.name, q.typ)
	if r.after != nil {
		r.after.ask(q.name, q.typ)
	}
	r.groups.ask(q.typ, r.before, r.after)
	for _, a := range who {
		c := &r.o.Mix.Clients[a.client]
		seed := order.Uint64()
		r.before.answer(c, a.times, seed)
		if r.after != nil {
			r.after.answer(c, a.times, seed)
		}
		r.fold(a)
	}
}

// fold adds the answers of one client to those of its group.
func (r *run) fold(a allotted) {
	g := r.groups.of(r, a.client)
	for i, s := range []*side{r.before, r.after} {
		if s == nil {
			continue
		}
		for _, at := range s.touched {
			k, fresh := r.cells.of(pair(g, at))
			if fresh {
				r.counts = append(r.counts, cell{group: g, line: at})
			}
			if i == 0 {
				r.counts[k].before += s.answers[at]
			} else {
				r.counts[k].after += s.answers[at]
			}
			s.answers[at] = 0
		}
		s.touched = s.touched[:0]
	}
	k, fresh := r.members.of(pair(a.client, g))
	if fresh {
		r.asking = append(r.asking, member{client: a.client, group: g})
	}
	r.asking[k].queries += float64(a.times)
}
