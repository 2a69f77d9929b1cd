package edge

import (
	"bytes"
	"slices"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// maxStrays is how many records of notifications are told apart.
const maxStrays = 10_000

// strays are the records that notifications have made others than the last snapshot and
// the events after it have them. The version does not say so: when the controller has
// gone back to what it had, and that notification is lost, or when the notification was
// another controller's, it finds that nothing has changed since, for ever.
//
// So a poll that finds nothing has them doubted, for a controller may take a while to have
// in its snapshot what it has pushed, and the next poll asks for a snapshot.
type strays struct {
	since   map[stray]struct{}
	many    bool // more than are told apart: nothing but a snapshot settles them
	doubted bool
}

// stray is one record.
type stray struct {
	name dnswire.Name
	kind kind
}

// of is which record an op is of.
func (o *op) of() stray { return stray{o.name, o.kind} }

func (s *strays) none() bool { return len(s.since) == 0 && !s.many }

// add adds what a change has really changed.
func (s *strays) add(c *change) {
	for name, n := range c.names {
		was := c.before[name]
		for k := range n {
			if alike(&was[k], &n[k]) || s.many {
				continue
			}
			if len(s.since) == maxStrays {
				s.since, s.many = nil, true
				break
			}
			if s.since == nil {
				s.since = map[stray]struct{}{}
			}
			s.since[stray{name, kind(k)}] = struct{}{}
		}
	}
}

func alike(a, b *record) bool {
	return a.form == b.form && a.off == b.off && a.ttl == b.ttl && bytes.Equal(a.data, b.data)
}

// redone adds what a change that does steps again has really changed. Where an event has the
// last word it is as good as a snapshot.
func (s *strays) redone(c *change, steps []step) {
	s.add(c)
	var sure []op
	told := map[stray]bool{}
	for _, st := range slices.Backward(steps) {
		for k := range st.ops {
			o := &st.ops[k]
			switch {
			case st.to != "" && !told[o.of()]:
				sure = append(sure, *o)
			case st.to == "" && o.gone && o.kind == kindCNAME: // whatever makes an alias
				for k := range kinds {
					told[stray{o.name, kind(k)}] = true
				}
			case st.to == "":
				told[o.of()] = true
			}
		}
	}
	s.settle(sure)
}

// settle takes those away of which an event says how they are.
func (s *strays) settle(ops []op) {
	for i := range ops {
		delete(s.since, ops[i].of())
	}
	if s.none() {
		s.doubted = false
	}
}

// unchanged is that a controller has said that nothing has changed.
func (s *strays) unchanged() { s.doubted = !s.none() }
