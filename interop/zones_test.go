package interop

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// authority is a zone as a plain list of records, which is all that the oracle
// knows of it.
type authority struct {
	origin  string
	records []dns.RR
}

// text is the zone file. Knot DNS does not know the class by its number. The NS
// set of the apex comes last: BIND takes what follows it for its glue, and so DS
// records of a name server for those of the apex.
func (z *authority) text() string {
	var first, last strings.Builder
	for _, rr := range z.records {
		b := &first
		if rr.Header().Rrtype == dns.TypeNS && rr.Header().Name == z.origin {
			b = &last
		}
		b.WriteString(strings.Replace(rr.String(), "\tCLASS1\t", "\tIN\t", 1) + "\n")
	}
	return first.String() + last.String()
}

// world is what one server is authoritative for: a zone, often one below it and
// one beside it. Everything in it follows from the seed.
type world struct {
	seed  uint64
	zones []*authority
}

func (w *world) String() string {
	var b strings.Builder
	for _, z := range w.zones {
		fmt.Fprintf(&b, "; zone %s of seed %d\n%s", z.origin, w.seed, z.text())
	}
	return b.String()
}

// question is one question; the name is in the case in which it is asked.
type question struct {
	name  string
	qtype uint16
	do    bool // the client wants signatures
}

func (q question) String() string {
	do := ""
	if q.do {
		do = " DO"
	}
	return q.name + " " + dns.Type(q.qtype).String() + do
}

// unknownType is a type that no server knows by name.
const unknownType = 65280

// role is what a name is for in the plan of a zone.
type role int

const (
	hasData role = iota
	hasCNAME
	hasDNAME
	hasCut
	hasGlue // addresses, below a cut
	hasLink // a CNAME to the next link of a long chain
)

const chainLength = 19

// link is one of the names of a long chain.
func link(i int, origin string) string { return fmt.Sprintf("k%d.%s", i, origin) }

// planner makes a world. It plans the names of all zones first and gives them
// records afterwards, so that a record may lead to any name of any zone.
type planner struct {
	*rand.Rand
	world *world
	plans []*plan
	names []string // of all zones
	host  uint32   // the last address given
}

// plan is the names of one zone and what each is for.
type plan struct {
	origin string
	order  []string // as they came, the origin first
	roles  map[string]role
}

// labels are few, so that names meet, nest and match wildcards often.
var labels = []string{"a", "b", "c", "x", "ns", "*"}

// makeWorld makes the world of a seed. What all three of NSD, Knot DNS and BIND
// do not load is left out:
//
//   - NS at a wildcard: BIND refuses the zone; RFC 4592 section 4.2 leaves the
//     meaning open.
//   - data below a DNAME: NSD and Knot DNS refuse the zone; RFC 6672 section 2.4
//     forbids it.
//   - DNAME beside a cut's NS: Knot DNS refuses the zone; RFC 6672 section 2.3
//     allows both together at the apex only.
//   - DS at the apex: BIND refuses the zone; it is the parent's.
//   - an NS of the apex that is in the zone and has no address, or is an alias:
//     BIND refuses the zone.
func makeWorld(seed uint64) *world {
	p := &planner{
		Rand:  rand.New(rand.NewPCG(seed, 6672)),
		world: &world{seed: seed},
	}
	parent := p.plan(fmt.Sprintf("w%d.test.", seed))
	if p.chance(70) {
		if origin := p.childOf(parent); origin != "" {
			child := p.plan(origin)
			if p.chance(15) {
				if origin := p.childOf(child); origin != "" {
					p.plan(origin)
				}
			}
		}
	}
	if p.chance(60) {
		p.plan(fmt.Sprintf("o%d.test.", seed))
	}
	for _, pl := range p.plans {
		p.names = append(p.names, pl.order...)
	}
	for _, pl := range p.plans {
		p.world.zones = append(p.world.zones, p.records(pl))
	}
	return p.world
}

func (p *planner) chance(percent int) bool { return p.IntN(100) < percent }

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// plan gives a zone its names.
func (p *planner) plan(origin string) *plan {
	pl := &plan{origin: origin, order: []string{origin}, roles: map[string]role{origin: hasData}}
	p.plans = append(p.plans, pl)
	if p.chance(4) && !p.anyBelow(origin) {
		// A DNAME at the apex leaves no room for anything below.
		pl.roles[origin] = hasDNAME
		return pl
	}
	if p.chance(8) {
		// A chain of more steps than anybody follows.
		for i := range chainLength {
			pl.add(link(i, origin), hasLink)
		}
	}
	for range 3 + p.IntN(14) {
		name := pick(p.Rand, pl.order)
		for range 1 + p.IntN(5)/3 + p.IntN(8)/6 {
			name = pick(p.Rand, labels) + "." + name
		}
		if _, taken := pl.roles[name]; taken || dns.CountLabel(name)-dns.CountLabel(origin) > 5 {
			continue
		}
		if p.belowDNAME(name) {
			continue
		}
		star := strings.HasPrefix(name, "*.")
		var is role
		switch n := p.IntN(100); {
		case n < 22:
			is = hasCNAME
		case n < 32 && !p.anyBelow(name):
			is = hasDNAME
		case n < 52 && !star:
			is = hasCut
		}
		pl.add(name, is)
		if is == hasCut {
			// A place for glue: the name itself or one below.
			for range p.IntN(3) {
				glue := name
				if p.chance(80) {
					glue = pick(p.Rand, []string{"ns.", "a.", "b.ns."}) + name
				}
				if _, taken := pl.roles[glue]; !taken && !p.belowDNAME(glue) {
					pl.add(glue, hasGlue)
				}
			}
		}
	}
	return pl
}

func (pl *plan) add(name string, is role) {
	pl.order = append(pl.order, name)
	pl.roles[name] = is
}

// belowDNAME is whether a DNAME of any zone leaves no room for a name: NSD sees
// the data of a zone below as if it were in the same.
func (p *planner) belowDNAME(name string) bool {
	for _, pl := range p.plans {
		for n, is := range pl.roles {
			if is == hasDNAME && n != name && dns.IsSubDomain(n, name) {
				return true
			}
		}
	}
	return false
}

// anyBelow is whether any zone has a name below a name.
func (p *planner) anyBelow(name string) bool {
	for _, pl := range p.plans {
		for n := range pl.roles {
			if n != name && dns.IsSubDomain(name, n) {
				return true
			}
		}
	}
	return false
}

// childOf picks the origin of a zone below another: mostly at a cut, at times
// below one (the zone between is not ours), at times where there is none (the
// parent forgot it). Rhumb takes no "*" in the name of a zone.
func (p *planner) childOf(pl *plan) string {
	var cuts []string
	for _, n := range pl.order {
		if pl.roles[n] == hasCut && !strings.Contains(n, "*") {
			cuts = append(cuts, n)
		}
	}
	name := "c." + pl.origin
	if len(cuts) > 0 {
		name = pick(p.Rand, cuts)
		if p.chance(15) {
			name = "c." + name
		}
	}
	if p.belowDNAME(name) {
		return ""
	}
	if _, taken := pl.roles[name]; !taken && len(cuts) == 0 && p.chance(60) {
		pl.add(name, hasCut)
	}
	return name
}

// ttls differ, so that a wrong one shows.
var ttls = []uint32{0, 1, 60, 61, 300, 3600, 86400}

// filler is the records of one zone in the making.
type filler struct {
	*planner
	*plan
	zone *authority
	ttl  map[string]uint32 // by owner and type: a set has one
}

func (p *planner) records(pl *plan) *authority {
	f := &filler{planner: p, plan: pl, zone: &authority{origin: pl.origin}, ttl: map[string]uint32{}}
	f.add(pl.origin, "SOA", fmt.Sprintf("ns.invalid. hostmaster.invalid. %d 3600 600 604800 %d", 1+p.IntN(9), pick(p.Rand, ttls)))
	f.apexNS()
	links := 0
	for _, name := range pl.order {
		switch pl.roles[name] {
		case hasLink:
			links++
			if links < chainLength {
				f.add(name, "CNAME", link(links, pl.origin))
			} else {
				f.addresses(name)
			}
		case hasCNAME:
			f.add(name, "CNAME", f.target())
		case hasDNAME:
			f.add(name, "DNAME", f.dnameTarget())
			for range p.IntN(3) {
				f.data(name)
			}
		case hasCut:
			f.cut(name)
		case hasGlue:
			f.addresses(name)
		default:
			for range 1 + p.IntN(4) {
				f.data(name)
			}
		}
	}
	return f.zone
}

// add appends a record, once.
func (f *filler) add(owner, typ, data string) {
	key := owner + " " + typ
	if _, ok := f.ttl[key]; !ok {
		f.ttl[key] = pick(f.Rand, ttls)
	}
	rr, err := dns.NewRR(fmt.Sprintf("%s %d IN %s %s", owner, f.ttl[key], typ, data))
	if err != nil {
		panic(fmt.Sprintf("%s %s %s: %v", owner, typ, data, err)) // a fault of the generator
	}
	for _, have := range f.zone.records {
		if dns.IsDuplicate(have, rr) {
			return
		}
	}
	f.zone.records = append(f.zone.records, rr)
}

// apexNS gives the apex its servers.
func (f *filler) apexNS() {
	f.add(f.origin, "NS", "ns.out.example.")
	for range f.IntN(3) {
		var own []string
		for _, n := range f.order {
			// BIND wants an address of such a name; data at or below a cut is glue.
			if f.roles[n] == hasGlue || f.roles[n] == hasData && n != f.origin && !strings.HasPrefix(n, "*.") {
				own = append(own, n)
			}
		}
		if len(own) == 0 || f.chance(20) {
			// Elsewhere, but not in a zone of ours: there BIND looks as well.
			f.add(f.origin, "NS", pick(f.Rand, []string{"a.out.example.", "b.out.example."}))
			continue
		}
		n := pick(f.Rand, own)
		f.address(n, "A")
		f.add(f.origin, "NS", n)
	}
}

func (f *filler) cut(name string) {
	for range 1 + f.IntN(3) {
		var glue []string
		for _, n := range f.order {
			if f.roles[n] == hasGlue {
				glue = append(glue, n)
			}
		}
		own := slices.DeleteFunc(slices.Clone(glue), func(n string) bool { return !dns.IsSubDomain(name, n) })
		switch n := f.IntN(100); {
		case n < 45 && len(own) > 0:
			f.add(name, "NS", pick(f.Rand, own))
		case n < 65 && len(glue) > 0:
			f.add(name, "NS", pick(f.Rand, glue)) // often in another cut
		case n < 75:
			f.add(name, "NS", "none."+name) // below the cut, without glue
		case n < 90:
			f.add(name, "NS", f.target())
		default:
			f.add(name, "NS", "ns.out.example.")
		}
	}
	for range f.IntN(3) {
		f.ds(name)
	}
	if f.chance(10) {
		f.data(name) // at a cut, and so occluded
	}
}

func (f *filler) ds(name string) {
	if name == f.origin {
		return
	}
	f.add(name, "DS", fmt.Sprintf("%d 8 2 %064X", f.IntN(4), f.IntN(4)))
}

// address gives a name an address that no other record has.
func (f *filler) address(name, typ string) {
	f.host++
	if typ == "A" {
		f.add(name, "A", fmt.Sprintf("192.0.%d.%d", f.host>>8&255, f.host&255))
	} else {
		f.add(name, "AAAA", fmt.Sprintf("2001:db8::%x", f.host))
	}
}

func (f *filler) addresses(name string) {
	for i := f.IntN(3); i >= 0; i-- {
		f.address(name, pick(f.Rand, []string{"A", "AAAA"}))
	}
}

// data gives a name a set of records.
func (f *filler) data(name string) {
	kinds := []string{"A", "A", "AAAA", "TXT", "MX", "SRV", "HTTPS", "SVCB", "PTR", "CAA", "DS", "TYPE65280"}
	kind := pick(f.Rand, kinds)
	for range 1 + f.IntN(5)/2 {
		n := f.IntN(4)
		switch kind {
		case "A", "AAAA":
			f.address(name, kind)
		case "TXT":
			f.add(name, kind, fmt.Sprintf("\"t%d\" \"x\"", n))
		case "MX":
			f.add(name, kind, fmt.Sprintf("%d %s", n, f.target()))
		case "SRV":
			f.add(name, kind, fmt.Sprintf("%d 1 53 %s", n, f.target()))
		case "PTR":
			f.add(name, kind, f.target())
		case "HTTPS", "SVCB":
			// An alias stands alone; a name may have several services.
			if f.ttl[name+" "+kind] == 0 && f.chance(30) {
				f.add(name, kind, "0 "+f.target())
				return
			}
			if slices.ContainsFunc(f.zone.records, func(rr dns.RR) bool {
				return rr.Header().Name == name && (priority(rr) == 0)
			}) {
				return
			}
			f.add(name, kind, fmt.Sprintf("%d %s alpn=h%d", n+1, pick(f.Rand, []string{".", f.target()}), 2+n%2))
		case "CAA":
			f.add(name, kind, fmt.Sprintf("0 issue \"ca%d.example\"", n))
		case "DS":
			f.ds(name) // where nothing is delegated it is data like other data
		case "TYPE65280":
			f.add(name, kind, fmt.Sprintf(`\# 2 %04x`, n))
		}
	}
}

// priority is that of an SVCB or HTTPS record, -1 of others.
func priority(rr dns.RR) int {
	switch rr := rr.(type) {
	case *dns.SVCB:
		return int(rr.Priority)
	case *dns.HTTPS:
		return int(rr.Priority)
	}
	return -1
}

// target is a name to lead to: one of ours, one near it, or one elsewhere.
func (f *filler) target() string {
	switch n := f.IntN(100); {
	case n < 70:
		return pick(f.Rand, f.names)
	case n < 90:
		return pick(f.Rand, labels) + "." + pick(f.Rand, f.names)
	case n < 95:
		return "nothing." + f.origin
	}
	return "out.example."
}

// dnameTarget is, at times, a name that leaves little room in front of it.
func (f *filler) dnameTarget() string {
	if f.chance(12) {
		l := strings.Repeat("l", 63)
		long := strings.Join([]string{l, l, l, strings.Repeat("l", 20+f.IntN(20))}, ".") + "." + f.origin
		if len(long) < 250 {
			return long
		}
	}
	return f.target()
}

// askable are the types to ask for. ANY is not among them: RFC 8482 leaves it
// to the server.
var askable = []uint16{
	dns.TypeA, dns.TypeAAAA, dns.TypeNS, dns.TypeSOA, dns.TypeMX, dns.TypeTXT, dns.TypeSRV, dns.TypeCNAME,
	dns.TypeDNAME, dns.TypeDS, dns.TypeHTTPS, dns.TypeSVCB, dns.TypePTR, dns.TypeCAA, unknownType,
}

// signedTypes are those to ask for in signed zones besides.
var signedTypes = []uint16{dns.TypeDNSKEY, dns.TypeNSEC, dns.TypeNSEC3PARAM}

// neighbourhood is the names to ask for: those of the zones, those that exist
// only because something is below them, those beside and below each, and some
// that are outside.
func (w *world) neighbourhood() []string {
	seen := map[string]bool{}
	var all []string
	add := func(name string) {
		if _, ok := dns.IsDomainName(name); ok && len(name) <= 254 && !seen[name] {
			seen[name] = true
			all = append(all, name)
		}
	}
	for _, z := range w.zones {
		for _, rr := range z.records {
			for name := rr.Header().Name; dns.IsSubDomain(z.origin, name); _, name, _ = strings.Cut(name, ".") {
				add(name)
				for _, l := range []string{"a", "*", "zz", "b.a", "zz.*", "*.zz", "*.*", "ns"} {
					add(l + "." + name)
				}
				if name != z.origin {
					_, up, _ := strings.Cut(name, ".")
					add("0." + up)
					add("zzz." + up)
				}
			}
			if rr.Header().Rrtype == dns.TypeDNAME {
				add(strings.Repeat("q", 30) + "." + rr.Header().Name)
				add(strings.Repeat("q", 63) + "." + rr.Header().Name)
				add(strings.Repeat("q.", 30) + rr.Header().Name)
			}
		}
		_, up, _ := strings.Cut(z.origin, ".")
		add(up)
		add("out." + up)
	}
	add("out.example.")
	add(".")
	return all
}

// questions picks n questions about a world.
func (w *world) questions(n int) []question {
	r := rand.New(rand.NewPCG(w.seed, 2181))
	names := w.neighbourhood()
	var own []question // that ask for what is there
	for _, z := range w.zones {
		for _, rr := range z.records {
			own = append(own, question{name: rr.Header().Name, qtype: rr.Header().Rrtype})
		}
	}
	var all []question
	for range n {
		q := question{name: pick(r, names), qtype: pick(r, askable)}
		switch {
		case r.IntN(100) < 20:
			q = pick(r, own)
		case r.IntN(100) < 15:
			q.name = pick(r, own).name
		}
		if r.IntN(4) == 0 {
			q.name = mixCase(r, q.name)
		}
		all = append(all, q)
	}
	return all
}

// mixCase spells a name with random case.
func mixCase(r *rand.Rand, name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'a' <= c && c <= 'z' && r.IntN(2) == 0 {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// TestWorlds checks that the generator makes what its name says: the same for
// the same seed, and of every kind.
func TestWorlds(t *testing.T) {
	kinds := map[uint16]int{}
	for seed := range uint64(200) {
		w := makeWorld(seed)
		if again := makeWorld(seed); w.String() != again.String() {
			t.Fatalf("seed %d makes two worlds:\n%s\n%s", seed, w, again)
		}
		for _, z := range w.zones {
			for _, rr := range z.records {
				kinds[rr.Header().Rrtype]++
				if !dns.IsSubDomain(z.origin, rr.Header().Name) {
					t.Errorf("seed %d: %s is not in %s", seed, rr, z.origin)
				}
			}
		}
	}
	for _, k := range askable {
		if kinds[k] == 0 {
			t.Errorf("no %s in 200 worlds", dns.Type(k))
		}
	}
}
