package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rhumb-dns/rhumb/api"
)

// What a controller says by its status. They are the kinds of a StatusError.
var (
	ErrRequest    = errors.New("it does not understand the request")
	ErrSecret     = errors.New("it does not take the secret")
	ErrZone       = errors.New("it has no such zone")
	ErrController = errors.New("it has failed itself")
)

// StatusError is an answer of a controller that has no records. It is one of ErrRequest
// (400), ErrSecret (401, 403), ErrZone (404) and ErrController (500 and above), or none.
type StatusError struct {
	Status int
	Said   string // the beginning of what else it said, on one line
}

func (e *StatusError) kind() error {
	switch {
	case e.Status == http.StatusBadRequest:
		return ErrRequest
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		return ErrSecret
	case e.Status == http.StatusNotFound:
		return ErrZone
	case e.Status/100 == 5:
		return ErrController
	}
	return nil
}

// Error is what it means, the status, and what the controller said.
func (e *StatusError) Error() string {
	var b strings.Builder
	if k := e.kind(); k != nil {
		fmt.Fprintf(&b, "%v: ", k)
	}
	fmt.Fprintf(&b, "it answered %d %s", e.Status, http.StatusText(e.Status))
	if e.Status/100 == 3 {
		b.WriteString("; redirects are not followed, since the secret would be told: state where it leads")
	}
	if e.Said != "" {
		fmt.Fprintf(&b, " (%s)", e.Said)
	}
	return b.String()
}

// Is is whether the answer is of a kind.
func (e *StatusError) Is(target error) bool { return target == e.kind() && target != nil }

var (
	errSilent = errors.New("nothing came in time")
	errSlow   = errors.New("the answer takes too long")
	errLarge  = errors.New("the answer is too large")
)

// client asks controllers.
type client struct {
	o     *Options
	lim   limits
	rules *rules
	http  *http.Client
	tags  map[string]tag // of the last answer with records, by endpoint
	read  int64          // octets of the last answer that came with records
}

// tag is an ETag and the version that it stands for. It is of use while that version is
// there: what has come of another controller or of a stream since then is another one, and
// a controller that went back to the first would say that nothing has changed.
type tag struct{ of, etag string }

func newClient(o *Options, r *rules, lim limits) *client {
	const headers = 64 << 10
	// pingAfter is how long a connection of HTTP/2 may be silent. One that has gone dead
	// would take in requests for as long as TCP believes in it, a quarter of an hour.
	const pingAfter = 15 * time.Second
	conf := o.TLS.Clone()
	if conf != nil && conf.MinVersion == 0 {
		conf.MinVersion = tls.VersionTLS12
	}
	return &client{
		o: o, lim: lim, rules: r, tags: map[string]tag{},
		http: &http.Client{
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true,
				MaxResponseHeaderBytes: headers, MaxIdleConnsPerHost: 2, IdleConnTimeout: 2 * o.SyncInterval,
				HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: o.Timeout},
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// request makes a request; since is left out when it is empty.
func (c *client) request(ctx context.Context, endpoint, path, since string) (*http.Request, error) {
	q := url.Values{"zone": {dotless(c.o.Zone)}}
	if since != "" {
		q.Set("since", since)
	}
	if len(c.o.Regions) > 0 {
		q.Set("regions", strings.Join(c.o.Regions, ","))
	}
	if c.o.NodeIP != "" {
		q.Set("node_ip", c.o.NodeIP)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+path+"?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set(api.SecretHeader, c.o.Secret)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "rhumb")
	return req, nil
}

// reply is what a controller has answered.
type reply struct {
	taken *taken // nil: nothing has changed
	tag   tag    // of what is taken
}

// ask asks a controller for the records, when since is not empty only if they have
// changed since then.
func (c *client) ask(ctx context.Context, endpoint, since string) (*reply, error) {
	ended := ctx.Err // by who asks, not for silence, which there is when all has been read
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(c.o.Timeout, func() { cancel(errSilent) })
	defer silent.Stop()
	slow := time.AfterFunc(max(c.lim.transfer, c.o.SyncInterval), func() { cancel(errSlow) })
	defer slow.Stop()

	c.read = 0
	path := api.SnapshotPath
	if since != "" {
		path = api.ChangesPath
	}
	req, err := c.request(ctx, endpoint, path, since)
	if err != nil {
		return nil, err
	}
	if t := c.tags[endpoint]; since != "" && t.of == since && t.etag != "" {
		req.Header.Set("If-None-Match", t.etag)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, bare(ctx, err)
	}
	defer resp.Body.Close()
	body := &watched{ctx: ctx, r: resp.Body, timer: silent, timeout: c.o.Timeout, left: c.lim.body, most: c.lim.body}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		if since == "" {
			return nil, errors.New("it says that nothing has changed, and was asked for everything")
		}
		return &reply{}, nil
	default:
		return nil, &StatusError{resp.StatusCode, said(body, c.o.Secret)}
	}
	defer func() { c.read = body.most - body.left }()
	t, err := gather(body, gatherOptions{rules: c.rules, apex: c.o.Apex, most: c.o.MaxRecords, since: since, ended: ended})
	if err != nil {
		return nil, err
	}
	if t.st == nil {
		return &reply{}, nil
	}
	r := &reply{taken: t}
	if etag := resp.Header.Get("ETag"); len(etag) <= maxHash { // one that is longer would make each request too long
		r.tag = tag{of: t.hash, etag: etag}
	}
	return r, nil
}

// said is the beginning of an answer, on one line. What it says of the secret is left out:
// it goes into the log and to whoever asks for /health.
func said(r io.Reader, secret string) string {
	const most = 200
	b := make([]byte, most+len(secret))
	n, _ := io.ReadFull(r, b)
	s := oneLine(strings.ReplaceAll(string(b[:n]), secret, "..."))
	return strings.ToValidUTF8(s[:min(len(s), most)], "")
}

// oneLine is the first line of a text of somebody else's, without what is not printable.
func oneLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// watched reads an answer for as long as it goes on.
type watched struct {
	ctx     context.Context
	r       io.Reader
	timer   *time.Timer
	timeout time.Duration
	left    int64
	most    int64 // what was left at first
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if n > 0 {
		w.timer.Reset(w.timeout)
	}
	if w.left -= int64(n); w.left < 0 {
		return 0, fmt.Errorf("%w: it has more than %d octets, unpacked", errLarge, w.most)
	}
	// What was given up may look as if it had ended.
	if err != nil && (w.ctx.Err() != nil || !errors.Is(err, io.EOF)) {
		err = bare(w.ctx, err)
	}
	return n, err
}

// bare is an error of a request without the URL, and with the reason for which it was
// given up.
func bare(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err // the endpoint stands before it, and the port on our side makes each one another error
	}
	return err
}
