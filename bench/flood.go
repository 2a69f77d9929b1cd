package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// floods are what an attacker sends, one after the other and all of it.
var floods = []string{"nothing", "random names", "spoofed sources", "garbage", "connections", "all of it"}

// floodTimes is how many times as much as the honest an attacker sends, of each
// kind.
const floodTimes = 10

// flooded is what became of honest clients in one flood.
type flooded struct {
	Flood           string
	Asked, Answered [len(honestKinds)]int
	Worst           time.Duration // an answer took
	Packets, Opened int           // by the attacker
	Took            time.Duration
	Memory          int // of the server in the end
}

// honestKinds are how the honest ask.
var honestKinds = [...]string{"UDP with a cookie", "TCP, kept open", "TCP, a connection each"}

// floodOrder is what the process in a namespace of its own is told.
type floodOrder struct {
	Rhumb, Dir string
	Rounds     int
}

// benchFlood counts the answers of honest clients while another host sends ten
// times as much as they do, of each kind of flood. All hosts are namespaces of
// this machine; the server has the process's.
func benchFlood(ctx context.Context, s *settings) ([]table, error) {
	t := table{
		Title: fmt.Sprintf("Answers that honest clients keep while another host sends %d times as much of each", floodTimes),
		Head:  []string{"flood", honestKinds[0], honestKinds[1], honestKinds[2], "slowest ms", "packets/s of the flood", "connections/s", "MB of the server"},
		Notes: []string{"Rates limited to 20 a second for a network, 100 connections, 20 for a client. Lost is what has no answer within 2 s."},
	}
	if why := floodLacks(); why != "" {
		s.missing("the flood", why)
		return nil, nil
	}
	rounds := 2000
	if s.quick {
		rounds = 50
	}
	s.progress("flood: %d rounds of %d", rounds, len(floods))
	order, err := json.Marshal(floodOrder{Rhumb: s.rhumb, Dir: s.dir, Rounds: rounds})
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, s.self, "flood", string(order))
	apart(cmd)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var all []flooded
	if err := json.Unmarshal(out, &all); err != nil {
		return nil, err
	}
	for _, f := range all {
		row := []string{f.Flood}
		for i := range honestKinds {
			row = append(row, fmt.Sprintf("%.1f%% of %d", 100*float64(f.Answered[i])/float64(max(f.Asked[i], 1)), f.Asked[i]))
		}
		t.Rows = append(t.Rows, append(row,
			fmt.Sprintf("%.1f", float64(f.Worst)/1e6),
			fmt.Sprintf("%.0f", float64(f.Packets)/f.Took.Seconds()), fmt.Sprintf("%.0f", float64(f.Opened)/f.Took.Seconds()),
			fmt.Sprintf("%.0f", float64(f.Memory)/1e6)))
	}
	s.progress("")
	return []table{t}, nil
}
