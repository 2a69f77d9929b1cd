package server

import (
	"sync"
	"sync/atomic"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/server/datagram"
	"github.com/rhumb-dns/rhumb/server/meter"
)

// The reasons for which a packet gets no answer.
const (
	dropNotQuery    = iota // a response, or too short for a header
	dropNotReady           // there is no snapshot yet
	dropSource             // source port 0
	dropPanic              // the answer could not be made
	dropSend               // the kernel refused to send the answer
	dropProxyHeader        // from a proxy, without a header that can be read
	dropAccess             // of who may not ask
	dropRateLimit          // the answer was beyond a limit
	dropReasons
)

var dropNames = [dropReasons]string{"not_a_query", "not_ready", "source_port", "panic", "send", "proxy_header", "access", "rate_limit"}

// typeNames are the query types that are counted by name, by their slot; slot 0
// is for all others, of which there are 65,000.
var typeNames = [...]string{
	"other", "A", "AAAA", "NS", "SOA", "CNAME", "PTR", "MX",
	"TXT", "SRV", "HTTPS", "SVCB", "DS", "DNSKEY", "CAA", "ANY",
}

// typeSlots are the slots of the types below 256; CAA is the only other one.
var typeSlots = [256]uint8{
	dnswire.TypeA: 1, dnswire.TypeAAAA: 2, dnswire.TypeNS: 3, dnswire.TypeSOA: 4,
	dnswire.TypeCNAME: 5, dnswire.TypePTR: 6, dnswire.TypeMX: 7, dnswire.TypeTXT: 8,
	dnswire.TypeSRV: 9, dnswire.TypeHTTPS: 10, dnswire.TypeSVCB: 11, dnswire.TypeDS: 12,
	dnswire.TypeDNSKEY: 13, dnswire.TypeANY: 15,
}

const slotCAA = 14

func typeSlot(t dnswire.Type) uint8 {
	if t < 256 {
		return typeSlots[t]
	}
	if t == dnswire.TypeCAA {
		return slotCAA
	}
	return 0
}

// rcodeNames are the response codes by their slot; slot 0 is for all others.
var rcodeNames = [...]string{
	"other", "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "BADVERS",
	"YXDOMAIN", "NOTAUTH", "BADCOOKIE",
}

var rcodeSlots = [24]uint8{
	dnswire.NoError: 1, dnswire.FormErr: 2, dnswire.ServFail: 3, dnswire.NXDomain: 4,
	dnswire.NotImp: 5, dnswire.Refused: 6, dnswire.BadVers: 7,
	dnswire.YXDomain: 8, dnswire.NotAuth: 9, dnswire.BadCookie: 10,
}

func rcodeSlot(r dnswire.RCode) uint8 {
	if int(r) < len(rcodeSlots) {
		return rcodeSlots[r]
	}
	return 0
}

// noZone is the label of queries that no zone of ours has answered. It is no
// name of a zone, since those end with a dot.
const noZone = "-"

// zoneCounts are the queries of one zone, 1,408 bytes: it is made by the first
// query of its zone.
type zoneCounts [len(typeNames)][len(rcodeNames)]atomic.Uint64

// pageSize is how many answer counters are allocated at a time, since most of
// the services of a large table are seldom asked for.
const pageSize = 256

type page [pageSize]struct {
	queries atomic.Uint64 // answered with a record of it first
	more    atomic.Uint64 // records beyond these
}

// endpointPage has the counters of some targets of a table, by their index.
type endpointPage [pageSize]atomic.Pointer[atomic.Uint64]

// counters count what one UDP worker, or all connections of TCP or of TLS, have
// done. A query touches a handful of them, with atomic additions; whoever
// scrapes adds up those of all workers. With one writer a load and a store would
// do, but on amd64 Go's store is locked as its addition is, and costs the same.
// What allocates or locks happens once per zone, per page of services or
// endpoints, per endpoint, and per table.
type counters struct {
	latency meter.Histogram
	sizes   meter.Sizes
	heavy   *heavy // nil in sums

	dropped [dropReasons]atomic.Uint64
	guard   guardCounts
	panics  atomic.Uint64
	kernel  atomic.Uint64 // drops of sockets that are closed, in sums only
	view    atomic.Pointer[view]

	mu sync.Mutex
	// zones are the counts by the zone's name, which outlives the index that
	// the zone has in a table. UDP, TCP and TLS are counted in different counters,
	// so the transport needs no dimension here.
	zones map[string]*zoneCounts
	// endpoints are the counts by the endpoint's address or host name, likewise.
	endpoints map[string]*atomic.Uint64
	socket    *datagram.Socket // nil: none, or closed
}

// view is where the indexes of one table point to. It does not hold the table: a
// worker without queries would keep it alive long after it has been replaced.
type view struct {
	table uint64 // its serial number
	zones []atomic.Pointer[zoneCounts]
	epoch uint64
	pages []atomic.Pointer[page]

	endpoints []atomic.Pointer[endpointPage]
}

// viewOf is the view for a snapshot. Health makes new snapshots of the same
// table, and these share the view.
func (c *counters) viewOf(snap *resolve.Snapshot, current func() *resolve.Snapshot) *view {
	if v := c.view.Load(); v != nil && v.table == snap.Table.Serial() {
		return v
	}
	return c.newView(snap, current)
}

// newView lays the counters out for another table: what is keyed by identity
// stays.
func (c *counters) newView(snap *resolve.Snapshot, current func() *resolve.Snapshot) *view {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.view.Load()
	if old != nil && old.table == snap.Table.Serial() {
		return old // another connection was faster
	}
	layout := snap.Table.Counters()
	v := &view{
		table: snap.Table.Serial(),
		zones: make([]atomic.Pointer[zoneCounts], len(snap.Table.Zones)+1), // 0: no zone
		epoch: layout.Epoch,
		pages: make([]atomic.Pointer[page], (layout.Len+pageSize-1)/pageSize),

		endpoints: make([]atomic.Pointer[endpointPage], (len(snap.Table.Targets)+pageSize-1)/pageSize),
	}
	if old != nil && old.epoch == v.epoch {
		for i := range min(len(old.pages), len(v.pages)) {
			v.pages[i].Store(old.pages[i].Load())
		}
	}
	if now := current(); old == nil || now == nil || now.Table.Serial() == snap.Table.Serial() {
		c.forgetZones(snap)
		c.forgetEndpoints(snap)
		c.view.Store(v)
	}
	// Otherwise a connection has been overtaken by a reload in the midst of a
	// batch: it counts into the same zones and pages, through a view of its own.
	return v
}

// forgetZones drops the counts of zones that are gone, once there are as many
// of them as of the others.
func (c *counters) forgetZones(snap *resolve.Snapshot) {
	zones := snap.Table.Zones
	if len(c.zones) <= 2*(len(zones)+1) {
		return
	}
	kept := make(map[string]*zoneCounts, len(zones)+1)
	for _, name := range append([]string{noZone}, zoneTexts(snap)...) {
		if z := c.zones[name]; z != nil {
			kept[name] = z
		}
	}
	c.zones = kept
}

func zoneTexts(snap *resolve.Snapshot) []string {
	out := make([]string, len(snap.Table.Zones))
	for i, z := range snap.Table.Zones {
		out[i] = z.Text
	}
	return out
}

// query counts a query of the zone with that index in the view's table, -1 for
// none.
func (v *view) query(c *counters, in *resolve.Snapshot, zone int, t dnswire.Type, r dnswire.RCode) {
	z := v.zones[zone+1].Load()
	if z == nil {
		z = c.zone(v, in, zone)
	}
	z[typeSlot(t)][rcodeSlot(r)].Add(1)
}

// zone finds or makes the counts of the zone with that index.
func (c *counters) zone(v *view, in *resolve.Snapshot, i int) *zoneCounts {
	name := noZone
	if i >= 0 {
		name = in.Table.Zones[i].Text
	}
	z := c.zoneNamed(name)
	v.zones[i+1].Store(z)
	return z
}

func (c *counters) zoneNamed(name string) *zoneCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	z := c.zones[name]
	if z == nil {
		z = new(zoneCounts)
		if c.zones == nil {
			c.zones = map[string]*zoneCounts{}
		}
		c.zones[name] = z
	}
	return z
}

// answers counts the records of an answer by the service and pool, and the
// answer by each endpoint that it was made of.
func (v *view) answers(c *counters, in *resolve.Snapshot, o *resolve.Outcome) {
	for i := 0; i < len(o.Counters); {
		k := o.Counters[i]
		n := uint64(1) // records of the same pool mostly follow each other
		for int(n) < len(o.Counters)-i && o.Counters[i+int(n)] == k {
			n++
		}
		p := v.pages[k/pageSize].Load()
		if p == nil {
			p = c.page(v, k/pageSize)
		}
		more := n
		if i == 0 {
			p[k%pageSize].queries.Add(1)
			more--
		}
		if more > 0 {
			p[k%pageSize].more.Add(more)
		}
		i += int(n)
	}
	last := int32(-1) // a host name with several addresses is one endpoint
	for _, t := range o.Targets {
		if t != last {
			v.endpoint(c, in, t)
			last = t
		}
	}
}

// endpoint counts an answer with the target of that index.
func (v *view) endpoint(c *counters, in *resolve.Snapshot, t int32) {
	if p := v.endpoints[t/pageSize].Load(); p != nil {
		if n := p[t%pageSize].Load(); n != nil {
			n.Add(1)
			return
		}
	}
	c.endpoint(v, in, t).Add(1)
}

// endpoint finds or makes the counter of the target with that index.
func (c *counters) endpoint(v *view, in *resolve.Snapshot, t int32) *atomic.Uint64 {
	n := c.endpointNamed(in.Table.Targets[t].String())
	c.mu.Lock()
	defer c.mu.Unlock()
	p := v.endpoints[t/pageSize].Load()
	if p == nil {
		p = new(endpointPage)
		v.endpoints[t/pageSize].Store(p)
	}
	p[t%pageSize].Store(n)
	return n
}

func (c *counters) endpointNamed(name string) *atomic.Uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.endpoints[name]
	if n == nil {
		n = new(atomic.Uint64)
		if c.endpoints == nil {
			c.endpoints = map[string]*atomic.Uint64{}
		}
		c.endpoints[name] = n
	}
	return n
}

// endpointSlack is how many endpoints are not worth forgetting.
const endpointSlack = 1024

// forgetEndpoints is forgetZones for endpoints.
func (c *counters) forgetEndpoints(snap *resolve.Snapshot) {
	targets := snap.Table.Targets
	if len(c.endpoints) <= 2*len(targets)+endpointSlack {
		return
	}
	kept := make(map[string]*atomic.Uint64, len(targets))
	for i := range targets {
		name := targets[i].String()
		if n := c.endpoints[name]; n != nil {
			kept[name] = n
		}
	}
	c.endpoints = kept
}

// page makes a page, once, and for the view of the newest table too when that
// has the same layout.
func (c *counters) page(v *view, i uint32) *page {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := v.pages[i].Load()
	if p != nil {
		return p
	}
	now := c.view.Load()
	shared := now != v && now.epoch == v.epoch && int(i) < len(now.pages)
	if shared {
		p = now.pages[i].Load()
	}
	if p == nil {
		p = new(page)
	}
	v.pages[i].Store(p)
	if shared {
		now.pages[i].Store(p)
	}
	return p
}

func (c *counters) drop(reason int) { c.dropped[reason].Add(1) }

// add adds what o has counted to c, which has a view. Answers under another
// numbering of services are left out: they started from zero.
func (c *counters) add(o *counters) {
	for i := range c.dropped {
		c.dropped[i].Add(o.dropped[i].Load())
	}
	c.guard.add(&o.guard)
	c.panics.Add(o.panics.Load())
	c.kernel.Add(o.kernel.Load())
	c.latency.Add(&o.latency)
	sizes := o.sizes.Load()
	c.sizes.Add(&sizes)
	if v, into := o.view.Load(), c.view.Load(); v != nil && into != nil && v.epoch == into.epoch {
		for i := range min(len(v.pages), len(into.pages)) {
			from := v.pages[i].Load()
			if from == nil {
				continue
			}
			to := c.page(into, uint32(i))
			for k := range from {
				to[k].queries.Add(from[k].queries.Load())
				to[k].more.Add(from[k].more.Load())
			}
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.socket != nil {
		c.kernel.Add(uint64(o.socket.KernelDrops()))
	}
	for name, n := range o.endpoints {
		c.endpointNamed(name).Add(n.Load())
	}
	for name, z := range o.zones {
		to := c.zoneNamed(name)
		for t := range z {
			for r := range z[t] {
				to[t][r].Add(z[t][r].Load())
			}
		}
	}
}
