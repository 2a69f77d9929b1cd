package health

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/history"
)

// MaxAhead is how far ahead maintenance may begin, and the longest that it or an
// override with an end may last: beyond that a mistake is likelier.
const MaxAhead = 366 * 24 * time.Hour

// maxMaintenance is how many there may be at once: each is gone through whenever
// one begins, ends, or goes on draining.
const maxMaintenance = 1000

// Maintenance takes endpoints out of every service for a while, whatever checks
// say. Which endpoints these are is found anew at every reload.
type Maintenance struct {
	ID     string    `json:"id"`
	Select Selection `json:"select"`
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"` // from then on they are left to their checks
	// Drain is over how long from From on they lose their traffic, evenly; 0: at
	// once. It is less than from From to Until.
	Drain  time.Duration `json:"drain,omitempty"` // in JSON nanoseconds
	Reason string        `json:"reason"`          // why, in the operator's words
	Source string        `json:"source"`          // who set it
	Set    time.Time     `json:"set"`
	Told   bool          `json:"told,omitempty"` // the audit log has that it began
}

// Hours is a duration of whole hours, as limits are told.
func Hours(d time.Duration) string { return strconv.Itoa(int(d/time.Hour)) + "h" }

func (m *Maintenance) begun(now time.Time) bool { return !m.From.After(now) }
func (m *Maintenance) over(now time.Time) bool  { return !m.Until.After(now) }

// Share is how much of their traffic the endpoints have left by it, of Whole.
func (m *Maintenance) Share(now time.Time) uint16 {
	if !m.begun(now) || m.over(now) {
		return Whole
	}
	o := m.draining()
	return o.Share(now)
}

// draining is it as a drain.
func (m *Maintenance) draining() Overriding {
	return Overriding{Drain: true, Over: m.Drain, Since: m.From}
}

// how is what the audit log has of it beside who and why.
func (m *Maintenance) how() string {
	s := m.Select.String() + ", from " + stamp(m.From) + " until " + stamp(m.Until)
	if m.Drain > 0 {
		s += ", draining over " + m.Drain.String()
	}
	return s
}

// check refuses what no maintenance can be.
func (m *Maintenance) check(now time.Time) error {
	switch {
	case m.Select.empty():
		return errors.New("select: it selects nothing: name endpoints, pools, tags or a place")
	case m.From.Before(now.Add(-time.Minute)):
		return errors.New("at: it is past; without it the maintenance begins now")
	case m.over(now):
		return fmt.Errorf("%w: until %s", ErrPast, stamp(m.Until))
	case !m.Until.After(m.From):
		return errors.New("until: it is not after at")
	case m.From.Sub(now) > MaxAhead || m.Until.Sub(m.From) > MaxAhead:
		return fmt.Errorf("it begins at most %s ahead and lasts as long at most", Hours(MaxAhead))
	case m.Drain < 0 || m.Drain > MaxDrain || m.Drain >= m.Until.Sub(m.From):
		return fmt.Errorf("drain: %v is not a duration from 0s to %s that ends before the maintenance does", m.Drain, Hours(MaxDrain))
	}
	return nil
}

// ErrTooMany is the error of more maintenance than there may be.
var ErrTooMany = fmt.Errorf("there are %d already: cancel some", maxMaintenance)

// ErrInvalid is the error of a maintenance that cannot be.
var ErrInvalid = errors.New("maintenance")

// AddMaintenance puts a maintenance on the calendar and, with a Keeper, on disk. A
// zero From is now. It gets its ID and is given back. The error is an ErrInvalid,
// ErrNotFound when no endpoint is selected, ErrTooMany, or why it cannot be kept.
func (b *Board) AddMaintenance(m Maintenance, by audit.By) (Maintenance, error) {
	b.overriding.Lock()
	defer b.overriding.Unlock()
	now := time.Now()
	if m.Set = now.Round(0); m.From.IsZero() {
		m.From = m.Set
	}
	// The clock on the wall decides, as after a restart.
	m.From, m.Until = m.From.Round(0), m.Until.Round(0)
	m.Select = m.Select.canonical()
	if err := m.check(now); err != nil {
		return m, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	m.ID, m.Told = strings.ToLower(rand.Text()[:8]), false
	m.Reason, m.Source = by.Why, by.Who
	b.mu.Lock()
	selected, n := m.Select.endpoints(b.pools), len(b.upkeep)
	b.mu.Unlock()
	switch {
	case n >= maxMaintenance:
		return m, ErrTooMany
	case len(selected) == 0:
		return m, fmt.Errorf("%w: no endpoint is selected by %s", ErrNotFound, m.Select.String())
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return m, err
	}
	how := m.how() + ", endpoints now: " + fewOf(selected)
	if err := b.audit.Announce(by.Entry(audit.MaintenanceAdded, m.ID, how), func() error { return b.keepMaintenance(m.ID, raw) }); err != nil {
		return m, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.upkeep[m.ID] = m
	b.tellOf(history.MaintenanceAdded, &m, selected, m.Source)
	b.log.Info("maintenance added", "id", m.ID, "what", m.how(), "endpoints", len(selected), "reason", m.Reason, "source", m.Source)
	b.publishOverrides()
	return m, nil
}

// shown is how many endpoints are named in an entry of the audit log.
const shown = 20

func fewOf(endpoints []string) string {
	if n := len(endpoints); n > shown {
		return strings.Join(endpoints[:shown], " ") + fmt.Sprintf(" and %d more", n-shown)
	}
	return strings.Join(endpoints, " ")
}

// CancelMaintenance ends a maintenance, or takes it off the calendar.
func (b *Board) CancelMaintenance(id string, by audit.By) error {
	b.overriding.Lock()
	defer b.overriding.Unlock()
	b.mu.Lock()
	m, ok := b.upkeep[id]
	b.mu.Unlock()
	if !ok || m.over(time.Now()) {
		return fmt.Errorf("%w: no maintenance %s", ErrNotFound, id)
	}
	if err := b.audit.Announce(by.Entry(audit.MaintenanceCancelled, id, m.how()), func() error { return b.keepMaintenance(id, nil) }); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tellOf(history.MaintenanceCancelled, &m, b.chosen(&m), by.Who)
	delete(b.upkeep, id)
	delete(b.selected, id)
	b.log.Info("maintenance cancelled", "id", id, "source", by.Who)
	b.publishOverrides()
	return nil
}

// Planned is a maintenance with the endpoints that it selects at present.
type Planned struct {
	Maintenance
	Endpoints []string // sorted
}

// Maintenance lists the maintenance in force and to come, by when it begins.
func (b *Board) Maintenance() []Planned {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	all := make([]Planned, 0, len(b.upkeep))
	for _, m := range b.upkeep {
		if !m.over(now) {
			all = append(all, Planned{m, b.chosen(&m)})
		}
	}
	slices.SortFunc(all, func(x, y Planned) int {
		if c := x.From.Compare(y.From); c != 0 {
			return c
		}
		return strings.Compare(x.ID, y.ID)
	})
	return all
}

// MaintenanceNow is how many Maintenance lists that have begun, and how many that have not.
func (b *Board) MaintenanceNow() (begun, planned int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for _, m := range b.upkeep {
		switch {
		case m.over(now):
		case m.begun(now):
			begun++
		default:
			planned++
		}
	}
	return begun, planned
}

func (b *Board) keepMaintenance(id string, raw []byte) error {
	if b.keeper == nil {
		return nil
	}
	return b.keeper.Save(upkeepBucket, map[string][]byte{id: raw})
}

func (b *Board) restoreMaintenance() error {
	kept, err := b.keeper.Load(upkeepBucket)
	if err != nil {
		return fmt.Errorf("health: restore: %w", err)
	}
	for id, raw := range kept {
		var m Maintenance
		if err := json.Unmarshal(raw, &m); err != nil {
			b.log.Error("maintenance not restored: add it again", "id", id, "error", err)
			continue
		}
		b.upkeep[id] = m
	}
	return nil
}

// chosen are the endpoints that a maintenance selects at present. To go through
// all endpoints at every step of a drain would be too much.
func (b *Board) chosen(m *Maintenance) []string {
	all, ok := b.selected[m.ID]
	if !ok {
		all = m.Select.endpoints(b.pools)
		b.selected[m.ID] = all
	}
	return all
}

// placeMaintenance marks the targets of a view that are in maintenance at this
// time. Of several on one target that counts which leaves the least, and then
// that which lasts longest.
func (b *Board) placeMaintenance(v *View, now time.Time) {
	v.everywhere = nil
	by := map[int]*Maintenance{}
	for _, m := range b.upkeep {
		switch {
		case m.over(now):
			b.ended = true
			continue
		case !m.begun(now):
			b.wordStep = earlier(b.wordStep, m.From)
			continue
		}
		b.ended = b.ended || !m.Told
		o := m.draining()
		b.wordStep = earlier(earlier(b.wordStep, m.Until), o.nextStep(now))
		for _, endpoint := range b.chosen(&m) {
			for _, i := range b.at(endpoint) {
				at := int(i)
				was := by[at]
				if was == nil || m.Share(now) < was.Share(now) || m.Share(now) == was.Share(now) && m.Until.After(was.Until) {
					by[at] = &m
				}
			}
		}
	}
	for i, m := range by {
		v.states[i] |= overridden
		v.everywhere = append(v.everywhere, m.word(i, v.Judged(i), now))
	}
	inOrder(v.everywhere)
}

// word is what a maintenance that has begun says of a target whose own detail is d.
func (m *Maintenance) word(target int, d Detail, now time.Time) forced {
	o := m.draining()
	o.Reason, o.Source = "maintenance "+m.ID+" until "+stamp(m.Until), m.Source
	if m.Reason != "" {
		o.Reason += ": " + m.Reason
	}
	f := o.word(target, d, now)
	if f.state == Down {
		f.detail.Authority = Upkeep
		f.detail.Reason = strings.TrimPrefix(f.detail.Reason, "drained: ")
	}
	return f
}

// sweepMaintenance writes down what began and ended, and forgets what is over.
// overriding is held.
func (b *Board) sweepMaintenance(due []Maintenance, now time.Time) {
	slices.SortFunc(due, func(x, y Maintenance) int { return x.From.Compare(y.From) })
	for _, m := range due {
		by := audit.By{Who: audit.Node, Why: m.Reason}
		if !m.Told {
			b.mu.Lock()
			selected := b.chosen(&m)
			b.mu.Unlock()
			b.log.Info("maintenance began", "id", m.ID, "what", m.how(), "endpoints", len(selected), "reason", m.Reason, "source", m.Source)
			b.tellOf(history.MaintenanceBegan, &m, selected, m.Source)
			b.enter(by.Entry(audit.MaintenanceBegan, m.ID, "set by "+m.Source+", endpoints now: "+fewOf(selected)))
			m.Told = true
		}
		if m.over(now) {
			b.log.Info("maintenance ended", "id", m.ID, "what", m.how(), "source", m.Source)
			b.enter(by.Entry(audit.MaintenanceEnded, m.ID, "set by "+m.Source))
			b.forgotten(b.keepMaintenance(m.ID, nil))
			b.mu.Lock()
			b.tellOf(history.MaintenanceEnded, &m, b.chosen(&m), m.Source)
			delete(b.upkeep, m.ID)
			delete(b.selected, m.ID)
			b.mu.Unlock()
			continue
		}
		raw, err := json.Marshal(m)
		if err == nil {
			err = b.keepMaintenance(m.ID, raw)
		}
		if err != nil {
			b.log.Error("maintenance not kept: a restart would write once more that it began", "id", m.ID, "error", err)
		}
		b.mu.Lock()
		b.upkeep[m.ID] = m
		b.mu.Unlock()
	}
}
