package yield_test

import (
	"testing"

	"github.com/rhumb-dns/rhumb/yield"
)

func BenchmarkThread(b *testing.B) {
	for b.Loop() {
		yield.Thread()
	}
}
