//go:build race

package health

// raced is whether the race detector is at work, under which a test costs many times
// as much.
const raced = true
