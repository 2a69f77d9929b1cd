package zone

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// owned is what a zone is to have of each name, as lines of text without the name;
// no lines: the name exists.
type owned map[string][]string

// edit is what a zone is to have of one name.
func (o owned) edit(t testing.TB, zone dnswire.Name, label string) Edit {
	lines, exists := o[label]
	e := Edit{Owner: within(t, zone, label), Exists: exists}
	for _, line := range lines {
		e.Records = append(e.Records, record(t, zone, label+" "+line))
	}
	return e
}

func within(t testing.TB, zone dnswire.Name, label string) dnswire.Name {
	if label == "@" {
		return zone
	}
	return name(t, label+"."+zone.String())
}

// build is the data made anew.
func (o owned) build(t testing.TB, zone dnswire.Name) *Data {
	b := NewBuilder(zone)
	for _, label := range slices.Sorted(maps.Keys(o)) {
		e := o.edit(t, zone, label)
		if len(e.Records) == 0 {
			if err := b.AddName(e.Owner); err != nil {
				t.Fatal(err)
			}
		}
		for i := range e.Records {
			if err := b.Add(&e.Records[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	d, faults, _ := b.Build()
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return d
}

// listed is all that data list, a line for each set in the order of names.
func listed(t testing.TB, d *Data) string {
	var all []string
	one := func(owner dnswire.Name, typ dnswire.Type, ttl uint32, data [][]byte) string {
		return fmt.Sprintf("%s %d %s %q", owner, ttl, typ, data)
	}
	var last dnswire.Name
	d.All(func(owner dnswire.Name, typ dnswire.Type, ttl uint32, data [][]byte) bool {
		all = append(all, one(owner, typ, ttl, data))
		if owner == last {
			return true
		}
		last = owner
		sets, exists := d.Owned(owner)
		if !exists || len(sets) == 0 != (typ == 0) || len(sets) > 0 && one(owner, sets[0].Type, sets[0].TTL, sets[0].Data) != all[len(all)-1] {
			t.Errorf("%s is listed as %s, and by name as %v", owner, all[len(all)-1], sets)
		}
		return true
	})
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// answer is the end of a search for a name in a tree, with the records found.
func answer(b []byte, tree *Tree, asked dnswire.Name, typ dnswire.Type) []byte {
	m := tree.Find([]byte(asked), typ)
	b = append(b, kinds[m.Kind]...)
	b = append(b, ' ', byte('0'+m.Zone), ' ', byte(m.Encloser))
	if m.Node != nil {
		b = append(b, tree.Text(m.Node)...)
	}
	if m.Static() {
		b = append(b, " static"...)
	}
	if m.Bare() {
		b = append(b, " bare"...)
	}
	m.Each(func(s Set) bool {
		b = append(append(append(b, '|'), s.wire...), s.fixes...)
		return true
	})
	return b
}

// agree sees to it that two trees find the same.
func agree(t testing.TB, got, want *Tree, asked []dnswire.Name) {
	t.Helper()
	var g, w []byte
	for _, name := range asked {
		for _, typ := range []dnswire.Type{dnswire.TypeA, dnswire.TypeDS} {
			g, w = answer(g[:0], got, name, typ), answer(w[:0], want, name, typ)
			if string(g) != string(w) {
				t.Fatalf("%s %s is\n%q\nwant\n%q", name, typ, g, w)
			}
		}
	}
}

// version is data, what they are to have, and the tree that has them.
type version struct {
	data *Data
	want owned
}

// play amends a zone as choose says, which gives numbers below its argument, and
// compares each version with data that are made anew: what they list, and what a
// tree finds in them, made anew or branched off.
func play(t testing.TB, steps int, choose func(n int) int) (branched, whole int) {
	zone := name(t, "x.test")
	large := choose(4) == 0
	cuts := choose(3) > 0
	labels := []string{"a", "b", "c", "*"}
	some := func() string {
		if !large && choose(12) == 0 { // what has to do with the zone below
			return []string{"own.a", "www.own.a", "b.own.a"}[choose(3)]
		}
		var l []string
		for range 1 + choose(3) {
			l = append(l, labels[choose(len(labels))])
		}
		return strings.Join(l, ".")
	}
	var asked []dnswire.Name
	for _, a := range append(labels, "none") {
		asked = append(asked, within(t, zone, a))
		for _, b := range append(labels, "none") {
			asked = append(asked, within(t, zone, a+"."+b))
			for _, c := range labels {
				asked = append(asked, within(t, zone, a+"."+b+"."+c), within(t, zone, "none."+a+"."+b+"."+c))
			}
		}
	}
	asked = append(asked, zone, name(t, "test"), within(t, zone, "own.a"), within(t, zone, "www.own.a"))

	lines := func(label string) []string {
		var out []string
		switch k := choose(10); {
		case k == 0 && cuts && label[0] != '*':
			out = append(out, "NS ns.elsewhere.test.", "NS ns.a")
			if choose(2) == 0 {
				out = append(out, "DS 1 13 2 "+strings.Repeat("00", 32))
			}
		case k == 1 && cuts:
			out = append(out, "DNAME other.test.", "TXT beside")
		case k == 2:
			out = append(out, "CNAME Some."+labels[choose(3)])
		case k == 3:
			out = append(out, "MX 1 Mail."+label, "MX 2 mail.elsewhere.test.", "MX 3 b.mail.elsewhere.test.", "A 192.0.2.9")
		case k == 4:
		default:
			out = append(out, fmt.Sprintf("%d A 192.0.2.%d", 1+choose(2), choose(4)))
			if choose(3) == 0 {
				out = append(out, fmt.Sprintf("A 192.0.2.%d", 4+choose(4)), "AAAA 2001:db8::1")
			}
		}
		if large && choose(2) == 0 && (len(out) == 0 || !strings.HasPrefix(out[0], "CNAME")) {
			for i := range 1 + choose(40) {
				out = append(out, fmt.Sprintf(`TXT "%d%d" "%s"`, i, choose(3), strings.Repeat("x", 250)))
			}
		}
		return out
	}
	apex := func() []string {
		out := slices.Clone(apexLines)
		for i := range out {
			out[i] = strings.TrimPrefix(out[i], "@ ")
		}
		if choose(2) == 0 {
			out[0] = fmt.Sprintf("3600 SOA ns1 hostmaster %d 3600 600 604800 %d", 8+choose(100), choose(10_000))
		}
		if choose(2) == 0 {
			out = append(out, "A 192.0.2.1")
		}
		return out
	}
	want := owned{"@": apex()}
	for range choose(6) {
		label := some()
		want[label] = lines(label)
	}
	child := data(t, "own.a.x.test", "www A 192.0.2.1")
	now := version{want.build(t, zone), want}
	past := []version{now}
	labels = append(labels, []string{"d", "e", "f", "g"}[:choose(5)]...)
	zones := func(d *Data) []*Data {
		if large {
			return []*Data{d}
		}
		return []*Data{d, child}
	}
	tree := NewTree(zones(now.data), 0)
	for step := range steps {
		if choose(12) == 0 {
			now = past[choose(len(past))]
		}
		for range 1 + choose(2) {
			before := listed(t, now.data)
			next := maps.Clone(now.want)
			var edits []Edit
			for range 1 + choose(4) {
				label := some()
				switch choose(12) {
				case 0, 1, 2, 3:
					delete(next, label)
				case 4:
					label = "@"
					next[label] = apex()
				case 5: // what it has
				default:
					next[label] = lines(label)
				}
				edits = append(edits, next.edit(t, zone, label))
			}
			d, err := now.data.Amend(edits)
			if err != nil {
				t.Fatal(err)
			}
			fresh := next.build(t, zone)
			if got, want := listed(t, d), listed(t, fresh); got != want {
				t.Fatalf("step %d: lists\n%s\nwant\n%s", step, got, want)
			}
			if d.Records != fresh.Records || d.names != fresh.names || d.Serial != fresh.Serial || d.negativeTTL != fresh.negativeTTL || string(d.negative.wire) != string(fresh.negative.wire) {
				t.Fatalf("step %d: %d records of %d names, serial %d; want %d of %d, serial %d", step, d.Records, d.names, d.Serial, fresh.Records, fresh.names, fresh.Serial)
			}
			if got := listed(t, now.data); got != before {
				t.Fatalf("step %d: the data before list\n%s\nand listed\n%s", step, got, before)
			}
			octets, dead := 0, 0
			for i, p := range d.pieces {
				octets += len(p)
				if i < len(d.dead) {
					dead += int(d.dead[i])
				}
			}
			if dead > slack+octets/4 {
				t.Fatalf("step %d: %d octets of %d are dead", step, dead, octets)
			}
			now = version{d, next}
			past = append(past, now)
		}
		want := NewTree(zones(now.want.build(t, zone)), 0)
		agree(t, NewTree(zones(now.data), 0), want, asked)
		before := ""
		if !large {
			before = dump(tree)
		}
		branch, err := tree.Branch(zones(now.data), func(*Node, []byte) {})
		switch {
		case errors.Is(err, ErrWhole):
			whole++
			branch = NewTree(zones(now.data), 0)
		case err != nil:
			t.Fatal(err)
		default:
			branched++
			agree(t, branch, want, asked)
			if !large {
				if got, want := dump(branch), dump(want); got != want {
					t.Fatalf("step %d: the branch became\n%s", step, differ(got, want))
				}
			}
		}
		counted(t, branch)
		if !large {
			if got := dump(tree); got != before {
				t.Fatalf("step %d: the tree before is\n%s", step, differ(got, before))
			}
		}
		tree = branch
	}
	return branched, whole
}

// counted sees to it that names know how many are just below them.
func counted(t testing.TB, tree *Tree) {
	t.Helper()
	just := map[string]uint32{}
	tree.Each(func(n *Node) bool {
		if name := tree.Text(n); len(name) > 1 && (!n.has(apex) || tree.zones[n.Zone()].known) {
			just[string(name[1+int(name[0]):])]++
		}
		return true
	})
	tree.Each(func(n *Node) bool {
		if name := tree.Text(n); !n.has(apex) && n.Seq != just[string(name)] {
			t.Fatalf("%s has %d names below, and counts %d", dnswire.Name(name), just[string(name)], n.Seq)
		}
		return true
	})
}

// differ is the lines that two texts do not share.
func differ(got, want string) string {
	var out strings.Builder
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for _, l := range g {
		if !slices.Contains(w, l) {
			fmt.Fprintf(&out, "got  %s\n", l)
		}
	}
	for _, l := range w {
		if !slices.Contains(g, l) {
			fmt.Fprintf(&out, "want %s\n", l)
		}
	}
	return out.String()
}

func TestAmend(t *testing.T) {
	branched, whole := 0, 0
	for seed := range rounds(uint64(15)) {
		r := rand.New(rand.NewPCG(seed, 9))
		b, w := play(t, 25, r.IntN)
		branched, whole = branched+b, whole+w
	}
	if !raced && (branched < whole || whole == 0) {
		t.Errorf("%d changes were made, %d needed the whole", branched, whole)
	}
}

func FuzzAmend(f *testing.F) {
	f.Add([]byte("names, cuts and what they hide; texts that fill pieces"))
	f.Fuzz(func(t *testing.T, b []byte) {
		play(t, min(len(b)/8, 20), func(n int) int {
			if len(b) == 0 {
				return 0
			}
			c := int(b[0])
			b = b[1:]
			return c % n
		})
	})
}

// TestAmendMany has names that fill several pieces, and edits them until the first
// ones have long been cleaned away.
func TestAmendMany(t *testing.T) {
	zone := name(t, "x.test")
	b := builder(t, "x.test", apexLines...)
	const n = 5000
	record := func(i, version int) text.Record {
		return text.Record{Owner: within(t, zone, fmt.Sprintf("host%d", i)), Type: dnswire.TypeA, TTL: 60, Data: []byte{192, 0, 2, byte(version)}}
	}
	for i := range n {
		r := record(i, 0)
		if err := b.Add(&r); err != nil {
			t.Fatal(err)
		}
	}
	d, faults, _ := b.Build()
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	begin := len(d.pieces)
	if begin < 3 {
		t.Fatalf("%d pieces", begin)
	}
	tree := NewTree([]*Data{d}, 0)
	const none = -1
	version := make([]int, 2*n) // of the names that there may be
	for i := n; i < len(version); i++ {
		version[i] = none
	}
	there := n
	r := rand.New(rand.NewPCG(1, 2))
	whole, behind := 0, 0
	for step := range rounds(2400) {
		var edits []Edit
		for range 20 {
			i := r.IntN(len(version))
			e := Edit{Owner: record(i, 0).Owner}
			switch was := version[i]; {
			case was != none && r.IntN(8) == 0 && there > 3*n/4 || was == none && there > 7*n/4:
				if was != none {
					there--
				}
				version[i] = none
			default:
				if was == none {
					there++
				}
				version[i] = 1 + r.IntN(200)
				e.Records = []text.Record{record(i, version[i])}
			}
			edits = append(edits, e)
		}
		var err error
		if d, err = d.Amend(edits); err != nil {
			t.Fatal(err)
		}
		if p := d.places.Load(); p.count != d.names || 4*uint64(p.count) > 3*p.size() {
			t.Fatalf("%d names have %d places of %d", d.names, p.count, p.size())
		}
		if behind++; r.IntN(5) > 0 || step/maxSteps%4 == 3 {
			continue // a feeder may hand over later
		}
		next, err := tree.Branch([]*Data{d}, nil)
		if forgotten := behind > maxSteps; forgotten || errors.Is(err, ErrWhole) {
			if !forgotten {
				whole++
			} else if !errors.Is(err, ErrWhole) {
				t.Fatalf("%d steps behind, the branch was made: %v", behind, err)
			}
			next = NewTree([]*Data{d}, 0)
		} else if err != nil {
			t.Fatal(err)
		}
		tree, behind = next, 0
		if r.IntN(10) > 0 {
			continue
		}
		for i, v := range version {
			rec := record(i, v)
			m := tree.Find([]byte(rec.Owner), dnswire.TypeA)
			s, ok := m.Set(dnswire.TypeA)
			own, exists := d.Owned(rec.Owner)
			switch {
			case ok != (v != none) || exists != ok:
				t.Fatalf("step %d: host%d exists: %t, by its name %t, want %t", step, i, ok, exists, v != none)
			case ok && (s.data(0)[3] != rec.Data[3] || own[0].Data[0][3] != rec.Data[3]):
				t.Fatalf("step %d: host%d is %v, by its name %v, want %d", step, i, s.data(0), own[0].Data[0], v)
			}
		}
	}
	if whole > 2 { // the tree may tidy up
		t.Errorf("%d changes needed the whole", whole)
	}
	octets := 0
	for _, p := range d.pieces {
		octets += len(p)
	}
	if used := octets/maxPiece + 2; len(d.pieces) > 2*used {
		t.Errorf("%d octets are in %d pieces", octets, len(d.pieces))
	}
	if d.Records != there+3 || d.names != there+1 || len(d.steps) > maxSteps {
		t.Errorf("%d records of %d names, %d steps", d.Records, d.names, len(d.steps))
	}
}

// TestAmendRefuses has edits that a zone cannot have, and one good one, which is
// not made either.
func TestAmendRefuses(t *testing.T) {
	d := data(t, "x.test", "www A 192.0.2.1", "d NS ns.elsewhere.test.")
	zone := name(t, "x.test")
	rec := func(line string) text.Record { return record(t, zone, line) }
	large := make([]text.Record, 300)
	for i := range large {
		large[i] = rec(fmt.Sprintf(`big TXT "%d" "%s"`, i, strings.Repeat("x", 250)))
	}
	_, err := d.Amend([]Edit{
		{Owner: name(t, "y.test"), Exists: true},
		{Owner: name(t, "good.x.test"), Exists: true},
		{Owner: zone},
		{Owner: zone, Exists: true},
		{Owner: name(t, "a.x.test"), Records: []text.Record{rec("a CNAME b"), rec("a A 192.0.2.1")}},
		{Owner: name(t, "b.x.test"), Records: []text.Record{rec("c A 192.0.2.1")}},
		{Owner: name(t, "c.x.test"), Records: []text.Record{{Owner: name(t, "c.x.test"), Type: dnswire.TypeA, Data: []byte{1}}}},
		{Owner: name(t, "e.x.test"), Records: []text.Record{{Owner: name(t, "e.x.test")}}},
		{Owner: name(t, "f.x.test"), Records: []text.Record{{Owner: name(t, "f.x.test"), Type: dnswire.TypeRRSIG}}},
		{Owner: name(t, "g.x.test"), Records: []text.Record{rec("g SOA ns1 h 7 3600 600 604800 900")}},
		{Owner: name(t, "big.x.test"), Records: large},
	})
	const want = `zone: y.test.: it is outside of the zone x.test.
zone: x.test.: the zone's own name keeps its SOA and NS records
zone: x.test.: the zone x.test. has no SOA record
zone: x.test.: the zone x.test. has no NS record
zone: a.x.test.: a.x.test. has a CNAME record and one of type A: a CNAME stands alone (RFC 2181 section 10.1)
zone: b.x.test.: a record is of another name: c.x.test.
zone: c.x.test.: the data of c.x.test. A are not in the form that the type has
zone: e.x.test.: e.x.test.: there are no records of type 0 (RFC 6895 section 3.1)
zone: f.x.test.: RRSIG records belong to signed zones
zone: g.x.test.: g.x.test. is not the zone's own name: an SOA record belongs to x.test. alone
zone: big.x.test.: the TXT records of big.x.test. are larger than a message can be`
	var refused Refusals
	if !errors.As(err, &refused) || err.Error() != want {
		t.Errorf("refused\n%v\nwant\n%s", err, want)
	}
	if refused[1].Edit != 2 {
		t.Errorf("%+v", refused[1])
	}
	if _, exists := d.Owned(name(t, "good.x.test")); exists {
		t.Error("the data have changed")
	}
	signed := data(t, "x.test", "@ RRSIG SOA 13 2 3600 20300101000000 20200101000000 1 x.test. AAAA")
	if _, err := signed.Amend([]Edit{{Owner: name(t, "good.x.test"), Exists: true}}); !errors.Is(err, ErrSigned) {
		t.Errorf("signed data: %v", err)
	}
}

// TestAmendNothing says what there is: the data stay the same ones.
func TestAmendNothing(t *testing.T) {
	d := data(t, "x.test", "www A 192.0.2.1")
	www := name(t, "www.x.test")
	same, err := d.Amend([]Edit{
		{Owner: www, Records: []text.Record{record(t, name(t, "x.test"), "www A 192.0.2.1")}},
		{Owner: name(t, "none.x.test")},
	})
	if err != nil || same != d {
		t.Errorf("%v, other data: %t", err, same != d)
	}
}

// TestWith puts what a statement has of a zone over what a source keeps of it.
func TestWith(t *testing.T) {
	zone := name(t, "x.test")
	stated := data(t, "x.test", "ns1 A 192.0.2.53")
	stated.implies = true
	fed := func(lines ...string) *Data {
		d, faults, _ := builder(t, "x.test", lines...).Build()
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		return d
	}
	d := fed("@ 3600 SOA ns1 other 9 3600 600 604800 900", "@ NS ns.wrong.test.", "@ A 192.0.2.1", "ns1 A 192.0.2.54", "ns1 TXT t", "www A 192.0.2.2")
	with, err := d.With(stated)
	if err != nil {
		t.Fatal(err)
	}
	want := fed("@ 3600 SOA ns1 hostmaster 9 3600 600 604800 900", apexLines[1], apexLines[2], "@ A 192.0.2.1", "ns1 A 192.0.2.53", "ns1 TXT t", "www A 192.0.2.2")
	if got, want := listed(t, with), listed(t, want); got != want {
		t.Errorf("lists\n%s", differ(got, want))
	}
	if !with.implies || with.Serial != 9 {
		t.Errorf("implies %t, serial %d", with.implies, with.Serial)
	}
	if again, err := with.With(stated); err != nil || again != with {
		t.Errorf("%v, other data: %t", err, again != with)
	}
	// Both are near to what is amended next.
	next, err := d.Amend([]Edit{{Owner: within(t, zone, "new"), Exists: true}})
	if err != nil {
		t.Fatal(err)
	}
	if next, err = next.With(stated); err != nil {
		t.Fatal(err)
	}
	if _, ok := next.Since(with); !ok {
		t.Error("nobody knows how the two are related")
	}
}
