// Package meter has the instruments that a server reads its own traffic from:
// histograms of durations and sizes, the keys that are counted most, and the
// Reading that sums all of it up at one instant.
//
// Every worker has instruments of its own, so that it writes to memory that
// nobody else writes to; whoever wants to know adds those of all workers up. No
// instrument allocates, blocks or grows while it counts, whatever clients send.
//
//	worker --- Histogram, Sizes, Heavy ---+
//	worker --- Histogram, Sizes, Heavy ---+-- Reading --- metrics, /api/v1/top
//	TCP    --- Histogram, Sizes, Heavy ---+
//
// It knows neither sockets nor DNS messages.
package meter
