package health

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

func httpProber(c Check) (probe.Prober, error) {
	a := c.Ask.(*spec.HTTPCheck)
	h := probe.HTTP{
		Version: a.Version, Method: a.Method, Path: a.Path, Host: c.Host, Headers: a.Headers,
		ContentType: a.ContentType, Bearer: a.Bearer,
		ResponseHeaders: expectations(a.ResponseHeaders), JSON: expectations(a.JSON),
		FollowRedirects: a.FollowRedirects,
	}
	if a.Send != "" {
		h.Send = []byte(a.Send)
	}
	if a.User != "" {
		h.Basic = &probe.Login{User: a.User, Password: a.Password}
	}
	for _, r := range a.Status {
		h.Status = append(h.Status, probe.Range{Min: r.From, Max: r.To})
	}
	if a.Body != "" {
		re, err := regexp.Compile(a.Body)
		if err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		h.Body = re
	}
	if c.TLS != nil {
		t, err := secured(c)
		if err != nil {
			return nil, err
		}
		h.TLS = t
	}
	return probe.NewHTTP(h)
}

// expectations are in the order of their names, so that the same one is the first to
// be reported each time.
func expectations(m map[string][]spec.Condition) []probe.Expectation {
	var out []probe.Expectation
	for _, name := range slices.Sorted(maps.Keys(m)) {
		e := probe.Expectation{Name: name}
		for _, c := range m[name] {
			e.Conditions = append(e.Conditions, probe.Condition{Op: c.Op, Text: c.Text})
		}
		out = append(out, e)
	}
	return out
}
