package health

import (
	"context"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// loss is how often a packet is lost, each way.
const loss = .01

// echoes are the requests of an icmp probe at the defaults. It fails when more than
// half of them stay without a reply.
const echoes = 5

// trips says when a kind of probe sends what has to come through, from when the step
// before it had: each of steps is the times at which it is sent again.
type trips [][]time.Duration

// The kernel sends a SYN again after a second and then after three; data after 200 ms,
// twice that, and so on (Linux, RFC 6298); dns probes after a quarter and after half
// of the timeout of 2s.
var (
	syn   = []time.Duration{0, 1000 * time.Millisecond, 3000 * time.Millisecond}
	data  = []time.Duration{0, 200 * time.Millisecond, 600 * time.Millisecond, 1400 * time.Millisecond}
	kinds = map[string]trips{
		"tcp": {syn}, "http": {syn, data}, "tls": {syn, data, data},
		"grpc, databases, smtp": {syn, data, data, data, data, data},
		"dns":                   {{0, 500 * time.Millisecond, 1000 * time.Millisecond}},
		"dns over tcp":          {syn, data},
	}
)

// lossy is a prober that loses packets as a network does. What is lost is a matter of
// the address and how often it was probed.
type lossy struct {
	mu    sync.Mutex
	n     map[string]uint64
	kind  string
	fails int
}

func (l *lossy) prober(Check) (probe.Prober, error) { return l, nil }

func (l *lossy) Probe(ctx context.Context, t probe.Target) probe.Result {
	at := t.Addr.String()
	h := fnv.New64a()
	_, _ = h.Write([]byte(l.kind + at))
	l.mu.Lock()
	l.n[at]++
	rng := rand.New(rand.NewPCG(h.Sum64(), l.n[at]))
	l.mu.Unlock()
	lost := func() bool { return rng.Float64() < 1-(1-loss)*(1-loss) } // there or back
	failed := probe.Result{Class: probe.ClassTimeout, Detail: "lost"}
	if l.kind == "icmp" {
		gone := 0
		for range echoes {
			if lost() {
				gone++
			}
		}
		if 2*gone <= echoes {
			return probe.Result{OK: true}
		}
		time.Sleep(2 * time.Second)
		return l.failed(failed)
	}
	took := 10 * time.Millisecond
	for _, step := range kinds[l.kind] {
		came := time.Hour
		for _, sent := range step {
			if !lost() {
				came = sent
				break
			}
		}
		took += came
	}
	select {
	case <-ctx.Done():
		return l.failed(failed)
	case <-time.After(took):
		return probe.Result{OK: true, RTT: took}
	}
}

func (l *lossy) failed(r probe.Result) probe.Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails++
	return r
}

// defaults is a check with nothing stated.
func defaults(t *testing.T) *spec.Check {
	t.Helper()
	s, err := spec.Parse("x.yaml", []byte("checks: {web: {type: tcp, port: 80}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return s.Checks["web"]
}

// TestOnePercentLoss has endpoints checked at the defaults over a network that loses
// one packet of a hundred each way: none is ever down.
func TestOnePercentLoss(t *testing.T) {
	for _, kind := range []string{"tcp", "http", "tls", "grpc, databases, smtp", "dns", "dns over tcp", "icmp"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &lossy{n: map[string]uint64{}, kind: kind}
				r := newRig(t, newFake(), nil)
				r.Board.prober = l.prober
				const endpoints = 50
				minutes := 180
				if raced { // what runs at once does so from the first round on
					minutes = 9
				}
				c := defaults(t)
				var all []Target
				for i := range endpoints {
					all = append(all, target(i+1, c))
				}
				r.applyAware(spec.Health{SuspectShare: .8, SuspectMin: 3, SuspectFor: time.Minute}, nil, all...)
				r.run()
				defer r.stop()
				after(time.Duration(minutes) * time.Minute)
				if n := r.log.count("endpoint down"); n > 0 {
					t.Errorf("%d false alarms", n)
				}
				if probes := int(l.n["10.0.0.1"]); probes < minutes*60/6 {
					t.Errorf("%d probes", probes)
				}
				if kind == "http" && l.fails == 0 && !raced {
					t.Error("nothing was lost")
				}
			})
		})
	}
}

// TestFalseAlarms computes how likely a false alarm is, from the loss and the defaults.
func TestFalseAlarms(t *testing.T) {
	c := defaults(t)
	p := 1 - (1-loss)*(1-loss)
	hourly := func(fails float64) float64 {
		return time.Hour.Seconds() / c.Interval.Seconds() * math.Pow(fails, float64(c.Fall))
	}
	// late is how likely it is that steps take longer than the timeout.
	var late func(steps trips, left time.Duration) float64
	late = func(steps trips, left time.Duration) float64 {
		if left <= 0 {
			return 1
		}
		if len(steps) == 0 {
			return 0
		}
		sum, all := 0.0, 1.0
		for _, sent := range steps[0] {
			sum += all * (1 - p) * late(steps[1:], left-sent)
			all *= p
		}
		return sum + all
	}
	pow := func(n int) float64 { return math.Pow(p, float64(n)) * math.Pow(1-p, float64(echoes-n)) }
	fails := map[string]float64{"icmp": 10*pow(3) + 5*pow(4) + pow(5)}
	for kind, steps := range kinds {
		fails[kind] = late(steps, c.Timeout)
	}
	for kind, p := range fails {
		t.Logf("%-22s a probe fails with %.1e, a false alarm in an hour is %.1e", kind, p, hourly(p))
		if hourly(p) > 1e-7 {
			t.Errorf("%s: %.1e false alarms of an endpoint in an hour", kind, hourly(p))
		}
	}
}
