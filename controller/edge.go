package controller

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/notify"
	"github.com/rhumb-dns/rhumb/spec"
)

const (
	// maxAnswer is what is read of the answer to a notification, and maxListing of the
	// list of an edge's records, in octets.
	maxAnswer  = 1 << 20
	maxListing = 1 << 30
	// listingTime is how many times longer than a notification a list of all records may
	// take.
	listingTime = 15
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

// records is what the edge answers with in a zone, by name and type; what is an alias has
// the type CNAME.
func (e *edge) records(ctx context.Context, zone dnswire.Name) (map[api.Key]*api.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, listingTime*e.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL+api.RecordsPath+"?zone="+url.QueryEscape(text(zone)), nil)
	if err != nil {
		return nil, err
	}
	var l api.Listing
	err = e.do(req, func(r io.Reader) error { return json.NewDecoder(io.LimitReader(r, maxListing)).Decode(&l) })
	if err != nil {
		return nil, fmt.Errorf("its records: %w", err)
	}
	have := make(map[api.Key]*api.Record, len(l.Records))
	for i := range l.Records {
		r := &l.Records[i]
		name, err := dnswire.ParseName(r.Name)
		if err != nil || !name.Within(zone) {
			continue // of another zone at the same address
		}
		k := api.Key{Name: text(name), Type: r.Type}
		if r.Type == "" || r.Type == aliasType || aliasOf(r) != "" {
			k.Type = aliasType
		}
		have[k] = r
	}
	return have, nil
}

// alike is whether what an edge has of a record is what it is to have.
func alike(r, old *api.Record) bool {
	if r.TTL != old.TTL {
		return false
	}
	if to := aliasOf(r); to != "" {
		return strings.EqualFold(strings.TrimSuffix(to, "."), strings.TrimSuffix(old.Failover, "."))
	}
	return off(r) == off(old) && old.Failover == "" && slices.Equal(sorted(r.IPs), sorted(old.IPs))
}

// off is whether a record is not enabled.
func off(r *api.Record) bool { return r.Enabled != nil && !*r.Enabled }

// sorted is addresses in order, however they are written.
func sorted(ips []string) []netip.Addr {
	out := make([]netip.Addr, 0, len(ips))
	for _, s := range ips {
		a, _ := netip.ParseAddr(s) // what is none is none of ours
		out = append(out, a)
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}
