package app_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/api"
)

// at is what the node says of an address as soon as want says that it is so.
func (n *node) at(addr string, want func(*api.GeoLookup, *api.Geo) bool) {
	n.t.Helper()
	deadline := time.Now().Add(patience)
	var l *api.GeoLookup
	for time.Now().Before(deadline) {
		var err error
		if l, err = n.Engine().Locate(netip.MustParseAddr(addr)); err != nil {
			n.t.Fatal(err)
		}
		if want(l, n.Engine().Geo()) {
			return
		}
		runtime.Gosched()
	}
	n.t.Fatalf("%s is still %+v, by %+v\n%s", addr, l, n.Engine().Geo(), n.log)
}

// A database that is replaced is used without a reload; one that is damaged is
// not, and what was read before stays.
func TestDatabaseSwapped(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "places.mmdb")
	replace := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(file+".new", text, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join("..", "geo", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	asn, city := read("asn.mmdb"), read("city.mmdb")
	replace(asn)
	config := filepath.Join(dir, "rhumb.yaml")
	write(t, config, header+"geo: {databases: [places.mmdb], regions: {eu: {countries: [IE]}}}\n")
	n := start(t, config)
	n.at("192.0.2.1", func(l *api.GeoLookup, _ *api.Geo) bool { return l.Place.ASN == 64500 && l.Place.City == "" })

	replace(city)
	dublin := func(l *api.GeoLookup, _ *api.Geo) bool {
		return l.Place.City == "Dublin" && l.Place.Region == "eu" && l.Place.ASN == 0
	}
	n.at("192.0.2.1", dublin)

	replace(city[:len(city)/2])
	n.at("192.0.2.1", func(l *api.GeoLookup, g *api.Geo) bool { return g.Databases[0].Error != "" && dublin(l, g) })
	if !strings.Contains(n.log.String(), "geo database cannot be used, the one loaded before stays") {
		t.Errorf("the log does not say why\n%s", n.log)
	}

	client, err := api.New("http://"+n.AdminAddr().String(), api.Options{})
	if err != nil {
		t.Fatal(err)
	}
	warned := func() bool {
		st, err := client.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(st.Warnings, func(w string) bool {
			return strings.Contains(w, file+" cannot be used, the one loaded before stays: not a whole database")
		})
	}
	if !warned() {
		t.Error("the status does not warn of it")
	}

	replace(city)
	n.at("192.0.2.1", func(l *api.GeoLookup, g *api.Geo) bool { return g.Databases[0].Error == "" && dublin(l, g) })
	if warned() {
		t.Error("the status warns of a database that is good again")
	}
}

// Whatever happens to the file of a database while the node serves, the view
// before answers, and log, status and metrics say what is wrong.
func TestDatabaseDamaged(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "places.mmdb")
	b, err := os.ReadFile(filepath.Join("..", "geo", "testdata", "city.mmdb"))
	if err != nil {
		t.Fatal(err)
	}
	whole := string(b)
	renamed := func(text string) {
		write(t, file+".new", text)
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	renamed(whole)
	config := filepath.Join(dir, "rhumb.yaml")
	write(t, config, header+`
geo: {databases: [places.mmdb]}
pools:
  dublin: {place: {country: IE, city: Dublin}, endpoints: [192.0.2.10]}
  us: {place: {country: US}, endpoints: [198.51.100.10]}
zones:
  x.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [us, dublin], steer: [geofence: city, failover]}}}
`)
	n := start(t, config)
	answer := func() string {
		t.Helper()
		m := new(dns.Msg)
		m.SetQuestion("www.x.test.", dns.TypeA)
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_SUBNET{
			Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: netip.MustParseAddr("192.0.2.0").AsSlice(),
		})
		r, _, err := (&dns.Client{Timeout: patience}).Exchange(m, n.DNSAddrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		return addresses(r)
	}
	for _, c := range []struct {
		name string
		harm func()
		want string
	}{
		{"half of it renamed into place", func() { renamed(whole[:len(whole)/2]) }, "not a whole database"},
		{"half of it written in place", func() { write(t, file, whole[:len(whole)/2]) }, "not a whole database"},
		{"cut off", func() {
			if err := os.Truncate(file, int64(len(whole)/3)); err != nil {
				t.Fatal(err)
			}
		}, "not a whole database"},
		{"emptied", func() { write(t, file, "") }, "is empty"},
		{"a page of a proxy", func() { renamed("<html>403</html>") }, "not a whole database"},
		{"gone", func() {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}, "places.mmdb"},
	} {
		c.harm()
		n.at("192.0.2.1", func(l *api.GeoLookup, g *api.Geo) bool {
			if l.Place.City != "Dublin" {
				t.Fatalf("%s: the view is %+v", c.name, l)
			}
			return strings.Contains(g.Databases[0].Error, c.want)
		})
		if got := answer(); got != "192.0.2.10" {
			t.Errorf("%s: the answer is %s", c.name, got)
		}
		if text := n.metrics(t); !failing(text, "1") {
			t.Errorf("%s: no metric says so", c.name)
		}
		if !strings.Contains(n.log.String(), "geo database cannot be used, the one loaded before stays") {
			t.Errorf("%s: the log does not say so\n%s", c.name, n.log)
		}
		renamed(whole)
		n.at("192.0.2.1", func(_ *api.GeoLookup, g *api.Geo) bool { return g.Databases[0].Error == "" })
		if !failing(n.metrics(t), "0") {
			t.Errorf("%s: it is whole again, and the metric does not say so", c.name)
		}
	}
}

// failing is whether the metric of damaged databases has a value.
func failing(metrics, value string) bool {
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "rhumb_geo_database_failing{") {
			return strings.HasSuffix(line, " "+value+"\n")
		}
	}
	return false
}

// Whose client subnet is listened to is told by the source address. Who is not
// trusted is answered by it, and gets no option back (RFC 7871 section 7.3: the
// answer is for all of its clients).
func TestClientSubnetTrusted(t *testing.T) {
	const places = `
geo: {networks: {127.0.0.0/8: {country: US}, 192.0.2.0/25: {country: IE}, 192.0.2.128/25: {country: US}}}
pools:
  ie: {place: {country: IE}, endpoints: [192.0.2.10]}
  us: {place: {country: US}, endpoints: [198.51.100.10]}
zones:
  x.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [ie, us], steer: geo}}}
`
	for _, c := range []struct {
		ecs, subnet string
		want        string
		scope       int // -1: no option
	}{
		{"true", "192.0.2.0/26", "192.0.2.10", 25},
		{"true", "192.0.2.128/26", "198.51.100.10", 25},
		{"true", "", "198.51.100.10", -1},
		{"{trusted: [127.0.0.1/32]}", "192.0.2.0/26", "192.0.2.10", 25},
		{"{trusted: [127.0.0.2/32, \"2001:db8::/32\"]}", "192.0.2.0/26", "198.51.100.10", -1},
		{"false", "192.0.2.0/26", "198.51.100.10", -1},
	} {
		t.Run(c.ecs+" "+c.subnet, func(t *testing.T) {
			config := filepath.Join(t.TempDir(), "rhumb.yaml")
			write(t, config, strings.Replace(header, "dns: {", "dns: {ecs: "+c.ecs+", ", 1)+places)
			n := start(t, config)
			m := new(dns.Msg)
			m.SetQuestion("www.x.test.", dns.TypeA)
			m.SetEdns0(1232, false)
			if c.subnet != "" {
				p := netip.MustParsePrefix(c.subnet)
				m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_SUBNET{
					Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(p.Bits()), Address: p.Addr().AsSlice(),
				})
			}
			r, _, err := (&dns.Client{Timeout: patience}).Exchange(m, n.DNSAddrs()[0].String())
			if err != nil {
				t.Fatal(err)
			}
			scope := -1
			for _, o := range r.IsEdns0().Option {
				if s, ok := o.(*dns.EDNS0_SUBNET); ok {
					scope = int(s.SourceScope)
				}
			}
			if got := addresses(r); got != c.want || scope != c.scope {
				t.Errorf("%s with scope %d, want %s with %d", got, scope, c.want, c.scope)
			}
		})
	}
}
