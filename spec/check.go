package spec

import (
	"crypto/x509"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/spec/document"
)

func (d *decoder) allChecks(p *path, entries []*entry) {
	for _, e := range entries {
		before := len(d.errs)
		c := d.check(e, p.dot(e.name))
		if len(d.errs) > before {
			c = nil // known, so that references to it are no errors of their own
		}
		d.checks[e.name] = c
		if c != nil {
			d.checkAt[c] = e.key
			d.spec.Checks[e.name] = c
		}
	}
}

// checkKeys are the keys that only some types of check have.
var checkKeys = map[string][]CheckType{
	"method":           {CheckHTTP, CheckHTTPS},
	"path":             {CheckHTTP, CheckHTTPS},
	"headers":          {CheckHTTP, CheckHTTPS},
	"status":           {CheckHTTP, CheckHTTPS},
	"body":             {CheckHTTP, CheckHTTPS},
	"follow_redirects": {CheckHTTP, CheckHTTPS},
	"host":             {CheckHTTP, CheckHTTPS, CheckTLS},
	"verify":           {CheckHTTPS, CheckTLS},
	"ca":               {CheckHTTPS, CheckTLS},
}

func (d *decoder) check(e *entry, p *path) *Check {
	if !d.name(e, p, "check") {
		return nil
	}
	o := d.object(&checkSection, p, e.key, e.vals...)
	typ, ok := d.checkType(o)
	for _, k := range o.keys {
		if types, some := checkKeys[k.name]; some && ok && !slices.Contains(types, typ) {
			names := make([]string, len(types))
			for i, t := range types {
				names[i] = string(t)
			}
			d.fail(k.key, p.dot(k.name), "only for %s checks", and(names))
		}
	}
	c := &Check{
		Name: strings.Clone(e.name), Type: typ,
		Interval: o.duration("interval"), Timeout: o.duration("timeout"),
		Rise: int(o.integer("rise")), Fall: int(o.integer("fall")),
		Host: d.checkHost(o),
	}
	switch {
	case o.get("port") != nil:
		c.Port = uint16(o.integer("port"))
	case typ == CheckHTTP:
		c.Port = 80
	case typ == CheckTCP:
		d.fail(e.key, p, "the key \"port\" is missing: a tcp check has no default port")
	default:
		c.Port = 443
	}
	if c.Timeout > c.Interval {
		at := o.get("timeout")
		if at == nil {
			at = o.get("interval")
		}
		d.fail(at.val(), p.dot("timeout"), "%s is longer than the interval of %s: state a shorter timeout or a longer interval", c.Timeout, c.Interval)
	}
	if typ == CheckHTTP || typ == CheckHTTPS {
		d.request(c, o)
	}
	if typ == CheckHTTPS || typ == CheckTLS {
		c.Verify = o.boolean("verify")
		c.CA = d.checkCA(o)
	}
	return c
}

// name is whether a check or pool may be called so.
func (d *decoder) name(e *entry, p *path, what string) bool {
	if e.name == "" || strings.ContainsFunc(e.name, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		d.fail(e.key, p, "the name of a %s is a word without spaces", what)
		return false
	}
	return true
}

func (d *decoder) checkType(o *object) (CheckType, bool) {
	e := o.get("type")
	if e == nil {
		return "", false
	}
	p := o.path.dot("type")
	s, ok := d.text(e.val(), p)
	if !ok {
		return "", false
	}
	works, known := checkTypes[s]
	switch {
	case !known:
		d.fail(e.val(), p, "%s", unknown("check type", s, maps.Keys(checkTypes)))
	case !works:
		d.fail(e.val(), p, notAvailable)
	default:
		return CheckType(s), true
	}
	return "", false
}

func (d *decoder) checkHost(o *object) string {
	e := o.get("host")
	if e == nil {
		return ""
	}
	p := o.path.dot("host")
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

// request decodes what only http and https checks have.
func (d *decoder) request(c *Check, o *object) {
	c.Method, c.Path, c.Body = o.text("method"), o.text("path"), o.text("body")
	c.FollowRedirects = o.boolean("follow_redirects")
	if !token(c.Method) {
		d.fail(o.get("method").val(), o.path.dot("method"), "%q is not an HTTP method", c.Method)
	}
	if !strings.HasPrefix(c.Path, "/") {
		d.fail(o.get("path").val(), o.path.dot("path"), "must begin with /: write /%s", c.Path)
	} else if strings.ContainsFunc(c.Path, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }) {
		d.fail(o.get("path").val(), o.path.dot("path"), "spaces, # and letters outside ASCII must be percent-encoded")
	}
	if _, err := regexp.Compile(c.Body); err != nil {
		d.fail(o.get("body").val(), o.path.dot("body"), "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	c.Status = []StatusRange{{200, 299}}
	if e := o.get("status"); e != nil {
		c.Status = d.statuses(e.val(), o.path.dot("status"))
	}
	if e := o.get("headers"); e != nil {
		c.Headers = d.headers(e, o.path.dot("headers"))
	}
}

func (d *decoder) statuses(r document.Node, p *path) []StatusRange {
	if r.Kind() != document.Sequence {
		s, _ := d.status(r, p)
		return []StatusRange{s}
	}
	var out []StatusRange
	items := d.list(r, p)
	if len(items) == 0 {
		d.fail(r, p, "the list is empty: state at least one status code")
	}
	for i, it := range items {
		if s, ok := d.status(it, p.at(i)); ok {
			out = append(out, s)
		}
	}
	return out
}

func (d *decoder) status(r document.Node, p *path) (StatusRange, bool) {
	s, ok := d.text(r, p)
	if !ok {
		return StatusRange{}, false
	}
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	lo, errLo := strconv.Atoi(from)
	hi, errHi := strconv.Atoi(to)
	switch {
	case errLo != nil || errHi != nil:
		d.fail(r, p, "a status code such as 200 or a range such as 200-299 is expected, not %q", s)
	case lo < 100 || hi > 599:
		d.fail(r, p, "%s is out of range: 100 to 599", s)
	case lo > hi:
		d.fail(r, p, "%s is an empty range: write %d-%d", s, hi, lo)
	default:
		return StatusRange{lo, hi}, true
	}
	return StatusRange{}, false
}

func (d *decoder) headers(e *entry, p *path) map[string]string {
	out := map[string]string{}
	first := map[string]document.Node{}
	for _, h := range d.entries(p, e.vals, func(string) bool { return false }) {
		hp := p.dot(h.name)
		v, ok := d.text(h.val(), hp)
		lower := strings.ToLower(h.name)
		at, twice := first[lower]
		switch {
		case !ok:
		case !token(h.name):
			d.fail(h.key, hp, "%q is not the name of a header", h.name)
		case lower == "host":
			d.fail(h.key, hp, "the host has a key of its own: write host: %s beside headers", v)
		case twice:
			d.fail(h.key, hp, "stated twice; first at %s", where(at))
		case strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			d.fail(h.val(), hp, "a header is one line of text")
		default:
			first[lower] = h.key
			out[h.name] = v
		}
	}
	return out
}

// token is whether s is one, as RFC 9110 section 5.6.2 has it.
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

// and is "a", "a and b" or "a, b and c".
func and(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
