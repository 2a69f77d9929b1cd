package spec_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
)

func TestFedZone(t *testing.T) {
	for _, c := range []struct {
		name    string
		servers []spec.Nameserver
		want    string
	}{
		{"gslb.test", nil, `gslb.test. 300 NS ["\x02ns\x03dns\x04gslb\x04test\x00"]
gslb.test. 300 SOA ["\x02ns\x03dns\x04gslb\x04test\x00\nhostmaster\x04gslb\x04test\x00` +
			`\x00\x00\x00\t\x00\x00\x1c \x00\x00\a\b\x00\x01Q\x80\x00\x00\x00\x1e"]
`},
		{"gslb.test", []spec.Nameserver{{Name: "\x01a\x04gslb\x04test\x00", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}}}, `gslb.test. 300 NS ["\x01a\x04gslb\x04test\x00"]
gslb.test. 300 SOA ["\x01a\x04gslb\x04test\x00\nhostmaster\x04gslb\x04test\x00` +
			`\x00\x00\x00\t\x00\x00\x1c \x00\x00\a\b\x00\x01Q\x80\x00\x00\x00\x1e"]
a.gslb.test. 300 A ["\xc0\x00\x02\x01"]
a.gslb.test. 300 AAAA [" \x01\r\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"]
`},
		{
			"gslb.test",
			[]spec.Nameserver{{Name: "\x01a\x04test\x00", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}},
			"zone gslb.test.: a.test. is outside of the zone gslb.test.",
		},
		{strings.Repeat("abcdefghi.", 24) + "com", nil, "zone " + strings.Repeat("abcdefghi.", 24) + "com.: the name is too long to have hostmaster below it"},
	} {
		name, err := dnswire.ParseName(c.name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := spec.FedZone(name, c.servers, 9)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			if !z.Fed || !z.Waits() || z.Records() != z.Data {
				t.Errorf("%s: %+v", c.name, z)
			}
			z.Data.All(func(owner dnswire.Name, typ dnswire.Type, ttl uint32, data [][]byte) bool {
				got += fmt.Sprintf("%s %d %s %q\n", owner, ttl, typ, data)
				return true
			})
		}
		if got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}
