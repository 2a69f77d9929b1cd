package text

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
)

const exampleOrg dnswire.Name = "\x07example\x03org\x00"

// files is zone text by path, instead of a file system.
type files map[string]string

func (f files) open(path string) (io.ReadCloser, int64, error) {
	text, ok := f[filepath.ToSlash(path)]
	if !ok {
		return nil, 0, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return io.NopCloser(strings.NewReader(text)), int64(len(text)), nil
}

// show reads the file "z" of f and gives a line for each record, with file and
// line, and the errors.
func (f files) show(t testing.TB) (records []string, read []string, errs Errors) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var places []Pos
	read, errs = ReadFile("z", Options{Origin: exampleOrg, TTL: 60, Open: f.open}, func(r *Record) {
		_, data, _ := strings.Cut(unpack(t, r).String(), "\tIN\t")
		records = append(records, fmt.Sprintf("%s %d %s", r.Owner, r.TTL, strings.ReplaceAll(data, "\t", " ")))
		places = append(places, r.Pos)
	})
	for i := range read {
		if rel, err := filepath.Rel(dir, read[i]); err == nil {
			read[i] = filepath.ToSlash(rel)
		}
	}
	for i, p := range places {
		records[i] = fmt.Sprintf("%s:%d %s", read[p.File], p.Line, records[i])
	}
	return records, read, errs
}

func TestReadFile(t *testing.T) {
	for _, c := range []struct {
		name string
		in   files
		want []string
	}{
		{"nothing", files{"z": ""}, nil},
		{"only comments", files{"z": "; nothing\n\n   \n( ; within\n )\n;"}, nil},
		{
			"owners",
			files{"z": "@ 1 A 192.0.2.1\n 2 A 192.0.2.2\n\t3 A 192.0.2.3\nWww 4 A 192.0.2.4\n\n   5 A 192.0.2.5 ; same\nA 6 A 192.0.2.6\nabs.example. 7 A 192.0.2.7\n* 8 A 192.0.2.8\n"},
			[]string{
				"z:1 example.org. 1 A 192.0.2.1",
				"z:2 example.org. 2 A 192.0.2.2",
				"z:3 example.org. 3 A 192.0.2.3",
				"z:4 www.example.org. 4 A 192.0.2.4",
				"z:6 www.example.org. 5 A 192.0.2.5",
				"z:7 a.example.org. 6 A 192.0.2.6",
				"z:8 abs.example. 7 A 192.0.2.7",
				"z:9 *.example.org. 8 A 192.0.2.8",
			},
		},
		{
			"escapes in owners",
			files{"z": `\@ 1 A 192.0.2.1` + "\n" + `a\.b.c\032\200 1 A 192.0.2.1` + "\n" + `\$ttl 1 A 192.0.2.1` + "\n"},
			[]string{
				`z:1 \@.example.org. 1 A 192.0.2.1`,
				`z:2 a\.b.c\ \200.example.org. 1 A 192.0.2.1`,
				`z:3 $ttl.example.org. 1 A 192.0.2.1`,
			},
		},
		{
			"case of names in data",
			files{"z": "$ORIGIN Sub.Example.ORG.\na 1 CNAME B\nb 1 MX 5 Mail.Example.Com.\n@ 1 NS @\n"},
			[]string{
				"z:2 a.sub.example.org. 1 CNAME B.Sub.Example.ORG.",
				"z:3 b.sub.example.org. 1 MX 5 Mail.Example.Com.",
				"z:4 sub.example.org. 1 NS Sub.Example.ORG.",
			},
		},
		{
			"TTL, class and type in their orders",
			files{"z": "a 1 IN A 192.0.2.1\na IN 2 A 192.0.2.1\na 3 A 192.0.2.1\na in A 192.0.2.1\na A 192.0.2.1\na 1h30m CLASS1 TYPE1 192.0.2.1\n"},
			[]string{
				"z:1 a.example.org. 1 A 192.0.2.1",
				"z:2 a.example.org. 2 A 192.0.2.1",
				"z:3 a.example.org. 3 A 192.0.2.1",
				"z:4 a.example.org. 3 A 192.0.2.1",
				"z:5 a.example.org. 3 A 192.0.2.1",
				"z:6 a.example.org. 5400 A 192.0.2.1",
			},
		},
		{
			"no TTL at all",
			files{"z": "a A 192.0.2.1\n@ SOA ns host 1 2 3 4 500\nb A 192.0.2.1\nc 7 A 192.0.2.1\nd A 192.0.2.1\n"},
			[]string{
				"z:1 a.example.org. 60 A 192.0.2.1",
				"z:2 example.org. 500 SOA ns.example.org. host.example.org. 1 2 3 4 500",
				"z:3 b.example.org. 500 A 192.0.2.1",
				"z:4 c.example.org. 7 A 192.0.2.1",
				"z:5 d.example.org. 7 A 192.0.2.1",
			},
		},
		{
			"$TTL",
			files{"z": "$TTL 1h\na A 192.0.2.1\nb 5 A 192.0.2.1\nc A 192.0.2.1\n$ttl 2W3d ; and a comment\nd A 192.0.2.1\n$TTL 2147483647\ne A 192.0.2.1\n"},
			[]string{
				"z:2 a.example.org. 3600 A 192.0.2.1",
				"z:3 b.example.org. 5 A 192.0.2.1",
				"z:4 c.example.org. 3600 A 192.0.2.1",
				"z:6 d.example.org. 1468800 A 192.0.2.1",
				"z:8 e.example.org. 2147483647 A 192.0.2.1",
			},
		},
		{
			"$ORIGIN",
			files{"z": "$ORIGIN sub\na 1 A 192.0.2.1\n$ORIGIN deep ; relative\nb 1 A 192.0.2.1\n  1 A 192.0.2.2\n$ORIGIN .\nc 1 NS d\n"},
			[]string{
				"z:2 a.sub.example.org. 1 A 192.0.2.1",
				"z:4 b.deep.sub.example.org. 1 A 192.0.2.1",
				"z:5 b.deep.sub.example.org. 1 A 192.0.2.2",
				"z:7 c. 1 NS d.",
			},
		},
		{
			"parentheses",
			files{"z": "@ 1 SOA ns host ( ; begins\n\t2024 ; the serial (\n\n 1h 2 3\n)4\na ( 5\nA ) 192.0.2.1\nb 1 A(192.0.2.2)\n(c 1 A 192.0.2.3)\nd 1 TXT ( ( a\n) \")\" )\n"},
			[]string{
				"z:1 example.org. 1 SOA ns.example.org. host.example.org. 2024 3600 2 3 4",
				"z:6 a.example.org. 5 A 192.0.2.1",
				"z:8 b.example.org. 1 A 192.0.2.2",
				"z:9 c.example.org. 1 A 192.0.2.3",
				`z:10 d.example.org. 1 TXT "a" ")"`,
			},
		},
		{
			"quotes and escapes",
			files{"z": `a 1 TXT "one;(" two "" "a""b" \"x "\"" "\\" \; a\ b "\010"` + "\n"},
			[]string{`z:1 a.example.org. 1 TXT "one;(" "two" "" "a" "b" "\"x" "\"" "\\" ";" "a b" "\010"`},
		},
		{
			"CRLF, no newline at the end, a byte order mark",
			files{"z": "\ufeffa 1 A 192.0.2.1\r\n\r\n 1 TXT ( \"x\" ; c\r\n y )\r\nb 1 A 192.0.2.2"},
			[]string{
				"z:1 a.example.org. 1 A 192.0.2.1",
				`z:3 a.example.org. 1 TXT "x" "y"`,
				"z:5 b.example.org. 1 A 192.0.2.2",
			},
		},
		{
			"what other servers take and miekg/dns does not",
			files{"z": `a 1 NAPTR 100 50 s z3950 "" _z._tcp` + "\na 1 X25 \"311061700956\"\na 1 NSEC b MX A TYPE1234 A\na 1 LOC 52 14 N 1 E 10m\na 1 LOC 42 21 4.015 N 1 2 W 0 1m\na 1 NID 10 14:4fff:ff20:0\n"},
			nil, // set below
		},
		{
			"the owner before $INCLUDE",
			files{
				"z": "a 1 A 192.0.2.1\n$INCLUDE y\n 1 A 192.0.2.2\n$INCLUDE y abs.",
				"y": " 1 A 192.0.2.3\nb 1 A 192.0.2.4",
			},
			[]string{
				"z:1 a.example.org. 1 A 192.0.2.1",
				"y:1 a.example.org. 1 A 192.0.2.3",
				"y:2 b.example.org. 1 A 192.0.2.4",
				"z:3 a.example.org. 1 A 192.0.2.2",
				"y:1 a.example.org. 1 A 192.0.2.3",
				"y:2 b.abs. 1 A 192.0.2.4",
			},
		},
		{
			"$INCLUDE",
			files{
				"z":          "$ORIGIN x\n$TTL 5\na A 192.0.2.1\n$INCLUDE sub/one\n A 192.0.2.2\n$include \"sub/one\" y.example. ; again\nb A 192.0.2.3",
				"sub/one":    "c A 192.0.2.4\n$TTL 9\n$INCLUDE two\nd A 192.0.2.5\n$ORIGIN elsewhere.\n",
				"sub/two":    "e A 192.0.2.6",
				"unrelated.": "f A 192.0.2.7",
			},
			[]string{
				"z:3 a.x.example.org. 5 A 192.0.2.1",
				"sub/one:1 c.x.example.org. 5 A 192.0.2.4",
				"sub/two:1 e.x.example.org. 9 A 192.0.2.6",
				"sub/one:4 d.x.example.org. 9 A 192.0.2.5",
				"z:5 a.x.example.org. 5 A 192.0.2.2",
				"sub/one:1 c.y.example. 5 A 192.0.2.4",
				"sub/two:1 e.y.example. 9 A 192.0.2.6",
				"sub/one:4 d.y.example. 9 A 192.0.2.5",
				"z:7 b.x.example.org. 5 A 192.0.2.3",
			},
		},
		{
			"$GENERATE",
			files{"z": "k 1 A 192.0.2.1\n$GENERATE 1-2 h$ 300 IN A 192.0.2.$ ; comment\n$GENERATE 0-10/5 ${1,3,x} CNAME ${0,2,X}.t\n$GENERATE 2-2 \\$$$ 2 TXT \"x $\" ${-1}\n$GENERATE 1-1 m MX \"0 .\"\n$GENERATE 18-18 ${0,3,n}.${0,4,N}a PTR p\n 2 A 192.0.2.2\n$GENERATE 1-1 t 1 TXT \"one string $\""},
			[]string{
				"z:1 k.example.org. 1 A 192.0.2.1",
				"z:2 h1.example.org. 300 A 192.0.2.1",
				"z:2 h2.example.org. 300 A 192.0.2.2",
				"z:3 001.example.org. 1 CNAME 00.t.example.org.",
				"z:3 006.example.org. 1 CNAME 05.t.example.org.",
				"z:3 00b.example.org. 1 CNAME 0A.t.example.org.",
				`z:4 $$.example.org. 2 TXT "x 2" "1"`,
				"z:5 m.example.org. 1 MX 0 .",
				"z:6 2.1.2.1.a.example.org. 1 PTR p.example.org.",
				"z:7 k.example.org. 2 A 192.0.2.2",
				`z:8 t.example.org. 1 TXT "one string 1"`,
			},
		},
		{
			"parameters of SVCB",
			files{"z": `a 1 HTTPS 1 . port=8443 alpn="h2,h3" key667="a b" mandatory=port,alpn no-default-alpn` + "\na 1 SVCB 0 svc.example.\n"},
			[]string{
				`z:1 a.example.org. 1 HTTPS 1 . mandatory="alpn,port" alpn="h2,h3" no-default-alpn="" port="8443" key667="a\ b"`,
				"z:2 a.example.org. 1 SVCB 0 svc.example.",
			},
		},
	} {
		if strings.HasPrefix(c.name, "what other") {
			c.want = []string{
				`z:1 a.example.org. 1 NAPTR 100 50 "s" "z3950" "" _z._tcp.example.org.`,
				"z:2 a.example.org. 1 X25 311061700956",
				"z:3 a.example.org. 1 NSEC b.example.org. A MX TYPE1234",
				"z:4 a.example.org. 1 LOC 52 14 0.000 N 01 00 0.000 E 10m 1m 10000m 10m",
				"z:5 a.example.org. 1 LOC 42 21 4.015 N 01 02 0.000 W 0m 1m 10000m 10m",
				"z:6 a.example.org. 1 NID 10 0014:4fff:ff20:0000",
			}
		}
		t.Run(c.name, func(t *testing.T) {
			got, _, errs := c.in.show(t)
			if errs != nil {
				t.Errorf("errors:\n%v", errs)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// TestErrors is the exact text of every error there is.
func TestErrors(t *testing.T) {
	long := strings.Repeat("a", 64)
	name := strings.Repeat(strings.Repeat("a", 49)+".", 5)
	hundred := ""
	for i := range 100 {
		hundred += fmt.Sprintf("z:%d: the record has no type\n", i+1)
	}
	for _, c := range []struct {
		name string
		in   files
		want string
	}{
		{"syntax", files{"z": "a 1 A 192.0.2.1 )\nb 1 TXT \"x\nc 1 TXT ( y\n \"z\n )\nd 1 TXT \\12\ne 1 TXT \\256\nf 1 TXT a\\\n\ng 1 TXT a\"b\"\nh 1 TXT \"x"}, `
z:1: syntax: ) without a ( before it
z:2: syntax: " is not closed on its line
z:4: syntax: " is not closed on its line
z:6: syntax: \ before a digit needs three digits
z:7: syntax: \256 is above 255
z:8: syntax: \ at the end of the line
z:10: TXT: a " in the middle of "a\"b\"": put it all into quotes, or \ before the "
z:11: syntax: " is not closed on its line`},
		{"( is not closed", files{"z": "@ 1 SOA a b ( 1\n 2\n 3\n\n 4\n 5 ;)\na 1 A x\n@ NS ("}, `
z:1: syntax: ( is not closed
z:7: A: "x" is not an IPv4 address
z:8: syntax: ( is not closed`},
		{"owners", files{"z": " 1 A 192.0.2.1\n 1 A 192.0.2.1\n 1 A x\na..b 1 A x\n 1 A 192.0.2.1\n.a 1 A x\n" + long + " 1 A x\n" + name + " 1 A x\n\"a\" 1 A x\nwww\n$ORIGIN .\nlast 1 A 192.0.2.1"}, `
z:1: no owner: the line begins with white space, and no record is before it
z:3: A: "x" is not an IPv4 address
z:4: owner: name "a..b": an empty label
z:6: owner: name ".a": an empty label
z:7: owner: name "` + long + `": label "` + long + `" is longer than 63 bytes
z:8: A: "x" is not an IPv4 address
z:9: owner: name "a": a name is not written in quotes
z:10: the record has no type`},
		{"long names", files{"z": "$ORIGIN " + name + "\na." + name + name + " 1 NS b\nbbb 1 NS b\nbbbb 1 NS b\nc 1 CNAME bbbb\nc 1 MX 1 bbbb\nc 1 SRV 1 1 1 bbbb\n$ORIGIN bbbb\n"}, `
z:2: owner: name "a.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaa...": the name is longer than 255 bytes
z:4: owner: name "bbbb": the name is longer than 255 bytes
z:5: CNAME: a name is longer than 255 bytes
z:6: MX: a name is longer than 255 bytes
z:7: SRV: a name is longer than 255 bytes
z:8: $ORIGIN: name "bbbb": the name is longer than 255 bytes`},
		{"TTL, class and type", files{"z": "a 2147483648 A 192.0.2.1\na 1x A 192.0.2.1\na 4w9999999999999999999999 A 192.0.2.1\na 1 CH TXT x\na CLASS4 1 TXT x\na 1 IN IN TXT x\na 1 2 TXT x\na foo 1 TXT x\na 1 \"TXT\" x\na 1 IN\n $TTL 5\na 1 TYPE70000 x\na NONE A 192.0.2.1\na 1m2 A x"}, `
z:1: TTL 2147483648 is above 2147483647 (RFC 2181 section 8)
z:2: "1x" is not a TTL
z:3: TTL 4w9999999999999999999999 is above 2147483647 (RFC 2181 section 8)
z:4: class CH: the class of a zone is IN
z:5: class HS: the class of a zone is IN
z:6: no record type "IN"
z:7: no record type "2"
z:8: "foo" is no TTL, class or type
z:9: "TXT" in quotes where a TTL, a class or a type belongs
z:10: the record has no type
z:11: "$TTL": a directive begins its line, with no white space before it
z:12: no record type "TYPE70000"
z:13: class NONE: the class of a zone is IN
z:14: A: "x" is not an IPv4 address`},
		{"types that are not data", files{"z": "a 1 TYPE0 \\# 0\na 1 OPT \\# 0\na 1 NXNAME \\# 0\na 1 TKEY x\na 1 TSIG x\na 1 IXFR x\na 1 AXFR x\na 1 MAILB x\na 1 MAILA x\na 1 ANY x\na 1 TYPE65535 \\# 0\na 1 TYPE200 \\# 0\na 1 NULL x\na 1 A6 0 ::1\na 1 TYPE65280 x"}, `
z:1: type TYPE0 is not of data in a zone
z:2: type OPT is not of data in a zone
z:3: type NXNAME is not of data in a zone
z:4: type TKEY is not of data in a zone
z:5: type TSIG is not of data in a zone
z:6: type IXFR is not of data in a zone
z:7: type AXFR is not of data in a zone
z:8: type MAILB is not of data in a zone
z:9: type MAILA is not of data in a zone
z:10: type ANY is not of data in a zone
z:11: type TYPE65535 is not of data in a zone
z:12: type TYPE200 is not of data in a zone
z:13: the data of type NULL are written as \#, their length and hexadecimal digits (RFC 3597 section 5)
z:14: the data of type A6 are written as \#, their length and hexadecimal digits (RFC 3597 section 5)
z:15: the data of type TYPE65280 are written as \#, their length and hexadecimal digits (RFC 3597 section 5)`},
		{"RFC 3597", files{"z": `a 1 TYPE65280 \#
a 1 TYPE65280 \# x
a 1 TYPE65280 \# 2 abc
a 1 TYPE65280 \# 2 abcx
a 1 TYPE65280 \# 2 ab
a 1 TYPE65280 \# 1 "ab"
a 1 A \# 3 010203
a 1 A \# 16 000102030405060708090a0b0c0d0e0f
a 1 A \# 0
a 1 NS \# 2 c000
a 1 MX \# 4 0001c002
a 1 SVCB \# 15 0001 00 0003000201bb 000300020050
a 1 SVCB \# 13 0001 00 0003000201bb 00020000`}, `
z:1: \#: the length of the data is missing
z:2: \#: length "x" is not a number from 0 to 65535
z:3: \#: not hexadecimal: odd length hex string
z:4: \#: not hexadecimal: invalid byte: U+0078 'x'
z:5: \#: 1 bytes of data where the length says 2
z:6: \#: "ab" is not hexadecimal
z:7: A: the data end too early
z:8: A: the data have another length than the type
z:9: the record has no data
z:10: NS: too many compression pointers
z:11: MX: too many compression pointers
z:12: SVCB: the parameters are not in ascending order
z:13: SVCB: the parameters are not in ascending order`},
		{"data", files{"z": `a 1 A
a 1 A 2001:db8::1
a 1 A 192.0.2.256
a 1 A ::ffff:192.0.2.1
a 1 A 192.0.2.1 x
a 1 A "192.0.2.1"
a 1 AAAA 192.0.2.1
a 1 AAAA fe80::1%eth0
a 1 MX
a 1 MX mail
a 1 MX 65536 mail
a 1 MX 10
a 1 MX 10 a..b
a 1 MX 10 a b
a 1 NS "b"
a 1 SRV 1 2 x y
a 1 SRV 1 2 3
a 1 SOA a b 1 2 3 4
a 1 SOA a b x 2 3 4 5
a 1 TXT
a 1 HINFO pc
a 1 HINFO a b c
a 1 CAA 0 issue
a 1 CAA 0 is-sue x
a 1 CAA 256 issue x
a 1 DS 1 8 2 abcd
a 1 DS 1 8 2
a 1 DS 1 8 9 abc
a 1 DNSKEY 256 3 8 ?
a 1 RRSIG A 8 2 300 x 20200101000000 1 a AAAA
a 1 NAPTR 1 2 s
a 1 X25 x
a 1 GPOS 1 2 NaN
a 1 LOC 91 N 0 E 0m
a 1 LOC 90 0 0.001 N 0 E 0m
a 1 LOC 9 N 0 N 0m
a 1 LOC 9 N 0 E
a 1 LOC 9 N 0 E Inf
a 1 LOC 9 N 0 E 99999999m
a 1 APL 3:1.2.3.4/5
a 1 APL x
a 1 IPSECKEY 10 1 2 2001:db8::1 AAAA
a 1 EUI48 00-00
a 1 L64 10 1:2:3
a 1 NID 10 1:2:3:12345
a 1 NSEC b NOTYPE
a 1 UINFO a b`}, `
z:1: the record has no data
z:2: A: "2001:db8::1" is not an IPv4 address
z:3: A: "192.0.2.256" is not an IPv4 address
z:4: A: "::ffff:192.0.2.1" is not an IPv4 address
z:5: A: unexpected "x" after the data
z:6: A: "192.0.2.1": only text is written in quotes
z:7: AAAA: "192.0.2.1" is not an IPv6 address
z:8: AAAA: "fe80::1%eth0" is not an IPv6 address
z:9: the record has no data
z:10: MX: the data are incomplete: 1 of 2 items
z:11: MX: preference "65536" is not a number from 0 to 65535
z:12: MX: the data are incomplete: 1 of 2 items
z:13: MX: exchange "a..b": an empty label
z:14: MX: unexpected "b" after the data
z:15: NS: "b": only text is written in quotes
z:16: SRV: port "x" is not a number from 0 to 65535
z:17: SRV: the data are incomplete: 3 of 4 items
z:18: SOA: the data are incomplete: 6 of 7 items
z:19: SOA: bad zone parameter: "x"
z:20: the record has no data
z:21: HINFO: the data are incomplete: 1 of 2 items
z:22: HINFO: unexpected "c" after the data
z:23: CAA: the data are incomplete: 2 of 3 items
z:24: CAA: tag "is-sue" is not of letters and digits
z:25: CAA: flags "256" is not a number from 0 to 255
z:26: DS: digest type 2 has 32 bytes, and not 2
z:27: DS: the data are incomplete: 3 of 4 items
z:28: DS: not hexadecimal: odd length hex string
z:29: DNSKEY: not base64
z:30: RRSIG: "x" is not a time such as 20300131235959, nor seconds since 1970 up to 4294967295
z:31: NAPTR: the data are incomplete: 3 of 6 items
z:32: X25: address "x" is not of digits
z:33: GPOS: "NaN" is not a decimal number
z:34: LOC: a position beyond 90 degrees
z:35: LOC: a position beyond 90 degrees
z:36: LOC: not degrees, minutes, seconds and one of E and W
z:37: LOC: not an altitude and up to three sizes after the position
z:38: LOC: "Inf" is not metres
z:39: LOC: altitude 99999999m is not from -100000 to 42849672.95 metres
z:40: APL: "3:1.2.3.4/5" is not an address family of 1 or 2, a colon, an address, a slash and a prefix length
z:41: APL: "x" is not an address family of 1 or 2, a colon, an address, a slash and a prefix length
z:42: IPSECKEY: gateway "2001:db8::1" is not of the gateway's type
z:43: EUI48: bad address: "00-00"
z:44: L64: "1:2:3" is not four groups of hexadecimal digits
z:45: NID: "1:2:3:12345" is not four groups of hexadecimal digits
z:46: NSEC: no record type "NOTYPE"
z:47: UINFO: unexpected "b" after the data`},
		{"data that we read ourselves", files{"z": `a 1 WKS 192.0.2.1
a 1 WKS ::1 6 25
a 1 WKS 192.0.2.1 icmp 25
a 1 WKS 192.0.2.1 tcp smtp
a 1 WKS 192.0.2.1 tcp 65536
a 1 WKS \# 4 c0000201
a 1 DSYNC CDS NOTIFY 53
a 1 DSYNC JUNK NOTIFY 53 b
a 1 DSYNC CDS JUNK 53 b
a 1 DSYNC CDS NOTIFY 65567 b
a 1 DSYNC CDS NOTIFY 53 b..c
a 1 DSYNC \# 3 003b01
a 1 DSYNC \# 7 003b010035 0000
a 1 DSYNC \# 7 003b010035 c000
a 1 NSAP 4700
a 1 NSAP 0x470
a 1 NSAP 0x
a 1 HHIT ?
a 1 WALLET
a 1 WALLET a"b"
a 1 WALLET \# 2 0261
a 1 CAA 0 "issue" x
a 1 CAA 0 ` + strings.Repeat("a", 256) + ` x
a 1 CAA \# 3 000578
a 1 CAA \# 4 00012d78
a 1 CAA \# 3 00ff61
a 1 URI 1 65536 x
a 1 URI \# 3 000100
a 1 APL 1:192.0.2.0/33
a 1 APL 1:2001:db8::/32
a 1 APL 2:fe80::1%eth0/64
a 1 APL \# 5 0001 18 02 c0
a 1 APL \# 6 0001 18 02 c000
a 1 APL \# 5 0001 21 01 c0
a 1 APL \# 3 0001 21
a 1 DNSKEY 256 3 RSA AA==
a 1 DNSKEY 256 3 256 AA==
a 1 DNSKEY ZONE 3 8 AA==
a 1 DS 1 RSA 9 abcd
a 1 CERT X 0 0 AA==
a 1 CERT 65536 0 0 AA==
a 1 CERT IPIX 0 0 AA==
a 1 CERT PKIX 0 NONE AA==
a 1 RRSIG A 8 2 300 4294967296 0 1 . AA==
a 1 RRSIG A 8 2 300 20300230000000 0 1 . AA==
a 1 RRSIG A 8 2 300 19691231235959 0 1 . AA==
a 1 RRSIG A 8 2 300 0 210602070628160 1 . AA==
a 1 CDS 1 0 0 0
a 1 CDNSKEY 0 3 8 0
a 1 NSEC3 1 0 0 - CPNMU A
a 1 NSEC3 2 0 0 - CPNMU=== A
a 1 NSEC3 2 0 0 - C
a 1 NSEC3 1 256 0 - CPNMU A
a 1 NSEC3 \# 11 01000000 00 03 666f6f 0000
a 1 SSHFP 4 2 abcd
a 1 ZONEMD 1 1 9 abcd
a 1 ZONEMD 1 1 1 000102030405060708090a0b0c
a 1 IPSECKEY 0 4 0 .
a 1 AMTRELAY 0 0 4 .
a 1 DSYNC \# 262 003b010035` + strings.Repeat(" 3f"+strings.Repeat("61", 63), 4) + ` 00
a 1 SVCB 1 . key9=` + strings.Repeat("x", 65536)}, `
z:1: WKS: the data are incomplete: 1 of 2 items
z:2: WKS: "::1" is not an IPv4 address
z:3: WKS: protocol "icmp" is not tcp, udp or a number from 0 to 255
z:4: WKS: port "smtp" is not a number from 0 to 65535
z:5: WKS: port "65536" is not a number from 0 to 65535
z:6: WKS: the data end too early
z:7: DSYNC: the data are incomplete: 3 of 4 items
z:8: DSYNC: no record type "JUNK"
z:9: DSYNC: scheme "JUNK" is not NOTIFY or a number from 0 to 255
z:10: DSYNC: port "65567" is not a number from 0 to 65535
z:11: DSYNC: target "b..c": an empty label
z:12: DSYNC: the data end too early
z:13: DSYNC: the data have another length than the type
z:14: DSYNC: a name is compressed, or has a label longer than 63 bytes
z:15: NSAP: "4700" does not begin with 0x
z:16: NSAP: not hexadecimal: odd length hex string
z:17: NSAP: the data end too early
z:18: HHIT: not base64
z:19: the record has no data
z:20: WALLET: a " in the middle of "a\"b\"": put it all into quotes, or \ before the "
z:21: WALLET: the data end too early
z:22: CAA: "issue": only text is written in quotes
z:23: CAA: tag "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..." is longer than 255 bytes
z:24: CAA: the data end too early
z:25: CAA: tag "-" is not of letters and digits
z:26: CAA: the data end too early
z:27: URI: weight "65536" is not a number from 0 to 65535
z:28: URI: the data end too early
z:29: APL: prefix length "33" is not a number from 0 to 32
z:30: APL: "2001:db8::" is not an address of family 1
z:31: APL: "fe80::1%eth0" is not an address of family 2
z:32: APL: the data end too early
z:33: APL: an address ends with a zero byte (RFC 3123 section 4)
z:34: APL: an address or a prefix is longer than family 1 has them
z:35: APL: the data end too early
z:36: DNSKEY: algorithm "RSA" is not a number from 0 to 255 or a mnemonic such as RSASHA256
z:37: DNSKEY: algorithm "256" is not a number from 0 to 255 or a mnemonic such as RSASHA256
z:38: DNSKEY: flags "ZONE" is not a number from 0 to 65535
z:39: DS: algorithm "RSA" is not a number from 0 to 255 or a mnemonic such as RSASHA256
z:40: CERT: type "X" is not a number from 0 to 65535 or a mnemonic such as PKIX
z:41: CERT: type "65536" is not a number from 0 to 65535 or a mnemonic such as PKIX
z:42: CERT: type "IPIX" is not a number from 0 to 65535 or a mnemonic such as PKIX
z:43: CERT: algorithm "NONE" is not a number from 0 to 255 or a mnemonic such as RSASHA256
z:44: RRSIG: "4294967296" is not a time such as 20300131235959, nor seconds since 1970 up to 4294967295
z:45: RRSIG: "20300230000000" is not a time such as 20300131235959, nor seconds since 1970 up to 4294967295
z:46: RRSIG: "19691231235959" is not a time such as 20300131235959, nor seconds since 1970 up to 4294967295
z:47: RRSIG: "210602070628160" is not a time such as 20300131235959, nor seconds since 1970 up to 4294967295
z:48: CDS: not hexadecimal: odd length hex string
z:49: CDNSKEY: not base64
z:50: NSEC3: hash algorithm 1 has 20 bytes, and not 3
z:51: NSEC3: hash "CPNMU===" is not base32 without padding
z:52: NSEC3: hash "C" is not base32 without padding
z:53: NSEC3: flags "256" is not a number from 0 to 255
z:54: NSEC3: empty NSEC(3) block in type bitmap
z:55: SSHFP: fingerprint type 2 has 32 bytes, and not 2
z:56: ZONEMD: the digest is shorter than 12 bytes (RFC 8976 section 2.2.4)
z:57: ZONEMD: hash algorithm 1 has 48 bytes, and not 13
z:58: IPSECKEY: gateway type "4" is not a number from 0 to 3
z:59: AMTRELAY: gateway type "4" is not a number from 0 to 3
z:60: DSYNC: the name is longer than 255 bytes
z:61: SVCB: the data are longer than 65535 bytes`},
		{"strings", files{"z": "a 1 TXT " + strings.Repeat("x", 256) + "\na 1 TXT \"" + strings.Repeat(`\\120`, 256) + "\"\na 1 CAA 0 issue " + strings.Repeat("x", 65536-7) + "\na 1 TXT" + strings.Repeat(" "+strings.Repeat("x", 255), 256) + "\na 1 TXT" + strings.Repeat(" "+strings.Repeat("x", 255), 255) + "\n"}, `
z:1: TXT: a string is longer than 255 bytes: divide it into several
z:2: TXT: a string is longer than 255 bytes: divide it into several
z:3: CAA: the data are longer than 65535 bytes
z:4: TXT: the data are longer than 65535 bytes, or have a bad name`},
		{"parameters of SVCB", files{"z": `a 1 HTTPS 1
a 1 HTTPS x .
a 1 HTTPS 1 . port=1 port=2
a 1 HTTPS 1 . mandatory=alpn port=1
a 1 HTTPS 1 . mandatory=mandatory port=1
a 1 HTTPS 1 . mandatory=port,port port=1
a 1 HTTPS 1 . mandatory= port=1
a 1 HTTPS 1 . mandatory=foo port=1
a 1 HTTPS 1 . no-default-alpn
a 1 HTTPS 1 . alpn=
a 1 HTTPS 1 . alpn=,h2
a 1 HTTPS 1 . port=65536
a 1 HTTPS 1 . ipv4hint=
a 1 HTTPS 1 . ipv4hint=192.0.2.1,2001:db8::1
a 1 HTTPS 1 . ipv6hint=192.0.2.1
a 1 HTTPS 1 . ech=
a 1 HTTPS 1 . ech=?
a 1 HTTPS 1 . foo=1
a 1 HTTPS 1 . key3=1
a 1 HTTPS 1 . key65535=1
a 1 HTTPS 1 . key7777="a"key7778=b
a 1 HTTPS 1 . "port=1"
a 1 HTTPS 1 a..b
a 1 HTTPS 1 . ipv4hint=192.0.2.1,
a 1 HTTPS 1 . ipv4hint="192.0.2.1,"
a 1 HTTPS 1 . ipv4hint=,192.0.2.1
a 1 HTTPS 1 . ipv4hint=192.0.2.1,,192.0.2.2
a 1 HTTPS 1 . ipv4hint=\049.2.3.4
a 1 HTTPS 1 . ipv6hint=
a 1 HTTPS 1 . ipv6hint="2001:db8::1,"
a 1 HTTPS 1 . ipv6hint=fe80::1%eth0
a 1 HTTPS 1 . mandatory=port, port=1
a 1 HTTPS 1 . dohpath
a 1 HTTPS 1 . dohpath=
a 1 HTTPS 1 . dohpath=""
a 1 HTTPS 1 . dohpath=/dns-query
a 1 HTTPS 1 . dohpath=dns-query{?dns}
a 1 HTTPS 1 . dohpath=/q{?dnss,xdns}
a 1 HTTPS 1 . dohpath=/q{?dns
a 1 HTTPS 1 . dohpath=/\255{?dns}
a 1 HTTPS 1 . ohttp=x
a 1 HTTPS 1 . no-default-alpn=h2
a 1 HTTPS 1 . alpn=h2,
a 1 HTTPS 1 . alpn=h\\2
a 1 HTTPS 1 . alpn=` + strings.Repeat("x", 256) + `
a 1 HTTPS 1 . alpn="h2",h3
a 1 HTTPS 1 . alpn=h2,"h3"
a 1 HTTPS 1 . PORT=1
a 1 HTTPS 1 . key07=1
a 1 HTTPS 1 . "port"=1
a 1 HTTPS 1 . port
a 1 HTTPS \# 8 0001 00 0003 0002 01
a 1 HTTPS \# 5 0001 00 0003
a 1 HTTPS \# 4 0001 c000
a 1 HTTPS \# 2 0001
a 1 HTTPS \# 1 00
a 1 HTTPS \# 9 0001 00 ffff 0002 0101
a 1 HTTPS \# 8 0001 00 0000 0001 03
a 1 HTTPS \# 17 0001 00 0000 0004 0003 0001 0003 0002 0001
a 1 HTTPS \# 8 0001 00 0001 0001 00
a 1 HTTPS \# 9 0001 00 0001 0002 0268
a 1 HTTPS \# 8 0001 00 0004 0001 01
a 1 HTTPS \# 8 0001 00 0006 0001 01`}, `
z:1: HTTPS: the data are incomplete: 1 of 2 items
z:2: HTTPS: priority "x" is not a number from 0 to 65535
z:3: HTTPS: port is there twice
z:4: HTTPS: mandatory: lists alpn, which is absent
z:5: HTTPS: mandatory: lists itself
z:6: HTTPS: mandatory: lists port twice
z:7: HTTPS: mandatory: lists no key
z:8: HTTPS: mandatory: no parameter "foo"
z:9: HTTPS: no-default-alpn: alpn is absent
z:10: HTTPS: alpn: is empty
z:11: HTTPS: alpn: a protocol without a name
z:12: HTTPS: port: "65536" is not a number from 0 to 65535
z:13: HTTPS: ipv4hint: is empty
z:14: HTTPS: ipv4hint: "2001:db8::1" is not an IPv4 address
z:15: HTTPS: ipv6hint: "192.0.2.1" is not an IPv6 address
z:16: HTTPS: ech: is empty
z:17: HTTPS: ech: not base64
z:18: HTTPS: no parameter "foo"
z:19: HTTPS: port: has 2 bytes, and not 1
z:20: HTTPS: no parameter "key65535"
z:21: HTTPS: key7777: "key7778=b" stands behind the quotes: a space ends a parameter
z:22: HTTPS: "port=1": only text is written in quotes
z:23: HTTPS: target "a..b": an empty label
z:24: HTTPS: ipv4hint: an empty item in "192.0.2.1,"
z:25: HTTPS: ipv4hint: an empty item in "192.0.2.1,"
z:26: HTTPS: ipv4hint: an empty item in ",192.0.2.1"
z:27: HTTPS: ipv4hint: an empty item in "192.0.2.1,,192.0.2.2"
z:28: HTTPS: ipv4hint: takes no \
z:29: HTTPS: ipv6hint: is empty
z:30: HTTPS: ipv6hint: an empty item in "2001:db8::1,"
z:31: HTTPS: ipv6hint: "fe80::1%eth0" is not an IPv6 address
z:32: HTTPS: mandatory: an empty item in "port,"
z:33: HTTPS: dohpath: is empty
z:34: HTTPS: dohpath: is empty
z:35: HTTPS: dohpath: is empty
z:36: HTTPS: dohpath: without the variable dns, as in /dns-query{?dns} (RFC 9461 section 5)
z:37: HTTPS: dohpath: not a path that begins with /
z:38: HTTPS: dohpath: without the variable dns, as in /dns-query{?dns} (RFC 9461 section 5)
z:39: HTTPS: dohpath: a { without its }
z:40: HTTPS: dohpath: not UTF-8
z:41: HTTPS: ohttp: takes no value
z:42: HTTPS: no-default-alpn: takes no value
z:43: HTTPS: alpn: a protocol without a name
z:44: HTTPS: alpn: a \ in a list stands before a comma or another \ (RFC 9460 appendix A.1)
z:45: HTTPS: alpn: a protocol is longer than 255 bytes
z:46: HTTPS: alpn: ",h3" stands behind the quotes: a space ends a parameter
z:47: HTTPS: alpn: a " in the middle of the value: put it all into quotes, or \ before the "
z:48: HTTPS: no parameter "PORT"
z:49: HTTPS: no parameter "key07"
z:50: HTTPS: "port": only text is written in quotes
z:51: HTTPS: port: "" is not a number from 0 to 65535
z:52: HTTPS: the data end too early
z:53: HTTPS: the data end too early
z:54: HTTPS: a name is compressed, or has a label longer than 63 bytes
z:55: HTTPS: the data end too early
z:56: HTTPS: the data end too early
z:57: HTTPS: no parameter "key65535"
z:58: HTTPS: mandatory: not of keys of 2 bytes
z:59: HTTPS: mandatory: the keys are not in ascending order
z:60: HTTPS: alpn: a protocol without a name
z:61: HTTPS: alpn: the data end too early
z:62: HTTPS: ipv4hint: not of addresses of 4 bytes
z:63: HTTPS: ipv6hint: not of addresses of 16 bytes`},
		{"directives", files{"z": "$ORIGIN\n$ORIGIN a b\n$ORIGIN a..b\nx 1 A y\nx 1 A 192.0.2.1\n$ORIGIN ok.\n$TTL\n$TTL x\n$TTL 2147483648\n$TTL 1 2\n$FOO\n$\n$INCLUDE\n$INCLUDE a b c\n$INCLUDE none a..b\n$INCLUDE none\n$INCLUDE \"\"\n$ORIGIN \"\n"}, `
z:1: $ORIGIN: takes one name
z:2: $ORIGIN: takes one name
z:3: $ORIGIN: name "a..b": an empty label
z:4: A: "y" is not an IPv4 address
z:7: $TTL: takes one TTL
z:8: $TTL: "x" is not a TTL
z:9: $TTL: TTL 2147483648 is above 2147483647 (RFC 2181 section 8)
z:10: $TTL: takes one TTL
z:11: $FOO: unknown directive; there are $ORIGIN, $TTL, $INCLUDE and $GENERATE
z:12: $: unknown directive; there are $ORIGIN, $TTL, $INCLUDE and $GENERATE
z:13: $INCLUDE: takes the path of a file and, if wanted, an origin
z:14: $INCLUDE: takes the path of a file and, if wanted, an origin
z:15: $INCLUDE: name "a..b": an empty label
z:16: $INCLUDE: "none": file does not exist
z:17: $INCLUDE: takes the path of a file and, if wanted, an origin
z:18: syntax: " is not closed on its line`},
		{"$INCLUDE", files{
			"z": "$INCLUDE a\n\nw 1 A 1.2.3\n$INCLUDE d/none\n$INCLUDE z\n", "a": "x 1 A x\n$INCLUDE b\ny 1 A y\n",
			"b": " 1 A 192.0.2.1\n$INCLUDE a\nx 1 A z\n",
		}, `
z:3: A: "1.2.3" is not an IPv4 address
z:4: $INCLUDE: "d/none": file does not exist
z:5: $INCLUDE: "z" includes itself
a:1: A: "x" is not an IPv4 address
a:3: A: "y" is not an IPv4 address
b:2: $INCLUDE: "a" includes itself
b:3: A: "z" is not an IPv4 address`},
		{"depth", files{
			"z": "$INCLUDE 1", "1": "$INCLUDE 2", "2": "$INCLUDE 3", "3": "$INCLUDE 4", "4": "$INCLUDE 5", "5": "$INCLUDE 6",
			"6": "$INCLUDE 7", "7": "$INCLUDE 8", "8": "$INCLUDE 9", "9": "$INCLUDE 10", "10": "$INCLUDE 11", "11": "a 1 A x",
		}, `
10:1: $INCLUDE: "11" is more than 10 files deep`},
		{"$GENERATE", files{"z": `$GENERATE
$GENERATE 1-2 a A
$GENERATE 1 a A 192.0.2.$
$GENERATE x-2 a A 192.0.2.$
$GENERATE 1-2147483648 a A 192.0.2.$
$GENERATE 1-2/0 a A 192.0.2.$
$GENERATE 1-2/-1 a A 192.0.2.$
$GENERATE 2-1 a A 192.0.2.$
$GENERATE 0-65536 a A 192.0.2.1
$GENERATE 250-260 a A 192.0.2.$
$GENERATE 1-2 a..$ A 192.0.2.$
$GENERATE 1-2 a foo 192.0.2.$
$GENERATE 1-2 a A 192.0.2.${
$GENERATE 1-2 a A 192.0.2.${}
$GENERATE 1-2 a A 192.0.2.${1,2,y}
$GENERATE 1-2 a A 192.0.2.${1,256}
$GENERATE 1-2 a A 192.0.2.${1,2,d,e}
$GENERATE 1-2 a A 192.0.2.${-2}
$GENERATE 1-2 $$INCLUDE A z
$GENERATE 1-2 a MX "0 ("
$GENERATE 1-2 a TXT ${0,255} ` + strings.Repeat("${0,255}", 40)}, `
z:1: $GENERATE: takes a range, an owner, a type and data
z:2: $GENERATE: takes a range, an owner, a type and data
z:3: $GENERATE: "1" is not a range such as 1-10 or 0-100/10
z:4: $GENERATE: start "x" is not a number from 0 to 2147483647
z:5: $GENERATE: stop "2147483648" is not a number from 0 to 2147483647
z:6: $GENERATE: a step of 0
z:7: $GENERATE: step "-1" is not a number from 0 to 2147483647
z:8: $GENERATE: range 2-1 ends before it begins
z:9: $GENERATE: 65537 steps are more than 65536
z:10: $GENERATE: at 256: A: "192.0.2.256" is not an IPv4 address
z:11: $GENERATE: at 1: owner: name "a..1": an empty label
z:12: $GENERATE: at 1: "foo" is no TTL, class or type
z:13: $GENERATE: "${" has no }
z:14: $GENERATE: ${}: not an offset, a width up to 255 and a base of d, o, x, X, n or N
z:15: $GENERATE: ${1,2,y}: not an offset, a width up to 255 and a base of d, o, x, X, n or N
z:16: $GENERATE: ${1,256}: not an offset, a width up to 255 and a base of d, o, x, X, n or N
z:17: $GENERATE: ${1,2,d,e}: not an offset, a width up to 255 and a base of d, o, x, X, n or N
z:18: $GENERATE: ${-2}: below 0 at 1
z:19: $GENERATE: at 1: A: "z" is not an IPv4 address
z:20: $GENERATE: at 1: syntax: ( is not closed
z:21: $GENERATE: the text of a step is longer than 8192 bytes`},
		{"no more than a hundred", files{"z": strings.Repeat("x\n", 300)}, hundred + "z:100: and more: only the first 100 errors are shown"},
		{"no file", files{}, `
z: file does not exist`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, errs := c.in.show(t)
			if got := errs.Error(); got != strings.TrimPrefix(c.want, "\n") {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

// TestRecordsAfterErrors is what is still emitted: no record whose owner cannot
// be known.
func TestRecordsAfterErrors(t *testing.T) {
	in := files{
		"z": strings.Join([]string{
			"a 1 A 192.0.2.1",
			"b..c 1 A 192.0.2.2", // lost
			" 1 A 192.0.2.3",     // lost
			"d 1 A x",
			" 1 A 192.0.2.5",
			"e 1 TXT \"x",
			" 1 A 192.0.2.7",
			"f\\256 1 A 192.0.2.8", // lost
			" 1 A 192.0.2.9",       // lost
			"$ORIGIN x..y",
			"g 1 A 192.0.2.11",               // lost
			"$INCLUDE y",                     // lost
			"$INCLUDE y abs.",                // known
			"$GENERATE 1-1 h 1 A 192.0.2.14", // lost
			"$ORIGIN ok.",
			" 1 A 192.0.2.16", // lost with g
			"i 1 A 192.0.2.17",
			"$ORIGIN \"",
			"j 1 A 192.0.2.19", // lost
			"$ORIGIN ok.",
			"k..l 1 A 192.0.2.21", // lost
			"$INCLUDE x",          // lost, but for the second
		}, "\n"),
		"y": "y 1 A 192.0.2.20",
		"x": " 1 A 192.0.2.22\nm 1 A 192.0.2.23",
	}
	got, _, errs := in.show(t)
	want := []string{
		"z:1 a.example.org. 1 A 192.0.2.1",
		"z:5 d.example.org. 1 A 192.0.2.5",
		"z:7 e.example.org. 1 A 192.0.2.7",
		"y:1 y.abs. 1 A 192.0.2.20",
		"z:17 i.ok. 1 A 192.0.2.17",
		"x:2 m.ok. 1 A 192.0.2.23",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(errs) != 7 {
		t.Errorf("errors\n%v", errs)
	}
}

// benchZone is a zone of n records and two as large zones have them.
func benchZone(n int) []byte {
	var text bytes.Buffer
	text.WriteString("$TTL 300\n@ IN SOA ns1 hostmaster 1 7200 3600 1209600 300\n@ IN NS ns1\n")
	for i := range n {
		switch i % 10 {
		case 0, 1, 2, 3, 4:
			fmt.Fprintf(&text, "host%d 300 IN A 192.0.2.%d\n", i, i%256)
		case 5, 6:
			fmt.Fprintf(&text, "host%d IN AAAA 2001:db8::%x\n", i, i%65536)
		case 7:
			fmt.Fprintf(&text, "alias%d 60 CNAME host%d\n", i, i)
		case 8:
			fmt.Fprintf(&text, "host%d 300 IN MX 10 mail.host%d\n", i-8, i)
		case 9:
			fmt.Fprintf(&text, "host%d\t300\tIN\tTXT\t\"v=spf1 include:host%d.example.org -all\"\n", i-8, i)
		}
	}
	return text.Bytes()
}

// BenchmarkReadFile reads a zone of 100,000 records.
func BenchmarkReadFile(b *testing.B) {
	const n = 100_000
	text := benchZone(n)
	path := filepath.Join(b.TempDir(), "zone")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		got := 0
		if _, errs := ReadFile(path, Options{Origin: exampleOrg, TTL: 60}, func(*Record) { got++ }); errs != nil || got != n+2 {
			b.Fatalf("%d records, errors %v", got, errs)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}

// BenchmarkReadOthers reads records that miekg/dns parses.
func BenchmarkReadOthers(b *testing.B) {
	const n = 10_000
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "host%d 300 IN HINFO \"PC %d\" \"OS\"\n", i, i)
	}
	in := files{"z": text.String()}
	b.ReportAllocs()
	for b.Loop() {
		if _, errs := ReadFile("z", Options{Origin: exampleOrg, Open: in.open}, func(*Record) {}); errs != nil {
			b.Fatal(errs)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}

// BenchmarkReadOwn reads records that we parse ourselves, and that are not
// plain.
func BenchmarkReadOwn(b *testing.B) {
	const n = 10_000
	var text strings.Builder
	for i := range n / 2 {
		fmt.Fprintf(&text, "host%d 300 IN CAA 0 issue \"ca.example; account=%d\"\n", i, i)
		fmt.Fprintf(&text, "host%d 300 IN HTTPS 1 . alpn=h2,h3 port=%d ipv4hint=192.0.2.1\n", i, i)
	}
	in := files{"z": text.String()}
	b.ReportAllocs()
	for b.Loop() {
		if _, errs := ReadFile("z", Options{Origin: exampleOrg, Open: in.open}, func(*Record) {}); errs != nil {
			b.Fatal(errs)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}

// BenchmarkReadSigned reads signatures.
func BenchmarkReadSigned(b *testing.B) {
	const n = 10_000
	sig := strings.Repeat("QUJD", 21) + "QQ=="
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "host%d 300 IN RRSIG A 13 3 300 20300101000000 20200101000000 12345 example.org. %s\n", i, sig)
	}
	in := files{"z": text.String()}
	b.ReportAllocs()
	for b.Loop() {
		if _, errs := ReadFile("z", Options{Origin: exampleOrg, Open: in.open}, func(*Record) {}); errs != nil {
			b.Fatal(errs)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}
