package zone

import (
	"iter"
	"slices"
)

// step is how data came of others: by other entries of some names.
type step struct {
	from  *mark
	names []byte // each with its length before it
}

// maxSteps is how many of them data remember. A tree is behind by one of them, or by
// those of a feeder that amends several times before it hands over; who looks at
// all names first, for seconds, is behind by all that have come meanwhile.
const maxSteps = 512

// stepsFrom are the steps of data that came of d, the older ones forgotten when
// there are more than maxSteps or, together, more octets than limit and than few.
func stepsFrom(d *Data, names []byte, limit int) []step {
	limit = max(limit, few)
	octets, from := len(names), len(d.steps)
	if octets > limit {
		return nil
	}
	for from > 0 && len(d.steps)-from < maxSteps-1 {
		if octets += len(d.steps[from-1].names); octets > limit {
			break
		}
		from--
	}
	return slices.Concat(d.steps[from:], []step{{d.places.Load().mark, names}})
}

// Since yields the names, in lower-case wire form, whose records may be others in d
// than in old, perhaps several times: those of the amendments that lead from the last
// data that both came of to either. The names are not to be changed. Not ok: nobody
// remembers how the two are related. It costs what the names do, and what it takes to find
// how they are related: of data that are close a few looks, of others all steps of both.
func (d *Data) Since(old *Data) (names iter.Seq[[]byte], ok bool) {
	mine, theirs, ok := d.ways(old)
	if !ok && d != old {
		return nil, false
	}
	return func(yield func([]byte) bool) {
		for _, s := range slices.Concat(mine, theirs) {
			for b := s.names; len(b) > 0; b = b[1+int(b[0]):] {
				if !yield(b[1 : 1+int(b[0])]) {
					return
				}
			}
		}
	}, true
}

// ways are the steps from the last data that both came of to each of them.
func (d *Data) ways(old *Data) (mine, theirs []step, ok bool) {
	for i := len(d.steps); i >= 0; i-- {
		m := d.markAt(i)
		for k := len(old.steps); k >= 0 && m != nil; k-- {
			if old.markAt(k) == m {
				return d.steps[i:], old.steps[k:], true
			}
		}
	}
	return nil, nil, false
}

// markAt is the mark of what the data were before a step; behind the last one of
// the data themselves, nil when they have none.
func (d *Data) markAt(i int) *mark {
	if i < len(d.steps) {
		return d.steps[i].from
	}
	if p := d.places.Load(); p != nil {
		return p.mark
	}
	return nil
}

// spent is whether some entries are dead.
func (d *Data) spent() bool {
	return slices.ContainsFunc(d.dead, func(n uint32) bool { return n > 0 })
}
