package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
	zones "github.com/rhumb-dns/rhumb/table"
)

// benchMillion measures what many names cost: time from the start of the process
// to the first answer, and memory beyond that of one name.
func benchMillion(ctx context.Context, s *settings) ([]table, error) {
	t := table{
		Title: fmt.Sprintf("%d names: from start to first answer, memory at rest, a name's part of it (beyond the server of one name), and the most there was", s.many),
		Head:  []string{"server", "first answer", "MB", "bytes a name", "most MB"},
		Notes: []string{"Proportional set size of the process and its children, once it has settled; the most is the resident size of the largest of them."},
	}
	all := []contestant{
		{"rhumb, services", startRhumb, steerOne},
		rhumbStatic("rhumb, zone file"),
		{"gdnsd", startGdnsd, ""},
		{"NSD", startNSD, ""},
		{"Knot DNS", startKnot, ""},
		{"PowerDNS", startPower, ""},
		{"CoreDNS", startCoreDNS, ""},
	}
	if s.quick {
		all = all[:2]
	}
	for _, c := range all {
		s.progress("million: %s", c.name)
		var size [2]int
		var first time.Duration
		most := 0
		missing := false
		for i, names := range []int{1, s.many} {
			p, err := c.start(ctx, s, wants{names: names, steer: c.steer, cores: s.serverCores})
			if err != nil {
				return nil, err
			}
			if p == nil {
				missing = true
				break
			}
			size[i], first = s.settledSize(p.pid()), p.first
			most = 0
			for _, pid := range family(p.pid()) {
				most = max(most, peak(pid))
			}
			p.end()
		}
		if missing {
			continue
		}
		t.Rows = append(t.Rows, []string{
			c.name, fmt.Sprintf("%.2f s", first.Seconds()), fmt.Sprintf("%.0f", float64(size[1])/1e6),
			fmt.Sprint((size[1] - size[0]) / s.many), fmt.Sprintf("%.0f", float64(most)/1e6),
		})
	}
	s.progress("")
	note, err := tableSize(s)
	t.Notes = append(t.Notes, note)
	return []table{t}, err
}

// settledSize is the memory of a process once it has stopped giving back what it
// took to start: when a second has brought less than a hundredth.
func (s *settings) settledSize(pid int) int {
	size := resident(pid)
	if s.quick {
		return size
	}
	for range 10 {
		time.Sleep(time.Second)
		now := resident(pid)
		if now > size-size/100 {
			return now
		}
		size = now
	}
	return size
}

// tableSize is rhumb's table alone, without the process around it.
func tableSize(s *settings) (string, error) {
	sp, err := spec.Parse("bench.yaml", []byte(rhumbServices(steerOne, s.many)))
	if err != nil {
		return "", err
	}
	before := heap()
	begin := time.Now()
	t, err := zones.Compile(nil, sp)
	if err != nil {
		return "", err
	}
	took := time.Since(begin)
	size := heap() - before
	runtime.KeepAlive(sp)
	if t.Services() != s.many {
		return "", fmt.Errorf("%d services in the table", t.Services())
	}
	return fmt.Sprintf("rhumb's table of services alone: compiled in %v, %d bytes a name.", took.Round(time.Millisecond), size/s.many), nil
}
