package spec_test

import (
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

func TestHealth(t *testing.T) {
	for text, want := range map[string]spec.Health{
		"log: {}":                       {SuspectShare: .8, SuspectMin: 3, SuspectFor: 2 * time.Minute, IdleMultiplier: 10, StartBatch: 1024},
		"health: {suspect_share: 100%}": {SuspectShare: 1, SuspectMin: 3, SuspectFor: 2 * time.Minute, IdleMultiplier: 10, StartBatch: 1024},
		"health: {suspect_share: 0.5}":  {SuspectShare: .5, SuspectMin: 3, SuspectFor: 2 * time.Minute, IdleMultiplier: 10, StartBatch: 1024},
		"health: {suspect_min: 7, suspect_for: 1m, idle_after: 1h, idle_multiplier: 3}": {
			SuspectShare: .8, SuspectMin: 7, SuspectFor: time.Minute, IdleAfter: time.Hour, IdleMultiplier: 3, StartBatch: 1024,
		},
		"health: {start_batch: 100, start_within: 2m}": {
			SuspectShare: .8, SuspectMin: 3, SuspectFor: 2 * time.Minute, IdleMultiplier: 10, StartBatch: 100, StartWithin: 2 * time.Minute,
		},
	} {
		s, err := spec.Parse("x.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if s.Health != want {
			t.Errorf("%s: %+v", text, s.Health)
		}
	}
}
