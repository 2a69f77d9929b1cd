package spec

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// service is a service of a Spec by its whole name.
func (s *Spec) service(t *testing.T, name string) *Policy {
	t.Helper()
	for _, z := range s.Zones {
		for svc := range z.Services.All() {
			if bare(nameOf(svc.Label, z)) == name {
				return svc.Policy
			}
		}
	}
	t.Fatalf("no service %s", name)
	return nil
}

// described is a policy with all that is nested in it.
func described(p *Policy) string {
	var b strings.Builder
	for _, pool := range p.Pools {
		fmt.Fprintf(&b, "%s %q", pool.Name, string(pool.Service))
		for i := range pool.Endpoints {
			fmt.Fprintf(&b, " %s", &pool.Endpoints[i])
		}
		if pool.Nested != nil {
			fmt.Fprintf(&b, " {%s}", described(pool.Nested))
		}
		b.WriteString("; ")
	}
	fmt.Fprintf(&b, "steer %s ttl %d answers %d down %d %t panic %v flatten %t", chainText(p.Steer), p.TTL, p.Answers, p.AllDown.Rule, p.AllDown.Stated, p.Panic, p.Flatten)
	if p.AllDown.Pool != nil {
		b.WriteString(" " + p.AllDown.Pool.Name)
	}
	return b.String()
}

const nestedZones = `
pools:
  dublin: {endpoints: [192.0.2.1, "2001:db8::1"]}
  frankfurt: {endpoints: [192.0.2.2, 192.0.2.3]}
  us: {endpoints: [198.51.100.1]}
  sorry: {endpoints: [203.0.113.1]}
  cdn: {endpoints: [edge.example.net]}
  europe: {pools: [dublin, frankfurt], steer: weighted, answers: 2, min_healthy: 3}
zones:
  a.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [{service: inner}, us], steer: failover, ttl: 60}
      inner: {pools: [{service: deep}, us], steer: random, answers: 2, ttl: 50}
      deep: {pools: [frankfurt, dublin], all_down: sorry, ttl: 40, panic: 0.5}
      pooled: {pools: [europe, us], steer: failover, ttl: 60}
      whole: {pools: [{service: inner.b.test}, {service: Inner}]}
      apex: {pools: [{service: "@"}]}
      "@": {pools: [us], ttl: 5}
      alias: {pools: [cdn], all_down: last-healthy}
      aliased: {pools: [{service: alias}]}
      mixed: {pools: [us, {service: alias}, {service: aliased}]}
      _sip._udp: {pools: [{service: alias}], srv: {port: 5060}}
      "*.wild": {pools: [us]}
      tame: {pools: [{service: "*.wild"}]}
  b.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [{service: inner}, us], steer: failover, ttl: 60}
      inner: {pools: [us], ttl: 10}
      dotted: {pools: [{service: inner.a.test.}]}
`

// TestNested decodes services among the pools of others.
func TestNested(t *testing.T) {
	s, err := Parse("x.yaml", []byte(nestedZones))
	if err != nil {
		t.Fatal(err)
	}
	const (
		deep    = `deep.a.test "\x04deep\x01a\x04test\x00" 192.0.2.2 192.0.2.3 192.0.2.1 2001:db8::1 203.0.113.1 {frankfurt "" 192.0.2.2 192.0.2.3; dublin "" 192.0.2.1 2001:db8::1; steer rotate ttl 40 answers 1 down 4 true panic 0.5 flatten false sorry}; `
		us      = `us "" 198.51.100.1; `
		innerA  = `inner.a.test "\x05inner\x01a\x04test\x00" 192.0.2.2 192.0.2.3 192.0.2.1 2001:db8::1 203.0.113.1 198.51.100.1 {` + deep + us + `steer shuffle ttl 40 answers 2 down 0 false panic 0 flatten false}; `
		innerB  = `inner.b.test "\x05inner\x01b\x04test\x00" 198.51.100.1 {` + us + `steer rotate ttl 10 answers 1 down 0 false panic 0 flatten false}; `
		tier    = `steer tier, rotate `
		rotates = `steer rotate `
		rest    = ` answers 1 down 0 false panic 0 flatten `
		europe  = `europe "" 192.0.2.1 2001:db8::1 192.0.2.2 192.0.2.3 {dublin "" 192.0.2.1 2001:db8::1; frankfurt "" 192.0.2.2 192.0.2.3; steer weighted ttl 0 answers 2 down 0 false panic 0 flatten false}; `
	)
	alias := func(flatten string) string {
		return `alias.a.test "\x05alias\x01a\x04test\x00" edge.example.net {cdn "" edge.example.net; ` + rotates + `ttl 30 answers 1 down 1 true panic 0 flatten ` + flatten + `}; `
	}
	aliased := func(flatten string) string {
		return `aliased.a.test "\aaliased\x01a\x04test\x00" edge.example.net {` + alias(flatten) + rotates + `ttl 30` + rest + flatten + `}; `
	}
	for name, want := range map[string]string{
		"www.a.test":       innerA + us + tier + "ttl 40" + rest + "false",
		"www.b.test":       innerB + us + tier + "ttl 10" + rest + "false",
		"pooled.a.test":    europe + us + tier + "ttl 60" + rest + "false",
		"whole.a.test":     innerB + innerA + rotates + "ttl 10" + rest + "false",
		"dotted.b.test":    innerA + rotates + "ttl 30" + rest + "false",
		"apex.a.test":      `a.test "\x01a\x04test\x00" 198.51.100.1 {` + us + rotates + "ttl 5" + rest + "false}; " + rotates + "ttl 5" + rest + "false",
		"aliased.a.test":   alias("false") + rotates + "ttl 30" + rest + "false",
		"mixed.a.test":     us + alias("true") + aliased("true") + rotates + "ttl 30" + rest + "true",
		"_sip._udp.a.test": alias("true") + rotates + "ttl 30" + rest + "true",
		"tame.a.test":      `*.wild.a.test "\x01*\x04wild\x01a\x04test\x00" 198.51.100.1 {` + us + rotates + "ttl 30" + rest + "false}; " + rotates + "ttl 30" + rest + "false",
	} {
		if got := described(s.service(t, name)); got != want {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
	}
	if p := s.service(t, "pooled.a.test").Pools[0]; p.MinHealthy != 3 || p != s.Pools["europe"] {
		t.Errorf("%+v", p)
	}
	for _, w := range s.Warnings {
		if w.Path != "node.data_dir" {
			t.Error(w)
		}
	}
	keys := map[string]string{}
	for _, z := range s.Zones {
		for svc := range z.Services.All() {
			if other := keys[svc.Policy.Key]; other != "" {
				t.Errorf("%s and %s have the key %s", svc.Label, other, svc.Policy.Key)
			}
			keys[svc.Policy.Key] = svc.Label + " of " + bare(z.Name)
		}
	}
}

// TestNestedKey changes what is nested and looks at the key of what it is nested in.
func TestNestedKey(t *testing.T) {
	load := func(text string) *Spec {
		t.Helper()
		s, err := Parse("x.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := load(nestedZones)
	for change, of := range map[string]string{
		"ttl: 40, panic: 0.5}|ttl: 40, panic: 0.4}":             "deep inner www whole dotted.b.test",
		"all_down: sorry|all_down: us":                          "deep inner www whole dotted.b.test",
		"ttl: 5}|ttl: 5, all_down: serve-all}":                  "@ apex",
		"steer: weighted, answers: 2|steer: random, answers: 2": "pooled",
		"all_down: last-healthy|all_down: nodata":               "alias aliased mixed _sip._udp",
	} {
		old, now, _ := strings.Cut(change, "|")
		after := load(strings.Replace(nestedZones, old, now, 1))
		for _, z := range before.Zones {
			for svc := range z.Services.All() {
				name := bare(nameOf(svc.Label, z))
				concerned := false
				for label := range strings.FieldsSeq(of) {
					concerned = concerned || label == svc.Label && z.Name.String() == "a.test." || label == name
				}
				if got := svc.Policy.Key != after.service(t, name).Key; got != concerned {
					t.Errorf("%s: the key of %s changes: %t", change, name, got)
				}
			}
		}
	}
}

// TestNestedFiles has services nested that stand in other files.
func TestNestedFiles(t *testing.T) {
	zone := "zones:\n  x.test:\n    services:\n"
	dir := tree(t, map[string]string{
		"main.yaml": "include: [a.yaml, b.yaml]\n" + onePool + "zones: {x.test: {nameservers: {ns1: 192.0.2.53}}, sub.x.test: {nameservers: {ns1: 192.0.2.53}, services: {low: {pools: [eu], ttl: 7}}}}\n",
		"a.yaml":    zone + "      www: {pools: [{service: api}, {service: low.sub}]}\n",
		"b.yaml":    zone + "      api: {pools: [eu], ttl: 9}\n",
	})
	s, _, err := loadIn(t, dir)
	if err != "" {
		t.Fatal(err)
	}
	if p := s.service(t, "www.x.test"); len(p.Pools) != 2 || p.Pools[1].Name != "low.sub.x.test" || p.TTL != 7 {
		t.Errorf("%+v", p)
	}
}

// TestHidden warns of pools behind one that always has an answer.
func TestHidden(t *testing.T) {
	const head = `
node: {data_dir: x}
pools:
  eu: {endpoints: [192.0.2.1]}
  us: {endpoints: [198.51.100.1]}
  six: {endpoints: ["2001:db8::1"]}
  always: {pools: [eu], all_down: us}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      quiet: {pools: [eu]}
      nodata: {pools: [eu], all_down: nodata}
      loud: {pools: [eu], all_down: serve-all}
      six: {pools: [six]}
      other: {pools: [always]}
      www: `
	for policy, at := range map[string]int{
		"{pools: [{service: loud}, us], steer: failover}":                     0,
		"{pools: [us, {service: loud}, {service: quiet}], steer: failover}":   1,
		"{pools: [us, {service: loud}], steer: failover}":                     -1,
		"{pools: [{service: quiet}, us], steer: failover}":                    -1,
		"{pools: [{service: nodata}, us], steer: failover}":                   -1,
		"{pools: [{service: loud}, six], steer: failover}":                    -1,
		"{pools: [{service: loud}, us], steer: [{tier: {min_healthy: 50%}}]}": -1,
		"{pools: [{service: loud}, us], steer: weighted}":                     -1,
		"{pools: [always, us], steer: [tier, random]}":                        0,
	} {
		s, err := Parse("x.yaml", []byte(head+policy+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		path := fmt.Sprintf("zones.x.test.services.www.pools[%d]", at)
		if len(s.Warnings) > 1 || (len(s.Warnings) == 1) != (at >= 0) || at >= 0 && (s.Warnings[0].Path != path || !strings.Contains(s.Warnings[0].Msg, "never reached")) {
			t.Errorf("%s: %v", policy, s.Warnings)
		}
	}
}

// TestNestedDoubts looks for what is said of pools that only nested policies have.
func TestNestedDoubts(t *testing.T) {
	const head = `
node: {data_dir: x}
checks: {web: {type: http, host: www.example.com}}
pools:
  eu: {checks: [web], hard_limit: 100, endpoints: [192.0.2.1]}
  us: {checks: [web], failback_delay: 1m, hard_limit: 100, endpoints: [198.51.100.1]}
  world: {pools: [eu, us], steer: STEER}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      inner: {pools: [world], steer: shed}
      www: `
	for policy, want := range map[string]string{
		"{pools: [{service: inner}]}":                        "",
		"{pools: [{service: inner}], failover_delay: 10s}":   "zones.x.test.services.www: its failover_delay or other keys of conduct have no effect",
		"{pools: [{service: inner}, eu], transition_ttl: 5}": "",
		"{pools: [{service: inner}, eu], failback: manual}":  "node.data_dir: not stated, and a service with the pools inner.x.test and eu has failback: manual",
	} {
		for _, steer := range []string{"failover", "shed"} {
			text := strings.Replace(head+policy+"\n", "STEER", steer, 1)
			if steer == "shed" {
				text = strings.Replace(text, "inner: {pools: [world], steer: shed}", "inner: {pools: [world]}", 1)
			}
			if strings.Contains(want, "data_dir") {
				text = strings.Replace(text, "node: {data_dir: x}\n", "", 1)
			}
			s, err := Parse("x.yaml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			s.Warnings = slices.DeleteFunc(s.Warnings, func(e Error) bool { return strings.HasPrefix(e.Msg, "not stated: health") })
			got := ""
			if len(s.Warnings) > 0 {
				got = Errors(s.Warnings).Error()
			}
			if (want == "") != (got == "") || !strings.Contains(got, want) || strings.Contains(got, "\n") {
				t.Errorf("%s with %s: %q, want %q", policy, steer, got, want)
			}
		}
	}
}

// TestNestedProbes counts the probes of nested endpoints: they are those of the
// service that is nested, whoever else answers with them.
func TestNestedProbes(t *testing.T) {
	var b strings.Builder
	b.WriteString("checks:\n  web: {type: http, interval: 100ms, timeout: 50ms}\npools:\n  eu: {checks: [web], endpoints: [192.0.2.1]}\n  all: {pools: [eu]}\nzones:\n  x.test:\n    nameservers: {ns1: 192.0.2.53}\n    services:\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "      own%d: {pools: [eu]}\n      two%d: {pools: [all]}\n      out%d: {pools: [{service: own%d}]}\n", i, i, i, i)
	}
	b.WriteString("      \"*.wild\": {pools: [{service: own1}]}\n")
	text := b.String()
	if _, err := Parse("x.yaml", []byte(text)); err != nil {
		t.Errorf("10,000 probes a second of own services, and 10,000 of a composed pool: %v", err)
	}
	if _, err := Parse("x.yaml", []byte(text+"      three: {pools: [all]}\n")); err == nil || !strings.Contains(err.Error(), "20010 probes a second are more than 20000") {
		t.Errorf("ten more than that: %v", err)
	}
	text = strings.ReplaceAll(text, "100ms", "5s") + "      \"*.wilder\": {pools: [all]}\n"
	if _, err := Parse("x.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "a wildcard has none to ask for") {
		t.Errorf("a wildcard over a composed pool: %v", err)
	}
}

// TestNestedRuns changes services at random, of which some nest others, and reads
// them in runs and whole.
func TestNestedRuns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yaml")
	inRuns, nested := 0, 0
	for seed := range rounds(uint64(30)) {
		r := rand.New(rand.NewPCG(seed, 5))
		kept := &Kept{}
		const n = 60
		var lines [n]string
		line := func(i int) string {
			pick := func(of ...string) string { return of[r.IntN(len(of))] }
			more := pick("", "", ", ttl: 5", ", steer: weighted", ", steer: failover", ", all_down: spare", ", all_down: nodata", ", answers: 1")
			pools := pick("eu", "eu, us", "us", "idle, eu", "all")
			if i < n-1 && r.IntN(4) == 0 {
				zone := pick("", "", ".x.test", ".x.test.")
				pools = fmt.Sprintf("%s, {service: n%d%s}", pools, i+1+r.IntN(n-i-1), zone)
				if zone == "" && i < n/2 {
					more += ", txt: [a]"
				}
			}
			if r.IntN(200) == 0 {
				pools = pick("{service: n0}", "{service: none}", "{service: n01}")
			}
			return fmt.Sprintf("    n%d: {pools: [%s]%s}\n", i, pools, more)
		}
		for i := range lines {
			lines[i] = line(i)
		}
		size := readSizes{run: 1 + r.IntN(4), stretch: 50 + r.IntN(400)}
		for range 8 {
			text := strings.Replace(string(assemble(lines[:], nil, "")), "zones:\n", "  all: {pools: [eu, us], steer: weighted}\nzones:\n", 1)
			text = strings.Replace(text, "    services: # all\n    nameservers", "    services: {m: {pools: [{service: n1.x.test}]}}\n    nameservers", 1)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if s := compareReadings(t, file, kept, size); s != nil {
				fresh, _, err := load(file, Options{Env: testEnv}, whole)
				if err != nil {
					t.Fatal(err)
				}
				if len(kept.texts) > 0 {
					inRuns++
				}
				for _, z := range s.Zones {
					for svc := range z.Services.All() {
						name := bare(nameOf(svc.Label, z))
						got, want := described(svc.Policy), described(fresh.service(t, name))
						if got != want {
							t.Fatalf("seed %d: %s is\n%s\nwant\n%s\nin\n%s", seed, name, got, want, text)
						}
						if svc.Policy.depth > 0 {
							nested++
						}
					}
				}
			}
			if t.Failed() {
				t.Fatalf("seed %d:\n%s", seed, text)
			}
			for range 1 + r.IntN(3) {
				i := r.IntN(n)
				lines[i] = line(i)
			}
		}
	}
	if !raced && (inRuns < 50 || nested < 500) {
		t.Errorf("%d files were read in runs; %d services nested others", inRuns, nested)
	}
}

func nameOf(label string, z *Zone) dnswire.Name {
	return dnswire.Name(appendWire(nil, label, z.Name))
}
