package table

import (
	"fmt"
	"strings"
	"testing"
)

// zoneOf is a configuration of services, each with its pools and steering.
func zoneOf(services ...string) string {
	return `
pools:
  p: {endpoints: [192.0.2.1, 192.0.2.2]}
  q: {endpoints: [192.0.2.3, 192.0.2.4]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      ` + strings.Join(services, "\n      ") + "\n"
}

func many(n int, format string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(format, i)
	}
	return out
}

func TestSequencesGoOn(t *testing.T) {
	a := compile(t, nil, zoneOf("one: {pools: [p]}", "two: {pools: [p]}", "fixed: {pools: [p], steer: weighted}"))
	for range 5 {
		a.Next(a.lookup(t, "one.x.test."), TurnV4)
	}
	for range 3 {
		a.Next(a.lookup(t, "one.x.test."), TurnV6)
	}
	a.Next(a.lookup(t, "two.x.test."), TurnV4)

	// One's endpoints change, two goes, others come.
	b := compile(t, a, zoneOf("new: {pools: [q]}", "fixed: {pools: [p]}", "one: {pools: [q, p], ttl: 5}"))
	check := func(tab *Table, service string, v4, v6 uint32) {
		t.Helper()
		n := tab.lookup(t, service)
		if g4, g6 := tab.Peek(n, TurnV4), tab.Peek(n, TurnV6); g4 != v4 || g6 != v6 {
			t.Errorf("%s is at %d and %d, want %d and %d", service, g4, g6, v4, v6)
		}
	}
	check(b, "one.x.test.", 5, 3)
	check(b, "new.x.test.", 0, 0)
	check(b, "fixed.x.test.", 0, 0)

	// While both tables are in use they count together.
	if got := a.Next(a.lookup(t, "one.x.test."), TurnV4); got != 5 {
		t.Errorf("the sixth answer is number %d", got)
	}
	check(b, "one.x.test.", 6, 3)
	check(a, "one.x.test.", 6, 3)

	// A service that comes back begins again.
	c := compile(t, b, zoneOf("two: {pools: [p]}", "one: {pools: [p]}"))
	check(c, "two.x.test.", 0, 0)
	check(c, "one.x.test.", 6, 3)
}

func TestCountersGoOn(t *testing.T) {
	a := compile(t, nil, zoneOf("one: {pools: [p]}", "two: {pools: [p, q]}", "three: {pools: [p], all_down: q}"))
	b := compile(t, a, zoneOf("zero: {pools: [q]}", "three: {pools: [p], all_down: q, ttl: 1}", "two: {pools: [q, p]}", "one: {pools: [p], steer: random}"))
	if a.Counters().Epoch != b.Counters().Epoch {
		t.Fatal("another epoch without need")
	}
	for _, same := range []string{"one.x.test.", "three.x.test."} {
		if x, y := a.lookup(t, same).Counter, b.lookup(t, same).Counter; x != y {
			t.Errorf("%s had counter %d and has %d", same, x, y)
		}
	}
	// The counters of a service whose pools are others would tell of the old ones.
	for _, other := range []string{"two.x.test.", "zero.x.test."} {
		if got := b.lookup(t, other).Counter; int(got) < a.Counters().Len {
			t.Errorf("%s has counter %d, which was another's", other, got)
		}
	}
	if want := a.Counters().Len + 3; b.Counters().Len != want {
		t.Errorf("%d counters, want %d", b.Counters().Len, want)
	}
}

// TestDealtAnew lets most of a large table's services go: the rest keeps its
// turns, and numbers are dealt from the start.
func TestDealtAnew(t *testing.T) {
	const n = 30_000
	a := compile(t, nil, zoneOf(many(n, "s%d: {pools: [p]}")...))
	last := a.lookup(t, fmt.Sprintf("s%d.x.test.", n-1))
	a.Next(last, TurnV4)
	a.Next(last, TurnV4)
	a.Next(last, TurnV6)
	if len(a.seqs.pages) != (n*2+seqPage-1)/seqPage {
		t.Fatalf("%d pages", len(a.seqs.pages))
	}

	more := compile(t, a, zoneOf(append(many(n/2, "s%d: {pools: [p]}"), "s29999: {pools: [p]}")...))
	if more.Counters().Epoch != 0 || more.seqs.used != a.seqs.used || more.lookup(t, "s29999.x.test.").Seq != last.Seq {
		t.Error("dealt anew although half of the services are left")
	}

	few := compile(t, more, zoneOf("new: {pools: [p]}", "s29999: {pools: [p]}", "s7: {pools: [p]}"))
	if got := few.Counters(); got.Epoch != 1 || got.Len != 3 {
		t.Errorf("counters %+v, want epoch 1 and 3 of them", got)
	}
	if len(few.seqs.pages) != 1 || few.seqs.used != 3*2 {
		t.Errorf("%d sequences in %d pages", few.seqs.used, len(few.seqs.pages))
	}
	node := few.lookup(t, "s29999.x.test.")
	if v4, v6 := few.Peek(node, TurnV4), few.Peek(node, TurnV6); v4 != 2 || v6 != 1 {
		t.Errorf("s29999 is at %d and %d, want 2 and 1", v4, v6)
	}
	seqs := map[uint32]bool{}
	few.EachService(func(n *Node, _ *Plan) bool {
		if seqs[n.Seq] || n.Seq%2 != 0 {
			t.Errorf("sequence %d of %s", n.Seq, few.Name(n))
		}
		seqs[n.Seq] = true
		return true
	})
	if next := compile(t, few, zoneOf("s7: {pools: [p]}")); next.Counters().Epoch != 1 {
		t.Error("the epoch goes on")
	}
}

// TestCompileLeavesThePreviousTable compiles twice from one table, as when the
// first try is thrown away.
func TestCompileLeavesThePreviousTable(t *testing.T) {
	a := compile(t, nil, zoneOf("one: {pools: [p]}"))
	used, pages, layout := a.seqs.used, len(a.seqs.pages), a.Counters()
	_ = compile(t, a, zoneOf(append(many(5000, "s%d: {pools: [p]}"), "one: {pools: [q]}")...))
	if a.seqs.used != used || len(a.seqs.pages) != pages || a.Counters() != layout {
		t.Error("compiling changed the table it went on from")
	}
	b := compile(t, a, zoneOf("one: {pools: [p]}", "two: {pools: [p]}"))
	if one, two := b.lookup(t, "one.x.test.").Seq, b.lookup(t, "two.x.test.").Seq; one == two {
		t.Error("one and two share a sequence")
	}
}
