package main

import (
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	rows := [][]cell{
		titles("NAME", "EMPTY", "STATE", "WHY"),
		{{"a", bold}, {}, {"up", green}, {}},
		{{"größer", plain}, {}, {"unknown", yellow}, {"a\x1b[2Jb\nc\u202ed\u2028e", dim}},
	}
	for _, c := range []struct {
		color bool
		want  string
	}{
		{false, "" +
			"  NAME    STATE    WHY\n" +
			"  a       up\n" +
			"  größer  unknown  a\uFFFD[2Jb c\uFFFDd\uFFFDe\n"},
		{true, "" +
			"  \x1b[2mNAME\x1b[0m    \x1b[2mSTATE\x1b[0m    \x1b[2mWHY\x1b[0m\n" +
			"  \x1b[1ma\x1b[0m       \x1b[32mup\x1b[0m\n" +
			"  größer  \x1b[33munknown\x1b[0m  \x1b[2ma\uFFFD[2Jb c\uFFFDd\uFFFDe\x1b[0m\n"},
	} {
		var b strings.Builder
		page{&b, c.color}.table("  ", true, rows)
		if b.String() != c.want {
			t.Errorf("colour %t:\n%q\nwant\n%q", c.color, b.String(), c.want)
		}
	}
}

func TestAgo(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		-time.Hour: "now", 0: "now", time.Second: "1s ago", 119 * time.Second: "119s ago", 2 * time.Minute: "2m ago",
		119 * time.Minute: "119m ago", 2 * time.Hour: "2h ago", 47 * time.Hour: "47h ago", 48 * time.Hour: "2d ago",
	} {
		if got := ago(now, now.Add(-d)); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	if got := ago(now, time.Time{}); got != "" {
		t.Errorf("never: %q", got)
	}
}
