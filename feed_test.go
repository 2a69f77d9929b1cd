package rhumb_test

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// fedConfig is the configuration without checks, with its zone fed.
func fedConfig(t testing.TB, edits ...string) *spec.Spec {
	t.Helper()
	s := parse(t, strings.Replace(config, "checks: [web]", "", 1), edits...)
	s.Zones[0].Fed = true
	return s
}

func parseName(t testing.TB, s string) dnswire.Name {
	t.Helper()
	n, err := dnswire.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// addressOf is an A record of a name.
func addressOf(owner dnswire.Name, last byte) text.Record {
	return text.Record{Owner: owner, Type: dnswire.TypeA, TTL: 60, Data: []byte{198, 51, 100, last}}
}

// keep builds what a source keeps: the apex and records.
func keep(t testing.TB, e *rhumb.Engine, zoneName dnswire.Name, records ...text.Record) *zone.Data {
	t.Helper()
	b := zone.NewBuilder(zoneName)
	for _, r := range append(e.Apex(zoneName), records...) {
		if err := b.Add(&r); err != nil {
			t.Fatal(err)
		}
	}
	d, faults, _ := b.Build()
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return d
}

func amended(t testing.TB, d *zone.Data, edits ...zone.Edit) *zone.Data {
	t.Helper()
	next, err := d.Amend(edits)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func feed(t testing.TB, e *rhumb.Engine, d *zone.Data) {
	t.Helper()
	if err := e.Feed(d.Name, d); err != nil {
		t.Fatal(err)
	}
}

// wantAnswer asks for a name and a type and wants a code and records.
func wantAnswer(t testing.TB, e *rhumb.Engine, question, want string) {
	t.Helper()
	name, typ, _ := strings.Cut(question, " ")
	tr, err := e.Explain(rhumb.Question{Name: name, Type: typ})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(tr.Answers)
	if got := strings.TrimSpace(tr.RCode + " " + strings.Join(tr.Answers, ", ") + " " + tr.EDE); got != want {
		t.Errorf("%s: %s, want %s", question, got, want)
	}
}

func TestFeed(t *testing.T) {
	com := parseName(t, "example.com")
	a, b := parseName(t, "a.example.com"), parseName(t, "b.a.example.com")
	e := newEngine(t, rhumb.Options{})
	if e.Apex(com) != nil {
		t.Error("an apex without a statement")
	}
	commit(t, e, fedConfig(t))

	// Nobody knows yet what there is.
	const notReady = "SERVFAIL  14: the zone's records have not come yet"
	for _, q := range []string{"a.example.com A", "example.com SOA", "none.example.com TXT"} {
		wantAnswer(t, e, q, notReady)
	}
	wantAnswer(t, e, "www.example.com A", "NOERROR A 192.0.2.1, A 192.0.2.2")

	d := keep(t, e, com, addressOf(a, 1))
	feed(t, e, d)
	wantAnswer(t, e, "a.example.com A", "NOERROR A 198.51.100.1")
	wantAnswer(t, e, "a.example.com AAAA", "NOERROR")
	wantAnswer(t, e, "none.example.com A", "NXDOMAIN")
	wantAnswer(t, e, "example.com NS", "NOERROR NS ns1.example.net.")

	before := e.Snapshot()
	d = amended(t, d, zone.Edit{Owner: b, Exists: true}, zone.Edit{Owner: a})
	feed(t, e, d)
	wantAnswer(t, e, "a.example.com A", "NOERROR") // an empty non-terminal
	wantAnswer(t, e, "b.a.example.com A", "NOERROR")
	wantAnswer(t, e, "b.a.example.com ANY", "NOERROR")
	wantAnswer(t, e, "c.a.example.com A", "NXDOMAIN")
	if now := e.Snapshot(); now.Table.Anew() || now == before || now.Table.Serial() != before.Table.Serial() {
		t.Error("one name has cost all of them")
	}
	before = e.Snapshot()
	feed(t, e, d)
	if e.Snapshot() != before {
		t.Error("the same data are another snapshot")
	}

	// A reload keeps what there is, says what is true of the zone itself, and does
	// not undo what comes while it is prepared.
	c, err := e.Prepare(fedConfig(t, "ns1.example.net.", "ns2.example.net."))
	if err != nil {
		t.Fatal(err)
	}
	d = amended(t, d, zone.Edit{Owner: a, Records: []text.Record{addressOf(a, 2)}})
	feed(t, e, d)
	wantAnswer(t, e, "example.com NS", "NOERROR NS ns1.example.net.")
	if err := e.Commit(c); err != nil {
		t.Fatal(err)
	}
	commit(t, e, fedConfig(t, "ns1.example.net.", "ns2.example.net."))
	wantAnswer(t, e, "a.example.com A", "NOERROR A 198.51.100.2")
	wantAnswer(t, e, "b.a.example.com A", "NOERROR")
	wantAnswer(t, e, "example.com NS", "NOERROR NS ns2.example.net.")
	d = amended(t, d, zone.Edit{Owner: a, Records: []text.Record{addressOf(a, 3)}}) // which still says ns1
	feed(t, e, d)
	wantAnswer(t, e, "a.example.com A", "NOERROR A 198.51.100.3")
	wantAnswer(t, e, "example.com NS", "NOERROR NS ns2.example.net.")
	if e.Snapshot().Table.Anew() {
		t.Error("one name has cost all of them")
	}

	// A zone that is no longer fed forgets.
	plain := fedConfig(t)
	plain.Zones[0].Fed = false
	commit(t, e, plain)
	wantAnswer(t, e, "a.example.com A", "NXDOMAIN")
	commit(t, e, fedConfig(t))
	wantAnswer(t, e, "a.example.com A", notReady)
}

func TestFeedRefuses(t *testing.T) {
	com, net := parseName(t, "example.com"), parseName(t, "example.net")
	www, under := parseName(t, "www.example.com"), parseName(t, "x.www.example.com")
	e := newEngine(t, rhumb.Options{})
	other, err := spec.FedZone(com, nil, 7)
	if err != nil {
		t.Fatal(err)
	}
	want := func(d *zone.Data, as dnswire.Name, want string) {
		t.Helper()
		before := e.Snapshot()
		if err := e.Feed(as, d); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
		if e.Snapshot() != before {
			t.Error("it had an effect")
		}
	}
	want(other.Data, com, "rhumb: feed example.com.: there is no statement yet")
	commit(t, e, fedConfig(t))
	want(other.Data, net, "rhumb: feed example.net.: these are the records of example.com.")
	elsewhere, err := spec.FedZone(net, nil, 7)
	if err != nil {
		t.Fatal(err)
	}
	want(elsewhere.Data, net, "rhumb: table: feed: the statement in force has no zone example.net. that is fed")
	const beside = "rhumb: table: feed: the service www.example.com.: "
	want(keep(t, e, com, addressOf(www, 1)), com, beside+"it has static A records, and a service answers for A and AAAA: remove the records or the service")
	feed(t, e, keep(t, e, com))
	d := keep(t, e, com)
	feed(t, e, d)
	want(amended(t, d, zone.Edit{Owner: www, Records: []text.Record{addressOf(www, 1)}}), com,
		beside+"it has static A records, and a service answers for A and AAAA: remove the records or the service")
	cut := text.Record{Owner: www, Type: dnswire.TypeNS, TTL: 60, Data: []byte(net)}
	want(amended(t, d, zone.Edit{Owner: www, Records: []text.Record{cut}}), com,
		beside+"nobody asks for it here: www.example.com is delegated by NS records")

	// A cut above a service needs the index made anew; so does one above other names,
	// and services go on.
	commit(t, e, fedConfig(t, "api:", "deep.api:"))
	numbers := func() map[string]string {
		s, all := e.Snapshot(), map[string]string{}
		s.Table.EachService(func(n *table.Node, _ *table.Plan) bool {
			all[s.Table.Name(n).String()] = fmt.Sprint(n.Seq, n.Counter)
			return true
		})
		return all
	}
	had := numbers()
	cut.Owner = parseName(t, "api.example.com")
	want(amended(t, d, zone.Edit{Owner: cut.Owner, Records: []text.Record{cut}}), com,
		"rhumb: table: feed: the service deep.api.example.com.: nobody asks for it here: api.example.com is delegated by NS records")
	cut.Owner = parseName(t, "cut.example.com")
	glue := addressOf(parseName(t, "ns.cut.example.com"), 1)
	d = amended(t, d, zone.Edit{Owner: glue.Owner, Records: []text.Record{glue}})
	feed(t, e, d)
	d = amended(t, d, zone.Edit{Owner: cut.Owner, Records: []text.Record{cut}})
	feed(t, e, d)
	if !e.Snapshot().Table.Anew() {
		t.Error("the index was not made anew")
	}
	wantAnswer(t, e, "deep.api.example.com A", "NOERROR A 192.0.2.1, A 192.0.2.2")
	if has := numbers(); len(has) != 2 || !maps.Equal(has, had) {
		t.Errorf("the services have the numbers %v, and had %v", has, had)
	}

	// What a zone was fed since a change was prepared, and that cannot have.
	c, err := e.Prepare(fedConfig(t, "api:", "x.www:"))
	if err != nil {
		t.Fatal(err)
	}
	feed(t, e, amended(t, d, zone.Edit{Owner: under, Records: []text.Record{addressOf(under, 1)}}))
	if err := e.Commit(c); err == nil || !strings.Contains(err.Error(), "the service x.www.example.com.: ") {
		t.Errorf("error %v", err)
	}
	wantAnswer(t, e, "x.www.example.com A", "NOERROR A 198.51.100.1")
	if _, err := e.Prepare(fedConfig(t, "api:", "x.www:")); err == nil {
		t.Error("a service has been prepared beside what the zone was fed")
	}
}

// TestFeedWhileAsked feeds while statements come and go and queries are answered.
func TestFeedWhileAsked(t *testing.T) {
	com := parseName(t, "example.com")
	e := newEngine(t, rhumb.Options{})
	commit(t, e, fedConfig(t))
	d := keep(t, e, com)
	feed(t, e, d)
	stop := make(chan struct{})
	var running sync.WaitGroup
	for range 2 {
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					wantAnswer(t, e, "www.example.com A", "NOERROR A 192.0.2.1, A 192.0.2.2")
				}
			}
		})
	}
	running.Go(func() {
		for i := range 20 {
			c, err := e.Prepare(fedConfig(t, "ns1.example.net.", fmt.Sprintf("ns%d.example.net.", i)))
			if err == nil {
				err = e.Commit(c)
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	for i := range 200 {
		owner := parseName(t, fmt.Sprintf("n%d.example.com", i%50))
		d = amended(t, d, zone.Edit{Owner: owner, Records: []text.Record{addressOf(owner, byte(i))}})
		feed(t, e, d)
		wantAnswer(t, e, owner.String()+" A", fmt.Sprintf("NOERROR A 198.51.100.%d", i))
	}
	close(stop)
	running.Wait()
}

// BenchmarkFeed is one record of a zone of a million that changes, comes or goes:
// from Amend to the snapshot that answers with it. The budgets are 5 ms, and 100
// octets a record, all told.
func BenchmarkFeed(b *testing.B) {
	const n = 1_000_000
	zoneName := parseName(b, "gslb.example.com")
	owner := func(i int) dnswire.Name {
		return dnswire.Name(fmt.Sprintf("\x0ahost%06d", i)) + zoneName
	}
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	e := newEngine(b, rhumb.Options{})
	z, err := spec.FedZone(zoneName, nil, 1)
	if err != nil {
		b.Fatal(err)
	}
	empty := heap()
	commit(b, e, &spec.Spec{Zones: []*spec.Zone{z}})
	builder := zone.NewBuilder(zoneName)
	for _, r := range e.Apex(zoneName) {
		if err := builder.Add(&r); err != nil {
			b.Fatal(err)
		}
	}
	for i := range n {
		r := addressOf(owner(i), byte(i))
		if err := builder.Add(&r); err != nil {
			b.Fatal(err)
		}
	}
	d, faults, _ := builder.Build()
	if len(faults) > 0 {
		b.Fatal(faults)
	}
	builder = nil
	begun := time.Now()
	feed(b, e, d)
	whole := time.Since(begun)
	full := heap()
	var amending time.Duration
	var took []time.Duration
	i := 0
	for b.Loop() {
		at := i * 7919 % n
		edit := zone.Edit{Owner: owner(at)}
		switch i % 3 {
		case 0:
			edit.Records = []text.Record{addressOf(edit.Owner, byte(i+1))}
		case 1:
			edit.Owner = dnswire.Name("\x03new") + edit.Owner[11:]
			edit.Exists = true
		}
		i++
		begun := time.Now()
		if d, err = d.Amend([]zone.Edit{edit}); err != nil {
			b.Fatal(err)
		}
		amending += time.Since(begun)
		feed(b, e, d)
		took = append(took, time.Since(begun))
		if e.Snapshot().Table.Anew() {
			b.Fatal("one name has cost all of them")
		}
	}
	slices.Sort(took)
	begun = time.Now()
	listed := 0
	d.All(func(dnswire.Name, dnswire.Type, uint32, [][]byte) bool {
		listed++
		return true
	})
	b.ReportMetric(float64(time.Since(begun).Milliseconds()), "ms-listing")
	if listed < n/2 {
		b.Fatalf("%d sets are listed", listed)
	}
	b.ReportMetric(float64(full-empty)/n, "octets/record")
	b.ReportMetric(float64(heap()-empty)/n, "octets/record-after")
	b.ReportMetric(float64(whole.Milliseconds()), "ms-whole")
	b.ReportMetric(float64(amending.Microseconds())/float64(i), "µs/amend")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
	b.ReportMetric(float64(took[len(took)-1].Microseconds()), "µs-worst")
	runtime.KeepAlive(d)
	runtime.KeepAlive(e)
}
