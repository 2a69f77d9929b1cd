package lane

import (
	"time"

	"github.com/coredns/coredns/plugin/metrics"
	"github.com/coredns/coredns/plugin/metrics/vars"
	"github.com/coredns/coredns/plugin/pkg/rcode"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// tally counts for the plugin prometheus what that counts of a query that comes by it,
// under the same labels. It has one owner.
type tally struct {
	metrics *metrics.Metrics
	server  string // the label
	plugin  string

	names []string // the zones, as they were last
	zones suffixes[*counts]
	other *counts // of names in none of them
}

// types are those that are counted here, by their places in counts.requests. CoreDNS has
// a list of its own of types that have a label, so the others are left to it.
var types = [...]struct {
	typ   dnswire.Type
	label string
}{{dnswire.TypeA, "A"}, {dnswire.TypeAAAA, "AAAA"}, {dnswire.TypeCNAME, "CNAME"}, {dnswire.TypeTXT, "TXT"}}

// maxRCode bounds the codes that are counted here. A header has no more.
const maxRCode = 15

// counts are the counters of a zone, each looked up the first time.
type counts struct {
	server, zone, plugin     string
	requests                 [2][len(types)]prometheus.Counter
	do                       prometheus.Counter
	duration, request, reply prometheus.Observer
	codes                    [maxRCode + 1]prometheus.Counter
}

// The values of labels: there is no view where there is a lane.
const (
	view     = ""
	protocol = "udp"
	rootZone = "."
)

// place is that of a type in types, -1 for others.
func place(t dnswire.Type) int {
	for i := range types {
		if types[i].typ == t {
			return i
		}
	}
	return -1
}

// refresh looks at whether the zones are others now: a plugin may add some.
func (t *tally) refresh() {
	names := t.metrics.ZoneNames()
	if t.other != nil && len(names) == len(t.names) && (len(names) == 0 || &names[0] == &t.names[0]) {
		return
	}
	t.names, t.zones = names, suffixes[*counts]{}
	t.other = t.of(rootZone)
	for _, z := range names {
		if n, err := dnswire.ParseName(z); err == nil {
			t.zones.put(n, t.of(z))
		}
	}
}

func (t *tally) of(zone string) *counts {
	return &counts{server: t.server, zone: zone, plugin: t.plugin}
}

// asked is a query that has been answered on the lane.
type asked struct {
	q       *dnswire.Query
	request int // bytes
	reply   int
	code    dnswire.RCode
	took    time.Duration
}

// count counts one.
func (t *tally) count(a *asked) {
	c, ok := t.zones.find(a.q)
	if !ok {
		c = t.other
	}
	if c.duration == nil {
		c.duration = vars.RequestDuration.WithLabelValues(c.server, c.zone, view)
		c.request = vars.RequestSize.WithLabelValues(c.server, c.zone, view, protocol)
		c.reply = vars.ResponseSize.WithLabelValues(c.server, c.zone, view, protocol)
	}
	if a.q.DO {
		if c.do == nil {
			c.do = vars.RequestDo.WithLabelValues(c.server, c.zone, view)
		}
		c.do.Inc()
	}
	family, label := 0, "1"
	if a.q.Client.Addr().Is6() {
		family, label = 1, "2"
	}
	at := place(a.q.Type)
	n := &c.requests[family][at]
	if *n == nil {
		*n = vars.RequestCount.WithLabelValues(c.server, c.zone, view, protocol, label, types[at].label)
	}
	(*n).Inc()
	c.duration.Observe(a.took.Seconds())
	c.reply.Observe(float64(a.reply))
	c.request.Observe(float64(a.request))
	code := &c.codes[a.code&maxRCode]
	if *code == nil {
		*code = vars.ResponseRcode.WithLabelValues(c.server, c.zone, view, rcode.ToString(int(a.code)), c.plugin)
	}
	(*code).Inc()
}
