package lane

import (
	"os"
	"runtime"
	"sync"
)

// threads are the lanes that wait for datagrams, each with a thread of its own.
var threads struct {
	sync.Mutex
	n int
}

// occupy raises GOMAXPROCS by one for a lane, until release is called: its worker waits
// in the kernel, and the scheduler, having one processor less for everything else,
// would take that of the waiting one away again and again. What the environment states
// stays as it is.
func occupy() (release func()) {
	if os.Getenv("GOMAXPROCS") != "" {
		return func() {}
	}
	threads.Lock()
	defer threads.Unlock()
	threads.n++
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	return func() {
		threads.Lock()
		defer threads.Unlock()
		if threads.n--; threads.n == 0 {
			runtime.SetDefaultGOMAXPROCS() // which follows a container's limit again
			return
		}
		runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)-1))
	}
}
