package zone

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// TestBranchNested is TestBranch for a zone with zones of ours below it, with
// glue for their servers, and services in both: what the zones say of each other
// needs the whole, and everything else does not.
func TestBranchNested(t *testing.T) {
	whole, branched := 0, 0
	for seed := range rounds(uint64(200)) {
		r := rand.New(rand.NewPCG(seed, 6))
		names := []string{"x.test", "c.a.x.test", "d.c.a.x.test"}[:2+r.IntN(2)]
		implies := r.IntN(2) == 0
		labels := []string{"a", "b", "e", "*"}
		some := func(depth int) string {
			var l []string
			for range 1 + r.IntN(depth) {
				l = append(l, labels[r.IntN(len(labels))])
			}
			return strings.Join(l, ".")
		}
		lines := make([][]string, len(names))
		fill := func(z int) {
			lines[z] = nil
			for range r.IntN(6) {
				owner := some(3)
				switch k := r.IntN(10); {
				case k == 0 && z == 0 && !strings.Contains(strings.Join(lines[0], "\n"), "c.a"):
					lines[z] = append(lines[z], "c.a NS ns.c.a", "ns.c.a A 192.0.2.1")
				case k == 1 && seed%4 == 0 && owner[0] != '*':
					lines[z] = append(lines[z], owner+" NS ns.elsewhere.test.")
				default:
					lines[z] = append(lines[z], fmt.Sprintf("%s TXT t%d", owner, r.IntN(3)))
				}
			}
		}
		make1 := func(z int) *Data {
			b := builder(t, names[z], append(apexLines, lines[z]...)...)
			if implies {
				b.Implies()
			}
			d, faults, _ := b.Build()
			if len(faults) > 0 {
				lines[z] = nil
				return data(t, names[z], apexLines...)
			}
			return d
		}
		var all []*Data
		for z := range names {
			fill(z)
			all = append(all, make1(z))
		}
		services := map[string]int{} // and their zones
		tree := NewTree(all, 0)
		for step := range 25 {
			before := dump(tree)
			now := append([]*Data(nil), all...)
			changed := map[string]int{}
			if r.IntN(2) == 0 {
				z := r.IntN(len(names))
				fill(z)
				now[z] = make1(z)
			} else {
				for range 1 + r.IntN(3) {
					z := r.IntN(len(names))
					n := some(3) + "." + names[z]
					if tree.zones[z].around {
						if _, ok := tree.Below([]byte(name(t, n)), z); ok {
							continue
						}
					}
					if _, there := services[n]; there {
						delete(services, n)
					} else {
						services[n] = z
					}
					changed[n] = z
				}
			}
			next, err := tree.Branch(now, func(*Node, []byte) {})
			fresh := NewTree(now, 0)
			for n, z := range services {
				fresh.Add([]byte(name(t, n)), z).Plan = 1
			}
			switch {
			case errors.Is(err, ErrWhole):
				whole++
				next = fresh
			case err != nil:
				t.Fatal(err)
			default:
				branched++
				for n, z := range changed {
					if _, ok := services[n]; ok {
						next.Add([]byte(name(t, n)), z).Plan = 1
					} else {
						if err := next.Remove([]byte(name(t, n))); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			if got, want := dump(next), dump(fresh); got != want {
				t.Fatalf("seed %d, step %d: became\n%s\nwant\n%s\nbefore\n%s", seed, step, got, want, before)
			}
			for z := range names { // glue, and what the parent says of the child
				for n, at := range fresh.zones[z].glue {
					if next.zones[z].glue[n] != at {
						t.Fatalf("seed %d, step %d: glue of %q", seed, step, n)
					}
				}
				a, b := next.zones[z], fresh.zones[z]
				if len(a.glue) != len(b.glue) || a.above != b.above || a.known != b.known || a.parent != b.parent {
					t.Fatalf("seed %d, step %d: zone %s is %+v, want %+v", seed, step, names[z], a, b)
				}
			}
			if got := dump(tree); got != before {
				t.Fatalf("seed %d, step %d: the tree before is\n%s\nand was\n%s", seed, step, got, before)
			}
			tree, all = next, now
		}
	}
	if !raced && (branched < whole || whole == 0) {
		t.Errorf("%d changes were made, %d needed the whole", branched, whole)
	}
}

// TestBranchOfMuch: what takes most names away, or leaves many bare, is made
// anew, since to go through it by itself costs more.
func TestBranchOfMuch(t *testing.T) {
	known := map[string]*Part{}
	s := make(stretches, 40)
	for i := range s {
		for k := range 100 {
			s[i] = append(s[i], fmt.Sprintf("n%d.p%d TXT %s", k, i, strings.Repeat("x", 250)))
		}
	}
	join := func(s stretches, prev *Data) *Data {
		t.Helper()
		d, faults, _, ok := builder(t, "x.test", apexLines...).Join(prev, s.parts(t, "x.test", known))
		if len(faults) > 0 || !ok {
			t.Fatal(faults, ok)
		}
		return d
	}
	d := join(s, nil)
	tree := NewTree([]*Data{d}, 0)
	less := join(s[:1], d)
	if _, err := tree.Branch([]*Data{less}, nil); !errors.Is(err, ErrWhole) {
		t.Errorf("all but one of %d parts go: %v", len(s), err)
	}
	if _, err := tree.Branch([]*Data{join(s[:39], d)}, nil); err != nil {
		t.Errorf("one of %d parts goes: %v", len(s), err)
	}

	wide := NewTree([]*Data{data(t, "x.test", apexLines...)}, 0)
	const services = 20_000
	label := func(format string, i int) []byte { return []byte(name(t, fmt.Sprintf(format, i))) }
	for i := range services {
		wide.Add(label("a.s%d.x.test", i), 0).Plan = 1
		wide.Add(label("s%d.x.test", i), 0).Plan = 1
	}
	next, err := wide.Branch([]*Data{wide.Data(0)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for err == nil && n < 1000 {
		err = next.Remove(label("s%d.x.test", n))
		n++
	}
	if !errors.Is(err, ErrWhole) || n < maxScans {
		t.Errorf("%d names are left bare: %v", n, err)
	}

	// Names that come and go with empty ones above them, time after time.
	long := strings.Repeat("b", 60)
	with := []*Data{data(t, "x.test", append(apexLines, "a."+long+" TXT 1", "*.w."+long+" TXT 2", "stay.n TXT 3")...)}
	without := []*Data{data(t, "x.test", append(apexLines, "stay.n TXT 3")...)}
	asked := []dnswire.Name{name(t, long+".x.test"), name(t, "a."+long+".x.test"), name(t, "o.w."+long+".x.test"), name(t, "n.x.test"), name(t, "stay.n.x.test"), name(t, "m.x.test")}
	next = NewTree(without, 0)
	for i := range 8000 {
		was := next
		if next, err = next.Branch([][]*Data{with, without}[i%2], func(*Node, []byte) {}); err != nil {
			t.Fatalf("after %d times: %v", i, err)
		}
		if len(next.texts) > 4 {
			t.Fatalf("after %d times the names are in %d pieces", i, len(next.texts))
		}
		if next.waste < was.waste || i%1000 == 0 {
			agree(t, next, NewTree([]*Data{next.Data(0)}, 0), asked)
			agree(t, was, NewTree([]*Data{was.Data(0)}, 0), asked)
		}
	}

	// A tree of which most has gone bit by bit.
	flat := NewTree([]*Data{wide.Data(0)}, 0)
	for i := range services {
		flat.Add(label("s%d.x.test", i), 0).Plan = 1
	}
	next, err = flat.Branch([]*Data{wide.Data(0)}, nil)
	for i := range services - 10 {
		if err == nil {
			err = next.Remove(label("s%d.x.test", i))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := next.Branch([]*Data{wide.Data(0)}, nil); !errors.Is(err, ErrWhole) {
		t.Errorf("of %d names %d are left: %v", services, next.Len(), err)
	}
}
