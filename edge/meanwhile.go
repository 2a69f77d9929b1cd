package edge

import (
	"cmp"
	"slices"
)

// maxMeanwhile is how many changes are remembered while a snapshot comes in.
const maxMeanwhile = 10_000

// meanwhile is what is done between the question for a snapshot and its records in force.
// The snapshot takes the place of it, and may know of it or not.
type meanwhile struct {
	asked bool   // a snapshot is on its way
	since string // the version that was there when it was asked for
	steps []step
	n     int // ops of the steps, with those that are forgotten
}

// step is what a notification or an event did.
type step struct {
	ops []op
	to  string // the version that an event leads to; empty: a notification names none
}

// begin is that a snapshot is asked for, with this version there.
func (m *meanwhile) begin(version string) { *m = meanwhile{asked: true, since: version} }

// end is that there is none on its way any more.
func (m *meanwhile) end() { *m = meanwhile{} }

// note remembers a step; too many are forgotten.
func (m *meanwhile) note(ops []op, to string) {
	if !m.asked {
		return
	}
	if m.n += len(ops); m.n > maxMeanwhile {
		m.steps = nil
		return
	}
	m.steps = append(m.steps, step{ops, to})
}

// after is what is to be done again once a snapshot of a version is there, and which
// version it leads to.
//
// What notifications said is, but for records that an event has said otherwise since which is
// in the snapshot: nobody knows whether the snapshot has it, and done twice it is as done
// once. Events are those that come after the version: what leads up to it is in the
// snapshot, and done again it would undo what came later. All is not known when the version
// is none of theirs, or steps were forgotten.
func (m *meanwhile) after(version string) (again []step, to string, known bool) {
	at := -1 // the first step that the snapshot does not have; -1: not known
	if m.since == version {
		at = 0
	}
	for i, s := range m.steps {
		if s.to != "" && s.to == version {
			at = i + 1
		}
	}
	to, known = "", m.n <= maxMeanwhile
	settled := map[stray]bool{}
	for i, s := range slices.Backward(m.steps) {
		switch {
		case s.to == "":
			s.ops = slices.DeleteFunc(slices.Clone(s.ops), func(o op) bool { return settled[o.of()] })
			again = append(again, s)
		case at < 0:
			known = false
		case i >= at:
			again, to = append(again, s), cmp.Or(to, s.to)
		default:
			for k := range s.ops {
				settled[s.ops[k].of()] = true
			}
		}
	}
	slices.Reverse(again)
	return again, cmp.Or(to, version), known
}
