package controller

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
)

const (
	// firstRetry is how long after a first failure a push is tried again, lastRetry after
	// many, and patience when the edge says no as long as the configuration is as it is.
	firstRetry = 250 * time.Millisecond
	lastRetry  = time.Minute
	patience   = 5 * time.Minute
	// maxBatch is how many records one delivery has at most.
	maxBatch = 1000
)

// pushKey is an edge, by the name that logs and metrics have of it, and a zone that it is
// told of.
type pushKey struct {
	edge string
	zone dnswire.Name
}

// push tells an edge of a zone, one change after the other.
type push struct {
	c    *Controller
	edge *edge
	key  pushKey
	stop context.CancelFunc
	done chan struct{}
	most int // records that the edge takes in one delivery; of run alone

	mu   sync.Mutex
	has  string // the version that the edge has; empty: it is not known
	want string // the last one that it should have
}

// behind is 1 when the edge lacks something.
func (p *push) behind() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.has == "" || p.has != p.want {
		return 1
	}
	return 0
}

func (p *push) note(has, want string) {
	p.mu.Lock()
	p.has, p.want = has, want
	p.mu.Unlock()
}

// follow starts and stops pushes, so that they are those of a setting; those that are
// told the same as before go on. Callers hold mu.
func (c *Controller) follow(set *setting) {
	if c.ctx == nil {
		return // Run does
	}
	wanted := map[pushKey]*edge{}
	if set != nil {
		for _, e := range set.edges {
			for _, z := range e.Zones {
				wanted[pushKey{e.Name, z}] = e
			}
		}
	}
	before := map[pushKey]*push{}
	for key, p := range c.pushes {
		// The files of TLS may have become others.
		if e := wanted[key]; e != nil && e.TLS == nil && reflect.DeepEqual(e.Edge, p.edge.Edge) && p.goes() {
			delete(wanted, key)
			continue
		}
		p.stop()
		before[key] = p
		delete(c.pushes, key)
	}
	for key, e := range wanted {
		ctx, stop := context.WithCancel(c.ctx)
		p := &push{c: c, edge: e, key: key, stop: stop, done: make(chan struct{}), most: maxBatch}
		c.pushes[key] = p
		after := before[key]
		c.pushing.Go(func() {
			defer close(p.done)
			if after != nil {
				<-after.done // so that all comes in order
			}
			p.run(ctx)
		})
	}
	known := map[string]bool{}
	for key := range c.pushes {
		known[key.edge] = true
	}
	c.meters.know(known)
}

// goes is whether the push has not come to its end.
func (p *push) goes() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// run pushes until ctx ends or the zone is no longer told of.
func (p *push) run(ctx context.Context) {
	f, err := p.c.follower(p.key.zone, p.edge.Regions, true)
	if err != nil {
		return // the next setting is without it
	}
	defer f.Close()
	has, failures := "", 0
	for ctx.Err() == nil && !f.Ended() {
		st, steps, ok, moved := f.Since(has)
		if st == nil || has == st.Hash {
			if st != nil {
				p.note(has, st.Hash)
			}
			select {
			case <-ctx.Done():
			case <-moved:
			}
			continue
		}
		p.note(has, st.Hash)
		if has != "" && ok {
			err = p.deliver(ctx, merged(steps))
		} else {
			err = p.resync(ctx, st)
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			if failures > 0 {
				p.c.log.Info("edge takes changes again", "edge", p.key.edge, "zone", text(p.key.zone), "failures", failures)
			}
			has, failures = st.Hash, 0
			p.note(has, st.Hash)
			continue
		}
		failures++
		var no answered
		if !errors.As(err, &no) || no.final() {
			has = "" // what it has by now is not known
		}
		if failures == 1 {
			p.c.log.Warn("edge not told of changes; it is tried again", "edge", p.key.edge, "zone", text(p.key.zone), "error", err)
		}
		if !pause(ctx, wait(failures, &no)) {
			return
		}
	}
}

// wait is how long it is until the next try.
func wait(failures int, no *answered) time.Duration {
	d := min(firstRetry<<min(failures-1, 20), lastRetry)
	if no.final() {
		d = patience
	}
	d = d/2 + rand.N(d) // so that edges that failed together are not asked together
	return max(d, min(no.after, patience))
}

// merged is several changes as one.
func merged(steps []*Step) *api.Notification {
	if len(steps) == 1 {
		return &steps[0].Notification
	}
	at := map[api.Key]int{}
	var order []api.Key
	last := map[api.Key]*api.Record{} // nil: it is gone
	note := func(k api.Key, r *api.Record) {
		if _, known := at[k]; !known {
			at[k] = len(order)
			order = append(order, k)
		}
		last[k] = r
	}
	for i := range steps {
		for k := range steps[i].Records {
			r := &steps[i].Records[k]
			note(api.Key{Name: r.Name, Type: r.Type}, r)
		}
		for _, k := range steps[i].Deletes {
			note(k, nil)
		}
	}
	out := &api.Notification{}
	for _, k := range order {
		if r := last[k]; r != nil {
			out.Records = append(out.Records, *r)
		} else {
			out.Deletes = append(out.Deletes, k)
		}
	}
	return out
}

// deliver tells the edge in deliveries of a bearable size, one after the other.
func (p *push) deliver(ctx context.Context, n *api.Notification) error {
	for len(n.Records)+len(n.Deletes) > 0 {
		batch, rest := cut(n, p.most)
		err := p.tell(ctx, batch)
		var no answered
		if errors.As(err, &no) && no.code == http.StatusRequestEntityTooLarge && p.most > 1 {
			p.most /= 2
			continue
		}
		if err != nil {
			return err
		}
		n = rest
	}
	return nil
}

// cut divides a notification. What goes comes after what is there.
func cut(n *api.Notification, most int) (batch, rest *api.Notification) {
	r := min(most, len(n.Records))
	d := min(most-r, len(n.Deletes))
	return &api.Notification{Records: n.Records[:r], Deletes: n.Deletes[:d]},
		&api.Notification{Records: n.Records[r:], Deletes: n.Deletes[d:]}
}

// tell makes one delivery, while nothing else is sent to the edge.
func (p *push) tell(ctx context.Context, n *api.Notification) error {
	select {
	case p.edge.busy <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.edge.busy }()
	done, err := p.edge.notify(ctx, n)
	m := p.c.meters
	var no answered
	switch {
	case err == nil:
		m.pushes.WithLabelValues(p.key.edge, pushDelivered).Inc()
		m.pushed.WithLabelValues(p.key.edge).Add(float64(len(n.Records) + len(n.Deletes)))
	case errors.As(err, &no) && no.final():
		m.pushes.WithLabelValues(p.key.edge, pushRefused).Inc()
		return err
	default:
		m.pushes.WithLabelValues(p.key.edge, pushFailed).Inc()
		return err
	}
	// An alias is gone already when addresses have taken its place in the same delivery.
	done.Refused = slices.DeleteFunc(done.Refused, func(r api.Refusal) bool {
		return r.Type == aliasType && slices.Contains(n.Deletes, api.Key{Name: r.Name, Type: r.Type})
	})
	if refused := len(done.Refused); refused > 0 {
		m.refused.WithLabelValues(p.key.edge).Add(float64(refused))
		r := &done.Refused[0]
		p.c.log.Warn("edge does not take records", "edge", p.key.edge, "records", refused,
			"name", fmt.Sprintf("%.255q", r.Name), "type", fmt.Sprintf("%.16q", r.Type), "reason", fmt.Sprintf("%.200q", r.Reason))
	}
	return nil
}
