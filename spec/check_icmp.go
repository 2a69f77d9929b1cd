package spec

import "time"

var icmpKind = &checkKind{types: []CheckType{CheckICMP}, section: &icmpSection, decode: (*decoder).icmpCheck}

var icmpSection = section{
	title: "checks: icmp",
	intro: "The endpoint answers echo requests. The process needs no privilege where its group is in `net.ipv4.ping_group_range`, for IPv6 as well; elsewhere it needs `CAP_NET_RAW`.",
	example: `checks:
  ping: {type: icmp, count: 10, max_loss: 40%, max_rtt: 300ms, degraded_loss: 0%, degraded_rtt: 150ms}
`,
	fields: []field{
		{name: "count", typ: "integer", def: "5", lo: 1, hi: 20, doc: "How many requests a probe sends, 200 ms apart, or closer where the timeout is short."},
		{name: "max_loss", typ: "percent", def: "50%", doc: "How much of them may stay without a reply. When all do, the probe fails in any case."},
		{name: "max_rtt", typ: "duration", prose: "the timeout", lo: 1, hi: int64(24 * time.Hour), doc: "How long the replies may take, in the mean."},
		{name: "degraded_loss", typ: "percent", prose: "never", doc: "With more loss than this, the endpoint is degraded. Less than `max_loss`."},
		{name: "degraded_rtt", typ: "duration", prose: "never", lo: 1, hi: int64(24 * time.Hour), doc: "When the replies take longer, in the mean, the endpoint is degraded. Less than `max_rtt`."},
	},
}

// ICMPCheck is what an icmp check asks. Losses are shares, from 0 to 1.
type ICMPCheck struct {
	Count        int
	MaxLoss      float64
	MaxRTT       time.Duration // 0: no limit
	DegradedLoss *float64      // nil: no limit
	DegradedRTT  time.Duration // 0: no limit
}

func (d *decoder) icmpCheck(c *Check, o *object) {
	a := &ICMPCheck{Count: int(o.integer("count")), MaxLoss: 0.5, MaxRTT: o.duration("max_rtt"), DegradedRTT: o.duration("degraded_rtt")}
	c.Ask = a
	if e := o.get("max_loss"); e != nil {
		a.MaxLoss, _ = d.percent(e.val(), o.path.dot("max_loss"), 100)
		a.MaxLoss /= 100
	}
	if e := o.get("degraded_loss"); e != nil {
		p := o.path.dot("degraded_loss")
		loss, ok := d.percent(e.val(), p, 100)
		loss /= 100
		a.DegradedLoss = &loss
		if ok && loss >= a.MaxLoss {
			d.fail(e.val(), p, "must be less than max_loss: above that the endpoint is down")
		}
	}
	if a.MaxRTT > 0 && a.DegradedRTT >= a.MaxRTT {
		d.fail(o.get("degraded_rtt").val(), o.path.dot("degraded_rtt"), "must be less than max_rtt: above that the endpoint is down")
	}
	for _, l := range []struct {
		key   string
		limit time.Duration
	}{{"max_rtt", a.MaxRTT}, {"degraded_rtt", a.DegradedRTT}} {
		if l.limit >= c.Timeout {
			d.fail(o.get(l.key).val(), o.path.dot(l.key), "must be less than the timeout of %s: no reply is waited for longer", c.Timeout)
		}
	}
}
