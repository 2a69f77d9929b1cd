package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU time in /proc/PID/stat and /proc/stat: USER_HZ, which
// is 100 on every processor that Go runs on.
const tick = 10 * time.Millisecond

// usage is what a process and its descendants have used.
type usage struct {
	// Total is CPU time to the nanosecond: what the scheduler has counted.
	Total time.Duration
	// User and System are its parts in ticks; only their proportion is of use.
	User, System time.Duration
}

// split is t divided into user and system in the proportion of u's ticks.
func (u usage) split(t time.Duration) (user, system time.Duration) {
	if u.User+u.System <= 0 {
		return 0, t
	}
	user = time.Duration(float64(t) * float64(u.User) / float64(u.User+u.System))
	return user, t - user
}

func (u usage) minus(v usage) usage {
	return usage{Total: u.Total - v.Total, User: u.User - v.User, System: u.System - v.System}
}

// parseSchedstat reads a task's schedstat: time on a processor and time waiting
// for one, in nanoseconds, and the number of turns.
func parseSchedstat(b []byte) (ran, waited time.Duration, err error) {
	f := bytes.Fields(b)
	if len(f) < 2 {
		return 0, 0, fmt.Errorf("schedstat: %q: fewer than two numbers", b)
	}
	r, err := strconv.ParseInt(string(f[0]), 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("schedstat: %w", err)
	}
	w, err := strconv.ParseInt(string(f[1]), 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("schedstat: %w", err)
	}
	return time.Duration(r), time.Duration(w), nil
}

// procStat is what is used of /proc/PID/stat.
type procStat struct {
	Name         string
	Parent       int
	User, System time.Duration
	Children     time.Duration // of those that have ended
	Core         int           // the one it ran on last
}

// parseStat reads a stat file. The name is in parentheses and may itself have
// any of them, so the last one ends it.
func parseStat(b []byte) (procStat, error) {
	var p procStat
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return p, fmt.Errorf("stat: %q: no name in parentheses", b)
	}
	f := strings.Fields(string(b[end+1:]))
	if len(f) < 37 {
		return p, fmt.Errorf("stat: %d fields behind the name, fewer than 37", len(f))
	}
	p.Name = string(b[open+1 : end])
	// Fields 4, 14 to 17 and 39 of proc(5); f[0] is field 3.
	n := make([]int, 6)
	for i, at := range []int{1, 11, 12, 13, 14, 36} {
		v, err := strconv.Atoi(f[at])
		if err != nil {
			return p, fmt.Errorf("stat: %w", err)
		}
		n[i] = v
	}
	p.Parent, p.Core = n[0], n[5]
	p.User, p.System = time.Duration(n[1])*tick, time.Duration(n[2])*tick
	p.Children = time.Duration(n[3]+n[4]) * tick
	return p, nil
}

// coreTime is what /proc/stat says of a core.
type coreTime struct {
	Busy  time.Duration // all but idle, waiting for disks, and stolen
	Steal time.Duration // what the hypervisor took while there was work
}

// parseCores reads /proc/stat, by core.
func parseCores(b []byte) map[int]coreTime {
	cores := map[int]coreTime{}
	for l := range strings.Lines(string(b)) {
		f := strings.Fields(l)
		if len(f) < 9 || !strings.HasPrefix(f[0], "cpu") {
			continue
		}
		core, err := strconv.Atoi(f[0][3:])
		if err != nil {
			continue // the line of all together
		}
		var v [9]time.Duration
		for i := 1; i < len(v); i++ {
			n, _ := strconv.Atoi(f[i])
			v[i] = time.Duration(n) * tick
		}
		const user, nice, system, irq, softirq, steal = 1, 2, 3, 6, 7, 8
		cores[core] = coreTime{Busy: v[user] + v[nice] + v[system] + v[irq] + v[softirq], Steal: v[steal]}
	}
	return cores
}

// processes are all that there are, by PID.
func processes() map[int]procStat {
	all := map[int]procStat{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // gone since
		}
		if p, err := parseStat(b); err == nil {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			all[pid] = p
		}
	}
	return all
}

// family is a process and its descendants.
func family(pid int) []int {
	children := map[int][]int{}
	for p, s := range processes() {
		children[s.Parent] = append(children[s.Parent], p)
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// used is what processes have used until now, and their children that have
// ended; threads that have ended are left out of Total.
func used(pids []int) usage {
	var u usage
	for _, pid := range pids {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
			if p, err := parseStat(b); err == nil {
				u.User += p.User
				u.System += p.System
				u.Total += p.Children
			}
		}
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		for _, t := range tasks {
			if b, err := os.ReadFile(t); err == nil {
				if ran, _, err := parseSchedstat(b); err == nil {
					u.Total += ran
				}
			}
		}
	}
	return u
}

// switched is how often threads of processes have been taken off their core
// while they had work.
func switched(pids []int) (sum int) {
	for _, pid := range pids {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		for _, t := range tasks {
			b, _ := os.ReadFile(t)
			sum += statusNumber(b, "nonvoluntary_ctxt_switches:")
		}
	}
	return sum
}

// coresOf is what some cores have done since the start of the machine.
func coresOf(cores []int) (busy, steal time.Duration) {
	b, _ := os.ReadFile("/proc/stat")
	all := parseCores(b)
	for _, c := range cores {
		busy += all[c].Busy
		steal += all[c].Steal
	}
	return busy, steal
}

// foreigner is who else used the cores, and how much.
type foreigner struct {
	Name string
	Used time.Duration
}

// foreign is the CPU time between two looks at the processes of those that are
// not ours and ran on the cores, and who used most. The kernel's own threads
// count: work that ksoftirqd does for a server is charged to nobody else.
func foreign(before, after map[int]procStat, ours map[int]bool, cores []int) (sum time.Duration, most foreigner) {
	for pid, a := range after {
		if ours[pid] || !slices.Contains(cores, a.Core) {
			continue
		}
		b := before[pid]
		d := a.User + a.System - b.User - b.System
		sum += d
		if d > most.Used {
			most = foreigner{a.Name, d}
		}
	}
	return sum, most
}

// resident is the memory in bytes that the system holds for a process and its
// descendants; what they share counts once, by the proportional set size.
func resident(pid int) int {
	total := 0
	for _, p := range family(pid) {
		total += kilobytes(fmt.Sprintf("/proc/%d/smaps_rollup", p), "Pss:")
	}
	return total
}

// peak is the most memory in bytes that a process has had since forgetPeak.
func peak(pid int) int { return kilobytes(fmt.Sprintf("/proc/%d/status", pid), "VmHWM:") }

// forgetPeak makes the memory of now the most that the process has had.
func forgetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// kilobytes is a line of a file of /proc, in bytes.
func kilobytes(path, key string) int {
	b, _ := os.ReadFile(path)
	return statusNumber(b, key) << 10
}

// statusNumber is the number behind a key at the begin of a line, 0 without one.
func statusNumber(b []byte, key string) int {
	for l := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(l, key); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				n, _ := strconv.Atoi(f[0])
				return n
			}
		}
	}
	return 0
}
