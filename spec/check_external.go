package spec

import "time"

// ExternalCheck is what an external check has.
type ExternalCheck struct {
	TTL time.Duration // for how long a result counts at most, and unless it says so
	// StaleDown is whether the endpoint is down, and not unknown, when its last
	// result no longer counts.
	StaleDown bool
}

// probing are the keys that checks have which make probes themselves.
var probing = []string{"interval", "timeout", "confirm", "rise", "fall", "degraded_above", "target"}

var externalKind = &checkKind{
	types: []CheckType{CheckExternal}, section: &externalSection, lacks: probing,
	decode: (*decoder).externalCheck,
}

var externalSection = section{
	title: "checks: external",
	intro: "Nothing is probed: somebody else judges the endpoint and [reports](health.md#external) what came of it.",
	example: `checks:
  batch: {type: external, ttl: 5m, on_stale: down}
`,
	fields: []field{
		{name: "ttl", typ: "duration", def: "1m", lo: int64(time.Second), hi: int64(24 * time.Hour), doc: "How long a result counts. A report may state less, and not more."},
		{name: "on_stale", typ: "word", def: "unknown", words: []string{"unknown", "down"}, doc: "What the endpoint is when its last result counts no longer, or none came within `ttl` of the check's first use."},
	},
}

func (d *decoder) externalCheck(c *Check, o *object) {
	a := &ExternalCheck{TTL: o.duration("ttl"), StaleDown: o.word("on_stale") == "down"}
	c.Ask, c.Interval = a, a.TTL
}
