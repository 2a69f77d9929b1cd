package table

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
)

// lay puts a set into a message whose question has the owner's name, behind
// some octets, and reads it with miekg/dns.
func lay(t *testing.T, r *RRSet, owner, zone dnswire.Name) []string {
	t.Helper()
	msg := []byte{0, 1, 0x84, 0, 0, 1, 0, byte(r.Count), 0, 0, 0, 0}
	msg = append(msg, owner...)
	msg = append(msg, 0, 1, 0, 1)
	before := len(msg)
	msg = r.Append(msg, dnswire.HeaderLen, dnswire.HeaderLen+len(owner)-len(zone))
	if len(msg) != before+r.Len() {
		t.Errorf("%d octets, said to be %d", len(msg)-before, r.Len())
	}
	var m dns.Msg
	if err := m.Unpack(msg); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, rr := range m.Answer {
		out = append(out, strings.Join(strings.Fields(rr.String()), " "))
	}
	return out
}

func TestStatics(t *testing.T) {
	z := parse(t, `
zones:
  gslb.example.com:
    nameservers:
      ns1: 192.0.2.53
      gslb.example.com.: ["2001:db8::1", 192.0.2.1]
      a.b.ns2: [198.51.100.53, "2001:db8::53", 198.51.100.54]
      ns3.example.com.: []
    soa: {mbox: dns.example.net., serial: 7, minimum: 5, ttl: 600}
`).Zones[0]
	tab, err := Compile(nil, bare(z))
	if err != nil {
		t.Fatal(err)
	}
	zone := z.Name
	statics := func(owner string) *Statics { return tab.Statics[tab.lookup(t, owner).Static] }
	apex := statics("gslb.example.com.")
	ns2 := statics("a.b.ns2.gslb.example.com.")
	const soa = "gslb.example.com. 600 IN SOA ns1.gslb.example.com. dns.example.net. 7 3600 600 604800 5"
	for _, c := range []struct {
		name  string
		set   *RRSet
		owner dnswire.Name
		want  []string
	}{
		{"SOA", apex.Set(dnswire.TypeSOA), zone, []string{soa}},
		{"SOA below the apex", apex.Set(dnswire.TypeSOA), name(t, "x.y.gslb.example.com."), []string{soa}},
		{"negative SOA", &tab.Zones[0].Negative, name(t, "x.gslb.example.com."), []string{strings.Replace(soa, " 600 IN", " 5 IN", 1)}},
		{"NS", apex.Set(dnswire.TypeNS), zone, []string{
			"gslb.example.com. 600 IN NS ns1.gslb.example.com.",
			"gslb.example.com. 600 IN NS gslb.example.com.",
			"gslb.example.com. 600 IN NS a.b.ns2.gslb.example.com.",
			"gslb.example.com. 600 IN NS ns3.example.com.",
		}},
		{"glue", &apex.Glue, zone, []string{
			"ns1.gslb.example.com. 600 IN A 192.0.2.53",
			"gslb.example.com. 600 IN AAAA 2001:db8::1",
			"gslb.example.com. 600 IN A 192.0.2.1",
			"a.b.ns2.gslb.example.com. 600 IN A 198.51.100.53",
			"a.b.ns2.gslb.example.com. 600 IN AAAA 2001:db8::53",
			"a.b.ns2.gslb.example.com. 600 IN A 198.51.100.54",
		}},
		{"apex A", apex.Set(dnswire.TypeA), zone, []string{"gslb.example.com. 600 IN A 192.0.2.1"}},
		{"apex AAAA", apex.Set(dnswire.TypeAAAA), zone, []string{"gslb.example.com. 600 IN AAAA 2001:db8::1"}},
		{"A", ns2.Set(dnswire.TypeA), name(t, "a.b.ns2.gslb.example.com."), []string{
			"a.b.ns2.gslb.example.com. 600 IN A 198.51.100.53",
			"a.b.ns2.gslb.example.com. 600 IN A 198.51.100.54",
		}},
		{"AAAA", ns2.Set(dnswire.TypeAAAA), name(t, "a.b.ns2.gslb.example.com."), []string{
			"a.b.ns2.gslb.example.com. 600 IN AAAA 2001:db8::53",
		}},
	} {
		if c.set == nil {
			t.Errorf("%s: not there", c.name)
			continue
		}
		if got := lay(t, c.set, c.owner, zone); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%s\nwant:\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
	if apex.Set(dnswire.TypeMX) != nil || statics("ns1.gslb.example.com.").Set(dnswire.TypeAAAA) != nil {
		t.Error("a set that nobody stated")
	}
	if tab.lookup(t, "ns3.example.com.") != nil {
		t.Error("a name outside of the zone is in the table")
	}
	// Every name in the data but the foreign ones is a pointer.
	if got, most := apex.Set(dnswire.TypeNS).Len(), 4*12+(4+2)+2+(2+2+4+2)+len("\x03ns3\x07example\x03com\x00"); got != most {
		t.Errorf("NS takes %d octets, want %d", got, most)
	}
}

// TestStaticRoot has the one zone whose name cannot be pointed to with profit.
func TestStaticRoot(t *testing.T) {
	tab, err := Compile(nil, bare(bareZone(dnswire.Root, spec.Nameserver{Name: "\x02ns\x00", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.53")}})))
	if err != nil {
		t.Fatal(err)
	}
	st := tab.Statics[tab.lookup(t, ".").Static]
	if got := lay(t, st.Set(dnswire.TypeNS), dnswire.Root, dnswire.Root); len(got) != 1 || got[0] != ". 3600 IN NS ns." {
		t.Errorf("NS %v", got)
	}
	if got := lay(t, &st.Glue, dnswire.Root, dnswire.Root); len(got) != 1 || got[0] != "ns. 3600 IN A 192.0.2.53" {
		t.Errorf("glue %v", got)
	}
}
