package app

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// loadNice is the nice value of the thread that loads a configuration: about a
// tenth of a core where queries want all of it, and at once out of the way of one.
const loadNice = 10

// background runs f beside whoever asks, and waits for its end.
func background(f func()) {
	done := make(chan struct{})
	beside(func() {
		defer close(done)
		f()
	})
	<-done
}

// beside runs f on a thread of lower priority than those that answer queries,
// which ends with it, since to raise a priority again takes rights.
func beside(f func()) {
	go func() {
		runtime.LockOSThread()
		// As far as the system lets it: it is no more than a kindness.
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), loadNice)
		f()
	}()
}
