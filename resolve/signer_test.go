package resolve_test

import (
	"cmp"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/hosts"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// signed is a zone that has been signed with a fixed key.
type signed struct {
	name string
	key  *dns.DNSKEY
	rrs  []dns.RR
}

// denial is how a zone is to prove what is not there.
type denial struct {
	hashed     bool // by NSEC3
	optOut     bool
	iterations uint16
	salt       string
}

// zoneKey is the key of a zone: its name is the seed.
func zoneKey(zone string) (*dns.DNSKEY, ed25519.PrivateKey) {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, zone)
	private := ed25519.NewKeyFromSeed(seed)
	return &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 300},
		Flags: 257, Protocol: 3, Algorithm: dns.ED25519,
		PublicKey: base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey)),
	}, private
}

// canonical compares names by RFC 4034 section 6.1, slowly.
func canonical(a, b string) int {
	la, lb := dns.SplitDomainName(strings.ToLower(a)), dns.SplitDomainName(strings.ToLower(b))
	for i := 1; i <= min(len(la), len(lb)); i++ {
		if c := strings.Compare(la[len(la)-i], lb[len(lb)-i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(la), len(lb))
}

// parents are the names above a name up to and with the zone's own.
func parents(name, zone string) (up []string) {
	for name != zone {
		_, name, _ = strings.Cut(name, ".")
		up = append(up, name)
	}
	return up
}

// sign signs a zone of lines, which are SOA and the rest (RFC 4035 section 2).
// It knows of no escapes in names.
func sign(t testing.TB, zone string, how denial, lines ...string) *signed {
	t.Helper()
	key, private := zoneKey(zone)
	z := &signed{name: zone, key: key}
	sets := map[string]map[uint16][]dns.RR{}
	put := func(rr dns.RR) {
		h := rr.Header()
		if sets[h.Name] == nil {
			sets[h.Name] = map[uint16][]dns.RR{}
		}
		if !slices.ContainsFunc(sets[h.Name][h.Rrtype], func(o dns.RR) bool { return dns.IsDuplicate(o, rr) }) {
			sets[h.Name][h.Rrtype] = append(sets[h.Name][h.Rrtype], rr)
		}
	}
	put(key)
	for i, line := range lines {
		p := dns.NewZoneParser(strings.NewReader(line+"\n"), zone, "")
		p.SetDefaultTTL(300)
		rr, ok := p.Next()
		if !ok || p.Err() != nil {
			t.Fatalf("line %d: %s: %v", i, line, p.Err())
		}
		put(rr)
	}
	cut := func(n string) bool { return n != zone && sets[n][dns.TypeNS] != nil }
	hidden := func(n string) bool {
		return n != zone && slices.ContainsFunc(parents(n, zone), func(up string) bool { return cut(up) || sets[up][dns.TypeDNAME] != nil })
	}
	minimum := sets[zone][dns.TypeSOA][0].(*dns.SOA).Minttl
	header := func(n string, typ uint16) dns.RR_Header {
		return dns.RR_Header{Name: n, Rrtype: typ, Class: dns.ClassINET, Ttl: minimum}
	}
	if how.hashed {
		put(&dns.NSEC3PARAM{Hdr: header(zone, dns.TypeNSEC3PARAM), Hash: dns.SHA1, Iterations: how.iterations, SaltLength: uint8(len(how.salt) / 2), Salt: how.salt})
	}

	// The types that each name of the zone has in its bitmap.
	bitmaps := map[string][]uint16{}
	for n, types := range sets {
		if hidden(n) {
			continue
		}
		insecure := cut(n) && types[dns.TypeDS] == nil
		if insecure && how.optOut {
			continue
		}
		bits := []uint16{}
		for typ := range types {
			if !cut(n) || typ == dns.TypeNS || typ == dns.TypeDS {
				bits = append(bits, typ)
			}
		}
		if !how.hashed {
			bits = append(bits, dns.TypeNSEC)
		}
		if !insecure || !how.hashed {
			bits = append(bits, dns.TypeRRSIG)
		}
		bitmaps[n] = bits
		if how.hashed && n != zone {
			for _, up := range parents(n, zone) {
				if sets[up] == nil && bitmaps[up] == nil {
					bitmaps[up] = []uint16{} // an empty non-terminal
				}
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(bitmaps), canonical)
	if how.hashed {
		hash := map[string]string{}
		for _, n := range names {
			hash[n] = strings.ToLower(dns.HashName(n, dns.SHA1, how.iterations, how.salt))
		}
		slices.SortFunc(names, func(a, b string) int { return strings.Compare(hash[a], hash[b]) })
		for i, n := range names {
			slices.Sort(bitmaps[n])
			rr := &dns.NSEC3{
				Hdr: header(hash[n]+"."+zone, dns.TypeNSEC3), Hash: dns.SHA1, Iterations: how.iterations, SaltLength: uint8(len(how.salt) / 2), Salt: how.salt,
				HashLength: 20, NextDomain: strings.ToUpper(hash[names[(i+1)%len(names)]]), TypeBitMap: bitmaps[n],
			}
			if how.optOut {
				rr.Flags = 1
			}
			put(rr)
		}
	} else {
		for i, n := range names {
			slices.Sort(bitmaps[n])
			put(&dns.NSEC{Hdr: header(n, dns.TypeNSEC), NextDomain: names[(i+1)%len(names)], TypeBitMap: bitmaps[n]})
		}
	}

	for _, n := range slices.Sorted(maps.Keys(sets)) {
		for _, typ := range slices.Sorted(maps.Keys(sets[n])) {
			set := sets[n][typ]
			z.rrs = append(z.rrs, set...)
			if hidden(n) || cut(n) && typ != dns.TypeDS && typ != dns.TypeNSEC {
				continue
			}
			sig := &dns.RRSIG{
				Hdr: dns.RR_Header{Name: n, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: set[0].Header().Ttl}, Algorithm: key.Algorithm,
				Inception: 1_500_000_000, Expiration: 2_000_000_000, KeyTag: key.KeyTag(), SignerName: zone,
			}
			if err := sig.Sign(private, set); err != nil {
				t.Fatalf("%s %s: %v", n, dns.TypeToString[typ], err)
			}
			z.rrs = append(z.rrs, sig)
		}
	}
	return z
}

// text is the zone as a file.
func (z *signed) text() string {
	var b strings.Builder
	for _, rr := range z.rrs {
		fmt.Fprintln(&b, rr)
	}
	return b.String()
}

// serve makes a snapshot of signed zones and a configuration, of which "zones"
// is the last key if it has that at all. Host names have one address each.
func serve(t testing.TB, config string, zones ...*signed) *resolve.Snapshot {
	t.Helper()
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString(config)
	if !strings.Contains(config, "\nzones:\n") {
		b.WriteString("\nzones:\n")
	}
	for _, z := range zones {
		file := filepath.Join(dir, z.name+"zone")
		if err := os.WriteFile(file, []byte(z.text()), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "  %q: {file: %q}\n", strings.TrimSuffix(z.name, "."), file)
	}
	path := filepath.Join(dir, "rhumb.yaml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _, err := spec.Load(path, spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tab, err := table.Compile(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	details := make([]hosts.Detail, len(tab.Hosts))
	for i, n := range tab.Hosts {
		details[i] = hosts.Detail{
			Name: n,
			V4:   hosts.Records{Addrs: []netip.Addr{netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})}, TTL: 10 * time.Second},
			V6:   hosts.Records{TTL: 10 * time.Second},
		}
	}
	return &resolve.Snapshot{Table: tab, Health: health.Fixed(len(tab.Targets), nil), Hosts: hosts.Fixed(details...)}
}
