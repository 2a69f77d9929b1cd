package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"
)

// presets are all that there are, in the order of their tables.
var presets = []string{"round-robin", "random", "weighted", "failover", "geo", "nearest", "latency", "sticky"}

// presetOf begins the word of a service that is steered by a preset.
const presetOf = "preset "

// mostPreset is how much more CPU a preset may take than static data.
const mostPreset = 1.25

// benchPresets measures what each preset costs a whole server, beside static data
// in the same run.
func benchPresets(ctx context.Context, s *settings) ([]table, error) {
	var out []table
	for _, kind := range []struct{ name, title string }{
		{"world", "every query with the client subnet of a random network"},
		{"sources", "plain queries from 65,536 networks"},
	} {
		c := &contest{
			name: "steering", shape: shape{Kind: kind.name, Names: 1000}, world: true, keep: true,
			full: order{Mode: modeFull, Window: window},
			who:  []contestant{rhumbStatic("static data")},
		}
		for _, p := range presets {
			c.who = append(c.who, contestant{p, startRhumb, presetOf + p})
		}
		c.who[1+slices.Index(presets, "latency")].start = startMeasured
		lines, err := runContest(ctx, s, c)
		if err != nil {
			return nil, err
		}
		t := table{
			Title: fmt.Sprintf("One of 8 endpoints in 8 places by each preset, %s; CPU in µs a query, user + system = together", kind.title),
			Notes: []string{fmt.Sprintf("Static data is measured before each preset. The ratio is not to be above %.2f.", mostPreset)},
			Head:  []string{"steering", "queries/s", "user", "system", "CPU", "÷ static data"},
		}
		for i := range lines {
			l := &lines[i]
			row := l.saturated(s)
			if row[0] != refused && i > 0 {
				row[len(row)-1] = spreadOf(ratios(each(l.full, cpuOf), each(l.beside, cpuOf))).text("%.2f")
			}
			t.Rows = append(t.Rows, append([]string{l.c.name}, row...))
			for _, why := range reasons(l.refused) {
				t.Notes = append(t.Notes, fmt.Sprintf("Refused of %s: %s.", l.c.name, why))
			}
		}
		out = append(out, t)
	}
	return out, nil
}

// startMeasured is rhumb with endpoints whose latency it measures: listeners of
// this process, one address each.
func startMeasured(ctx context.Context, s *settings, w wants) (*peer, error) {
	if s.listeners == nil {
		if err := s.listen(); err != nil {
			return nil, err
		}
	}
	w.measured = s.listeners
	p, err := startRhumb(ctx, s, w)
	if err != nil {
		return nil, err
	}
	// Three samples, a second apart, and some time to spread them.
	select {
	case <-time.After(6 * time.Second):
	case <-ctx.Done():
		p.end()
		return nil, ctx.Err()
	}
	return p, nil
}

// listen opens a listener for each site, and takes what comes until the process
// ends.
func (s *settings) listen() error {
	for i := range sites {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.1.%d:0", i+1))
		if err != nil {
			return err
		}
		s.listeners = append(s.listeners, l.Addr().(*net.TCPAddr).AddrPort())
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_ = conn.Close()
			}
		}()
	}
	return nil
}
