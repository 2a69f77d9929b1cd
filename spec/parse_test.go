package spec

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// outline is a Spec as text, to compare.
func outline(s *Spec) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("node %+v", s.Node)
	p("dns %+v", s.DNS)
	p("admin %v %v %+v", s.Admin.Listen, s.Admin.AllowedNetworks, s.Admin.TLS)
	p("log %+v", s.Log)
	for _, name := range sorted(s.Checks) {
		p("check %+v", *s.Checks[name])
	}
	for _, name := range sorted(s.Pools) {
		pool := s.Pools[name]
		place := pool.Place
		place.At = nil
		p("pool %s min %d %+v %v", pool.Name, pool.MinHealthy, place, pool.Pos)
		if pool.Place.At != nil {
			p("  at %v", *pool.Place.At)
		}
		for i := range pool.Endpoints {
			e := &pool.Endpoints[i]
			var checks []string
			for _, c := range e.Checks {
				checks = append(checks, c.Name)
			}
			p("  %s weight %d priority %d tags %v checks %v %v", e, e.Weight, e.Priority, e.Tags, checks, e.Pos)
		}
	}
	for _, z := range s.Zones {
		p("zone %s %v", z.Name, z.Pos)
		for _, ns := range z.Nameservers {
			p("  ns %s %v", ns.Name, ns.Addrs)
		}
		p("  soa %s %d %d %d %d %d %d", z.SOA.Mbox, z.SOA.Serial, z.SOA.Refresh, z.SOA.Retry, z.SOA.Expire, z.SOA.Minimum, z.SOA.TTL)
		if z.Data != nil {
			p("  records %d serial %d signed %t", z.Data.Records, z.Data.Serial, z.Data.Signed)
		}
		for _, sv := range z.Services {
			pol := sv.Policy
			other := ""
			if pol.AllDown.Pool != nil {
				other = pol.AllDown.Pool.Name
			}
			p("  %d:%d %s %s preset %q steer %+v ttl %d answers %d down %d %s panic %g", sv.File, sv.Line, sv.Label,
				poolNames(pol.Pools), pol.Preset, pol.Steer, pol.TTL, pol.Answers, pol.AllDown.Rule, other, pol.Panic)
		}
	}
	for _, w := range s.Warnings {
		p("warning %v", w)
	}
	return b.String()
}

func sorted[T any](m map[string]T) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func TestValid(t *testing.T) {
	files, err := filepath.Glob("testdata/valid-*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, file := range append(files, "../examples/full.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b = bytes.Replace(b, []byte("include: []"), nil, 1) // Parse refuses the key
			s, err := parse(file, b, testEnv)                   // under its path, since it names other files
			if err != nil {
				t.Fatal(err)
			}
			if s.Node.Name == "" {
				t.Error("the node has no name")
			}
			if !strings.Contains(string(b), "name: ns") {
				s.Node.Name = "HOST"
			}
			golden(t, "testdata/"+strings.TrimSuffix(filepath.Base(file), ".yaml")+".txt", outline(s))
		})
	}
}

// Services that mean the same share one policy, however they are written.
func TestPoliciesAreShared(t *testing.T) {
	s, err := Parse("x.yaml", []byte(onePool+`zones:
  example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
      a: {pools: [eu]}
      b: {pools: [eu]}
      c:
        steer: round-robin
        pools: [eu]
      d: {pools: [eu], ttl: 5}
      e: {pools: [eu], steer: [rotate]}
`))
	if err != nil {
		t.Fatal(err)
	}
	sv := s.Zones[0].Services
	if sv[0].Policy != sv[1].Policy || sv[0].Policy != sv[2].Policy {
		t.Error("a, b and c have policies of their own")
	}
	// e was not written as a preset, which is shown to people.
	if sv[0].Policy == sv[3].Policy || sv[0].Policy == sv[4].Policy {
		t.Error("d or e has the policy of a")
	}
}

// A mistake in a text that many services share is reported for each of them.
func TestSharedMistakes(t *testing.T) {
	_, err := Parse("x.yaml", []byte(onePool+`zones:
  example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
      a: {pools: [us]}
      b: {pools: [us]}
`))
	var all Errors
	if !errors.As(err, &all) || len(all) != 2 || all[0].Line != 6 || all[1].Line != 7 {
		t.Error(err)
	}
}

func TestParseRefusesInclude(t *testing.T) {
	_, err := Parse("x.yaml", []byte("include: [a.yaml]\n"))
	if err == nil || err.Error() != "x.yaml:1:1: include: only for files: this document is none" {
		t.Error(err)
	}
}

// Whatever comes in, a Spec or errors with their places come out.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "../examples/*.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if len(b) < 4000 {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parse("x.yaml", b, testEnv)
		var all Errors
		switch {
		case err == nil && s == nil:
			t.Error("neither a spec nor an error")
		case err != nil && (!errors.As(err, &all) || len(all) == 0):
			t.Errorf("%#v", err)
		}
		for _, e := range all {
			if e.File == "" || e.Msg == "" {
				t.Errorf("%#v", e)
			}
		}
	})
}
