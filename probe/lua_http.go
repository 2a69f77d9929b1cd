package probe

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// defaultFetch is how long http_get and metric_get take at most unless the
	// script says so, or the probe ends before.
	defaultFetch = 10 * time.Second
	maxFetch     = 1 << 20  // of a body that a script gets
	maxMetrics   = 16 << 20 // of a page of metrics, which is read line by line
	maxMetric    = 64 << 10 // of a line of it
	maxHead      = 32 << 10 // of the header of a response
	maxInterim   = 5        // 1xx before a response
)

// errOversize is of a reader that has had enough.
var errOversize = errors.New("too long")

// httpGet is http_get(url, timeout, user, password, tls_verify).
func (r *luaRun) httpGet(ctx context.Context, args []any) []any {
	ctx, cancel := argTimeout(ctx, args, 1, defaultFetch)
	defer cancel()
	q := fetch{user: argText(args, 2), password: r.password(args, 3), verify: argBool(args, 4, true)}
	var body []byte
	status, f := r.fetch(ctx, argText(args, 0), q, func(b io.Reader) (err error) {
		if body, err = io.ReadAll(io.LimitReader(b, maxFetch)); err == nil && len(body) == maxFetch {
			err = errOversize
		}
		return err
	})
	if f.failed() {
		return []any{"", nil, oneLine(f.detail, maxDetail)}
	}
	return []any{string(body), float64(status)}
}

// metricGet is metric_get(url, name, timeout, tls_verify, user, password).
func (r *luaRun) metricGet(ctx context.Context, args []any) []any {
	ctx, cancel := argTimeout(ctx, args, 2, defaultFetch)
	defer cancel()
	q := fetch{user: argText(args, 4), password: r.password(args, 5), verify: argBool(args, 3, true)}
	var value any
	_, f := r.fetch(ctx, argText(args, 0), q, func(b io.Reader) error {
		limited := &io.LimitedReader{R: b, N: maxMetrics}
		lines := bufio.NewScanner(limited)
		lines.Buffer(nil, maxMetric)
		for value == nil && lines.Scan() {
			value = metricValue(lines.Text(), argText(args, 1))
		}
		if errors.Is(lines.Err(), bufio.ErrTooLong) || limited.N == 0 {
			return errOversize
		}
		return lines.Err()
	})
	if f.failed() {
		return []any{nil, oneLine(f.detail, maxDetail)}
	}
	return []any{value}
}

// metricValue is the value of the metric in a line of Prometheus' text format: a
// number, or the text where it is none. It is nil for the lines of others. The
// name may have its labels with it, as the line has them.
func metricValue(line, name string) any {
	rest, found := strings.CutPrefix(line, name)
	if !found || name == "" || rest == "" {
		return nil
	}
	switch rest[0] {
	case ' ', '\t':
	case '{':
		if rest = afterLabels(rest); rest == "" {
			return nil
		}
	default:
		return nil
	}
	// A time may stand behind the value.
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return nil
	}
	if v, err := strconv.ParseFloat(fields[0], 64); err == nil {
		return v
	}
	return fields[0]
}

// afterLabels is what stands behind {name="value",...}.
func afterLabels(s string) string {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '}' && !quoted:
			return s[i+1:]
		}
	}
	return ""
}

// fetch is how a URL is asked for.
type fetch struct {
	user, password string
	verify         bool
}

// fetch gets what is at a URL, at the end of redirects, and has its body read. The
// user and the password go to the host that the script names, and not to another
// that a redirect leads to.
func (r *luaRun) fetch(ctx context.Context, raw string, q fetch, read func(io.Reader) error) (status int, f failure) {
	u, err := url.Parse(raw)
	if err != nil {
		return 0, fail(ClassError, "the URL is malformed")
	}
	first := *u
	for range maxRedirects + 1 {
		if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return 0, fail(ClassError, "the URL is neither http nor https")
		}
		if u.Scheme != first.Scheme || u.Host != first.Host {
			q.user, q.password = "", ""
		}
		var location string
		status, location, f = r.ask(ctx, u, q, read)
		if f.failed() || location == "" {
			return status, f
		}
		if u, err = u.Parse(location); err != nil {
			return status, fail(ClassProtocol, "redirect to a malformed location")
		}
	}
	return status, fail(ClassRedirect, "more than %d redirects", maxRedirects)
}

// ask makes one connection and one request. location is where it leads on to.
func (r *luaRun) ask(ctx context.Context, u *url.URL, q fetch, read func(io.Reader) error) (status int, location string, f failure) {
	name, port, ok := splitAuthority(strings.TrimSuffix(u.Host, ":"))
	if !ok {
		return 0, "", fail(ClassError, "the URL has no host that could be asked")
	}
	if port == 0 {
		port = origin{secure: u.Scheme == "https"}.effectivePort()
	}
	l, f := r.net.connect(ctx, resolvable(name, port))
	if f.failed() {
		return 0, "", f
	}
	defer l.release()
	conn := l.Conn
	if u.Scheme == "https" {
		secure, f := r.tls[q.verify].handshake(ctx, conn, name, true)
		if f.failed() {
			return 0, "", f
		}
		defer func() { _ = secure.Close() }()
		conn = secure
	}
	req := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{"User-Agent": {userAgent}}, Close: true}
	if q.user != "" || q.password != "" {
		req.SetBasicAuth(q.user, q.password)
	}
	if err := req.Write(conn); err != nil {
		return 0, "", httpFailure(ctx, err, sending)
	}
	res, f := response(ctx, conn, req)
	if f.failed() {
		return 0, "", f
	}
	// The body must not be closed: that would read it to its end, for which a server can
	// have us wait, and the connection is closed anyway.
	switch res.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		if to := res.Header.Get("Location"); to != "" {
			return res.StatusCode, to, failure{}
		}
	}
	if err := read(res.Body); err != nil {
		return res.StatusCode, "", httpFailure(ctx, err, reading)
	}
	return res.StatusCode, "", failure{}
}

// response is the header of the response that is not a 1xx.
func response(ctx context.Context, conn net.Conn, req *http.Request) (*http.Response, failure) {
	limited := &io.LimitedReader{R: conn, N: maxHead}
	buffered := bufio.NewReader(limited)
	for range maxInterim {
		res, err := http.ReadResponse(buffered, req)
		switch {
		case limited.N <= 0:
			return nil, fail(ClassOversize, "more than %d bytes of header", maxHead)
		case err != nil:
			return nil, httpFailure(ctx, err, awaiting)
		case res.StatusCode >= 200:
			// Whoever reads the body has a limit of its own.
			limited.N = 2 * maxMetrics
			return res, failure{}
		}
	}
	return nil, fail(ClassProtocol, "more than %d responses before the response", maxInterim-1)
}

// httpFailure is classify, but for errors of the HTTP parser, which quote the peer.
func httpFailure(ctx context.Context, err error, at stage) failure {
	if errors.Is(err, errOversize) {
		return fail(ClassOversize, "more than may be read %s", at)
	}
	f := classify(ctx, err, at)
	switch {
	case f.class == ClassError && ctx.Err() != nil:
		// The parser takes what there is of a line for all of it.
		return classify(ctx, ctx.Err(), at)
	case f.class == ClassError:
		return fail(ClassProtocol, "an answer that is not HTTP")
	}
	return f
}
