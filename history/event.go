package history

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unique"
)

// The types of events.
const (
	Up       = "up"
	Degraded = "degraded"
	Down     = "down"
	Unknown  = "unknown"

	OverrideSet          = "override-set"
	OverrideCleared      = "override-cleared"
	OverrideLapsed       = "override-lapsed"
	DrainSet             = "drain-set"
	MaintenanceAdded     = "maintenance-added"
	MaintenanceBegan     = "maintenance-began"
	MaintenanceEnded     = "maintenance-ended"
	MaintenanceCancelled = "maintenance-cancelled"

	PoolGaveWay = "pool-gave-way"
	PoolWaits   = "pool-waits"
	PoolStands  = "pool-stands"

	NodeStarted   = "node-started"
	NodeSuspect   = "node-suspect"
	NodeTrusted   = "node-trusted"
	Reloaded      = "reloaded"
	ReloadRefused = "reload-refused"
)

// Type is a type of events and what it says.
type Type struct{ Name, Doc string }

// Types are all there are. What is not in the list cannot be asked for.
var Types = []Type{
	{Up, "the endpoint is up"},
	{Degraded, "the endpoint is up and degraded, or to another `share` than before"},
	{Down, "the endpoint is down"},
	{Unknown, "it is no longer known how the endpoint is"},
	{OverrideSet, "an operator's word on an endpoint of a service, `state`"},
	{OverrideCleared, "an operator has ended it"},
	{OverrideLapsed, "it has ended by itself"},
	{DrainSet, "an endpoint of a service is drained"},
	{MaintenanceAdded, "maintenance is on the calendar; `on` is its id"},
	{MaintenanceBegan, "an endpoint is in maintenance"},
	{MaintenanceEnded, "its maintenance is over"},
	{MaintenanceCancelled, "its maintenance was cancelled"},
	{PoolGaveWay, "a pool with conduct gave way to others"},
	{PoolWaits, "it could stand again and waits"},
	{PoolStands, "it stands again"},
	{NodeStarted, "the node has started"},
	{NodeSuspect, "the node seems to be cut off itself, and holds verdicts"},
	{NodeTrusted, "it holds them no longer"},
	{Reloaded, "another configuration is in force"},
	{ReloadRefused, "the files have an error, and the configuration stays"},
}

// Event is one thing that happened. Its zero fields are not known, or not of its type.
type Event struct {
	ID       uint64        `json:"id"` // higher than that of every event before
	At       time.Time     `json:"at"`
	Type     string        `json:"type"`               // one of Types
	Endpoint string        `json:"endpoint,omitempty"` // address or host name, as the pool states it
	Host     string        `json:"host,omitempty"`     // that its checks asked for
	Service  string        `json:"service,omitempty"`  // the one alone that it is about
	Pools    []string      `json:"pools,omitempty"`    // that the endpoint was in, or the pool; sorted
	State    string        `json:"state,omitempty"`    // up, degraded, down, unknown
	Was      string        `json:"was,omitempty"`
	Lasted   time.Duration `json:"lasted,omitempty"` // how long it was that; in JSON nanoseconds
	Check    string        `json:"check,omitempty"`  // that made it so
	Share    float64       `json:"share,omitempty"`  // of its traffic that it is left while it is degraded, to 1
	Class    string        `json:"class,omitempty"`  // of the failure
	Reason   string        `json:"reason,omitempty"` // one line
	Who      string        `json:"who,omitempty"`
	On       string        `json:"on,omitempty"` // number of a maintenance

	// Ran is how long the node had run when it was told, by a clock that nobody sets; 0
	// when it was told before this run.
	Ran time.Duration `json:"-"`
	// Judged is the checks whose verdict it is, for who says which pools it concerns:
	// one address may be judged by others in another pool. It is not remembered.
	Judged string `json:"-"`
}

// States are the types of changes of an endpoint's state.
var States = []string{Up, Degraded, Down, Unknown}

// OfState is whether an event is a change of an endpoint's state.
func (e *Event) OfState() bool { return slices.Contains(States, e.Type) }

// maxText is how much of a reason is remembered.
const maxText = 500

// record is an event as it is remembered: there may be a hundred thousand, and most
// texts are shared by many.
type record struct {
	id     uint64
	at     int64 // Unix nanoseconds
	lasted time.Duration
	ran    time.Duration
	share  float64

	kind, endpoint, host, service, pools      text
	state, was, check, class, reason, who, on text
}

type text = unique.Handle[string]

var none = unique.Make("")

func (e *Event) record() record {
	say := func(s string) text {
		if s == "" {
			return none
		}
		if len(s) > maxText {
			s = strings.ToValidUTF8(s[:maxText], "") + "..."
		}
		return unique.Make(s)
	}
	return record{
		id: e.ID, at: e.At.UnixNano(), lasted: max(e.Lasted, 0), ran: e.Ran, share: e.Share,
		kind: say(e.Type), endpoint: say(e.Endpoint), host: say(e.Host), service: say(e.Service),
		pools: unique.Make(strings.Join(e.Pools, "\n")), state: say(e.State), was: say(e.Was), check: say(e.Check),
		class: say(e.Class), reason: say(e.Reason), who: say(e.Who), on: say(e.On),
	}
}

func (r *record) event() Event {
	e := Event{
		ID: r.id, At: time.Unix(0, r.at).UTC(), Lasted: r.lasted, Ran: r.ran, Share: r.share,
		Type: r.kind.Value(), Endpoint: r.endpoint.Value(), Host: r.host.Value(), Service: r.service.Value(),
		State: r.state.Value(), Was: r.was.Value(), Check: r.check.Value(), Class: r.class.Value(),
		Reason: r.reason.Value(), Who: r.who.Value(), On: r.on.Value(),
	}
	if r.pools != none {
		e.Pools = strings.Split(r.pools.Value(), "\n")
	}
	return e
}

// key is what the bound of changes is of: the endpoint, else the pool, else the type.
func (r *record) key() text {
	for _, t := range []text{r.endpoint, r.pools} {
		if t != none {
			return t
		}
	}
	return r.kind
}

// Known is whether there is a type.
func Known(name string) bool {
	return slices.ContainsFunc(Types, func(t Type) bool { return t.Name == name })
}

// Names yields the types.
func Names(yield func(string) bool) {
	for _, t := range Types {
		if !yield(t.Name) {
			return
		}
	}
}

// Query selects events. Its zero value selects all.
type Query struct {
	After    uint64    // those with a higher ID
	Since    time.Time // those of this time and later
	Endpoint string
	Among    map[string]bool // endpoints; nil: all
	Pool     string
	Types    []string // nil: all
	// Also is what else must hold; nil: nothing.
	Also func(*Event) bool
}

func (q *Query) matches(r *record) bool {
	if q.Endpoint != "" && r.endpoint.Value() != q.Endpoint ||
		q.Among != nil && !q.Among[r.endpoint.Value()] ||
		q.Types != nil && !slices.Contains(q.Types, r.kind.Value()) ||
		!q.Since.IsZero() && r.at < q.Since.UnixNano() {
		return false
	}
	if q.Pool != "" && !slices.Contains(strings.Split(r.pools.Value(), "\n"), q.Pool) {
		return false
	}
	if q.Also == nil {
		return true
	}
	e := r.event()
	return q.Also(&e)
}

func byID(r record, id uint64) int { return cmp.Compare(r.id, id) }
