package main

import (
	"context"
	"fmt"
)

// benchClient measures the client itself against the echo: that it is faster
// than what answers, and that the way it sends makes no difference to a server.
func benchClient(ctx context.Context, s *settings) ([]table, error) {
	t := table{
		Title: "The client against the echo",
		Head:  []string{"queries leave", "queries/s", "client busy", "echo busy", "echo's CPU µs"},
		Notes: []string{"Queries that leave in one piece (UDP_SEGMENT) come to the server one by one. The cost to the echo is to be the same both ways."},
	}
	c := contest{name: "client", shape: shape{Kind: "plain", Names: 1000}}
	p, err := startEcho(ctx, s, wants{cores: s.serverCores})
	if err != nil {
		return nil, err
	}
	defer p.end()
	ways := []struct {
		what   string
		single bool
		runs   []seen
		why    []string
	}{{what: "in one piece"}, {what: "one by one", single: true}}
	for range s.rounds {
		for i := range ways {
			r, why, err := s.measure(ctx, &c, p, order{Mode: modeFull, Window: window, Single: ways[i].single})
			if err != nil {
				return nil, err
			}
			if why != "" {
				ways[i].why = append(ways[i].why, why)
			}
			if why == "" || s.noisy {
				ways[i].runs = append(ways[i].runs, *r)
			}
		}
	}
	for _, w := range ways {
		if !enough(len(w.runs), s.rounds) {
			t.Rows = append(t.Rows, []string{w.what, refused, "", "", ""})
		} else {
			t.Rows = append(t.Rows, []string{
				w.what, spreadOf(each(w.runs, (*seen).rate)).text("%.0f"),
				spreadOf(each(w.runs, func(r *seen) float64 { return 100 * r.Busy })).text("%.0f") + "%",
				spreadOf(each(w.runs, func(r *seen) float64 { return 100 * r.share(r.Server.Total) })).text("%.0f") + "%",
				spreadOf(each(w.runs, cpuOf)).text("%.2f"),
			})
		}
		for _, why := range reasons(w.why) {
			t.Notes = append(t.Notes, fmt.Sprintf("Refused of %s: %s.", w.what, why))
		}
	}
	return []table{t}, nil
}
