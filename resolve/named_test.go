package resolve_test

import (
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
)

// TestNamed is which ending of the name asked for has decided.
func TestNamed(t *testing.T) {
	s := compile(t, `
pools: {one: {endpoints: [192.0.2.1]}}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services: {www: {pools: [one]}}
    records: ["*.wild A 192.0.2.9", "a.b.wild A 192.0.2.9", "sub NS ns.sub", "ns.sub A 192.0.2.8", "old DNAME new", "a.new A 192.0.2.7", "gone CNAME none"]
`)
	for name, want := range map[string]string{
		"x.test":            "x.test.",
		"WWW.x.test":        "www.x.test.",
		"none.x.test":       "x.test.",
		"a.none.x.test":     "x.test.",
		"c.a.b.wild.x.test": "x.test.", // the name above keeps the wildcard away
		"gone.x.test":       "gone.x.test.",
		"a.wild.x.test":     "wild.x.test.",
		"b.a.wild.x.test":   "wild.x.test.",
		"b.wild.x.test":     "b.wild.x.test.",
		"sub.x.test":        "sub.x.test.",
		"a.sub.x.test":      "sub.x.test.",
		"a.old.x.test":      "old.x.test.",
		"old.x.test":        "old.x.test.",
		"y.test":            "",
	} {
		c := resolve.NewScratch(1, 2)
		q := asked(t, []string{name, "A"})
		s.Append(nil, q, c)
		whole, got := q.Name(), ""
		if n := c.Outcome.Named; n > 0 {
			got = dnswire.Name(whole[len(whole)-n:]).String()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
