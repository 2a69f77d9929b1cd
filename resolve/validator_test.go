package resolve_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// validator judges answers as a resolver does that trusts the keys of our zones.
// It knows nothing of the zones besides.
type validator struct {
	keys map[string]*dns.DNSKEY
	// verified are the signatures that hold, by their text and what they are of.
	verified map[string]bool
	// paths are the proofs that were followed, and how often.
	paths map[string]int
}

func newValidator(zones ...*signed) *validator {
	v := &validator{keys: map[string]*dns.DNSKEY{}, verified: map[string]bool{}, paths: map[string]int{}}
	for _, z := range zones {
		v.keys[z.name] = z.key
	}
	return v
}

// rrset is a record set of a message and its signature.
type rrset struct {
	name string
	typ  uint16
	rrs  []dns.RR
	sig  *dns.RRSIG
}

func grouped(section []dns.RR) (sets []*rrset) {
	find := func(name string, typ uint16) *rrset {
		for _, s := range sets {
			if s.name == name && s.typ == typ {
				return s
			}
		}
		sets = append(sets, &rrset{name: name, typ: typ})
		return sets[len(sets)-1]
	}
	for _, rr := range section {
		name := strings.ToLower(rr.Header().Name)
		if sig, ok := rr.(*dns.RRSIG); ok {
			find(name, sig.TypeCovered).sig = sig
		} else {
			s := find(name, rr.Header().Rrtype)
			s.rrs = append(s.rrs, rr)
		}
	}
	return sets
}

func within(name, top string) bool { return dns.IsSubDomain(top, name) }

// zoneOf is the closest zone with a key around a name; for its own name, of DS,
// the one above.
func (v *validator) zoneOf(name string, typ uint16) (best string) {
	for z := range v.keys {
		if within(name, z) && len(z) > len(best) && (typ != dns.TypeDS || z != name || len(v.keys) == 1) {
			best = z
		}
	}
	return best
}

// holds is whether the signature of a set is there and verifies.
func (v *validator) holds(s *rrset) error {
	if s.sig == nil {
		return fmt.Errorf("%s %s has no signature", s.name, dns.TypeToString[s.typ])
	}
	key := v.keys[strings.ToLower(s.sig.SignerName)]
	if key == nil || !within(s.name, key.Hdr.Name) {
		return fmt.Errorf("%s %s is signed by %s", s.name, dns.TypeToString[s.typ], s.sig.SignerName)
	}
	id := s.sig.String()
	for _, rr := range s.rrs {
		id += "\n" + rr.String()
		if rr.Header().Ttl > s.sig.OrigTtl {
			return fmt.Errorf("%s: the TTL is above the signed one", rr)
		}
		if rr.Header().Ttl != s.sig.Hdr.Ttl { // RFC 4034 section 3
			return fmt.Errorf("%s: the TTL is not that of its signature", rr)
		}
	}
	if v.verified[id] {
		return nil
	}
	if err := s.sig.Verify(key, s.rrs); err != nil {
		return fmt.Errorf("%s %s: %w", s.name, dns.TypeToString[s.typ], err)
	}
	v.verified[id] = true
	return nil
}

// expanded is whether a set comes of a wildcard, and the next closer name (RFC
// 4035 section 5.3.4).
func (s *rrset) expanded() (nextCloser string, ok bool) {
	labels := dns.SplitDomainName(s.name)
	n := len(labels)
	if n > 0 && labels[0] == "*" {
		n-- // the wildcard itself
	}
	if int(s.sig.Labels) >= n {
		return "", false
	}
	return strings.Join(labels[len(labels)-int(s.sig.Labels)-1:], ".") + ".", true
}

// judge says why an answer to a question with DO is bogus.
func (v *validator) judge(m *dns.Msg) error {
	q := m.Question[0]
	name := strings.ToLower(q.Name)
	answer, authority := grouped(m.Answer), grouped(m.Ns)
	proofs := &proofs{v: v}
	soa := ""
	var ns, ds *rrset
	for _, s := range authority {
		if s.typ == dns.TypeNS && s.sig == nil {
			ns = s
			continue
		}
		if v.zoneOf(s.name, s.typ) == "" {
			continue // an unsigned zone
		}
		if err := v.holds(s); err != nil {
			return err
		}
		switch s.typ {
		case dns.TypeSOA:
			soa = s.name
		case dns.TypeDS:
			ds = s
		case dns.TypeNSEC:
			proofs.nsec = append(proofs.nsec, s.rrs[0].(*dns.NSEC))
		case dns.TypeNSEC3:
			proofs.nsec3 = append(proofs.nsec3, s.rrs[0].(*dns.NSEC3))
		default:
			return fmt.Errorf("%s %s in the authority section", s.name, dns.TypeToString[s.typ])
		}
	}

	// Follow the chain through the answer section.
	var dname *dns.DNAME
	found := false
	for _, s := range answer {
		v.path("answer of type " + dns.TypeToString[s.typ])
		zone := v.zoneOf(s.name, s.typ)
		if q.Qtype == dns.TypeRRSIG && len(s.rrs) == 0 {
			found = true
			continue // nothing signs a signature
		}
		if s.typ == dns.TypeCNAME && s.sig == nil && dname != nil {
			// Made from the DNAME record, which is signed (RFC 6672 section 5.3.1).
			c := s.rrs[0].(*dns.CNAME)
			if s.name != name || strings.TrimSuffix(name, strings.ToLower(dname.Hdr.Name))+strings.ToLower(dname.Target) != strings.ToLower(c.Target) &&
				dname.Target != "." {
				return fmt.Errorf("%s is not what %s makes", c, dname)
			}
			name = strings.ToLower(c.Target)
			found = q.Qtype == dns.TypeCNAME || q.Qtype == dns.TypeANY
			continue
		}
		if zone != "" {
			if err := v.holds(s); err != nil {
				return err
			}
			if next, ok := s.expanded(); ok {
				v.path("expanded")
				if err := proofs.absent(zone, next); err != nil {
					return fmt.Errorf("%s %s is of a wildcard: %w", s.name, dns.TypeToString[s.typ], err)
				}
			}
		}
		switch {
		case s.typ == dns.TypeDNAME && s.name != name:
			dname = s.rrs[0].(*dns.DNAME)
			if !within(name, s.name) {
				return fmt.Errorf("%s does not rename %s", dname, name)
			}
		case s.name != name:
			return fmt.Errorf("%s %s is no answer for %s", s.name, dns.TypeToString[s.typ], name)
		case s.typ == dns.TypeCNAME && q.Qtype != dns.TypeCNAME && q.Qtype != dns.TypeANY:
			name = strings.ToLower(s.rrs[0].(*dns.CNAME).Target)
		default:
			found = s.typ == q.Qtype || q.Qtype == dns.TypeANY
		}
	}
	zone := v.zoneOf(name, q.Qtype)
	switch {
	case m.Rcode == dns.RcodeYXDomain:
		if dname == nil {
			return fmt.Errorf("YXDOMAIN without a DNAME record")
		}
		return nil
	case found:
		return nil
	case zone == "":
		return nil // outside of what is signed
	case ns != nil:
		return proofs.delegated(zone, ns, ds)
	case soa == "" && len(answer) > 0:
		v.path("chain that ends")
		return nil // a loop, or too long
	case soa != zone:
		return fmt.Errorf("SOA of %s, not of %s", soa, zone)
	case m.Rcode == dns.RcodeNameError:
		return proofs.nameError(zone, name)
	case m.Rcode == dns.RcodeSuccess:
		return proofs.noData(zone, name, q.Qtype)
	}
	return fmt.Errorf("%s", dns.RcodeToString[m.Rcode])
}

func (v *validator) path(s string) { v.paths[s]++ }

// proofs are the NSEC and NSEC3 records of an answer, whose signatures hold.
type proofs struct {
	v     *validator
	nsec  []*dns.NSEC
	nsec3 []*dns.NSEC3
}

func (p *proofs) hashed() bool { return len(p.nsec3) > 0 }

// covers is whether an NSEC record denies a name (RFC 4034 section 4.1.1), with
// RFC 6840 section 4.1: one of a delegation or a DNAME says nothing of what is
// below.
func covers(n *dns.NSEC, name string) bool {
	owner := strings.ToLower(n.Hdr.Name)
	if within(name, owner) && (slices.Contains(n.TypeBitMap, dns.TypeDNAME) || slices.Contains(n.TypeBitMap, dns.TypeNS) && !slices.Contains(n.TypeBitMap, dns.TypeSOA)) {
		return false
	}
	after, before := canonical(owner, name) < 0, canonical(name, n.NextDomain) < 0
	if canonical(owner, n.NextDomain) < 0 {
		return after && before
	}
	return after || before // the last one
}

func (p *proofs) covering(name string) *dns.NSEC {
	for _, n := range p.nsec {
		if covers(n, name) {
			return n
		}
	}
	return nil
}

func (p *proofs) matching(name string) *dns.NSEC {
	for _, n := range p.nsec {
		if strings.EqualFold(n.Hdr.Name, name) {
			return n
		}
	}
	return nil
}

// absent is the proof that a name does not exist, and with it no closer match
// than a wildcard (RFC 4035 section 5.3.4, RFC 5155 section 8.8).
func (p *proofs) absent(zone, name string) error {
	if p.hashed() {
		if p.covering3(zone, name) == nil {
			return fmt.Errorf("no NSEC3 covers %s", name)
		}
		return nil
	}
	n := p.covering(name)
	if n == nil || within(strings.ToLower(n.NextDomain), name) {
		return fmt.Errorf("no NSEC denies %s", name)
	}
	return nil
}

// common is the longest name that two names end in.
func common(a, b string) string {
	for !within(b, a) {
		_, a, _ = strings.Cut(a, ".")
		if a == "" {
			return "."
		}
	}
	return a
}

// enclosed is the closest encloser of a name that an NSEC record denies.
func enclosed(n *dns.NSEC, name string) string {
	a, b := common(name, strings.ToLower(n.Hdr.Name)), common(name, strings.ToLower(n.NextDomain))
	if len(a) > len(b) {
		return a
	}
	return b
}

func (p *proofs) nameError(zone, name string) error {
	if p.hashed() {
		p.v.path("name error by NSEC3")
		encloser, next, err := p.closest(zone, name)
		if err != nil {
			return err
		}
		if p.covering3(zone, "*."+encloser) == nil && next.Flags&optOut != 0 {
			// The next closer name exists because of delegations that opt-out leaves
			// out, and the wildcard because of names below it: whoever answers, no
			// record proves that the one keeps the other from answering. That nothing
			// else lacks its record is for the comparison with other servers.
			p.v.path("name error that cannot be proved")
			return nil
		}
		if p.covering3(zone, "*."+encloser) == nil {
			return fmt.Errorf("no NSEC3 covers *.%s", encloser)
		}
		return nil
	}
	p.v.path("name error by NSEC")
	n := p.covering(name)
	if n == nil || within(strings.ToLower(n.NextDomain), name) {
		return fmt.Errorf("no NSEC denies %s", name)
	}
	if wild := "*." + enclosed(n, name); p.covering(wild) == nil {
		return fmt.Errorf("no NSEC denies %s", wild)
	}
	return nil
}

// lacks is whether a bitmap says that a name has nothing of a type here, and no
// CNAME (RFC 4035 section 5.4, RFC 6840 sections 4.1 and 4.3).
func lacks(bits []uint16, typ uint16, apex bool) error {
	has := func(t uint16) bool { return slices.Contains(bits, t) }
	switch {
	case has(typ) || has(dns.TypeCNAME):
		return fmt.Errorf("the bitmap %v has the type or CNAME", bits)
	case typ == dns.TypeDS && has(dns.TypeSOA) && !apex:
		return fmt.Errorf("the bitmap %v is the child's", bits)
	case typ != dns.TypeDS && has(dns.TypeNS) && !has(dns.TypeSOA):
		return fmt.Errorf("the bitmap %v is a delegation's", bits)
	}
	return nil
}

func (p *proofs) noData(zone, name string, typ uint16) error {
	if p.hashed() {
		return p.noData3(zone, name, typ)
	}
	if n := p.matching(name); n != nil {
		p.v.path("no data by NSEC")
		return lacks(n.TypeBitMap, typ, name == zone)
	}
	n := p.covering(name)
	if n == nil {
		return fmt.Errorf("no NSEC for %s", name)
	}
	if within(strings.ToLower(n.NextDomain), name) {
		p.v.path("empty non-terminal by NSEC")
		return nil
	}
	p.v.path("no data at a wildcard by NSEC")
	wild := "*." + enclosed(n, name)
	if w := p.matching(wild); w != nil {
		return lacks(w.TypeBitMap, typ, false)
	}
	if w := p.covering(wild); w != nil && within(strings.ToLower(w.NextDomain), wild) {
		p.v.path("empty wildcard by NSEC")
		return nil
	}
	return fmt.Errorf("nothing says what %s has", wild)
}

func (p *proofs) covering3(zone, name string) *dns.NSEC3 {
	for _, n := range p.nsec3 {
		if strings.EqualFold(n.Hdr.Name[33:], zone) && n.Cover(name) {
			return n
		}
	}
	return nil
}

func (p *proofs) matching3(zone, name string) *dns.NSEC3 {
	for _, n := range p.nsec3 {
		if strings.EqualFold(n.Hdr.Name[33:], zone) && n.Match(name) {
			return n
		}
	}
	return nil
}

// closest is the proof of the closest encloser (RFC 5155 section 8.3).
func (p *proofs) closest(zone, name string) (encloser string, next *dns.NSEC3, err error) {
	closer := ""
	for n := name; within(n, zone); {
		if m := p.matching3(zone, n); m != nil {
			has := func(t uint16) bool { return slices.Contains(m.TypeBitMap, t) }
			switch {
			case closer == "":
				return "", nil, fmt.Errorf("%s exists", name)
			case has(dns.TypeDNAME) || has(dns.TypeNS) && !has(dns.TypeSOA):
				return "", nil, fmt.Errorf("the closest encloser %s is a delegation or has a DNAME", n)
			}
			if next = p.covering3(zone, closer); next == nil {
				return "", nil, fmt.Errorf("no NSEC3 covers the next closer name %s", closer)
			}
			return n, next, nil
		}
		closer = n
		if n == zone {
			break
		}
		_, n, _ = strings.Cut(n, ".")
	}
	return "", nil, fmt.Errorf("no NSEC3 matches a name above %s", name)
}

const optOut = 1

// noData3 is RFC 5155 sections 8.5 to 8.7.
func (p *proofs) noData3(zone, name string, typ uint16) error {
	if n := p.matching3(zone, name); n != nil {
		p.v.path("no data by NSEC3")
		return lacks(n.TypeBitMap, typ, name == zone)
	}
	encloser, next, err := p.closest(zone, name)
	if err != nil {
		return err
	}
	// The record that covers the next closer name may be the wildcard's by chance.
	if w := p.matching3(zone, "*."+encloser); w != nil && (w != next || lacks(w.TypeBitMap, typ, false) == nil) {
		p.v.path("no data at a wildcard by NSEC3")
		return lacks(w.TypeBitMap, typ, false)
	}
	// 8.6, and an empty non-terminal that only delegations without DS make (7.1,
	// as erratum 3441 has it).
	if next.Flags&optOut != 0 {
		p.v.path("no data by opt-out")
		return nil
	}
	return fmt.Errorf("nothing says what %s has", name)
}

// delegated is a referral with DS, or with the proof that there is none (RFC
// 4035 section 5.2, RFC 5155 section 8.9).
func (p *proofs) delegated(zone string, ns, ds *rrset) error {
	undelegated := func(bits []uint16) error {
		has := func(t uint16) bool { return slices.Contains(bits, t) }
		if !has(dns.TypeNS) || has(dns.TypeDS) || has(dns.TypeSOA) {
			return fmt.Errorf("the bitmap %v is not that of an unsigned delegation", bits)
		}
		return nil
	}
	switch {
	case ds != nil:
		p.v.path("signed delegation")
		if ds.name != ns.name {
			return fmt.Errorf("DS of %s for %s", ds.name, ns.name)
		}
		return nil
	case !p.hashed():
		p.v.path("unsigned delegation by NSEC")
		n := p.matching(ns.name)
		if n == nil {
			return fmt.Errorf("no NSEC of %s", ns.name)
		}
		return undelegated(n.TypeBitMap)
	}
	if n := p.matching3(zone, ns.name); n != nil {
		p.v.path("unsigned delegation by NSEC3")
		return undelegated(n.TypeBitMap)
	}
	p.v.path("unsigned delegation by opt-out")
	_, next, err := p.closest(zone, ns.name)
	if err != nil {
		return err
	}
	if next.Flags&optOut == 0 {
		return fmt.Errorf("the NSEC3 that covers %s is not opt-out", ns.name)
	}
	return nil
}
