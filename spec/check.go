package spec

import (
	"crypto/x509"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/spec/document"
)

// checkKind is one kind of check: the types that share its keys.
type checkKind struct {
	types   []CheckType
	section *section // of the keys that it has besides those of all checks
	lacks   []string // of those of all checks
	// ports are the default ports by type, where the kind has the key "port" and it need not
	// be stated.
	ports map[CheckType]uint16
	named bool // it asks for a name: the service's, unless host is stated
	// scripted: its probes depend on more of the endpoint than the address.
	scripted bool
	// decode sets Ask and TLS of a check; nil: there is nothing to set.
	decode func(d *decoder, c *Check, o *object)

	all section // the keys of all checks but what it lacks, and its own
}

// checkKinds are in the order of the reference. A kind is a file: its section, its
// decoding, and a line here.
var checkKinds = []*checkKind{
	httpKind, tcpKind, tlsKind, mysqlKind, postgresKind, redisKind, prometheusKind, grpcKind, icmpKind, dnsKind, smtpKind, scriptKind, luaKind,
	externalKind, calculatedKind,
}

// anyCheck has the keys of all kinds, for a check whose type is not known.
var anyCheck = section{title: "check", fields: slices.Clone(checkSection.fields)}

func init() {
	for _, k := range checkKinds {
		common := slices.DeleteFunc(slices.Clone(checkSection.fields), func(f field) bool { return slices.Contains(k.lacks, f.name) })
		k.all = section{title: k.section.title, fields: append(common, k.section.fields...)}
		for _, f := range k.section.fields {
			if anyCheck.field(f.name) == nil {
				f.need = false
				anyCheck.fields = append(anyCheck.fields, f)
			}
		}
	}
	anyUse.fields = append(slices.Clone(useSection.fields), anyCheck.fields...)
	anyUse.field("type").need = false
}

func kindOf(t CheckType) *checkKind {
	for _, k := range checkKinds {
		if slices.Contains(k.types, t) {
			return k
		}
	}
	return nil
}

// Named is whether checks of the type ask for a name: the service's host, unless
// they state one.
func (t CheckType) Named() bool {
	k := kindOf(t)
	return k != nil && k.named
}

// typesWith are the types that have a key, as a message lists them.
func typesWith(key string) string {
	var types []string
	for _, k := range checkKinds {
		if k.section.field(key) != nil {
			for _, t := range k.types {
				types = append(types, string(t))
			}
		}
	}
	return and(types)
}

func (d *decoder) allChecks(p *path, entries []*entry) {
	var calculated []*Check
	for _, e := range entries {
		before := len(d.errs)
		c := d.check(e, p.dot(e.name))
		if d.calculations[c] != nil {
			calculated = append(calculated, c)
		}
		if len(d.errs) > before {
			c = nil // known, so that references to it are no errors of their own
		}
		d.checks[e.name] = c
		if c != nil {
			d.checkAt[c], d.checkPlace[c], d.checkEntries[e.name] = e.key, p.dot(e.name), e
			d.spec.Checks[e.name] = c
		}
	}
	for _, c := range calculated {
		d.resolve(c)
	}
}

func (d *decoder) check(e *entry, p *path) *Check {
	if !d.name(e, p, "check") {
		return nil
	}
	o := d.object(&anyCheck, p, e.key, e.vals...)
	return d.checkOf(strings.Clone(e.name), d.checkType(o), o)
}

// checkOf is the check of a type that an object states.
func (d *decoder) checkOf(name string, typ CheckType, o *object) *Check {
	c := &Check{Name: name, Type: typ, DegradedShare: 1}
	kind := kindOf(typ)
	if kind == nil {
		d.pace(c, o)
		return c
	}
	o.narrow(&kind.all, func(k *entry) {
		if checkSection.field(k.name) != nil {
			d.fail(k.key, o.path.dot(k.name), "not for checks of type %s", typ)
			return
		}
		d.fail(k.key, o.path.dot(k.name), "only for %s checks", typesWith(k.name))
	})
	for _, e := range d.defaults {
		if kind.all.field(e.name) != nil && o.get(e.name) == nil {
			o.keys = append(o.keys, e)
		}
	}
	d.pace(c, o)
	if kind.named {
		c.Host = d.checkHost(o)
	}
	if kind.section.field("port") != nil {
		c.Port = kind.ports[typ]
		if o.get("port") != nil {
			c.Port = uint16(o.integer("port"))
		}
	}
	if kind.decode != nil {
		kind.decode(d, c, o)
	}
	return c
}

// pace decodes when a check is made and what its results come to, as far as its
// type has keys for that.
func (d *decoder) pace(c *Check, o *object) {
	if o.sec.field("interval") != nil {
		d.rhythm(c, o)
	}
	if e := o.get("target"); e != nil && o.sec.field("target") != nil {
		d.aimed(c, e.val(), o.path.dot("target"))
	}
	if o.sec.field("on_fail") != nil {
		c.OnlyDegrades = o.word("on_fail") == "degraded"
	}
	c.DegradedShare = 0.5
	if e := o.get("degraded_share"); e != nil {
		p := o.path.dot("degraded_share")
		before := len(d.errs)
		if c.DegradedShare = d.percentage(e.val(), p); c.DegradedShare < 0.01 && len(d.errs) == before {
			d.fail(e.val(), p, "an endpoint that is degraded is left something: 1%% to 100%%")
		}
	}
}

// aimed decodes what is probed in the place of the endpoint.
func (d *decoder) aimed(c *Check, r document.Node, p *path) {
	s, ok := d.text(r, p)
	if !ok {
		return
	}
	addr, host, why := address(s)
	if why != "" {
		d.fail(r, p, "%s", why)
		return
	}
	if c.TargetAddr = addr; host != "" {
		c.TargetHost = strings.TrimSuffix(host.String(), ".")
	}
}

// rhythm decodes when probes are made, and how many of them decide.
func (d *decoder) rhythm(c *Check, o *object) {
	c.Interval, c.Timeout = o.duration("interval"), o.duration("timeout")
	c.Rise, c.Fall = int(o.integer("rise")), int(o.integer("fall"))
	if c.Timeout > c.Interval {
		at := o.nearest("timeout", "interval")
		d.fail(at.val(), o.path.dot("timeout"), "%s is longer than the interval of %s: state a shorter timeout or a longer interval", c.Timeout, c.Interval)
	}
	c.Confirm = min(defaultConfirm, c.Interval)
	if e := o.get("confirm"); e != nil {
		c.Confirm = o.duration("confirm")
		if c.Confirm > c.Interval && e.layer <= o.layerOf("interval") {
			d.fail(e.val(), o.path.dot("confirm"), "%s is longer than the interval of %s: state a shorter one, or %s to wait as long as ever", c.Confirm, c.Interval, c.Interval)
		}
		c.Confirm = min(c.Confirm, c.Interval) // of a check whose interval is shorter than the default would have it
	}
	if e := o.get("degraded_above"); e != nil {
		c.DegradedAbove = o.duration("degraded_above")
		switch {
		case c.DegradedAbove < c.Timeout:
		case e.layer <= o.layerOf("timeout"):
			d.fail(e.val(), o.path.dot("degraded_above"), "no success takes longer than the timeout of %s: state less", c.Timeout)
		default:
			c.DegradedAbove = 0
		}
	}
}

// defaultConfirm is from a failure to the next probe: at the default fall of 3, what
// refuses connections is down some two seconds after the first failure.
const defaultConfirm = time.Second

// name is whether a check or pool may be called so.
func (d *decoder) name(e *entry, p *path, what string) bool {
	if e.name == "" || strings.ContainsFunc(e.name, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		d.fail(e.key, p, "the name of a %s is a word without spaces", what)
		return false
	}
	return true
}

// checkType is the type of a check, "" when it is missing or wrong.
func (d *decoder) checkType(o *object) CheckType {
	e := o.get("type")
	if e == nil {
		return ""
	}
	p := o.path.dot("type")
	s, ok := d.text(e.val(), p)
	if !ok {
		return ""
	}
	if kindOf(CheckType(s)) != nil {
		return CheckType(s)
	}
	d.fail(e.val(), p, "%s", unknown("check type", s, func(yield func(string) bool) {
		for _, k := range checkKinds {
			for _, t := range k.types {
				if !yield(string(t)) {
					return
				}
			}
		}
	}))
	return ""
}

func (d *decoder) checkHost(o *object) string { return d.checkName(o, "host") }

// checkName is the host name or address that a key states, "" when it does not.
func (d *decoder) checkName(o *object, name string) string {
	e := o.get(name)
	if e == nil {
		return ""
	}
	p := o.path.dot(name)
	s, ok := d.text(e.val(), p)
	if !ok {
		return ""
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return s
	}
	if why := badHost(s); why != "" {
		d.fail(e.val(), p, "%q is not a host name: %s", s, why)
	}
	return strings.TrimSuffix(s, ".")
}

// secure is the TLS side of a check, from the keys of secureFields.
func (d *decoder) secure(o *object) *Secure {
	s := &Secure{Verify: o.boolean("verify"), CA: d.checkCA(o), SNI: d.checkName(o, "sni")}
	cert, key := o.get("cert"), o.get("key")
	switch {
	case cert != nil && key != nil:
		s.Cert, s.Key = d.file(o, "cert"), d.file(o, "key")
		if s.Cert != "" && s.Key != "" {
			d.keyPair(o, s.Cert, s.Key)
		}
	case cert != nil:
		d.fail(cert.key, o.path.dot("cert"), "the private key is missing: state key as well")
	case key != nil:
		d.fail(key.key, o.path.dot("key"), "the certificate is missing: state cert as well")
	}
	return s
}

// secureWhen is the TLS side of a check that has one when the key named by remedy
// says so. Otherwise its keys would do nothing.
func (d *decoder) secureWhen(on bool, remedy string, o *object) *Secure {
	if on {
		return d.secure(o)
	}
	for _, f := range secureFields {
		if e := o.get(f.name); e != nil {
			d.fail(e.key, o.path.dot(f.name), "only for checks with %s", remedy)
		}
	}
	return nil
}

// expression is the regular expression under a key, "" when it is not stated.
func (o *object) expression(name string) string {
	s := o.text(name)
	if _, err := regexp.Compile(s); err != nil {
		o.d.fail(o.get(name).val(), o.path.dot(name), "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return s
}

// secureFields are the keys of secure.
var secureFields = []field{
	{name: "verify", typ: "true or false", def: "true", doc: "Whether the certificate must be valid for the host."},
	{name: "ca", typ: "PEM file", prose: "the system's roots", doc: "Who may have signed the certificate; relative to the file that states it."},
	{name: "sni", typ: "host name", prose: "the host", doc: "The name that is sent in the TLS handshake and that the certificate must be valid for, where it is another than the host."},
	{name: "cert", typ: "PEM file", prose: "none", doc: "The client certificate, with those between it and its authority, for a server that asks for one; relative to the file that states it."},
	{name: "key", typ: "PEM file", prose: "none", doc: "The private key of `cert`. One that everybody can read is refused."},
}

// hostField is the key host of the kinds that ask for a name.
var hostField = field{name: "host", typ: "host name", prose: "the service's host name", doc: "The name that is asked for, as the Host header and in the TLS handshake. State it when many services share a pool, so that they share its probes."}

func (d *decoder) checkCA(o *object) string {
	e := o.get("ca")
	if e == nil {
		return ""
	}
	p := o.path.dot("ca")
	file := d.pemFile(e.val(), p)
	if file == "" {
		return ""
	}
	b, err := os.ReadFile(file)
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(b) {
		d.fail(e.val(), p, "%s holds no certificate", e.val().Raw())
	}
	return file
}

// and is "a", "a and b" or "a, b and c".
func and(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
