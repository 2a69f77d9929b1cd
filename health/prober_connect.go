package health

import (
	"fmt"
	"regexp"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

func tcpProber(c Check) (probe.Prober, error) {
	var o probe.TCP
	if a, ok := c.Ask.(*spec.Talk); ok {
		var err error
		if o.Talk, err = talk(a); err != nil {
			return nil, err
		}
	}
	return probe.NewTCP(o), nil
}

func tlsProber(c Check) (probe.Prober, error) {
	t, err := secured(c)
	if err != nil {
		return nil, err
	}
	o := probe.TLS{TLSConfig: *t}
	if a, ok := c.Ask.(*spec.TLSCheck); ok {
		o.MinDays, o.WarnDays = a.MinDays, a.WarnDays
		if o.Talk, err = talk(&a.Talk); err != nil {
			return nil, err
		}
	}
	return probe.NewTLS(o)
}

func talk(a *spec.Talk) (probe.Talk, error) {
	re, err := expression(a.Expect)
	return probe.Talk{Send: a.Send, Expect: re}, err
}

// expression is a regular expression that must be found, nil where there is none.
func expression(s string) (*regexp.Regexp, error) {
	if s == "" {
		return nil, nil
	}
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, fmt.Errorf("expect: %w", err)
	}
	return re, nil
}

// securedWhen is the TLS side of a check, nil where it has none.
func securedWhen(c Check) (*probe.TLSConfig, error) {
	if c.TLS == nil {
		return nil, nil
	}
	return secured(c)
}
