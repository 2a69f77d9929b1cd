package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/spec"
)

// A changed file is one that a server takes, and differs in what it says.
func TestAlterations(t *testing.T) {
	const names = 20
	path := filepath.Join(t.TempDir(), "zone")
	if err := writeZone(path, names, func(int) string { return "A 10.1.0.1" }); err != nil {
		t.Fatal(err)
	}
	zone, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		all    []alteration
		text   string
		counts map[string]int // lines that the second change changes
	}{
		{recordChanges, string(zone), map[string]int{"one record": 2, "every record": names + 1}},
		{serviceChanges, rhumbServices(steerOne, names), map[string]int{"one service": 1, "one endpoint": 1, "every service": names}},
	} {
		text, n := c.text, 0
		for _, a := range c.all {
			n++
			once := a.apply(text, names, n)
			n++
			twice := a.apply(once, names, n)
			if got := different(once, twice); got != c.counts[a.what] {
				t.Errorf("%s: %d lines differ, want %d:\n%s", a.what, got, c.counts[a.what], twice)
			}
			if len(c.all) == len(serviceChanges) {
				if _, err := spec.Parse("bench.yaml", []byte(twice)); err != nil {
					t.Errorf("%s: %v", a.what, err)
				}
			}
			text = twice
		}
	}
}

func different(a, b string) (n int) {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	if len(x) != len(y) {
		return -1
	}
	for i := range x {
		if x[i] != y[i] {
			n++
		}
	}
	return n
}
