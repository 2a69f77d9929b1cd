package health

import (
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
	Validation                   // this node's probes
	Override                     // an operator
)

func (a Authority) String() string {
	switch a {
	case Unchecked:
		return "no check"
	case Restored:
		return "probe before restart"
	case Validation:
		return "probe"
	case Override:
		return "operator override"
	}
	return "nobody yet"
}

// Detail is a target's state with what is behind it.
type Detail struct {
	State     State
	Authority Authority
	Since     time.Time // of the last change; zero when it never changed
	Reason    string    // of the last change, one line
	LastUp    time.Time // when it last was up; zero: never known to be
}

// View is the health of every target at one instant, and the operators'
// overrides. It is immutable, and aligned with one list of targets: target i of
// the table it was made for is State(i).
type View struct {
	generation uint64
	states     []State
	pages      []*page
	overrides  map[dnswire.Name][]forced
}

// overridden is the bit of a state that says that some service has an override
// on the target, so that a query pays a single load where there is none.
const overridden State = 0x80

// pageLen is how many targets share a page of details. A change copies one
// page and the list of pages, not the details of a million targets.
const pageLen = 128

type page [pageLen]Detail

type forced struct {
	target int32
	state  State
	detail *Detail
}

// Generation is the generation of targets that the view is aligned with.
func (v *View) Generation() uint64 { return v.generation }

// Raw is the states of all targets, for loops over many of them. A value that is
// none of Unknown, Up and Down is that of a target with an override: ask Of.
func (v *View) Raw() []State { return v.states }

// Len is the number of targets.
func (v *View) Len() int { return len(v.states) }

// State is target i's state, overrides not considered.
func (v *View) State(i int) State { return v.states[i] &^ overridden }

// Forced is whether some service has an override on target i: Of then knows.
func (v *View) Forced(i int) bool { return v.states[i]&overridden != 0 }

// Of is the state of target i for one service, and whether an operator said so.
// The service is its name in lower-case wire form.
func (v *View) Of(i int, service []byte) (s State, byOperator bool) {
	if v.Forced(i) {
		for _, f := range v.overrides[dnswire.Name(service)] {
			if int(f.target) == i {
				return f.state, true
			}
		}
	}
	return v.State(i), false
}

// Detail is what is behind the state of target i for one service.
func (v *View) Detail(i int, service []byte) Detail {
	if v.Forced(i) {
		for _, f := range v.overrides[dnswire.Name(service)] {
			if int(f.target) == i {
				return *f.detail
			}
		}
	}
	return v.pages[i/pageLen][i%pageLen]
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

// set changes one target of a view that nobody else has seen yet.
func (v *View) set(i int, d Detail) {
	v.states[i] = v.states[i]&overridden | d.State
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
	}
}
