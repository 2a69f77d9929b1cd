package table

import (
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/zone"
)

// change makes the table of a spec from the table of another one, at the cost of
// what differs: the names of stretches of services and of pieces of records that
// only one of them has, and all plans. The error is zone.ErrWhole when the table
// is to be made anew.
func change(prev *Table, s *spec.Spec) (*Table, error) {
	old := &prev.stated
	if old.own || len(s.Zones) != len(old.zones) {
		return nil, zone.ErrWhole
	}
	c := begin(s)
	t := c.t
	data := make([]*zone.Data, len(s.Zones))
	for i, z := range s.Zones {
		if z.Name != old.zones[i].Name {
			return nil, zone.ErrWhole
		}
		data[i] = z.Records()
	}
	if err := c.plans(prev); err != nil {
		return nil, err
	}
	// Services whose static records are others now; names, since nodes move.
	var beside []dnswire.Name
	tree, err := prev.Branch(data, func(n *Node, name []byte) { beside = append(beside, dnswire.Name(name)) })
	if err != nil {
		return nil, err
	}
	t.Tree = tree
	if err := scattered(tree); err != nil {
		return nil, err
	}
	t.seqs, t.counters = prev.seqs.clone(), prev.counters
	t.stated.seqs, t.stated.counters = old.seqs, old.counters
	for i := range s.Zones {
		if err := c.services(prev, i); err != nil {
			return nil, err
		}
	}
	if t.seqs.used > 2*t.stated.seqs+slack || uint32(t.counters.Len) > 2*t.stated.counters+slack {
		return nil, zone.ErrWhole // too many numbers lie idle
	}
	c.look(beside)
	if err := c.faults(); err != nil {
		return nil, err
	}
	c.doubts(prev)
	return t, nil
}

// plans makes all plans, under the numbers that those of the same policies have
// in the table before.
func (c *compiler) plans(prev *Table) error {
	t := c.t
	t.Plans = make([]*Plan, len(prev.Plans))
	for key, i := range prev.stated.numbers {
		t.stated.numbers[key] = i
	}
	for _, z := range c.spec.Zones {
		for pol := range z.Services.Policies() {
			if pol.Key == "" {
				return zone.ErrWhole
			}
			if _, err := c.planner.plan(pol, func() string { return z.Name.String() }); err != nil {
				return err
			}
			if t.stated.own {
				return zone.ErrWhole
			}
		}
	}
	idle := 0
	for key, i := range t.stated.numbers {
		if t.Plans[i] == nil {
			delete(t.stated.numbers, key)
			idle++
		}
	}
	for i, p := range t.Plans {
		switch {
		case p == nil:
			t.Plans[i] = &Plan{Policy: &spec.Policy{}} // nobody has it
		case i < len(prev.Plans) && p.redirects() != prev.Plans[i].redirects():
			return zone.ErrWhole // its services may no longer stand beside other records
		}
	}
	if idle = len(t.Plans) - len(t.stated.numbers); idle > 16+len(t.Plans)/2 {
		return zone.ErrWhole
	}
	return nil
}

// redirects is whether services of the plan are answered as CNAME.
func (p *Plan) redirects() bool {
	return len(p.Members[Hosts].Candidates)+len(p.Spare[Hosts].Candidates) > 0
}

// few is how many services may always be looked at one by one. Of more than an
// eighth of a zone that costs more, in time and memory, than to make all anew.
const few = 10_000

// services changes the services of a zone.
func (c *compiler) services(prev *Table, at int) error {
	t, z := c.t, c.spec.Zones[at]
	gone, come := c.differ(prev.stated.zones[at].Services, z.Services, prev)
	if len(gone) == 0 && len(come) == 0 {
		return nil
	}
	if n := max(gone.Len(), come.Len()); n > few && n > z.Services.Len()/8 {
		return zone.ErrWhole
	}
	was := map[string]uint32{}
	for _, s := range gone {
		s.Each(func(label string, policy int) bool {
			was[label] = prev.stated.numbers[s.Policies[policy].Key]
			return true
		})
	}
	var fresh []spec.Service
	stays := map[string]bool{}
	for svc := range spec.Services(come).All() {
		number := c.planner.known[svc.Policy]
		switch i, had := was[svc.Label]; {
		case !had:
			fresh = append(fresh, svc)
		case stays[svc.Label]:
			c.twice(at, &svc)
		case i == number:
			stays[svc.Label] = true
		default:
			stays[svc.Label] = true
			c.move(prev, at, &svc, number)
		}
	}
	for label, i := range was {
		if !stays[label] {
			if err := t.Remove(c.wire(z, label)); err != nil {
				return err
			}
			t.stated.seqs -= prev.Plans[i].turns()
			t.stated.counters -= uint32(prev.Plans[i].pools())
		}
	}
	for i := range fresh {
		svc := &fresh[i]
		found := len(c.errs)
		if t.Wildcards(at) {
			c.shadow(at, svc)
		}
		if err := c.add(at, svc); err != nil {
			return err
		}
		if len(c.errs) > found {
			continue
		}
		n := t.Add(c.wire(z, svc.Label), at)
		t.endow(&heir{node: n, plan: t.Plans[n.Plan], from: prev, counters: true})
		t.stated.seqs += t.Plans[n.Plan].turns()
		t.stated.counters += uint32(t.Plans[n.Plan].pools())
	}
	return nil
}

// move gives a service another plan.
func (c *compiler) move(prev *Table, at int, svc *spec.Service, number uint32) {
	t := c.t
	n := t.Add(c.wire(c.spec.Zones[at], svc.Label), at)
	was, p := prev.Plans[n.Plan], t.Plans[number]
	h := heir{node: n, plan: p, was: was, seq: n.Seq, counter: n.Counter, from: prev, counters: true}
	n.Plan = number
	t.endow(&h)
	t.stated.seqs += p.turns() - was.turns()
	t.stated.counters += uint32(p.pools()) - uint32(was.pools())
	c.beside(at, svc, n)
}

// differ is which stretches only one of two lists has. A stretch is the same
// when its names are, and its policies have the same numbers.
func (c *compiler) differ(old, now spec.Services, prev *Table) (gone, come spec.Services) {
	had := make(map[*spec.Block][]*spec.Stretch, len(old))
	for i := range old {
		had[old[i].Block] = append(had[old[i].Block], &old[i])
	}
	var last alike
	for i := range now {
		s := &now[i]
		same := slices.IndexFunc(had[s.Block], func(o *spec.Stretch) bool {
			if last.old == nil || !last.old.Shares(o) || !last.now.Shares(s) {
				last = c.alike(o, s, prev)
			}
			return last.has(s)
		})
		if same < 0 {
			come = append(come, *s)
			continue
		}
		had[s.Block] = slices.Delete(had[s.Block], same, same+1)
	}
	for i := range old {
		if left := had[old[i].Block]; len(left) > 0 {
			had[old[i].Block] = left[1:]
			gone = append(gone, *left[0])
		}
	}
	return gone, come
}

// alike says which numbers of policies mean the same plan in two lists of
// policies, which many stretches share.
type alike struct {
	old, now *spec.Stretch
	same     []bool
	all      bool
}

func (c *compiler) alike(old, now *spec.Stretch, prev *Table) alike {
	a := alike{old: old, now: now, same: make([]bool, min(len(old.Policies), len(now.Policies))), all: true}
	for i := range a.same {
		o, n := old.Policies[i], now.Policies[i]
		a.same[i] = o == nil && n == nil || o != nil && n != nil && prev.stated.numbers[o.Key] == c.planner.known[n]
		a.all = a.all && a.same[i]
	}
	return a
}

// has is whether all policies of the stretch's services are among the same.
func (a *alike) has(s *spec.Stretch) bool {
	same := true
	if !a.all {
		s.Each(func(_ string, policy int) bool {
			same = policy < len(a.same) && a.same[policy]
			return same
		})
	}
	return same
}

// look finds the services among names that cannot stand beside their records.
func (c *compiler) look(names []dnswire.Name) {
	for _, name := range names {
		n := c.t.Lookup([]byte(name))
		if n == nil || n.Plan == NoPlan {
			continue
		}
		at := n.Zone()
		label := strings.TrimSuffix(strings.TrimSuffix(name.String(), c.t.Zones[at].Text), ".")
		if label == "" {
			label = "@"
		}
		for svc := range c.spec.Zones[at].Services.All() {
			if svc.Label == label {
				c.beside(at, &svc, n)
				break
			}
		}
	}
}
