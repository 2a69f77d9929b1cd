package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

// maxAnswer is what is read of an answer: nobody needs it, but to hang up on somebody
// who still writes may lose them what they were sent.
const maxAnswer = 64 << 10

type webhook struct {
	url     string
	host    string // what is shown of it
	secret  []byte
	headers map[string]string
	client  *http.Client
}

// newWebhook makes a sender. limit is how long one delivery may take.
func newWebhook(o *spec.Webhook, limit time.Duration) (*webhook, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, errors.New("webhook: url: it cannot be parsed")
	}
	// A transport goes on connecting when the request has been given up, so what that
	// may take has limits of its own. Deliveries are few: a connection that is kept saves
	// nothing, may have died meanwhile, and would outlive its configuration.
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxResponseHeaderBytes: maxAnswer, ForceAttemptHTTP2: true,
		DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: limit}).DialContext, TLSHandshakeTimeout: limit,
	}
	if o.TLS != nil {
		if t.TLSClientConfig, err = Secured(o.TLS); err != nil {
			return nil, fmt.Errorf("webhook: %w", err)
		}
	}
	return &webhook{
		url: o.URL, host: u.Host, secret: o.Secret, headers: o.Headers,
		client: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

func (w *webhook) kind() string { return "webhook" }

// send implements sender: https://github.com/standard-webhooks/standard-webhooks.
func (w *webhook) send(ctx context.Context, d *delivery) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(d.Body))
	if err != nil {
		return "", refusal{errors.New("the URL cannot be asked")}
	}
	for name, value := range w.headers {
		req.Header.Set(name, value)
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "rhumb")
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("webhook-id", d.ID)
	req.Header.Set("webhook-timestamp", stamp)
	if w.secret != nil {
		req.Header.Set("webhook-signature", "v1,"+Sign(w.secret, d.ID, stamp, d.Body))
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%s: %w", w.host, Bare(ctx, err))
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	code := resp.StatusCode
	if code/100 == 2 {
		return status(code), nil
	}
	err = fmt.Errorf("%s answered %s", w.host, status(code))
	if code/100 == 3 {
		err = fmt.Errorf("%w; redirects are not followed: state where it leads", err)
	}
	if !refused[code] {
		return "", pause{err, RetryAfter(resp.Header.Get("Retry-After"), time.Now())}
	}
	return "", refusal{err}
}

// status is a status code in our words: whoever answers may repeat what it was sent.
func status(code int) string {
	return strings.TrimSpace(strconv.Itoa(code) + " " + http.StatusText(code))
}

// refused are the answers that are about what was sent, which would be the same the
// next time. All others are about the receiver: it is not there yet, is somewhere else,
// or does not know us, which somebody can mend.
var refused = map[int]bool{
	http.StatusBadRequest: true, http.StatusGone: true, http.StatusRequestEntityTooLarge: true,
	http.StatusUnsupportedMediaType: true, http.StatusUnprocessableEntity: true,
}

// Sign is the signature of a delivery (Standard Webhooks), without its version: of what is
// delivered with an id, at a time in Unix seconds.
func Sign(secret []byte, id, stamp string, body []byte) string {
	h := hmac.New(sha256.New, secret)
	fmt.Fprintf(h, "%s.%s.", id, stamp)
	h.Write(body)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// Bare is an error of a request without what may let somebody in: the URL, and what
// the other side said, which stands in quotes and may repeat the URL or a header.
func Bare(ctx context.Context, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		err = op.Err // the host stands before it
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	if errors.Is(err, io.EOF) {
		return errors.New("it hung up without an answer")
	}
	text, _, _ := strings.Cut(err.Error(), `"`)
	return errors.New(oneLine(strings.TrimRight(text, " :=,(")))
}

// RetryAfter is how long a header Retry-After asks to wait (RFC 9110 section 10.2.3), 0
// when it does not.
func RetryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(t.Sub(now), 0)
	}
	return 0
}

// Secured is the TLS side of a webhook. The error is of its files.
func Secured(o *spec.Secure) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.SNI, InsecureSkipVerify: !o.Verify}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("ca: it holds no certificate")
		}
	}
	if o.Cert != "" {
		cert, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return nil, fmt.Errorf("cert: %w", err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}
