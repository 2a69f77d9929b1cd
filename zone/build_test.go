package zone

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// TestFaults has every contradiction and every doubt, each with its line and
// its text.
func TestFaults(t *testing.T) {
	big := make([]string, 0, 300)
	for i := range 300 {
		big = append(big, fmt.Sprintf("m TXT %03d%s", i, strings.Repeat("x", 250)))
	}
	types := make([]string, 0, 300)
	for i := range 256 {
		types = append(types, fmt.Sprintf(`m TYPE%d \# 1 00`, 1000+i))
	}
	for _, c := range []struct {
		name   string
		lines  []string
		faults string // a line for each: LINE MESSAGE, and "absent" before what is missing
		doubts string
		bare   bool // without SOA and NS of its own, which are lines 1 to 3
	}{
		{name: "nothing is wrong", lines: []string{"a CNAME b", "a CNAME b", "a CNAME B", "*.a A 192.0.2.1", "sub NS ns.sub", "sub DS 1 13 2 " + strings.Repeat("00", 32)}},
		{name: "empty", bare: true, faults: "0 absent the zone x.test. has no records of its own name: it needs SOA and NS"},
		{name: "no apex", bare: true, lines: []string{"a A 192.0.2.1"}, faults: "0 absent the zone x.test. has no records of its own name: it needs SOA and NS"},
		{name: "no SOA", bare: true, lines: []string{"@ NS a"}, faults: "1 absent the zone x.test. has no SOA record"},
		{name: "no NS", bare: true, lines: apexLines[:1], faults: "1 absent the zone x.test. has no NS record"},
		{name: "neither", bare: true, lines: []string{"@ A 192.0.2.1"}, faults: "1 absent the zone x.test. has no SOA record\n1 absent the zone x.test. has no NS record"},
		{name: "two SOA", lines: []string{"@ SOA ns1 hostmaster 8 3600 600 604800 900"}, faults: "4 x.test. has another SOA at line 1: a name has one", doubts: "4 x.test. SOA has another TTL than at line 1: the lowest is taken for all of them"},
		{name: "three SOA of which two are the same", lines: []string{"@ 3600 SOA ns1 hostmaster 8 3600 600 604800 900", "@ 3600 SOA NS1 Hostmaster 8 3600 600 604800 900"}, faults: "4 x.test. has another SOA at line 1: a name has one"},
		{name: "SOA elsewhere", lines: []string{"a SOA ns1 hostmaster 8 3600 600 604800 900"}, faults: "4 a.x.test. is not the zone's own name: an SOA record belongs to x.test. alone"},
		{name: "two CNAME", lines: []string{"a CNAME b", "a CNAME c"}, faults: "5 a.x.test. has another CNAME at line 4: a name has one"},
		{name: "two DNAME", lines: []string{"a DNAME b", "a DNAME c"}, faults: "5 a.x.test. has another DNAME at line 4: a name has one"},
		{name: "CNAME at the apex", lines: []string{"@ CNAME a"}, faults: "4 a CNAME cannot stand at the zone's own name, which has SOA and NS records"},
		{name: "CNAME and another", lines: []string{"a TXT t", "a CNAME b"}, faults: "5 a.x.test. has a CNAME record and, at line 4, one of type TXT: a CNAME stands alone (RFC 2181 section 10.1)"},
		{name: "CNAME and DNAME", lines: []string{"a DNAME b", "a CNAME b"}, faults: "5 a.x.test. has a CNAME record and, at line 4, one of type DNAME: a CNAME stands alone (RFC 2181 section 10.1)"},
		{name: "CNAME with what proves it", lines: []string{"a CNAME b", "a NSEC b CNAME", "a RRSIG CNAME 13 3 300 20300101000000 20200101000000 1 @ AAAA"}},
		{name: "DNAME and NS", lines: []string{"a NS b", "a DNAME b"}, faults: "5 a.x.test. has a DNAME record and, at line 4, one of type NS: only a zone's own name may have both (RFC 6672 section 2.3)"},
		{name: "DNAME at the apex", lines: []string{"@ DNAME b.test."}},
		{name: "NS at a wildcard", lines: []string{"*.a NS b"}, doubts: "4 NS at the wildcard *.a.x.test. delegates nothing (RFC 4592 section 4.2)"},
		{name: "DS without NS", lines: []string{"a DS 1 13 2 " + strings.Repeat("00", 32)}, doubts: "4 a.x.test. has DS and no NS: a DS record belongs to a delegation"},
		{name: "TTLs", lines: []string{"a 300 A 192.0.2.1", "a 200 A 192.0.2.2", "a 300 A 192.0.2.3"}, doubts: "5 a.x.test. A has another TTL than at line 4: the lowest is taken for all of them"},
		{name: "sole and another", lines: []string{"!a TXT t", "a TXT u"}, faults: "5 a.x.test. has TXT records at line 4 as well: state them in one place"},
		{name: "another and sole", lines: []string{"a TXT t", "!a TXT u"}, faults: "5 a.x.test. has TXT records at line 4 as well: state them in one place"},
		{name: "sole beside another type", lines: []string{"a A 192.0.2.1", "!a TXT u"}},
		{name: "a set too large", lines: big, faults: "249 the TXT records of m.x.test. are larger than a message can be"},
		{name: "too many types", lines: types, faults: "4 m.x.test. has more than 255 types"},
		{name: "faults are in order", lines: []string{"b CNAME c", "a CNAME b", "a CNAME c", "b CNAME b"}, faults: "6 a.x.test. has another CNAME at line 5: a name has one\n7 b.x.test. has another CNAME at line 4: a name has one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := c.lines
			if !c.bare {
				lines = append(slices.Clone(apexLines), lines...)
			}
			d, faults, doubts := builder(t, "x.test", lines...).Build()
			say := func(fs []Fault) string {
				var out []string
				for _, f := range fs {
					absent := ""
					if f.Absent {
						absent = "absent "
					}
					out = append(out, fmt.Sprintf("%d %s%s", f.Pos.Line, absent, f.Msg))
				}
				return strings.Join(out, "\n")
			}
			if got := say(faults); got != c.faults {
				t.Errorf("faults:\n%s\nwant:\n%s", got, c.faults)
			}
			// Those are for TestNameServers.
			doubts = slices.DeleteFunc(doubts, func(f Fault) bool { return strings.HasPrefix(f.Msg, "the name server ") })
			if got := say(doubts); got != c.doubts {
				t.Errorf("doubts:\n%s\nwant:\n%s", got, c.doubts)
			}
			if (d == nil) != (c.faults != "") {
				t.Error("there is data exactly when there is no fault")
			}
		})
	}
}

// TestNameServers: those that nobody can find are doubtful.
func TestNameServers(t *testing.T) {
	_, faults, doubts := builder(t, "x.test",
		"@ SOA ns1 h 1 2 3 4 5", "@ NS ns1", "ns1 A 192.0.2.1", "@ NS NS2", "ns2 AAAA 2001:db8::2",
		"@ NS none", "@ NS alias", "alias CNAME ns1", "@ NS ns.elsewhere.",
		"sub NS ns.sub", "sub NS ns1", "sub NS ns.other", "sub NS Ns5.Sub", "ns5.sub A 192.0.2.5").Build()
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	want := []string{
		"6 the name server none.x.test. has no address here, and nobody else can know it",
		"7 the name server alias.x.test. is an alias: resolvers do not follow it (RFC 2181 section 10.3)",
		"10 the name server ns.sub.x.test. has no address here, and nobody else can know it",
	}
	var got []string
	for _, f := range doubts {
		got = append(got, fmt.Sprintf("%d %s", f.Pos.Line, f.Msg))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestLargestSet is just below what is too large, and can be had.
func TestLargestSet(t *testing.T) {
	lines := make([]string, 0, 4000)
	for i := range 4000 {
		lines = append(lines, fmt.Sprintf("m A 10.0.%d.%d", i/250, i%250))
	}
	d := data(t, "x.test", lines...)
	tree := NewTree([]*Data{d}, 0)
	m := tree.Find([]byte(name(t, "m.x.test")), dnswire.TypeA)
	if set, ok := m.Set(dnswire.TypeA); !ok || set.Count != 4000 || set.Len() != 4000*16 {
		t.Errorf("%d records of %d octets", set.Count, set.Len())
	}
	types := []string{}
	for i := range 255 {
		types = append(types, fmt.Sprintf(`m TYPE%d \# 1 %02x`, 1000+i, i))
	}
	d = data(t, "x.test", types...)
	tree = NewTree([]*Data{d}, 0)
	m = tree.Find([]byte(name(t, "m.x.test")), dnswire.TypeA)
	n := 0
	m.Each(func(s Set) bool {
		if s.Type != dnswire.Type(1000+n) || s.Count != 1 || s.data(0)[0] != byte(n) {
			t.Fatalf("set %d is of type %s", n, s.Type)
		}
		n++
		return true
	})
	if n != 255 {
		t.Errorf("%d types", n)
	}
}

func TestOutside(t *testing.T) {
	for owner, want := range map[string]string{
		"a.test.":       "a.test. is outside of the zone x.test.",
		"ax.test.":      "ax.test. is outside of the zone x.test.",
		"x.test.a.":     "x.test.a. is outside of the zone x.test.",
		"test.":         "test. is outside of the zone x.test.",
		"x.test.":       "",
		"a.b.X.test.":   "",
		"x.test.x.test": "",
	} {
		b := NewBuilder(name(t, "x.test"))
		err := b.Add(&text.Record{Owner: name(t, owner), Type: dnswire.TypeTXT, Data: []byte{0}})
		if fmt.Sprint(err) != want && (err != nil || want != "") {
			t.Errorf("%s: %v, want %s", owner, err, want)
		}
		if err == nil != (b.Len() == 1) {
			t.Errorf("%s: %d records", owner, b.Len())
		}
	}
}

func TestHasApex(t *testing.T) {
	b := builder(t, "x.test", "a A 192.0.2.1", "@ A 192.0.2.2", "a SOA a b 1 2 3 4 5")
	if pos, ok := b.HasApex(dnswire.TypeA); !ok || pos.Line != 2 {
		t.Errorf("A at %v, %t", pos, ok)
	}
	if _, ok := b.HasApex(dnswire.TypeSOA); ok {
		t.Error("the SOA is not the apex's")
	}
	if _, ok := builder(t, "x.test", "a A 192.0.2.1").HasApex(dnswire.TypeA); ok {
		t.Error("there is no apex")
	}
}

// TestSets: a record once, the lowest TTL, and the order in which records came.
func TestSets(t *testing.T) {
	d := data(t, "x.test",
		"a 300 A 192.0.2.3", "a 100 A 192.0.2.1", "b 5 TXT b", "a 200 A 192.0.2.3", "a 400 A 192.0.2.2",
		"m 60 MX 10 Mail", "m 60 MX 10 mail", "m 60 MX 10 MAIL.x.test.", "m 60 MX 11 mail", "m 60 SRV 1 2 3 Mail", "m 60 SRV 1 2 3 mail",
		"t TXT Mail", "t TXT mail", "t 60 SVCB 1 Svc alpn=H2", "t 60 SVCB 1 svc alpn=h2", "t 60 SVCB 1 svc alpn=H2",
	)
	if d.Serial != 7 || d.Signed || d.Records != 3+3+1+2+1+2+2 {
		t.Errorf("serial %d, signed %t, %d records", d.Serial, d.Signed, d.Records)
	}
	tree := NewTree([]*Data{d}, 0)
	for _, c := range []struct {
		owner string
		typ   dnswire.Type
		want  string
	}{
		{"a", dnswire.TypeA, "100 c0000203 c0000201 c0000202"},
		{"b", dnswire.TypeTXT, "5 0162"},
		{"m", dnswire.TypeMX, "60 000a044d61696cc00e 000b046d61696cc00e"},
		{"m", dnswire.TypeSRV, "60 000100020003044d61696c0178047465737400"},
		{"t", dnswire.TypeTXT, "300 044d61696c 046d61696c"},
		{"t", dnswire.TypeSVCB, "60 000103537663017804746573740000010003024832 000103737663017804746573740000010003026832"},
	} {
		m := tree.Find([]byte(name(t, c.owner+".x.test")), c.typ)
		set, ok := m.Set(c.typ)
		got := fmt.Sprint(set.TTL())
		for i := range set.Count {
			got += fmt.Sprintf(" %x", set.data(i))
		}
		if !ok || got != c.want {
			t.Errorf("%s %s: %s, want %s", c.owner, c.typ, got, c.want)
		}
	}
	soa, negative := d.SOA()
	if soa.Count != 1 || negative != 900 {
		t.Errorf("SOA of %d records, %d s", soa.Count, negative)
	}
}

// TestOrder: in whatever order records come, a zone answers the same.
func TestOrder(t *testing.T) {
	lines := slices.Concat(apexLines, []string{
		"a A 192.0.2.1", "a A 192.0.2.2", "a MX 10 a", "a 100 TXT one", "a 200 TXT two", "*.w A 192.0.2.1", "*.w MX 1 a.w",
		"sub NS ns.sub", "sub NS ns1", "ns.sub A 192.0.2.9", "d DNAME a", "x.y.z A 192.0.2.4", "c CNAME c.c", "m.n MX 5 m.n", "m.n NAPTR 1 1 u E2U+sip !^.*$! .",
		"a RRSIG A 13 3 300 20300101000000 20200101000000 1 @ AAAA", "a RRSIG MX 13 3 300 20300101000000 20200101000000 1 @ BBBB", "a RRSIG A 13 3 300 20300101000000 20200101000000 2 @ CCCC",
	})
	var first string
	for seed := range uint64(50) {
		shuffled := slices.Clone(lines)
		if seed > 0 {
			rand.New(rand.NewPCG(seed, 1)).Shuffle(len(lines), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		}
		d, faults, _ := builder(t, "x.test", shuffled...).Build()
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		tree := NewTree([]*Data{d}, 0)
		var all []string
		tree.Each(func(n *Node) bool {
			owner := dnswire.Name(tree.Text(n))
			m := tree.Find([]byte(owner), dnswire.TypeA)
			out := fmt.Sprintf("%s: flags %x, %d", owner, n.where, m.Kind)
			if n.has(static) {
				d.each(n.at, func(s Set) bool {
					recs := []string{}
					for _, r := range unpack(t, &s, owner) {
						recs = append(recs, r.String())
					}
					slices.Sort(recs)
					out += fmt.Sprintf("\n%s %d: %q", s.Type, s.Count, recs)
					return true
				})
			}
			all = append(all, out)
			return true
		})
		slices.Sort(all)
		got := strings.Join(all, "\n")
		if seed == 0 {
			first = got
		}
		if got != first {
			t.Fatalf("seed %d: in this order:\n%s\nbecomes:\n%s\nwhere the first becomes:\n%s", seed, strings.Join(shuffled, "\n"), got, first)
		}
	}
}
