package app

import (
	"os"
	"runtime/debug"
	"runtime/metrics"

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
	// some day. But it is no less than targetsGrowth: when many targets change at
	// once, a collection at every megabyte takes the processor from the queries.
	targetsGCPercent = 15
	targetsGrowth    = 16 << 20
	// defaultGCPercent is Go's.
	defaultGCPercent = 100
)

// release gives the memory of a large configuration as text, and of the table
// before, back to the system, and says how much may lie about from now on. Who states
// GOGC has it.
func release(e *rhumb.Engine) {
	t := e.Snapshot().Table
	if t.Len() >= manyNames || len(t.Targets) >= manyTargets {
		debug.FreeOSMemory()
	}
	if os.Getenv("GOGC") == "" {
		percent := defaultGCPercent
		if len(t.Targets) >= manyTargets {
			percent = growth(live())
		}
		debug.SetGCPercent(percent)
	}
}

// growth is by how many percent the memory of a node of many targets may grow, when
// so much of it is in use.
func growth(live uint64) int {
	return min(max(targetsGCPercent, int(100*targetsGrowth/max(live, 1))), defaultGCPercent)
}

// live is how much memory was in use after the last collection, in octets.
func live() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64()
}
