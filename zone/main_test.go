package zone

import (
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// name is a name in lower-case wire form.
func name(t testing.TB, s string) dnswire.Name {
	t.Helper()
	n, err := dnswire.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// record is one record of a zone, as a line of text.
func record(t testing.TB, zone dnswire.Name, line string) (rec text.Record) {
	t.Helper()
	err := text.ReadRecord(line, text.Options{Origin: zone, TTL: 300}, func(r *text.Record) {
		rec = *r
		rec.Data = append([]byte(nil), r.Data...)
	})
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return rec
}

// builder has the records of lines, numbered from 1. A line that begins with !
// is of a record to which nothing else may add.
func builder(t testing.TB, zone string, lines ...string) *Builder {
	t.Helper()
	b := NewBuilder(name(t, zone))
	for i, line := range lines {
		sole := strings.HasPrefix(line, "!")
		r := record(t, b.zone, strings.TrimPrefix(line, "!"))
		r.Pos.Line = int32(i + 1)
		add := b.Add
		if sole {
			add = b.AddSole
		}
		if err := add(&r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return b
}

// apexLines are what every zone needs.
var apexLines = []string{
	"@ 3600 SOA ns1 hostmaster 7 3600 600 604800 900",
	"@ 3600 NS ns.elsewhere.test.",
	"@ 3600 NS ns.elsewhere.example.",
}

// data is a zone of lines, with SOA and NS besides.
func data(t testing.TB, zone string, lines ...string) *Data {
	t.Helper()
	d, faults, _ := builder(t, zone, append(apexLines[:len(apexLines):len(apexLines)], lines...)...).Build()
	if len(faults) > 0 {
		t.Fatalf("%s: %v", zone, faults)
	}
	return d
}
