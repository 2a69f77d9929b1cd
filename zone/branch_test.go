package zone

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// stretches are the records of a zone as they stand in parts, each a few lines.
type stretches [][]string

// parts makes each of them a part, the same ones for the same lines.
func (s stretches) parts(t *testing.T, zone string, known map[string]*Part) []*Part {
	t.Helper()
	out := make([]*Part, len(s))
	for i, lines := range s {
		key := fmt.Sprint(i, lines)
		if known[key] == nil {
			p, ok := builder(t, zone, lines...).Part()
			if !ok {
				t.Fatalf("%q makes no part", lines)
			}
			known[key] = p
		}
		out[i] = known[key]
	}
	return out
}

// dump is all that a tree has, a line for each name.
func dump(tree *Tree) string {
	var all []string
	tree.Each(func(n *Node) bool {
		out := fmt.Sprintf("%s zone %d flags %x plan %d", dnswire.Name(tree.Text(n)), n.Zone(), n.where&(1<<flagBits-1)&^below, int32(n.Plan))
		if n.Empty() {
			out += fmt.Sprintf(" with %d below", n.Seq)
		}
		if n.has(static) {
			tree.zones[n.Zone()].data.each(n.at, func(s Set) bool {
				out += fmt.Sprintf(" %s %x", s.Type, s.wire)
				return true
			})
		}
		if tree.Lookup(tree.Text(n)) != n {
			out += " and is not found"
		}
		all = append(all, out)
		return true
	})
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// TestBranch changes records and services at random, and compares the tree that
// comes of each change with one that is made anew, and with itself later.
func TestBranch(t *testing.T) {
	whole, branched := 0, 0
	for seed := range rounds(uint64(300)) {
		r := rand.New(rand.NewPCG(seed, 5))
		labels := []string{"a", "b", "c", "*"}
		some := func(depth int) string {
			var l []string
			for range 1 + r.IntN(depth) {
				l = append(l, labels[r.IntN(len(labels))])
			}
			return strings.Join(l, ".")
		}
		// Each part has a branch of names of its own, so that none is in two.
		line := func(part int) string {
			owner := fmt.Sprintf("p%d", part)
			if r.IntN(4) > 0 {
				owner = some(3) + "." + owner
			}
			switch k := r.IntN(12); {
			case k == 0 && seed%3 == 0 && owner[0] != '*':
				return owner + " NS ns.elsewhere.test."
			case k == 1 && seed%3 == 0:
				return owner + " DNAME other.test."
			case k < 6:
				return fmt.Sprintf("%s TXT t%d", owner, r.IntN(3))
			case k == 11:
				return fmt.Sprintf("@ TXT apex%d", r.IntN(3))
			}
			return fmt.Sprintf("%s A 192.0.2.%d", owner, r.IntN(5))
		}
		records := make(stretches, 1+r.IntN(5))
		fill := func(part int) {
			records[part] = nil
			for range r.IntN(6) {
				records[part] = append(records[part], line(part))
			}
			if _, ok := builder(t, "x.test", records[part]...).Part(); !ok {
				records[part] = nil
			}
		}
		for i := range records {
			fill(i)
		}
		services := map[string]uint32{}
		known := map[string]*Part{}
		join := func(prev *Data) *Data {
			b := builder(t, "x.test", apexLines...)
			parts := records.parts(t, "x.test", known)
			for _, p := range parts {
				for i := range p.Apex {
					if err := b.Add(&p.Apex[i]); err != nil {
						t.Fatal(err)
					}
				}
			}
			d, faults, _, ok := b.Join(prev, parts)
			if len(faults) > 0 || !ok {
				t.Fatal(faults, ok)
			}
			return d
		}
		state := func(tree *Tree) {
			for n, plan := range services {
				tree.Add([]byte(name(t, n+".x.test")), 0).Plan = plan
			}
		}
		d := join(nil)
		tree := NewTree([]*Data{d}, 0)
		state(tree)
		for step := range 25 {
			before := dump(tree)
			changed := map[string]bool{}
			switch k := r.IntN(3); {
			case k == 0:
				fill(r.IntN(len(records)))
			case k == 1:
				for range 1 + r.IntN(3) {
					n := fmt.Sprintf("%s.p%d", some(3), r.IntN(len(records)+1))
					if _, there := services[n]; there {
						delete(services, n)
					} else {
						services[n] = uint32(r.IntN(3))
					}
					changed[n] = true
				}
			default:
				for i := range records {
					if r.IntN(2) == 0 {
						fill(i)
					}
				}
			}
			now := join(d)
			next, err := tree.Branch([]*Data{now}, func(n *Node, _ []byte) {
				if n.Plan == NoPlan || !n.has(static) {
					t.Fatal("no service, or no records")
				}
			})
			fresh := NewTree([]*Data{now}, 0)
			state(fresh)
			switch {
			case errors.Is(err, ErrWhole):
				whole++
				next = fresh
			case err != nil:
				t.Fatal(err)
			default:
				branched++
				for n := range changed {
					wire := []byte(name(t, n+".x.test"))
					if plan, ok := services[n]; ok {
						next.Add(wire, 0).Plan = plan
					} else {
						if err := next.Remove(wire); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			if got, want := dump(next), dump(fresh); got != want {
				t.Fatalf("seed %d, step %d: became\n%s\nwant\n%s\nbefore\n%s", seed, step, got, want, before)
			}
			if got := dump(tree); got != before {
				t.Fatalf("seed %d, step %d: the tree before is\n%s\nand was\n%s", seed, step, got, before)
			}
			tree, d = next, now
		}
	}
	if !raced && (branched < 10*whole || whole == 0) {
		t.Errorf("%d changes were made, %d needed the whole", branched, whole)
	}
}
