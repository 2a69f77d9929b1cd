package spec

import (
	"bytes"
	"encoding/json"
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
	dns := s.DNS
	dns.Dnstap = nil
	p("dns %+v", dns)
	if s.DNS.Dnstap != nil {
		p("dnstap %+v", *s.DNS.Dnstap)
	}
	p("admin %v %v %+v", s.Admin.Listen, s.Admin.AllowedNetworks, s.Admin.TLS)
	for _, t := range s.Admin.Tokens {
		p("  token %+v", t)
	}
	p("log %+v", s.Log)
	for _, d := range s.Geo.Databases {
		p("geo database %q %v", filepath.Base(d.Path), d.Pos)
	}
	for _, n := range s.Geo.Networks {
		p("geo network %v %+v", n.Prefix, n.Place)
	}
	for _, r := range s.Geo.Regions {
		p("geo region %+v", r)
	}
	for _, name := range sorted(s.Checks) {
		c := *s.Checks[name]
		tls, _ := json.Marshal(c.TLS)
		ask, _ := json.Marshal(c.Ask)
		c.TLS, c.Ask = nil, nil
		p("check %+v tls %s ask %T %s", c, tls, s.Checks[name].Ask, ask)
	}
	for _, name := range sorted(s.Pools) {
		pool := s.Pools[name]
		place := pool.Place
		place.At = nil
		p("pool %s min %d %+v %v", pool.Name, pool.MinHealthy, place, pool.Pos)
		if pool.Place.At != nil {
			p("  at %v", *pool.Place.At)
		}
		if pool.Conduct != nil {
			p("  %v", pool.Conduct)
		}
		for i := range pool.Endpoints {
			e := &pool.Endpoints[i]
			var checks []string
			for _, c := range e.Checks {
				checks = append(checks, c.Name)
				if c.Variant != "" {
					raw, _ := json.Marshal(c)
					checks = append(checks, "as "+string(raw))
				}
			}
			p("  %s weight %d priority %d tags %v checks %v %v", e, e.Weight, e.Priority, e.Tags, checks, e.Pos)
			if e.Port != 0 {
				p("    port %d", e.Port)
			}
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
		for sv := range z.Services.All() {
			pol := sv.Policy
			other := ""
			if pol.AllDown.Pool != nil {
				other = pol.AllDown.Pool.Name
			}
			p("  %d:%d %s %s preset %q steer %+v ttl %d answers %d down %d %s panic %g", sv.File, sv.Line, sv.Label,
				poolNames(pol.Pools), pol.Preset, pol.Steer, pol.TTL, pol.Answers, pol.AllDown.Rule, other, pol.Panic)
			if pol.Weights != nil {
				p("    weights %v", pol.Weights)
			}
			for _, pool := range pol.Pools {
				if c := pol.ConductOf(pool); c != nil && pol.Conduct != nil {
					p("    %s %v", pool.Name, c)
				}
			}
			if pol.TransitionTTL != min(pol.TTL, transitionTTL) {
				p("    transition ttl %d", pol.TransitionTTL)
			}
			if pol.Flatten {
				p("    flatten")
			}
			if pol.HTTPS != nil {
				p("    https %+v", *pol.HTTPS)
			}
			if pol.SVCB != nil {
				p("    svcb %+v", *pol.SVCB)
			}
			if pol.SRV {
				p("    srv %d", pol.SRVPort)
			}
			if pol.TXT != nil {
				p("    txt %q", pol.TXT)
			}
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
			root, err := filepath.Abs("..")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "testdata/"+strings.TrimSuffix(filepath.Base(file), ".yaml")+".txt", relative(outline(s), root))
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
      f: {pools: [eu], https: {alpn: [h3, h2]}}
      g: {pools: [eu], https: {alpn: [h3, h2]}}
      h:
        https: {hints: true, alpn: [h3, h2], priority: 1}
        pools: [eu]
`))
	if err != nil {
		t.Fatal(err)
	}
	sv := slices.Collect(s.Zones[0].Services.All())
	if sv[5].Policy != sv[6].Policy || sv[5].Policy != sv[7].Policy {
		t.Error("f, g and h have policies of their own")
	}
	if sv[0].Policy != sv[1].Policy || sv[0].Policy != sv[2].Policy {
		t.Error("a, b and c have policies of their own")
	}
	// e was not written as a preset, which is shown to people.
	if sv[0].Policy == sv[3].Policy || sv[0].Policy == sv[4].Policy {
		t.Error("d or e has the policy of a")
	}
}

// What differs in any key is no policy of somebody else.
func TestPoliciesDiffer(t *testing.T) {
	texts := []string{
		"answers: 1", "https: {}", "svcb: {}", "https: {}, svcb: {}", "https: {alpn: [h2]}", "https: {alpn: [h3, h2]}", "https: {alpn: [h2, h3]}", "https: {alpn: [h3h2]}",
		`https: {alpn: ['h3\"h2']}`, "https: {alpn: [h2], no_default_alpn: true}", "https: {hints: false}", "https: {port: 2}", "https: {priority: 2}",
		"https: {port: 22}", "https: {priority: 2, port: 2}", "https: {ech: AAAA}", "https: {ech: AAAB}", "svcb: {ech: AAAB}",
		"https: {alpn: [h2], mandatory: [alpn]}", "https: {ech: AAAA, mandatory: [ech]}", "https: {ech: AAAA, port: 1, mandatory: [ech, port]}",
		"srv: {port: 1}", "srv: {port: 11}", "srv: true", "txt: [a]", "txt: [b]", "txt: [a, b]", "txt: [ab]", `txt: ["a\"\"b"]`,
		"flatten: true",
	}
	var b strings.Builder
	b.WriteString("pools: {eu: {endpoints: [{address: a.example.net, port: 1}]}}\nzones:\n  example.com:\n    nameservers: {ns1: 192.0.2.53}\n    services:\n")
	for i, text := range texts {
		fmt.Fprintf(&b, "      a%d: {pools: [eu], %s}\n      b%d: { %s, pools: [eu] }\n", i, text, i, text)
	}
	s, err := Parse("x.yaml", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	first := map[*Policy]int{}
	for i, sv := range slices.Collect(s.Zones[0].Services.All()) {
		at, known := first[sv.Policy]
		if !known {
			at, first[sv.Policy] = i/2, i/2
		}
		if at != i/2 || known != (i%2 == 1) {
			t.Errorf("%s has the policy of %q, which is %v", texts[i/2], texts[at], *sv.Policy)
		}
	}
}

// At a zone's own name the same text means addresses, elsewhere a CNAME.
func TestFlattenAtApex(t *testing.T) {
	const text = `pools: {eu: {endpoints: [a.example.net]}, us: {endpoints: [192.0.2.1]}}
zones:
  a.example:
    nameservers: {ns1: 192.0.2.53}
    services:
      a: {pools: [eu]}
      "@": {pools: [eu]}
      b: {pools: [eu]}
      c: {pools: [eu], flatten: true}
      d: {pools: [us], flatten: true}
  b.example:
    nameservers: {ns1: 192.0.2.53}
    services: {"@": {pools: [eu]}, a: {pools: [us]}}
`
	s, err := Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	a, b := slices.Collect(s.Zones[0].Services.All()), slices.Collect(s.Zones[1].Services.All())
	if a[0].Policy.Flatten || a[0].Policy != a[2].Policy {
		t.Errorf("a and b: %+v %+v", a[0].Policy, a[2].Policy)
	}
	if !a[1].Policy.Flatten || a[1].Policy != a[3].Policy || a[1].Policy != b[0].Policy {
		t.Errorf("@, c and the other @: %+v %+v %+v", a[1].Policy, a[3].Policy, b[0].Policy)
	}
	if a[4].Policy.Flatten || a[4].Policy != b[1].Policy {
		t.Errorf("d, which has no host names: %+v", a[4].Policy)
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
