package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/spec/document"
)

// conductFields are the keys of a pool that say how it and its endpoints
// change; those of a service are the same.
func conductFields(def string) []field {
	const day = int64(24 * time.Hour)
	fields := []field{
		{name: "failover_delay", typ: "duration", def: "0s", lo: 0, hi: day, doc: "How long a pool with fewer than `min_healthy` healthy endpoints goes on standing before it gives way. See [Conduct](conduct.md#failover)."},
		{name: "failback_delay", typ: "duration", def: "0s", lo: 0, hi: 7 * day, doc: "How long a pool that gave way must have had `min_healthy` healthy endpoints without interruption before it stands again. See [Conduct](conduct.md#failback)."},
		{name: "failback", typ: "word", def: "automatic", words: []string{"automatic", "manual"}, doc: "Whether a pool that gave way stands again by itself, or only when an operator says so."},
		{name: "slow_start", typ: "duration", def: "0s", lo: 0, hi: day, doc: "Over how long the share of an endpoint that comes up again grows from 5% to all of its usual traffic. See [Conduct](conduct.md#slow-start)."},
		{name: "damping", typ: "true, false or map", def: "false", doc: "Whether an endpoint that changes too often is held down. See [damping](#damping)."},
		{name: "max_ejected", typ: "percentage", def: "100%", doc: "How much of a pool's endpoints may be out at once because of their checks or damping; those beyond it are held in. `50%`, or as a number from 0 to 1. See [Conduct](conduct.md#the-cap)."},
	}
	if def != "" {
		for i := range fields {
			fields[i].def, fields[i].prose = "", def
		}
	}
	return fields
}

var dampingSection = section{
	title: "damping",
	intro: "How an endpoint that keeps changing between up and down is held down, in `pools` and `services`. `true` and `{}` are the defaults. See [Conduct](conduct.md#damping).",
	example: `checks:
  web: {type: http, host: www.example.com}
pools:
  eu:
    checks: [web]
    damping: {changes: 4, within: 10m, hold: 1m, max: 1h}
    endpoints: [192.0.2.10, 192.0.2.11]
`,
	fields: []field{
		{name: "changes", typ: "integer", def: "4", lo: 2, hi: 100, doc: "How many changes of state, up or down, are too many."},
		{name: "within", typ: "duration", def: "10m", lo: int64(time.Second), hi: int64(24 * time.Hour), doc: "The time in which they are counted."},
		{name: "hold", typ: "duration", def: "1m", lo: int64(time.Second), hi: int64(24 * time.Hour), doc: "For how long the endpoint is held down the first time; twice as long at every further time."},
		{name: "max", typ: "duration", def: "1h", lo: int64(time.Second), hi: int64(24 * time.Hour), doc: "The longest time; not shorter than `hold`."},
	},
}

// Conduct is how a pool and its endpoints change, so that no change does harm.
// The zero value changes everything at once, except that MaxEjected 0 holds all
// endpoints in.
type Conduct struct {
	FailoverDelay  time.Duration // that a pool below min_healthy goes on standing
	FailbackDelay  time.Duration // that a pool must have min_healthy before it stands again
	FailbackManual bool          // it stands again only when an operator says so
	SlowStart      time.Duration // that the share of an endpoint that comes up grows; 0: whole at once
	Damping        *Damping      // nil: none
	MaxEjected     float64       // share of the endpoints that may be out at once, 0 to 1

	// stated are the keys that were: what a service states stands in place of what
	// its pools do.
	stated conductKeys
}

// Damping holds down an endpoint that changed so often within a time.
type Damping struct {
	Changes int
	Within  time.Duration
	Hold    time.Duration // the first time; doubles up to Max
	Max     time.Duration
}

type conductKeys uint8

const (
	statesFailover conductKeys = 1 << iota
	statesFailbackDelay
	statesFailback
	statesSlowStart
	statesDamping
	statesEjected
)

// Idle is whether everything changes at once.
func (c *Conduct) Idle() bool {
	return c == nil || c.FailoverDelay == 0 && c.FailbackDelay == 0 && !c.FailbackManual &&
		c.SlowStart == 0 && c.Damping == nil && c.MaxEjected == 1
}

// String is the same text for conduct that means the same, as the
// configuration writes it.
func (c *Conduct) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "failover_delay: %s, failback_delay: %s, failback: %s, slow_start: %s, ",
		c.FailoverDelay, c.FailbackDelay, c.failback(), c.SlowStart)
	if d := c.Damping; d != nil {
		fmt.Fprintf(&b, "damping: {changes: %d, within: %s, hold: %s, max: %s}, ", d.Changes, d.Within, d.Hold, d.Max)
	}
	fmt.Fprintf(&b, "max_ejected: %s%%", strconv.FormatFloat(100*c.MaxEjected, 'g', 6, 64))
	return b.String()
}

func (c *Conduct) failback() string {
	if c.FailbackManual {
		return "manual"
	}
	return "automatic"
}

// ConductOf is how one of the policy's pools conducts itself for it: as the
// service states it, or else as the pool does. It is nil when all changes at
// once.
func (p *Policy) ConductOf(pool *Pool) *Conduct {
	c := pool.Conduct
	if own := p.Conduct; own != nil {
		merged := Conduct{MaxEjected: 1}
		if c != nil {
			merged = *c
		}
		merged.take(own)
		c = &merged
	}
	if c.Idle() {
		return nil
	}
	return c
}

// take takes over what other states.
func (c *Conduct) take(other *Conduct) {
	has := func(k conductKeys) bool { return other.stated&k != 0 }
	if has(statesFailover) {
		c.FailoverDelay = other.FailoverDelay
	}
	if has(statesFailbackDelay) {
		c.FailbackDelay = other.FailbackDelay
	}
	if has(statesFailback) {
		c.FailbackManual = other.FailbackManual
	}
	if has(statesSlowStart) {
		c.SlowStart = other.SlowStart
	}
	if has(statesDamping) {
		c.Damping = other.Damping
	}
	if has(statesEjected) {
		c.MaxEjected = other.MaxEjected
	}
	c.stated |= other.stated
}

// maxCourse is how many endpoints a pool with conduct may have, since they are
// numbered by 16 bits.
const maxCourse = 1 << 16

// conduct decodes the conduct that a pool or a service states, nil when it
// states none.
func (d *decoder) conduct(o *object) *Conduct {
	c := &Conduct{MaxEjected: 1}
	for i, name := range []string{"failover_delay", "failback_delay", "failback", "slow_start", "damping", "max_ejected"} {
		if o.get(name) != nil {
			c.stated |= 1 << i
		}
	}
	if c.stated == 0 {
		return nil
	}
	c.FailoverDelay, c.FailbackDelay, c.SlowStart = o.duration("failover_delay"), o.duration("failback_delay"), o.duration("slow_start")
	c.FailbackManual = o.word("failback") == "manual"
	if e := o.get("damping"); e != nil {
		c.Damping = d.damping(o, e)
	}
	if e := o.get("max_ejected"); e != nil {
		c.MaxEjected = d.percentage(e.val(), o.path.dot("max_ejected"))
	}
	if e := o.get("failback_delay"); e != nil && c.FailbackManual && c.FailbackDelay > 0 {
		d.doubt(e.val(), o.path.dot("failback_delay"), "has no effect with failback: manual: the pool waits for an operator however long that takes")
	}
	return c
}

func (d *decoder) damping(o *object, e *entry) *Damping {
	p := o.path.dot("damping")
	if e.val().Kind() != document.Mapping {
		if !o.boolean("damping") {
			return nil
		}
		return d.dampingOf(&object{d: d, sec: &dampingSection, path: p})
	}
	return d.dampingOf(d.object(&dampingSection, p, e.key, e.vals...))
}

func (d *decoder) dampingOf(o *object) *Damping {
	m := &Damping{
		Changes: int(o.integer("changes")), Within: o.duration("within"), Hold: o.duration("hold"), Max: o.duration("max"),
	}
	if m.Max < m.Hold {
		at := o.get("max")
		if at == nil {
			at = o.get("hold")
		}
		d.fail(at.val(), o.path.dot(at.name), "max (%s) is shorter than hold (%s): it is the longest that an endpoint is held", short(int64(m.Max)), short(int64(m.Hold)))
	}
	return m
}

// percentage is a share of a whole: 50%, or a number from 0 to 1.
func (d *decoder) percentage(r document.Node, p *path) float64 {
	s, ok := d.plain(r, p, "a percentage")
	if !ok {
		return 1
	}
	digits, percent := strings.CutSuffix(s, "%")
	if !fraction.MatchString(digits) {
		d.fail(r, p, "a percentage such as 50%% is expected, not %q", s)
		return 1
	}
	v, _ := strconv.ParseFloat(digits, 64)
	switch {
	case percent && (v < 0 || v > 100):
		d.fail(r, p, "%s is out of range: 0%% to 100%%", s)
	case percent:
		return v / 100
	case v > 1 && v <= 100:
		d.fail(r, p, "%s is out of range: 0 to 1; write %s%%", s, s)
	case v < 0 || v > 1:
		d.fail(r, p, "%s is out of range: 0 to 1, or 0%% to 100%%", s)
	default:
		return v
	}
	return 1
}

// transitionTTL is what the TTL of a service is lowered to by default while
// something is in transition. It is about what two probes of the default
// interval take: a shorter one would tell clients nothing new, and many
// resolvers keep answers for 5 to 10 seconds whatever they are told.
const transitionTTL = 10

// conductOf decodes how a service wants its pools to change, and its TTL while
// they do.
func (d *decoder) conductOf(pol *Policy, o *object) {
	pol.Conduct = d.conduct(o)
	pol.TransitionTTL = min(pol.TTL, transitionTTL)
	e := o.get("transition_ttl")
	if e == nil {
		return
	}
	pol.TransitionTTL = uint32(o.integer("transition_ttl"))
	if pol.TransitionTTL > pol.TTL {
		d.fail(e.val(), o.path.dot("transition_ttl"), "%d is more than the ttl of %d: it is the TTL while something changes, and no higher", pol.TransitionTTL, pol.TTL)
	}
}

// doubtConduct notes what a service states of conduct that has no effect.
func (d *decoder) doubtConduct(pol *Policy, o *object) {
	steady := !slices.ContainsFunc(pol.leaves(true), func(pool *Pool) bool { return pol.ConductOf(pool) != nil })
	if pol.Conduct != nil && !slices.ContainsFunc(pol.Pools, func(pool *Pool) bool { return pool.Nested == nil }) {
		d.doubt(o.at, o.path, "its failover_delay or other keys of conduct have no effect: services and composed pools in it change as they and their pools state it themselves")
		return
	}
	if e := o.get("transition_ttl"); e != nil && steady {
		d.doubt(e.val(), o.path.dot("transition_ttl"), "has no effect: nothing of %s changes over time, since none of failover_delay, failback_delay, failback, slow_start, damping and max_ejected is stated", poolNames(pol.Pools))
	}
	if len(pol.Pools) > 1 {
		return
	}
	for _, name := range []string{"failback_delay", "failback"} {
		if e := o.get(name); e != nil && (name == "failback_delay" && pol.Conduct.FailbackDelay > 0 || name == "failback" && pol.Conduct.FailbackManual) {
			d.doubt(e.val(), o.path.dot(name), "has no effect: %s is the only one of the service, so it never gives way to another", poolNames(pol.Pools))
		}
	}
}

// warnConduct notes the conduct of pools that is probably not meant, once all is
// decoded.
func (d *decoder) warnConduct() {
	note := func(pool *Pool, key, format string, args ...any) {
		d.doubt(d.refs[pool], (*path)(nil).dot("pools").dot(pool.Name).dot(key), format, args...)
	}
	gives := map[*Pool]bool{} // way to another one
	var forgets *Policy
	for _, use := range d.policies.all {
		use.policy.chosen(func(pol *Policy) {
			for _, pool := range pol.Pools {
				gives[pool] = gives[pool] || len(pol.Pools) > 1
			}
		})
		if c := use.policy.Conduct; c != nil && c.FailbackManual && len(use.policy.Pools) > 1 && (forgets == nil || use.policy.Key < forgets.Key) {
			forgets = use.policy
		}
	}
	for name, pool := range d.pools {
		c := pool.Conduct
		if c == nil {
			continue
		}
		if d.used["pool "+name] && !gives[pool] {
			switch {
			case c.FailbackManual:
				note(pool, "failback", "has no effect: no service has another pool beside this one, so it never gives way")
			case c.FailbackDelay > 0:
				note(pool, "failback_delay", "has no effect: no service has another pool beside this one, so it never gives way")
			}
		}
		if c.FailbackManual && gives[pool] && d.spec.Node.DataDir == "" {
			note(pool, "failback", "manual, and node.data_dir is not stated: a restart forgets that the pool gave way, and it stands again")
		}
		if !c.Idle() && !slices.ContainsFunc(pool.Endpoints, func(e Endpoint) bool { return len(e.Checks) > 0 }) {
			note(pool, "endpoints", "none has a check, so none ever goes down or comes up: failover_delay and the other keys of conduct have no effect")
		}
	}
	if forgets != nil && d.spec.Node.DataDir == "" {
		d.doubt(d.refs[forgets.leaves(true)[0]], (*path)(nil).dot("node.data_dir"), "not stated, and a service with %s has failback: manual: a restart forgets which pools gave way, and they stand again", poolNames(forgets.Pools))
	}
}

// appendConduct appends what a service states of conduct, for Policy.Key.
func (p *Policy) appendConduct(b []byte) []byte {
	b = strconv.AppendUint(append(b, ' '), uint64(p.TransitionTTL), 10)
	if c := p.Conduct; c != nil {
		b = strconv.AppendUint(append(b, " conduct "...), uint64(c.stated), 10)
		b = strconv.AppendQuote(b, c.String())
	}
	return b
}
