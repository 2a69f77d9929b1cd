package health

// Marks of a runner.
const (
	markQuiet   = 1 << iota // the last result was silence
	markProves              // the last result has shown that the network between works
	markAsked               // it is in the round
	markWaits               // in awareness.waiting
	markIdle                // nobody asks for any of its targets
	markSample              // it was in the last round
	markFirst               // its first probe has not been begun
	markSpread              // its first gap is spread, or has been
	markAwaited             // counted in Board.unsettled
	markGone                // no target wants it any more
	markDecides             // failing it takes some target down
	markHasty               // the probe under way has less than its timeout
)

func (r *runner) is(mark uint16) bool { return r.marks&mark != 0 }

func (r *runner) mark(mark uint16, on bool) {
	r.marks &^= mark
	if on {
		r.marks |= mark
	}
}

// later is whether a round came after another one.
func later(number, other uint16) bool { return int16(number-other) > 0 }
