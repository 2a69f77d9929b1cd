package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU time in /proc/PID/stat.
const tick = 10 * time.Millisecond

// family is a process and its descendants.
func family(pid int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, s := range stats {
		if f, ok := statFields(s); ok {
			id, _ := strconv.Atoi(filepath.Base(filepath.Dir(s)))
			parent, _ := strconv.Atoi(f[1])
			children[parent] = append(children[parent], id)
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// statFields is what follows the program's name in a stat file: state, parent, ...
func statFields(path string) ([]string, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, false
	}
	i := strings.LastIndexByte(string(b), ')')
	f := strings.Fields(string(b[i+1:]))
	return f, len(f) > 13
}

// cpu is the CPU time that a process and its descendants have used.
func cpu(pid int) (user, system time.Duration) {
	for _, p := range family(pid) {
		if f, ok := statFields(fmt.Sprintf("/proc/%d/stat", p)); ok {
			u, _ := strconv.Atoi(f[11])
			s, _ := strconv.Atoi(f[12])
			user += time.Duration(u) * tick
			system += time.Duration(s) * tick
		}
	}
	return user, system
}

// resident is the memory in octets that the system holds for a process and its
// descendants; what they share counts once, by the proportional set size.
func resident(pid int) int {
	total := 0
	for _, p := range family(pid) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		if err != nil {
			continue
		}
		for l := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(l, "Pss:"); ok {
				kb, _ := strconv.Atoi(strings.Fields(rest)[0])
				total += kb << 10
			}
		}
	}
	return total
}

// peak is the most memory in octets that a process has had.
func peak(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for l := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(l, "VmHWM:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kb << 10
		}
	}
	return 0
}
