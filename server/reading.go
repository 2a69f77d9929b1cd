package server

import (
	"time"

	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/server/datagram"
	"github.com/rhumb-dns/rhumb/server/limit"
	"github.com/rhumb-dns/rhumb/server/meter"
)

// Reading sums up what all workers have counted. It is made for whoever asks.
func (s *Server) Reading() *meter.Reading {
	r := &meter.Reading{At: time.Now(), Connections: int(s.tcp.count.Load())}
	snap := s.o.Snapshot()
	udp, all := s.totals(snap)
	for i, c := range [len(meter.Transports)]*counters{udp, s.tcpCount, s.tlsCount} {
		c.eachQuery(func(zone, qtype, rcode string, n uint64) {
			r.Queries = append(r.Queries, meter.QueryCount{Zone: zone, Type: qtype, RCode: rcode, Transport: meter.Transports[i], N: n})
		})
		r.Latency[i], r.Sizes[i] = c.latency.Load(), c.sizes.Load()
	}
	if v := all.view.Load(); v != nil {
		snap.Table.EachCounter(
			func(i uint32) bool { _, records := v.given(i); return records > 0 },
			func(i uint32, service, pool string) {
				queries, records := v.given(i)
				r.Services = append(r.Services, meter.ServiceCount{Service: service, Pool: pool, Queries: queries, Records: records})
			})
	}
	for name, n := range all.endpoints {
		r.Endpoints = append(r.Endpoints, meter.Count{Name: name, N: n.Load()})
	}
	for i, name := range dropNames {
		r.Dropped = append(r.Dropped, meter.Count{Name: name, N: all.dropped[i].Load()})
	}
	r.Dropped = append(r.Dropped, meter.Count{Name: "receive_buffer", N: all.kernel.Load()})
	for k := range limit.Kinds {
		for a, action := range limitedNames {
			r.Limited = append(r.Limited, meter.LimitCount{Kind: k.String(), Action: action, N: all.guard.limited[k][a].Load()})
		}
	}
	for a, action := range deniedNames {
		r.Denied = append(r.Denied, meter.Count{Name: action, N: all.guard.denied[a].Load()})
	}
	r.Limits, r.Panics = s.limits(r), all.panics.Load()

	for _, h := range s.heavies() {
		r.Networks = h.networks.Append(r.Networks)
		r.Names = h.names.Append(r.Names)
		r.LimitedNetworks = h.limitedNetworks.Append(r.LimitedNetworks)
		r.LimitedNames = h.limitedNames.Append(r.LimitedNames)
	}
	return r
}

// limits is how often each limit has been kept up.
func (s *Server) limits(r *meter.Reading) []meter.Count {
	var out []meter.Count
	for _, action := range limitedNames {
		n := uint64(0)
		for _, l := range r.Limited {
			if l.Action == action {
				n += l.N
			}
		}
		out = append(out, meter.Count{Name: "rate_limit_" + action, N: n})
	}
	for _, d := range r.Denied {
		out = append(out, meter.Count{Name: "access_" + d.Name, N: d.N})
	}
	for i, name := range closeNames {
		out = append(out, meter.Count{Name: "tcp_" + name, N: s.tcp.closed[i].Load()})
	}
	return out
}

// heavies are the heavy hitters of those who count.
func (s *Server) heavies() []*heavy {
	s.countMu.Lock()
	defer s.countMu.Unlock()
	out := []*heavy{s.tcpCount.heavy, s.tlsCount.heavy}
	for c := range s.live {
		out = append(out, c.heavy)
	}
	return out
}

// totals adds up the UDP workers, and these, TCP and TLS, at the table of a snapshot.
func (s *Server) totals(snap *resolve.Snapshot) (udp, all *counters) {
	udp, all = s.sum(snap), s.sum(snap)
	s.countMu.Lock()
	udp.add(s.gone)
	for c := range s.live {
		udp.add(c)
	}
	s.countMu.Unlock()
	all.add(udp)
	all.add(s.tcpCount)
	all.add(s.tlsCount)
	return udp, all
}

// sum makes counters to add others to.
func (s *Server) sum(snap *resolve.Snapshot) *counters {
	c := &counters{}
	if snap != nil {
		c.viewOf(snap, s.o.Snapshot)
	}
	return c
}

// newCounters makes the counters of a UDP worker.
func (s *Server) newCounters(sock *datagram.Socket) *counters {
	c := &counters{socket: sock, heavy: newHeavy()}
	s.countMu.Lock()
	defer s.countMu.Unlock()
	s.live[c] = struct{}{}
	return c
}

// retire moves what c has counted to s.gone, since a counter never goes back.
// The worker has ended, and its socket can still be asked.
func (s *Server) retire(c *counters) {
	s.countMu.Lock()
	defer s.countMu.Unlock()
	delete(s.live, c)
	if snap := s.o.Snapshot(); snap != nil {
		s.gone.viewOf(snap, s.o.Snapshot)
	}
	s.gone.add(c)
}

// eachQuery calls f for every count of queries that is not zero.
func (c *counters) eachQuery(f func(zone, qtype, rcode string, n uint64)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, z := range c.zones {
		for t := range z {
			for r := range z[t] {
				if n := z[t][r].Load(); n > 0 {
					f(name, typeNames[t], rcodeNames[r], n)
				}
			}
		}
	}
}

// given is how many queries were answered with records of the counter i first,
// and how many records of it were given.
func (v *view) given(i uint32) (queries, records uint64) {
	if k := int(i / pageSize); k < len(v.pages) {
		if p := v.pages[k].Load(); p != nil {
			queries = p[i%pageSize].queries.Load()
			return queries, queries + p[i%pageSize].more.Load()
		}
	}
	return 0, 0
}
