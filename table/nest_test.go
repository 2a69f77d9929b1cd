package table

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
)

// nesting is a configuration of services that nest others, of pools with
// addresses of both families, host names, reserves and composed pools. A service
// nests only those with higher numbers.
type nesting struct {
	r     *rand.Rand
	lines []string
}

const nestingHead = `checks:
  web: {type: http}
  named: {type: http, host: example.com}
  port: {type: tcp, port: 80}
pools:
  eu: {checks: [web], place: {country: IE}, endpoints: [192.0.2.1, "2001:db8::1", 192.0.2.2]}
  us: {checks: [named], min_healthy: 2, endpoints: [198.51.100.1, {address: 192.0.2.1, checks: [port], tags: [a]}]}
  six: {endpoints: ["2001:db8::6", {address: "2001:db8::7", tags: [a, b]}]}
  cdn: {checks: [port], endpoints: [a.example.com, b.example.com]}
  cdn2: {endpoints: [c.example.com]}
  both: {pools: [eu, us], steer: weighted, min_healthy: 2}
  three: {pools: [both, six, cdn], steer: failover, all_down: us}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
`

func (n *nesting) line(i int) string {
	pick := func(of ...string) string { return of[n.r.IntN(len(of))] }
	var members []string
	for _, pool := range []string{"eu", "us", "six", "cdn", "cdn2", "both", "three"} {
		if n.r.IntN(5) == 0 {
			members = append(members, pool)
		}
	}
	if i >= len(n.lines)*2/3 && n.r.IntN(3) == 0 {
		members = []string{pick("cdn", "cdn2")} // answered as CNAME
	}
	for k := i + 1; k < len(n.lines); k++ {
		if n.r.IntN(len(n.lines)) == 0 {
			members = append(members, fmt.Sprintf("{service: s%d}", k))
		}
	}
	if len(members) == 0 {
		members = []string{pick("eu", "us")}
	}
	n.r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return fmt.Sprintf("      s%d: {pools: [%s], steer: %s%s}\n", i, strings.Join(members, ", "),
		pick("weighted", "failover", "random", "[limit: 2, random]"), pick("", "", ", all_down: nodata", ", all_down: last-healthy", ", panic: 0.5", ", ttl: 7"))
}

// spec is the spec of the lines, or nil when it is wrong: a chain of services may
// be too long.
func (n *nesting) spec(t *testing.T, file string, kept *spec.Kept) *spec.Spec {
	t.Helper()
	if err := os.WriteFile(file, []byte(nestingHead+strings.Join(n.lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _, err := spec.Load(file, spec.Options{Kept: kept})
	if err != nil {
		if !strings.Contains(err.Error(), "deep") {
			t.Fatal(err)
		}
		return nil
	}
	return s
}

// checkNested compares what is nested in a plan with the members of the plan, and
// counts how many endpoints it has found.
func checkNested(t *testing.T, tab *Table, p *Plan) (found int) {
	t.Helper()
	if p.Nested == nil {
		return 0
	}
	if len(p.Nested) != len(p.Policy.Pools) {
		t.Fatalf("%d nested, %d pools", len(p.Nested), len(p.Policy.Pools))
	}
	for at, n := range p.Nested {
		pool := p.Policy.Pools[at]
		if (n == nil) != (pool.Nested == nil) || p.Nests(at) != n {
			t.Fatalf("pool %s: %v", pool.Name, n)
		}
		if n == nil {
			continue
		}
		if n.Service != pool.Service || n.Plan.Policy != pool.Nested || n.Plan.Rotates && !p.Rotates {
			t.Fatalf("pool %s: nested %q, rotates %t in %t", pool.Name, n.Service, n.Plan.Rotates, p.Rotates)
		}
		for f := range p.Members {
			out := &p.Members[f]
			same := func(in *Members, base uint32) {
				for i := range in.Candidates {
					k := int(base) + i
					flat, outFlat := in.Flat(i), out.Flat(k)
					if in.Endpoints[i] != out.Endpoints[k] || in.Targets[i] != out.Targets[k] || flat != outFlat || flat && in.Hosts[i] != out.Hosts[k] {
						t.Fatalf("pool %s: %s is %s", pool.Name, in.Endpoints[i], out.Endpoints[k])
					}
					if c := out.Candidates[k]; int(c.Pool) != at || c.Index != uint32(k) {
						t.Fatalf("pool %s: candidate %+v of %d", pool.Name, c, at)
					}
					if Family(f) != Hosts && string(in.Addr(Family(f), uint32(i))) != string(out.Addr(Family(f), uint32(k))) {
						t.Fatalf("pool %s: %s has another address", pool.Name, in.Endpoints[i])
					}
					found++
				}
			}
			in, spare := &n.Plan.Members[f], &n.Plan.Spare[f]
			same(in, n.Base[f])
			same(spare, n.SpareBase[f])
			if n.SpareBase[f] != n.Base[f]+uint32(len(in.Candidates)) {
				t.Fatalf("pool %s: bases %d and %d", pool.Name, n.Base[f], n.SpareBase[f])
			}
			of := 0
			for _, c := range out.Candidates {
				if int(c.Pool) == at {
					of++
				}
			}
			if of != len(in.Candidates)+len(spare.Candidates) {
				t.Fatalf("pool %s: %d members, %d and %d nested", pool.Name, of, len(in.Candidates), len(spare.Candidates))
			}
		}
		found += checkNested(t, tab, n.Plan)
	}
	for f := range p.Members {
		ms := &p.Members[f]
		for i, e := range ms.Endpoints {
			pool, service := p.Home(ms, i)
			in := func(own *spec.Endpoint) bool { return own == e }
			has := false
			for k := range pool.Endpoints {
				has = has || in(&pool.Endpoints[k])
			}
			if !has || pool.Nested != nil {
				t.Fatalf("%s is at home in %s", e, pool.Name)
			}
			if service == "" {
				continue
			}
			// The service has the endpoint itself, with the same target.
			own := tab.plan(t, service.String())
			has = false
			for _, group := range []*[families]Members{&own.Members, &own.Spare} {
				for g := range group {
					for k := range group[g].Endpoints {
						_, deeper := own.Home(&group[g], k)
						has = has || group[g].Endpoints[k] == e && group[g].Targets[k] == ms.Targets[i] && deeper == ""
					}
				}
			}
			if !has {
				t.Fatalf("%s is not of %s", e, service)
			}
		}
	}
	return found
}

// TestNested makes random nested services and compares inner plans and outer ones.
func TestNested(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yaml")
	found, flat, names := 0, 0, 0
	for seed := range uint64(150) {
		n := &nesting{r: rand.New(rand.NewPCG(seed, 3)), lines: make([]string, 9)}
		for i := range n.lines {
			n.lines[i] = n.line(i)
		}
		s := n.spec(t, file, nil)
		if s == nil {
			continue
		}
		tab, err := Compile(nil, s)
		if err != nil {
			t.Fatal(err)
		}
		tab.EachService(func(_ *Node, p *Plan) bool {
			found += checkNested(t, tab, p)
			if p.Nested != nil && p.Policy.Flatten {
				flat++
			}
			if p.Nested != nil {
				names += len(p.Members[Hosts].Candidates)
			}
			return true
		})
	}
	if found < 5000 || flat < 50 || names < 20 {
		t.Errorf("%d endpoints compared; %d plans flattened, %d host names not", found, flat, names)
	}
}

// nestedOutline is all that the table says of its services.
func nestedOutline(tab *Table) string {
	var out []string
	var describe func(p *Plan) string
	describe = func(p *Plan) string {
		var b strings.Builder
		fmt.Fprintf(&b, "%s rotates %t turns %d chain %v", p.Policy.Key, p.Rotates, p.turns(), p.Chain)
		for f := range p.Members {
			for _, ms := range []*Members{&p.Members[f], &p.Spare[f]} {
				for i, e := range ms.Endpoints {
					target := tab.Targets[ms.Targets[i]]
					fmt.Fprintf(&b, " %s %s", e, target.Addr)
					for _, c := range target.Checks {
						b.WriteString(" " + c.Name + "@" + c.Host)
					}
				}
			}
		}
		for _, n := range p.Nested {
			if n != nil {
				fmt.Fprintf(&b, " {%s %v %v %s}", n.Service, n.Base, n.SpareBase, describe(n.Plan))
			}
		}
		return b.String()
	}
	tab.EachService(func(n *Node, p *Plan) bool {
		out = append(out, tab.Name(n).String()+" "+describe(p))
		return true
	})
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// TestNestedReload changes services that are nested, and those that they are nested
// in, and compares the table that comes of the one before with a fresh one.
func TestNestedReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yaml")
	changed := 0
	for seed := range rounds(uint64(40)) {
		n := &nesting{r: rand.New(rand.NewPCG(seed, 4)), lines: make([]string, 12)}
		for i := range n.lines {
			n.lines[i] = n.line(i)
		}
		own := seed%2 == 0 // checks that ask for the service's host
		state := func(kept *spec.Kept) *spec.Spec {
			s := n.spec(t, file, kept)
			if s != nil && !own {
				for _, c := range s.Checks {
					c.Host = "example.com"
				}
			}
			return s
		}
		kept := &spec.Kept{}
		var tab *Table
		for range 15 {
			s := state(kept)
			if s != nil {
				if tab != nil && !own {
					if _, err := change(tab, s); err == nil {
						changed++
					}
				}
				next, err := Compile(tab, s)
				if err != nil {
					t.Fatal(err)
				}
				fresh, err := Compile(nil, state(nil))
				if err != nil {
					t.Fatal(err)
				}
				if got, want := nestedOutline(next), nestedOutline(fresh); got != want {
					t.Fatalf("seed %d: became\n%s\nwant\n%s", seed, got, want)
				}
				numbers := map[uint32]string{}
				next.EachService(func(node *Node, p *Plan) bool {
					checkNested(t, next, p)
					for i := range p.turns() {
						if other := numbers[node.Seq+i]; other != "" {
							t.Fatalf("seed %d: %s and %s share a sequence", seed, next.Name(node), other)
						}
						numbers[node.Seq+i] = next.Name(node).String()
						next.Next(node, Turn(i)) // it is there
					}
					return true
				})
				tab = next
			}
			i := n.r.IntN(len(n.lines))
			n.lines[i] = n.line(i)
		}
	}
	if !raced && changed < 30 {
		t.Errorf("%d tables came of the one before", changed)
	}
}

// TestNestedHost has a nested service whose checks ask for its own host.
func TestNestedHost(t *testing.T) {
	tab := compile(t, nil, `
checks: {web: {type: http}}
pools:
  eu: {checks: [web], endpoints: [192.0.2.1]}
  all: {pools: [eu]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      inner: {pools: [eu]}
      out: {pools: [{service: inner}]}
      too: {pools: [all]}
      "*.wild": {pools: [{service: inner}]}
`[1:])
	target := func(name string) string {
		p := tab.plan(t, name)
		return fmt.Sprint(tab.Targets[p.Members[V4].Targets[0]].Checks[0].Host, " ", p.PerService)
	}
	for name, want := range map[string]string{
		"inner.x.test.": "inner.x.test true", "out.x.test.": "inner.x.test false",
		"too.x.test.": "too.x.test true", "*.wild.x.test.": "inner.x.test false",
	} {
		if got := target(name); got != want {
			t.Errorf("%s is judged for %s, want %s", name, got, want)
		}
	}
	if len(tab.Targets) != 2 {
		t.Errorf("%d targets", len(tab.Targets))
	}
	for name, want := range map[string]int{"inner.x.test.": 1, "out.x.test.": 0, "too.x.test.": 1} {
		n, err := dnswire.ParseName(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := tab.Locate(n, "192.0.2.1"); len(got) != want {
			t.Errorf("the endpoint of %s is at %v", name, got)
		}
	}
}
