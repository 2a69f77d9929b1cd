package health

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// What probes find out is written to the log, a line for each change, until there are
// so many within so long: endpoints that flap, or a network that has gone, must not
// fill a disk. Of the rest it is said how many there were.
const (
	chatterLines = 200
	chatterTime  = 10 * time.Second
)

// chatter counts lines of the log. A Board's mutex guards it.
type chatter struct {
	until time.Time      // when counting begins anew
	lines int            // that were written since it began
	left  map[string]int // messages that were not, by their text
}

// say writes a line about a probe or what it is about, if there have not been too many.
func (b *Board) say(level slog.Level, msg string, args ...any) {
	c, now := &b.chatter, time.Now()
	b.leftOut(now)
	if !now.Before(c.until) {
		c.until, c.lines = now.Add(chatterTime), 0
	}
	if c.lines < chatterLines {
		c.lines++
		b.log.Log(context.Background(), level, msg, args...)
		return
	}
	if c.left == nil {
		c.left = map[string]int{}
	}
	c.left[msg]++
}

// leftOut says what was left out once its time is over, or how long that is from now.
func (b *Board) leftOut(now time.Time) time.Duration {
	c := &b.chatter
	if len(c.left) == 0 {
		return forever
	}
	if wait := c.until.Sub(now); wait > 0 {
		return wait
	}
	for _, msg := range slices.Sorted(maps.Keys(c.left)) {
		b.log.Warn("lines left out of the log: there were too many", "message", msg, "lines", c.left[msg], "within", chatterTime.String())
	}
	clear(c.left)
	return forever
}
