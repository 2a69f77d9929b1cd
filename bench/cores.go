package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
)

// benchCores compares two cores with one. Two more cores are needed to ask.
func benchCores(ctx context.Context, s *settings) ([]table, error) {
	t := table{Title: "Queries a second on two cores beside one, plain A", Head: []string{"server", "one core", "two cores", "two ÷ one"}}
	if n := runtime.NumCPU(); n < 4 {
		t.Notes = []string{fmt.Sprintf("Not measurable: two clients beside two cores of a server take four cores, and there are %d.", n)}
		return []table{t}, nil
	}
	for _, c := range []contestant{rhumbStatic("rhumb, zone file"), {"gdnsd", startGdnsd, ""}, {"NSD", startNSD, ""}, {"Knot DNS", startKnot, ""}} {
		var one, two []float64
		why := ""
		for range s.rounds {
			for _, cores := range [][]int{{0}, {0, 1}} {
				r, refusal, err := s.twoClients(ctx, c, cores)
				if err != nil {
					return nil, err
				}
				if why = refusal; why != "" {
					continue
				}
				if len(cores) == 1 {
					one = append(one, r)
				} else {
					two = append(two, r)
				}
			}
		}
		row := []string{c.name, spreadOf(one).text("%.0f"), spreadOf(two).text("%.0f"), refused}
		if enough(len(one), s.rounds) && enough(len(two), s.rounds) {
			row[3] = spreadOf(ratios(two, one)).text("%.2f")
		} else if why != "" {
			t.Notes = append(t.Notes, fmt.Sprintf("Refused of %s: %s.", c.name, why))
		}
		t.Rows = append(t.Rows, row)
	}
	return []table{t}, nil
}

// twoClients is the rate at which a server on some cores answers two clients,
// on the cores 2 and 3.
func (s *settings) twoClients(ctx context.Context, c contestant, cores []int) (rate float64, why string, err error) {
	const names = 1000
	p, err := c.start(ctx, s, wants{names: names, cores: cores})
	if err != nil {
		return 0, "", err
	}
	if p == nil {
		return 0, "not installed", nil
	}
	defer p.end()
	o := order{To: p.addr, Mode: modeFull, Window: window, Shape: shape{Kind: "plain", Names: names}, Pid: p.pid(), Warm: s.warm, Each: s.each}
	var both [2]*seen
	var errs [2]error
	var wait sync.WaitGroup
	for i := range both {
		own := *s
		own.clientCore, own.serverCores = 2+i, cores
		wait.Go(func() { both[i], errs[i] = own.loadProcess(ctx, o, len(cores)) })
	}
	wait.Wait()
	for i, r := range both {
		if errs[i] != nil {
			return 0, "", errs[i]
		}
		// Each client takes the other for a stranger; what is left are the rules
		// about the client and the answers.
		r.Foreign, r.Rest = 0, 0
		if why := refusal(r); why != "" {
			return 0, why, nil
		}
		rate += r.rate()
	}
	return rate, "", nil
}
