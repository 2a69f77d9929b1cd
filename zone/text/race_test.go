//go:build race

package text

// raced is whether the race detector is at work. It finds nothing in a loop of one
// goroutine, at many times the loop's cost, so that such a loop does a part of its
// rounds under it; the tests without it do them all.
const raced = true

// rounds is how many rounds a loop does that has n.
func rounds[N int | uint64](n N) N { return (n + 9) / 10 }
