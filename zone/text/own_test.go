package text

import (
	"encoding/hex"
	"strconv"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// ownSamples are data of the types that we read ourselves, and of others in
// forms that miekg/dns does not know, with their wire form in hexadecimal;
// names are relative to example.
var ownSamples = []struct{ text, wire string }{
	{"WKS 192.0.2.1 tcp 25 80", "c0000201 06 00000040 00000000 0000 80"},
	{"WKS 192.0.2.1 UDP 0 7 8", "c0000201 11 8180"},
	{"WKS 192.0.2.1 132", "c0000201 84"},
	{"WKS 192.0.2.1 6 65535", "c0000201 06" + strings.Repeat("00", 8191) + "01"},
	{"NSAP 0x47.0005.80.005a00.0000.0001.e133.ffffff000161.00", "47000580005a0000000001e133ffffff00016100"},
	{"NSAP 0X47000580005A00", "47000580005a00"},
	{"APL 1:192.0.2.0/24 !2:2001:db8::/32", "0001 18 03 c00002 0002 20 84 20010db8"},
	{"APL 1:255.255.255.255/30", "0001 1e 04 ffffffff"},
	{"APL 2:FFFF:FFFF:FFFF::/2", "0002 02 06 ffffffffffff"},
	{"APL 1:0.0.0.0/0 !1:0.0.0.0/0", "00010000 00010080"},
	{`APL \# 6 00030802abcd`, "0003 08 02 abcd"},
	{"DSYNC CDS NOTIFY 53 *._dsync.example.", "003b 01 0035 012a065f6473796e63076578616d706c6500"},
	{"DSYNC TYPE62 notify 5360 .", "003e 01 14f0 00"},
	{"dsync type59 255 0 Sub", "003b ff 0000 03537562076578616d706c6500"},
	{"HHIT AA==", "00"},
	{"BRID gwp Z Jg==", "830a5926"},
	{`WALLET "" test1 "\255 \"" `, "00 057465737431 03ff2022"},
	{"URI 10 1 ftp://a", "000a0001 6674703a2f2f61"},
	{"URI 10 1 " + strings.Repeat("x", 256), "000a0001" + strings.Repeat("78", 256)},
	{`URI 10 1 "` + strings.Repeat(`\120`, 300) + `"`, "000a0001" + strings.Repeat("78", 300)},
	{`CAA 128 issue "a;\" \\\001"`, "80 05 6973737565 613b22205c01"},
	{`CAA 0 a ""`, "00 01 61"},
	{"CAA 0 issue " + strings.Repeat("x", 256), "0005" + "6973737565" + strings.Repeat("78", 256)},
	{"CAA 0 " + strings.Repeat("a", 255) + " x", "00ff" + strings.Repeat("61", 255) + "78"},

	// Mnemonics and times (RFC 4034 sections 2.2 and 3.2, RFC 4398 section 2.1).
	{"DNSKEY 256 3 RSASHA1 AA==", "0100 03 05 00"},
	{"DNSKEY 256 3 ecdsap256sha256 AA==", "0100 03 0d 00"},
	{"CDNSKEY 257 3 Ed25519 AA==", "0101 03 0f 00"},
	{"KEY 256 3 ED448 AA==", "0100 03 10 00"},
	{"KEY 49152 3 NSEC3RSASHA1", "c000 03 07"},
	{"RKEY 0 3 RSASHA512 AA==", "0000 03 0a 00"},
	{"DS 1 RSASHA256 9 abcd", "0001 08 09 abcd"},
	{"DS 1 rsasha1-nsec3-sha1 9 ab cd", "0001 07 09 abcd"},
	{"CDS 1 EcdsaP384sha384 9 abcd", "0001 0e 09 abcd"},
	{"DLV 1 privateoid 9 abcd", "0001 fe 09 abcd"},
	{"TA 1 ecc-gost12 9 abcd", "0001 17 09 abcd"},
	{"CERT IPKIX 0 0 AA==", "0004 0000 00 00"},
	{"CERT ispki 1 rsamd5 AA==", "0005 0001 01 00"},
	{"CERT Oid 1 DH AA==", "00fe 0001 02 00"},
	{"CERT URI 1 DSA-NSEC3-SHA1 AA==", "00fd 0001 06 00"},
	{"CERT IPGP 1 254 AA==", "0006 0001 fe 00"},
	{"RRSIG A rsasha1 2 1 21220222132804 20220222132804 1 . AA==", "0001 05 02 00000001 1e2ca6e4 6214e4e4 0001 00 00"},
	{"RRSIG A ECC-GOST 2 1 21060207062815 21060207062816 1 . AA==", "0001 0c 02 00000001 ffffffff 00000000 0001 00 00"},
	{"RRSIG A 8 2 1 99991231235959 19700101000000 1 . AA==", "0001 08 02 00000001 fff4417f 00000000 0001 00 00"},
	{"RRSIG TYPE1 8 2 1 4294967295 0 1 . AA==", "0001 08 02 00000001 ffffffff 00000000 0001 00 00"},
	{"SIG A dsa 2 1 2000000000 22251231235959 1 . AA==", "0001 03 02 00000001 77359400 e1853cff 0001 00 00"},
	{"CDS 0 0 0 0", "0000 00 00 00"},
	{"CDNSKEY 0 3 0 0", "0000 03 00 00"},

	{"NSEC3 2 0 0 - CPNMU A", "02 00 0000 00 03 666f6f 0001 40"},
	{"NSEC3 2 0 0 ab CPNMUOJ1", "02 00 0000 01ab 05 666f6f6261"},

	// RFC 9460 appendix D, and both forms of every value.
	{"HTTPS 0 foo.example.com.", "0000 03666f6f076578616d706c6503636f6d00"},
	{"SVCB 1 .", "0001 00"},
	{"SVCB 16 . port=53", "0010 00 0003 0002 0035"},
	{"SVCB 1 . key667=hello", "0001 00 029b 0005 68656c6c6f"},
	{`SVCB 1 . key667="hello\210qoo"`, "0001 00 029b 0009 68656c6c6fd2716f6f"},
	{`SVCB 1 . ipv6hint="2001:db8::1,2001:db8::53:1"`, "0001 00 0006 0020 20010db8000000000000000000000001 20010db8000000000000000000530001"},
	{`SVCB 1 . ipv6hint="::ffff:198.51.100.100"`, "0001 00 0006 0010 00000000000000000000ffffc6336464"},
	{"SVCB 1 . ipv6hint=2001:db8:122:344::192.0.2.33", "0001 00 0006 0010 20010db80122034400000000c0000221"},
	{"SVCB 16 foo (alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1)", "0010 03666f6f076578616d706c6500 0000 0004 0001 0004 0001 0009 026832 0568332d3139 0004 0004 c0000201"},
	{`SVCB 16 . alpn="f\\\\oo\\,bar,h2"`, "0010 00 0001 000c 08665c6f6f2c626172 026832"},
	{`SVCB 16 . alpn=f\\\092oo\092,bar,h2`, "0010 00 0001 000c 08665c6f6f2c626172 026832"},
	{`SVCB 1 . ipv4hint="192.0.2.1,192.0.2.2"`, "0001 00 0004 0008 c0000201 c0000202"},
	{`SVCB 1 . mandatory="port" port="443" ech="AAEC"`, "0001 00 0000 0002 0003 0003 0002 01bb 0005 0003 000102"},
	{"SVCB 1 . dohpath=/dns-query{?dns}", "0001 00 0007 0010 2f646e732d71756572797b3f646e737d"},
	{`SVCB 1 . dohpath="/{x}{&a,dns*}"`, "0001 00 0007 000d 2f7b787d7b26612c646e732a7d"},
	{`SVCB 1 . no-default-alpn="" alpn=h2 ohttp`, "0001 00 0001 0003 026832 0002 0000 0008 0000"},
	{`SVCB 1 . key3=\001\187 key8 mandatory=key3`, "0001 00 0000 0002 0003 0003 0002 01bb 0008 0000"},
	{`SVCB 1 . key65534=a=\"b key9`, "0001 00 0009 0000 fffe 0004 613d2262"},
}

// TestOwnTypes reads data in the form of their type, and again in that of RFC
// 3597.
func TestOwnTypes(t *testing.T) {
	read := map[dnswire.Type]bool{}
	for _, c := range ownSamples {
		want, err := hex.DecodeString(strings.ReplaceAll(c.wire, " ", ""))
		if err != nil {
			t.Fatalf("%.80s: %v", c.text, err)
		}
		rec := readOne(t, "a.example. "+c.text)
		if string(rec.Data) != string(want) {
			t.Errorf("%.80s\ngot  %x\nwant %x", c.text, rec.Data, want)
		}
		read[rec.Type] = true
		typ, _, _ := strings.Cut(c.text, " ")
		again := readOne(t, "a.example. "+typ+` \# `+genericData(want))
		if string(again.Data) != string(want) || again.Type != rec.Type {
			t.Errorf("%.80s by RFC 3597: %s %x", c.text, again.Type, again.Data)
		}
	}
	for typ := range ownTypes {
		if !read[typ] {
			t.Errorf("%s: no sample", typ)
		}
	}
}

// genericData is data behind the \# of RFC 3597, where a length of 0 has none.
func genericData(data []byte) string {
	return strings.TrimSpace(strconv.Itoa(len(data)) + " " + hex.EncodeToString(data))
}
