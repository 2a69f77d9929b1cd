package spec

import (
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
)

var dnsKind = &checkKind{
	types: []CheckType{CheckDNS}, section: &dnsCheckSection,
	ports:  map[CheckType]uint16{CheckDNS: 53},
	decode: (*decoder).dnsCheck,
}

var dnsCheckSection = section{
	title: "checks: dns",
	intro: "The endpoint is a name server, and answers one question as it should.",
	example: `checks:
  resolver: {type: dns, name: www.example.com, expect: '^192\.0\.2\.'}
  primary: {type: dns, name: example.com, record: SOA, proto: tcp}
`,
	fields: []field{
		{name: "port", typ: "integer", def: "53", lo: 1, hi: 65535, doc: "Where the endpoint listens."},
		{name: "name", typ: "name", need: true, doc: "What is asked about, as a whole name, with or without the final dot."},
		{name: "record", typ: "type of records", def: "A", doc: "Which type of records is asked for, such as `AAAA` or `TYPE65`."},
		{name: "proto", typ: "word", def: "udp", words: []string{"udp", "tcp"}, doc: "How it is asked. Over UDP a query that stays without an answer is sent three times within the timeout, and a truncated answer is asked for again over TCP."},
		{name: "rcode", typ: "word", def: "NOERROR", words: dnsRcodes(), doc: "The code of the answer."},
		{name: "expect", typ: "regular expression", prose: "any answer, also without records", doc: "Must be found in the data of at least one record of the type, as a zone file has it: `^192\\.0\\.2\\.1$` for an address, `^10 mail\\.example\\.com\\.$` for MX, quotes around the strings of TXT."},
	},
}

// DNSCheck is what a dns check asks.
type DNSCheck struct {
	Name   string // with its final dot
	Record uint16
	TCP    bool
	RCode  uint16
	Expect string // regular expression; "": nothing
}

// lastRCode is the last code that an answer to a query may have.
const lastRCode = 9

// dnsRcodes are the names of response codes, in the order of their numbers.
func dnsRcodes() []string {
	var out []string
	for c := range dnswire.RCode(lastRCode + 1) {
		out = append(out, c.String())
	}
	return out
}

func (d *decoder) dnsCheck(c *Check, o *object) {
	a := &DNSCheck{TCP: o.word("proto") == "tcp", Expect: o.expression("expect")}
	c.Ask = a
	a.RCode = uint16(max(0, slices.Index(dnsRcodes(), o.word("rcode"))))
	if e := o.get("name"); e != nil {
		p := o.path.dot("name")
		if s, ok := d.text(e.val(), p); ok {
			if _, err := dnswire.ParseName(s); err != nil || s == "" {
				d.fail(e.val(), p, "%q is not a domain name", s)
			} else {
				a.Name = strings.TrimSuffix(s, ".") + "."
			}
		}
	}
	t, err := dnswire.ParseType(o.text("record"))
	switch e := o.get("record"); {
	case err != nil:
		d.fail(e.val(), o.path.dot("record"), "%q is not a type of records, such as A or TYPE65", o.text("record"))
	case slices.Contains([]string{"OPT", "NXNAME", "TKEY", "TSIG", "IXFR", "AXFR", "MAILA", "MAILB", "TYPE0"}, t.String()):
		d.fail(e.val(), o.path.dot("record"), "%s is not a type of records that one can ask a name for", t)
	default:
		a.Record = uint16(t)
	}
}
