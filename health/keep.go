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
)

// record is a verdict as it is kept. Its zero value stands for none.
type record struct {
	State  State     `json:"state"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
	LastUp time.Time `json:"last_up"`
	Seen   time.Time `json:"seen"`
}

func recordOf(v *verdict) record {
	return record{v.state, v.since, v.reason, v.lastUp, v.seen}
}

// verdict is the kept verdict, if it is young enough to be trusted. A record
// from the future is not.
func (r record) verdict(now time.Time, interval time.Duration) (verdict, bool) {
	age := now.Sub(r.Seen)
	v := verdict{lastUp: r.LastUp}
	if r.State == Unknown || age < 0 || age > restoredIntervals*interval {
		return v, r.State != Unknown && age >= 0
	}
	v.state, v.since, v.reason, v.seen, v.restored = r.State, r.Since, r.Reason, r.Seen, true
	return v, true
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
		if json.Unmarshal(raw, &r) == nil {
			b.restored[request] = r
		}
	}
	kept, err = b.keeper.Load(overrideBucket)
	if err != nil {
		return fmt.Errorf("health: restore: %w", err)
	}
	for _, raw := range kept {
		var o Overriding
		if err := json.Unmarshal(raw, &o); err != nil {
			return fmt.Errorf("health: restore override: %w", err)
		}
		key, err := o.key()
		if err != nil {
			return fmt.Errorf("health: restore override: %w", err)
		}
		b.overrides[key] = o
	}
	return nil
}

func (b *Board) save(batch map[string]record) {
	values := make(map[string][]byte, len(batch))
	for request, r := range batch {
		if r.State == Unknown {
			values[request] = nil
			continue
		}
		raw, err := json.Marshal(r)
		if err != nil {
			b.log.Error("health not kept", "error", err)
			continue
		}
		values[request] = raw
	}
	if len(values) == 0 {
		return
	}
	if err := b.keeper.Save(verdictBucket, values); err != nil {
		b.log.Error("health not kept: a restart would not know it", "error", err)
	}
}

// The bounds of how often confirmations of verdicts are written. Changes are
// written at once.
const (
	minSave = 500 * time.Millisecond
	maxSave = 30 * time.Second
)

// saveEvery is the shortest interval of any check, within bounds: a kept
// verdict is trusted for three intervals from when it was last confirmed.
func saveEvery(runners map[string]*runner) time.Duration {
	every := maxSave
	for _, r := range runners {
		every = min(every, r.check.Interval)
	}
	return max(every, minSave)
}
