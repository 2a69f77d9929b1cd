package zone

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// page is a message in the making: records in the answer section.
type page struct {
	buf   []byte
	start int
	count int
}

// newPage begins a message behind some octets, with a question.
func newPage(before int, question []byte) *page {
	p := &page{start: before, buf: append(make([]byte, before), 0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0)}
	p.buf = append(p.buf, question...)
	p.buf = append(p.buf, 0, 1, 0, 1)
	return p
}

// question is where the question's name lies.
func (p *page) question(name []byte) Place { return Place{dnswire.HeaderLen, len(name)} }

// cname appends a CNAME record: labels, and then a pointer to the last so many
// octets of a name that lies in the message.
func (p *page) cname(owner Place, labels []byte, to Place, rest int) Place {
	p.buf = binary.BigEndian.AppendUint16(p.buf, 0xc000|uint16(owner.Offset))
	p.buf = append(p.buf, 0, byte(dnswire.TypeCNAME), 0, 1, 0, 0, 0, 1)
	p.buf = binary.BigEndian.AppendUint16(p.buf, uint16(len(labels)+2))
	at := len(p.buf) - p.start
	p.buf = append(p.buf, labels...)
	p.buf = binary.BigEndian.AppendUint16(p.buf, 0xc000|uint16(to.Suffix(p.buf[p.start:], rest)))
	p.count++
	return Place{at, len(labels) + rest}
}

// fill appends a record of a private type with so many octets of data.
func (p *page) fill(owner Place, octets int) {
	p.buf = binary.BigEndian.AppendUint16(p.buf, 0xc000|uint16(owner.Offset))
	p.buf = append(p.buf, 0xff, 0x00, 0, 1, 0, 0, 0, 1)
	p.buf = binary.BigEndian.AppendUint16(p.buf, uint16(octets))
	p.buf = append(p.buf, make([]byte, octets)...)
	p.count++
}

// records unpacks the message and gives its records from one on.
func (p *page) records(t testing.TB, from int) []dns.RR {
	t.Helper()
	binary.BigEndian.PutUint16(p.buf[p.start+6:], uint16(p.count))
	var m dns.Msg
	if err := m.Unpack(p.buf[p.start:]); err != nil {
		t.Fatalf("%x: %v", p.buf[p.start:], err)
	}
	if len(m.Answer) != p.count {
		t.Fatalf("%d records of %d", len(m.Answer), p.count)
	}
	return m.Answer[from:]
}

// unpack is a set as the answer to a question for its owner.
func unpack(t testing.TB, s *Set, owner dnswire.Name) []dns.RR {
	t.Helper()
	p := newPage(0, []byte(owner))
	p.buf = s.Append(p.buf, 0, p.question([]byte(owner)))
	p.count += s.Count
	return p.records(t, 0)
}

// written are records as miekg/dns reads them when nothing is compressed.
func written(t testing.TB, owner dnswire.Name, typ dnswire.Type, ttl uint32, all [][]byte) []string {
	t.Helper()
	var out []string
	for _, data := range all {
		rec := append([]byte(owner), byte(typ>>8), byte(typ), 0, 1)
		rec = binary.BigEndian.AppendUint32(rec, ttl)
		rec = binary.BigEndian.AppendUint16(rec, uint16(len(data)))
		rr, _, err := dns.UnpackRR(append(rec, data...), 0)
		if err != nil {
			t.Fatalf("%s %x: %v", typ, data, err)
		}
		out = append(out, strings.ToLower(rr.String()))
	}
	return out
}

// pen writes random names and records.
type pen struct{ *rand.Rand }

// below is a name of random labels below another, in random case.
func (p pen) below(top []byte, labels int) []byte {
	var out []byte
	for range labels {
		size := 1 + p.IntN(3)
		if p.IntN(12) == 0 {
			size = 1 + p.IntN(63)
		}
		if len(out)+1+size+len(top) > 255 {
			break
		}
		out = append(out, byte(size))
		for range size {
			out = append(out, "abAB*_-09\x01"[p.IntN(10)])
		}
	}
	return append(out, top...)
}

// target is a name for data: below the owner, its parents, another target, or
// elsewhere.
func (p pen) target(owner []byte, others [][]byte) []byte {
	top := owner
	for p.IntN(3) > 0 && len(top) > 1 {
		top = top[1+int(top[0]):]
	}
	switch p.IntN(6) {
	case 0:
		top = []byte{0}
	case 1, 2:
		if len(others) > 0 {
			top = others[p.IntN(len(others))]
			for p.IntN(2) > 0 && len(top) > 1 {
				top = top[1+int(top[0]):]
			}
		}
	}
	return p.below(top, p.IntN(4))
}

// shapes are how the data of types are made: a name for n, an octet for b.
var shapes = map[dnswire.Type]string{
	dnswire.TypeNS: "n", dnswire.TypeCNAME: "n", dnswire.TypePTR: "n", 3: "n", 4: "n", 7: "n", 8: "n", 9: "n",
	dnswire.TypeSOA: "nnbbbbbbbbbbbbbbbbbbbb", 14: "nn", dnswire.TypeMX: "bbn",
	// Never compressed.
	dnswire.TypeDNAME: "n", dnswire.TypeSRV: "bbbbbbn", dnswire.TypeKX: "bbn", dnswire.TypeAFSDB: "bbn", 17: "nn",
	dnswire.TypeA: "bbbb", dnswire.TypeHTTPS: "bbn", 65280: "bbbb",
}

// data is the data of a record of a type.
func (p pen) data(t dnswire.Type, owner []byte, others *[][]byte) []byte {
	var out []byte
	for _, c := range shapes[t] {
		if c == 'b' {
			out = append(out, byte(p.IntN(256)))
			continue
		}
		n := p.target(owner, *others)
		*others = append(*others, n)
		out = append(out, n...)
	}
	return out
}

// lower is a name in lower case.
func lower(n []byte) dnswire.Name {
	var buf [256]byte
	return dnswire.Name(lowered(&buf, n))
}

// TestLayout lays down random record sets at random places and reads them back.
func TestLayout(t *testing.T) {
	types := make([]dnswire.Type, 0, len(shapes))
	for typ := range shapes {
		types = append(types, typ)
	}
	slices.Sort(types)
	seen := map[string]int{}
	for seed := range rounds(uint64(6000)) {
		p := pen{rand.New(rand.NewPCG(seed, 11))}
		typ := types[p.IntN(len(types))]
		zone := "\x01z" + lower(p.below([]byte("\x04test\x00"), p.IntN(3)))
		owner := lower(p.below([]byte(zone), p.IntN(4)))
		if p.IntN(3) == 0 && len(owner)+2 <= 255 {
			owner = "\x01*" + owner
		}
		count := 1
		if typ != dnswire.TypeSOA && typ != dnswire.TypeCNAME && typ != dnswire.TypeDNAME {
			count += p.IntN(5)
			if p.IntN(100) == 0 {
				count += p.IntN(1500)
			}
		}
		var all, others [][]byte
		for range count {
			all = append(all, p.data(typ, []byte(owner), &others))
		}
		place(t, p, zone, owner, typ, all, seen)
	}
	// More pointers than there is room for, of each kind.
	for seed := range uint64(40) {
		p := pen{rand.New(rand.NewPCG(seed, 13))}
		var all [][]byte
		for i := range 300 {
			top := []string{"\x02ns\x09elsewhere\x00", "\x01x\x04test\x00"}[seed%2]
			all = append(all, append([]byte{3, byte('a' + i/100), byte('a' + i/10%10), byte('a' + i%10)}, top...))
		}
		all = append([][]byte{[]byte("\x02ns\x09elsewhere\x00")}, all...)
		place(t, p, "\x01x\x04test\x00", []dnswire.Name{"\x01m\x01x\x04test\x00", "\x01*\x01x\x04test\x00"}[seed/2%2], dnswire.TypePTR, all, seen)
	}
	if raced {
		return
	}
	for _, what := range []string{"at the question", "by wildcard", "by wildcard of the same length", "behind a chain", "at a name that ends in a pointer", "pointers to the owner", "pointers within", "no pointers", "255 pointers to the owner", "255 pointers within", "beyond what is compressed"} {
		if seen[what] < 2 {
			t.Errorf("%s: only %d times", what, seen[what])
		}
	}
}

// place builds a zone with one set, and lays it down at a random place.
func place(t testing.TB, p pen, zone, owner dnswire.Name, typ dnswire.Type, all [][]byte, seen map[string]int) {
	t.Helper()
	b := NewBuilder(zone)
	add := func(owner dnswire.Name, typ dnswire.Type, data []byte) {
		if err := b.Add(&text.Record{Owner: owner, Type: typ, TTL: 77, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	for _, data := range all {
		add(owner, typ, data)
	}
	// What is needed besides, but for what is there.
	if owner != zone || typ != dnswire.TypeSOA {
		add(zone, dnswire.TypeSOA, make([]byte, 22))
	}
	if owner != zone || typ != dnswire.TypeNS {
		add(zone, dnswire.TypeNS, []byte{0})
	}
	d, faults, _ := b.Build()
	if len(faults) > 0 {
		if owner == zone && typ == dnswire.TypeCNAME || owner != zone && typ == dnswire.TypeSOA || strings.Contains(faults[0].Msg, "larger than a message") {
			return
		}
		t.Fatal(faults)
	}
	m := Match{data: d}
	d.entries(func(entry uint32, name []byte) {
		if string(name) == string(owner) {
			m.entry = entry
		}
	})
	set, ok := m.Set(typ)
	if !ok {
		t.Fatalf("%s has no %s", owner, typ)
	}

	// The question: the owner, or a name that the wildcard covers, or one that
	// leads there.
	asked := []byte(owner)
	if wild(asked) && p.IntN(4) > 0 {
		top := asked[2:]
		asked = p.below(top, 1+p.IntN(3))
		if len(asked) == len(top) {
			asked = []byte(owner)
		}
		seen["by wildcard"]++
		if len(asked) == len(owner) {
			seen["by wildcard of the same length"]++
		}
	}
	question := asked
	var at Place
	pg := newPage(p.IntN(3)*7, question)
	at = pg.question(question)
	if p.IntN(2) == 0 {
		question = p.below([]byte(zone), p.IntN(3))
		pg = newPage(p.IntN(3)*7, question)
		at = pg.question(question)
		for range p.IntN(3) {
			at = pg.cname(at, p.below(nil, 1), at, min(at.Len, len(zone)))
		}
		if p.IntN(2) == 0 {
			limit := maxCompressed - (len(pg.buf) - pg.start) - 600
			pg.fill(at, p.IntN(limit))
			if p.IntN(4) == 0 { // as far as a chain goes on
				pg.fill(at, maxCompressed-(len(pg.buf)-pg.start)-600)
			}
		}
		// The labels of the name before what it has in common with the question or
		// with the zone, at random.
		rest := len(zone)
		at = pg.cname(at, asked[:len(asked)-rest], at, rest)
		for len(asked) > len(zone) && p.IntN(3) == 0 { // and steps that end at the name itself
			at = pg.cname(at, asked[:1+int(asked[0])], at, at.Len-1-int(asked[0]))
		}
		seen["behind a chain"]++
		seen["at a name that ends in a pointer"]++
	} else {
		seen["at the question"]++
	}
	before := pg.count
	pg.buf = set.Append(pg.buf, pg.start, at)
	pg.count += set.Count
	if set.TTL() != 77 {
		t.Fatalf("TTL %d", set.TTL())
	}
	if set.Count == 1 && set.DataLen() != len(set.data(0)) {
		t.Fatalf("%d octets of data, not %d", set.DataLen(), len(set.data(0)))
	}
	var got []string
	for _, rr := range pg.records(t, before) {
		got = append(got, strings.ToLower(rr.String()))
	}
	var distinct [][]byte
	for _, data := range all {
		if !slices.ContainsFunc(distinct, func(d []byte) bool { return same(typ, d, data) }) {
			distinct = append(distinct, data)
		}
	}
	want := written(t, lower(asked), typ, 77, distinct)
	if !slices.Equal(got, want) {
		t.Fatalf("%s %s as %s:\ngot  %q\nwant %q\n%x", owner, typ, lower(asked), got, want, pg.buf)
	}

	toOwner, within := set.toName, len(set.fixes)/2-set.toName
	switch {
	case toOwner == 255:
		seen["255 pointers to the owner"]++
	case within == 255:
		seen["255 pointers within"]++
	}
	if toOwner > 0 {
		seen["pointers to the owner"]++
	}
	if within > 0 {
		seen["pointers within"]++
	}
	if toOwner+within == 0 {
		seen["no pointers"]++
	} else if _, n := compressible(typ); n == 0 {
		t.Fatalf("%s has names that only some know to be compressed (RFC 3597 section 4)", typ)
	}
	if set.Len() > maxCompressed {
		seen["beyond what is compressed"]++
	}

	// And the lower TTL that a negative answer has.
	for _, limit := range []uint32{78, 77, 76, 5, 0} {
		set.LimitTTL(pg.buf, limit)
		for i, rr := range pg.records(t, 0) {
			ttl := min(77, limit)
			if i < before {
				ttl = 1
			}
			if rr.Header().Ttl != ttl {
				t.Fatalf("limit %d: record %d of %d has TTL %d", limit, i, before, rr.Header().Ttl)
			}
		}
	}
}

// FuzzLayout is TestLayout with data that are not random.
func FuzzLayout(f *testing.F) {
	f.Add(uint64(1), uint16(dnswire.TypeMX), []byte("\x01a\x01x\x04test\x00"), []byte("\x00\x0a\x01a\x01x\x04test\x00"), []byte("\x00\x0a\x01b\x01X\x04test\x00"))
	f.Add(uint64(2), uint16(dnswire.TypeNS), []byte("\x01*\x01x\x04test\x00"), []byte("\x01n\x01*\x01x\x04test\x00"), []byte("\x01*\x01x\x04test\x00"))
	f.Add(uint64(3), uint16(dnswire.TypeSOA), []byte("\x01x\x04test\x00"), []byte("\x01x\x04test\x00\x01x\x04test\x0000000000000000000000"), []byte{})
	f.Add(uint64(4), uint16(14), []byte("\x01x\x04test\x00"), []byte("\x01x\x00\x01x\x00"), []byte("\x01x\x04test\x00\x00"))
	f.Add(uint64(5), uint16(14), []byte("\x01x\x04test\x00"), []byte("\x00"), []byte("\x01x\x04test\x00\x01"))
	f.Add(uint64(6), uint16(dnswire.TypeNSEC3PARAM), []byte("\x01x\x04test\x00"), []byte("\x01\x00\x00\x00\xff"), []byte("\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, seed uint64, typ uint16, owner, one, two []byte) {
		if n, ok := nameLen(owner); !ok || n != len(owner) {
			return
		}
		zone := dnswire.Name("\x04test\x00")
		name := lower(owner)
		if !name.Within(zone) {
			return
		}
		var all [][]byte
		for _, data := range [][]byte{one, two} {
			switch _, read := formOf(dnswire.Type(typ)); {
			case !wellFormed(dnswire.Type(typ), data):
				if err := NewBuilder(zone).Add(&text.Record{Owner: name, Type: dnswire.Type(typ), Data: data}); err == nil {
					t.Fatal("taken")
				}
			case read && plainNames(data):
				all = append(all, data)
			}
		}
		if f, _ := formOf(dnswire.Type(typ)); len(all) == 0 || f.open || typ == uint16(dnswire.TypeCNAME) || typ == uint16(dnswire.TypeDNAME) || typ == uint16(dnswire.TypeSOA) {
			all = all[:min(len(all), 1)]
		}
		if len(all) == 0 || !plainNames(owner) {
			return
		}
		if f, _ := formOf(dnswire.Type(typ)); f.open {
			return // miekg/dns has more to say of these
		}
		place(t, pen{rand.New(rand.NewPCG(seed, 12))}, zone, name, dnswire.Type(typ), all, map[string]int{})
	})
}

// plainNames is whether no octet is one that text writes otherwise in names: the
// lower case of text is that of octets then.
func plainNames(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c == '\\' || c >= 0x80 })
}

// TestAppendNamed has a set of a name that is not in the message, with its
// signature, near and beyond what a pointer reaches.
func TestAppendNamed(t *testing.T) {
	owner := name(t, "h.x.test")
	d := data(t, "x.test", "h 60 A 192.0.2.1", "h 60 A 192.0.2.2", "h 60 A 192.0.2.3", "@ RRSIG SOA 13 2 3600 20300101000000 20200101000000 1 @ AAAA",
		"h 50 RRSIG A 13 3 60 20300101000000 20200101000000 1 @ AAAA", "h 50 RRSIG A 13 3 60 20300101000000 20200101000000 2 @ AAAA")
	m := NewTree([]*Data{d}, 0).Find([]byte(owner), dnswire.TypeA)
	set, _ := m.Set(dnswire.TypeA)
	sig, ok := m.Signature(dnswire.TypeA)
	if !ok || sig.Count != 2 {
		t.Fatal("no signatures")
	}
	if _, ok := m.Signature(dnswire.TypeTXT); ok {
		t.Error("a signature of what is not there")
	}
	question := []byte(name(t, "q.x.test"))
	head := len(newPage(0, question).buf) + ownerLen + fixedLen
	for _, base := range []int{0, 100, maxPointer - 1, maxPointer, maxPointer + 1, 20_000, 60_000} {
		for _, before := range []int{0, 5} {
			p := newPage(before, question)
			if base > 0 {
				p.fill(p.question(question), base-head)
			}
			n := p.count
			var at Place
			p.buf, at = set.AppendNamed(p.buf, p.start, []byte(owner))
			p.count += set.Count
			if at.InReach() != (base <= maxPointer) {
				t.Errorf("base %d: in reach %t", base, at.InReach())
			}
			if at.InReach() {
				p.buf = sig.Append(p.buf, p.start, at)
			} else {
				p.buf, _ = sig.AppendNamed(p.buf, p.start, []byte(owner))
			}
			p.count += sig.Count
			recs := p.records(t, n)
			for i, rr := range recs {
				typ, ttl := dns.TypeA, uint32(60)
				if i >= 3 {
					typ, ttl = dns.TypeRRSIG, 50
				}
				if h := rr.Header(); h.Name != "h.x.test." || h.Rrtype != typ || h.Ttl != ttl || i < 3 && rr.(*dns.A).A[3] != byte(1+i) {
					t.Errorf("base %d: record %d is %s", base, i, rr)
				}
			}
			if want := len(owner) - ownerLen; base <= maxPointer && len(p.buf)-before-max(base, head-ownerLen-fixedLen) != set.Len()+sig.Len()+want {
				t.Errorf("base %d: %d octets", base, len(p.buf))
			}
		}
	}
}

func TestSuffix(t *testing.T) {
	question := []byte("\x01a\x02bc\x04test\x00")
	p := newPage(3, question)
	q := p.question(question)
	one := p.cname(q, []byte("\x03www"), q, 9)                        // www.bc.test
	two := p.cname(one, []byte("\x01z\x01y"), one, one.Len)           // z.y.www.bc.test
	three := p.cname(two, nil, two, two.Len-2)                        // y.www.bc.test
	four := p.cname(three, []byte("\x04test"), Place{q.Offset, 1}, 1) // test, and a pointer to the end of itself
	_ = four
	for _, c := range []struct {
		place Place
		n     int
		want  string
	}{
		{q, 11, "\x01a"},
		{q, 9, "\x02bc"},
		{q, 6, "\x04test"},
		{q, 1, "\x00"},
		{one, 13, "\x03www"},
		{one, 9, "\x02bc"},
		{one, 6, "\x04test"},
		{one, 1, "\x00"},
		{two, 17, "\x01z"},
		{two, 15, "\x01y"},
		{two, 13, "\x03www"},
		{two, 9, "\x02bc"},
		{two, 1, "\x00"},
		{three, 15, "\x01y"},
		{three, 13, "\x03www"},
		{three, 6, "\x04test"},
		{three, 1, "\x00"},
	} {
		off := c.place.Suffix(p.buf[p.start:], c.n)
		if got := string(p.buf[p.start+off:][:len(c.want)]); got != c.want {
			t.Errorf("the last %d octets of %v: %q, want %q", c.n, c.place, got, c.want)
		}
	}
	// What is in the question is found there, and not in a pointer to it.
	if off := three.Suffix(p.buf[p.start:], 9); off != q.Suffix(p.buf[p.start:], 9) {
		t.Errorf("offset %d", off)
	}
}

// TestDataLen is the length of the data of a single record.
func TestDataLen(t *testing.T) {
	d := data(t, "x.test", "c CNAME a.b.x.test.", "d DNAME elsewhere.example.")
	for owner, want := range map[string]int{"c.x.test": 6, "d.x.test": len("\x09elsewhere\x07example\x00")} {
		m := NewTree([]*Data{d}, 0).Find([]byte(name(t, owner)), dnswire.TypeA)
		n := 0
		m.Each(func(s Set) bool { n = s.DataLen(); return true })
		if n != want {
			t.Errorf("%s: %d octets, want %d", owner, n, want)
		}
	}
}

// TestSOA: how long "no" may be remembered is the lower of two numbers, and the
// SOA record of a negative answer says it.
func TestSOA(t *testing.T) {
	for _, c := range []struct{ ttl, minimum, want uint32 }{{100, 200, 100}, {200, 100, 100}, {0, 5, 0}, {1<<31 - 1, 1<<31 - 1, 1<<31 - 1}} {
		d, faults, _ := builder(t, "x.test", fmt.Sprintf("@ %d SOA a b 4294967295 2 3 4 %d", c.ttl, c.minimum), "@ NS a").Build()
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		if soa, negative := d.SOA(); negative != c.want || soa.TTL() != c.want || d.Serial != 1<<32-1 {
			t.Errorf("%v: %d, serial %d", c, negative, d.Serial)
		}
	}
}
