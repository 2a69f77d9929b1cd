package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// The ways to load a server.
const (
	modeFull      = "full"      // as much as it takes: a window of queries on the way
	modeRate      = "rate"      // so many a second, evenly
	modeTCP       = "tcp"       // a window on each of some connections
	modeTLS       = "tls"       // the same over TLS, sessions resumed
	modeHandshake = "handshake" // so many resumed TLS connections a second, of one query each
)

// order is what the load is to do.
type order struct {
	To    netip.AddrPort
	Mode  string
	Shape shape
	// Window is how many queries are on the way at once: on each connection,
	// where there are connections.
	Window int
	Conns  int
	Single bool // every query leaves by itself, not in one piece with others
	Rate   int  // queries, or handshakes, a second
	Warm   time.Duration
	Each   time.Duration
	Pid    int   // the server's, to take its CPU time exactly over Each; 0: none
	Cores  []int // the server's and the client's
	Core   int   // the client's
	// Trace is a file for when each answered query was due and how long its
	// answer took, as pairs of nanoseconds; "" for none.
	Trace string
}

// tally is what the load saw.
type tally struct {
	Sent, Answers, Lost, Wrong int
	// Busy is the share of the time in which the client had something to do.
	Busy float64
	// Late is how many queries left more than lateAfter behind their time.
	Late    int
	Latency percentiles
	// Typical is the p99 of the stretch in the middle, where answers come at an
	// even rate.
	Typical time.Duration
	Batched bool // queries left in one piece (UDP_SEGMENT)
}

// result is a tally and what was used meanwhile.
type result struct {
	tally
	Took   time.Duration
	Server usage
	// Waited is how long the client had work and no core.
	Waited time.Duration
	// Switched is how often a thread of the server was taken off its core while
	// it had work. How long it waited says nothing: a core takes its time to
	// wake up.
	Switched int
	Steal    time.Duration
	// Rest is the time of the cores, as sampled by the kernel's tick, that was
	// neither the server's nor the client's.
	Rest time.Duration
}

// lateAfter is beyond what a client that has its core to itself takes to come
// round to a query.
const lateAfter = 50 * time.Microsecond

// loadCommand runs an order, given as JSON, and prints the result as JSON. It is
// a process of its own, so that it has a core of its own.
func loadCommand(args []string) error {
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	text := f.String("order", "", "what to do, as JSON")
	if err := f.Parse(args); err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal([]byte(*text), &o); err != nil {
		return fmt.Errorf("order: %w", err)
	}
	r, err := load(o)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// generator is one way to load. It calls mark once at the end of warming up and
// once at the end.
type generator func(o order, a *asker, mark func()) (tally, error)

func load(o order) (result, error) {
	var r result
	// The load makes no garbage to speak of, and a collection would be a pause.
	debug.SetGCPercent(-1)
	a, err := newAsker(o.Shape, uint64(time.Now().UnixNano()))
	if err != nil {
		return r, err
	}
	var run generator
	switch o.Mode {
	case modeFull, modeRate:
		runtime.LockOSThread()
		run = loadUDP
	case modeTCP, modeTLS:
		run = loadStream
	case modeHandshake:
		run = loadHandshakes
	default:
		return r, fmt.Errorf("mode %q is not known", o.Mode)
	}
	if err := pinProcess(o.Core); err != nil {
		return r, err
	}
	var pids []int
	if o.Pid > 0 {
		pids = family(o.Pid)
	}
	var marks []moment
	mark := func() { marks = append(marks, look(pids, o.Cores)) }
	r.tally, err = run(o, a, mark)
	if err != nil {
		return r, err
	}
	if len(marks) != 2 {
		return r, errors.New("load: it did not come to its end")
	}
	r.Took = marks[1].at.Sub(marks[0].at)
	r.Server = marks[1].server.minus(marks[0].server)
	r.Waited = marks[1].waited - marks[0].waited
	r.Switched = marks[1].switched - marks[0].switched
	r.Rest = marks[1].busy - marks[0].busy - r.Server.Total - marks[1].own.minus(marks[0].own).Total
	r.Steal = marks[1].steal - marks[0].steal
	return r, nil
}

// moment is what had been used at some time.
type moment struct {
	at            time.Time
	server, own   usage
	waited, steal time.Duration
	busy          time.Duration
	switched      int
}

func look(pids, cores []int) moment {
	m := moment{server: used(pids), own: used([]int{os.Getpid()}), switched: switched(pids)}
	m.busy, m.steal = coresOf(cores)
	// The thread that asks; others of this process wait for nothing.
	if b, err := os.ReadFile("/proc/thread-self/schedstat"); err == nil {
		_, m.waited, _ = parseSchedstat(b)
	}
	m.at = time.Now()
	return m
}

// pacer says when queries are due.
type pacer struct {
	every time.Duration
	next  time.Duration
}

// due is how many are due now, at most limit; the time of the first is first.
func (p *pacer) due(now time.Duration, limit int) (n int, first time.Duration) {
	if now < p.next {
		return 0, 0
	}
	first = p.next
	n = min(limit, int((now-p.next)/p.every)+1)
	p.next += time.Duration(n) * p.every
	return n, first
}
