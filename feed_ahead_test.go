package rhumb_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// What a zone is to be fed is made ready while it is fed other data; then only what has
// been amended of it costs something.
func TestFeedAhead(t *testing.T) {
	com, net := parseName(t, "example.com"), parseName(t, "example.net")
	e := newEngine(t, rhumb.Options{})
	wants := func(what string, name string, d *zone.Data, want string) {
		t.Helper()
		if _, err := e.FeedAhead(parseName(t, name), d); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", what, err, want)
		}
	}
	other, err := spec.FedZone(net, nil, 7)
	if err != nil {
		t.Fatal(err)
	}
	wants("no statement", "example.net", other.Data, "rhumb: feed example.net.: there is no statement yet")
	commit(t, e, fedConfig(t))
	wants("other records", "example.com", other.Data, "rhumb: feed example.com.: these are the records of example.net.")
	wants("no such zone", "example.net", other.Data, "rhumb: table: feed: the statement in force has no zone example.net. that is fed")
	www := parseName(t, "www.example.com")
	wants("a clash", "example.com", keep(t, e, com, addressOf(www, 1)),
		"rhumb: table: feed: the service www.example.com.: it has static A records, and a service answers for A and AAAA: remove the records or the service")

	many := func(last byte) *zone.Data {
		records := make([]text.Record, 40_000)
		for i := range records {
			records[i] = addressOf(parseName(t, fmt.Sprintf("n%d.example.com", i)), last)
		}
		return keep(t, e, com, records...)
	}
	ahead := func(d *zone.Data) (put func(*zone.Data) error, octets uint64) {
		t.Helper()
		octets = allocated(func() {
			var err error
			if put, err = e.FeedAhead(com, d); err != nil {
				t.Fatal(err)
			}
		})
		return put, octets
	}
	n1, n2 := parseName(t, "n1.example.com"), parseName(t, "n2.example.com")
	d := many(1)
	feed(t, e, d)
	next := many(2)
	put, all := ahead(next)
	wantAnswer(t, e, "n0.example.com A", "NOERROR A 198.51.100.1") // it is not in force
	feed(t, e, amended(t, d, zone.Edit{Owner: n1, Records: []text.Record{addressOf(n1, 9)}}))
	wantAnswer(t, e, "n1.example.com A", "NOERROR A 198.51.100.9")
	next = amended(t, next, zone.Edit{Owner: n2, Records: []text.Record{addressOf(n2, 3)}})
	if some := allocated(func() {
		if err := put(next); err != nil {
			t.Fatal(err)
		}
	}); some > all/4 {
		t.Errorf("to make it ready took %d octets, to put it in force %d", all, some)
	}
	if !e.Snapshot().Table.Anew() {
		t.Error("nothing of the index is that of the table before, and it does not say so")
	}
	wantAnswer(t, e, "n0.example.com A", "NOERROR A 198.51.100.2")
	wantAnswer(t, e, "n1.example.com A", "NOERROR A 198.51.100.2")
	wantAnswer(t, e, "n2.example.com A", "NOERROR A 198.51.100.3")
	wantAnswer(t, e, "www.example.com A", "NOERROR A 192.0.2.1, A 192.0.2.2")
	feed(t, e, amended(t, next, zone.Edit{Owner: n2}))
	if wantAnswer(t, e, "n2.example.com A", "NXDOMAIN"); e.Snapshot().Table.Anew() {
		t.Error("one name has cost all of them")
	}

	// A service cannot stand beside what was amended, or another statement has come.
	next = many(4)
	put, _ = ahead(next)
	if err := put(amended(t, next, zone.Edit{Owner: www, Records: []text.Record{addressOf(www, 1)}})); err == nil {
		t.Error("a service stands beside a static record of its name")
	}
	wantAnswer(t, e, "n0.example.com A", "NOERROR A 198.51.100.2")
	commit(t, e, fedConfig(t, "ns1.example.net.", "ns2.example.net."))
	if err := put(next); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, e, "n0.example.com A", "NOERROR A 198.51.100.4")
	wantAnswer(t, e, "example.com NS", "NOERROR NS ns2.example.net.")
}

// allocated is how many octets of memory somebody asks for.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
