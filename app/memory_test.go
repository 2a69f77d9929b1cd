package app

import (
	"runtime"
	"testing"
)

// A node of many targets may grow by so much that a burst of changes is not a
// collection at every megabyte, and by no more when it is large.
func TestGrowth(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, defaultGCPercent},
		{8 << 20, defaultGCPercent},
		{32 << 20, 50},
		{100 << 20, 16},
		{1 << 30, targetsGCPercent},
	} {
		if got := growth(c.live); got != c.want {
			t.Errorf("%d MiB: %d%%, want %d%%", c.live>>20, got, c.want)
		}
	}
	runtime.GC()
	if live() == 0 {
		t.Error("nothing is known of the memory in use")
	}
}
