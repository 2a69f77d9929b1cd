package spec

import "time"

// Health is when a node doubts its own verdicts, and whom it probes more rarely.
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
}

var healthSection = section{
	title: "health",
	intro: "What concerns all checks together: when the node [doubts itself](health.md#when-the-node-is-in-trouble) rather than its endpoints, and which services are [idle](health.md#idle-services).",
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
	},
}

func (d *decoder) health(o *object) {
	h := Health{
		SuspectShare: 0.8, SuspectMin: int(o.integer("suspect_min")), SuspectFor: o.duration("suspect_for"),
		IdleAfter: o.duration("idle_after"), IdleMultiplier: int(o.integer("idle_multiplier")),
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
