package controller

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/table"
)

const (
	// maxSteps is how many changes of a view are remembered, and maxStepped how many
	// records they may have together.
	maxSteps   = 256
	maxStepped = 20_000
)

// view is the records of a zone for clients in some regions. What is not noted otherwise
// is guarded by Controller.mu.
type view struct {
	zone    dnswire.Name
	regions []string
	places  []geo.Place // of setting; of Controller.Run alone
	by      *setting    // what places are from; of Controller.Run alone

	latest  *State // nil until it was computed
	steps   []*Step
	stepped int           // records in steps
	moved   chan struct{} // closed when latest is another one, or the view ends
	ended   bool          // its zone is no longer told of
	// waits is that a source has not handed over the zone's records yet: an edge that was
	// told what there is would deny all other names.
	waits  bool
	users  int       // who asks, follows or pushes
	stated bool      // some of them push, or did
	used   time.Time // last, when there are no users
}

// viewKey is what a view is known by.
func viewKey(zone dnswire.Name, regions []string) string {
	return string(zone) + "\x00" + strings.Join(regions, "\x00")
}

// step takes the next state. Change is what has changed since the one before, nil for
// nothing; lost says that there is more than is told.
func (v *view) step(next *State, change *api.Change, lost bool) {
	switch {
	case lost:
		v.steps, v.stepped = nil, 0
	case change != nil:
		own := *change // who made it keeps states
		v.steps = append(v.steps, &Step{Change: &own})
		v.stepped += sizeOf(change)
		for len(v.steps) > maxSteps || v.stepped > maxStepped {
			v.stepped -= sizeOf(v.steps[0].Change)
			v.steps[0], v.steps = nil, v.steps[1:]
		}
	}
	before := v.latest
	v.latest, v.waits = next, false
	if before == nil || before.Hash != next.Hash {
		close(v.moved)
		v.moved = make(chan struct{})
	}
}

// Step is a change that leads from one version to the next. It is immutable.
type Step struct {
	*api.Change
	once sync.Once
	json []byte
}

// JSON is the change as its event has it, not to be changed. It is made once, however many
// follow.
func (s *Step) JSON() []byte {
	s.once.Do(func() {
		b, err := json.Marshal(s.Change)
		if err != nil {
			panic(err) // our own type
		}
		s.json = b
	})
	return s.json
}

func sizeOf(c *api.Change) int { return len(c.Records) + len(c.Deletes) }

// since is the changes from a version on. Not ok: they are not known.
func (v *view) since(hash string) (steps []*Step, ok bool) {
	if v.latest == nil {
		return nil, false
	}
	if hash == v.latest.Hash {
		return nil, true
	}
	// The last one, since a version may come back.
	for i := len(v.steps) - 1; i >= 0; i-- {
		if v.steps[i].From == hash {
			return slices.Clone(v.steps[i:]), true
		}
	}
	return nil, false
}

// builder makes the next state of a view.
type builder struct {
	prev    *State // nil: there is none
	next    *State
	steered steered
	names   map[dnswire.Name]dnswire.Name // failover
	buf     []byte

	change  api.Change
	changed int  // items of it, those that are not told among them
	lost    bool // it is too much to tell
}

// build makes the next state of a view, and finds what has changed.
func (b *builder) build() (n *State, change *api.Change, lost bool) {
	n = b.next
	if p := b.prev; p != nil && p.census.roster == n.census.roster && p.setting == n.setting {
		b.amend()
	} else {
		b.anew()
	}
	if b.prev != nil {
		differ(&b.prev.census.static, &n.census.static, b.turn)
	}
	n.Hash, n.packed = n.hash(), &packed{}
	switch {
	case b.prev == nil || b.lost:
		return n, nil, true
	case b.prev.Hash == n.Hash:
		n.packed = b.prev.packed
		return n, nil, false
	}
	// A name that was a service and has static records now has both gone and come.
	there := make(map[api.Key]bool, len(b.change.Records))
	for i := range b.change.Records {
		there[api.Key{Name: b.change.Records[i].Name, Type: b.change.Records[i].Type}] = true
	}
	b.change.Deletes = slices.DeleteFunc(b.change.Deletes, func(k api.Key) bool { return there[k] })
	b.change.From, b.change.VersionHash = b.prev.Hash, n.Hash
	return n, &b.change, false
}

// failover is where the clients of a service are sent, by its number.
func (b *builder) failover(c *census) map[int32]dnswire.Name {
	if len(b.names) == 0 {
		return nil
	}
	out := map[int32]dnswire.Name{}
	for name, to := range b.names {
		if i := c.find(text(name)); i >= 0 {
			out[i] = to
		}
	}
	return out
}

// worded are the services, by number, on whose own endpoints operators have a word.
func worded(s *resolve.Snapshot, c *census) map[int32]bool {
	out := map[int32]bool{}
	for name := range s.Health.Overridden {
		if i := c.find(text(name)); i >= 0 {
			out[i] = true
		}
	}
	return out
}

// node is that of a service in the table.
func (b *builder) node(i int32) *table.Node {
	name, err := dnswire.ParseName(b.next.census.services[i].name)
	if err != nil {
		return nil
	}
	return b.next.census.table.Lookup([]byte(name))
}

// particular decides the services that do not go by their plan alone.
func (b *builder) particular(of map[int32]bool, to map[int32]dnswire.Name) {
	c := b.next.census
	for i := range of {
		if n := b.node(i); n != nil {
			b.next.own[i] = b.steered.of(n, c.plans[c.services[i].plan], to[i])
		}
	}
}

// amend decides what has changed of the services since the state before, which has the same.
func (b *builder) amend() {
	p, n := b.prev, b.next
	c := n.census
	n.sum, n.count = p.sum, p.count
	n.shared, n.own = slices.Clone(p.shared), map[int32]*content{}
	to := b.failover(c)
	of := worded(n.snapshot, c)
	for i := range to {
		of[i] = true
	}
	b.particular(of, to)
	for at, plan := range c.plans {
		if n.snapshot.Alike(p.snapshot, plan) {
			continue
		}
		says := b.steered.of(nil, plan, "")
		if says.same(p.shared[at]) {
			continue
		}
		n.shared[at] = says
		for _, i := range c.of[at] {
			_, was := p.own[i]
			_, is := n.own[i]
			if !was && !is {
				b.turn(c.services[i].name, p.shared[at], says)
			}
		}
	}
	every := maps.Clone(of)
	for i := range p.own {
		every[i] = true
	}
	for _, i := range slices.Sorted(maps.Keys(every)) {
		b.turn(c.services[i].name, p.content(i), n.content(i))
	}
}

// anew decides all services, and compares them with those of the state before. Without one
// it takes in the static records as well.
func (b *builder) anew() {
	n := b.next
	c := n.census
	n.shared, n.own = make([]*content, len(c.plans)), map[int32]*content{}
	to := b.failover(c)
	of := worded(n.snapshot, c)
	for i := range to {
		of[i] = true
	}
	b.particular(of, to)
	for at, plan := range c.plans {
		n.shared[at] = b.steered.of(nil, plan, "")
	}
	if b.prev == nil {
		n.each(func(name string, says *content) bool {
			b.turn(name, nil, says)
			return true
		})
		return
	}
	n.sum, n.count = b.prev.sum, b.prev.count
	p := b.prev.census
	merge(len(p.services), len(c.services),
		func(i, j int) int { return strings.Compare(p.services[i].name, c.services[j].name) },
		func(i, j int) {
			switch {
			case i < 0:
				b.turn(c.services[j].name, nil, n.content(int32(j)))
			case j < 0:
				b.turn(p.services[i].name, b.prev.content(int32(i)), nil)
			default:
				b.turn(c.services[j].name, b.prev.content(int32(i)), n.content(int32(j)))
			}
		})
}

// merge calls f with the places of what is in two sorted lists, -1 for one that has it not.
func merge(n, m int, compare func(i, j int) int, f func(i, j int)) {
	for i, j := 0, 0; i < n || j < m; {
		order := 0
		switch {
		case i == n:
			order = 1
		case j == m:
			order = -1
		default:
			order = compare(i, j)
		}
		switch {
		case order < 0:
			f(i, -1)
			i++
		case order > 0:
			f(-1, j)
			j++
		default:
			f(i, j)
			i, j = i+1, j+1
		}
	}
}

// turn notes that a name says something else than before. Nil is nothing.
func (b *builder) turn(name string, was, is *content) {
	if was.same(is) {
		return
	}
	var h sum
	for i := range was.all() {
		old := &was.records[i]
		h, b.buf = hashed(name, old, b.buf)
		b.next.sum.take(&h)
		b.next.count--
		if is.record(old.Type) == nil && b.tells() {
			b.change.Deletes = append(b.change.Deletes, api.Key{Name: name, Type: old.Type})
		}
	}
	for i := range is.all() {
		r := &is.records[i]
		h, b.buf = hashed(name, r, b.buf)
		b.next.sum.add(&h)
		b.next.count++
		if old := was.record(r.Type); (old == nil || old.key != r.key) && b.tells() {
			own := r.Record
			own.Name = name
			b.change.Records = append(b.change.Records, own)
		}
	}
}

// tells is whether one more item of the change is told, or there are too many.
func (b *builder) tells() bool {
	b.changed++
	if b.prev == nil || b.changed > maxStepped/2 {
		b.lost, b.change = true, api.Change{}
	}
	return !b.lost
}

func (c *content) all() []record {
	if c == nil {
		return nil
	}
	return c.records
}

// record is that of a type, nil when there is none.
func (c *content) record(t string) *record {
	for i := range c.all() {
		if c.records[i].Type == t {
			return &c.records[i]
		}
	}
	return nil
}
