package edge

import (
	"bytes"
	"runtime"
	"testing"
)

// TestSpare takes a large snapshot and looks whether memory was given back, one that is
// refused at its end, and a small one, which is not worth it.
func TestSpare(t *testing.T) {
	for what, c := range map[string]struct {
		text []byte
		want uint32
	}{
		"large":         {many(manyRecords), 1},
		"small":         {many(manyRecords - 1), 0},
		"large refused": {bytes.TrimSuffix(many(manyOctets/80), []byte("}")), 1},
		"small refused": {bytes.TrimSuffix(many(1000), []byte("}")), 0},
	} {
		o := options()
		o.Zone, o.Apex = name("gslb.example"), apex("gslb.example")
		e := start(t, o, says(string(c.text)))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := e.sync(t.Context()); (err == nil) != bytes.HasSuffix(c.text, []byte("}")) {
			t.Errorf("%s: error %v", what, err)
		}
		runtime.ReadMemStats(&after)
		if got := after.NumForcedGC - before.NumForcedGC; got != c.want {
			t.Errorf("%s: %d collections were asked for, want %d", what, got, c.want)
		}
	}
}
