package conduct

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/rhumb-dns/rhumb/health"
)

// Keeper remembers small values over a restart.
type Keeper interface {
	// Load gives all values of a bucket.
	Load(bucket string) (map[string][]byte, error)
	// Save writes values, all or none; a nil value deletes.
	Save(bucket string, values map[string][]byte) error
}

const bucket = "conduct"

// record is a course as it is kept. Times are those of the clock on the wall.
type record struct {
	Pool   string               `json:"pool"`
	Host   string               `json:"host,omitempty"`
	Stands bool                 `json:"stands"`
	Proven bool                 `json:"proven,omitempty"`
	Since  time.Time            `json:"since,omitzero"`
	Below  time.Time            `json:"below,omitzero"`
	Enough time.Time            `json:"enough,omitzero"`
	Ends   map[string]endRecord `json:"endpoints,omitempty"`
}

type endRecord struct {
	State   health.State  `json:"state"`
	Fresh   bool          `json:"was_up,omitempty"`
	Fell    time.Time     `json:"fell,omitzero"`
	Slow    time.Time     `json:"slow,omitzero"`
	Last    health.State  `json:"last,omitempty"`
	Changes []time.Time   `json:"changes,omitempty"`
	Until   time.Time     `json:"held_until,omitzero"`
	Ended   time.Time     `json:"held_last,omitzero"`
	Hold    time.Duration `json:"hold,omitempty"` // nanoseconds
}

// usual is whether a course that is begun anew comes to the same.
func (c *course) usual() bool {
	if !c.stands || c.below != 0 {
		return false
	}
	for i := range c.ends {
		e := &c.ends[i]
		if e.known == health.Down || e.slow != 0 {
			return false
		}
		if d := e.damp; d != nil && (len(d.changes) > 0 || d.hold > 0) {
			return false
		}
	}
	return true
}

// record is what is to be kept of a course.
func (c *course) record(base time.Time) record {
	at := func(t instant) time.Time {
		if t == 0 {
			return time.Time{}
		}
		return wall(base, t)
	}
	r := record{
		Pool: c.Pool.Name, Host: c.Host, Stands: c.stands, Proven: c.proven,
		Since: at(c.since), Below: at(c.below), Enough: at(c.enough), Ends: map[string]endRecord{},
	}
	for i := range c.ends {
		e := &c.ends[i]
		er := endRecord{State: e.known, Fresh: e.fresh, Fell: at(e.fell), Slow: at(e.slow)}
		if d := e.damp; d != nil {
			er.Last, er.Until, er.Ended, er.Hold = d.last, at(d.until), at(d.ended), d.hold
			for _, t := range d.changes {
				er.Changes = append(er.Changes, at(t))
			}
		}
		r.Ends[c.Pool.Endpoints[i].String()] = er
	}
	return r
}

// recall puts in a course what is kept of it. A clock that was put back since
// makes no time lie ahead: what began in the future begins now, and no hold is
// longer than it was to be.
func (c *course) recall(r record, now instant) {
	wall := time.Now()
	past := func(t time.Time) instant {
		if t.IsZero() {
			return 0
		}
		at := now.after(-max(wall.Sub(t), 0))
		if at == 0 {
			at-- // 0 is no time
		}
		return at
	}
	c.stands, c.proven = r.Stands, r.Proven
	c.since, c.below, c.enough = past(r.Since), past(r.Below), past(r.Enough)
	for i := range c.ends {
		er, had := r.Ends[c.Pool.Endpoints[i].String()]
		if !had || er.State > health.Down {
			continue
		}
		e := &c.ends[i]
		e.known, e.fresh, e.fell = er.State, er.Fresh, past(er.Fell)
		if c.Conduct.SlowStart > 0 {
			e.slow = past(er.Slow)
		}
		limit := c.Conduct.Damping
		if limit == nil || er.Last != health.Up && er.Last != health.Down {
			continue
		}
		d := &damped{last: er.Last, hold: min(max(er.Hold, 0), limit.Max)}
		for _, t := range er.Changes {
			d.changes = append(d.changes, past(t))
		}
		d.ended = past(er.Ended)
		if left := er.Until.Sub(wall); !er.Until.IsZero() && left > 0 {
			d.until = now.after(min(left, d.hold))
			d.ended = d.until
		}
		e.damp = d
	}
}

// restore reads what is kept.
func (d *Director) restore() error {
	if d.keeper == nil {
		return nil
	}
	kept, err := d.keeper.Load(bucket)
	if err != nil {
		return fmt.Errorf("conduct: restore: %w", err)
	}
	d.restored, d.ofPool = make(map[string]record, len(kept)), map[string]string{}
	for key, raw := range kept {
		d.stored[key] = true
		var r record
		// A record that cannot be read is lost, and with it that a pool gave way. It is
		// better than a node that does not start.
		if err := json.Unmarshal(raw, &r); err != nil {
			d.log.Error("conduct not restored", "course", key, "error", err)
			continue
		}
		d.restored[key] = r
		of := r.Pool + " " + r.Host
		if first, twice := d.ofPool[of]; !twice || key < first { // the same one at every start
			d.ofPool[of] = key
		}
	}
	return nil
}

// claim is what is kept of a course: of the same one, or else of one of its pool
// with other settings.
func (d *Director) claim(of *Course) (record, bool) {
	if r, ok := d.restored[of.Key]; ok {
		return r, true
	}
	r, ok := d.restored[d.ofPool[of.Pool.Name+" "+of.Host]]
	return r, ok
}

// keep has a course written, or its record deleted.
func (d *Director) keep(c *course) {
	if d.keeper != nil && (!c.usual() || d.stored[c.Key]) {
		d.unsaved[c.Key] = struct{}{}
	}
}

// saveGap is the time between two writes.
const saveGap = 500 * time.Millisecond

// keeping is the writing of one Run.
type keeping struct {
	d       *Director
	saved   chan []string // the keys that a write left unwritten
	saving  bool
	next    time.Time
	running sync.WaitGroup
}

// step begins a write when one is due, and says when the next one is.
func (k *keeping) step(now time.Time) time.Duration {
	k.d.mu.Lock()
	defer k.d.mu.Unlock()
	switch {
	case k.saving || len(k.d.unsaved) == 0:
		return 1<<63 - 1
	case now.Before(k.next):
		return k.next.Sub(now)
	}
	batch := k.d.batch()
	k.saving, k.next = true, now.Add(saveGap)
	k.running.Go(func() { k.saved <- k.d.save(batch) })
	return 1<<63 - 1
}

// retryGap is the time after a write that failed.
const retryGap = 5 * time.Second

func (k *keeping) wrote(unwritten []string, now time.Time) {
	k.saving = false
	k.d.mu.Lock()
	defer k.d.mu.Unlock()
	for _, key := range unwritten {
		k.d.unsaved[key] = struct{}{}
		k.d.stored[key] = true // it may be, so that it is deleted when that is due
	}
	if len(unwritten) > 0 {
		k.next = now.Add(retryGap)
	}
}

// finish writes what is left.
func (k *keeping) finish() {
	k.running.Wait()
	if len(k.saved) > 0 {
		k.wrote(<-k.saved, time.Now())
	}
	k.d.mu.Lock()
	batch := k.d.batch()
	k.d.mu.Unlock()
	k.d.save(batch)
}

// batch takes what is to be written: courses as they are now.
func (d *Director) batch() map[string][]byte {
	values := make(map[string][]byte, len(d.unsaved))
	for key := range d.unsaved {
		c := d.byKey[key]
		if c == nil || c.usual() {
			if d.stored[key] {
				values[key] = nil
			}
			delete(d.stored, key)
			continue
		}
		raw, err := json.Marshal(c.record(d.base))
		if err != nil {
			// A time beyond the year 9999 has no JSON form. It is not tried again.
			d.log.Error("conduct not kept", "pool", c.Pool.Name, "error", err)
			continue
		}
		values[key] = raw
		d.stored[key] = true
	}
	clear(d.unsaved)
	return values
}

// save writes a batch and returns the keys that it could not write.
func (d *Director) save(batch map[string][]byte) (unwritten []string) {
	if len(batch) == 0 {
		return nil
	}
	err := d.keeper.Save(bucket, batch)
	switch {
	case err != nil && !d.unkept:
		d.log.Error("conduct not kept: a restart would not know which pools gave way", "error", err)
	case err == nil && d.unkept:
		d.log.Info("conduct kept again")
	}
	d.unkept = err != nil
	if err == nil {
		return nil
	}
	for key := range batch {
		unwritten = append(unwritten, key)
	}
	return unwritten
}
