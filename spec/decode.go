package spec

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/spec/document"
)

// decode makes a Spec of documents that belong together. All that is wrong with
// them is in the errors; the Spec is of use only when there are none.
func (d *decoder) decode(docs []origin) {
	tops := make([]document.Node, len(docs))
	for i, doc := range docs {
		tops[i] = doc.top
	}
	top := d.object(&topSection, nil, document.Node{}, tops...)
	for _, doc := range docs {
		if doc.public {
			d.secrets(doc.top)
		}
	}
	section := func(name string, sec *section) *object {
		e := top.get(name)
		if e == nil {
			return &object{d: d, sec: sec}
		}
		o := d.object(sec, (*path)(nil).dot(name), e.key, e.vals...)
		return o
	}
	d.node(section("node", &nodeSection))
	d.dns(section("dns", &dnsSection))
	d.admin(section("admin", &adminSection))
	d.geo(section("geo", &geoSection))
	d.health(section("health", &healthSection))
	log := section("log", &logSection)
	d.spec.Log = Log{Level: log.word("level"), Format: log.word("format")}

	named := func(name string) (*path, []*entry) {
		e := top.get(name)
		if e == nil {
			return nil, nil
		}
		p := (*path)(nil).dot(name)
		return p, d.entries(p, e.vals, func(string) bool { return name == "zones" })
	}
	d.checkDefaults(section("check_defaults", &checkDefaultsSection))
	d.allChecks(named("checks"))
	d.allPools(named("pools"))
	d.allPolicies(named("policies"))
	before := len(d.errs)
	d.allZones(named("zones"))
	d.zoned = len(d.errs) == before
	if e := top.get("sources"); e != nil {
		d.sources(e.vals, (*path)(nil).dot("sources"))
	}
	d.destinations(named("notify"))
	d.controller(section("controller", &controllerSection))
	if len(d.errs) == 0 {
		d.count()
		d.probeRate()
		d.warn(docs)
	}
	d.errs.sort()
}

func (d *decoder) node(o *object) {
	d.spec.Node = Node{Name: o.text("name"), Region: o.text("region"), DataDir: o.text("data_dir")}
	if d.spec.Node.Name == "" {
		d.spec.Node.Name, _ = os.Hostname()
	}
	if dir := d.spec.Node.DataDir; dir != "" {
		d.spec.Node.DataDir = beside(o.get("data_dir").val(), dir)
	}
}

// beside is a path as the document of r means it: relative to itself.
func beside(r document.Node, name string) string {
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(r.Name()), name)
	}
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return name
}

func (d *decoder) dns(o *object) {
	dns := DNS{TTL: uint32(o.integer("ttl"))}
	dns.ECS, dns.ECSTrusted = d.ecs(o)
	d.edns(&dns, o)
	d.transports(&dns, o)
	if o.get("dnstap") != nil {
		dns.Dnstap = d.dnstap(d.below(o, "dnstap", &dnstapSection))
	}
	d.limits(&dns, o)
	if e := o.get("resolvers"); e != nil {
		dns.Resolvers = d.resolvers(e.val(), o.path.dot("resolvers"))
	}
	d.spec.DNS = dns
}

// resolvers is a list of addresses with or without a port; the port of DNS is 53.
func (d *decoder) resolvers(r document.Node, p *path) []netip.AddrPort {
	items := d.list(r, p)
	if items != nil && len(items) == 0 {
		d.fail(r, p, "the list is empty: state at least one address, or leave resolvers out for the system's")
	}
	var out []netip.AddrPort
	first := map[netip.AddrPort]document.Node{}
	for i, it := range items {
		s, ok := d.text(it, p.at(i))
		if !ok {
			continue
		}
		ap, err := netip.ParseAddrPort(s)
		if a, aerr := netip.ParseAddr(s); aerr == nil {
			ap, err = netip.AddrPortFrom(a, 53), nil
		}
		at, twice := first[ap]
		switch {
		case err != nil:
			d.fail(it, p.at(i), "an IP address such as 192.0.2.53, or with a port 192.0.2.53:5353 or [2001:db8::53]:5353, is expected, not %q", s)
		case ap.Port() == 0:
			d.fail(it, p.at(i), "%s has no port that could be asked: write %s for port 53", s, ap.Addr())
		case ap.Addr().Is4In6():
			d.fail(it, p.at(i), "%s is IPv4 written as IPv6: write %s", s, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
		case ap.Addr().IsUnspecified(), ap.Addr().IsMulticast():
			d.fail(it, p.at(i), "%s is no address of a resolver", s)
		case twice:
			d.fail(it, p.at(i), "%s is stated twice; first at %s", ap, where(at))
		default:
			first[ap] = it
			out = append(out, ap)
		}
	}
	return out
}

func (d *decoder) addrPort(r document.Node, p *path) (netip.AddrPort, bool) {
	s, ok := d.text(r, p)
	if !ok {
		return netip.AddrPort{}, false
	}
	ap, err := netip.ParseAddrPort(s)
	host, port, cut := strings.Cut(s, ":")
	switch {
	case err == nil && ap.Addr().Is4In6():
		d.fail(r, p, "%s is IPv4 written as IPv6: write %s", s, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
	case err == nil && ap.Addr().IsMulticast():
		d.fail(r, p, "%s is a multicast address", s)
	case err == nil:
		return ap, true
	case cut && host == "" && isPort(port):
		d.fail(r, p, "%s has no address: write 0.0.0.0:%s and [::]:%s for all addresses, 127.0.0.1:%s for this machine only", s, port, port, port)
	case cut && host == "*" && isPort(port):
		d.fail(r, p, "%s has no address: write 0.0.0.0:%s and [::]:%s for all addresses", s, port, port)
	case cut && host == "localhost" && isPort(port):
		d.fail(r, p, "a name is not an address: write 127.0.0.1:%s or [::1]:%s", port, port)
	default:
		if a, err := netip.ParseAddr(s); err == nil {
			// The last group of ::1:53 is more likely the port than not.
			if i := strings.LastIndexByte(s, ':'); i > 0 && isPort(s[i+1:]) {
				if inner, err := netip.ParseAddr(s[:i]); err == nil {
					d.fail(r, p, "%s has no brackets around its address: write [%s]:%s", s, inner, s[i+1:])
					break
				}
			}
			d.fail(r, p, "%s has no port: write %s", s, netip.AddrPortFrom(a, 53))
			break
		}
		d.fail(r, p, "an address:port such as 127.0.0.1:5300 or [::1]:5300 is expected, not %q", s)
	}
	return netip.AddrPort{}, false
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func (d *decoder) admin(o *object) {
	a := Admin{
		Listen: netip.MustParseAddrPort("127.0.0.1:8080"),
		AllowedNetworks: []netip.Prefix{
			netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
		},
	}
	if e := o.get("listen"); e != nil {
		if ap, ok := d.addrPort(e.val(), o.path.dot("listen")); ok {
			a.Listen = ap
		}
	}
	if e := o.get("allowed_networks"); e != nil {
		a.AllowedNetworks = d.networks(e.val(), o.path.dot("allowed_networks"))
	}
	if e := o.get("tls"); e != nil {
		a.TLS = d.adminTLS(e, o.path.dot("tls"))
	}
	if e := o.get("tokens"); e != nil {
		a.Tokens = d.tokens(e.val(), o.path.dot("tokens"))
		if o.get("tls") == nil && !a.Listen.Addr().IsLoopback() {
			d.doubt(e.key, o.path.dot("tokens"), "everybody on the way can read the tokens of requests: state admin.tls")
		}
	}
	d.spec.Admin = a
}

func (d *decoder) networks(r document.Node, p *path) []netip.Prefix {
	out := []netip.Prefix{}
	first := map[netip.Prefix]document.Node{}
	for i, it := range d.list(r, p) {
		s, ok := d.text(it, p.at(i))
		if !ok {
			continue
		}
		n, ok := d.network(it, p.at(i), s)
		if !ok {
			continue
		}
		if at, twice := first[n]; twice {
			d.fail(it, p.at(i), "%s is stated twice; first at %s", n, where(at))
			continue
		}
		first[n] = it
		out = append(out, n)
	}
	return out
}

// network is the network that s states, or ought to.
func (d *decoder) network(r document.Node, p *path, s string) (netip.Prefix, bool) {
	n, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		if a, aerr := netip.ParseAddr(s); aerr == nil && a.Zone() == "" {
			d.fail(r, p, "%s is an address: write %s for it alone", s, netip.PrefixFrom(a, a.BitLen()))
			break
		}
		d.fail(r, p, "a network such as 192.0.2.0/24 is expected, not %q", s)
	case n.Addr().Is4In6():
		d.fail(r, p, "%s is IPv4 written as IPv6: write the IPv4 network", s)
	case n != n.Masked():
		d.fail(r, p, "%s has bits outside of its mask: write %s", s, n.Masked())
	default:
		return n, true
	}
	return netip.Prefix{}, false
}

func (d *decoder) adminTLS(e *entry, p *path) *AdminTLS {
	before := len(d.errs)
	o := d.object(&adminTLSSection, p, e.key, e.vals...)
	t := AdminTLS{Cert: d.file(o, "cert"), Key: d.file(o, "key"), ClientCA: d.file(o, "client_ca")}
	if len(d.errs) > before {
		return nil
	}
	d.keyPair(o, t.Cert, t.Key)
	return &t
}

// reason is why a file operation failed, without the path that the message has already.
func reason(err error) string {
	var pe *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "no such file"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied"
	case errors.As(err, &pe):
		return pe.Err.Error()
	}
	return err.Error()
}

// doubt notes what is allowed and probably not meant.
func (d *decoder) doubt(at document.Node, p *path, format string, args ...any) {
	d.spec.Warnings = append(d.spec.Warnings, Error{
		File: at.Name(), Line: at.Line(), Col: at.Col(), Path: p.String(), Msg: fmt.Sprintf(format, args...),
	})
}

// warn notes what is allowed and probably not meant, once all is decoded.
func (d *decoder) warn(docs []origin) {
	note := func(at document.Node, p, msg string) {
		e := Error{File: docs[0].top.Name(), Path: p, Msg: msg}
		if !at.IsZero() {
			e.File, e.Line, e.Col = at.Name(), at.Line(), at.Col()
		}
		d.spec.Warnings = append(d.spec.Warnings, e)
	}
	if d.spec.Node.DataDir == "" && (len(d.pools) > 0 || len(d.spec.Zones) == 0) { // nothing is judged without pools
		note(document.Node{}, "node.data_dir", "not stated: health is kept in memory only and lost at a restart")
	}
	if !d.everybody.IsZero() {
		note(d.everybody, "dns.proxy_protocol.trusted", "a network of all addresses: everybody can state any client")
	}
	d.warnConduct()
	if len(d.spec.Zones) == 0 {
		note(document.Node{}, "zones", "not stated: every query is refused")
	}
	for name, pool := range d.pools {
		if !d.used["pool "+name] {
			note(d.refs[pool], "pools."+name, "no service uses this pool")
		}
	}
	for name, n := range d.named {
		if !d.used["policy "+name] {
			note(n.entry.key, "policies."+name, "no service uses this policy")
		}
	}
	for pool := range d.idlePorts() {
		note(d.refs[pool], "pools."+pool.Name+".endpoints", "the port of an endpoint is for SRV records only, and no service with srv uses this pool; checks have a port of their own")
	}
	for pool := range d.idleLimits() {
		note(d.refs[pool], "pools."+pool.Name+".hard_limit", "no service that uses this pool has the filter shed, for which the limits of load are")
	}
	for name, check := range d.checks {
		if !d.used["check "+name] && !d.common[d.checkAt[check].Name()] {
			note(d.checkAt[check], "checks."+name, "no pool uses this check")
		}
	}
	// Maps have no order, and warnings without a line would keep theirs.
	slices.SortFunc(d.spec.Warnings, func(a, b Error) int { return cmp.Compare(a.Path, b.Path) })
	(*Errors)(&d.spec.Warnings).sort()
}
