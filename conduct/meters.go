package conduct

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/history"
)

type meters struct {
	transitions [kinds]prometheus.Counter
}

func newMeters(reg prometheus.Registerer, d *Director) *meters {
	all := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rhumb_conduct_transitions_total",
		Help: "What pools and endpoints went through, by kind: below_min_healthy, recovered, gave_way, failback_waits and stands of pools; damped, released, held_in, let_out and slow_start of endpoints.",
	}, []string{"kind"})
	m := &meters{}
	for k, name := range kindNames {
		m.transitions[k] = all.WithLabelValues(name)
	}
	if reg != nil {
		reg.MustRegister(all, standing{d})
	}
	return m
}

// standing is the metrics of how pools and endpoints are.
type standing struct{ d *Director }

var (
	poolStanding = prometheus.NewDesc("rhumb_pool_standing",
		"Whether a pool with conduct stands: 1, or 0 when it gave way for some service.", []string{"pool"}, nil)
	endpointShare = prometheus.NewDesc("rhumb_pool_endpoint_share",
		"Share of its usual traffic that an endpoint of a pool with conduct has: 1 is all, 0 while it is out, less than 1 while it starts slowly. The least of all services.",
		[]string{"pool", "endpoint"}, nil)
)

// Describe implements prometheus.Collector.
func (s standing) Describe(ch chan<- *prometheus.Desc) {
	ch <- poolStanding
	ch <- endpointShare
}

// Collect implements prometheus.Collector.
func (s standing) Collect(ch chan<- prometheus.Metric) {
	v := s.d.View()
	type place struct{ pool, endpoint string }
	pools, shares := map[string]float64{}, map[place]float64{}
	for i := range v.Len() {
		st, pool := v.Course(i), v.Of(i).Pool
		stands := 0.0
		if st.Stands {
			stands = 1
		}
		if was, twice := pools[pool.Name]; !twice || stands < was {
			pools[pool.Name] = stands
		}
		for slot, state := range st.States {
			share := 0.0
			switch {
			case state == health.Up && st.Shares == nil:
				share = 1
			case state == health.Up:
				share = float64(st.Shares[slot]) / Whole
			}
			at := place{pool.Name, pool.Endpoints[slot].String()}
			if was, twice := shares[at]; !twice || share < was {
				shares[at] = share
			}
		}
	}
	for pool, stands := range pools {
		ch <- prometheus.MustNewConstMetric(poolStanding, prometheus.GaugeValue, stands, pool)
	}
	for at, share := range shares {
		ch <- prometheus.MustNewConstMetric(endpointShare, prometheus.GaugeValue, share, at.pool, at.endpoint)
	}
}

// messages are the lines of the log.
var messages = [kinds]string{
	"pool below min_healthy", "pool recovered within failover_delay", "pool gave way",
	"pool recovered and waits to stand again", "pool stands",
	"endpoint held down, it changes too often", "endpoint no longer held down",
	"endpoint held in, too many are out", "endpoint let out", "endpoint starts slowly",
}

// tells are the types of the events that others are told of.
var tells = [kinds]string{gaveWay: history.PoolGaveWay, waits: history.PoolWaits, stood: history.PoolStands}

// report counts what a course went through, and says it.
func (d *Director) report(c *course) {
	for _, e := range c.events {
		d.meters.transitions[e.kind].Inc()
		args := []any{"pool", c.Pool.Name}
		if c.Host != "" {
			args = append(args, "host", c.Host)
		}
		if e.slot >= 0 {
			end := &c.ends[e.slot]
			args = append(args, "endpoint", c.Pool.Endpoints[e.slot].String())
			if e.kind == flapped && end.damp != nil {
				args = append(args, "for", end.damp.hold)
			}
		} else {
			args = append(args, "up", c.up, "of", len(c.ends), "min_healthy", c.need)
			switch {
			case e.kind == fellShort:
				args = append(args, "failover_delay", c.Conduct.FailoverDelay)
			case e.kind == waits && c.Conduct.FailbackManual:
				args = append(args, "failback", "manual")
			case e.kind == waits:
				args = append(args, "failback_delay", c.Conduct.FailbackDelay)
			}
		}
		d.log.Info(messages[e.kind], args...)
		if kind := tells[e.kind]; kind != "" {
			d.events.Tell(history.Event{
				Type: kind, Host: c.Host, Pools: []string{c.Pool.Name},
				Reason: fmt.Sprintf("%d of %d endpoints up (min_healthy %d)", c.up, len(c.ends), c.need),
			})
		}
	}
	c.events = c.events[:0]
}
