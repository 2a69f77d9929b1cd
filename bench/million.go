package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// benchMillion measures what many names cost: time from the start of the process
// to the first answer, memory beyond that of one name, and a reload.
func benchMillion(ctx context.Context, s settings) error {
	fmt.Printf("%d names: from start to first answer, memory a name (beyond a server of one name), reload\n", s.many)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "server\tfirst answer\toctets a name\tpeak MB\treload to new answer")
	for _, start := range []func(names int) (*peer, error){
		func(n int) (*peer, error) { return startRhumb(ctx, s, "rhumb", pool(2, "weighted", n), n) },
		func(n int) (*peer, error) {
			p, err := startStatic(ctx, s, n)
			if p != nil {
				p.name = "rhumb, zone file"
			}
			return p, err
		},
		func(n int) (*peer, error) { return startNSD(ctx, s, n) },
		func(n int) (*peer, error) { return startKnot(ctx, s, n) },
	} {
		one, err := start(1)
		if err != nil {
			return err
		}
		if one == nil {
			continue
		}
		base := settledSize(one.cmd.Process.Pid)
		one.end()
		p, err := start(s.many)
		if err != nil {
			return err
		}
		first := time.Since(p.start)
		size := settledSize(p.cmd.Process.Pid) - base
		reload := "-"
		if strings.HasPrefix(p.name, "rhumb") {
			d, err := reloadMillion(s, p)
			if err != nil {
				p.end()
				return err
			}
			reload = d.Round(time.Millisecond).String()
		}
		_, _ = fmt.Fprintf(w, "%s\t%v\t%d\t%d\t%s\n", p.name, first.Round(time.Millisecond), size/s.many, peak(p.cmd.Process.Pid)>>20, reload)
		p.end()
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return tableSize(s)
}

// settledSize is the memory of a process once it has stopped giving back what it
// took to start: when a second has brought less than a hundredth.
func settledSize(pid int) int {
	size := resident(pid)
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

// reloadMillion adds one name, a service or a record, and measures until it is
// answered.
func reloadMillion(s settings, p *peer) (time.Duration, error) {
	path, line := filepath.Join(s.dir, "rhumb.yaml"), "      n%07d: {pools: [p], steer: weighted}\n"
	if p.name != "rhumb" {
		path, line = zonePath(s, s.many), "n%07d A 10.1.0.1\n"
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	if _, err = fmt.Fprintf(f, line, s.many); err != nil {
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return 0, err
	}
	err = answers(p.addr, serviceName(s.many), time.Minute)
	return time.Since(begin), err
}

// tableSize is the table alone, without the process around it.
func tableSize(s settings) error {
	sp, err := spec.Parse("bench.yaml", []byte(pool(2, "weighted", s.many)))
	if err != nil {
		return err
	}
	before := heap()
	begin := time.Now()
	t, err := table.Compile(nil, sp)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	size := heap() - before
	runtime.KeepAlive(sp)
	fmt.Printf("the table alone: compiled in %v, %d octets a name\n", took.Round(time.Millisecond), size/s.many)
	if t.Services() != s.many {
		return fmt.Errorf("%d services in the table", t.Services())
	}
	return nil
}
