package interop

import (
	"bytes"
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// seals are the ways to seal a zone.
var seals = []string{"nsec", "nsec3", "opt-out"}

// seal makes of a zone what a signed one is, but for the signatures, which are
// noise: a server does not look into them. It has an NSEC record for each name
// that is authoritative or a cut and owns records (RFC 4035 section 2.3), or an
// NSEC3 record for those and the empty non-terminals, but for what opt-out leaves
// out (RFC 5155 section 7.1).
func (z *authority) seal(way string) {
	apex := z.at(z.origin, dns.TypeSOA)[0].(*dns.SOA)
	ttl := min(apex.Hdr.Ttl, apex.Minttl)
	header := func(name string, t uint16, ttl uint32) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: t, Class: dns.ClassINET, Ttl: ttl}
	}
	noise := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x5a}, 64))
	z.records = append(z.records, &dns.DNSKEY{Hdr: header(z.origin, dns.TypeDNSKEY, 300), Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256, PublicKey: noise})
	param := &dns.NSEC3PARAM{Hdr: header(z.origin, dns.TypeNSEC3PARAM, 0), Hash: dns.SHA1}
	if way != "nsec" {
		z.records = append(z.records, param)
	}

	// types are those of each name, as far as they are the zone's to sign.
	types := map[string][]uint16{}
	cuts := map[string]bool{}
	for _, rr := range z.records {
		name, t := rr.Header().Name, rr.Header().Rrtype
		cut := name != z.origin && len(z.at(name, dns.TypeNS)) > 0
		if z.occluded(name) || cut && t != dns.TypeNS && t != dns.TypeDS {
			continue
		}
		cuts[name] = cut
		if !slices.Contains(types[name], t) {
			types[name] = append(types[name], t)
		}
	}
	sign := func(name string, t uint16, ttl uint32) {
		z.records = append(z.records, &dns.RRSIG{
			Hdr: header(name, dns.TypeRRSIG, ttl), TypeCovered: t, Algorithm: dns.ECDSAP256SHA256,
			Labels: uint8(dns.CountLabel(strings.TrimPrefix(name, "*."))), OrigTtl: ttl,
			Expiration: 2147483647, Inception: 1, KeyTag: 1, SignerName: z.origin, Signature: noise,
		})
	}
	for name, all := range types {
		for _, t := range all {
			if !cuts[name] || t == dns.TypeDS {
				sign(name, t, z.at(name, t)[0].Header().Ttl)
			}
		}
	}

	bits := func(name string, more ...uint16) []uint16 {
		b := append(slices.Clone(types[name]), more...)
		slices.Sort(b)
		return b
	}
	if way == "nsec" {
		names := slices.SortedFunc(maps.Keys(types), func(a, b string) int {
			if before(a, b) {
				return -1
			}
			return 1
		})
		for i, name := range names {
			z.records = append(z.records, &dns.NSEC{
				Hdr: header(name, dns.TypeNSEC, ttl), NextDomain: names[(i+1)%len(names)],
				TypeBitMap: bits(name, dns.TypeRRSIG, dns.TypeNSEC),
			})
			sign(name, dns.TypeNSEC, ttl)
		}
		return
	}
	hashes := map[string]string{}
	for name := range types {
		if way == "opt-out" && cuts[name] && !slices.Contains(types[name], dns.TypeDS) {
			continue
		}
		for ; ; _, name, _ = strings.Cut(name, ".") {
			hashes[strings.ToLower(dns.HashName(name, param.Hash, param.Iterations, param.Salt))] = name
			if name == z.origin {
				break
			}
		}
	}
	sorted := slices.Sorted(maps.Keys(hashes))
	for i, hash := range sorted {
		name := hashes[hash]
		b := bits(name)
		if len(b) > 0 && (!cuts[name] || slices.Contains(b, dns.TypeDS)) {
			b = bits(name, dns.TypeRRSIG)
		}
		n := &dns.NSEC3{
			Hdr: header(hash+"."+z.origin, dns.TypeNSEC3, ttl), Hash: param.Hash, HashLength: 20,
			NextDomain: strings.ToUpper(sorted[(i+1)%len(sorted)]), TypeBitMap: b,
		}
		if way == "opt-out" {
			n.Flags = 1
		}
		z.records = append(z.records, n)
		sign(n.Hdr.Name, dns.TypeNSEC3, ttl)
	}
}

// occluded is whether a name lies below a cut.
func (z *authority) occluded(name string) bool {
	for name != z.origin {
		_, name, _ = strings.Cut(name, ".")
		if name != z.origin && len(z.at(name, dns.TypeNS)) > 0 {
			return true
		}
	}
	return false
}
