package zone

import (
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// TestFindDeep looks for names with more labels than any that is there, and with
// as many and fewer, after the tree has got deeper in each of the ways it can.
func TestFindDeep(t *testing.T) {
	check := func(what string, tree *Tree) {
		t.Helper()
		most := 0
		tree.Each(func(node *Node) bool {
			text := tree.Text(node)
			most = max(most, depth(text))
			// Below every name, at each depth that a name can have.
			for n := 1; 2*n+len(text) < 255; n++ {
				asked := append([]byte(strings.Repeat("\x01y", n)), text...)
				m := tree.Find(asked, dnswire.TypeA)
				want := Missing
				if node.has(wildcardBelow) {
					want = Wildcard
				}
				if m.Kind != want || m.Encloser != len(text) {
					t.Fatalf("%s: %d labels below %s: kind %d, encloser of %d octets", what, n, dnswire.Name(text), m.Kind, m.Encloser)
				}
			}
			return true
		})
		if tree.most < most {
			t.Errorf("%s: %d labels at most, and there are %d", what, tree.most, most)
		}
	}
	tree := NewTree([]*Data{data(t, "x.test", append(apexLines, "a.b TXT 1", "*.w TXT 2")...)}, 0)
	check("as made", tree)
	if m := tree.Find([]byte("\x00"), dnswire.TypeA); m.Kind != Outside {
		t.Errorf("the root: kind %d", m.Kind)
	}
	if m := tree.Find([]byte(strings.Repeat("\x01y", 120)+"\x00"), dnswire.TypeA); m.Kind != Outside {
		t.Errorf("in no zone: kind %d", m.Kind)
	}
	tree.Add([]byte(name(t, "a.b.c.d.e.f.x.test")), 0).Plan = 1
	check("with a service", tree)
	next, err := tree.Branch([]*Data{data(t, "x.test", append(apexLines, "a.b TXT 1", "*.w TXT 2", "g.f.e.d.c.b.a.s.r.q TXT 3")...)}, func(*Node, []byte) {})
	if err != nil {
		t.Fatal(err)
	}
	check("with records", next)
	if err := next.Remove([]byte(name(t, "a.b.c.d.e.f.x.test"))); err != nil {
		t.Fatal(err)
	}
	check("without the service", next)
}
