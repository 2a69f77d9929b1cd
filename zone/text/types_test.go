package text

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/rhumb-dns/rhumb/dnswire"
)

// samples are data of every type that miekg/dns knows and that has a text form,
// as miekg/dns writes them; names are absolute.
var samples = map[string]string{
	"A":          "192.0.2.1",
	"AAAA":       "2001:db8::1",
	"AFSDB":      "1 afs.Example.",
	"AMTRELAY":   "10 0 3 amt.example.",
	"APL":        "1:192.0.2.0/24 !2:2001:db8::/32",
	"AVC":        `"app-name:x" "y"`,
	"CAA":        `0 issue "ca.example; a=b"`,
	"CDNSKEY":    "257 3 8 AwEAAbMkNw==",
	"CDS":        "12345 8 1 2bb183af5f22588179a53b0a98631fad1a292118",
	"CERT":       "PGP 0 0 AwEAAbMkNw==",
	"CNAME":      "Target.example.",
	"CSYNC":      "66 3 A NS AAAA",
	"DHCID":      "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=",
	"DLV":        "12345 8 1 2bb183af5f22588179a53b0a98631fad1a292118",
	"DNAME":      "other.example.",
	"DNSKEY":     "256 3 8 AwEAAbMkNw==",
	"DS":         "12345 8 2 d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a",
	"EID":        "abcdef01",
	"EUI48":      "00-00-5e-00-53-2a",
	"EUI64":      "00-00-5e-ef-10-00-00-2a",
	"GID":        "100",
	"GPOS":       "-32.6882 116.8652 10.0",
	"HINFO":      `"PC-Intel-700mhz" "Redhat Linux"`,
	"HIP":        "2 200100107b1a74df365639cc39f1d578 AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cIvM4p9+LrV4e19WzK00+CI6zBCQTdtWsuxKbWIy87UOoJTwkUs7lBu+Upr1gsNrut79ryra+bSRGQb1slImA8YVJyuIDsj7kwzG7jnERNqnWxZ48AWkskmdHaVDP4BcelrTI3rMXdXF5D rvs.example.",
	"HTTPS":      `1 . alpn="h2,h3" port="8443" ipv4hint="192.0.2.1" ech="AAAA" ipv6hint="2001:db8::1"`,
	"IPSECKEY":   "10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==",
	"ISDN":       `"150862028003217" "004"`,
	"KEY":        "256 3 8 AwEAAbMkNw==",
	"KX":         "10 kx.example.",
	"L32":        "10 10.1.2.0",
	"L64":        "10 2001:0db8:1140:1000",
	"LOC":        "42 21 28.764 N 71 00 51.617 W -44m 2000m 10000m 10m",
	"LP":         "10 l64.example.",
	"MB":         "mb.example.",
	"MD":         "md.example.",
	"MF":         "mf.example.",
	"MG":         "mg.example.",
	"MINFO":      "r.example. e.example.",
	"MR":         "mr.example.",
	"MX":         "10 Mail.example.",
	"NAPTR":      `100 50 "s" "z3950+I2L+I2C" "" _z3950._tcp.example.`,
	"NID":        "10 0014:4fff:ff20:ee64",
	"NIMLOC":     "32251030",
	"NINFO":      `"a" "b"`,
	"NS":         "ns.example.",
	"NSAP-PTR":   "nsap.example.",
	"NSEC":       "b.example. A MX RRSIG NSEC TYPE1234",
	"NSEC3":      "1 1 12 AABBCCDD 2VPTU5TIMAMQTTGL4LUU9KG21E0AOR3S A RRSIG",
	"NSEC3PARAM": "1 0 12 AABBCCDD",
	"NXT":        "b.example. A MX SIG NXT",
	"OPENPGPKEY": "AwEAAbMkNw==",
	"PTR":        "host.example.",
	"PX":         "10 m.example. x.example.",
	"RESINFO":    `"qnamemin" "exterr=15,16,17"`,
	"RKEY":       "0 3 8 AwEAAbMkNw==",
	"RP":         "mbox.example. txt.example.",
	"RRSIG":      "A 8 2 3600 20300101000000 20200101000000 12345 example. AwEAAbMkNw==",
	"RT":         "10 rt.example.",
	"SIG":        "A 8 2 3600 20300101000000 20200101000000 12345 example. AwEAAbMkNw==",
	"SMIMEA":     "3 1 1 d4b7d520",
	"SOA":        "ns.example. host.example. 2024010101 7200 3600 1209600 300",
	"SPF":        `"v=spf1 -all"`,
	"SRV":        "1 2 443 srv.example.",
	"SSHFP":      "4 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A",
	"SVCB":       `0 svc.example.`,
	"TA":         "12345 8 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
	"TALINK":     "a.example. b.example.",
	"TLSA":       "3 1 1 d4b7d520",
	"TXT":        `"a \" \\ b" "\200" ""`,
	"UID":        "100",
	"UINFO":      `"who"`,
	"URI":        `10 1 "https://example.com/a b"`,
	"X25":        "311061700956",
	"ZONEMD":     "2018031500 1 1 febe3d4ce2ec2ffa4ba99d46cd69d6d29711e55217057bee7eb1a7b641a47ba7fed2dd5b97ae499fafa4f22c6bd647de",
}

// withoutText are the types that miekg/dns knows and that have no text form.
var withoutText = []string{"NULL", "ANY", "NXNAME", "OPT", "TKEY", "TSIG"}

// TestEveryType is a record of every type: what we give is what miekg/dns
// reads back as the same text, in its own form and in that of RFC 3597.
func TestEveryType(t *testing.T) {
	known := map[string]bool{}
	for typ := range dns.TypeToRR {
		known[dns.TypeToString[typ]] = true
	}
	for _, name := range withoutText {
		delete(known, name)
	}
	for name, text := range samples {
		if !known[name] {
			t.Errorf("%s: a sample of no type", name)
		}
		delete(known, name)
		t.Run(name, func(t *testing.T) {
			line := "host.example. 300 IN " + name + " " + text
			rec := readOne(t, line)
			got := unpack(t, rec)
			want, err := dns.NewRR(line)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != want.String() {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if _, data, _ := strings.Cut(got.String(), "\tIN\t"+name+"\t"); !strings.EqualFold(data, text) {
				t.Errorf("got data %s\nwritten %s", data, text)
			}
			generic := new(dns.RFC3597)
			if err := generic.ToRFC3597(got); err != nil {
				t.Fatal(err)
			}
			again := readOne(t, strings.Replace(generic.String(), "CLASS1", "IN", 1))
			if !bytes.Equal(again.Data, rec.Data) || again.Type != rec.Type {
				t.Errorf("by RFC 3597: type %s data %x, and not %s %x", again.Type, again.Data, rec.Type, rec.Data)
			}
		})
	}
	for name := range known {
		t.Errorf("%s: no sample", name)
	}
}

// readOne reads one record, whose Data are its own.
func readOne(t *testing.T, line string) *Record {
	t.Helper()
	var got *Record
	err := ReadRecord(line, Options{Origin: "\x07example\x00", TTL: 60}, func(r *Record) {
		rec := *r
		rec.Data = bytes.Clone(r.Data)
		got = &rec
	})
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return got
}

// unpack has miekg/dns read a record.
func unpack(t testing.TB, r *Record) dns.RR {
	t.Helper()
	h := dns.RR_Header{
		Name: r.Owner.String(), Rrtype: uint16(r.Type), Class: dns.ClassINET,
		Ttl: r.TTL, Rdlength: uint16(len(r.Data)),
	}
	rr, n, err := dns.UnpackRRWithHeader(h, r.Data, 0)
	if err != nil && isNarrow(err) {
		return &dns.RFC3597{Hdr: h, Rdata: hex.EncodeToString(r.Data)}
	}
	if err != nil || n != len(r.Data) {
		t.Fatalf("%s %s %x: %v, %d bytes read", r.Owner, r.Type, r.Data, err, n)
	}
	return rr
}

// isNarrow is whether err is of data that are sound, and that miekg/dns does not
// take: an ipv6hint of an IPv4 address within IPv6, an APL of another family.
func isNarrow(err error) bool {
	s := err.Error()
	return strings.Contains(s, "bad svcbipv6hint: expected ipv6, got ipv4") || strings.Contains(s, "unrecognized APL address family")
}

func TestUnknownTypes(t *testing.T) {
	for _, c := range []struct {
		line string
		typ  dnswire.Type
		data string
	}{
		{`a TYPE65280 \# 3 ab cd ef`, 65280, "\xab\xcd\xef"},
		{`a type65280 \# 0`, 65280, ""},
		{`a TYPE1 \# 4 c0000201`, 1, "\xc0\x00\x02\x01"},
		{`a CLASS1 A \# 4 C0000201`, 1, "\xc0\x00\x02\x01"},
		{`a NULL \# 2 0102`, 10, "\x01\x02"},
		{`a NULL \# 0`, 10, ""},
		{`a APL`, 42, ""},
		{`a APL \# 0`, 42, ""},
		{`a A6 \# 1 80`, 38, "\x80"},
		{`a TXT \# 2 0178`, 16, "\x01x"},
		{`a CAA \# 308 00057469737375 ` + strings.Repeat("61", 301), 257, ""},
	} {
		if c.typ == dnswire.TypeCAA {
			c.data = "\x00\x05tissu" + strings.Repeat("a", 301)
		}
		if rec := readOne(t, c.line); rec.Type != c.typ || string(rec.Data) != c.data {
			t.Errorf("%s: type %d data %x", c.line, rec.Type, rec.Data)
		}
	}
}
