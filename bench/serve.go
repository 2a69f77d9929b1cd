package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// benchContest runs a case and makes its table.
func benchContest(ctx context.Context, s *settings, c *contest) ([]table, error) {
	if s.quick {
		own := *c
		own.who = own.who[:min(len(own.who), 3)]
		c = &own
	}
	lines, err := runContest(ctx, s, c)
	if err != nil {
		return nil, err
	}
	return []table{c.table(s, lines)}, nil
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// each is f of every run.
func each(runs []seen, f func(*seen) float64) []float64 {
	v := make([]float64, len(runs))
	for i := range runs {
		v[i] = f(&runs[i])
	}
	return v
}

func cpuOf(r *seen) float64 { return micro(r.perQuery()) }

// table shows a case: at saturation, at the fixed rate, memory.
func (c *contest) table(s *settings, lines []line) table {
	t := table{
		Title: fmt.Sprintf("%s; CPU in µs a query, user + system = together", c.title),
		Notes: slices.Clone(c.notes),
		Head:  []string{"server", "queries/s", "user", "system", "CPU", "rhumb ÷ it"},
	}
	switch c.fixed.Mode {
	case modeRate:
		t.Head = append(t.Head, fmt.Sprintf("CPU at %d/s", s.rate), "rhumb ÷ it", "p50 µs", "p90", "p99", "p99.9", "p99 in 100 ms")
	case modeHandshake:
		t.Head = append(t.Head, fmt.Sprintf("handshake at %d/s: CPU", s.handshakes), "rhumb ÷ it", "p50 µs", "p90", "p99", "p99.9")
	}
	t.Head = append(t.Head, "MB")
	for i := range lines {
		l := &lines[i]
		if l.missing {
			continue
		}
		name := l.c.name
		if s.noisy && len(l.refused) > 0 {
			name += " !"
		}
		row := append([]string{name}, l.saturated(s)...)
		if c.fixed.Mode != "" {
			row = append(row, l.paced(s, c.fixed.Mode)...)
		}
		t.Rows = append(t.Rows, append(row, fmt.Sprintf("%.0f", median(l.memory))))
		for _, why := range reasons(l.refused) {
			t.Notes = append(t.Notes, fmt.Sprintf("Refused of %s: %s.", l.c.name, why))
		}
	}
	return t
}

// enough is whether so many runs of those wanted make a figure: more than half.
func enough(n, rounds int) bool { return 2*n > rounds }

const refused = "refused"

func (l *line) saturated(s *settings) []string {
	if !enough(len(l.full), s.rounds) {
		return []string{refused, "", "", "", ""}
	}
	user := each(l.full, func(r *seen) float64 { u, _ := r.Server.split(r.perQuery()); return micro(u) })
	system := each(l.full, func(r *seen) float64 { _, y := r.Server.split(r.perQuery()); return micro(y) })
	return []string{
		spreadOf(each(l.full, (*seen).rate)).text("%.0f"),
		fmt.Sprintf("%.2f", median(user)), fmt.Sprintf("%.2f", median(system)),
		spreadOf(each(l.full, cpuOf)).text("%.2f"),
		spreadOf(ratios(each(l.beside, cpuOf), each(l.full, cpuOf))).text("%.2f"),
	}
}

func (l *line) paced(s *settings, mode string) []string {
	if !enough(len(l.fixed), s.rounds) {
		row := []string{refused, "", "", "", "", ""}
		if mode == modeRate {
			row = append(row, "")
		}
		return row
	}
	row := []string{
		spreadOf(each(l.fixed, cpuOf)).text("%.2f"),
		spreadOf(ratios(each(l.slowly, cpuOf), each(l.fixed, cpuOf))).text("%.2f"),
	}
	for _, f := range []func(*percentiles) time.Duration{
		func(p *percentiles) time.Duration { return p.P50 },
		func(p *percentiles) time.Duration { return p.P90 },
		func(p *percentiles) time.Duration { return p.P99 },
		func(p *percentiles) time.Duration { return p.P999 },
	} {
		row = append(row, fmt.Sprintf("%.1f", median(each(l.fixed, func(r *seen) float64 { return micro(f(&r.Latency)) }))))
	}
	if mode == modeRate {
		row = append(row, spreadOf(each(l.fixed, func(r *seen) float64 { return micro(r.Typical) })).text("%.1f"))
	}
	return row
}

// reasons are different ones, each with how often it was given.
func reasons(why []string) []string {
	var all []string
	count := map[string]int{}
	for _, w := range why {
		if count[w]++; count[w] == 1 {
			all = append(all, w)
		}
	}
	for i, w := range all {
		if count[w] > 1 {
			all[i] = fmt.Sprintf("%s (%d times)", w, count[w])
		}
	}
	const most = 3
	if len(all) > most {
		all = append(all[:most], fmt.Sprintf("%d more", len(all)-most))
	}
	return all
}
