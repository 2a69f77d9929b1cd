package server

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// pins is whether this system can pin a thread.
const pins = true

// allowed are the processors that the process may use. They are asked for when
// it starts, before any thread is pinned: each thread has a set of its own, and
// there is no other one of the process.
var allowed, errAllowed = affinity()

func affinity() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	var all []int
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	return all, nil
}

// pinThread binds the calling goroutine to its thread, and that to one of the
// allowed processors: the i-th, counted around. The goroutine must end with the
// thread bound, so that the thread ends too and nobody inherits its set.
func pinThread(i int) error {
	if errAllowed != nil {
		return errAllowed
	}
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(allowed[i%len(allowed)])
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("sched_setaffinity: processor %d: %w", allowed[i%len(allowed)], err)
	}
	return nil
}
