package health

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/history"
)

// Overriding is an operator's word on one endpoint of one service. It stands
// above every probe until it is cleared, or until it lapses.
type Overriding struct {
	Service  string    `json:"service"` // name with or without its final dot
	Endpoint string    `json:"address"` // address or host name, as the pool states it
	Healthy  bool      `json:"healthy"` // up or down
	Reason   string    `json:"reason"`  // why, in the operator's words
	Source   string    `json:"source"`  // who or what set it
	Since    time.Time `json:"since"`   // when it was set
	// Drain makes it a drain: from Since on the endpoint has less and less of its
	// traffic, evenly, and after Over it is down. Healthy is false. Over is 0 to
	// MaxDrain.
	Drain bool          `json:"drain,omitempty"`
	Over  time.Duration `json:"over,omitempty"` // in JSON nanoseconds
	// From is the share that a drain began with, of Whole; 0 is Whole. SetOverride
	// states it: a drain that follows another goes on where that one was.
	From uint16 `json:"from,omitempty"`
	// Until is when it ends by itself; zero: never.
	Until time.Time `json:"until,omitzero"`
	// By is for the audit log, which has Source and Reason for its Who and Why.
	By audit.By `json:"-"`
}

// lapsed is whether it has ended by itself.
func (o *Overriding) lapsed(now time.Time) bool { return !o.Until.IsZero() && !o.Until.After(now) }

// entry is what the audit log has of it when it is set.
func (o *Overriding) entry() audit.Entry {
	what, how := audit.OverrideSet, o.state().String()
	if o.Drain {
		what, how = audit.DrainSet, "over "+o.Over.String()
	}
	if !o.Until.IsZero() {
		how += ", until " + o.Until.UTC().Format(time.RFC3339)
	}
	by := o.By
	by.Who, by.Why = o.Source, o.Reason
	return by.Entry(what, o.Service+" "+o.Endpoint, how)
}

type overrideKey struct {
	service  dnswire.Name
	endpoint string
}

func (o Overriding) key() (overrideKey, error) {
	n, err := dnswire.ParseName(o.Service)
	if err != nil {
		return overrideKey{}, fmt.Errorf("service %q: %w", o.Service, err)
	}
	return overrideKey{n, canonical(o.Endpoint)}, nil
}

// canonical is an endpoint as its pool states it: an address in its shortest
// form, a host name in lower case without its final dot.
func canonical(endpoint string) string {
	if a, err := netip.ParseAddr(endpoint); err == nil {
		return a.String()
	}
	return strings.ToLower(strings.TrimSuffix(endpoint, "."))
}

func (o Overriding) state() State {
	if o.Healthy {
		return Up
	}
	return Down
}

// check refuses what no override can be.
func (o Overriding) check() error {
	if o.Drain && o.Healthy || !o.Drain && o.Over != 0 || o.Over < 0 || o.Over > MaxDrain {
		return fmt.Errorf("override: drain %t over %v with healthy %t: a drain is over 0s to %s and ends with the endpoint down", o.Drain, o.Over, o.Healthy, Hours(MaxDrain))
	}
	switch until := o.Until; {
	case until.IsZero():
	case o.Drain && !until.After(o.ends()):
		return fmt.Errorf("override: the drain ends at %s, and the override at %s: state a later end", stamp(o.ends()), stamp(until))
	case until.Sub(o.Since) > MaxAhead:
		return fmt.Errorf("override: it ends at most %s after it begins", Hours(MaxAhead))
	}
	return nil
}

// SetOverride puts an operator's word in force and, with a Keeper, on disk. It
// fails when no service has the endpoint, or when it cannot be kept.
func (b *Board) SetOverride(o Overriding) error {
	key, err := o.key()
	if err == nil {
		err = o.check()
	}
	if err != nil {
		return err
	}
	o.Service, o.Endpoint = key.service.String(), key.endpoint
	b.overriding.Lock()
	defer b.overriding.Unlock()
	b.mu.Lock()
	ok := len(b.locate(key.service, key.endpoint)) > 0
	before := b.overrides[key]
	b.mu.Unlock()
	now := time.Now()
	switch {
	case !ok:
		return fmt.Errorf("%w: %s has no endpoint %s", ErrNotFound, o.Service, o.Endpoint)
	case o.lapsed(now):
		return fmt.Errorf("%w: until %s", ErrPast, o.Until.UTC().Format(time.RFC3339))
	}
	o.Until = o.Until.Round(0) // the clock on the wall decides, as after a restart
	if !before.lapsed(now) {
		o.follow(&before)
	}
	raw, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := b.audit.Announce(o.entry(), func() error { return b.keepOverride(key, raw) }); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.overrides[key] = o
	b.events.Tell(o.event())
	if o.Drain {
		b.log.Info("drain set", "service", o.Service, "endpoint", o.Endpoint, "over", o.Over.String(), "until", stamp(o.Until), "reason", o.Reason, "source", o.Source)
	} else {
		b.log.Info("override set", "service", o.Service, "endpoint", o.Endpoint, "healthy", o.Healthy, "until", stamp(o.Until), "reason", o.Reason, "source", o.Source)
	}
	b.publishOverrides()
	return nil
}

// stamp is a time for the log, "never" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// ErrNotFound is the error of an override on something that does not exist.
var ErrNotFound = errors.New("not found")

// ErrPast is the error of what would have ended already.
var ErrPast = errors.New("its end is not ahead")

// ClearOverride ends an operator's word.
func (b *Board) ClearOverride(service dnswire.Name, endpoint string, by audit.By) error {
	b.overriding.Lock()
	defer b.overriding.Unlock()
	key := overrideKey{service, canonical(endpoint)}
	b.mu.Lock()
	o, ok := b.overrides[key]
	b.mu.Unlock()
	if !ok || o.lapsed(time.Now()) {
		return fmt.Errorf("%w: no override on %s of %s", ErrNotFound, endpoint, service)
	}
	entry := by.Entry(audit.OverrideCleared, service.String()+" "+key.endpoint, "")
	if err := b.audit.Announce(entry, func() error { return b.keepOverride(key, nil) }); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.overrides, key)
	b.events.Tell(history.Event{Type: history.OverrideCleared, Service: service.String(), Endpoint: key.endpoint, Reason: by.Why, Who: by.Who})
	b.log.Info("override cleared", "service", service.String(), "endpoint", key.endpoint, "source", by.Who)
	b.publishOverrides()
	return nil
}

func (b *Board) keepOverride(key overrideKey, raw []byte) error {
	if b.keeper == nil {
		return nil
	}
	return b.keeper.Save(overrideBucket, map[string][]byte{key.service.String() + " " + key.endpoint: raw})
}

// Overrides lists the overrides in force, by service and endpoint, also those
// whose endpoint the configuration does not have at present.
func (b *Board) Overrides() []Overriding {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	all := make([]Overriding, 0, len(b.overrides))
	for _, o := range b.overrides {
		if !o.lapsed(now) {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(x, y Overriding) int {
		if c := strings.Compare(x.Service, y.Service); c != 0 {
			return c
		}
		return strings.Compare(x.Endpoint, y.Endpoint)
	})
	return all
}

func (b *Board) publishOverrides() {
	v := b.view.Load().clone()
	b.placeWords(v, time.Now())
	b.view.Store(v)
	notify(b.changed)
	notify(b.wake) // there may be a drain to go on with, or an end to wait for
}
