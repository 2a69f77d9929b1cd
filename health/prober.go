package health

import (
	"crypto/x509"
	"fmt"
	"os"
	"regexp"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// NewProber makes the probe of a check. It reads the check's CA file.
func NewProber(c Check) (probe.Prober, error) {
	switch c.Type {
	case spec.CheckTCP:
		return probe.NewTCP(probe.TCP{}), nil
	case spec.CheckTLS:
		t, err := tlsOf(c)
		if err != nil {
			return nil, err
		}
		return probe.NewTLS(probe.TLS(*t))
	case spec.CheckHTTP, spec.CheckHTTPS:
		h := probe.HTTP{
			Method: c.Method, Path: c.Path, Host: c.Host, Headers: c.Headers,
			FollowRedirects: c.FollowRedirects,
		}
		for _, r := range c.Status {
			h.Status = append(h.Status, probe.Range{Min: r.From, Max: r.To})
		}
		if c.Body != "" {
			re, err := regexp.Compile(c.Body)
			if err != nil {
				return nil, fmt.Errorf("body: %w", err)
			}
			h.Body = re
		}
		if c.Type == spec.CheckHTTPS {
			t, err := tlsOf(c)
			if err != nil {
				return nil, err
			}
			h.TLS = t
		}
		return probe.NewHTTP(h)
	}
	return nil, fmt.Errorf("type %q: not available in this version", c.Type)
}

func tlsOf(c Check) (*probe.TLSConfig, error) {
	t := &probe.TLSConfig{SNI: c.Host, SkipVerify: !c.Verify}
	if c.CA == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	t.Roots = x509.NewCertPool()
	if !t.Roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca: %s holds no PEM certificate", c.CA)
	}
	return t, nil
}
