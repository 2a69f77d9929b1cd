package conduct

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
)

// poolOf is a pool of n endpoints with a check every 5 seconds.
func poolOf(name string, n, need int) *spec.Pool {
	p := &spec.Pool{Name: name, MinHealthy: need}
	check := &spec.Check{Name: "web", Type: spec.CheckTCP, Interval: 5 * time.Second}
	for i := range n {
		p.Endpoints = append(p.Endpoints, spec.Endpoint{
			Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), Checks: []*spec.Check{check},
		})
	}
	return p
}

// courseOf is a course of a pool whose endpoints are the targets from first on.
func courseOf(p *spec.Pool, c spec.Conduct, first int) Course {
	of := Course{Key: KeyOf(p, &c, ""), Pool: p, Conduct: &c}
	for i := range p.Endpoints {
		of.Targets = append(of.Targets, int32(first+i))
	}
	return of
}

// trial is a course that is told what health says by a word of u, d and ?.
type trial struct {
	t    *testing.T
	c    *course
	now  instant
	says string
}

func try(t *testing.T, says string, need int, c spec.Conduct) *trial {
	t.Helper()
	of := courseOf(poolOf("eu", len(says), need), c, 0)
	return (&trial{t: t, c: newCourse(&of, 1), now: 1}).say(says)
}

func statesOf(says string) []health.State {
	out := make([]health.State, len(says))
	for i, r := range says {
		out[i] = map[rune]health.State{'u': health.Up, 'd': health.Down, '?': health.Unknown}[r]
	}
	return out
}

func word(states []health.State) string {
	var b strings.Builder
	for _, s := range states {
		b.WriteByte("?ud"[s])
	}
	return b.String()
}

// say has health say something now.
func (k *trial) say(says string) *trial {
	k.t.Helper()
	k.says = says
	k.c.step(k.now, statesOf(says))
	return k
}

// wait lets time pass. The course is woken when it wants to be.
func (k *trial) wait(d time.Duration) *trial {
	k.t.Helper()
	end := k.now.after(d)
	for n := 0; k.c.next <= end; n++ {
		if n > 10_000 || k.c.next <= k.now {
			k.t.Fatalf("woken too often: next %d, now %d", k.c.next, k.now)
		}
		k.now = k.c.next
		k.c.step(k.now, statesOf(k.says))
	}
	k.now = end
	k.c.step(k.now, statesOf(k.says))
	return k
}

// want is what answers are to go by: + for a pool that stands, ~ while it moves,
// the states, and the shares in percent where they are not whole.
func (k *trial) want(want string) *trial {
	k.t.Helper()
	if got := seen(&k.c.entry().State); got != want {
		k.t.Fatalf("at %s health says %s: got %s, want %s", time.Duration(k.now), k.says, got, want)
	}
	return k
}

func seen(s *State) string {
	b := "-"
	if s.Stands {
		b = "+"
	}
	if s.Moving {
		b += "~"
	}
	b += word(s.States)
	for i, share := range s.Shares {
		if share != Whole {
			b += fmt.Sprintf(" %d:%s", i, percent(share))
		}
	}
	return b
}

// whole is conduct that changes everything at once.
func whole() spec.Conduct { return spec.Conduct{MaxEjected: 1} }
