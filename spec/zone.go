package spec

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec/document"
	"github.com/rhumb-dns/rhumb/zone"
)

// stated is a zone as the files state it.
type stated struct {
	name dnswire.Name
	key  document.Node
	path *path
	vals []document.Node
	// children are the zones of the configuration below this one.
	children []dnswire.Name
}

func (d *decoder) allZones(p *path, entries []*entry) {
	var zones []*stated
	byName := map[dnswire.Name]*stated{}
	for _, e := range entries {
		zp := p.dot(e.name)
		name, why := domain(e.name)
		if why != "" {
			d.fail(e.key, zp, "%s", why)
			continue
		}
		if z := byName[name]; z != nil {
			d.fail(e.key, zp, "stated twice; first at %s", where(z.key))
			continue
		}
		z := &stated{name: name, key: e.key, path: zp, vals: e.vals}
		byName[name] = z
		zones = append(zones, z)
	}
	slices.SortFunc(zones, func(a, b *stated) int { return compareNames(a.name, b.name) })
	for _, z := range zones {
		for n := z.name.Parent(); n != ""; n = n.Parent() {
			if up := byName[n]; up != nil {
				up.children = append(up.children, z.name)
			}
		}
	}
	d.nests.zones = zones
	for _, z := range zones {
		d.spec.Zones = append(d.spec.Zones, d.zone(z))
	}
	d.undelegated(zones)
}

// undelegated finds zones below one whose file says nothing of them: whoever asks
// there, as a resolver does for DS, is told that they do not exist.
func (d *decoder) undelegated(zones []*stated) {
	for i, z := range zones {
		up := d.spec.Zones[i]
		if len(z.children) == 0 || up.Data == nil || len(up.Nameservers) > 0 || up.Data.Joined() {
			continue
		}
		tree := zone.NewTree([]*zone.Data{up.Data}, 0)
		for k, below := range d.spec.Zones {
			if below == up || !below.Name.Within(up.Name) {
				continue
			}
			if m := tree.Find([]byte(below.Name), dnswire.TypeNS); m.Kind != zone.Delegation {
				d.doubt(zones[k].key, zones[k].path, "the file of %s does not delegate this zone: resolvers that ask there are told that it does not exist", bare(up.Name))
			}
		}
	}
}

// domain reads the name of a zone.
func domain(s string) (dnswire.Name, string) {
	if s == "." {
		return dnswire.Root, ""
	}
	// A slash is in the zones of classless reverse delegation (RFC 2317).
	if why := badHost(strings.ReplaceAll(s, "/", "-")); why != "" {
		return "", "not the name of a zone: " + why
	}
	n, err := dnswire.ParseName(s)
	if err != nil {
		return "", "not the name of a zone: " + err.Error()
	}
	return n, ""
}

// compareNames orders names by their labels from the right, so that a zone
// stands before what is below it (RFC 4034 section 6.1).
func compareNames(a, b dnswire.Name) int {
	la, lb := labels(a), labels(b)
	for i := 0; i < len(la) && i < len(lb); i++ {
		if c := strings.Compare(la[len(la)-1-i], lb[len(lb)-1-i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(la), len(lb))
}

func labels(n dnswire.Name) []string {
	var out []string
	for ; len(n) > 1; n = n.Parent() {
		out = append(out, n.First())
	}
	return out
}

func (d *decoder) zone(z *stated) *Zone {
	before := len(d.errs)
	o := d.object(&zoneSection, z.path, z.key, z.vals...)
	zn := &Zone{Name: z.name, Pos: pos(z.key)}
	scope := zoneScope{zone: z.name, children: map[dnswire.Name]bool{}, servers: map[dnswire.Name]document.Node{}}
	for _, c := range z.children {
		scope.children[c] = true
	}
	servers := o.get("nameservers")
	if servers != nil {
		zn.Nameservers = d.nameservers(servers, z.path.dot("nameservers"), &scope)
	}
	file, records := o.get("file"), o.get("records")
	if file != nil || records != nil {
		scope.keys = []document.Node{}
	}
	lowest := d.spec.DNS.TTL
	if e := o.get("services"); e != nil {
		zn.Services, lowest = d.services(e, z.path.dot("services"), &scope)
	}
	soa := &object{d: d, sec: &soaSection, path: z.path.dot("soa"), at: z.key}
	if e := o.get("soa"); e != nil {
		soa = d.object(&soaSection, z.path.dot("soa"), e.key, e.vals...)
		if servers == nil {
			d.fail(e.key, z.path.dot("soa"), "it goes with nameservers, which are not stated: the zone's SOA record is in its file or records")
		}
	}
	zn.SOA = d.soa(soa, z.name, lowest, servers != nil)

	if file == nil && records == nil && servers == nil && !slices.Contains(o.meant, "nameservers") {
		d.fail(z.key, z.path, "the key \"nameservers\" is missing: state it, or a file that has SOA and NS")
	}
	st := &static{d: d, zone: zn, path: z.path, key: z.key, begun: d.kept.clock()}
	st.make(stating{file: file, records: records, servers: servers, fixed: scope.fixed, sound: len(d.errs) == before})
	st.beneath(&scope)
	return zn
}

// zoneScope is what the names of a zone must keep clear of.
type zoneScope struct {
	zone     dnswire.Name
	children map[dnswire.Name]bool // zones below it
	servers  map[dnswire.Name]document.Node
	// keys are where the zone's services stand, in their order; nil in a zone
	// without records that they could collide with.
	keys []document.Node
	// fixed are the services that have static records of their own.
	fixed []fixed
}

// child is the zone below this one to which the name belongs, or no name.
func (s *zoneScope) child(n dnswire.Name) dnswire.Name {
	if len(s.children) == 0 {
		return ""
	}
	for ; len(n) > len(s.zone); n = n.Parent() {
		if s.children[n] {
			return n
		}
	}
	return ""
}

// bare is a name without its final dot, as zones are written.
func bare(n dnswire.Name) string { return strings.TrimSuffix(n.String(), ".") }

// within reads a name that is relative to the zone unless it ends in a dot.
func within(zone dnswire.Name, s string) (dnswire.Name, string) {
	if why := badHost(s); why != "" {
		return "", "not a name: " + why
	}
	n, err := dnswire.ParseName(s)
	if err == nil && !strings.HasSuffix(s, ".") {
		n, err = n.Join(zone)
	}
	if err != nil {
		return "", "not a name: " + err.Error()
	}
	return n, ""
}

func (d *decoder) nameservers(e *entry, p *path, scope *zoneScope) []Nameserver {
	var out []Nameserver
	entries := d.entries(p, e.vals, func(string) bool { return false })
	if len(entries) == 0 {
		d.fail(e.key, p, "at least one nameserver is needed: write ns1: ADDRESS")
	}
	for _, ns := range entries {
		np := p.dot(ns.name)
		name, why := within(scope.zone, ns.name)
		if why != "" {
			d.fail(ns.key, np, "%s", why)
			continue
		}
		if at, twice := scope.servers[name]; twice {
			d.fail(ns.key, np, "stated twice; first at %s", where(at))
			continue
		}
		scope.servers[name] = ns.key
		before := len(d.errs)
		addrs := d.addresses(ns.val(), np)
		child := scope.child(name)
		switch inside := name.Within(scope.zone); {
		case len(d.errs) > before:
		case child != "":
			d.fail(ns.key, np, "belongs to the zone %s: state it there, or take a name outside of that zone", bare(child))
		case inside && len(addrs) == 0:
			d.fail(ns.val(), np, "a nameserver within the zone needs an address")
		case !inside && len(addrs) > 0:
			d.fail(ns.val(), np, "a nameserver outside of the zone has its address there: write []")
		}
		out = append(out, Nameserver{Name: name, Addrs: addrs})
	}
	return out
}

// addresses is one address or a list of them.
func (d *decoder) addresses(r document.Node, p *path) []netip.Addr {
	items := []document.Node{r}
	if r.Kind() == document.Sequence {
		items = d.list(r, p)
	}
	var out []netip.Addr
	first := map[netip.Addr]document.Node{}
	for i, it := range items {
		ip := p
		if r.Kind() == document.Sequence {
			ip = p.at(i)
		}
		s, ok := d.text(it, ip)
		if !ok {
			continue
		}
		a, host, why := address(s)
		if why == "" && host != "" {
			why = "an IP address is expected, not a name"
		}
		if why != "" {
			d.fail(it, ip, "%s", why)
			continue
		}
		if at, twice := first[a]; twice {
			d.fail(it, ip, "%s is stated twice; first at %s", a, where(at))
			continue
		}
		first[a] = it
		out = append(out, a)
	}
	return out
}

// soa decodes the fields of the zone's SOA record, which is made when the zone
// states its servers.
func (d *decoder) soa(o *object, zone dnswire.Name, lowest uint32, servers bool) SOA {
	s := SOA{
		Refresh: uint32(o.integer("refresh")), Retry: uint32(o.integer("retry")), Expire: uint32(o.integer("expire")),
		Minimum: lowest, TTL: uint32(o.integer("ttl")),
	}
	if servers || o.get("mbox") != nil {
		s.Mbox = d.mbox(o, zone)
	}
	switch {
	case o.get("serial") != nil:
		s.Serial, s.stated = uint32(o.integer("serial")), true
	case d.spec.Modified.IsZero():
		s.Serial = 1 // the document is no file
	default:
		s.Serial = uint32(d.spec.Modified.Unix() & math.MaxUint32)
	}
	if o.get("minimum") != nil {
		s.Minimum = uint32(o.integer("minimum"))
	}
	return s
}

// mbox is the mailbox of the SOA record.
func (d *decoder) mbox(o *object, zone dnswire.Name) dnswire.Name {
	text := o.text("mbox")
	name, why := dnswire.Name(""), ""
	if local, host, at := strings.Cut(text, "@"); at {
		why = "a mailbox is written with dots: " + strings.ReplaceAll(local, ".", `\.`) + "." + host + "."
	} else {
		name, why = mailbox(zone, text)
	}
	switch e := o.get("mbox"); {
	case why == "":
	case e == nil:
		d.fail(o.at, o.path.dot("mbox"), "the default, %s below the zone, is too long: state soa: {mbox: NAME.}", text)
	default:
		d.fail(e.val(), o.path.dot("mbox"), "%s", why)
	}
	return name
}

// mailbox reads the RNAME of an SOA record, whose first label may hold escaped dots.
func mailbox(zone dnswire.Name, s string) (dnswire.Name, string) {
	if s == "" {
		return "", "a value is missing"
	}
	n, err := dnswire.ParseName(s)
	if err == nil && !strings.HasSuffix(s, ".") {
		n, err = n.Join(zone)
	}
	if err != nil {
		return "", "not a mailbox: " + err.Error()
	}
	return n, ""
}
