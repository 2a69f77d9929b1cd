package app

import (
	"os"
	"runtime/debug"

	"github.com/rhumb-dns/rhumb"
)

const (
	// manyNames and manyTargets are from when on what a load leaves behind is worth a
	// collection.
	manyNames, manyTargets = 10_000, 10_000
	// manyPlans is from when on to collect takes longer than to load.
	manyPlans = 5_000
	// loadGCPercent is by how many percent the memory may grow between two
	// collections while a large configuration is loaded.
	loadGCPercent = 20
	// targetsGCPercent is the same for a node of many targets, loading or not. They
	// live as long as the configuration, and judging them leaves next to nothing
	// behind: collections are rare at any percentage, and what it allows is in use
	// some day.
	targetsGCPercent = 15
	// defaultGCPercent is Go's.
	defaultGCPercent = 100
)

// release gives the memory of a large configuration as text, and of the table
// before, back to the system, and says how much may lie about from now on. Who states
// GOGC has it.
func release(e *rhumb.Engine) {
	t := e.Snapshot().Table
	if os.Getenv("GOGC") == "" {
		percent := defaultGCPercent
		if len(t.Targets) >= manyTargets {
			percent = targetsGCPercent
		}
		debug.SetGCPercent(percent)
	}
	if t.Len() >= manyNames || len(t.Targets) >= manyTargets {
		debug.FreeOSMemory()
	}
}
