package conduct

import (
	"log/slog"
	"slices"
	"time"

	"github.com/rhumb-dns/rhumb/health"
)

// View is the state of every course at one instant. It is immutable, and aligned
// with one list of courses: course i of the table it was made for is Course(i).
type View struct {
	base  time.Time // the instant 0
	pages []*page
	n     int
}

// pageLen is how many courses share a page. A change copies one page and the
// list of pages.
const pageLen = 128

type page [pageLen]*entry

// entry is one course as it was published.
type entry struct {
	State
	course // as it was then: facts for explanations
}

// Len is the number of courses.
func (v *View) Len() int { return v.n }

// Course is the state of course i.
func (v *View) Course(i int) *State { return &v.entry(i).State }

// Of is the course that i is.
func (v *View) Of(i int) *Course { return v.entry(i).course.Course }

func (v *View) entry(i int) *entry { return v.pages[i/pageLen][i%pageLen] }

// Begun is the view of courses that begin now with what health says: for
// explaining a configuration without a running node, and for tests.
func Begun(courses []Course, h *health.View) *View {
	d := Director{base: time.Now().Add(-1), log: slog.New(slog.DiscardHandler), meters: newMeters(nil, nil), wake: make(chan struct{}, 1)}
	d.Apply(courses, h)
	return d.View()
}

// wall is an instant as the clock on the wall has it now, which may have been
// set since: what is between them and now has gone by evenly.
func wall(base time.Time, t instant) time.Time {
	now := time.Now()
	return now.Add(time.Duration(t) - now.Sub(base)).Round(time.Millisecond).UTC()
}

// entry is the course as it is to be published: what was published last when
// nothing has changed.
func (c *course) entry() *entry {
	if c.shown != nil && c.same(c.shown) {
		return c.shown
	}
	e := &entry{course: *c}
	e.ends = slices.Clone(c.ends)
	e.events, e.shown = nil, nil
	e.Stands, e.Moving = c.stands, c.moving
	e.States = make([]health.State, len(c.ends))
	for i := range c.ends {
		e.States[i] = c.ends[i].eff
		if share, _ := c.share(&c.ends[i]); share != Whole {
			if e.Shares == nil {
				e.Shares = slices.Repeat([]uint16{Whole}, len(c.ends))
			}
			e.Shares[i] = share
		}
	}
	c.shown = e
	return e
}

// same is whether what was published still holds.
func (c *course) same(e *entry) bool {
	if !c.alike(&e.course) {
		return false
	}
	for i := range c.ends {
		before := uint16(Whole)
		if e.Shares != nil {
			before = e.Shares[i]
		}
		if share, _ := c.share(&c.ends[i]); share != before {
			return false
		}
	}
	return true
}

// alike is whether two states of a course differ in nothing but the time.
func (c *course) alike(was *course) bool {
	return c.stands == was.stands && c.proven == was.proven && c.since == was.since && c.below == was.below &&
		c.enough == was.enough && c.moving == was.moving && slices.Equal(c.ends, was.ends)
}
