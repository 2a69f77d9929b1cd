package zone

import (
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// kinds are the ends of a search in words.
var kinds = map[Kind]string{Outside: "outside", Exact: "exact", Wildcard: "wildcard", Delegation: "cut", Redirect: "dname", Missing: "missing"}

// described is a match in words: its kind, the zone, the node, the encloser and
// the types of the records.
func described(tree *Tree, zones []*Data, asked dnswire.Name, m Match) string {
	out := kinds[m.Kind]
	if m.Zone >= 0 {
		out += " in " + zones[m.Zone].Name.String()
		out += " below " + asked[len(asked)-m.Encloser:].String()
	}
	if m.Node != nil {
		out += " at " + dnswire.Name(tree.Text(m.Node)).String()
		if m.Node.Empty() {
			out += " (empty)"
		}
	}
	var types []string
	m.Each(func(s Set) bool {
		types = append(types, s.Type.String())
		if own, ok := m.Set(s.Type); !ok || own.Count == 0 {
			types = append(types, "not found by its type")
		}
		return true
	})
	if len(types) > 0 {
		out += ": " + strings.Join(types, " ")
	}
	if m.Static() != (len(types) > 0) || m.Static() != (m.Owner() != nil) {
		out += " and static does not agree"
	}
	return out
}

// TestFind has cuts, DNAME records and what they hide, wildcards, and zones of
// ours within each other.
func TestFind(t *testing.T) {
	zones := []*Data{
		data(t, "x.test",
			"www A 192.0.2.1", "*.w A 192.0.2.2", "*.w MX 1 a", "a.*.w TXT t", "b.w TXT t", "deep.down.here TXT t",
			// A cut with glue, a cut below it that nobody reaches, and a name below.
			"sub NS ns.sub", "sub DS 1 13 2 "+strings.Repeat("00", 32), "ns.sub A 192.0.2.3", "x.y.sub NS ns.sub", "www.sub A 192.0.2.4", "*.sub A 192.0.2.4",
			"d DNAME e", "d A 192.0.2.5", "old.d A 192.0.2.6", "e A 192.0.2.7",
			"*.wns NS ns1", "*.wd DNAME e", "a.*.wd TXT t",
			// A zone of ours below, delegated, with glue in a third one, and one that is
			// not delegated.
			"own NS ns.own", "own DS 1 13 2 "+strings.Repeat("00", 32), "ns.own A 192.0.2.8", "far NS a.b.own",
			"a.b.own A 192.0.2.9",
			// A zone of ours below a cut, and one below a DNAME.
			"*.v A 192.0.2.10",
		),
		data(t, "own.x.test", "ns1 A 192.0.2.11", "www A 192.0.2.11"),
		data(t, "b.own.x.test", "ns1 A 192.0.2.12", "www A 192.0.2.12"),
		data(t, "z.sub.x.test", "ns1 A 192.0.2.13"),
		data(t, "z.d.x.test", "ns1 A 192.0.2.14"),
		data(t, "z.v.x.test", "ns1 A 192.0.2.15"),
		data(t, "alone.test", "@ DNAME elsewhere.test.", "hidden A 192.0.2.16"),
		data(t, "test.example", "@ CAA 0 issue x"),
	}
	tree := NewTree(zones, 0)
	for _, c := range []struct{ name, typ, want string }{
		{"x.test", "A", "exact in x.test. below x.test. at x.test.: NS SOA"},
		{"www.x.test", "A", "exact in x.test. below www.x.test. at www.x.test.: A"},
		{"nope.x.test", "A", "missing in x.test. below x.test."},
		{"a.nope.www.x.test", "A", "missing in x.test. below www.x.test."},
		{"down.here.x.test", "A", "exact in x.test. below down.here.x.test. at down.here.x.test. (empty)"},
		{"x.here.x.test", "A", "missing in x.test. below here.x.test."},
		{"test", "A", "outside"},
		{".", "A", "outside"},
		{"notx.test", "A", "outside"},
		{"example", "A", "outside"},

		// Wildcards (RFC 4592).
		{"w.x.test", "A", "exact in x.test. below w.x.test. at w.x.test. (empty)"},
		{"c.w.x.test", "A", "wildcard in x.test. below w.x.test. at *.w.x.test.: A MX"},
		{"d.c.w.x.test", "A", "wildcard in x.test. below w.x.test. at *.w.x.test.: A MX"},
		{"b.w.x.test", "A", "exact in x.test. below b.w.x.test. at b.w.x.test.: TXT"},
		{"a.b.w.x.test", "A", "missing in x.test. below b.w.x.test."},
		{"*.w.x.test", "A", "exact in x.test. below *.w.x.test. at *.w.x.test.: A MX"},
		{"b.*.w.x.test", "A", "missing in x.test. below *.w.x.test."},
		{"a.*.w.x.test", "A", "exact in x.test. below a.*.w.x.test. at a.*.w.x.test.: TXT"},

		// A cut hides what is below, itself too but for DS.
		{"sub.x.test", "A", "cut in x.test. below sub.x.test. at sub.x.test.: NS DS"},
		{"sub.x.test", "NS", "cut in x.test. below sub.x.test. at sub.x.test.: NS DS"},
		{"sub.x.test", "DS", "exact in x.test. below sub.x.test. at sub.x.test.: NS DS"},
		{"www.sub.x.test", "A", "cut in x.test. below sub.x.test. at sub.x.test.: NS DS"},
		{"ns.sub.x.test", "DS", "cut in x.test. below sub.x.test. at sub.x.test.: NS DS"},
		{"none.sub.x.test", "A", "cut in x.test. below sub.x.test. at sub.x.test.: NS DS"},
		{"y.sub.x.test", "A", "cut in x.test. below sub.x.test. at sub.x.test.: NS DS"},
		{"x.y.sub.x.test", "DS", "cut in x.test. below sub.x.test. at sub.x.test.: NS DS"},
		{"a.x.y.sub.x.test", "A", "cut in x.test. below sub.x.test. at sub.x.test.: NS DS"},

		// A DNAME record renames what is below, and not itself.
		{"d.x.test", "A", "exact in x.test. below d.x.test. at d.x.test.: A DNAME"},
		{"d.x.test", "DNAME", "exact in x.test. below d.x.test. at d.x.test.: A DNAME"},
		{"a.d.x.test", "A", "dname in x.test. below d.x.test. at d.x.test.: A DNAME"},
		{"a.d.x.test", "DS", "dname in x.test. below d.x.test. at d.x.test.: A DNAME"},
		{"old.d.x.test", "A", "dname in x.test. below d.x.test. at d.x.test.: A DNAME"},
		{"b.old.d.x.test", "A", "dname in x.test. below d.x.test. at d.x.test.: A DNAME"},
		{"alone.test", "A", "exact in alone.test. below alone.test. at alone.test.: NS SOA DNAME"},
		{"hidden.alone.test", "A", "dname in alone.test. below alone.test. at alone.test.: NS SOA DNAME"},
		{"none.alone.test", "A", "dname in alone.test. below alone.test. at alone.test.: NS SOA DNAME"},

		// At a wildcard NS delegates nothing; DNAME renames what is below its literal.
		{"a.wns.x.test", "A", "wildcard in x.test. below wns.x.test. at *.wns.x.test.: NS"},
		{"*.wns.x.test", "A", "exact in x.test. below *.wns.x.test. at *.wns.x.test.: NS"},
		{"b.*.wns.x.test", "A", "missing in x.test. below *.wns.x.test."},
		{"a.wd.x.test", "A", "wildcard in x.test. below wd.x.test. at *.wd.x.test.: DNAME"},
		{"b.*.wd.x.test", "A", "dname in x.test. below *.wd.x.test. at *.wd.x.test.: DNAME"},
		{"a.*.wd.x.test", "TXT", "dname in x.test. below *.wd.x.test. at *.wd.x.test.: DNAME"},

		// A zone of ours below another: DS at its apex is the parent's.
		{"own.x.test", "A", "exact in own.x.test. below own.x.test. at own.x.test.: NS SOA"},
		{"own.x.test", "DS", "exact in x.test. below own.x.test.: NS DS"},
		{"www.own.x.test", "A", "exact in own.x.test. below www.own.x.test. at www.own.x.test.: A"},
		{"ns.own.x.test", "A", "missing in own.x.test. below own.x.test."},
		{"www.own.x.test", "DS", "exact in own.x.test. below www.own.x.test. at www.own.x.test.: A"},
		{"b.own.x.test", "DS", "missing in own.x.test. below own.x.test."},
		{"b.own.x.test", "A", "exact in b.own.x.test. below b.own.x.test. at b.own.x.test.: NS SOA"},
		{"a.b.own.x.test", "A", "missing in b.own.x.test. below b.own.x.test."},
		{"far.x.test", "A", "cut in x.test. below far.x.test. at far.x.test.: NS"},

		// Zones of ours where the parent has a cut, a DNAME or a wildcard above.
		{"z.sub.x.test", "DS", "cut in x.test. below sub.x.test. at sub.x.test.: NS DS"},
		{"z.sub.x.test", "SOA", "exact in z.sub.x.test. below z.sub.x.test. at z.sub.x.test.: NS SOA"},
		{"z.d.x.test", "DS", "dname in x.test. below d.x.test. at d.x.test.: A DNAME"},
		{"z.d.x.test", "A", "exact in z.d.x.test. below z.d.x.test. at z.d.x.test.: NS SOA"},
		{"z.v.x.test", "DS", "wildcard in x.test. below v.x.test. at *.v.x.test.: A"},
		{"y.v.x.test", "A", "wildcard in x.test. below v.x.test. at *.v.x.test.: A"},
		{"alone.test", "DS", "exact in alone.test. below alone.test. at alone.test.: NS SOA DNAME"},
	} {
		typ, err := dnswire.ParseType(c.typ)
		if err != nil {
			t.Fatal(err)
		}
		asked := name(t, c.name)
		if got := described(tree, zones, asked, tree.Find([]byte(asked), typ)); got != c.want {
			t.Errorf("%s %s: %s\nwant %s", c.name, c.typ, got, c.want)
		}
	}
	for i, want := range []int{-1, 0, 1, 0, 0, 0, -1, -1} {
		if tree.Parent(i) != want || tree.Data(i) != zones[i] {
			t.Errorf("the parent of %s is %d", zones[i].Name, tree.Parent(i))
		}
	}

	// What a zone says of name servers, whatever hides them or has them besides.
	for _, c := range []struct {
		name string
		zone int
		want string
	}{
		{"ns.sub.x.test", 0, "exact in x.test. below ns.sub.x.test. at ns.sub.x.test.: A"},
		{"ns.own.x.test", 0, "exact in x.test. below ns.own.x.test.: A"},
		{"own.x.test", 0, "exact in x.test. below own.x.test.: NS DS"},
		{"own.x.test", 1, "exact in own.x.test. below own.x.test. at own.x.test.: NS SOA"},
		{"a.b.own.x.test", 0, "exact in x.test. below a.b.own.x.test.: A"},
		{"www.own.x.test", 0, "exact in own.x.test. below www.own.x.test. at www.own.x.test.: A"},
		{"www.b.own.x.test", 0, "exact in b.own.x.test. below www.b.own.x.test. at www.b.own.x.test.: A"},
		{"ns.own.x.test", 1, ""},
		{"c.w.x.test", 0, ""}, // no wildcard makes glue
		{"nope.x.test", 0, ""},
		{"ns.elsewhere.example", 0, ""},
	} {
		asked := name(t, c.name)
		m, ok := tree.Glue([]byte(asked), c.zone)
		got := ""
		if ok {
			got = described(tree, zones, asked, m)
		}
		if got != c.want {
			t.Errorf("glue %s of zone %d: %s\nwant %s", c.name, c.zone, got, c.want)
		}
	}
}

// TestImplied: where a zone is made from the configuration, the zones of ours
// below it exist in it; where it comes from a file, that decides.
func TestImplied(t *testing.T) {
	for _, implied := range []bool{true, false} {
		b := builder(t, "x.test", append(apexLines[:len(apexLines):len(apexLines)], "*.a A 192.0.2.1", "ns.c.b A 192.0.2.2")...)
		if implied {
			b.Implies()
		}
		up, faults, _ := b.Build()
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		zones := []*Data{data(t, "z.y.x.test"), up, data(t, "v.a.x.test"), data(t, "c.b.x.test"), data(t, "deep.z.y.x.test")}
		tree := NewTree(zones, 0)
		want := map[string]string{
			// Found because of the zone below, or not at all.
			"z.y.x.test DS":      "missing in x.test. below x.test.",
			"y.x.test A":         "missing in x.test. below x.test.",
			"v.a.x.test DS":      "wildcard in x.test. below a.x.test. at *.a.x.test.: A",
			"c.b.x.test DS":      "exact in x.test. below c.b.x.test.",
			"b.x.test A":         "exact in x.test. below b.x.test. at b.x.test. (empty)",
			"deep.z.y.x.test DS": "missing in z.y.x.test. below z.y.x.test.",
			"w.v.a.x.test A":     "missing in v.a.x.test. below v.a.x.test.",
			"w.a.x.test A":       "wildcard in x.test. below a.x.test. at *.a.x.test.: A",
		}
		if implied {
			want["z.y.x.test DS"] = "exact in x.test. below z.y.x.test."
			want["y.x.test A"] = "exact in x.test. below y.x.test. at y.x.test. (empty)"
			want["v.a.x.test DS"] = "exact in x.test. below v.a.x.test."
		}
		for question, what := range want {
			text, mnemonic, _ := strings.Cut(question, " ")
			typ, err := dnswire.ParseType(mnemonic)
			if err != nil {
				t.Fatal(err)
			}
			asked := name(t, text)
			if got := described(tree, zones, asked, tree.Find([]byte(asked), typ)); got != what {
				t.Errorf("implied %t: %s: %s\nwant %s", implied, question, got, what)
			}
		}
	}
}

// TestAdd adds the names of services.
func TestAdd(t *testing.T) {
	zones := []*Data{data(t, "x.test", "a.b TXT t"), data(t, "s.x.test")}
	tree := NewTree(zones, 4)
	for i, n := range []string{"*.q.x.test", "b.x.test", "w.s.x.test", "x.test", "a.b.x.test"} {
		node := tree.Add([]byte(name(t, n)), []int{0, 0, 1, 0, 0}[i])
		if node.Plan != NoPlan {
			t.Errorf("%s: plan %d", n, node.Plan)
		}
		node.Plan = uint32(i)
	}
	for text, want := range map[string]string{
		"q.x.test":   "exact in x.test. below q.x.test. at q.x.test. (empty)",
		"z.q.x.test": "wildcard in x.test. below q.x.test. at *.q.x.test.",
		"b.x.test":   "exact in x.test. below b.x.test. at b.x.test.",
		"w.s.x.test": "exact in s.x.test. below w.s.x.test. at w.s.x.test.",
		"a.b.x.test": "exact in x.test. below a.b.x.test. at a.b.x.test.: TXT",
		"x.test":     "exact in x.test. below x.test. at x.test.: NS SOA",
	} {
		asked := name(t, text)
		if got := described(tree, zones, asked, tree.Find([]byte(asked), dnswire.TypeA)); got != want {
			t.Errorf("%s: %s\nwant %s", text, got, want)
		}
	}
	plans := 0
	tree.Each(func(n *Node) bool {
		if n.Plan != NoPlan {
			plans++
		}
		return true
	})
	if plans != 5 || tree.Lookup([]byte("\x00")) != nil {
		t.Errorf("%d plans", plans)
	}
	if zones[0].Size() < 50 {
		t.Errorf("%d octets", zones[0].Size())
	}
}
