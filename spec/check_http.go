package spec

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/spec/document"
)

var httpKind = &checkKind{
	types: []CheckType{CheckHTTP, CheckHTTPS}, section: &httpSection, named: true,
	ports:  map[CheckType]uint16{CheckHTTP: 80, CheckHTTPS: 443},
	decode: (*decoder).httpCheck,
}

var httpSection = section{
	title: "checks: http and https",
	intro: "One request, and what comes back: https is the same over TLS.",
	fields: append([]field{
		{name: "port", typ: "integer", prose: "80, of https 443", lo: 1, hi: 65535, doc: "Where the endpoint listens."},
		hostField,
		{name: "method", typ: "text", def: "GET", doc: "Of the request."},
		{name: "path", typ: "text", def: "/", doc: "With the query, if any."},
		{name: "headers", typ: "map of text", def: "{}", doc: "Sent with the request."},
		{name: "status", typ: "code, range or list", def: "[200-299]", doc: "The status codes that mean success."},
		{name: "body", typ: "regular expression", prose: "not read", doc: "Must be found in the first 64 KiB of the body."},
		{name: "follow_redirects", typ: "true or false", def: "false", doc: "Whether the response at the end of at most 10 redirects is judged."},
	}, forHTTPS(secureFields)...),
	example: `checks:
  web:
    type: https
    path: /healthz
    host: www.example.com
    headers: {User-Agent: rhumb}
    status: [200, 204, 300-399]
    interval: 5s
    timeout: 2s
`,
}

// forHTTPS says of fields that plain http does not have them.
func forHTTPS(fields []field) []field {
	out := slices.Clone(fields)
	for i := range out {
		out[i].doc += " For https."
	}
	return out
}

func (d *decoder) httpCheck(c *Check, o *object) {
	a := &HTTPCheck{}
	c.Ask = a
	if c.Type == CheckHTTPS {
		c.TLS = d.secure(o)
	} else {
		for _, f := range secureFields {
			if e := o.get(f.name); e != nil {
				d.fail(e.key, o.path.dot(f.name), "only for checks of type https")
			}
		}
	}
	d.request(a, o)
}

// request decodes what is asked and expected.
func (d *decoder) request(c *HTTPCheck, o *object) {
	c.Method, c.Path, c.Body = o.text("method"), o.text("path"), o.text("body")
	c.FollowRedirects = o.boolean("follow_redirects")
	if !token(c.Method) {
		d.fail(o.get("method").val(), o.path.dot("method"), "%q is not an HTTP method", c.Method)
	}
	d.checkPath(o, c.Path)
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

// checkPath refuses a path that a request cannot have.
func (d *decoder) checkPath(o *object, path string) {
	if !strings.HasPrefix(path, "/") {
		d.fail(o.get("path").val(), o.path.dot("path"), "must begin with /: write /%s", path)
	} else if strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }) {
		d.fail(o.get("path").val(), o.path.dot("path"), "spaces, # and letters outside ASCII must be percent-encoded")
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
