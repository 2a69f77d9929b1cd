package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

// starter starts a server with a number of names; nil means not installed.
type starter struct {
	what  string
	names int
	start func(context.Context) (*peer, error)
}

// benchServe measures whole servers, each case beside the others in one run.
func benchServe(ctx context.Context, s settings) error {
	fmt.Printf("Whole servers over UDP on loopback, one core each for server and load, %d in flight, median of %d rounds of %v\n", window, s.rounds, s.each)
	small := 1000
	var cases []starter
	rhumb := func(what, steer string, endpoints, names int) {
		cases = append(cases, starter{what, names, func(ctx context.Context) (*peer, error) {
			return startRhumb(ctx, s, "rhumb", pool(endpoints, steer, names), names)
		}})
	}
	others := func(what string, names int) {
		cases = append(cases,
			starter{what, names, func(ctx context.Context) (*peer, error) { return startNSD(ctx, s, names) }},
			starter{what, names, func(ctx context.Context) (*peer, error) { return startKnot(ctx, s, names) }})
	}
	static := func(what string, names int) {
		cases = append(cases, starter{what, names, func(ctx context.Context) (*peer, error) { return startStatic(ctx, s, names) }})
	}
	cases = append(cases, starter{"no look-up", small, func(ctx context.Context) (*peer, error) { return startEcho(ctx, s) }})
	rhumb("plain A", "round-robin", 1, small)
	static("plain A, zone file", small)
	others("plain A", small)
	rhumb("weighted, 8 endpoints", "weighted", 8, small)
	rhumb("failover, 8 endpoints", "failover", 8, small)
	rhumb("weighted, 256 endpoints", "weighted", 256, small)
	rhumb("plain A", "round-robin", 1, s.many)
	static("plain A, zone file", s.many)
	others("plain A", s.many)

	type row struct {
		name, what        string
		names             int
		qps, user, system []float64
		lost, wrong       int
	}
	rows := make([]row, len(cases))
	for range s.rounds {
		for i, c := range cases {
			p, err := c.start(ctx)
			if err != nil {
				return err
			}
			if p == nil {
				continue
			}
			u0, s0 := cpu(p.cmd.Process.Pid)
			r, err := loadProcess(ctx, s, p, c.names)
			u1, s1 := cpu(p.cmd.Process.Pid)
			p.end()
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			row := &rows[i]
			row.name, row.what, row.names = p.name, c.what, c.names
			n := float64(r.Answers)
			row.qps = append(row.qps, n/r.Seconds)
			row.user = append(row.user, float64((u1-u0).Nanoseconds())/n/1000)
			row.system = append(row.system, float64((s1-s0).Nanoseconds())/n/1000)
			row.lost += r.Lost
			row.wrong += r.Wrong
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "server\tcase\tnames\tqueries/s\tuser µs\tsystem µs\tCPU µs a query\tlost\twrong")
	for _, r := range rows {
		if r.name == "" {
			continue
		}
		u, sy := median(r.user), median(r.system)
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%.2f\t%.2f\t%.2f\t%d\t%d\n", r.name, r.what, r.names, median(r.qps), u, sy, u+sy, r.lost, r.wrong)
	}
	return w.Flush()
}

// loadProcess runs the load as a process of its own.
func loadProcess(ctx context.Context, s settings, p *peer, names int) (result, error) {
	var r result
	args := []string{"load", "-to", p.addr.String(), "-names", fmt.Sprint(names), "-for", s.each.String()}
	if p.plain {
		args = append(args, "-echo")
	}
	ctx, cancel := context.WithTimeout(ctx, s.each+time.Minute)
	defer cancel()
	cmd := pinned(ctx, loadCore, s.self, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("load: %w", err)
	}
	return r, json.Unmarshal(out, &r)
}
