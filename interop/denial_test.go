package interop

import (
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// What a signed zone says besides, to a client that sets DO: RFC 4035 section 3.1
// and, for NSEC3, RFC 5155 section 7.2. The records are all in the zone; these
// rules pick them.

// signatures are the RRSIG records of a set, if the client wants them (RFC 4035
// section 3.1.1).
func (o *oracle) signatures(z *authority, node string, covered uint16) []dns.RR {
	var all []dns.RR
	for _, rr := range z.at(node, dns.TypeRRSIG) {
		if o.do && rr.(*dns.RRSIG).TypeCovered == covered {
			all = append(all, rr)
		}
	}
	return all
}

// deny puts a record into the authority section, with its signature.
func (o *oracle) deny(z *authority, rr dns.RR) {
	if rr == nil {
		return
	}
	if slices.ContainsFunc(o.zones, func(other *authority) bool {
		return other != z && (within(other.origin, z.origin) || within(z.origin, other.origin))
	}) {
		o.rule("proof in a zone with another below or above it")
	}
	if slices.Contains(o.rules, "DNAME") {
		o.rule("proof after a DNAME")
	}
	h := rr.Header()
	o.authority = append(o.authority, rr)
	o.authority = append(o.authority, o.signatures(z, h.Name, h.Rrtype)...)
}

// proveNoData is RFC 4035 section 3.1.3.1 and, where the node is a wildcard,
// 3.1.3.4; RFC 5155 sections 7.2.3 to 7.2.5.
func (o *oracle) proveNoData(z *authority, node, qname string) {
	switch {
	case !o.do:
	case z.nsec3():
		if strings.HasPrefix(qname, "*.") {
			o.rule("no data at a wildcard, with NSEC3")
		}
		if m := z.matching(node); m != nil {
			o.deny(z, m)
		} else {
			// Section 7.2.4: opt-out; "the closest provable encloser proof".
			if node != qname {
				o.rule("no data at a wildcard that opt-out hides")
			}
			o.proveEncloser(z, node)
		}
	default:
		// An empty non-terminal has no NSEC record; the one that covers it says that
		// there is nothing at the name (and that something is below).
		for _, rr := range z.at(node, dns.TypeNSEC) {
			o.deny(z, rr)
			return
		}
		if node == qname || !o.bareNonTerminals {
			o.deny(z, z.covering(node))
		}
	}
}

// proveExpansion shows that a wildcard had to be used: RFC 4035 section 3.1.3.3,
// "the NSEC RR proving that the zone does not contain a closer match"; RFC 5155
// section 7.2.6, the next closer name, and with no data also the closest encloser
// (section 7.2.5).
func (o *oracle) proveExpansion(z *authority, encloser, qname string) {
	if strings.HasPrefix(qname, "*.") {
		o.rule("wildcard for a name that begins with *")
	}
	switch {
	case !o.do:
	case z.nsec3():
		star := "*." + encloser
		if len(z.at(star, o.qtype)) == 0 && (len(z.at(star, dns.TypeCNAME)) == 0 || o.qtype == dns.TypeCNAME || o.nsecStays && o.qtype == dns.TypeNSEC) {
			o.rule("no data at a wildcard, with NSEC3")
			o.deny(z, z.matching(encloser))
		}
		o.deny(z, z.coveringHash(oneLabelDown(encloser, qname)))
	default:
		o.deny(z, z.covering(qname))
	}
}

// proveNoName is RFC 4035 section 3.1.3.2: no such name, and no wildcard for it;
// RFC 5155 section 7.2.2.
func (o *oracle) proveNoName(z *authority, encloser, qname string) {
	switch {
	case !o.do:
	case z.nsec3():
		// The closest provable encloser stands for the closest encloser (section 1.3).
		provable := o.proveEncloser(z, qname)
		if provable != encloser {
			o.rule("no such name, with an encloser that opt-out hides")
		}
		o.deny(z, z.coveringHash("*."+provable))
	default:
		o.deny(z, z.covering(qname))
		o.deny(z, z.covering("*."+encloser))
	}
}

// proveEncloser is RFC 5155 section 7.2.1: a record that matches the closest
// encloser that has one, and one that covers the next closer name.
func (o *oracle) proveEncloser(z *authority, qname string) (encloser string) {
	for encloser = qname; z.matching(encloser) == nil; _, encloser, _ = strings.Cut(encloser, ".") {
		if encloser == z.origin {
			return encloser
		}
	}
	o.deny(z, z.matching(encloser))
	if encloser != qname {
		o.deny(z, z.coveringHash(oneLabelDown(encloser, qname)))
	}
	return encloser
}

// proveDelegation is RFC 4035 section 3.1.4: the DS set of a cut, or that there is
// none; RFC 5155 section 7.2.7.
func (o *oracle) proveDelegation(z *authority, cut string) {
	if ds := z.at(cut, dns.TypeDS); o.do && z.signed() && len(ds) > 0 {
		o.authority = append(o.authority, ds...)
		o.authority = append(o.authority, o.signatures(z, cut, dns.TypeDS)...)
		return
	}
	if z.signed() {
		o.proveNoData(z, cut, cut)
	}
}

func (z *authority) signed() bool { return len(z.at(z.origin, dns.TypeDNSKEY)) > 0 }

func (z *authority) nsec3() bool { return len(z.at(z.origin, dns.TypeNSEC3PARAM)) > 0 }

// hashed is whether a name is the owner of an NSEC3 record.
func (z *authority) hashed(name string) bool { return len(z.at(name, dns.TypeNSEC3)) > 0 }

// covering is the NSEC record between whose names a name falls, nil where there is
// none.
func (z *authority) covering(name string) dns.RR {
	for _, rr := range z.records {
		n, ok := rr.(*dns.NSEC)
		if !ok {
			continue
		}
		owner, next := dns.CanonicalName(n.Hdr.Name), dns.CanonicalName(n.NextDomain)
		if before(owner, name) && (before(name, next) || next == z.origin) {
			return rr
		}
	}
	return nil
}

// before is the canonical order of names (RFC 4034 section 6.1).
func before(a, b string) bool {
	x, y := dns.SplitDomainName(a), dns.SplitDomainName(b)
	slices.Reverse(x)
	slices.Reverse(y)
	return slices.Compare(x, y) < 0
}

// matching is the NSEC3 record of a name, coveringHash the one between whose
// hashes the name's falls; nil where there is none.
func (z *authority) matching(name string) dns.RR {
	return z.hash(name, func(hash, owner, _ string) bool { return hash == owner })
}

func (z *authority) coveringHash(name string) dns.RR {
	return z.hash(name, func(hash, owner, next string) bool {
		if owner < next {
			return owner < hash && hash < next
		}
		return owner < hash || hash < next // the last one, which leads to the first
	})
}

func (z *authority) hash(name string, is func(hash, owner, next string) bool) dns.RR {
	for _, rr := range z.records {
		if n, ok := rr.(*dns.NSEC3); ok {
			owner, _, _ := strings.Cut(n.Hdr.Name, ".")
			hash := dns.HashName(name, n.Hash, n.Iterations, n.Salt)
			if is(strings.ToUpper(hash), strings.ToUpper(owner), strings.ToUpper(n.NextDomain)) {
				return rr
			}
		}
	}
	return nil
}
