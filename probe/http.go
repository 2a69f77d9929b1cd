package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HTTP is the check that a server answers one HTTP/1.1 request as expected.
// It speaks no HTTP/2; over TLS it says so (ALPN "http/1.1").
type HTTP struct {
	// TLS makes it an https check; nil is plain http.
	TLS *TLSConfig
	// Method is sent as written; default GET. No request has a body.
	Method string
	// Path begins with "/" and may have a query; default "/".
	Path string
	// Host is sent as the Host header, with its port if it has one, and
	// without the port as SNI. When it is empty, the target's address or host
	// name and port are sent instead.
	Host string
	// Headers are sent as they are written, sorted by name. User-Agent
	// replaces the default one. Those which frame the message are refused,
	// and so is Host, which has a field.
	Headers map[string]string
	// Status lists what is expected; default 200-299.
	Status []Range
	// Body, if not nil, must match the first 64 KiB of the body, which is
	// taken as it comes, without decoding. Without it no body is read.
	Body *regexp.Regexp
	// FollowRedirects judges the response at the end of at most 10 redirects
	// instead of the first. See NewHTTP.
	FollowRedirects bool
}

// Range is a range of status codes, both ends included.
type Range struct{ Min, Max int }

// String gives "200-299", or "200" for a single status.
func (r Range) String() string {
	if r.Min == r.Max {
		return strconv.Itoa(r.Min)
	}
	return strconv.Itoa(r.Min) + "-" + strconv.Itoa(r.Max)
}

const (
	userAgent    = "rhumb-probe"
	maxRedirects = 10
)

// refusedHeaders would contradict what the probe itself says about the
// message or the connection.
var refusedHeaders = []string{
	"connection", "content-length", "expect", "keep-alive", "proxy-connection",
	"te", "trailer", "transfer-encoding", "upgrade",
}

// NewHTTP makes the prober of an http or https check. It fails, naming the
// field and never a header's value, when the request could not be sent as it
// is described.
//
// A redirect is followed to where it says: its host is resolved by the system,
// and is what Host header and SNI then name. Only a redirect to the host name
// of the first request stays at the target's address, on the port the redirect
// says; the name resolved by the system could be another endpoint's address.
// 301, 302 and 303 are followed with GET (a HEAD stays HEAD), 307 and 308 with
// the same method. Headers other than User-Agent are sent to that first host
// name only, and never from https to http.
func NewHTTP(o HTTP) (Prober, error) {
	p := &httpProber{
		net:      &system,
		secure:   o.TLS != nil,
		method:   o.Method,
		path:     o.Path,
		expected: slices.Clone(o.Status),
		body:     o.Body,
		follow:   o.FollowRedirects,
	}
	if p.method == "" {
		p.method = http.MethodGet
	}
	if p.path == "" {
		p.path = "/"
	}
	if len(p.expected) == 0 {
		p.expected = []Range{{200, 299}}
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	if err := p.setHeaders(o.Headers); err != nil {
		return nil, err
	}
	var sec TLSConfig
	if o.TLS != nil {
		sec = *o.TLS
	}
	if o.Host != "" {
		name, port, ok := splitAuthority(o.Host)
		if !ok {
			return nil, fmt.Errorf("host: %q is not a host name or address with or without a port", o.Host)
		}
		p.host = &origin{secure: p.secure, name: name, port: port}
		p.first = p.request(p.method, p.path, p.host.authority(), p.headers)
		if sec.SNI == "" {
			sec.SNI = name
		}
	}
	// A plain http check needs it as well: a redirect may lead to https.
	if p.secure || p.follow {
		s, err := newSecurity(sec, []string{"http/1.1"})
		if err != nil {
			return nil, err
		}
		p.tls = s
	}
	return p, nil
}

func (p *httpProber) validate() error {
	if !validToken(p.method) || p.method == http.MethodConnect {
		return fmt.Errorf("method: %q is not a method to probe with", p.method)
	}
	if p.path[0] != '/' {
		return errors.New("path: does not begin with /")
	}
	for i := range len(p.path) {
		if c := p.path[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return fmt.Errorf("path: character %d (%q) has to be percent-encoded", i+1, rune(c))
		}
	}
	if _, err := url.ParseRequestURI(p.path); err != nil {
		return errors.New("path: has a malformed percent-encoding")
	}
	for _, r := range p.expected {
		if r.Min < 100 || r.Max > 999 || r.Min > r.Max {
			return fmt.Errorf("status: %s is not a range within 100-999", r)
		}
	}
	if p.body != nil && p.method == http.MethodHead {
		return errors.New("body: the response to HEAD has none")
	}
	return nil
}

// setHeaders prepares the header lines after Host.
func (p *httpProber) setHeaders(h map[string]string) error {
	var lines strings.Builder
	agent := userAgent
	seen := make(map[string]bool, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		value, lower := h[name], strings.ToLower(name)
		switch {
		case !validToken(name):
			return fmt.Errorf("headers: %q is not a header name", name)
		case lower == "host":
			return errors.New("headers: Host is set by the host field")
		case slices.Contains(refusedHeaders, lower):
			return fmt.Errorf("headers: %s cannot be set", name)
		case seen[lower]:
			return fmt.Errorf("headers: %s is there twice", name)
		case !validValue(value):
			return fmt.Errorf("headers: the value of %s has a control character", name)
		}
		seen[lower] = true
		if lower == "user-agent" {
			agent = value
			continue
		}
		lines.WriteString(name + ": " + value + "\r\n")
	}
	p.headers = lines.String()
	p.agent = "User-Agent: " + agent + "\r\nConnection: close\r\n"
	return nil
}

type httpProber struct {
	net    *network
	secure bool
	tls    *security
	host   *origin // nil: the target's
	method string
	path   string
	agent  string // header lines for every request
	// headers are the configured header lines. They may hold secrets.
	headers  string
	first    []byte // the first request, when it is the same for all targets
	expected []Range
	body     *regexp.Regexp
	follow   bool
}

// origin is what RFC 6454 calls one: it tells whether two URLs are of the same
// server.
type origin struct {
	secure bool
	name   string
	port   uint16 // 0 is the scheme's own
}

func (o origin) effectivePort() uint16 {
	switch {
	case o.port != 0:
		return o.port
	case o.secure:
		return 443
	}
	return 80
}

// authority is the origin as a Host header has it: without the scheme's own
// port, unless someone wrote it there.
func (o origin) authority() string {
	if o.port != 0 {
		return joinPort(o.name, o.port)
	}
	if strings.Contains(o.name, ":") {
		return "[" + o.name + "]"
	}
	return o.name
}

func (o origin) String() string {
	if o.secure {
		return "https://" + o.authority()
	}
	return "http://" + o.authority()
}

func (o origin) sameName(other origin) bool {
	return strings.EqualFold(strings.TrimSuffix(o.name, "."), strings.TrimSuffix(other.name, "."))
}

func (o origin) same(other origin) bool {
	return o.secure == other.secure && o.sameName(other) && o.effectivePort() == other.effectivePort()
}

// hop is one request of a probe.
type hop struct {
	origin
	target Target
	method string
	path   string
	// own says that this is a request to the host name under probe, for which
	// TLSConfig.SNI counts.
	own bool
	// bare says that the configured headers stay behind; once they did, they
	// stay so.
	bare bool
}

func (p *httpProber) Probe(ctx context.Context, t Target) Result {
	start := time.Now()
	connect, f := p.run(ctx, t)
	return f.result(start, connect)
}

// run makes the request and follows it where it is sent on to. connect is how
// long the first connection took.
func (p *httpProber) run(ctx context.Context, t Target) (connect time.Duration, f failure) {
	first := hop{target: t, method: p.method, path: p.path, own: true}
	if p.host != nil {
		first.origin = *p.host
	} else {
		first.origin = origin{secure: p.secure, name: t.name(), port: t.Port}
		if first.port == (origin{secure: p.secure}).effectivePort() {
			first.port = 0
		}
		if !t.Addr.IsValid() && t.Host != "" && !validName(t.Host) {
			return 0, fail(ClassError, "target's host name is malformed")
		}
	}
	h := first
	for redirects := 0; ; redirects++ {
		to, took, f := p.visit(ctx, h)
		if redirects == 0 {
			connect = took
		}
		if !f.failed() && to.location != "" {
			if redirects == maxRedirects {
				return connect, fail(ClassRedirect, "more than %d redirects", maxRedirects)
			}
			if h, f = p.next(first, h, to); !f.failed() {
				continue
			}
		}
		if f.failed() && redirects > 0 {
			f.detail = "after a redirect to " + oneLine(h.String(), maxDetail/2) + ": " + f.detail
		}
		return connect, f
	}
}

// visit makes one connection, which took that long, and one request.
func (p *httpProber) visit(ctx context.Context, h hop) (to redirect, took time.Duration, f failure) {
	l, f := p.net.connect(ctx, h.target)
	if f.failed() {
		return redirect{}, 0, f
	}
	defer l.release()
	conn := l.Conn
	if h.secure {
		secure, f := p.tls.handshake(ctx, conn, h.name, h.own)
		if f.failed() {
			return redirect{}, l.took, f
		}
		defer func() { _ = secure.Close() }()
		conn = secure
	}
	request := p.first
	if request == nil || !h.own || h.path != p.path || h.method != p.method || h.origin != *p.host || h.bare {
		headers := p.headers
		if h.bare {
			headers = ""
		}
		request = p.request(h.method, h.path, h.authority(), headers)
	}
	to, f = p.exchange(ctx, conn, h, request)
	return to, l.took, f
}

func (p *httpProber) request(method, path, authority, headers string) []byte {
	b := make([]byte, 0, len(method)+len(path)+len(authority)+len(p.agent)+len(headers)+64)
	b = append(b, method...)
	b = append(b, ' ')
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, authority...)
	b = append(b, "\r\n"...)
	b = append(b, p.agent...)
	switch method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		// RFC 9110 section 8.6: a method that usually has a body has to say
		// that there is none.
		b = append(b, "Content-Length: 0\r\n"...)
	}
	b = append(b, headers...)
	return append(b, "\r\n"...)
}

// next says where a redirect leads from h.
func (p *httpProber) next(first, h hop, to redirect) (hop, failure) {
	base, err := url.Parse(h.String() + h.path)
	if err != nil {
		return h, fail(ClassError, "request has no URL to redirect from")
	}
	u, err := base.Parse(to.location)
	if err != nil {
		return h, fail(ClassProtocol, "redirect to a malformed location")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return h, fail(ClassProtocol, "redirect to neither http nor https")
	}
	name, port, ok := splitAuthority(strings.TrimSuffix(u.Host, ":"))
	if !ok {
		return h, fail(ClassProtocol, "redirect to a malformed location")
	}

	n := hop{
		origin: origin{secure: u.Scheme == "https", name: name, port: port},
		method: h.method,
		path:   escape(u.RequestURI()),
		bare:   h.bare,
	}
	if to.status < http.StatusTemporaryRedirect && n.method != http.MethodHead {
		n.method = http.MethodGet
	}
	switch {
	case n.same(first.origin):
		// As in the first request, the port may be another than the one that
		// the Host header names.
		n.own, n.target = true, first.target
	case n.sameName(first.origin):
		n.own, n.target = true, first.target
		n.target.Port = n.effectivePort()
	default:
		n.target = resolvable(name, n.effectivePort())
	}
	if !n.own || h.secure && !n.secure {
		n.bare = true
	}
	return n, failure{}
}

// escape percent-encodes what may not stand in a request line; a server's
// Location need not be as careful as a configuration.
func escape(uri string) string {
	var b strings.Builder
	for i := range len(uri) {
		if c := uri[i]; c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// validToken reports whether s is a token of RFC 9110 section 5.6.2.
func validToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// validValue reports whether s can be a field's value: RFC 9110 section 5.5,
// and no control character but the tab.
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
