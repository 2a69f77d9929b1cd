package zone

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// TestGrow feeds a zone until its index and the places of its data have grown many times,
// by branches alone, and compares them with what is made anew: names that come and go,
// empty non-terminals, wildcards, cuts and what these hide.
func TestGrow(t *testing.T) {
	zone := name(t, "x.test")
	labels := func(i int) string {
		switch i % 8 {
		case 0:
			return fmt.Sprintf("a.b.e%d", i) // with two empty names
		case 1:
			return fmt.Sprintf("*.w%d", i)
		case 2:
			return fmt.Sprintf("under.n%d", i+1) // there is often something above
		case 3:
			return fmt.Sprintf("cut%d", i)
		}
		return fmt.Sprintf("n%d", i)
	}
	lines := func(label string, version int) []string {
		if strings.HasPrefix(label, "cut") {
			return []string{"NS ns.elsewhere.test."}
		}
		return []string{fmt.Sprintf("60 A 192.0.2.%d", version)}
	}
	apex := slices.Clone(apexLines)
	for i := range apex {
		apex[i] = strings.TrimPrefix(apex[i], "@ ")
	}
	want := owned{"@": apex, "cut0": lines("cut0", 0)}
	asked := func(r *rand.Rand, top int) (out []dnswire.Name) {
		for range 1000 {
			l := labels(r.IntN(top + 8))
			out = append(out, within(t, zone, l), within(t, zone, "none."+l))
			for at := strings.IndexByte(l, '.'); at >= 0; at = strings.IndexByte(l, '.') {
				l = l[at+1:]
				out = append(out, within(t, zone, l), within(t, zone, "none."+l))
			}
		}
		return out
	}
	d := want.build(t, zone)
	tree := NewTree([]*Data{d}, 0)
	r := rand.New(rand.NewPCG(7, 7))
	top, whole := 0, 0
	was, had := tree, maps.Clone(want)
	places, slots := len(d.index().pages), len(tree.pages)
	steps := rounds(500)
	for step := range steps {
		var edits []Edit
		for range 60 {
			label := labels(top)
			if r.IntN(4) == 0 {
				label = labels(r.IntN(top + 1))
			} else {
				top++
			}
			if r.IntN(8) == 0 {
				delete(want, label)
			} else {
				want[label] = lines(label, r.IntN(250))
			}
			edits = append(edits, want.edit(t, zone, label))
		}
		var err error
		if d, err = d.Amend(edits); err != nil {
			t.Fatal(err)
		}
		next, err := tree.Branch([]*Data{d}, func(*Node, []byte) {})
		if err != nil {
			if whole++; whole > 5 { // the tree may tidy up
				t.Fatal(err)
			}
			next = NewTree([]*Data{d}, 0)
		}
		tree = next
		if step%100 != 99 && step != steps-1 {
			continue
		}
		some := asked(r, top)
		fresh := want.build(t, zone)
		agree(t, tree, NewTree([]*Data{fresh}, 0), some)
		counted(t, tree)
		for _, n := range some {
			got, gotOK := d.Owned(n)
			want, wantOK := fresh.Owned(n)
			if gotOK != wantOK || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%s is %v, want %v", n, got, want)
			}
		}
		// A tree that others have branched off stays as it was.
		agree(t, was, NewTree([]*Data{had.build(t, zone)}, 0), some)
		was, had = tree, maps.Clone(want)
	}
	if p, s := len(d.places.Load().pages)-places, len(tree.pages)-slots; !raced && (p < 10 || s < 20) {
		t.Errorf("%d pages of places and %d of slots have come", p, s)
	}
}
