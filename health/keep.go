package health

import (
	"encoding/json"
	"fmt"
	"time"
)

// Keeper remembers small values over a restart.
type Keeper interface {
	// Load gives all values of a bucket.
	Load(bucket string) (map[string][]byte, error)
	// Save writes values, all or none; a nil value deletes.
	Save(bucket string, values map[string][]byte) error
}

const (
	verdictBucket  = "health"
	overrideBucket = "overrides"
	upkeepBucket   = "maintenance"
)

// record is a verdict as it is kept. Its zero value stands for none.
type record struct {
	State  State     `json:"state"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
	LastUp time.Time `json:"last_up"`
	Seen   time.Time `json:"seen"`
	// Latency is the smoothed time of the probe's connections, in microseconds; 0
	// while it is not known.
	Latency uint32      `json:"latency,omitempty"`
	Level   *keptLevel  `json:"level,omitempty"`  // of one that is degraded
	Report  *keptReport `json:"report,omitempty"` // of an external check
}

// keptLevel is why and since when an endpoint is degraded.
type keptLevel struct {
	Cause  Cause     `json:"cause"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
}

// keptReport is until when a result counts, and who reported it.
type keptReport struct {
	Until  time.Time `json:"until"`
	Source string    `json:"source,omitempty"`
}

func (b *Board) recordOf(r *runner) record {
	v := &r.verdict
	rec := record{
		State: v.state, Since: v.since, Reason: v.reason, LastUp: v.lastUp, Seen: v.seen,
		Latency: r.trip.known(r.check.Interval, b.due.at(v.seen)),
	}
	if v.degraded() {
		rec.Level = &keptLevel{v.level.cause, v.level.since, v.level.reason}
	}
	if r.report != nil {
		rec.Report = &keptReport{r.report.until, r.report.source}
	}
	return rec
}

// trip is what is left of a kept latency: all of it for as long as a sample of
// this node would count.
func (r record) trip(seen time.Duration) trip {
	if r.Latency == 0 {
		return trip{}
	}
	return trip{smoothed: float32(r.Latency), samples: minSamples, at: seen}
}

// verdict is what is left of a kept verdict: all of it while it is young enough
// to be trusted, after that when it was last up. Of a record from the future
// nothing is believed, since it says no more than that some clock was wrong.
func (r record) verdict(now time.Time, interval time.Duration) verdict {
	age := now.Sub(r.Seen)
	v := verdict{
		state: r.State, restored: true, since: r.Since, reason: r.Reason, lastUp: r.LastUp,
		seen: now.Add(-age), // with a monotonic reading: a clock that is set does not age it
	}
	if l := r.Level; r.State == Up && l != nil && l.Cause < causes {
		v.level = &level{cause: l.Cause, since: l.Since, reason: l.Reason}
	}
	switch {
	case r.State == Unknown || age < 0:
		return verdict{}
	case age >= restoredIntervals*interval:
		v.lapse()
	}
	return v
}

func (b *Board) restore() error {
	if b.keeper == nil {
		return nil
	}
	kept, err := b.keeper.Load(verdictBucket)
	if err != nil {
		return fmt.Errorf("health: restore: %w", err)
	}
	for request, raw := range kept {
		var r record
		// A record that cannot be read is no loss: the next probe replaces it.
		if json.Unmarshal(raw, &r) == nil && r.State <= Down {
			b.restored[request] = r
		}
	}
	kept, err = b.keeper.Load(overrideBucket)
	if err != nil {
		return fmt.Errorf("health: restore: %w", err)
	}
	for on, raw := range kept {
		var o Overriding
		var key overrideKey
		err := json.Unmarshal(raw, &o)
		if err == nil {
			key, err = o.key()
		}
		if err == nil {
			err = o.check()
		}
		if err != nil { // better than a node that does not start
			b.log.Error("override not restored: set it again", "on", on, "error", err)
			continue
		}
		b.overrides[key] = o
	}
	return b.restoreMaintenance()
}

// keep has the record of a probe written, or deleted when it has no state.
func (b *Board) keep(r *runner, rec record) {
	if b.keeper != nil {
		b.unsaved[r.request()] = rec
	}
}

// save writes records and returns those that it could not write.
func (b *Board) save(batch map[string]record) (unwritten map[string]record) {
	if len(batch) == 0 {
		return nil
	}
	values := make(map[string][]byte, len(batch))
	for request, r := range batch {
		if r.State == Unknown {
			values[request] = nil
			continue
		}
		raw, err := json.Marshal(r)
		if err != nil {
			// A time beyond the year 9999 has no JSON form. It is not tried again.
			b.log.Error("health not kept", "error", err)
			continue
		}
		values[request] = raw
	}
	err := b.keeper.Save(verdictBucket, values)
	switch {
	case err != nil && !b.unkept:
		b.log.Error("health not kept: a restart would not know it", "error", err)
	case err == nil && b.unkept:
		b.log.Info("health kept again")
	}
	b.unkept = err != nil
	if err != nil {
		return batch
	}
	return nil
}

// The bounds of how often confirmations of verdicts are written, which is else
// the shortest interval of any check, since a kept verdict is trusted for three
// intervals from when it was last confirmed. Changes are written at once.
const (
	minSave = 500 * time.Millisecond
	maxSave = 30 * time.Second
)
