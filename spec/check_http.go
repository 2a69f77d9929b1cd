package spec

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/jsonpath"
	"github.com/rhumb-dns/rhumb/spec/document"
)

var httpKind = &checkKind{
	types: []CheckType{CheckHTTP, CheckHTTPS}, section: &httpSection, named: true,
	ports:  map[CheckType]uint16{CheckHTTP: 80, CheckHTTPS: 443},
	decode: (*decoder).httpCheck,
}

// HTTPCheck is what http and https checks ask.
type HTTPCheck struct {
	Version     string // "1.1", "2" or "3"
	Method      string
	Path        string
	Headers     map[string]string
	Send        string // the request's body; empty: none
	ContentType string // of Send; empty: not said
	// User and Password, or Bearer, are the login; empty: none.
	User, Password, Bearer string

	Status          []StatusRange
	ResponseHeaders map[string][]Condition
	Body            string                 // regular expression, searched for in the first 64 KiB
	JSON            map[string][]Condition // by paths as package jsonpath has them
	FollowRedirects bool
}

var httpSection = section{
	title: "checks: http and https",
	intro: "One request, and what comes back: https is the same over TLS. See [HTTP](health.md#http).",
	fields: append(slices.Concat([]field{
		{name: "port", typ: "integer", prose: "80, of https 443", lo: 1, hi: 65535, doc: "Where the endpoint listens; with version 3 over UDP."},
		hostField,
		{name: "version", typ: "word", def: "1.1", words: []string{"1.1", "2", "3"}, doc: "Of HTTP, and no other. 2 is agreed upon in the TLS handshake, and spoken at once where there is none; 3 is for https."},
		{name: "method", typ: "text", prose: "GET; with `send` POST", def: "GET", doc: "Of the request."},
		{name: "path", typ: "text", def: "/", doc: "With the query, if any."},
		{name: "headers", typ: "map of text", def: "{}", doc: "Sent with the request."},
		{name: "send", typ: "text", prose: "none", doc: "The body of the request, at most 32 KiB."},
		{name: "content_type", typ: "text", prose: "not said", doc: "What `send` is, such as `application/json`."},
		{name: "basic", typ: "map", prose: "none", doc: "A login by user and password, see below."},
	}, withFile(field{name: "bearer", typ: "text", prose: "none", doc: "A login by token (RFC 6750)."}), []field{
		{name: "status", typ: "code, range or list", def: "[200-299]", doc: "The status codes that mean success."},
		{name: "response_headers", typ: "map of conditions", def: "{}", doc: "By the name of a header that the response must have, what its value must be: " + conditionDoc},
		{name: "body", typ: "regular expression", prose: "not read", doc: "Must be found in the first 64 KiB of the body."},
		{name: "json", typ: "map of conditions", def: "{}", doc: "By a path into the body (JSONPath, RFC 9535), what every value there must be, in the language of `response_headers`. Without such a value it is a failure."},
		{name: "follow_redirects", typ: "true or false", def: "false", doc: "Whether the response at the end of at most 10 redirects is judged."},
	}), forHTTPS(secureFields)...),
	example: `checks:
  web:
    type: https
    version: 2
    path: /healthz
    host: www.example.com
    headers: {User-Agent: rhumb}
    status: [200, 204, 300-399]
    response_headers: {Content-Type: "~ ^application/json"}
    json: {$.status: ok, "$.queues[*].length": < 1000}
    interval: 5s
    timeout: 2s
`,
}

var basicSection = section{
	title: "checks: http and https, basic",
	intro: "The user and the password of a login (RFC 7617). They go to the origin under probe only: the same scheme, host name and port.",
	example: `checks:
  web:
    type: https
    host: www.example.com
    basic: {user: probe, password: "${PROBE_PASSWORD:-}"}
`,
	fields: slices.Concat([]field{
		{name: "user", typ: "text", need: true, doc: "Without colon."},
	}, withFile(field{name: "password", typ: "text", prose: "empty", doc: "Of the user."})),
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
	a := &HTTPCheck{Version: o.word("version")}
	c.Ask = a
	if c.Type == CheckHTTPS {
		c.TLS = d.secure(o)
	} else {
		for _, f := range secureFields {
			if e := o.get(f.name); e != nil {
				d.fail(e.key, o.path.dot(f.name), "only for checks of type https")
			}
		}
		if a.Version == "3" {
			d.fail(o.get("version").val(), o.path.dot("version"), "only for checks of type https: HTTP/3 is never without TLS")
		}
	}
	d.request(a, o)
	d.login(a, o)
	d.response(a, o)
}

// request decodes what is asked.
func (d *decoder) request(c *HTTPCheck, o *object) {
	c.Method, c.Path = o.text("method"), o.text("path")
	c.FollowRedirects = o.boolean("follow_redirects")
	if !token(c.Method) {
		d.fail(o.get("method").val(), o.path.dot("method"), "%q is not an HTTP method", c.Method)
	}
	d.checkPath(o, c.Path)
	if e := o.get("headers"); e != nil {
		c.Headers = d.headers(e, o.path.dot("headers"))
	}
	d.content(c, o)
}

// maxBodySent is the longest body of a request.
const maxBodySent = 32 << 10

// content decodes the request's body.
func (d *decoder) content(c *HTTPCheck, o *object) {
	send, typ := o.get("send"), o.get("content_type")
	if send != nil {
		c.Send = o.text("send")
		if o.get("method") == nil {
			c.Method = "POST"
		}
		switch p := o.path.dot("send"); {
		case c.Send == "":
			d.fail(send.val(), p, "a value is missing")
		case len(c.Send) > maxBodySent:
			d.fail(send.val(), p, "%d bytes are too many: at most 32 KiB", len(c.Send))
		case c.Method == "HEAD" || c.Method == "TRACE":
			d.fail(send.key, p, "a %s request has no body: state another method", c.Method)
		}
	}
	if typ == nil {
		return
	}
	c.ContentType = o.text("content_type")
	p := o.path.dot("content_type")
	switch {
	case send == nil:
		d.fail(typ.key, p, "there is no body of that type: state send as well")
	case c.ContentType == "" || !singleLine(c.ContentType):
		d.fail(typ.val(), p, "a type such as application/json is expected")
	case header(c.Headers, "content-type"):
		d.fail(typ.key, p, "Content-Type is stated in headers as well: remove one of them")
	}
}

// login decodes basic and bearer.
func (d *decoder) login(c *HTTPCheck, o *object) {
	basic, bearer := o.get("basic"), o.get("bearer")
	if bearer == nil {
		bearer = o.get("bearer_file")
	}
	if basic != nil {
		b := d.object(&basicSection, o.path.dot("basic"), basic.key, basic.vals...)
		c.User, c.Password = b.text("user"), b.secretText("password")
		switch e := b.get("user"); {
		case e == nil:
		case c.User == "" || strings.Contains(c.User, ":") || !singleLine(c.User):
			d.fail(e.val(), b.path.dot("user"), "a name on one line, without colon, is expected")
		}
		if !singleLine(c.Password) {
			e := b.get("password")
			if e == nil {
				e = b.get("password_file")
			}
			d.fail(e.val(), b.path.dot(e.name), "a password is one line of text")
		}
	}
	if bearer != nil {
		before := len(d.errs)
		c.Bearer = o.secretText("bearer")
		if c.Bearer == "" && len(d.errs) == before {
			d.fail(bearer.val(), o.path.dot(bearer.name), "a value is missing")
		}
		if strings.ContainsFunc(c.Bearer, func(r rune) bool { return r <= ' ' || r > '~' }) {
			d.fail(bearer.val(), o.path.dot(bearer.name), "only visible ASCII characters can be in a token")
		}
	}
	for _, e := range []*entry{basic, bearer} {
		if e != nil && header(c.Headers, "authorization") {
			d.fail(e.key, o.path.dot(e.name), "Authorization is stated in headers as well: remove one of them")
		}
	}
	if basic != nil && bearer != nil {
		d.fail(bearer.key, o.path.dot(bearer.name), "basic is stated as well: remove one of them")
	}
}

// header is whether headers has a name, which is in lower case.
func header(headers map[string]string, name string) bool {
	for n := range headers {
		if strings.ToLower(n) == name {
			return true
		}
	}
	return false
}

// singleLine is whether s can be the value of a header.
func singleLine(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// response decodes what is expected.
func (d *decoder) response(c *HTTPCheck, o *object) {
	c.Body = o.text("body")
	if _, err := regexp.Compile(c.Body); err != nil {
		d.fail(o.get("body").val(), o.path.dot("body"), "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	c.Status = []StatusRange{{200, 299}}
	if e := o.get("status"); e != nil {
		c.Status = d.statuses(e.val(), o.path.dot("status"))
	}
	c.ResponseHeaders = d.expectations(o, "response_headers", func(name string) string {
		if !token(name) {
			return strconv.Quote(name) + " is not the name of a header"
		}
		return ""
	}, strings.ToLower)
	c.JSON = d.expectations(o, "json", func(name string) string {
		if _, err := jsonpath.Parse(name); err != nil {
			return strings.TrimPrefix(err.Error(), "path: ")
		}
		return ""
	}, strings.Clone)
	for _, name := range []string{"body", "json"} {
		if e := o.get(name); e != nil && c.Method == "HEAD" {
			d.fail(e.key, o.path.dot(name), "the response to HEAD has no body: state another method")
		}
	}
}

// expectations decodes a map of conditions. bad says what is wrong with a name, same
// makes equal names equal texts.
func (d *decoder) expectations(o *object, key string, bad func(string) string, same func(string) string) map[string][]Condition {
	e := o.get(key)
	if e == nil {
		return nil
	}
	out, first := map[string][]Condition{}, map[string]document.Node{}
	for _, x := range d.entries(o.path.dot(key), e.vals, func(string) bool { return false }) {
		p := o.path.dot(key).dot(x.name)
		if why := bad(x.name); why != "" {
			d.fail(x.key, p, "%s", why)
			continue
		}
		id := same(x.name)
		if at, twice := first[id]; twice {
			d.fail(x.key, p, "stated twice; first at %s", where(at))
			continue
		}
		first[id] = x.key
		out[strings.Clone(x.name)] = d.conditionsAt(x.val(), p)
	}
	return out
}

// conditionsAt decodes one condition or a list of them.
func (d *decoder) conditionsAt(r document.Node, p *path) []Condition {
	if r.Kind() != document.Sequence {
		c, _ := d.condition(r, p, false)
		return []Condition{c}
	}
	var out []Condition
	items := d.list(r, p)
	if len(items) == 0 {
		d.fail(r, p, "the list is empty: state at least one condition")
	}
	for i, it := range items {
		c, _ := d.condition(it, p.at(i), false)
		out = append(out, c)
	}
	return out
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
		case !singleLine(v):
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
