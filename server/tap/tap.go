package tap

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is what to record and where to.
type Config struct {
	// Network is "unix" or "tcp", and Address the path of a socket or host:port.
	Network, Address string
	// Queries is whether to record AUTH_QUERY, Responses AUTH_RESPONSE.
	Queries, Responses bool
	// Sample is the share of queries that is recorded with its answers, from
	// 0 to 1.
	Sample float64
	// Identity and Version say who records. An empty one is left out.
	Identity, Version string
	// Buffer is the memory of each ring in bytes, at least MinBuffer; it is
	// rounded up to a power of two.
	Buffer int
}

const (
	// MinBuffer is the least memory of a ring: a query and an answer of 64 KiB
	// each find room twice, whatever else is at the end of the ring.
	MinBuffer = 512 << 10
	// DefaultBuffer is some thousands of queries and answers, a few milliseconds
	// of a busy processor: several times the period at which they are taken out.
	DefaultBuffer = 1 << 20
)

// drop is why a frame was dropped.
type drop int

const (
	noDrop drop = iota - 1
	// dropFull: more came than the receiver took.
	dropFull
	// dropAway: there was no receiver, or it went before it had the frame.
	dropAway
	dropReasons = iota - 1
)

// tally counts dropped frames. Each ring has one, which outlives it.
type tally [8]atomic.Uint64 // dropReasons of them are used: one cache line

// Tap records for one receiver. A nil *Config turns it off.
type Tap struct {
	log      *slog.Logger
	recorder atomic.Pointer[Recorder] // nil: off
	tallies  []tally                  // one per ring
	sent     atomic.Uint64            // frames
	lanes    atomic.Uint64            // given out
	// connected is whether a receiver takes frames.
	connected atomic.Bool

	mu      sync.Mutex
	stream  *stream       // nil: off
	changed chan struct{} // says that stream is another one
}

// stream is what a target gets while it is configured.
type stream struct {
	network, address string
	buffer           int
	rings            []*ring
	ctx              context.Context // ends with the stream
	end              context.CancelFunc
}

// New makes a Tap that is off, with one ring for each processor.
func New(log *slog.Logger) *Tap {
	return &Tap{log: log, tallies: make([]tally, runtime.GOMAXPROCS(0)), changed: make(chan struct{}, 1)}
}

// Configure records as c says from the next batch of queries on. The connection
// to the receiver stays when the receiver does. It does not wait.
func (t *Tap) Configure(c *Config) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.stream
	switch {
	case c == nil:
		t.stream = nil
		t.recorder.Store(nil)
	case old == nil || old.network != c.Network || old.address != c.Address || old.buffer != c.Buffer:
		t.stream = t.newStream(c)
		t.recorder.Store(newRecorder(c, t.stream.rings))
	default:
		t.recorder.Store(newRecorder(c, old.rings))
	}
	if t.stream == old {
		return
	}
	if old != nil {
		old.end()
	}
	select {
	case t.changed <- struct{}{}:
	default: // it is said already
	}
}

func (t *Tap) newStream(c *Config) *stream {
	s := &stream{network: c.Network, address: c.Address, buffer: c.Buffer}
	s.ctx, s.end = context.WithCancel(context.Background())
	for i := range t.tallies {
		s.rings = append(s.rings, newRing(max(c.Buffer, MinBuffer), &t.tallies[i]))
	}
	return s
}

// Recorder is what to record with now, nil while the tap is off. It is good for
// a batch.
func (t *Tap) Recorder() *Recorder { return t.recorder.Load() }

// Lane is a number for a worker, to give to Record: workers of different lanes do
// not meet in one ring, as long as they are no more than processors.
func (t *Tap) Lane() int { return int(t.lanes.Add(1) % uint64(len(t.tallies))) }

// Recorder records. It is not changed after it has been made.
type Recorder struct {
	queries, responses bool
	about              []byte
	// below is which of 2^63 random numbers are in the sample.
	below uint64
	rings []*ring
}

func newRecorder(c *Config, rings []*ring) *Recorder {
	return &Recorder{
		queries: c.Queries, responses: c.Responses,
		about: aboutNode(c.Identity, c.Version),
		below: uint64(c.Sample * (1 << 63)),
		rings: rings,
	}
}

// Sampled draws whether the next query is to be recorded. It is by chance: with
// every second one, a client that asks for A and AAAA in turn would be seen to
// ask for one of them only.
func (r *Recorder) Sampled() bool {
	return r.below >= 1<<63 || rand.Uint64()>>1 < r.below
}

// Record puts a query and its answer, as far as there is one, into the ring of a
// lane: both or, counted, neither. The messages of x are copied.
// It may set x.Answered.
func (r *Recorder) Record(lane int, x *Exchange) {
	queries, responses := r.queries, r.responses && len(x.Answer) > 0
	frames := 0
	if queries {
		frames++
	}
	if responses {
		frames++
	}
	to := r.rings[lane]
	if frames == 0 {
		return
	}
	if to.closed() { // before the clock is read, which can cost as much as the rest
		to.tally[dropAway].Add(uint64(frames))
		return
	}
	if x.Answered.IsZero() {
		if x.Asked.IsZero() {
			x.Answered = time.Now()
		} else {
			x.Answered = x.Asked.Add(time.Since(x.Asked)) // reads the monotonic clock only
		}
	}
	var query, response frame
	size := 0
	if queries {
		query = frameOf(x, false)
		size += query.whole(r.about)
	}
	if responses {
		response = frameOf(x, true)
		size += response.whole(r.about)
	}
	b, p, why := to.claim(size)
	if why != noDrop {
		to.tally[why].Add(uint64(frames))
		return
	}
	if queries {
		b = query.append(b, r.about)
	}
	if responses {
		b = response.append(b, r.about)
	}
	to.publish(p, len(b), frames)
}

var (
	descFrames = prometheus.NewDesc("rhumb_dns_dnstap_frames_total",
		"Messages for dnstap, by result: sent, full (dropped, since the receiver took them too slowly), away (dropped, since there was no receiver).",
		[]string{"result"}, nil)
	descConnected = prometheus.NewDesc("rhumb_dns_dnstap_connected",
		"1 while the receiver of dnstap is connected, 0 while it is away.", nil, nil)
)

// Describe implements prometheus.Collector.
func (t *Tap) Describe(ch chan<- *prometheus.Desc) {
	ch <- descFrames
	ch <- descConnected
}

// Collect implements prometheus.Collector. There is nothing to say before dnstap
// has been configured.
func (t *Tap) Collect(ch chan<- prometheus.Metric) {
	sent, full, away := t.counts()
	on := t.Recorder() != nil
	if !on && sent+full+away == 0 {
		return
	}
	for _, c := range []struct {
		result string
		n      uint64
	}{{"sent", sent}, {"full", full}, {"away", away}} {
		ch <- prometheus.MustNewConstMetric(descFrames, prometheus.CounterValue, float64(c.n), c.result)
	}
	if on {
		connected := 0.0
		if t.connected.Load() {
			connected = 1
		}
		ch <- prometheus.MustNewConstMetric(descConnected, prometheus.GaugeValue, connected)
	}
}

// counts are the frames that were sent and dropped.
func (t *Tap) counts() (sent, full, away uint64) {
	for i := range t.tallies {
		full += t.tallies[i][dropFull].Load()
		away += t.tallies[i][dropAway].Load()
	}
	return t.sent.Load(), full, away
}
