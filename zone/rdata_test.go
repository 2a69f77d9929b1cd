package zone

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone/text"
)

func TestMalformedData(t *testing.T) {
	long := strings.Repeat("\x3f"+strings.Repeat("a", 63), 3) // 192 octets
	whole := map[dnswire.Type][]string{
		dnswire.TypeA:          {"\xc0\x00\x02\x01"},
		dnswire.TypeAAAA:       {"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"},
		dnswire.TypeNS:         {"\x01a\x00", "\x00", long + "\x3d" + strings.Repeat("b", 61) + "\x00"},
		3:                      {"\x01a\x00"}, // MD
		4:                      {"\x01a\x00"}, // MF
		dnswire.TypeCNAME:      {"\x01a\x00"},
		7:                      {"\x01a\x00"}, // MB
		8:                      {"\x01a\x00"}, // MG
		9:                      {"\x01a\x00"}, // MR
		dnswire.TypePTR:        {"\x01a\x00"},
		dnswire.TypeDNAME:      {"\x01a\x00"},
		dnswire.TypeSOA:        {"\x01a\x00\x01b\x00" + strings.Repeat("\x01", 20)},
		14:                     {"\x01a\x00\x00"}, // MINFO
		dnswire.TypeMX:         {"\x00\x0a\x01a\x00"},
		dnswire.TypeSRV:        {"\x00\x01\x00\x02\x00\x03\x01a\x00"},
		dnswire.TypeHINFO:      {"\x01a\x00", "\x00\x00"},
		dnswire.TypeNSEC3PARAM: {"\x01\x00\x00\x00\x00", "\x01\x00\x00\x00\x02ab", "\x01\x00\x00\x00\xff" + strings.Repeat("s", 255)},
	}
	for typ, all := range whole {
		for _, data := range all {
			if !wellFormed(typ, []byte(data)) {
				t.Errorf("%s %q: refused", typ, data)
			}
			for n := range data {
				if wellFormed(typ, []byte(data[:n])) {
					t.Errorf("%s %q, cut to %d octets: taken", typ, data, n)
				}
			}
			if wellFormed(typ, []byte(data+"\x00")) {
				t.Errorf("%s %q and an octet more: taken", typ, data)
			}
		}
	}
	// Types whose data go on behind what is looked at.
	open := map[dnswire.Type]string{
		dnswire.TypeSVCB:  "\x00\x01\x01a\x00",
		dnswire.TypeHTTPS: "\x00\x00\x00",
		dnswire.TypeNSEC:  "\x01a\x00",
		dnswire.TypeDS:    "\x00\x01\x0d\x02",
		dnswire.TypeRRSIG: "\x00\x01" + strings.Repeat("\x00", 16) + "\x01a\x00",
		dnswire.TypeNSEC3: "\x01\x00\x00\x00\x02ab\x02cd",
	}
	for typ, data := range open {
		least := len(data)
		if typ == dnswire.TypeNSEC || typ == dnswire.TypeDS || typ == dnswire.TypeRRSIG {
			data += "\x00"
		}
		if !wellFormed(typ, []byte(data)) || !wellFormed(typ, []byte(data+"\x00\x00")) {
			t.Errorf("%s %q: refused", typ, data)
		}
		for n := range least {
			if wellFormed(typ, []byte(data[:n])) {
				t.Errorf("%s %q, cut to %d octets: taken", typ, data, n)
			}
		}
	}
	// A salt of 255 octets does not wrap around.
	if wellFormed(dnswire.TypeNSEC3, []byte("\x01\x00\x00\x00\xff"+strings.Repeat("\x00", 255))) {
		t.Error("NSEC3 without a hash behind the longest salt: taken")
	}
	for _, bad := range []string{
		"\x40" + strings.Repeat("a", 64) + "\x00", "\xc0\x0c", "\x80",
		long + "\x3e" + strings.Repeat("b", 62) + "\x00", strings.Repeat("\x01a", 200) + "\x00",
	} {
		if wellFormed(dnswire.TypeCNAME, []byte(bad)) {
			t.Errorf("name %q: taken", bad)
		}
	}
	for _, typ := range []dnswire.Type{dnswire.TypeTXT, dnswire.TypeNAPTR, 65280} {
		if !wellFormed(typ, nil) || !wellFormed(typ, []byte("\xff")) {
			t.Errorf("%s: nothing looks into its data, and it is refused", typ)
		}
	}
}

// TestMalformedText has what miekg/dns takes for records when they are written
// as octets: data that end before a name.
func TestMalformedText(t *testing.T) {
	for typ, line := range map[string]string{
		"MINFO": `m MINFO \# 1 00`,
		"MX":    `m MX \# 2 000a`,
		"SRV":   `m SRV \# 6 000100020003`,
	} {
		zone := name(t, "x.test")
		b := NewBuilder(zone)
		var got error
		err := text.ReadRecord(line, text.Options{Origin: zone}, func(r *text.Record) { got = b.Add(r) })
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		want := fmt.Sprintf("the data of m.x.test. %s are not in the form that the type has", typ)
		if got == nil || got.Error() != want {
			t.Errorf("%s: %v, want %s", line, got, want)
		}
	}
	b := NewBuilder("\x00")
	for _, typ := range []uint16{dns.TypeTXT, dns.TypeA} {
		if err := b.Add(&text.Record{Owner: "\x00", Type: dnswire.Type(typ), Data: make([]byte, 1<<16+4)}); err == nil {
			t.Error("data longer than a record's are taken")
		}
	}
}

// TestSame: names are the same in any case, other data are not.
func TestSame(t *testing.T) {
	for _, c := range []struct {
		typ  dnswire.Type
		a, b string
		same bool
	}{
		{dnswire.TypeNS, "\x01a\x00", "\x01A\x00", true},
		{dnswire.TypeNS, "\x01a\x00", "\x01b\x00", false},
		{dnswire.TypeNS, "\x01a\x00", "\x01a\x01a\x00", false},
		{dnswire.TypeNS, "\x01[\x00", "\x01{\x00", false},
		{dnswire.TypeMX, "\x00A\x01a\x00", "\x00a\x01a\x00", false},
		{dnswire.TypeMX, "\x00A\x01B\x00", "\x00A\x01b\x00", true},
		{dnswire.TypeSOA, "\x01a\x00\x01b\x00" + strings.Repeat("A", 20), "\x01A\x00\x01B\x00" + strings.Repeat("A", 20), true},
		{dnswire.TypeSOA, "\x01a\x00\x01b\x00" + strings.Repeat("A", 20), "\x01a\x00\x01b\x00" + strings.Repeat("A", 19) + "a", false},
		{dnswire.TypeSOA, "\x01a\x00\x01b\x00" + strings.Repeat("A", 20), "\x01a\x00\x01b\x00a" + strings.Repeat("A", 19), false},
		{dnswire.TypeTXT, "\x01a", "\x01A", false},
		{dnswire.TypeTXT, "\x01a", "\x01a", true},
		{65280, "a", "A", false},
		{65280, "", "", true},
	} {
		if got := same(c.typ, []byte(c.a), []byte(c.b)); got != c.same {
			t.Errorf("%s %q %q: %t", c.typ, c.a, c.b, got)
		}
	}
}
