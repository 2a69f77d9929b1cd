//go:build race

package edge

// rounds is how many rounds a loop of one goroutine does that has n. The race detector
// finds nothing in one, at many times its cost; the tests without it do them all.
func rounds[N int | uint64](n N) N { return (n + 9) / 10 }
