package app

import (
	"os"
	"runtime"
)

// processors is how many cores the process has, by its affinity and the limits of
// its container, unless GOMAXPROCS says otherwise: what GOMAXPROCS was before a
// node raised it.
var processors = runtime.GOMAXPROCS(0)

// workers is the number of UDP workers of one address for what the
// configuration states.
func workers(stated int) int {
	if stated == 0 && sharesCores {
		return processors
	}
	return max(1, stated)
}

// makeRoom raises GOMAXPROCS by n workers that are threads waiting in the kernel, and
// by the loop of probes, which keeps its place while the kernel works for it.
//
// A worker whose wait has ended needs one of GOMAXPROCS places to go on. With one
// place for each core, a compile or a collection has them all, and gives one up
// after 10 ms: for so long nobody is answered. With a place for each worker
// besides, it goes on at once, and the kernel, which knows who has waited, shares
// the cores. Who states GOMAXPROCS has it.
func makeRoom(n int) {
	if os.Getenv("GOMAXPROCS") != "" || !sharesCores {
		return
	}
	if want := processors + n + 1; runtime.GOMAXPROCS(0) != want {
		runtime.GOMAXPROCS(want) // stops the world
	}
}
