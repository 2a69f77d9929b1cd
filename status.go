package rhumb

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/hosts"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// EndpointStatus is one endpoint of one pool as it stands.
type EndpointStatus struct {
	Pool     *spec.Pool
	Endpoint *spec.Endpoint
	// Service is the service it is judged for, when its checks ask for the
	// service's host; empty when it is judged for all alike.
	Service string
	Detail  health.Detail // with the maintenance that it is in
	Judged  health.State  // by its checks
	Checks  []health.Probed
	// Latency is the smoothed time of connections to it, the lowest of its checks;
	// 0 while it is not known, or the endpoint is down.
	Latency time.Duration
}

// Endpoints lists the endpoints of every pool that a service uses, by pool and
// in the order the pool has them.
func (e *Engine) Endpoints() []EndpointStatus { return e.endpoints(false) }

// Evidence is Endpoints with the last results of every check, which are many.
func (e *Engine) Evidence() []EndpointStatus { return e.endpoints(true) }

func (e *Engine) endpoints(results bool) []EndpointStatus {
	s := e.Snapshot()
	if s == nil {
		return nil
	}
	at := homes(s.Table)
	all := make([]EndpointStatus, len(at))
	for i := range at {
		all[i] = e.endpoint(s, &at[i], results)
	}
	return all
}

func (e *Engine) endpoint(s *resolve.Snapshot, at *home, results bool) EndpointStatus {
	st := EndpointStatus{
		Pool: at.pool, Endpoint: at.endpoint, Service: at.service(s.Table),
		Detail: s.Health.Detail(int(at.target), nil),
		Judged: s.Health.State(int(at.target)),
	}
	if results {
		st.Checks = e.board.Evidence(s.Health.Generation(), int(at.target))
	} else {
		st.Checks = e.board.Probed(s.Health.Generation(), int(at.target))
	}
	st.Latency = latency(st.Judged, st.Checks)
	if at.host >= 0 && st.Detail.Reason == "" && s.Hosts != nil {
		st.Detail.Reason = resolution(s.Hosts.Detail(int(at.host)))
	}
	return st
}

// home is an endpoint in its pool, judged for all services alike or for one.
type home struct {
	pool     *spec.Pool
	endpoint *spec.Endpoint
	of       *table.Node // a service that has it
	target   int32
	host     int32 // of one that is flattened; else -1
	alone    bool  // it is judged for that service
}

// service is the service that it is judged for; empty when for all.
func (at *home) service(t *table.Table) string {
	if !at.alone {
		return ""
	}
	return t.Name(at.of).String()
}

// homes are the endpoints of every pool that a service uses, by pool and in the
// order the pool has them.
func homes(t *table.Table) []home {
	type id struct {
		endpoint *spec.Endpoint
		target   int32
	}
	seen := make(map[id]bool, len(t.Targets))
	plans := make([]bool, len(t.Plans)) // a million services may share a few
	all := make([]home, 0, len(t.Targets))
	t.EachService(func(n *table.Node, p *table.Plan) bool {
		if plans[n.Plan] {
			return true
		}
		plans[n.Plan] = true
		for _, group := range []*[3]table.Members{&p.Members, &p.Spare} {
			for f := range group {
				ms := &group[f]
				for i, ep := range ms.Endpoints {
					key := id{ep, ms.Targets[i]}
					if seen[key] {
						continue
					}
					pool, service := p.Home(ms, i)
					if service != "" {
						continue // that service has it too
					}
					seen[key] = true
					at := home{
						pool: pool, endpoint: ep, of: n, target: ms.Targets[i], host: -1,
						alone: borrowsHost(&t.Targets[ms.Targets[i]]),
					}
					if ms.Flat(i) {
						at.host = ms.Hosts[i]
					}
					all = append(all, at)
				}
			}
		}
		return true
	})
	slices.SortFunc(all, func(a, b home) int {
		return cmp.Or(
			cmp.Compare(a.pool.Name, b.pool.Name),
			cmp.Compare(a.endpoint.Pos.Line, b.endpoint.Pos.Line),
			cmp.Compare(a.endpoint.Pos.Col, b.endpoint.Pos.Col),
			cmp.Compare(a.service(t), b.service(t)))
	})
	return all
}

func latency(s health.State, checks []health.Probed) (lowest time.Duration) {
	for _, c := range checks {
		if s != health.Down && c.Latency > 0 && (lowest == 0 || c.Latency < lowest) {
			lowest = c.Latency
		}
	}
	return lowest
}

// resolution is what is known of the addresses of a flattened host name.
func resolution(d hosts.Detail) string {
	n := len(d.V4.Addrs) + len(d.V6.Addrs)
	switch why := cmp.Or(d.V4.Error, d.V6.Error); {
	case n == 0:
		return "no addresses: " + cmp.Or(why, "not asked for yet")
	case d.V4.Stale || d.V6.Stale:
		return fmt.Sprintf("%d addresses of before: %s", n, why)
	}
	return fmt.Sprintf("%d addresses", n)
}

// borrowsHost is whether some check of a target asks for the service's host, so
// that the target is this service's alone.
func borrowsHost(t *health.Target) bool {
	return slices.ContainsFunc(t.Checks, func(c health.Check) bool { return c.NeedsHost() })
}

// Question is what is to be explained.
type Question struct {
	Name   string
	Type   string     // empty: A
	Client netip.Addr // not valid: 127.0.0.1
	ECS    netip.Prefix
}

// ErrBadQuestion is the error of a question that cannot be asked.
var ErrBadQuestion = errors.New("bad question")

// Explain says how a question is answered at this instant.
func (e *Engine) Explain(q Question) (*resolve.Trace, error) {
	s := e.Snapshot()
	if s == nil {
		return nil, errors.New("rhumb: no configuration is in force yet")
	}
	return Explain(s, q)
}

// Explain says how a question is answered from a snapshot.
func Explain(s *resolve.Snapshot, question Question) (*resolve.Trace, error) {
	name, err := dnswire.ParseName(question.Name)
	if err != nil {
		return nil, fmt.Errorf("%w: name: %w", ErrBadQuestion, err)
	}
	typ := dnswire.TypeA
	if question.Type != "" {
		if typ, err = dnswire.ParseType(question.Type); err != nil {
			return nil, fmt.Errorf("%w: type: %w", ErrBadQuestion, err)
		}
	}
	client := question.Client
	if !client.IsValid() {
		client = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	var q dnswire.Query
	q.Parse(dnswire.AppendQuery(nil, name, typ, question.ECS))
	q.Client = netip.AddrPortFrom(client, 0)
	q.Transport = dnswire.TCP
	return s.Explain(&q, rand.Uint64(), rand.Uint64()), nil
}

// zoneStates is what the static records of each zone are.
type zoneStates struct{ e *Engine }

var (
	zoneSerial = prometheus.NewDesc("rhumb_zone_serial",
		"Serial number of the zone's SOA record.", []string{"zone"}, nil)
	zoneRecords = prometheus.NewDesc("rhumb_zone_records",
		"Static records of the zone: of its file, of records, nameservers and services.", []string{"zone"}, nil)
)

// Describe implements prometheus.Collector.
func (c zoneStates) Describe(ch chan<- *prometheus.Desc) {
	ch <- zoneSerial
	ch <- zoneRecords
}

// Collect implements prometheus.Collector.
func (c zoneStates) Collect(ch chan<- prometheus.Metric) {
	s := c.e.Snapshot()
	if s == nil {
		return
	}
	for i, z := range s.Table.Zones {
		d := s.Table.Data(i)
		ch <- prometheus.MustNewConstMetric(zoneSerial, prometheus.GaugeValue, float64(d.Serial), z.Text)
		ch <- prometheus.MustNewConstMetric(zoneRecords, prometheus.GaugeValue, float64(d.Records), z.Text)
	}
}

// Awareness is what the node knows of its own trouble.
func (e *Engine) Awareness() health.Awareness { return e.board.Awareness() }
