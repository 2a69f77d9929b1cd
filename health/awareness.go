package health

import "time"

// Awareness is what a node knows of its own trouble.
type Awareness struct {
	// Suspect is that verdicts of down are held since Since, because Silent of Asked
	// probes, Share of them as it counts, are silent. Held is how many verdicts are.
	// Cut is what is wrong with this node's own link or routes; empty where nothing is
	// known to be.
	Suspect       bool
	Since         time.Time
	Silent, Asked int
	Share         float64
	Held          int
	Cut           string
	// Stalls are how often this process stood still when it had to judge, the last
	// time StalledAt for so Long.
	Stalls    int
	StalledAt time.Time
	Long      time.Duration
	// Jumps are how often the clock jumped, the last time JumpedAt by so much.
	Jumps    int
	JumpedAt time.Time
	By       time.Duration
	Idle     int // targets
}

// Awareness is what the board knows of the node's own trouble.
func (b *Board) Awareness() Awareness {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, s := &b.aware, &b.aware.stalls
	w := Awareness{
		Suspect: a.suspect, Held: a.held, Stalls: s.count, StalledAt: s.at, Long: s.long,
		Jumps: s.jumps, JumpedAt: s.jumped, By: s.by, Idle: a.idle,
	}
	if a.suspect {
		w.Since, w.Silent, w.Asked, w.Share, w.Cut = a.since, a.silent, a.asked, a.share, a.cut
	}
	return w
}
