package table

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
)

// statement is a configuration by chance: two zones, one in the other perhaps,
// services over pools of addresses and host names, some with checks.
func statement(r *rand.Rand, nested bool) string {
	for {
		text := attempt(r, nested)
		if _, err := spec.Parse("test.yaml", []byte(text)); err == nil {
			return text
		}
	}
}

// attempt is a statement that need not be valid.
func attempt(r *rand.Rand, nested bool) string {
	var b strings.Builder
	b.WriteString("checks:\n  up: {type: tcp, port: 80}\npools:\n")
	for p := range 4 {
		var e []string
		for _, i := range r.Perm(9)[:2+r.IntN(2)] {
			switch k := r.IntN(5); {
			case k == 0:
				e = append(e, fmt.Sprintf(`"2001:db8::%d"`, i+1))
			case k == 1 && p == 3:
				e = append(e, fmt.Sprintf("h%d.example", i))
			default:
				e = append(e, fmt.Sprintf("{address: 192.0.2.%d, weight: %d}", i+1, 1+r.IntN(3)))
			}
		}
		fmt.Fprintf(&b, "  p%d: {min_healthy: %d, endpoints: [%s]", p, 1+r.IntN(2), strings.Join(e, ", "))
		if r.IntN(2) == 0 {
			b.WriteString(", checks: [up]")
		}
		b.WriteString("}\n")
	}
	second := "y.test"
	if nested {
		second = "c.a.x.test"
	}
	b.WriteString("zones:\n")
	for _, z := range []string{"x.test", second} {
		fmt.Fprintf(&b, "  %s:\n    nameservers: {ns1: 192.0.2.53}\n    services:\n      www: {pools: [p0]}\n", z)
		for _, l := range []string{"a", "b", "e", "a.b", "d.a.b", `"*.e"`, `"@"`} {
			if r.IntN(2) > 0 {
				continue
			}
			p := r.IntN(4)
			fmt.Fprintf(&b, "      %s: {pools: [p%d, p%d], steer: %s, ttl: %d", l, p, (p+1+r.IntN(2))%4, []string{"round-robin", "weighted", "failover"}[r.IntN(3)], 10+r.IntN(2))
			if r.IntN(2) == 0 || l == `"@"` {
				b.WriteString(", flatten: true")
			}
			if r.IntN(4) == 0 {
				b.WriteString(", all_down: p2")
			}
			b.WriteString("}\n")
		}
	}
	return b.String()
}

// meant is what every service of a table comes to, with no index in it.
func meant(t *testing.T, tab *Table) string {
	t.Helper()
	var out []string
	tab.Each(func(n *Node) bool {
		line := fmt.Sprintf("%s zone %s", tab.Name(n), tab.Zones[n.Zone()].Text)
		below := tab.Find([]byte("\x04none"+string(tab.Text(n))), dnswire.TypeA)
		line += fmt.Sprintf(" below %d %d", below.Kind, below.Encloser)
		if n.Plan != NoPlan {
			p := tab.Plans[n.Plan]
			line += fmt.Sprintf(" %s %v %v %v", p.Policy.Key, p.MinHealthy, p.Hosted, p.Together)
			for _, ms := range []*[families]Members{&p.Members, &p.Spare} {
				for f := range ms {
					m := &ms[f]
					for i, e := range m.Endpoints {
						target := &tab.Targets[m.Targets[i]]
						line += fmt.Sprintf("\n\t%s judged as %s by %d, weight %d", e, target.String(), len(target.Checks), m.Candidates[i].Weight)
						if m.Flat(i) {
							line += " flat " + tab.Hosts[m.Hosts[i]].String()
						} else if e.Host == "" {
							line += fmt.Sprintf(" at %x", m.Addr(Family(f), uint32(i)))
						}
						if m.InRow && m.Targets[i] != m.Targets[0]+int32(i) {
							t.Fatal("the targets are not in a row")
						}
					}
				}
			}
		}
		out = append(out, line)
		return true
	})
	slices.Sort(out)
	hosts := slices.Sorted(slices.Values(tab.Hosts))
	return fmt.Sprintln(tab.Services(), tab.stated.seqs, tab.stated.counters, len(tab.Targets), hosts) + strings.Join(out, "\n")
}

// TestChangeOfStatements reads one configuration by chance after the other, whose
// policies keep their keys while their pools change, and compares the table that
// comes of the one before with the one that is made anew.
func TestChangeOfStatements(t *testing.T) {
	changed := 0
	for seed := range rounds(uint64(60)) {
		r := rand.New(rand.NewPCG(seed, 11))
		tab := compile(t, nil, statement(r, seed%2 == 0))
		for step := range 12 {
			before := meant(t, tab)
			text := statement(r, seed%2 == 0)
			next, err := Compile(tab, parse(t, text))
			if err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			if !next.Anew() {
				changed++
			}
			if got, want := meant(t, next), meant(t, compile(t, nil, text)); got != want {
				t.Fatalf("seed %d, step %d: became\n%s\nwant\n%s\nof\n%s", seed, step, got, want, text)
			}
			if meant(t, tab) != before {
				t.Fatalf("seed %d, step %d: the table before has changed", seed, step)
			}
			tab = next
		}
	}
	if !raced && changed < 200 {
		t.Errorf("%d tables were made of the one before", changed)
	}
}
