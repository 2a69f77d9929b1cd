package table

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// draft is a statement that is changed step by step: services in blocks, which
// later statements share, and texts beside them.
type draft struct {
	blocks []map[string]int // the policy of each label
	made   []*spec.Block    // of them; nil when it has changed
	texts  map[string]string
	pools  int // changes with the contents of pools
}

// policy is policy i over pools of now.
func (d *draft) policy(i int) *spec.Policy {
	p := *onePool
	p.Key, p.TTL = fmt.Sprint("policy ", i), uint32(i)
	p.Steer = []spec.Step{{Filter: []string{"rotate", "weighted"}[i%2]}}
	pool := *p.Pools[0]
	pool.Endpoints = slices.Repeat(pool.Endpoints, 1+d.pools)
	p.Pools = []*spec.Pool{&pool}
	if i%3 == 0 {
		p.Pools = append(p.Pools, &spec.Pool{Name: "other", MinHealthy: 1, Endpoints: pool.Endpoints})
	}
	return &p
}

// spec states the draft.
func (d *draft) spec(t *testing.T) *spec.Spec {
	t.Helper()
	z := &spec.Zone{Name: name(t, "x.test.")}
	policies := map[int]*spec.Policy{}
	for b, labels := range d.blocks {
		var services []spec.Service
		var used []*spec.Policy
		for k, label := range slices.Sorted(maps.Keys(labels)) {
			i := labels[label]
			if policies[i] == nil {
				policies[i] = d.policy(i)
			}
			if !slices.Contains(used, policies[i]) {
				used = append(used, policies[i])
			}
			services = append(services, spec.Service{Label: label, Policy: policies[i], Line: 1 + k})
		}
		if len(services) == 0 {
			continue
		}
		s := spec.StateServices(services)[0]
		if d.made[b] != nil {
			s.Block = d.made[b]
		}
		d.made[b] = s.Block
		z.Services = append(z.Services, s)
	}
	b := zone.NewBuilder(z.Name)
	add := func(owner dnswire.Name, typ dnswire.Type, data string) {
		if err := b.Add(&text.Record{Owner: owner, Type: typ, TTL: 60, Data: []byte(data)}); err != nil {
			t.Fatal(err)
		}
	}
	add(z.Name, dnswire.TypeSOA, "\x01a\x00\x01b\x00"+strings.Repeat("\x00", 20))
	add(z.Name, dnswire.TypeNS, "\x01a\x00")
	for _, owner := range slices.Sorted(maps.Keys(d.texts)) {
		add(name(t, owner+".x.test."), dnswire.TypeTXT, fmt.Sprintf("%c%s", len(d.texts[owner]), d.texts[owner]))
	}
	data, faults, _ := b.Build()
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	z.Data = data
	return bare(z)
}

// step changes something.
func (d *draft) step(r *rand.Rand) {
	label := func(b int) string { return fmt.Sprintf("%c%d", 'a'+r.IntN(6), b) }
	for range 1 + r.IntN(3) {
		b := r.IntN(len(d.blocks))
		l := label(b)
		if r.IntN(3) == 0 {
			l = string('a'+byte(r.IntN(6))) + "." + l
		}
		switch r.IntN(6) {
		case 0:
			d.texts[label(b)] = fmt.Sprint(r.IntN(3))
		case 1:
			delete(d.texts, label(b))
		case 2:
			d.pools = r.IntN(3)
		case 3:
			delete(d.blocks[b], l)
			d.made[b] = nil
		default:
			d.blocks[b][l] = r.IntN(5)
			d.made[b] = nil
		}
	}
}

// described is a line for every name of a table, without its numbers.
func described(tab *Table) string {
	var out []string
	tab.Each(func(n *Node) bool {
		line := tab.Name(n).String()
		if n.Plan != NoPlan {
			p := tab.Plans[n.Plan]
			line += fmt.Sprintf(" %s of %d", p.Policy.Key, len(p.Members[V4].Endpoints))
		}
		m := tab.Find(tab.Text(n), dnswire.TypeA)
		m.Each(func(s zone.Set) bool {
			line += fmt.Sprintf(" %s %x", s.Type, s.Append(nil, 0, zone.Place{Offset: dnswire.HeaderLen, Len: len(tab.Text(n))}))
			return true
		})
		out = append(out, line)
		return true
	})
	slices.Sort(out)
	return fmt.Sprintln(tab.Services(), tab.stated.seqs, tab.stated.counters) + strings.Join(out, "\n")
}

// TestChange changes a statement at random and compares the table that comes of
// the one before with the one that is made anew, and what services keep.
func TestChange(t *testing.T) {
	for seed := range rounds(uint64(150)) {
		r := rand.New(rand.NewPCG(seed, 9))
		d := &draft{texts: map[string]string{}}
		for range 1 + r.IntN(4) {
			d.blocks, d.made = append(d.blocks, map[string]int{}), append(d.made, nil)
		}
		tab, err := Compile(nil, d.spec(t))
		if err != nil {
			t.Fatal(err)
		}
		for step := range 30 {
			for range 20 { // some answers, so that counts differ
				tab.EachService(func(n *Node, p *Plan) bool {
					if p.Rotates && r.IntN(3) == 0 {
						tab.Next(n, TurnV4)
					}
					return true
				})
			}
			before := described(tab)
			d.step(r)
			s := d.spec(t)
			next, err := change(tab, s)
			if err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
			fresh, err := Compile(nil, s)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := described(next), described(fresh); got != want {
				t.Fatalf("seed %d, step %d: became\n%s\nwant\n%s\nbefore\n%s", seed, step, got, want, before)
			}
			if got := described(tab); got != before {
				t.Fatalf("seed %d, step %d: the table before is\n%s\nand was\n%s", seed, step, got, before)
			}
			numbers := map[string]string{}
			next.EachService(func(n *Node, p *Plan) bool {
				text := next.Name(n).String()
				old := tab.Lookup(next.Text(n))
				if old != nil && old.Plan != NoPlan {
					was := tab.Plans[old.Plan]
					if p.Rotates && was.Rotates && next.Peek(n, TurnV4) != tab.Peek(old, TurnV4) {
						t.Fatalf("seed %d, step %d: %s lost its place in the rotation", seed, step, text)
					}
					if samePools(was, p) && n.Counter != old.Counter {
						t.Fatalf("seed %d, step %d: %s lost its counters", seed, step, text)
					}
				}
				for i := range p.turns() {
					key := fmt.Sprint("sequence ", n.Seq+i)
					if numbers[key] != "" {
						t.Fatalf("seed %d, step %d: %s and %s share a %s", seed, step, text, numbers[key], key)
					}
					numbers[key] = text
				}
				for i := range p.pools() {
					key := fmt.Sprint("counter ", int(n.Counter)+i)
					if numbers[key] != "" || int(n.Counter)+i >= next.Counters().Len {
						t.Fatalf("seed %d, step %d: %s and %s share a %s", seed, step, text, numbers[key], key)
					}
					numbers[key] = text
				}
				return true
			})
			tab = next
		}
	}
}

// TestChangeFaults: what is wrong is found in what changes, and said where it
// stands.
func TestChangeFaults(t *testing.T) {
	d := &draft{texts: map[string]string{}}
	for range 3 {
		d.blocks, d.made = append(d.blocks, map[string]int{}), append(d.made, nil)
	}
	d.blocks[0]["a"], d.blocks[2]["a0"], d.blocks[2]["b"] = 0, 1, 1
	tab, err := Compile(nil, d.spec(t))
	if err != nil {
		t.Fatal(err)
	}
	d.blocks[1]["b"] = 1 // before the other one
	for _, prev := range []*Table{tab, nil} {
		_, err = Compile(prev, d.spec(t))
		if want := "services:2: zones.x.test.services.b: stated twice; first at services:1:0"; err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
