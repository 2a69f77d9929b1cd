package health

import "time"

// Probed is one check of a target as its probes left it.
type Probed struct {
	Check    string
	Type     string
	Host     string // Host header and SNI; empty for none
	Port     uint16
	Interval time.Duration
	State    State
	Streak   int // results in a row against State
	Runs     int // results since this node started
	// Of the last result; zero before the first.
	At     time.Time
	OK     bool
	Class  string
	Detail string
	RTT    time.Duration
	// Latency is the smoothed time of its connections; 0 while it is not known.
	Latency time.Duration
}

// Probed is the checks of target i of the board's present targets, in the order
// the configuration has them. It is nil for a target that nobody judges, and
// when the targets have changed since generation.
func (b *Board) Probed(generation uint64, i int) []Probed {
	b.mu.Lock()
	defer b.mu.Unlock()
	if generation != b.generation || i < 0 || i >= len(b.onTarget) {
		return nil
	}
	var all []Probed
	now := time.Now()
	for k, r := range b.onTarget[i] {
		p := Probed{
			Check: b.targets[i].Checks[k].Name, Type: string(r.check.Type), Host: r.check.Host, Port: r.check.Port,
			Interval: r.check.Interval, State: r.verdict.state, Streak: r.verdict.streak, Runs: r.runs,
			OK: r.last.OK, Class: string(r.last.Class), Detail: r.last.Detail, RTT: r.last.RTT,
			Latency: time.Duration(r.trip.known(r.check.Interval, now)) * time.Microsecond,
		}
		if r.runs > 0 {
			p.At = r.verdict.seen
		}
		all = append(all, p)
	}
	return all
}
