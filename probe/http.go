package probe

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/jsonpath"
)

// HTTP is the check that a server answers one HTTP request as expected.
type HTTP struct {
	// Version is the version of HTTP that is spoken with the host under probe, and no
	// other: HTTP1, HTTP2 or HTTP3; default HTTP1.
	Version string
	// TLS makes it an https check; nil is plain http.
	TLS *TLSConfig
	// Method is sent as written; default GET.
	Method string
	// Path begins with "/" and may have a query; default "/".
	Path string
	// Host is sent as the Host header, with its port if it has one, and
	// without the port as SNI. When it is empty, the target's address or host
	// name and port are sent instead.
	Host string
	// Headers are sent as they are written, sorted by name; HTTP/2 and HTTP/3 have
	// their names in lower case. User-Agent replaces the default one. Those which
	// frame the message are refused, and so is Host, which has a field.
	Headers map[string]string
	// Send is the request's body, at most 32 KiB; nil is none.
	Send []byte
	// ContentType is that of Send; "" sends none.
	ContentType string
	// Basic logs in as RFC 7617 has it, Bearer with a token of RFC 6750; not both.
	// Either goes to the origin under probe only (scheme, host name and port).
	Basic  *Login
	Bearer string
	// Status lists what is expected; default 200-299.
	Status []Range
	// ResponseHeaders are fields that the response must have, by name, and what their
	// values must be. Of a field that is there several times the values are joined
	// by ", " (RFC 9110 section 5.3).
	ResponseHeaders []Expectation
	// Body, if not nil, must match the first 64 KiB of the body, which is
	// taken as it comes, without decoding: a compressed body is a failure. Without
	// Body and JSON no body is read.
	Body *regexp.Regexp
	// JSON are values that the body must have as JSON, by their path as package
	// jsonpath has it. The body is 64 KiB at most. Every value that a path finds must
	// be as is expected, and it must find one: a text, a number, true or false.
	JSON []Expectation
	// FollowRedirects judges the response at the end of at most 10 redirects
	// instead of the first. See NewHTTP.
	FollowRedirects bool
}

// The versions of HTTP. Over TLS HTTP/1.1 and HTTP/2 are agreed upon by ALPN; without
// it HTTP/2 is spoken at once, "with prior knowledge" (RFC 9113 section 3.3). HTTP/3
// is for https checks only: QUIC is never without TLS.
const (
	HTTP1 = "1.1"
	HTTP2 = "2"
	HTTP3 = "3"
)

// Login is a name and its password.
type Login struct{ User, Password string }

// Expectation is what the value of a name must be. All conditions must hold.
type Expectation struct {
	Name       string
	Conditions []Condition
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
	// maxSend is the longest body of a request. It fits into the window that a server of
	// HTTP/2 or HTTP/3 opens before it has said anything.
	maxSend = 32 << 10
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
// 301, 302 and 303 are followed with GET and without a body (a HEAD stays HEAD),
// 307 and 308 with the same method and body. Headers other than User-Agent and the
// body are sent to that first host name only, and never from https to http; a login to
// the first origin only, and a client certificate to the first host name. Version is
// what is spoken with that host name over the check's own scheme; anywhere else it is
// HTTP/1.1.
func NewHTTP(o HTTP) (Prober, error) {
	p := &httpProber{
		net:      &system,
		udp:      &datagrams,
		version:  o.Version,
		secure:   o.TLS != nil,
		method:   o.Method,
		path:     o.Path,
		send:     slices.Clone(o.Send),
		expected: slices.Clone(o.Status),
		body:     o.Body,
		costly:   costly(o.Body),
		follow:   o.FollowRedirects,
	}
	if p.version == "" {
		p.version = HTTP1
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
	if err := p.validate(o); err != nil {
		return nil, err
	}
	if err := p.expect(o); err != nil {
		return nil, err
	}
	if err := p.setHeaders(o); err != nil {
		return nil, err
	}
	if err := p.setLogin(o); err != nil {
		return nil, err
	}
	p.secrets = saidAgain(p.login, o)
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
		if sec.SNI == "" {
			sec.SNI = name
		}
		first := p.firstHop(Target{})
		p.first = p.request(&first)
	}
	return p, p.setSecurity(sec)
}

// setSecurity prepares the TLS side.
func (p *httpProber) setSecurity(sec TLSConfig) (err error) {
	if p.secure {
		alpn := map[string]string{HTTP1: "http/1.1", HTTP2: "h2", HTTP3: "h3"}[p.version]
		if p.tls, err = newSecurity(sec, []string{alpn}); err != nil {
			return err
		}
	}
	defer func() {
		for _, s := range []*security{p.tls, p.away} {
			if s != nil {
				s.secrets = p.secrets
			}
		}
	}()
	switch {
	case p.secure && p.version == HTTP1:
		p.away = p.tls
	case p.follow:
		// A plain http check needs it as well: a redirect may lead to https.
		p.away, err = newSecurity(sec, []string{"http/1.1"})
	}
	return err
}

func (p *httpProber) validate(o HTTP) error {
	switch p.version {
	case HTTP1, HTTP2:
	case HTTP3:
		if !p.secure {
			return errors.New("version: HTTP/3 is for https checks")
		}
	default:
		return fmt.Errorf("version: %q is not one of %s, %s, %s", p.version, HTTP1, HTTP2, HTTP3)
	}
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
	switch {
	case p.method == http.MethodHead && p.body != nil:
		return errors.New("body: the response to HEAD has none")
	case p.method == http.MethodHead && len(o.JSON) > 0:
		return errors.New("json: the response to HEAD has no body")
	case p.send != nil && (p.method == http.MethodHead || p.method == http.MethodTrace):
		return fmt.Errorf("send: a %s request has no body", p.method)
	case len(p.send) > maxSend:
		return fmt.Errorf("send: longer than %d KiB", maxSend>>10)
	case o.ContentType != "" && p.send == nil:
		return errors.New("content type: there is no body of that type")
	case !validValue(o.ContentType):
		return errors.New("content type: has a control character")
	}
	return nil
}

// expect prepares the conditions on the response.
func (p *httpProber) expect(o HTTP) error {
	for _, e := range o.ResponseHeaders {
		if !validToken(e.Name) {
			return fmt.Errorf("response headers: %q is not a header name", e.Name)
		}
		cs, err := newConditions(e.Conditions, false)
		if err != nil {
			return fmt.Errorf("response headers: %s: %w", e.Name, err)
		}
		p.wantHeaders = append(p.wantHeaders, wantHeader{e.Name, cs})
	}
	for _, e := range o.JSON {
		path, err := jsonpath.Parse(e.Name)
		if err != nil {
			return fmt.Errorf("json: %w", err)
		}
		cs, err := newConditions(e.Conditions, false)
		if err != nil {
			return fmt.Errorf("json: %s: %w", e.Name, err)
		}
		p.wantJSON = append(p.wantJSON, wantJSON{path, cs})
	}
	return nil
}

// setHeaders prepares the header lines after Host.
func (p *httpProber) setHeaders(o HTTP) error {
	p.agent = userAgent
	seen := make(map[string]bool, len(o.Headers))
	for _, name := range slices.Sorted(maps.Keys(o.Headers)) {
		value, lower := o.Headers[name], strings.ToLower(name)
		switch {
		case !validToken(name):
			return fmt.Errorf("headers: %q is not a header name", name)
		case lower == "host":
			return errors.New("headers: Host is set by the host field")
		case slices.Contains(refusedHeaders, lower):
			return fmt.Errorf("headers: %s cannot be set", name)
		case lower == "content-type" && o.ContentType != "":
			return fmt.Errorf("headers: %s is set by the content type", name)
		case lower == "authorization" && (o.Basic != nil || o.Bearer != ""):
			return fmt.Errorf("headers: %s is set by the login", name)
		case seen[lower]:
			return fmt.Errorf("headers: %s is there twice", name)
		case !validValue(value):
			return fmt.Errorf("headers: the value of %s has a control character", name)
		}
		seen[lower] = true
		if lower == "user-agent" {
			p.agent = value
			continue
		}
		p.headers = append(p.headers, field{name, value})
	}
	p.identity = p.judgesBody() && !seen["accept-encoding"]
	if o.ContentType != "" {
		p.content = []field{{"Content-Type", o.ContentType}}
	}
	return nil
}

// setLogin prepares the Authorization header.
func (p *httpProber) setLogin(o HTTP) error {
	switch {
	case o.Basic != nil && o.Bearer != "":
		return errors.New("bearer: basic is there as well")
	case o.Basic != nil:
		if o.Basic.User == "" || strings.Contains(o.Basic.User, ":") || !validValue(o.Basic.User+o.Basic.Password) {
			// RFC 7617 section 2.
			return errors.New("basic: a user without colon, and neither it nor the password with control characters")
		}
		p.login = "Basic " + base64.StdEncoding.EncodeToString([]byte(o.Basic.User+":"+o.Basic.Password))
	case o.Bearer != "":
		for i := range len(o.Bearer) {
			if c := o.Bearer[i]; c <= ' ' || c >= 0x7f {
				return errors.New("bearer: has something other than visible ASCII characters")
			}
		}
		p.login = "Bearer " + o.Bearer
	}
	return nil
}

// saidAgain is what a server is told that is not to be seen when it names a host by it.
// The value of a header may be a secret: its words are taken for such, unless they are of
// the host's name, or the header is one in which nobody has any.
func saidAgain(login string, o HTTP) []string {
	var all []string
	if o.Basic != nil {
		all = append(all, o.Basic.Password)
	}
	values := []string{login}
	for name, value := range o.Headers {
		if !slices.Contains(openHeaders, strings.ToLower(name)) {
			values = append(values, value)
		}
	}
	for _, value := range values {
		for _, word := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t=;,\"", r) }) {
			if len(word) >= minWord && !strings.Contains(strings.ToLower(o.Host), strings.ToLower(word)) {
				all = append(all, word)
			}
		}
	}
	return all
}

// openHeaders are those whose words are of hosts, or such as messages have.
var openHeaders = []string{"accept", "accept-encoding", "accept-language", "cache-control", "content-type", "origin", "user-agent", "x-forwarded-host", "x-forwarded-proto"}

// minWord is the shortest word of a header that is taken for a secret: most of those
// that are none, such as the names of schemes, are shorter.
const minWord = 8

type httpProber struct {
	net, udp *network
	version  string
	secure   bool
	// tls is for the version that is asked for, away for HTTP/1.1 anywhere else.
	tls, away *security
	host      *origin // nil: the target's
	method    string
	path      string
	agent     string // for every request
	identity  bool   // says that no compression is wanted
	// headers are the configured ones, login the value of Authorization, send the
	// body and content its fields. They may hold secrets.
	headers, content []field
	login            string
	secrets          []string // those of them that a peer could say again
	send             []byte
	first            []byte // the first request, when it is the same for all targets
	expected         []Range
	wantHeaders      []wantHeader
	body             *regexp.Regexp
	costly           bool // to be held against a body
	wantJSON         []wantJSON
	follow           bool
}

// field is a header field.
type field struct{ name, value string }

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
