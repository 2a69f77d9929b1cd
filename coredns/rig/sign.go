package rig

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/miekg/dns"
)

// Key makes a key of a zone, for CoreDNS's plugin dnssec, and writes it to files of this
// name with .key and .private. Signed is whether an answer has records, with a signature
// by it that holds.
func Key(t *testing.T, zone string) (file string, signed func(*dns.Msg) bool) {
	t.Helper()
	key := &dns.DNSKEY{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 60}, Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256}
	private, err := key.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "K"+zone+"+013+00001")
	for ext, text := range map[string]string{".key": key.String() + "\n", ".private": key.PrivateKeyString(private)} {
		if err := os.WriteFile(file+ext, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file, func(m *dns.Msg) bool {
		var set []dns.RR
		var sig *dns.RRSIG
		for _, rr := range m.Answer {
			if s, ok := rr.(*dns.RRSIG); ok {
				sig = s
			} else {
				set = append(set, rr)
			}
		}
		return len(set) > 0 && sig != nil && sig.Verify(key, set) == nil
	}
}
