package spec

import "time"

// Health is when a node doubts its own verdicts, whom it probes more rarely, and how the
// first probes begin.
type Health struct {
	// SuspectShare is the share of all probes that must be exceeded by those that
	// fall silent together; 1: verdicts are never held. SuspectMin is how many those
	// are at least, and SuspectFor how long verdicts are held.
	SuspectShare float64
	SuspectMin   int
	SuspectFor   time.Duration
	// IdleAfter is how long nobody asks for a service before it is idle; 0: none is.
	// Its endpoints are probed at IdleMultiplier times their interval.
	IdleAfter      time.Duration
	IdleMultiplier int
	// StartBatch is how many first probes begin at once, and StartWithin within what
	// time the others do at most; 0: no faster than 20,000 a second.
	StartBatch  int
	StartWithin time.Duration
}

// MaxStartBatch bounds Health.StartBatch.
const MaxStartBatch = 1_000_000

var healthSection = section{
	title: "health",
	intro: "What concerns all checks together: when the node [doubts itself](health.md#when-the-node-is-in-trouble) rather than its endpoints, which services are [idle](health.md#idle-services), and how the [first probes](health.md#when-probes-are-made) begin.",
	example: `health:
  suspect_share: 90%
  suspect_for: 10m
  idle_after: 10m
  idle_multiplier: 6
`,
	fields: []field{
		{name: "suspect_share", typ: "percentage", def: "80%", doc: "When a larger share of all probes falls silent together, verdicts of down are held: the node seems to be cut off itself. `100%` is never."},
		{name: "suspect_min", typ: "integer", def: "3", lo: 1, hi: 100000, doc: "How many must be silent for that, unless the node sees that its own link or routes are gone."},
		{name: "suspect_for", typ: "duration", def: "2m", lo: int64(time.Second), hi: int64(24 * time.Hour), doc: "How long verdicts are held at most, from when the node no longer sees that its own link or routes are gone."},
		{name: "idle_after", typ: "duration", prose: "never", lo: int64(time.Second), hi: int64(24 * 366 * time.Hour), doc: "A service that no query has asked for so long is idle."},
		{name: "idle_multiplier", typ: "integer", def: "10", lo: 1, hi: 1000, doc: "The probes of endpoints that only idle services have are so many intervals apart."},
		{name: "start_batch", typ: "integer", def: "1024", lo: 1, hi: MaxStartBatch, doc: "How many probes of what is new begin at once; the others follow at 20,000 a second."},
		{name: "start_within", typ: "duration", prose: "as long as that takes", lo: int64(time.Millisecond), hi: int64(24 * time.Hour), doc: "Within what time they all begin, at the latest: faster than that, where it has to be."},
	},
}

func (d *decoder) health(o *object) {
	h := Health{
		SuspectShare: 0.8, SuspectMin: int(o.integer("suspect_min")), SuspectFor: o.duration("suspect_for"),
		IdleAfter: o.duration("idle_after"), IdleMultiplier: int(o.integer("idle_multiplier")),
		StartBatch: int(o.integer("start_batch")), StartWithin: o.duration("start_within"),
	}
	if e := o.get("suspect_share"); e != nil {
		p := o.path.dot("suspect_share")
		before := len(d.errs)
		if h.SuspectShare = d.percentage(e.val(), p); h.SuspectShare <= 0 && len(d.errs) == before {
			d.fail(e.val(), p, "a node that doubts itself at nothing believes nothing: above 0%% to 100%%, which is never")
		}
	}
	d.spec.Health = h
}
