package notify

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/history"
)

const (
	// firstRetry is how long after a first failure it is tried again, and lastRetry
	// after many, or when the destination asks for longer.
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
	mostRetry  = time.Hour
)

// sender brings a delivery to where it is for.
type sender interface {
	// send makes one try. What it gives is what the destination answered.
	send(ctx context.Context, d *delivery) (string, error)
	kind() string
}

// refusal is the error of a delivery that another try would not help.
type refusal struct{ error }

// pause is the error of a delivery that is to be tried again after a time.
type pause struct {
	error
	after time.Duration
}

// delivery is what is sent at once.
type delivery struct {
	ID     string // the same whenever it is tried again
	Type   string
	Node   string
	Lost   uint64
	Events []api.Event
	Body   []byte // all of it, as webhooks have it
}

// body is the body of a webhook: https://github.com/standard-webhooks/standard-webhooks
// has its type, timestamp and data.
type body struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	Node   string      `json:"node"`
	Lost   uint64      `json:"lost"` // events before these that are given up
	Events []api.Event `json:"events"`
}

func (s *setting) delivery(kind string, events []history.Event, lost uint64, now time.Time) (*delivery, error) {
	d := &delivery{Type: kind, Node: s.node, Lost: lost, Events: make([]api.Event, len(events))}
	for i := range events {
		d.Events[i] = Shown(&events[i])
	}
	first, last := events[0].ID, events[len(events)-1].ID
	d.ID = fmt.Sprintf("msg_%x", sha256.Sum256(fmt.Appendf(nil, "%s %s %s %d %d %d", kind, s.node, s.Name, first, last, len(events))))[:36]
	var err error
	d.Body, err = json.Marshal(body{kind, now.UTC(), data{s.node, lost, d.Events}})
	return d, err
}

// destination is who is told, and how far it is.
type destination struct {
	n    *Notifier
	name string
	stop func()        // nil while it does not run
	poke chan struct{} // one token: what it goes by has changed
	busy chan struct{} // taken while something is sent

	mu        sync.Mutex
	by        *setting
	at        uint64 // the event that it is past
	lost      uint64 // of those before, what it has not been told is given up
	failures  int
	failed    string
	delivered time.Time
}

func newDestination(n *Notifier, s *setting, at uint64) *destination {
	n.meters.know(s.Name)
	return &destination{n: n, name: s.Name, by: s, at: at, poke: make(chan struct{}, 1), busy: make(chan struct{}, 1)}
}

// change has a destination go by something else.
func (d *destination) change(s *setting) {
	d.mu.Lock()
	d.by = s
	d.mu.Unlock()
	select {
	case d.poke <- struct{}{}:
	default:
	}
}

func (d *destination) now() (by *setting, at, lost uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.by, d.at, d.lost
}

// run tells until ctx ends.
func (d *destination) run(ctx context.Context) {
	for ctx.Err() == nil {
		by, at, _ := d.now()
		c := d.collect(by, at)
		d.give(c.lost, "lost")
		d.give(c.old, "expired")
		if len(c.events) > 0 {
			d.pass(c.events[0].ID - 1) // those that are given up are counted once
		}
		if len(c.events) == 0 {
			d.pass(c.at)
			d.await(ctx, c.more, c.wait)
			continue
		}
		d.tell(ctx, by, &c)
	}
}

// give counts events that are given up.
func (d *destination) give(n uint64, why string) {
	if n == 0 {
		return
	}
	d.n.meters.dropped.WithLabelValues(d.name, why).Add(float64(n))
	d.n.log.Warn("events are not told", "destination", d.name, "events", n, "reason", why)
	d.mu.Lock()
	d.lost += n
	d.mu.Unlock()
}

// pass moves on, without a word: a restart would find the same.
func (d *destination) pass(at uint64) {
	d.mu.Lock()
	d.at = max(d.at, at)
	d.mu.Unlock()
}

func (d *destination) await(ctx context.Context, more <-chan struct{}, wait time.Duration) {
	var after <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-ctx.Done():
	case <-more:
	case <-d.poke:
	case <-after:
	}
}

// tell sends what was collected until it is taken, refused, too old, or what the
// destination goes by has changed.
func (d *destination) tell(ctx context.Context, by *setting, c *collected) {
	_, _, lost := d.now()
	send, err := by.delivery("rhumb.events", c.events, lost, time.Now())
	for err == nil && ctx.Err() == nil {
		_, err = d.send(ctx, by, send)
		if ctx.Err() != nil {
			return // it is told again after the restart
		}
		wait := d.result(err)
		var no refusal
		switch {
		case err == nil:
			d.done(c.at, lost)
			return
		case errors.As(err, &no):
			d.done(c.at, lost)
			d.give(uint64(len(c.events)), "refused")
			return
		case d.n.o.History.Age(&c.events[0]) > by.MaxAge:
			return // collect gives up those that are too old
		}
		err = nil
		d.await(ctx, nil, wait)
		if now, _, _ := d.now(); now != by {
			return
		}
	}
	if err != nil {
		d.n.log.Error("events cannot be written as JSON", "destination", d.name, "error", err)
		d.done(c.at, lost)
		d.give(uint64(len(c.events)), "refused")
	}
}

// send makes one try, while nothing else is sent there.
func (d *destination) send(ctx context.Context, by *setting, what *delivery) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, by.Timeout)
	defer cancel()
	select {
	case d.busy <- struct{}{}:
	case <-ctx.Done():
		return "", errors.New("another delivery is under way")
	}
	defer func() { <-d.busy }()
	return by.sender.send(ctx, what)
}

// result takes how a try went in, and says when the next one is.
func (d *destination) result(err error) (wait time.Duration) {
	word := "delivered"
	var no refusal
	var later pause
	switch {
	case err == nil:
	case errors.As(err, &no):
		word = "refused"
	default:
		word = "failed"
	}
	d.n.meters.deliveries.WithLabelValues(d.name, word).Inc()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		if d.failures > 0 {
			d.n.log.Info("destination takes events again", "destination", d.name, "failures", d.failures)
		}
		d.failures, d.failed, d.delivered = 0, "", time.Now()
		return 0
	}
	d.failures++
	d.failed = err.Error()
	if d.failures == 1 || word == "refused" {
		d.n.log.Warn("events not delivered", "destination", d.name, "result", word, "error", err)
	}
	wait = min(firstRetry<<min(d.failures-1, 20), lastRetry)
	wait = wait/2 + rand.N(wait) // so that nodes that failed together do not come back together
	if errors.As(err, &later) {
		wait = max(wait, min(later.after, mostRetry))
	}
	return wait
}

// done is past what was told.
func (d *destination) done(at, lost uint64) {
	d.mu.Lock()
	d.at = max(d.at, at)
	d.lost -= lost
	at = d.at
	d.mu.Unlock()
	d.n.keep(map[string][]byte{d.name: place(at)})
}

func (d *destination) test(ctx context.Context) (string, error) {
	by, _, _ := d.now()
	now := time.Now()
	send, err := by.delivery("rhumb.test", []history.Event{{
		ID: uint64(now.UnixMicro()), At: now.UTC(), Type: "test", Reason: "somebody tries whether events arrive",
	}}, 0, now)
	if err != nil {
		return "", err
	}
	return d.send(ctx, by, send)
}

func (d *destination) status() Status {
	by, at, _ := d.now()
	q := by.query
	q.After = at
	n, oldest := d.n.o.History.Waiting(q)
	d.mu.Lock()
	defer d.mu.Unlock()
	return Status{Name: d.name, Kind: by.sender.kind(), Waiting: n, Oldest: oldest.At, Delivered: d.delivered, Failures: d.failures, Error: d.failed}
}
