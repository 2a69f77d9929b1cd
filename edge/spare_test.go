package edge

import (
	"runtime"
	"testing"
)

// TestSpare takes a large snapshot and looks whether memory was given back, and that a
// small one is not worth it.
func TestSpare(t *testing.T) {
	for _, c := range []struct {
		records int
		want    uint32
	}{{manyRecords, 1}, {manyRecords - 1, 0}} {
		o := options()
		o.Zone, o.Apex = name("gslb.example"), apex("gslb.example")
		e := start(t, o, says(string(many(c.records))))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := e.sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if got := after.NumForcedGC - before.NumForcedGC; got != c.want {
			t.Errorf("%d records: %d collections were asked for, want %d", c.records, got, c.want)
		}
	}
}
