package interop

import (
	"cmp"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// The oracle reads the RFCs directly over plain lists of records: it has no
// index, it is slow, and it shares nothing with the program.

// verdict is the answer that is due to a question.
type verdict struct {
	rcode int
	aa    bool
	// answer is a set for each step of the chain: within a set the order is free.
	answer    [][]dns.RR
	authority []dns.RR
	// required is the additional records without which a referral cannot be
	// followed; allowed is what may be there besides.
	required []dns.RR
	allowed  []dns.RR
	// rules are what was applied, in the words of this file, in order.
	rules []string
}

// maxSteps is how many CNAME records an answer has at most, those that are made
// from DNAME records included; the last one's target is not looked up. RFC 1034
// section 3.6.2 wants chains followed and loops noticed, and leaves the bound open.
const maxSteps = 16

// oracle answers one question.
type oracle struct {
	zones []*authority
	qtype uint16
	do    bool
	verdict

	habits
	lastDNAME string   // the one that was used in the last step, if one was
	wildcards []string // that led on
}

// habits are where another server reads the RFCs in its own way. None are ours:
// differential_test.go says which server has which, and why we do not.
type habits struct {
	// stopsAtZones ends a chain where it leads into another of the server's zones.
	stopsAtZones bool
	// oneZone follows a chain through the first zone only, as if the server had no
	// other.
	oneZone bool
	// sharedNames lets the names of every zone exist in every other.
	sharedNames bool
	// dnameOnce ends a chain where a DNAME is used twice in a row.
	dnameOnce bool
	// steps is how many CNAME records an answer has at most, where it is not maxSteps.
	steps int
	// cutsShort is after how many CNAME records the server may end a chain, if not 0.
	cutsShort int
	// failsAtEnd makes SERVFAIL of a chain that loops or is too long.
	failsAtEnd bool
	// pastOverflow goes on with a DNAME's target where the substitution overflows.
	pastOverflow bool
	// repeats gives a record again where the chain comes by again.
	repeats bool
	// occludedWildcards has wildcards below a cut make glue.
	occludedWildcards bool
	// ownedDNAME gives a DNAME at a wildcard under the name that was asked for.
	ownedDNAME bool
	// wildcardOnce ends a chain where a wildcard leads on a second time.
	wildcardOnce bool
	// bareWildcards gives addresses of a wildcard under the wildcard's own name, and
	// proofs of wildcards in the additional section.
	bareWildcards bool
	// bareNonTerminals does not prove that a wildcard has no data because it is an
	// empty non-terminal.
	bareNonTerminals bool
	// nsecAtCut gives the NSEC record of a cut instead of the referral.
	nsecAtCut bool
	// nsecStays does not follow a CNAME when asked for NSEC, though there is none.
	nsecStays bool
	// byName puts the sets of one owner together, where the first of them is.
	byName bool
	// looseProofs are the rules after which the NSEC and NSEC3 records are the
	// server's own choice, looseAnswers those after which the whole answer is.
	looseProofs, looseAnswers []string
}

func (o *oracle) rule(name string) { o.rules = append(o.rules, name) }

// ask answers a question from the zones of one server. It is the algorithm of RFC
// 1034 section 4.3.2 as RFC 6672 section 3.2 and RFC 4592 section 3.3 state it
// anew; quotations are from RFC 6672 where nothing else is said.
func ask(zones []*authority, q question, h habits) *verdict {
	o := &oracle{zones: zones, qtype: q.qtype, do: q.do, habits: h}
	var first *authority
	qname := dns.CanonicalName(q.name)
	var followed []string
	for {
		followed = append(followed, qname)

		// "2. Search the available zones for the zone which is the nearest ancestor
		// to QNAME. If such a zone is found, go to step 3; otherwise, step 4."
		// Step 4 is for caches, and we have none.
		z := o.nearest(qname)
		if z == nil {
			if len(followed) == 1 {
				o.rcode = dns.RcodeRefused
				o.rule("outside our zones")
			} else {
				o.rule("chain leaves our zones")
			}
			break
		}
		if len(followed) == 1 {
			first = z
			if o.oneZone {
				o.zones = []*authority{z}
			}
		}
		if o.stopsAtZones && o.qtype == dns.TypeDS && qname == first.origin {
			z = first
		}
		if o.stopsAtZones && z != first {
			o.rule("chain leaves the zone")
			break
		}
		if len(followed) == 1 {
			// RFC 1035 section 4.1.1: AA "corresponds to the name which matches the
			// query name, or the first owner name in the answer section". A referral
			// takes it back.
			o.aa = true
		}
		// RFC 6604 section 3: the RCODE is that of the last step.
		next, goesOn := o.match(z, qname)
		if !goesOn {
			break
		}
		// "change QNAME to the canonical name in the CNAME RR, and go back to step 1."
		// RFC 1034 section 3.6.2: "CNAME chains should be followed and CNAME loops
		// signalled as an error"; the signal is that the answer ends.
		if slices.Contains(followed, next) || len(followed) >= cmp.Or(o.steps, maxSteps) {
			o.rule("endless chain")
			if o.failsAtEnd {
				o.rcode = dns.RcodeServerFailure
			}
			break
		}
		qname = next
	}
	o.authority = once(o.authority)
	if o.byName {
		o.answer = together(o.answer)
	}
	o.additional()
	return &o.verdict
}

// copy puts a set of a node into the answer section, under the name owner. A DNAME
// may be used by several steps of a chain and asked for at its end; a set is there
// once (RFC 2181 section 5).
func (o *oracle) copy(z *authority, node string, qtype uint16, owner string) {
	set := ownedBy(owner, z.at(node, qtype))
	for _, have := range o.answer {
		if dns.IsDuplicate(have[0], set[0]) {
			return
		}
	}
	o.answer = append(o.answer, append(set, ownedBy(owner, o.signatures(z, node, qtype))...))
}

// negative puts the zone's SOA into the authority section: RFC 2308 section 3,
// "The TTL of this record is set from the minimum of the MINIMUM field of the SOA
// record and the TTL of the SOA itself".
func (o *oracle) negative(z *authority) {
	soa := dns.Copy(z.at(z.origin, dns.TypeSOA)[0]).(*dns.SOA)
	soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
	o.authority = append(o.authority, soa)
	o.authority = append(o.authority, o.signatures(z, z.origin, dns.TypeSOA)...)
}

// visited is whether a wildcard has led on before, for a server that minds.
func (o *oracle) visited(node string) bool {
	if !o.wildcardOnce || !strings.HasPrefix(node, "*.") {
		return false
	}
	o.wildcards = append(o.wildcards, node)
	return slices.Contains(o.wildcards[:len(o.wildcards)-1], node)
}

// nearest is the zone that is the nearest ancestor to a name.
func (o *oracle) nearest(qname string) *authority {
	var best *authority
	for _, z := range o.zones {
		if !within(z.origin, qname) {
			continue
		}
		// RFC 4035 section 3.1.4.1: a DS set is the parent's, so a query for it "at
		// a zone cut" is the parent's to answer. It is the child's where the parent
		// is not ours.
		if o.qtype == dns.TypeDS && qname == z.origin && o.parentIsOurs(z) {
			o.rule("DS from the parent")
			continue
		}
		if best == nil || within(best.origin, z.origin) {
			best = z
		}
	}
	return best
}

// parentIsOurs is whether one of our zones has a name's parent side: a zone above
// it, with no cut between the two that delegates the parent to others.
func (o *oracle) parentIsOurs(child *authority) bool {
	var parent *authority
	for _, z := range o.zones {
		if z != child && within(z.origin, child.origin) && (parent == nil || within(parent.origin, z.origin)) {
			parent = z
		}
	}
	return parent != nil
}

// match is step 3: "Start matching down, label by label, in the zone. The
// matching process can terminate several ways". It returns the name to go on
// with, if there is one.
func (o *oracle) match(z *authority, qname string) (next string, goesOn bool) {
	node := z.origin
	for {
		// "B. If a match would take us out of the authoritative data, we have a
		// referral. This happens when we encounter a node with NS RRs marking cuts
		// along the bottom of a zone." The DS set of a cut is authoritative (RFC 4035
		// section 3.1.4.1), so a query for it stays.
		if node != z.origin && len(z.at(node, dns.TypeNS)) > 0 && !(node == qname && o.aboveCut()) {
			// "Copy the NS RRs for the sub-zone into the authority section of the
			// reply. Put whatever addresses are available into the additional section
			// [...]. Go to step 4."
			o.authority = append(o.authority, z.at(node, dns.TypeNS)...)
			o.proveDelegation(z, node)
			o.required = glue(z, node)
			if len(o.answer) == 0 {
				o.aa = false
				o.rule("referral")
			} else {
				o.rule("referral after a chain")
			}
			return "", false
		}
		// "A. If the whole of QNAME is matched, we have found the node."
		if node == qname {
			return o.found(z, node, qname)
		}
		// "C. If at some label, a match is impossible (i.e., the corresponding label
		// does not exist)". A name exists if it or a name below it has records (RFC
		// 4592 section 2.2.2: empty non-terminals exist).
		child := oneLabelDown(node, qname)
		if !o.exists(z, child) {
			return o.impossible(z, node, qname)
		}
		node = child
	}
}

// aboveCut is whether the type asked for is the parent's at a cut.
func (o *oracle) aboveCut() bool {
	return o.qtype == dns.TypeDS || o.qtype == dns.TypeNSEC && o.nsecAtCut
}

// found is step 3A, and the part of 3C that a wildcard's node takes in its place:
// the records are owned by qname either way.
func (o *oracle) found(z *authority, node, qname string) (next string, goesOn bool) {
	// "If the data at the node is a CNAME, and QTYPE does not match CNAME, copy the
	// CNAME RR into the answer section of the response, change QNAME to the
	// canonical name in the CNAME RR, and go back to step 1."
	o.lastDNAME = ""
	// Some types may stand beside a CNAME (RFC 4035 section 2.5); QTYPE matches them,
	// and so it does not lead on.
	beside := len(z.at(node, o.qtype)) > 0 || o.nsecStays && o.qtype == dns.TypeNSEC
	if cname := z.at(node, dns.TypeCNAME); len(cname) > 0 && o.qtype != dns.TypeCNAME && !beside {
		o.copy(z, node, dns.TypeCNAME, qname)
		o.rule("CNAME")
		return dns.CanonicalName(cname[0].(*dns.CNAME).Target), !o.visited(node)
	}
	// "Otherwise, copy all RRs which match QTYPE into the answer section and go to
	// step 6."
	if len(z.at(node, o.qtype)) > 0 {
		o.copy(z, node, o.qtype, qname)
		o.rule("data")
		return "", false
	}
	// RFC 2308 section 2.2: "NODATA is indicated by an answer with the RCODE set to
	// NOERROR and no relevant answers in the answer section. The authority section
	// will contain an SOA record".
	o.negative(z)
	o.proveNoData(z, node, qname)
	if len(z.owned(node)) == 0 {
		o.rule("no data at an empty non-terminal")
	} else {
		o.rule("no data")
	}
	return "", false
}

// impossible is step 3C: node is the last label that matched, the closest
// encloser of RFC 4592 section 3.3.1.
func (o *oracle) impossible(z *authority, node, qname string) (next string, goesOn bool) {
	// "look to see whether the last label matched has a DNAME record. If a DNAME
	// record exists at that point, copy that record into the answer section."
	if set := z.at(node, dns.TypeDNAME); len(set) > 0 {
		d := set[0].(*dns.DNAME)
		owner := node
		if strings.HasPrefix(node, "*.") {
			o.rule("DNAME at a wildcard")
		}
		if o.ownedDNAME && strings.HasPrefix(node, "*.") {
			owner = qname
		}
		if o.dnameOnce && o.lastDNAME == node {
			return "", false
		}
		o.lastDNAME = node
		o.copy(z, node, dns.TypeDNAME, owner)
		next = strings.TrimSuffix(qname, node) + strings.TrimPrefix(dns.CanonicalName(d.Target), ".")
		// "If substitution of its <target> for its <owner> in QNAME would overflow the
		// legal size for a <domain-name>, set RCODE to YXDOMAIN and exit".
		if len(next) > 254 {
			o.rcode = dns.RcodeYXDomain
			o.rule("DNAME overflow")
			return dns.CanonicalName(d.Target), o.pastOverflow
		}
		// "the server MUST synthesize a CNAME RR [...] and include it in the answer
		// section"; section 3.1: its TTL is the DNAME's.
		o.answer = append(o.answer, []dns.RR{&dns.CNAME{
			Hdr:    dns.RR_Header{Name: qname, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: d.Hdr.Ttl},
			Target: next,
		}})
		o.rule("DNAME")
		// A question for the CNAME is answered by it, as in step 3A.
		return next, o.qtype != dns.TypeCNAME && !o.visited(node)
	}
	// "Otherwise, if there was no DNAME record, look to see if the '*' label exists."
	// It does not take the place of a name that exists, nor cover below one (RFC
	// 4592 section 2.2.1), and this node is the only place to look.
	star := "*." + strings.TrimPrefix(node, ".")
	if o.exists(z, star) {
		// "If the '*' label does exist, match RRs at that node against QTYPE. If any
		// match, copy them into the answer section, but set the owner of the RR to be
		// QNAME, and not the node with the '*' label." A CNAME there is followed as
		// in step 3A.
		o.rule("wildcard")
		o.proveExpansion(z, node, qname)
		return o.found(z, star, qname)
	}
	// "If the '*' label does not exist, check whether the name we are looking for is
	// the original QNAME in the query or a name we have followed due to a CNAME or
	// DNAME. If the name is original, set an authoritative name error in the
	// response and exit. Otherwise, just exit." RFC 6604 section 3 sets the error
	// for names that were followed, too.
	o.rcode = dns.RcodeNameError
	o.negative(z)
	o.proveNoName(z, node, qname)
	o.rule("no such name")
	return "", false
}

// additional is step 6: "Using local data only, attempt to add other RRs which
// may be useful to the additional section of the query." Useful are addresses
// of the names that the other sections lead to, and for an alias of RFC 9460
// section 4.1 the records of its target. Nothing of it must be there.
func (o *oracle) additional() {
	for _, set := range append(slices.Clone(o.answer), o.authority) {
		for _, rr := range set {
			target, ok := leadsTo(rr)
			if !ok {
				continue
			}
			for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, rr.Header().Rrtype} {
				if qtype != dns.TypeA && qtype != dns.TypeAAAA && priority(rr) < 0 {
					continue
				}
				for _, z := range o.zones {
					if within(z.origin, target) {
						o.allowed = append(o.allowed, o.useful(z, target, qtype)...)
					}
				}
			}
		}
	}
}

// useful is what a zone has of a name and type: what is there, be it glue, and
// what a wildcard makes of it.
func (o *oracle) useful(z *authority, name string, qtype uint16) []dns.RR {
	set := z.at(name, qtype)
	w := oracle{zones: []*authority{z}, qtype: qtype}
	if _, goesOn := w.match(z, name); !goesOn && len(w.answer) > 0 {
		set = append(set, w.answer[0]...)
	}
	if o.occludedWildcards {
		w := oracle{zones: []*authority{z}, qtype: qtype}
		if _, goesOn := w.match(z.withoutCuts(), name); !goesOn && len(w.answer) > 0 {
			set = append(set, w.answer[0]...)
		}
	}
	if o.bareWildcards {
		for _, rr := range z.records {
			if up, star := strings.CutPrefix(rr.Header().Name, "*."); star && rr.Header().Rrtype == qtype && within(up, name) {
				set = append(set, rr)
			}
		}
	}
	return set
}

// leadsTo is the host that a record names.
func leadsTo(rr dns.RR) (string, bool) {
	service := func(rr *dns.SVCB) (string, bool) {
		if rr.Target == "." && rr.Priority > 0 {
			return dns.CanonicalName(rr.Hdr.Name), true // RFC 9460 section 2.5.2
		}
		return dns.CanonicalName(rr.Target), true
	}
	switch rr := rr.(type) {
	case *dns.NS:
		return dns.CanonicalName(rr.Ns), true
	case *dns.MX:
		return dns.CanonicalName(rr.Mx), true
	case *dns.SRV:
		return dns.CanonicalName(rr.Target), true
	case *dns.SVCB:
		return service(rr)
	case *dns.HTTPS:
		return service(&rr.SVCB)
	}
	return "", false
}

// glue is the addresses that a referral must carry: RFC 9471 section 2.1, of name
// servers at or below the cut ("in-domain").
func glue(z *authority, cut string) []dns.RR {
	var all []dns.RR
	for _, ns := range z.at(cut, dns.TypeNS) {
		host := dns.CanonicalName(ns.(*dns.NS).Ns)
		if within(cut, host) {
			all = append(all, z.at(host, dns.TypeA)...)
			all = append(all, z.at(host, dns.TypeAAAA)...)
		}
	}
	return all
}

// owned is every record of a name.
func (z *authority) owned(name string) []dns.RR {
	var all []dns.RR
	for _, rr := range z.records {
		if rr.Header().Name == name {
			all = append(all, rr)
		}
	}
	return all
}

// at is the set of a name and type.
func (z *authority) at(name string, qtype uint16) []dns.RR {
	var set []dns.RR
	for _, rr := range z.owned(name) {
		if rr.Header().Rrtype == qtype {
			set = append(set, rr)
		}
	}
	return set
}

// exists is whether a name or a name below it has records.
func (o *oracle) exists(z *authority, name string) bool {
	zones := []*authority{z}
	if o.sharedNames {
		zones = o.zones
	}
	for _, z := range zones {
		for _, rr := range z.records {
			// RFC 5155 section 7.2.8: hashed names are no names of the zone.
			if within(name, rr.Header().Name) && !z.hashed(rr.Header().Name) {
				return true
			}
		}
	}
	return false
}

// withoutCuts is the zone without its delegations.
func (z *authority) withoutCuts() *authority {
	return &authority{origin: z.origin, records: slices.DeleteFunc(slices.Clone(z.records), func(rr dns.RR) bool {
		return rr.Header().Rrtype == dns.TypeNS && rr.Header().Name != z.origin
	})}
}

// together is the sets with those of one owner side by side.
func together(sets [][]dns.RR) [][]dns.RR {
	var all [][]dns.RR
	for _, first := range sets {
		for _, set := range sets {
			if set[0].Header().Name == first[0].Header().Name && !slices.ContainsFunc(all, func(s []dns.RR) bool { return &s[0] == &set[0] }) {
				all = append(all, set)
			}
		}
	}
	return all
}

// ownedBy is a set with another owner.
func ownedBy(name string, set []dns.RR) []dns.RR {
	var all []dns.RR
	for _, rr := range set {
		rr = dns.Copy(rr)
		rr.Header().Name = name
		all = append(all, rr)
	}
	return all
}

// oneLabelDown is the name one label below node on the way to qname.
func oneLabelDown(node, qname string) string {
	n := dns.SplitDomainName(qname)
	return dns.Fqdn(strings.Join(n[len(n)-dns.CountLabel(node)-1:], "."))
}

// within is whether a name is another one or below it.
func within(top, name string) bool {
	return name == top || top == "." || strings.HasSuffix(name, "."+top)
}
