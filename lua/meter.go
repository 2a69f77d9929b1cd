package lua

import (
	"context"
	"errors"
	"time"

	"github.com/yuin/gopher-lua"
)

// What one run may take. Honest checks need a hundredth of it.
const (
	// maxSteps are instructions and what our libraries do that takes as long as
	// one: some tenths of a second of one core.
	maxSteps = 5_000_000
	// maxBytes are counted as they are taken and never given back, so that the
	// count depends on the script alone and not on the garbage collector.
	maxBytes = 64 << 20
	// maxString is the longest text, so that no single operation takes long.
	maxString = 1 << 20
	// maxCalls is how deep calls may be in each other.
	maxCalls = 200
	// Values on the stack. A call gives at most so many.
	stackSize, stackStep, maxStack = 1 << 10, 1 << 12, 1 << 15
)

// Why a script was stopped, beside the errors of its context.
var (
	ErrSteps  = errors.New("more than 5000000 instructions")
	ErrMemory = errors.New("more than 64 MiB of memory")
)

// meter is the context of the interpreter, which looks at Done before each
// instruction. It is of one run, and not for concurrent use.
type meter struct {
	ctx   context.Context
	ended <-chan struct{}
	steps int
	bytes int
	// ends are the arrays that may have no value at their end, and how long each is
	// with it: that much is passed over whenever somebody asks for its length. far is
	// the same for all arrays, where it is not known which.
	ends map[*lua.LTable]int
	far  int
	// why the script was stopped. Once it is there it stays, so that no pcall goes
	// on after it.
	why error
}

func newMeter(ctx context.Context) *meter {
	return &meter{ctx: ctx, ended: ctx.Done(), steps: maxSteps, bytes: maxBytes}
}

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// lookEvery is how many steps go by from one look at the clock to the next. A power of
// two, and a small one: a step that compares two texts of a mebibyte takes a hundred
// microseconds.
const lookEvery = 32

// Done is closed once the script is to stop.
func (m *meter) Done() <-chan struct{} {
	if m.why == nil {
		m.steps--
		if m.steps&(lookEvery-1) != 0 {
			return nil
		}
		m.look()
	}
	if m.why != nil {
		return closed
	}
	return nil
}

// look sees whether time or steps have run out.
func (m *meter) look() {
	select {
	case <-m.ended:
		m.stop(m.ctx.Err())
	default:
		if m.steps <= 0 {
			m.stop(ErrSteps)
		}
	}
}

func (m *meter) stop(why error) {
	if m.why == nil {
		m.why = why
	}
}

func (m *meter) Err() error                  { return m.why }
func (m *meter) Deadline() (time.Time, bool) { return m.ctx.Deadline() }
func (m *meter) Value(key any) any           { return m.ctx.Value(key) }

// step counts n steps of a library that has been at it; false: it has to stop.
func (m *meter) step(n int) bool {
	before := m.steps
	m.steps -= n
	if before/lookEvery != m.steps/lookEvery || m.steps <= 0 {
		m.look()
	}
	return m.why == nil
}

// take charges n bytes before they are taken, or ends the script.
func (m *meter) take(l *lua.LState, n int) {
	if n > m.bytes {
		m.stop(ErrMemory)
	}
	m.bytes -= max(n, 0)
	m.check(l)
}

// work counts n steps, or ends the script.
func (m *meter) work(l *lua.LState, n int) {
	if !m.step(n) {
		m.check(l)
	}
}

// passed is how many values without one take as long as a step.
const passed = 8

// size is the length of an array, and counts what it takes to find it.
func (m *meter) size(l *lua.LState, t *lua.LTable) int {
	n := t.Len()
	m.pass(l, m.end(t)-n)
	return n
}

// end is how long an array may be with what has no value at its end; 0: not longer than
// it is.
func (m *meter) end(t *lua.LTable) int { return max(m.ends[t], m.far) }

// emptied notes that there is no value at i of an array, which has so much room at most.
func (m *meter) emptied(l *lua.LState, t *lua.LTable, i int) {
	have, known := m.ends[t]
	if !known {
		m.take(l, fieldBytes)
		if m.ends == nil {
			m.ends = map[*lua.LTable]int{}
		}
	}
	m.ends[t] = max(have, i)
}

// pass counts n values of an array that were passed over.
func (m *meter) pass(l *lua.LState, n int) {
	if n >= passed {
		m.work(l, n/passed)
	}
}

// check ends the script if it is to stop.
func (m *meter) check(l *lua.LState) {
	if m.why != nil {
		l.RaiseError("%s", m.why)
	}
}

// text pushes a new string that takes memory of its own.
func (m *meter) text(l *lua.LState, s string) {
	m.fits(l, len(s))
	l.Push(lua.LString(s))
}

// textBytes is what a string takes beside its bytes.
const textBytes = 32

// fits charges a string of n bytes, which is yet to be made.
func (m *meter) fits(l *lua.LState, n int) {
	if n > maxString {
		l.RaiseError("a text of more than %d bytes", maxString)
	}
	m.take(l, n+textBytes)
}
