package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// loadProcess runs the load as a process of its own, on the client's core, and
// looks who else was there.
func (s *settings) loadProcess(ctx context.Context, o order, cores int) (*seen, error) {
	o.Core, o.Cores = s.clientCore, append([]int{s.clientCore}, s.serverCores...)
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Warm+o.Each+patient)
	defer cancel()
	cmd := pinned(ctx, []int{s.clientCore}, s.self, "load", "-order", string(text))
	cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1")
	cmd.Stderr = os.Stderr
	before := processes()
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	after := processes()
	r := &seen{Mode: o.Mode, Cores: cores}
	if err := json.Unmarshal(out, &r.result); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if r.Took <= 0 {
		return nil, errors.New("load: it took no time")
	}
	ours := map[int]bool{os.Getpid(): true, cmd.Process.Pid: true}
	for _, pid := range family(o.Pid) {
		ours[pid] = true
	}
	sum, most := foreign(before, after, ours, o.Cores)
	// The looks lie around warming up as well, so the sum is a little too high
	// for the time that counts. It is scaled to it.
	whole := o.Warm + o.Each + 50*time.Millisecond
	r.Foreign = time.Duration(float64(sum) * float64(r.Took) / float64(whole))
	r.Who = fmt.Sprintf("%s (%v)", most.Name, most.Used)
	return r, nil
}
