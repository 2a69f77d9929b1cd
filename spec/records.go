package spec

import (
	"encoding/base64"
	"slices"
	"strconv"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec/document"
)

// svcParams are the words of mandatory (RFC 9460 section 14.3.2).
var svcParams = map[string]uint16{
	"mandatory": dnswire.SVCMandatory, "alpn": dnswire.SVCALPN, "no-default-alpn": dnswire.SVCNoDefaultALPN,
	"port": dnswire.SVCPort, "ipv4hint": dnswire.SVCIPv4Hint, "ech": dnswire.SVCECH, "ipv6hint": dnswire.SVCIPv6Hint,
}

// mandatable are those that can be mandatory here, in the order of their keys.
var mandatable = []string{"alpn", "no-default-alpn", "port", "ech"}

// records decodes what a service answers besides addresses and host names.
func (d *decoder) records(pol *Policy, o *object) {
	pol.HTTPS, pol.SVCB = d.svcb(o, "https"), d.svcb(o, "svcb")
	d.srv(pol, o)
	pol.TXT = d.txt(o)
	if pol.DebugTXT = o.boolean("debug_txt"); pol.DebugTXT && len(pol.TXT) > 0 {
		d.fail(o.get("debug_txt").key, o.path.dot("debug_txt"), "txt is stated as well, and a name has one set of TXT records: remove one of them")
	}
	pol.Flatten = o.boolean("flatten")
}

func (d *decoder) svcb(o *object, key string) *SVCB {
	e := o.get(key)
	if e == nil {
		return nil
	}
	p := o.path.dot(key)
	if v := e.val(); v.Kind() != document.Mapping && !v.Null() {
		d.fail(v, p, "a map is expected, not %s: write {} for a record without parameters of its own", d.describe(v))
		return nil
	}
	m := d.object(&svcbSection, p, e.key, e.vals...)
	s := &SVCB{
		Priority: uint16(m.integer("priority")), ALPN: d.alpn(m),
		NoDefaultALPN: m.boolean("no_default_alpn"), Port: uint16(m.integer("port")), Hints: m.boolean("hints"),
	}
	if s.NoDefaultALPN && len(m.list("alpn")) == 0 {
		d.fail(m.get("no_default_alpn").val(), p.dot("no_default_alpn"), "needs alpn: without the default and without others no protocol is left")
	}
	s.ECH = d.ech(m)
	s.Mandatory = d.mandatory(m)
	return s
}

func (d *decoder) alpn(m *object) []string {
	p := m.path.dot("alpn")
	items := m.list("alpn")
	for i, it := range items {
		if s, ok := d.text(it, p.at(i)); ok && len(s) > 255 {
			d.fail(it, p.at(i), "%d bytes are too long for the name of a protocol: at most 255", len(s))
		}
	}
	return d.words(items, p)
}

// ech is an ECHConfigList, which is opaque here.
func (d *decoder) ech(m *object) []byte {
	e := m.get("ech")
	if e == nil {
		return nil
	}
	p := m.path.dot("ech")
	s, ok := d.text(e.val(), p)
	if !ok {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(s)
	switch {
	case err != nil:
		d.fail(e.val(), p, "not base64 (RFC 4648 section 4, with its padding): %s", err)
	case len(b) == 0:
		d.fail(e.val(), p, "a value is missing")
	}
	return b
}

// mandatory is the list of keys that a client must understand to use the record.
func (d *decoder) mandatory(m *object) []uint16 {
	p := m.path.dot("mandatory")
	var out []uint16
	first := map[string]document.Node{}
	for i, it := range m.list("mandatory") {
		s, ok := d.text(it, p.at(i))
		if !ok {
			continue
		}
		key, known := svcParams[s]
		at, twice := first[s]
		first[s] = it
		switch {
		case !known:
			d.fail(it, p.at(i), "%s", unknown("parameter", s, slices.Values(mandatable)))
		case twice:
			d.fail(it, p.at(i), "%q is stated twice; first at %s", s, where(at))
		case key == dnswire.SVCMandatory:
			d.fail(it, p.at(i), "mandatory is so by itself and must not be in its own list (RFC 9460 section 8)")
		case !slices.Contains(mandatable, s):
			d.fail(it, p.at(i), "hints come and go with the health of the endpoints, and a record without a parameter that it calls mandatory is malformed: remove %s", s)
		case !d.present(m, key):
			d.fail(it, p.at(i), "the record has no %s: state it, or remove it here", s)
		default:
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// present is whether a map states the parameter of a key, be it wrong.
func (d *decoder) present(m *object, key uint16) bool {
	switch key {
	case dnswire.SVCALPN:
		return len(m.list("alpn")) > 0
	case dnswire.SVCNoDefaultALPN:
		return m.boolean("no_default_alpn")
	case dnswire.SVCPort:
		return m.get("port") != nil
	default:
		return m.get("ech") != nil
	}
}

func (d *decoder) srv(pol *Policy, o *object) {
	e := o.get("srv")
	switch {
	case e == nil:
	case e.val().Kind() == document.Mapping:
		m := d.object(&srvSection, o.path.dot("srv"), e.key, e.vals...)
		pol.SRV, pol.SRVPort = true, uint16(m.integer("port"))
	default:
		pol.SRV = o.boolean("srv")
	}
}

// maxTXT is how many TXT records a service has at most: more are a mistake, and
// a name with many is a gift to whoever amplifies.
const maxTXT = 64

func (d *decoder) txt(o *object) []string {
	e := o.get("txt")
	if e == nil {
		return nil
	}
	p := o.path.dot("txt")
	items := d.list(e.val(), p)
	if len(items) > maxTXT {
		d.fail(e.val(), p, "%d records are too many: at most %d", len(items), maxTXT)
		return nil
	}
	var out []string
	first := map[string]document.Node{}
	size := 0
	for i, it := range items {
		s, ok := d.text(it, p.at(i))
		if !ok {
			continue
		}
		if at, twice := first[s]; twice {
			d.fail(it, p.at(i), "stated twice; first at %s", where(at))
			continue
		}
		first[s] = it
		out = append(out, s)
		size += fixedOctets + len(s) + max(1, (len(s)+254)/255)
	}
	if size > messageRoom {
		d.fail(e.val(), p, "the records take %d bytes and do not fit into a DNS message of 64 KiB: at most %d", size, messageRoom)
	}
	return out
}

// flatten makes what the policy states of it what holds. A
// name with a CNAME has no other data (RFC 1034 section 3.6.2), so host names are
// answered as addresses wherever there is some.
func (d *decoder) flatten(pol *Policy, o *object, apex bool) {
	stated := pol.Flatten
	pol.Flatten = false
	names, addresses := false, false
	for _, pool := range pol.all() {
		for i := range pool.Endpoints {
			host := pool.Endpoints[i].Host != ""
			names, addresses = names || host, addresses || !host
		}
	}
	if !names {
		return // nothing depends on it
	}
	why := ""
	switch {
	case apex:
		why = "the zone's own name has SOA and NS records"
	case addresses:
		why = "the service has addresses as well as host names"
	case pol.HTTPS != nil:
		why = "the service has https as well"
	case pol.SVCB != nil:
		why = "the service has svcb as well"
	case pol.SRV:
		why = "the service has srv as well"
	case len(pol.TXT) > 0:
		why = "the service has txt as well"
	case pol.DebugTXT:
		why = "the service has debug_txt as well"
	}
	pol.Flatten = stated || why != ""
	if e := o.get("flatten"); e != nil && why != "" && !stated {
		d.fail(e.val(), o.path.dot("flatten"), "cannot be false: %s, and a name with a CNAME has no other data", why)
	}
}

// ports checks that every endpoint of a policy with SRV records has a port.
func (d *decoder) ports(pol *Policy, o *object) {
	if !pol.SRV || pol.SRVPort != 0 {
		return
	}
	for _, pool := range pol.all() {
		for i := range pool.Endpoints {
			if end := &pool.Endpoints[i]; end.Port == 0 {
				d.fail(o.get("srv").val(), o.path.dot("srv"), "the endpoint %s of the pool %s has no port: state port: there, or srv: {port: PORT} here for all that have none", end.String(), pool.Name)
				return
			}
		}
	}
}

// idlePorts are the pools that state ports and that only services without SRV
// records use.
func (d *decoder) idlePorts() map[*Pool]bool {
	idle := map[*Pool]bool{}
	for name, pool := range d.pools {
		if d.used["pool "+name] && pool.Nested == nil && slices.ContainsFunc(pool.Endpoints, func(e Endpoint) bool { return e.Port != 0 }) {
			idle[pool] = true
		}
	}
	for _, use := range d.policies.all {
		if use.policy.SRV {
			for _, pool := range use.policy.leaves(true) {
				delete(idle, pool)
			}
		}
	}
	return idle
}

// srvTarget is the longest label below a service's name that the target of an
// address in SRV records needs: an IPv6 address with its length octet.
const srvTarget = 1 + len("2001-0db8-0000-0000-0000-0000-0000-0001")

// srvFits is whether a service of this name can have the SRV records of its
// policy: all endpoints of its pools, or of its reserve, in one message. Targets
// are not compressed (RFC 2782).
func (d *decoder) srvFits(pol *Policy, k document.Node, label string, p *path, zone dnswire.Name) bool {
	name := len(zone)
	if label != "@" {
		name += 1 + len(label)
	}
	groups := [][]*Pool{pol.Pools}
	if pol.AllDown.Pool != nil {
		groups = append(groups, []*Pool{pol.AllDown.Pool})
	}
	for _, group := range groups {
		size, n := 0, 0
		for _, pool := range group {
			for i := range pool.Endpoints {
				e := &pool.Endpoints[i]
				n++
				size += fixedOctets + 6 // priority, weight and port
				if e.Host != "" {
					size += len(e.Host)
					continue
				}
				size += srvTarget + name
				switch {
				case label[0] == '*':
					d.fail(k, p.dot(label), "the SRV record of an address needs a name below the service's, and a wildcard has no name of its own: state a host name in place of %s, or remove srv", e.String())
					return false
				case srvTarget+name > 255:
					d.fail(k, p.dot(label), "the SRV record of an address needs a name below the service's, and this one leaves no room for %d bytes: take a shorter name, or remove srv", srvTarget)
					return false
				}
			}
		}
		if size > messageRoom {
			d.fail(k, p.dot(label), "%d SRV records take up to %d bytes and do not fit into a DNS message of 64 KiB: take fewer endpoints or a shorter name, or remove srv", n, size)
			return false
		}
	}
	return true
}

// svcbFits checks that a record with so many hints of each family fits into a message.
func (d *decoder) svcbFits(s *SVCB, o *object, key string, hints [hostFamily]int) {
	if s == nil {
		return
	}
	params := dnswire.SVCParams{Mandatory: s.Mandatory, ALPN: s.ALPN, NoDefaultALPN: s.NoDefaultALPN, Port: s.Port, ECH: s.ECH}
	size := fixedOctets + 2 + 1 + params.Len() // priority and the target "."
	hint := ""
	if s.Hints {
		size += 4 + 4*hints[0] + 4 + 16*hints[1]
		hint = ", hints: false or fewer answers"
	}
	if size > messageRoom {
		d.fail(o.get(key).val(), o.path.dot(key), "the record takes up to %d bytes and does not fit into a DNS message of 64 KiB: state shorter parameters%s", size, hint)
	}
}

// appendMean appends what p has besides endpoints, for Policy.mean.
func (p *Policy) appendMean(b []byte) []byte {
	for i, s := range []*SVCB{p.HTTPS, p.SVCB} {
		if s == nil {
			continue
		}
		b = append(b, [...]string{" https", " svcb"}[i]...)
		for _, n := range []uint16{s.Priority, s.Port} {
			b = strconv.AppendUint(append(b, ' '), uint64(n), 10)
		}
		b = strconv.AppendBool(strconv.AppendBool(b, s.NoDefaultALPN), s.Hints)
		for _, id := range s.ALPN {
			b = strconv.AppendQuote(b, id)
		}
		for _, key := range s.Mandatory {
			b = strconv.AppendUint(append(b, '!'), uint64(key), 10)
		}
		b = strconv.AppendQuote(b, string(s.ECH))
	}
	if p.SRV {
		b = strconv.AppendUint(append(b, " srv "...), uint64(p.SRVPort), 10)
	}
	if len(p.TXT) > 0 {
		b = append(b, " txt "...)
		for _, s := range p.TXT {
			b = strconv.AppendQuote(b, s)
		}
	}
	if p.DebugTXT {
		b = append(b, " debug_txt"...)
	}
	if p.Flatten {
		b = append(b, " flatten"...)
	}
	return b
}
