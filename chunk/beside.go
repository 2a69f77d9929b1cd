package chunk

import (
	"os"
	"runtime/debug"
	"sync/atomic"
)

// besideFrom is the size of a file from which on two look at it: a smaller one is
// through before another thread has begun.
var besideFrom int64 = 4 << 20

// besideMisses is how many places may differ before one gives up: most files that
// change do so in one.
const besideMisses = 8

// beside looks for the stretches of the last reading from the end of a file on,
// while a Reader does from its beginning, until they meet. It expects them as far
// from the end as they were; and before a place that differs, as far from the
// beginning.
type beside struct {
	marks []Mark
	head  []int64 // where they were, and how large the file was
	// seen is one more than where the text of a stretch has been found, 0 for
	// nowhere.
	seen  []atomic.Int64
	front atomic.Int64 // the stretch that the Reader expects next
	stop  atomic.Bool
	done  chan struct{}
}

// lookBeside begins to look at a file, on another goroutine of run's choice.
func lookBeside(f *os.File, size int64, marks []Mark, run func(func())) *beside {
	if run == nil || size < besideFrom {
		return nil
	}
	b := &beside{
		marks: marks, head: make([]int64, len(marks)+1), seen: make([]atomic.Int64, len(marks)),
		done: make(chan struct{}),
	}
	for i, m := range marks {
		b.head[i+1] = b.head[i] + int64(m.Size)
	}
	run(func() {
		defer close(b.done)
		b.look(f, size)
	})
	return b
}

func (b *beside) look(f *os.File, size int64) {
	w := openWindows(f)
	if w == nil || w.size != size {
		return
	}
	w.backwards = true
	defer w.close()
	var gone error // whatever it is, the Reader will find it too
	defer w.faulted(debug.SetPanicOnFault(true), &gone)
	shift, misses := size-b.head[len(b.marks)], 0
	for k := len(b.marks) - 1; k >= 0 && int64(k) > b.front.Load() && !b.stop.Load(); k-- {
		n := int(b.marks[k].Size)
		at := b.head[k] + shift
		if at >= 0 && at+int64(n) <= size && n > 0 {
			text, err := w.view(at, n)
			if err != nil {
				return
			}
			if (text[n-1] == '\n' || at+int64(n) == size) && hash(text) == b.marks[k].sum {
				b.seen[k].Store(at + 1)
				continue
			}
		}
		if shift = 0; misses == besideMisses {
			return
		}
		misses++
	}
}

// has is whether the text of a stretch has been found at a place.
func (b *beside) has(i int, at int64) bool {
	return b != nil && b.seen[i].Load() == at+1
}

// expects notes which stretch the Reader looks for.
func (b *beside) expects(i int) {
	if b != nil {
		b.front.Store(int64(i))
	}
}

// end ends the looking and waits for that.
func (b *beside) end() {
	if b != nil {
		b.stop.Store(true)
		<-b.done
	}
}
