package dnswire_test

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/rhumb-dns/rhumb/dnswire"
)

func TestTypeMnemonics(t *testing.T) {
	for v := range 1 << 16 {
		want := dnswire.Type(v)
		for _, s := range []string{want.String(), strings.ToLower(want.String())} {
			if got, err := dnswire.ParseType(s); err != nil || got != want {
				t.Fatalf("ParseType(%q) = %d, %v; want %d", s, got, err, want)
			}
		}
	}
	for v, name := range dns.TypeToString {
		if v == dns.TypeNone || v == dns.TypeReserved {
			continue // names of miekg/dns's own
		}
		if got := dnswire.Type(v).String(); got != name {
			t.Errorf("type %d is %q, want %q", v, got, name)
		}
	}
	for s, want := range map[string]dnswire.Type{
		"a": dnswire.TypeA, "Https": dnswire.TypeHTTPS, "TYPE1": dnswire.TypeA, "type65280": 65280, "TYPE0": 0, "TYPE065": 65,
	} {
		if got, err := dnswire.ParseType(s); err != nil || got != want {
			t.Errorf("ParseType(%q) = %d, %v; want %d", s, got, err, want)
		}
	}
	if got := dnswire.Type(65280).String(); got != "TYPE65280" {
		t.Error(got)
	}
}

func TestTypeErrors(t *testing.T) {
	for _, s := range []string{"", "TYPE", "TYPE65536", "TYPE-1", "TYPE+1", "TYPE 1", "TYPE1x", "TYPE0x1", "AAAAA", "1", " A"} {
		got, err := dnswire.ParseType(s)
		if err == nil || !strings.Contains(err.Error(), "no record type") {
			t.Errorf("ParseType(%q) = %d, %v", s, got, err)
		}
	}
}

func TestClassAndRCodeMnemonics(t *testing.T) {
	for c, want := range map[dnswire.Class]string{
		dnswire.ClassIN: "IN", dnswire.ClassCH: "CH", 4: "HS", dnswire.ClassNONE: "NONE", dnswire.ClassANY: "ANY",
		0: "CLASS0", 2: "CLASS2", 65535: "CLASS65535",
	} {
		if c.String() != want {
			t.Errorf("class %d is %q, want %q", uint16(c), c, want)
		}
	}
	for rc, want := range map[dnswire.RCode]string{
		dnswire.NotAuth: "NOTAUTH", dnswire.BadVers: "BADVERS", 12: "RCODE12", 24: "RCODE24", 4095: "RCODE4095",
	} {
		if rc.String() != want {
			t.Errorf("rcode %d is %q, want %q", uint16(rc), rc, want)
		}
	}
	for rc, want := range dns.RcodeToString {
		if got := dnswire.RCode(rc).String(); got != want && rc != dns.RcodeBadSig {
			t.Errorf("rcode %d is %q, want %q", rc, got, want)
		}
	}
}
