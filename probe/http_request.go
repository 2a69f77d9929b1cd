package probe

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

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

func (o origin) scheme() string {
	if o.secure {
		return "https"
	}
	return "http"
}

func (o origin) String() string { return o.scheme() + "://" + o.authority() }

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
	// bare says that the configured headers stay behind, anonymous that the login
	// does, empty that the body does; once they did, they stay so.
	bare, anonymous, empty bool
}

// asked is whether h is a request of the kind that the check is about, rather than one
// to where a redirect led.
func (p *httpProber) asked(h *hop) bool { return h.own && h.secure == p.secure }

// versionOf is the version of HTTP that is spoken.
func (p *httpProber) versionOf(h *hop) string {
	if p.asked(h) {
		return p.version
	}
	return HTTP1
}

func (p *httpProber) Probe(ctx context.Context, t Target) Result {
	start := time.Now()
	connect, f := p.run(ctx, t)
	return f.result(start, connect)
}

// firstHop is the request to the target itself.
func (p *httpProber) firstHop(t Target) hop {
	h := hop{target: t, method: p.method, path: p.path, own: true}
	if p.host != nil {
		h.origin = *p.host
		return h
	}
	h.origin = origin{secure: p.secure, name: t.name(), port: t.Port}
	if h.port == (origin{secure: p.secure}).effectivePort() {
		h.port = 0
	}
	return h
}

// run makes the request and follows it where it is sent on to. connect is how
// long the first connection took.
func (p *httpProber) run(ctx context.Context, t Target) (connect time.Duration, f failure) {
	if p.host == nil && !t.Addr.IsValid() && t.Host != "" && !validName(t.Host) {
		return 0, fail(ClassError, "target's host name is malformed")
	}
	first := p.firstHop(t)
	h := first
	for redirects := 0; ; redirects++ {
		to, took, f := p.visit(ctx, &h)
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
			// The host's name is the server's word.
			f.detail = blot("after a redirect to "+oneLine(h.String(), maxDetail/2)+": "+f.detail, p.secrets, first.name)
		}
		return connect, f
	}
}

// visit makes one connection, which took that long, and one request.
func (p *httpProber) visit(ctx context.Context, h *hop) (to redirect, took time.Duration, f failure) {
	version, request := p.versionOf(h), p.first
	if request == nil || !h.own || h.path != p.path || h.method != p.method || h.origin != *p.host ||
		h.bare || h.anonymous || h.empty {
		request = p.requestOf(*h)
	}
	if version == HTTP3 {
		return p.visit3(ctx, h, request)
	}
	l, f := p.net.connect(ctx, h.target)
	if f.failed() {
		return redirect{}, 0, f
	}
	defer l.release()
	conn := l.Conn
	if h.secure {
		layer := p.away
		if p.asked(h) {
			layer = p.tls
		}
		secure, f := layer.handshake(ctx, conn, h.name, h.own)
		if f.failed() {
			return redirect{}, l.took, f
		}
		defer func() { _ = secure.Close() }()
		if version == HTTP2 && secure.ConnectionState().NegotiatedProtocol != "h2" {
			return redirect{}, l.took, fail(ClassProtocol, "the server does not speak HTTP/2 (it agreed to no ALPN)")
		}
		conn = secure
	}
	if version == HTTP2 {
		to, f = p.exchange2(ctx, conn, h, request)
	} else {
		to, f = p.exchange(ctx, conn, h, request)
	}
	return to, l.took, f
}

// requestOf is request of a copy, so that hops stay on the stack.
func (p *httpProber) requestOf(h hop) []byte { return p.request(&h) }

// request is what is sent for a hop, from the first byte to the last: the whole
// message of HTTP/1.1, everything that the client says unasked of HTTP/2, and the
// frames of the request's stream of HTTP/3. Without a host it depends on the target
// as well.
func (p *httpProber) request(h *hop) []byte {
	switch p.versionOf(h) {
	case HTTP2:
		return p.request2(h)
	case HTTP3:
		return p.request3(h)
	}
	b := make([]byte, 0, 512)
	b = append(b, h.method...)
	b = append(b, ' ')
	b = append(b, h.path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, h.authority()...)
	b = append(b, "\r\nUser-Agent: "...)
	b = append(b, p.agent...)
	b = append(b, "\r\nConnection: close\r\n"...)
	for f := range p.fields(h) {
		b = append(b, f.name...)
		b = append(b, ": "...)
		b = append(b, f.value...)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, p.bodyOf(h)...)
}

// fields yields the header fields of a request that are the same in all versions,
// but for User-Agent.
func (p *httpProber) fields(h *hop) func(yield func(field) bool) {
	return func(yield func(field) bool) {
		if !p.lengthFields(h, yield) {
			return
		}
		if p.identity && !yield(field{"Accept-Encoding", "identity"}) {
			return
		}
		if p.login != "" && !h.bare && !h.anonymous && !yield(field{"Authorization", p.login}) {
			return
		}
		if h.bare {
			return
		}
		for _, f := range p.headers {
			// What describes a body goes with it.
			if h.empty && strings.HasPrefix(strings.ToLower(f.name), "content-") {
				continue
			}
			if !yield(f) {
				return
			}
		}
	}
}

// lengthFields yields those that describe the body.
func (p *httpProber) lengthFields(h *hop, yield func(field) bool) bool {
	if p.send != nil && !h.empty {
		for _, f := range p.content {
			if !yield(f) {
				return false
			}
		}
		return yield(field{"Content-Length", strconv.Itoa(len(p.send))})
	}
	switch h.method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		// RFC 9110 section 8.6: a method that usually has a body has to say
		// that there is none.
		return yield(field{"Content-Length", "0"})
	}
	return true
}

// bodyOf is the body of a request, nil when it has none.
func (p *httpProber) bodyOf(h *hop) []byte {
	if h.empty {
		return nil
	}
	return p.send
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
		bare:   h.bare, anonymous: h.anonymous, empty: h.empty,
	}
	if to.status < http.StatusTemporaryRedirect {
		if n.method != http.MethodHead {
			n.method = http.MethodGet
		}
		n.empty = true
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
	n.anonymous = n.anonymous || !n.same(first.origin)
	if !n.own || h.secure && !n.secure {
		n.bare = true
	}
	if n.bare && p.send != nil && !n.empty {
		// Nor may it be asked without what makes the request what it is.
		return h, fail(ClassRedirect, "redirect would take the request's body to another host")
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
