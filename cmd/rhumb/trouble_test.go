package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

// TestTrouble is what a status says of a node that knows that it is in trouble.
func TestTrouble(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		a    api.Awareness
		want []string
		not  string
	}{
		{api.Awareness{Stalls: 3, StalledAt: now.Add(-time.Hour), ClockJumps: 1, JumpedAt: now.Add(-time.Hour)}, []string{"ns1: ready  ("}, "trouble"},
		{api.Awareness{Suspect: true, Since: now.Add(-20 * time.Second), Silent: 9, Asked: 10, Held: 9, Cut: "interface eth0 has no carrier"}, []string{
			"ns1: ready, and cut off itself, it seems", "trouble", "seems to be cut off itself, since 20s ago: 9 of 10 probes are silent, interface eth0 has no carrier; 9 verdicts held",
		}, ""},
		{api.Awareness{Stalls: 1, StalledAt: now.Add(-time.Minute), StallSeconds: 3.25, Idle: 7}, []string{"stood still for 3.25s, 60s ago", "5 up, 7 idle"}, ""},
		{api.Awareness{ClockJumps: 1, JumpedAt: now.Add(-time.Minute), JumpSeconds: -7200}, []string{"its clock jumped by -2h0m0s, 60s ago"}, ""},
	} {
		var out bytes.Buffer
		c := &cli{out: page{w: &out}, err: io.Discard, now: func() time.Time { return now }}
		c.printStatus(&api.Status{
			Node: api.Node{Name: "ns1"}, HealthReady: true, DNSReady: true, Endpoints: api.EndpointCounts{Up: 5}, Awareness: tc.a,
			Config: api.ConfigState{OK: true},
		})
		for _, w := range tc.want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%q is not in\n%s", w, &out)
			}
		}
		if tc.not != "" && strings.Contains(out.String(), tc.not) {
			t.Errorf("%q is in\n%s", tc.not, &out)
		}
	}
	if got := stateOf("up", false, true); got.text != "up, suspect" {
		t.Errorf("%+v", got)
	}
}
