package spec

import (
	"fmt"
	"strings"
	"time"
)

// Window is a time of the week during which pools serve. It goes by the clock on
// the wall of its zone: what that clock skips in spring is no part of it, and
// what it shows twice in autumn is so both times.
type Window struct {
	Pools []string // the names, in the order written
	Days  Days     // on which it begins
	// From and To are minutes since midnight, To up to 24*60. To at or before From
	// is on the next day.
	From, To int
	Zone     string // of the IANA database
	Location *time.Location
}

// Days is a set of days of the week: bit time.Weekday is set for those in it.
type Days uint8

const everyDay Days = 1<<7 - 1

const wholeDay = 24 * 60

// dayNames are the days in the order of a week that begins on Monday.
var dayNames = [7]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// weekday is the day of a position in dayNames.
func weekday(i int) time.Weekday { return time.Weekday((i + 1) % 7) }

func (d Days) has(w time.Weekday) bool { return d&(1<<w) != 0 }

func (d Days) String() string {
	var out []string
	for i := 0; i < 7; i++ {
		if !d.has(weekday(i)) {
			continue
		}
		j := i
		for j < 6 && d.has(weekday(j+1)) {
			j++
		}
		if j > i+1 {
			out = append(out, dayNames[i]+"-"+dayNames[j])
			i = j
		} else {
			out = append(out, dayNames[i])
		}
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// String is the window as the configuration writes it.
func (w *Window) String() string {
	return fmt.Sprintf("{pools: [%s], %s}", strings.Join(w.Pools, ", "), w.hours())
}

// hours is when the window is open, as the configuration writes it.
func (w *Window) hours() string {
	clock := func(m int) string { return fmt.Sprintf("%02d:%02d", m/60, m%60) }
	return fmt.Sprintf(`days: %s, from: "%s", to: "%s", zone: %s`, w.Days, clock(w.From), clock(w.To), w.Zone)
}

// Same is whether two windows are open at the same times.
func (w *Window) Same(o *Window) bool {
	return w.Days == o.Days && w.From == o.From && w.To == o.To && w.Zone == o.Zone
}

// Windows is windows as the configuration writes them.
func Windows(ws []*Window) string {
	out := make([]string, len(ws))
	for i, w := range ws {
		out[i] = w.String()
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// looks bounds how many edges Open looks at: two of each day, midnights and
// changes of the clock among them, for more than two weeks. A window that the
// clock skips once a year is found the week after.
const looks = 64

// Open is whether the window is open at t, and when that may change: not before
// until, which is after t. The zero time is never.
func (w *Window) Open(t time.Time) (open bool, until time.Time) {
	t = t.In(w.Location)
	open = w.at(t)
	if w.Days == everyDay && w.From == 0 && w.To == wholeDay {
		return open, time.Time{}
	}
	at := t
	for range looks {
		at = w.edge(at)
		if w.at(at) != open {
			break
		}
	}
	return open, at
}

// at is whether the clock shows a time of the window.
func (w *Window) at(t time.Time) bool {
	day := t.Weekday()
	second := clockOf(t)
	from, to := w.From*60, w.To*60
	if from < to {
		return w.Days.has(day) && second >= from && second < to
	}
	return w.Days.has(day) && second >= from || w.Days.has((day+6)%7) && second < to
}

// clockOf is the seconds since midnight that the clock shows.
func clockOf(t time.Time) int { return t.Hour()*3600 + t.Minute()*60 + t.Second() }

// edge is the next time after t at which the window may open or close: when the
// clock shows From, To or midnight, or is changed.
func (w *Window) edge(t time.Time) time.Time {
	t = t.Truncate(time.Second)
	now := clockOf(t)
	wait := wholeDay*60 - now
	for _, m := range [...]int{w.From, w.To} {
		if m*60 > now {
			wait = min(wait, m*60-now)
		}
	}
	// As long as the clock runs on, so much later it shows that.
	next := t.Add(time.Duration(wait) * time.Second)
	if _, change := t.ZoneBounds(); !change.IsZero() && change.After(t) && change.Before(next) {
		return change
	}
	return next
}
