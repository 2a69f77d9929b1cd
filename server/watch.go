package server

import (
	"time"

	"github.com/rhumb-dns/rhumb/server/meter"
)

// watch is what a worker knows of the queries that it has at hand.
type watch struct {
	sampler  *meter.Sampler
	beyond   *meter.Sampler // of what is beyond a rate limit
	began    time.Duration  // when the batch had come in, by elapsed
	wall     time.Time      // the same by the calendar, once asked for
	answered uint64         // since then, and not yet sent
	sizes    meter.Octets   // of those
	network  [meter.NetworkKey]byte
}

// heavy are the clients and the names that are counted most, in some 170 KB:
// those asked from and for, and those that a rate limit holds back.
type heavy struct{ networks, names, limitedNetworks, limitedNames *meter.Heavy }

const (
	networkSets = 128
	nameSets    = 32
	limitedSets = 16
	nameSize    = 255 // octets (RFC 1035 section 3.1)
)

func newHeavy() *heavy {
	return &heavy{
		networks: meter.NewHeavy(networkSets, meter.NetworkKey), names: meter.NewHeavy(nameSets, nameSize),
		limitedNetworks: meter.NewHeavy(2*limitedSets, meter.NetworkKey), limitedNames: meter.NewHeavy(limitedSets, nameSize),
	}
}

var processStart = time.Now()

// elapsed is a monotonic clock, read at half the price of time.Now.
func elapsed() time.Duration { return time.Since(processStart) }

// begin takes the time at which a batch of queries had come in. It is taken
// once for all of them and once when their answers are out, so that it costs a
// query next to nothing when there are many.
func (w *watch) begin() {
	w.began, w.answered, w.wall = elapsed(), 0, time.Time{}
	w.sampler.Begin(w.began)
}

// time is when the batch had come in, by the calendar. That is a second clock to
// read, and most batches need it for nothing: the first who asks reads it.
func (w *watch) time() time.Time {
	if w.wall.IsZero() {
		now := time.Now()
		w.wall = now.Add(w.began - now.Sub(processStart))
	}
	return w.wall
}

// answered counts the answer of so many octets to w.q, which scratch has the
// outcome of.
func (w *worker) answered(size int) {
	o, c := &w.scratch.Outcome, w.count
	w.view.query(c, w.snap, o.Zone, w.q.Type, o.RCode)
	w.view.answers(c, w.snap, o)
	w.watch.sizes.Observe(size)
	w.watch.answered++
	if n := w.watch.sampler.Take(); n > 0 {
		c.heavy.networks.Add(meter.AppendNetwork(w.watch.network[:0], w.q.Client.Addr()), n)
		if name := w.q.Name(); len(name) > 0 {
			c.heavy.names.Add(name, n)
		}
	}
}

// limited counts an answer to w.q that is beyond a rate limit, by the name of its
// account, which may have none.
func (w *worker) limited(name []byte) {
	s, h := w.watch.beyond, w.count.heavy
	s.Begin(w.watch.began)
	if n := s.Take(); n > 0 {
		h.limitedNetworks.Add(meter.AppendNetwork(w.watch.network[:0], w.q.Client.Addr()), n)
		if len(name) > 0 {
			h.limitedNames.Add(name, n)
		}
	}
}

// sent notes that the answers so far are out.
func (w *worker) sent() {
	if n := w.watch.answered; n > 0 {
		w.count.latency.Observe(elapsed()-w.watch.began, n)
		w.count.sizes.Add(&w.watch.sizes)
		w.watch.answered, w.watch.sizes = 0, meter.Octets{}
	}
}
