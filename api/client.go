package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Options are what a Client needs from outside. All of them may be left out.
type Options struct {
	// HTTP makes the requests; nil: a client of its own. Its CheckRedirect and
	// Timeout are not used.
	HTTP      *http.Client
	Timeout   time.Duration // of a whole request; 0: none but the context's
	UserAgent string
	// Token is the secret of a token of the node; empty: none is stated.
	Token string
}

// Client asks one node. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	text    string
	http    http.Client
	timeout time.Duration
	agent   string
	token   string
}

// maxBody is the longest response that is read: a hundred thousand endpoints
// with their checks are some 80 MB.
const maxBody = 1 << 30

// ErrToken is the error of New for a token that no node can have.
var ErrToken = errors.New("a token has visible ASCII characters only")

// New makes a client of the node whose admin surface is at base, such as
// http://127.0.0.1:8080. Without a scheme it is http. The error says what is
// wrong with base, or is ErrToken.
func New(base string, o Options) (*Client, error) {
	text := base
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, fmt.Errorf("address %q: %w", base, err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("address %q: the scheme is http or https", base)
	case u.Hostname() == "":
		return nil, fmt.Errorf("address %q: no host", base)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("address %q: neither ? nor # belongs in it", base)
	}
	if strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, ErrToken
	}
	c := &Client{base: u, text: u.Redacted(), timeout: o.Timeout, agent: cmp.Or(o.UserAgent, "rhumb"), token: o.Token}
	if o.HTTP != nil {
		c.http = *o.HTTP
	}
	c.http.Timeout = 0
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// Ready is whether the node can answer queries. A node that cannot is no error.
func (c *Client) Ready(ctx context.Context) (*Ready, error) {
	return call[Ready](ctx, c, request{path: "ready", also: http.StatusServiceUnavailable})
}

// Version is what the node runs.
func (c *Client) Version(ctx context.Context) (*Version, error) {
	return call[Version](ctx, c, request{path: "version"})
}

// Status is the node at a glance.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	return call[Status](ctx, c, request{path: "status"})
}

// ServersQuery selects endpoints; empty fields select all.
type ServersQuery struct {
	Pool    string
	Region  string
	State   string // up, down, unknown or, of those that are up, degraded
	Service string // the endpoints that it uses, with their state for it
	Results bool   // with the last results of every check
}

// Servers are the endpoints that the query selects.
func (c *Client) Servers(ctx context.Context, q ServersQuery) (*Servers, error) {
	results := ""
	if q.Results {
		results = "true"
	}
	return call[Servers](ctx, c, request{path: "health/servers", query: values(
		"pool", q.Pool, "region", q.Region, "state", q.State, "service", q.Service, "results", results)})
}

// Regions are the regions that pools are in.
func (c *Client) Regions(ctx context.Context) (*Regions, error) {
	return call[Regions](ctx, c, request{path: "health/regions"})
}

// ServicesQuery selects services; empty fields select all.
type ServicesQuery struct {
	Zone  string
	Name  string
	After string // Services.Next of the page before
	Limit int    // of a page; 0: the node's default
}

// Services is one page of the services that the query selects.
func (c *Client) Services(ctx context.Context, q ServicesQuery) (*Services, error) {
	limit := ""
	if q.Limit != 0 {
		limit = strconv.Itoa(q.Limit)
	}
	return call[Services](ctx, c, request{path: "services", query: values(
		"zone", q.Zone, "name", q.Name, "after", q.After, "limit", limit)})
}

// ExplainQuery is what is to be explained. All but Name may be left out.
type ExplainQuery struct {
	Name   string
	Type   string // A
	Client string // address the query comes from
	Subnet string // client subnet option, such as 192.0.2.0/24
}

// Explain says how a question is answered at this instant.
func (c *Client) Explain(ctx context.Context, q ExplainQuery) (*Explanation, error) {
	return call[Explanation](ctx, c, request{path: "explain", query: values(
		"name", q.Name, "type", q.Type, "client", q.Client, "subnet", q.Subnet)})
}

// Geo is what the node knows of places.
func (c *Client) Geo(ctx context.Context) (*Geo, error) {
	return call[Geo](ctx, c, request{path: "geo"})
}

// GeoLookup is where the node takes an address to be.
func (c *Client) GeoLookup(ctx context.Context, ip string) (*GeoLookup, error) {
	return call[GeoLookup](ctx, c, request{path: "geo/lookup", query: values("ip", ip)})
}

// Reload makes the node read its configuration again. The *Problem of one that
// is refused has its Errors.
func (c *Client) Reload(ctx context.Context, why Because) (*Reloaded, error) {
	return call[Reloaded](ctx, c, request{method: http.MethodPost, path: "reload", query: why.values()})
}

// Overrides are the operators' words.
func (c *Client) Overrides(ctx context.Context) (*Overrides, error) {
	return call[Overrides](ctx, c, request{path: "overrides"})
}

// SetOverride puts an operator's word on an endpoint of a service.
func (c *Client) SetOverride(ctx context.Context, service, address string, o OverrideRequest) (*Override, error) {
	return call[Override](ctx, c, request{method: http.MethodPut, path: overridePath(service, address), body: o})
}

// ClearOverride ends an operator's word.
func (c *Client) ClearOverride(ctx context.Context, service, address string, why Because) error {
	_, err := call[struct{}](ctx, c, request{method: http.MethodDelete, path: overridePath(service, address), query: why.values()})
	return err
}

// Loads are the reports of loads that count.
func (c *Client) Loads(ctx context.Context) (*Loads, error) {
	return call[Loads](ctx, c, request{path: "loads"})
}

// SetLoad reports the load of an endpoint.
func (c *Client) SetLoad(ctx context.Context, address string, l LoadRequest) (*Load, error) {
	return call[Load](ctx, c, request{method: http.MethodPut, path: loadPath(address), body: l})
}

// SetLoads reports the loads of many endpoints.
func (c *Client) SetLoads(ctx context.Context, all []AddressLoad) (*LoadsReported, error) {
	return call[LoadsReported](ctx, c, request{method: http.MethodPut, path: "loads", body: LoadsRequest{all}})
}

// ClearLoad forgets what was reported of an endpoint.
func (c *Client) ClearLoad(ctx context.Context, address string) error {
	_, err := call[struct{}](ctx, c, request{method: http.MethodDelete, path: loadPath(address)})
	return err
}

// CheckResults are the results of external checks that count, of all checks or of one.
func (c *Client) CheckResults(ctx context.Context, check string) (*CheckResults, error) {
	return call[CheckResults](ctx, c, request{path: "results", query: values("check", check)})
}

// SetCheckResult reports what came of an external check of an endpoint.
func (c *Client) SetCheckResult(ctx context.Context, check, address string, r CheckResultRequest) (*CheckResult, error) {
	return call[CheckResult](ctx, c, request{method: http.MethodPut, path: resultPath(check, address), body: r})
}

// ClearCheckResult forgets the result of an endpoint.
func (c *Client) ClearCheckResult(ctx context.Context, check, address string) error {
	_, err := call[struct{}](ctx, c, request{method: http.MethodDelete, path: resultPath(check, address)})
	return err
}

func resultPath(check, address string) string {
	return "results/" + url.PathEscape(check) + "/" + url.PathEscape(address)
}

func loadPath(address string) string { return "loads/" + url.PathEscape(address) }

func overridePath(service, address string) string {
	return "overrides/" + url.PathEscape(service) + "/" + url.PathEscape(address)
}

// values makes a query of names and values in turn, leaving out the empty ones.
func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

type request struct {
	method string // default: GET
	path   string // below /api/v1/, escaped
	query  url.Values
	body   any // nil: none
	also   int // a status that carries the response as 200 does
}

func call[T any](ctx context.Context, c *Client, r request) (*T, error) {
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.timeout, tooSlow(c.timeout))
		defer cancel()
	}
	var body io.Reader
	if r.body != nil {
		b, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	u := *c.base
	u.RawQuery = r.query.Encode()
	target := u.JoinPath("api/v1", r.path)
	req, err := http.NewRequestWithContext(ctx, cmp.Or(r.method, http.MethodGet), target.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json, "+ProblemType)
	req.Header.Set("User-Agent", c.agent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, c.unreachable(ctx, err)
	case len(b) > maxBody:
		return nil, fmt.Errorf("%s answered with more than %d bytes", c.text, maxBody)
	case resp.StatusCode == http.StatusNoContent:
		return new(T), nil
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if media == "application/json" && (resp.StatusCode == http.StatusOK || resp.StatusCode == r.also) {
		v := new(T)
		if err := json.Unmarshal(b, v); err != nil {
			return nil, fmt.Errorf("%s answered what is not understood: %w", c.text, err)
		}
		return v, nil
	}
	p := &Problem{}
	if media != ProblemType || json.Unmarshal(b, p) != nil {
		return nil, fmt.Errorf("%s is not the API of a node: it answered %s with %s",
			c.text, resp.Status, cmp.Or(media, "no content type"))
	}
	p.Status = resp.StatusCode
	return nil, p
}

// tooSlow is the cause of a request that took longer than Options.Timeout.
type tooSlow time.Duration

func (t tooSlow) Error() string { return "no answer within " + time.Duration(t).String() }

func (c *Client) unreachable(ctx context.Context, err error) error {
	if slow := tooSlow(0); errors.As(context.Cause(ctx), &slow) {
		err = slow
	}
	return &Unreachable{Base: c.text, Err: err}
}

// cause is the innermost words of a network error: "connection refused" and
// not the call, the URL and the two addresses as well.
func cause(err error) string {
	var (
		ue *url.Error
		oe *net.OpError
		de *net.DNSError
		se *os.SyscallError
	)
	switch {
	case errors.As(err, &de):
		return de.Err + ": " + de.Name
	case errors.As(err, &se):
		return se.Err.Error()
	case errors.As(err, &oe):
		return oe.Err.Error()
	case errors.As(err, &ue):
		return ue.Err.Error()
	}
	return err.Error()
}
