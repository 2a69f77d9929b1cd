package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Prometheus is the check that a metric which a server exposes is within limits.
type Prometheus struct {
	// TLS makes it https; nil is plain http.
	TLS *TLSConfig
	// Path begins with "/" and may have a query; default "/metrics".
	Path string
	// Host is sent as the Host header, and as SNI when TLS states none; default
	// the target's address or host name and port.
	Host string
	// Headers are sent as they are written, sorted by name.
	Headers map[string]string
	// Metric is the name of the series, such as "up" or "latency_seconds_bucket".
	Metric string
	// Labels are those that a series must have, with these values. An empty value
	// matches a series without the label.
	Labels map[string]string
	// Aggregate makes one value of all series that match.
	Aggregate Aggregate
	// Expect has at least one condition, of numbers.
	Expect []Condition
}

// Aggregate is how several series are judged.
type Aggregate string

// The aggregates; the zero value is AggregateOne.
const (
	AggregateOne Aggregate = "one" // exactly one series may match
	AggregateSum Aggregate = "sum"
	AggregateMax Aggregate = "max"
	AggregateMin Aggregate = "min"
	AggregateAny Aggregate = "any" // the conditions must hold for one of them
	AggregateAll Aggregate = "all" // and for each of them
)

const (
	// maxExposition bounds what is read of the metrics, header included.
	maxExposition = 8 << 20
	// maxLabels is how many labels a check may state.
	maxLabels = 32
)

// NewPrometheus makes the prober of a Prometheus check. It fails, naming the
// field and never a header's value, when it could not be made as it is described.
func NewPrometheus(o Prometheus) (Prober, error) {
	p := &prometheusProber{net: &system, path: o.Path, host: o.Host, secure: o.TLS != nil}
	p.series = series{metric: o.Metric, aggregate: o.Aggregate}
	if p.path == "" {
		p.path = "/metrics"
	}
	if p.series.aggregate == "" {
		p.series.aggregate = AggregateOne
	}
	var err error
	if p.series.expect, err = newConditions(o.Expect, true); err != nil {
		return nil, fmt.Errorf("expect: %w", err)
	}
	switch p.series.aggregate {
	case AggregateOne, AggregateSum, AggregateMax, AggregateMin, AggregateAny, AggregateAll:
	default:
		return nil, fmt.Errorf("aggregate: %q is not one of one, sum, max, min, any, all", string(p.series.aggregate))
	}
	switch {
	case o.Metric == "":
		return nil, errors.New("metric: is needed")
	case len(o.Expect) == 0:
		return nil, errors.New("expect: is needed")
	case len(o.Labels) > maxLabels:
		return nil, fmt.Errorf("labels: are more than %d", maxLabels)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Labels)) {
		p.series.labels = append(p.series.labels, label{name, o.Labels[name]})
	}
	if err := p.setRequest(o); err != nil {
		return nil, err
	}
	if o.TLS != nil {
		sec := *o.TLS
		if sec.SNI == "" && o.Host != "" {
			sec.SNI, _, _ = splitAuthority(o.Host)
		}
		if p.tls, err = newSecurity(sec, []string{"http/1.1"}); err != nil {
			return nil, err
		}
		p.tls.secrets = saidAgain("", HTTP{Host: o.Host, Headers: o.Headers})
	}
	return p, nil
}

// setRequest prepares the lines of the request behind the first two.
func (p *prometheusProber) setRequest(o Prometheus) error {
	if _, err := url.ParseRequestURI(p.path); err != nil || p.path[0] != '/' ||
		strings.ContainsFunc(p.path, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }) {
		return errors.New("path: is not a path that begins with / and is percent-encoded")
	}
	if o.Host != "" {
		if _, _, ok := splitAuthority(o.Host); !ok {
			return fmt.Errorf("host: %q is not a host name or address with or without a port", o.Host)
		}
	}
	lines := "Connection: close\r\n"
	own := map[string]string{"User-Agent": userAgent, "Accept": "text/plain;version=0.0.4, application/openmetrics-text;q=0.5"}
	for _, name := range slices.Sorted(maps.Keys(o.Headers)) {
		lower := strings.ToLower(name)
		switch {
		case !validToken(name):
			return fmt.Errorf("headers: %q is not a header name", name)
		case lower == "host" || lower == "accept-encoding" || slices.Contains(refusedHeaders, lower):
			return fmt.Errorf("headers: %s cannot be set", name)
		case !validValue(o.Headers[name]):
			return fmt.Errorf("headers: the value of %s has a control character", name)
		}
		delete(own, http.CanonicalHeaderKey(name))
		lines += name + ": " + o.Headers[name] + "\r\n"
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		lines += name + ": " + own[name] + "\r\n"
	}
	p.headers = lines + "\r\n"
	return nil
}

type prometheusProber struct {
	net    *network
	tls    *security
	secure bool
	path   string
	host   string
	// headers are the lines behind Host, which may hold secrets.
	headers string
	series  series
}

func (p *prometheusProber) Probe(ctx context.Context, t Target) Result {
	return p.net.converse(ctx, t, func(s *session) (string, failure) { return "", p.talk(s, t) })
}

func (p *prometheusProber) talk(s *session, t Target) failure {
	s.in.left = maxExposition
	if p.tls != nil {
		if f := s.protect(p.tls); f.failed() {
			return f
		}
	}
	host := p.host
	if host == "" {
		if !t.Addr.IsValid() && !validName(t.Host) {
			return fail(ClassError, "target's host name is malformed")
		}
		host = t.String()
	}
	if f := s.send([]byte("GET "+p.path+" HTTP/1.1\r\nHost: "+host+"\r\n"+p.headers), awaiting); f.failed() {
		return f
	}
	resp, f := p.header(s)
	if f.failed() {
		return f
	}
	s.at = reading
	br := readers.Get().(*bufio.Reader)
	br.Reset(resp.Body)
	defer func() {
		br.Reset(nil)
		readers.Put(br)
	}()
	scan := p.series.scan()
	if err := scan.read(br); err != nil {
		switch {
		case s.in.over:
			return fail(ClassOversize, "more than %d MiB came back before the verdict", maxExposition>>20)
		case errors.Is(err, errLongLine):
			return fail(ClassOversize, "a line of the metrics is longer than %d KiB", maxMessage>>10)
		case errors.Is(err, errCut):
			return fail(ClassProtocol, "the metrics do not end with a line feed: they may be cut off")
		case errors.Is(err, errNoMetrics):
			return fail(ClassProtocol, "the response is not metrics in text")
		case s.in.caused(err):
			return s.broken(s.in.err)
		}
		return fail(ClassProtocol, "the response's body is malformed")
	}
	return scan.judge()
}

// header reads up to the body.
func (p *prometheusProber) header(s *session) (*http.Response, failure) {
	// The header has a limit of its own; what is left of it goes to the body.
	s.in.left -= maxExposition - maxHeader
	defer func() { s.in.left += maxExposition - maxHeader }()
	const version = "HTTP/1."
	lead, err := s.br.Peek(len(version))
	s.began = len(lead) > 0
	switch {
	case !p.secure && s.began && lead[0] == tlsAlert:
		return nil, fail(ClassProtocol, "the server speaks TLS, not plain http")
	case !strings.HasPrefix(version, string(lead)):
		return nil, fail(ClassProtocol, "the response is not HTTP/1")
	case err != nil:
		return nil, s.broken(err)
	}
	for {
		resp, err := http.ReadResponse(s.br, &http.Request{Method: http.MethodGet})
		switch {
		case s.in.over:
			return nil, fail(ClassOversize, "the response's header is longer than %d KiB", maxHeader>>10)
		case err != nil && s.in.err != nil:
			// The parser may take what came before the end for a whole line.
			return nil, s.broken(s.in.err)
		case err != nil || resp.StatusCode < 100:
			return nil, fail(ClassProtocol, "the response is not HTTP or is malformed")
		case resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols:
			continue
		case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
			return nil, fail(ClassAuth, "status %d: the login was refused", resp.StatusCode)
		case resp.StatusCode != http.StatusOK:
			return nil, fail(ClassStatus, "status %d, expected 200", resp.StatusCode)
		case resp.Header.Get("Content-Encoding") != "" && resp.Header.Get("Content-Encoding") != "identity":
			return nil, fail(ClassProtocol, "the response is compressed, which was not asked for")
		}
		return resp, failure{}
	}
}
