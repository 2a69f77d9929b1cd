package controller

import (
	"fmt"
	"testing"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/zone"
	statements "github.com/rhumb-dns/rhumb/zone/text"
)

// counted is an engine with a zone that is fed.
type counted struct {
	engine *rhumb.Engine
	data   *zone.Data
}

// newCounted is one of so many names with an address each.
func newCounted(t testing.TB, names int) *counted {
	t.Helper()
	engine, err := rhumb.New(rhumb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{engine: engine}
	c.state(t, "")
	b := zone.NewBuilder(wire(t, "gslb.test"))
	records := engine.Apex(wire(t, "gslb.test"))
	for i := range names {
		records = append(records, address(t, i, 0))
	}
	for i := range records {
		if err := b.Add(&records[i]); err != nil {
			t.Fatal(err)
		}
	}
	d, faults, _ := b.Build()
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	c.feed(t, d)
	return c
}

// state puts a statement in force, with more in it.
func (c *counted) state(t testing.TB, more string) {
	t.Helper()
	s, err := spec.Parse("test.yaml", []byte(more+`
zones: {gslb.test: {nameservers: {ns1: 192.0.2.53}}, other.test: {nameservers: {ns1: 192.0.2.53}}, still.test: {nameservers: {ns1: 192.0.2.53}}}
sources:
  - {controller: {endpoint: http://controller.test, secret: shared-with-edges, zone: gslb.test}}
  - {controller: {endpoint: http://controller.test, secret: shared-with-edges, zone: other.test}}
`))
	if err != nil {
		t.Fatal(err)
	}
	ch, err := c.engine.Prepare(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.engine.Commit(ch); err != nil {
		t.Fatal(err)
	}
}

func (c *counted) feed(t testing.TB, d *zone.Data) {
	t.Helper()
	if err := c.engine.Feed(d.Name, d); err != nil {
		t.Fatal(err)
	}
	c.data = d
}

// amend gives a name other records.
func (c *counted) amend(t testing.TB, records ...statements.Record) {
	t.Helper()
	d, err := c.data.Amend([]zone.Edit{{Owner: records[0].Owner, Records: records}})
	if err != nil {
		t.Fatal(err)
	}
	c.feed(t, d)
}

func wire(t testing.TB, s string) dnswire.Name {
	t.Helper()
	n, err := dnswire.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func address(t testing.TB, i, last int) statements.Record {
	return statements.Record{Owner: wire(t, fmt.Sprintf("host%d.gslb.test", i)), Type: dnswire.TypeA, TTL: 30, Data: []byte{10, byte(i >> 8), byte(i), byte(last)}}
}

// TestCensusNext: what a zone was fed costs what differs, and what is not known to be the
// same is not taken for it.
func TestCensusNext(t *testing.T) {
	const names = 5000
	c := newCounted(t, names)
	e := c.engine
	index := zoneOf(e.Snapshot().Table, wire(t, "gslb.test"))
	var none *census
	was := none.next(e.Snapshot(), index)
	if got := was.next(e.Snapshot(), index); got != was {
		t.Error("of one table it is taken twice")
	}
	c.amend(t, address(t, 7, 1))
	is := was.next(e.Snapshot(), index)
	if n := others(&was.static, &is.static); n != 1 || is.roster != was.roster {
		t.Errorf("after a change of one name %d of %d stretches are others", n, len(is.static.stretches))
	}
	at := zoneOf(e.Snapshot().Table, wire(t, "still.test"))
	still := none.next(e.Snapshot(), at)
	other := zone.NewBuilder(wire(t, "other.test"))
	for _, r := range e.Apex(wire(t, "other.test")) {
		if err := other.Add(&r); err != nil {
			t.Fatal(err)
		}
	}
	d, _, _ := other.Build()
	if err := e.Feed(d.Name, d); err != nil {
		t.Fatal(err)
	}
	if got := is.next(e.Snapshot(), index); got.table == is.table || others(&is.static, &got.static) != 0 || got.roster != is.roster {
		t.Error("another zone has been fed, and this one is another")
	}
	if got := still.next(e.Snapshot(), at); got.table == still.table || got.roster != still.roster {
		t.Error("another zone has been fed, and one that is not fed is another")
	}
	for _, c := range []struct {
		what   string
		change func()
	}{
		{"a delegation comes", func() {
			c.amend(t, statements.Record{Owner: wire(t, "sub.gslb.test"), Type: dnswire.TypeNS, TTL: 30, Data: []byte(wire(t, "ns.example"))})
		}},
		{"the delegation goes", func() {
			c.amend(t, statements.Record{Owner: wire(t, "sub.gslb.test"), Type: dnswire.TypeA, TTL: 30, Data: []byte{192, 0, 2, 1}})
		}},
		{"another statement", func() { c.state(t, "log: {level: info}") }},
	} {
		is = is.next(e.Snapshot(), index)
		c.change()
		if got := is.next(e.Snapshot(), index); got.roster == is.roster {
			t.Errorf("%s: it is not taken anew", c.what)
		}
	}
}

// TestCensusShares: names that say the same share what they say, one amendment after the other,
// and what they said once is forgotten.
func TestCensusShares(t *testing.T) {
	const names = 200
	c := newCounted(t, names)
	e := c.engine
	index := zoneOf(e.Snapshot().Table, wire(t, "gslb.test"))
	var is *census
	for i := range 1300 {
		r := address(t, i, 1)
		r.Owner = wire(t, fmt.Sprintf("host%d.gslb.test", i%names))
		c.amend(t, r)
		if is = is.next(e.Snapshot(), index); len(is.contents.known) > 1000+names/4+1 {
			t.Fatalf("%d are known of %d names", len(is.contents.known), names)
		}
	}
	for _, name := range []string{"host3.gslb.test", "host4.gslb.test"} {
		r := address(t, 9999, 1)
		r.Owner = wire(t, name)
		c.amend(t, r)
		is = is.next(e.Snapshot(), index)
	}
	says := func(name string) *content { return is.static.at(is.static.find(name)).says }
	if says("host3.gslb.test") != says("host4.gslb.test") {
		t.Error("the same is there twice")
	}
}

// BenchmarkCensus is what it takes to find what is to be told now: of 300,000 records from the
// beginning, and after one of them was amended, without the amendment.
func BenchmarkCensus(b *testing.B) {
	const names = 300_000
	c := newCounted(b, names)
	index := zoneOf(c.engine.Snapshot().Table, wire(b, "gslb.test"))
	state := func(was *State) *State {
		s := c.engine.Snapshot()
		var before *census
		if was != nil {
			before = was.census
		}
		build := builder{prev: was, next: &State{Zone: "gslb.test", snapshot: s, census: before.next(s, index)}, steered: steered{snapshot: s}}
		is, _, _ := build.build()
		return is
	}
	var last *State
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			last = state(nil)
		}
	})
	b.Run("amended", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			b.StopTimer()
			c.amend(b, address(b, i%names, 1+i%200))
			b.StartTimer()
			last = state(last)
		}
	})
}
