package text

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/rhumb-dns/rhumb/dnswire"
)

// FuzzPlain holds the fields that we read ourselves against miekg/dns: where we
// read data it does too, and gives the same bytes.
func FuzzPlain(f *testing.F) {
	for name, text := range samples {
		f.Add(uint16(dns.StringToType[name]), text, false)
	}
	for _, text := range []string{
		"@", ".", "a", "a.", "*", "a..b", ".a", "a.b.", "10 @", "+1 a", "01 a", "1_0 a", "::1", "::ffff:1.2.3.4", "1.2.3.04",
		"A TYPE1 TYPE65535 MX", "b", "b DSYNC A6", "TYPE65280 8 2 1 20380119031408 19691231235959 1 a AA==", "A 8 2 1 21060207062816 20240230000000 1 a A A = =",
		"A 8 2 1 21060207062815 20240229235959 1 a AAAA", "A 8 2 1 20300101006000 20200101000000 1 a AAAA", "A 8 2 1 20300101240000 20200101000000 1 a AAAA",
		"A 8 2 1 20300101000060 20200101000000 1 a AAAA", "A 8 2 1 20300101000000 21060207062816 1 a AAAA", "A 8 2 1 20301301000000 19691231235959 1 a AAAA",
		"x y", `"x y"`, `"" x`, "1 8 1 ab cd", "1 8 2 abcd", "1 8 9 abcd", "1 8 9 abc",
		"1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "1 0 0 abc 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM A", "1 0 0 ab 0p9m",
		"A 8 2 1 21060207062816 99991231235959 1 a AAAA", "A 8 2 1 4294967295 0 1 a AAAA", "A 8 2 1 4294967296 00 1 a AAAA",
		"1 rsasha1 1 ab", "256 3 RSASHA1 AA==", "1 0 0 - 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TO", "2 0 0 - CPNMU A",
	} {
		for t, form := range plainForms {
			if form != "" {
				f.Add(uint16(t), text, false)
				f.Add(uint16(t), text, true)
			}
		}
	}
	f.Fuzz(func(t *testing.T, typ uint16, text string, root bool) {
		origin := "\x03Sub\x07Example\x00"
		if root {
			origin = "\x00"
		}
		e := newScanner("a " + strings.ReplaceAll(text, "\n", " ")).next()
		if e == nil || e.err != nil {
			return
		}
		var plain, full dataReader
		got, ok := plain.appendPlain(nil, dnswire.Type(typ), e.tokens[1:], origin)
		if !ok {
			return
		}
		want, err := full.parse(dnswire.Type(typ), e.tokens[1:], origin)
		if err != nil {
			t.Fatalf("%s %q: %x where miekg/dns says %v", dnswire.Type(typ), text, got, err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%s %q: %x where miekg/dns has %x", dnswire.Type(typ), text, got, want)
		}
	})
}

// seeds are zone text for the fuzzers; "z" may include "y".
var seeds = []string{
	"@ SOA ns host ( 1 2 ; serial\n 3 4 5 )\n NS ns\nns A 192.0.2.1\n AAAA 2001:db8::1\n",
	"$TTL 1h\n$ORIGIN sub\na MX 10 b\n$INCLUDE y\n$INCLUDE y other.\n A 192.0.2.1",
	"$GENERATE 1-3/2 h${1,3,x} A 192.0.2.$\n$GENERATE 1-2 a TXT \"\\$ $$ ${0,7,N}\"\n$GENERATE 1-2 a MX \"0 .\"",
	"a TXT \"a;b\" c\\ d \"\\\"\" \\010 \"unclosed\nb A x\nc A ( 192.0.2.1\nd A 192.0.2.2\n",
	"a HTTPS 1 . alpn=\"h2,h3\" port=443 key667=\"a b\"\r\n\ufeffb CAA 0 issue \"x\"\r\n",
	"a TYPE65280 \\# 3 ab cdef\na 1 IN A \\# 4 c0000201\na LOC 1 N 2 3 W 4m 5 6m 7\n",
	"a NSEC b A MX TYPE1234\na RRSIG A 8 2 300 20300101000000 20200101000000 1 @ AAAA\na NAPTR 1 2 u s \"!^.*$!x!\" .\n",
	"$INCLUDE z\n$INCLUDE none\n$TTL\n$ORIGIN a..b\nx 99999999999 A 1.2.3.4\n)\n(\n\"\n\\\n",
}

// FuzzText reads any text as a zone that may include any other: it ends, does
// not panic, reports places that exist, and what it emits is sound.
func FuzzText(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, "c 2 A 192.0.2.3\n$TTL 9\n$INCLUDE y\n$INCLUDE z\nd TXT x")
	}
	f.Fuzz(func(t *testing.T, z, y string) {
		lines := map[string]int{"z": strings.Count(z, "\n") + 1, "y": strings.Count(y, "\n") + 1}
		in := files{"z": z, "y": y}
		var names int32
		r := newReader(Options{Origin: exampleOrg, TTL: 60, Open: in.open}, func(rec *Record) {
			if rec.TTL > maxTTL || len(rec.Data) > maxRDLen || !isData(rec.Type) || rec.Pos.Line < 1 || rec.Pos.File < 0 {
				t.Errorf("emitted %+v", rec)
			}
			names = max(names, rec.Pos.File+1)
			if name, err := dnswire.ParseName(rec.Owner.String()); err != nil || name != rec.Owner {
				t.Errorf("owner %q: %v", rec.Owner, err)
			}
			unpack(t, rec)
		})
		r.steps, r.reads = 500, maxReads-50
		r.readAll("z")
		if int(names) > len(r.files) {
			t.Errorf("%d files of which there are %d", names, len(r.files))
		}
		errs := r.errors()
		if len(errs) > maxErrors+1 {
			t.Errorf("%d errors", len(errs))
		}
		for i, e := range errs {
			if last := i == maxErrors; (e.Line < 1 || e.Line > lines[e.File]) != last || e.Msg == "" {
				t.Errorf("error %q of line %d", e.Error(), e.Line)
			}
		}
	})
}

// FuzzReadRecord reads any text as one record: it emits one or gives an error.
// What it emits is the same when it is read in the form of RFC 3597.
func FuzzReadRecord(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	for name, text := range samples {
		f.Add("host.example. 300 IN " + name + " " + text)
	}
	for _, c := range ownSamples {
		f.Add("host.example. 300 IN " + c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o := Options{Origin: exampleOrg, TTL: 60, Open: func(path string) (io.ReadCloser, int64, error) {
			t.Errorf("open %s", path)
			return nil, 0, fs.ErrNotExist
		}}
		emitted := 0
		var rec Record
		err := ReadRecord(text, o, func(r *Record) {
			emitted++
			rec = *r
			rec.Data = bytes.Clone(r.Data)
		})
		if (err == nil) != (emitted == 1) || emitted > 1 {
			t.Fatalf("%d records, error %v", emitted, err)
		}
		if err != nil {
			return
		}
		again := fmt.Sprintf(`%s %d IN TYPE%d \# %d %x`, rec.Owner, rec.TTL, rec.Type, len(rec.Data), rec.Data)
		err = ReadRecord(again, o, func(r *Record) {
			if r.Owner != rec.Owner || r.Type != rec.Type || r.TTL != rec.TTL || !bytes.Equal(r.Data, rec.Data) {
				t.Errorf("%s\ngot  %+v\nwant %+v", again, r, rec)
			}
		})
		if err != nil {
			t.Errorf("%s: %v", again, err)
		}
	})
}

var fourteenDigits = regexp.MustCompile(`[0-9]{14}`)

// FuzzAgainstMiekg reads text as a zone and has dns.ZoneParser do the same:
// where both find no error, they find the same records. Left out is where we
// differ knowingly: the TTL that an SOA gives and that of $GENERATE, a byte
// order mark, a CR that is not at the end of its line, times after 2106, hashes
// of NSEC3 that are not of 20 bytes.
func FuzzAgainstMiekg(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
		for _, l := range strings.Split(s, "\n") {
			f.Add(l)
		}
	}
	for name, text := range samples {
		f.Add("host.example. 300 IN " + name + " " + text)
	}
	for _, c := range ownSamples {
		f.Add("host.example. 300 IN " + c.text)
	}
	f.Fuzz(func(t *testing.T, z string) {
		const cr, bom = "\r", "\ufeff"
		upper := strings.ToUpper(z)
		for _, s := range fourteenDigits.FindAllString(z, -1) {
			if s >= "21060207062816" {
				return
			}
		}
		if strings.Contains(upper, "SOA") || strings.Contains(upper, "$GENERATE") || strings.ContainsAny(z, cr+bom) {
			return
		}
		var got, want []string
		skip := false
		r := newReader(Options{Origin: exampleOrg, TTL: 60, Open: files{"z": z}.open}, func(rec *Record) {
			rr := unpack(t, rec)
			got = append(got, strings.ToLower(rr.String()))
			if n, ok := rr.(*dns.NSEC3); ok && n.HashLength != 20 {
				skip = true
			}
		})
		r.steps = 100
		r.readAll("z")
		if skip || r.errs != nil || len(got) == 0 {
			return
		}
		zp := dns.NewZoneParser(strings.NewReader(z), "example.org.", "")
		zp.SetDefaultTTL(60)
		buf := make([]byte, 1<<17)
		for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
			// By way of the wire, so that both have the same escapes.
			n, err := dns.PackRR(rr, buf, 0, nil, false)
			if err != nil {
				return
			}
			if rr, _, err = dns.UnpackRR(buf[:n], 0); err != nil {
				return
			}
			want = append(want, strings.ToLower(rr.String()))
		}
		if zp.Err() != nil {
			return
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%q\ngot  %q\nwant %q", z, got, want)
		}
	})
}
