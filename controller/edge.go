package controller

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/notify"
	"github.com/rhumb-dns/rhumb/spec"
)

const (
	// maxAnswer is what is read of the answer to a notification, in octets.
	maxAnswer = 1 << 20
	// pingAfter is how long a connection of HTTP/2 may be silent, and its answer to a
	// ping may take. One that has gone dead would take in notifications for as long as
	// TCP believes in it, a quarter of an hour.
	pingAfter = 15 * time.Second
)

// edge is a webhook that is told of changes.
type edge struct {
	*spec.Edge
	client *http.Client
	busy   chan struct{} // taken while something is sent
}

func newEdge(e *spec.Edge) (*edge, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxResponseHeaderBytes: maxAnswer, IdleConnTimeout: time.Minute,
		MaxIdleConns: 1, ForceAttemptHTTP2: true,
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingAfter},
	}
	if e.TLS != nil {
		var err error
		if t.TLSClientConfig, err = notify.Secured(e.TLS); err != nil {
			return nil, err
		}
	}
	return &edge{
		Edge: e, busy: make(chan struct{}, 1),
		client: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// answered is the error of a request that was answered, and not with success.
type answered struct {
	code  int
	after time.Duration // that the edge asks to wait
}

func (a answered) Error() string {
	return "it answered " + strconv.Itoa(a.code) + " " + http.StatusText(a.code)
}

// final is whether the same request would be answered alike.
func (a answered) final() bool {
	return a.code != 0 && a.code/100 != 5 && a.code != http.StatusTooManyRequests && a.code != http.StatusRequestTimeout
}

// notify makes one delivery, signed as Standard Webhooks has it
// (https://github.com/standard-webhooks/standard-webhooks). The key is the secret.
func (e *edge) notify(ctx context.Context, n *api.Notification) (*api.Notified, error) {
	body, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL+api.NotifyPath, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	var random [12]byte
	_, _ = rand.Read(random[:]) // never fails
	id, stamp := "msg_"+hex.EncodeToString(random[:]), strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", stamp)
	req.Header.Set("webhook-signature", "v1,"+notify.Sign([]byte(e.Secret), id, stamp, body))
	done := &api.Notified{}
	return done, e.do(req, func(r io.Reader) error {
		// What is no JSON was taken all the same.
		_ = json.NewDecoder(io.LimitReader(r, maxAnswer)).Decode(done)
		return nil
	})
}

// do makes a request and reads what it is answered.
func (e *edge) do(req *http.Request, read func(io.Reader) error) error {
	req.Header.Set(api.SecretHeader, e.Secret)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "rhumb")
	resp, err := e.client.Do(req)
	if err != nil {
		return notify.Bare(req.Context(), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // so that the connection can be used again
		return answered{resp.StatusCode, notify.RetryAfter(resp.Header.Get("Retry-After"), time.Now())}
	}
	err = read(resp.Body)
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	return err
}
