package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// What a process of probes may hold on to more of at the end than after a tenth of
// its probes. Nothing is to grow with their number; what a pool, a map or the runtime
// keeps goes up and down.
const (
	soakMoreGoroutines  = 8
	soakMoreDescriptors = 16
	soakMoreHeap        = 1 << 20
	soakMoreResident    = 8 << 20
)

// benchSoak makes very many probes of all kinds, of endpoints of which half are not as
// they should be, and looks whether anything stays behind.
func benchSoak(ctx context.Context, s *settings) ([]table, error) {
	n := s.probes
	if s.quick {
		n = 20_000
	}
	at, end, err := startSoakPeers(ctx, s)
	if err != nil {
		return nil, err
	}
	defer end()
	ctx, cancel := context.WithTimeout(ctx, time.Minute+time.Duration(n)*soakEach)
	defer cancel()
	cmd := pinned(ctx, s.serverCores, s.self, "soak-probes", fmt.Sprint(n), at)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var states []soakState
	for in := json.NewDecoder(out); in.More(); {
		var st soakState
		if err := in.Decode(&st); err != nil {
			return nil, errors.Join(fmt.Errorf("soak: %w", err), cmd.Wait())
		}
		states = append(states, st)
		s.progress("soak: %d of %d probes", st.Probes, n)
	}
	s.progress("")
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("soak: %w", err)
	}
	if len(states) < 2 {
		return nil, errors.New("soak: the probes were not made")
	}
	t := soakTable(states)
	return []table{t}, soakGrew(states[0], states[len(states)-1])
}

func soakTable(states []soakState) table {
	last := states[len(states)-1]
	t := table{
		Title: "Many probes in one process, and what it holds on to",
		Head:  []string{"probes", "goroutines", "descriptors", "heap, KB", "resident, MB"},
		Notes: []string{fmt.Sprintf("%d kinds of probes, in a mixture that is the same each time, of endpoints in another process: %s. Each line is from when all probes until then had ended, after a collection. %d probes a second; %.3f%% came to something else than they were to.",
			len(last.By), soakMixture(last.By), int(float64(last.Probes)/last.Took.Seconds()), 100*float64(sumOf(last.Other))/float64(last.Probes))},
	}
	for _, st := range states {
		t.Rows = append(t.Rows, []string{
			fmt.Sprint(st.Probes), fmt.Sprint(st.Goroutines), fmt.Sprint(st.Descriptors),
			fmt.Sprint(st.Heap / 1000), fmt.Sprintf("%.1f", float64(st.Resident)/1e6),
		})
	}
	for _, name := range slices.Sorted(maps.Keys(last.Other)) {
		fmt.Fprintf(os.Stderr, "soak: %d times %s\n", last.Other[name], name)
	}
	return t
}

// soakMixture says how many of each kind there were, the most first.
func soakMixture(by map[string]int) string {
	names := slices.SortedFunc(maps.Keys(by), func(a, b string) int { return by[b] - by[a] })
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s (%d)", name, by[name]))
	}
	return strings.Join(parts, "; ")
}

func sumOf(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

// soakGrew is the error of a process that holds on to more at the end than after a
// tenth, or whose probes came to something else than they were to.
func soakGrew(early, late soakState) error {
	var all []error
	for _, g := range []struct {
		what              string
		early, late, most int
	}{
		{"goroutines", early.Goroutines, late.Goroutines, soakMoreGoroutines},
		{"descriptors", early.Descriptors, late.Descriptors, soakMoreDescriptors},
		{"bytes of heap", early.Heap, late.Heap, soakMoreHeap},
		{"bytes of memory", early.Resident, late.Resident, soakMoreResident},
	} {
		if g.late > g.early+g.most {
			all = append(all, fmt.Errorf("soak: %d %s after %d probes, %d after %d", g.early, g.what, early.Probes, g.late, late.Probes))
		}
	}
	// A machine that stands still for a second has some time out.
	if n := sumOf(late.Other); n > late.Probes/200 {
		all = append(all, fmt.Errorf("soak: %d of %d probes came to something else than they were to", n, late.Probes))
	}
	return errors.Join(all...)
}

// soakProbes is how many probes the soak makes where nobody says otherwise.
const soakProbes = 1_000_000

// soakEach bounds how long it may take for each probe, many times what one takes.
const soakEach = 10 * time.Millisecond
