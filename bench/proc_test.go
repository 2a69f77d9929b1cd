package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSchedstat(t *testing.T) {
	ran, waited, err := parseSchedstat([]byte("9512345 60620 17\n"))
	if err != nil || ran != 9512345 || waited != 60620 {
		t.Errorf("got %d, %d, %v", ran, waited, err)
	}
	for _, bad := range []string{"", "1", "a 2 3", "1 b 3"} {
		if _, _, err := parseSchedstat([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// The name of a program may have what separates fields.
func TestStat(t *testing.T) {
	line := "42 (a) b (c) S 7 42 42 0 -1 4194560 100 0 0 0 150 250 3 4 20 0 1 0 100 1000 10 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0"
	p, err := parseStat([]byte(line))
	want := procStat{Name: "a) b (c", Parent: 7, User: 1500 * time.Millisecond, System: 2500 * time.Millisecond, Children: 70 * time.Millisecond, Core: 1}
	if err != nil || p != want {
		t.Errorf("got %+v, %v; want %+v", p, err, want)
	}
	for _, bad := range []string{"", "42 a S 7", "42 (a) S 7", strings.Replace(line, " 150 ", " x ", 1)} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestCores(t *testing.T) {
	cores := parseCores([]byte("cpu  1 2 3 4 5 6 7 8 0 0\ncpu0 10 20 30 40 50 60 70 80 0 0\ncpu12 1 1 1 1 1 1 1 9 0 0\nintr 5\n"))
	if len(cores) != 2 || cores[0] != (coreTime{Busy: 190 * tick, Steal: 80 * tick}) || cores[12].Steal != 9*tick {
		t.Errorf("got %v", cores)
	}
}

func TestForeign(t *testing.T) {
	ms := time.Millisecond
	before := map[int]procStat{1: {Name: "server", User: 10 * ms}, 2: {Name: "cc", User: 10 * ms}, 3: {Name: "far", Core: 5}}
	after := map[int]procStat{
		1: {Name: "server", User: 500 * ms},
		2: {Name: "cc", User: 20 * ms, System: 10 * ms},
		3: {Name: "far", Core: 5, User: 700 * ms},
		4: {Name: "new", Core: 1, System: 30 * ms},
	}
	sum, most := foreign(before, after, map[int]bool{1: true}, []int{0, 1})
	if sum != 50*ms || most != (foreigner{"new", 30 * ms}) {
		t.Errorf("got %v, most of it %v", sum, most)
	}
}

func TestUsageSplit(t *testing.T) {
	u := usage{Total: 1000, User: 10 * time.Millisecond, System: 30 * time.Millisecond}
	if user, system := u.split(1000); user != 250 || system != 750 {
		t.Errorf("got %d and %d", user, system)
	}
	if user, system := (usage{}).split(5); user != 0 || system != 5 {
		t.Errorf("of nothing: %d and %d", user, system)
	}
}

func TestStatusNumber(t *testing.T) {
	text := []byte("Name:\tx\nVmHWM:\t  1234 kB\nnonvoluntary_ctxt_switches:\t5\n")
	if n := statusNumber(text, "VmHWM:"); n != 1234 {
		t.Errorf("VmHWM is %d", n)
	}
	if n := statusNumber(text, "nonvoluntary_ctxt_switches:"); n != 5 {
		t.Errorf("switches are %d", n)
	}
	if n := statusNumber(text, "VmSwap:"); n != 0 {
		t.Errorf("what is not there is %d", n)
	}
}

func TestCPUList(t *testing.T) {
	for text, want := range map[string][]int{"0\n": {0}, "0-2,8": {0, 1, 2, 8}, "": nil, "x,3": {3}} {
		if got := parseCPUList(text); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestProgramVersion(t *testing.T) {
	for text, want := range map[string]string{
		"gdnsd: invalid option -- 'V'\ngdnsd version 3.8.1\nUsage: gdnsd":        "3.8.1",
		"NSD version 4.6.1\nWritten by NLnet Labs.\n":                            "4.6.1",
		"knotd (Knot DNS), version 3.2.6\n":                                      "3.2.6",
		"Nov 21 10:04:38 PowerDNS Authoritative Server 4.7.3 (C) 2001-2022 P.\n": "4.7.3",
		"nothing": "of unknown version",
	} {
		if got := programVersion([]byte(text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
