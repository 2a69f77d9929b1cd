package health

import (
	"cmp"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// State is whether an endpoint serves.
type State uint8

// The states. Unknown is neither up nor down.
const (
	Unknown State = iota
	Up
	Down
)

func (s State) String() string {
	switch s {
	case Up:
		return "up"
	case Down:
		return "down"
	}
	return "unknown"
}

// Authority is who said an endpoint's state.
type Authority uint8

// The authorities, weakest first.
const (
	NoAuthority Authority = iota // nobody has said anything yet
	Unchecked                    // it has no check, so it counts as up
	Restored                     // a probe before the last restart
	Reported                     // somebody who reports the results of an external check
	Validation                   // this node's probes
	Draining                     // this node's probes, while an operator takes it out
	Upkeep                       // an operator, for every service: maintenance
	Override                     // an operator
)

func (a Authority) String() string {
	switch a {
	case Unchecked:
		return "no check"
	case Restored:
		return "probe before restart"
	case Reported:
		return "reported result"
	case Validation:
		return "probe"
	case Draining:
		return "operator drain"
	case Upkeep:
		return "maintenance"
	case Override:
		return "operator override"
	}
	return "nobody yet"
}

// Detail is a target's state with what is behind it.
type Detail struct {
	State     State
	Authority Authority
	// Of one that is up and degraded, by its checks: why, and what it is left of its
	// traffic, of Whole. Since and Reason are of that then. Share is 0 otherwise.
	Cause Cause
	// Suspect is that its checks say that it is down, and that this node does not
	// believe them, since it seems to be cut off itself. State is what it was.
	Suspect bool
	Share   uint16
	Since   time.Time // of the last change; zero when it never changed
	Reason  string    // of the last change, one line
	LastUp  time.Time // when it last was up; zero: never known to be
}

// mark is the state with the bit that says that Share is to be asked.
func (d *Detail) mark() State {
	if d.Cause != NotDegraded && d.Share < Whole {
		return d.State | reduced
	}
	return d.State
}

// View is the health of every target at one instant, the operators' overrides,
// and the figures that Uses asked for. It is immutable, and aligned with one list
// of targets: target i of the table it was made for is State(i).
type View struct {
	generation uint64
	states     []State
	pages      []*page
	overrides  map[dnswire.Name][]forced // of each service by target
	everywhere []forced                  // of all services by target: maintenance
	latency    []uint32
	load       []uint32
	times      []atomic.Int64 // of all views of a generation; nil where nobody asks
}

// overridden is the bit of a state that says that some service has an override
// on the target, or all have, so that a query pays a single load where there is none.
const overridden State = 0x80

// reduced is the bit that says that a target is degraded, for the same reason.
const reduced State = 0x40

// pageLen is how many targets share a page of details. A change copies one
// page and the list of pages, not the details of a million targets.
const pageLen = 32

type page [pageLen]Detail

type forced struct {
	target int32
	state  State  // Unknown: that is for the checks to say
	share  uint16 // Whole unless it is being drained
	detail *Detail
}

// inOrder sorts the overrides of a service, for word to find them.
func inOrder(all []forced) []forced {
	slices.SortFunc(all, func(x, y forced) int { return cmp.Compare(x.target, y.target) })
	return all
}

// Whole is the Share of a target that takes all of its traffic.
const Whole = 1 << 10

// Generation is the generation of targets that the view is aligned with.
func (v *View) Generation() uint64 { return v.generation }

// Raw is the states of all targets, for loops over many of them. A value that is
// none of Unknown, Up and Down is that of a target that is Marked: ask Of and Share.
func (v *View) Raw() []State { return v.states }

// Len is the number of targets.
func (v *View) Len() int { return len(v.states) }

// State is target i's state, overrides not considered.
func (v *View) State(i int) State { return v.states[i] &^ (overridden | reduced) }

// Marked is whether there is more to say of target i than its State: some service
// has an override on it, or it is degraded. Of and Share then know.
func (v *View) Marked(i int) bool { return v.states[i]&(overridden|reduced) != 0 }

// Forced is whether some service has an override on target i: Of then knows.
func (v *View) Forced(i int) bool { return v.states[i]&overridden != 0 }

// Of is the state of target i for one service, and whether an operator said so.
// The service is its name in lower-case wire form.
func (v *View) Of(i int, service []byte) (s State, byOperator bool) {
	if f := v.word(i, service); f != nil && f.state != Unknown {
		return f.state, true
	}
	return v.State(i), false
}

// Share is how much of its usual traffic target i is to have for one service, of
// Whole: less than all, and never nothing, while an operator drains it, while it is
// degraded by its checks, and the one share of the other while both are so. One that
// has been drained is down, as Of says, and one that an operator says is up has all.
func (v *View) Share(i int, service []byte) uint16 {
	share := v.Left(i)
	f := v.word(i, service)
	switch {
	case f == nil:
		return share
	case f.state != Unknown || share == Whole:
		return f.share
	}
	return uint16(max(uint32(share)*uint32(f.share)/Whole, 1))
}

// Left is how much of its usual traffic the checks of target i leave it, of Whole:
// less than all while it is degraded, and never nothing.
func (v *View) Left(i int) uint16 {
	if v.states[i]&reduced != 0 {
		return v.pages[i/pageLen][i%pageLen].Share
	}
	return Whole
}

// word is the override on target i for one service, or nil. A service may have as
// many as it has endpoints, when a whole pool is drained.
func (v *View) word(i int, service []byte) *forced {
	if !v.Forced(i) {
		return nil
	}
	if f := on(v.overrides[dnswire.Name(service)], i); f != nil {
		return f
	}
	return on(v.everywhere, i)
}

// on is the word on a target among those in order, or nil.
func on(all []forced, i int) *forced {
	at, found := slices.BinarySearchFunc(all, int32(i), func(f forced, t int32) int { return cmp.Compare(f.target, t) })
	if !found {
		return nil
	}
	return &all[at]
}

// Judged is what is behind the state of target i, operators' words not considered.
func (v *View) Judged(i int) Detail { return v.pages[i/pageLen][i%pageLen] }

// SameEverywhere is whether the word on target i that is for every service says
// what it said in another view of the same generation.
func (v *View) SameEverywhere(other *View, i int) bool {
	if !v.Forced(i) && !other.Forced(i) {
		return true
	}
	a, b := on(v.everywhere, i), on(other.everywhere, i)
	if a == nil || b == nil {
		return a == b
	}
	return a.state == b.state && a.share == b.share
}

// Latency is the smoothed time that connections to each target take, in
// microseconds; 0 where it is not known, or the target is down. It is nil unless
// Uses asked for it.
func (v *View) Latency() []uint32 { return v.latency }

// Load is how busy each target is, LoadUnit being a load of 1; NoLoad where it is
// not known, as of the targets beyond its end. It is nil unless Uses asked for it.
func (v *View) Load() []uint32 { return v.load }

// Detail is what is behind the state of target i for one service; for service nil
// with the words alone that are for every service.
func (v *View) Detail(i int, service []byte) Detail {
	d := v.pages[i/pageLen][i%pageLen]
	f := v.word(i, service)
	switch {
	case f == nil:
	case f.state != Unknown:
		return *f.detail
	case d.State == Up:
		degraded := d.Reason
		d.Authority, d.Since, d.Reason = f.detail.Authority, f.detail.Since, f.detail.Reason
		if d.Cause != NotDegraded {
			d.Reason += "; " + degraded
		}
	default:
		d.Reason += "; " + f.detail.Reason
	}
	return d
}

// LastUp is when target i was last known to be up, as Unix nanoseconds; 0 never.
func (v *View) LastUp(i int) int64 {
	t := v.pages[i/pageLen][i%pageLen].LastUp
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// uncheckedView is a view of n targets that nobody judges.
func uncheckedView(n int) *View {
	v := &View{states: make([]State, n), pages: make([]*page, (n+pageLen-1)/pageLen)}
	for i := range v.states {
		v.states[i] = Up
	}
	var shared page
	for i := range shared {
		shared[i] = Detail{State: Up, Authority: Unchecked}
	}
	for i := range v.pages {
		v.pages[i] = &shared
	}
	return v
}

// Fixed is a view with stated states, the rest unchecked: for explaining a
// configuration without a running node, and for tests and benchmarks.
func Fixed(n int, states map[int]Detail) *View {
	v := uncheckedView(n)
	for i, d := range states {
		v.set(i, d)
	}
	return v
}

// Figures are what a view has besides states.
type Figures struct {
	Latency, Load []uint32 // as the methods of View give them
	// Shares are of targets that are being drained, by service: above 0 and below
	// Whole.
	Shares map[dnswire.Name]map[int]uint16
	// Words are operators' words, up or down, by service.
	Words map[dnswire.Name]map[int]State
}

// With is a view with the same states and other figures, for asking what would be
// if. A share or a word stands in place of any other override on its target.
func (v *View) With(f Figures) *View {
	w := v.clone()
	w.latency, w.load = f.Latency, f.Load
	w.overrides = maps.Clone(v.overrides)
	for service, shares := range f.Shares {
		all := slices.DeleteFunc(slices.Clone(w.overrides[service]), func(f forced) bool { _, ok := shares[int(f.target)]; return ok })
		for i, share := range shares {
			d := w.pages[i/pageLen][i%pageLen]
			d.Authority, d.Reason = Draining, draining(share)
			all = append(all, forced{int32(i), Unknown, share, &d})
			w.states[i] |= overridden
		}
		if w.overrides == nil {
			w.overrides = map[dnswire.Name][]forced{}
		}
		w.overrides[service] = inOrder(all)
	}
	for service, words := range f.Words {
		all := slices.DeleteFunc(slices.Clone(w.overrides[service]), func(f forced) bool { _, ok := words[int(f.target)]; return ok })
		for i, state := range words {
			all = append(all, forced{int32(i), state, Whole, &Detail{State: state, Authority: Override}})
			w.states[i] |= overridden
		}
		if w.overrides == nil {
			w.overrides = map[dnswire.Name][]forced{}
		}
		w.overrides[service] = inOrder(all)
	}
	return w
}

// set changes one target of a view that nobody else has seen yet.
func (v *View) set(i int, d Detail) {
	v.states[i] = v.states[i]&overridden | d.mark()
	p := *v.pages[i/pageLen]
	p[i%pageLen] = d
	v.pages[i/pageLen] = &p
}

// clone is a copy of which set may change targets.
func (v *View) clone() *View {
	return &View{
		generation: v.generation,
		states:     append([]State(nil), v.states...),
		pages:      append([]*page(nil), v.pages...),
		overrides:  v.overrides,
		everywhere: v.everywhere,
		latency:    v.latency,
		load:       v.load,
		times:      v.times,
	}
}

// LastCheck is when a check of target i last had a result, to the second; zero: not yet,
// or nobody checks it, or Uses did not ask for it. It alone goes on while the view stays:
// a view for each result would be a copy of all states.
func (v *View) LastCheck(i int) time.Time {
	if i >= len(v.times) {
		return time.Time{}
	}
	if at := v.times[i].Load(); at != 0 {
		return time.Unix(at, 0)
	}
	return time.Time{}
}

// lastChecks is when checks of each target last had a result, for a board that has just
// got them; nil when nobody asks.
func (b *Board) lastChecks() []atomic.Int64 {
	if !b.uses.Times {
		return nil
	}
	all := make([]atomic.Int64, len(b.targets))
	for i, rs := range b.onTarget {
		for _, r := range rs {
			if seen := r.verdict.seen; !seen.IsZero() {
				all[i].Store(max(all[i].Load(), seen.Unix()))
			}
		}
	}
	return all
}

// checked notes that a probe had a result.
func (b *Board) checked(r *runner) {
	if b.times == nil {
		return
	}
	now := time.Now().Unix()
	for _, t := range r.targets {
		b.times[t].Store(now)
	}
}
