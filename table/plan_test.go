package table

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/steer"
)

const sharing = `
checks:
  own: {type: http}
  fixed: {type: http, host: www.example.com}
  port: {type: tcp, port: 5432}
pools:
  plain: {endpoints: [192.0.2.1, 192.0.2.2]}
  again: {endpoints: [192.0.2.2, 192.0.2.3]}
  hosted: {checks: [own], endpoints: [192.0.2.1, 192.0.2.4]}
  fixed: {checks: [fixed], endpoints: [192.0.2.1]}
  both: {checks: [fixed, port], endpoints: [192.0.2.1]}
  ports: {checks: [port], endpoints: [192.0.2.1]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      a: {pools: [plain, again]}
      b: {pools: [plain, again]}
      c: {pools: [again, plain]}
      h1: {pools: [hosted]}
      h2: {pools: [hosted]}
      f1: {pools: [fixed]}
      f2: {pools: [fixed]}
      spare: {pools: [ports], all_down: hosted}
      both: {pools: [both]}
`

func TestSharing(t *testing.T) {
	tab := compile(t, nil, sharing)
	if tab.plan(t, "a.x.test.") != tab.plan(t, "b.x.test.") {
		t.Error("a and b are alike and do not share a plan")
	}
	if tab.plan(t, "a.x.test.") == tab.plan(t, "c.x.test.") {
		t.Error("a and c differ and share a plan")
	}
	if tab.plan(t, "f1.x.test.") != tab.plan(t, "f2.x.test.") {
		t.Error("checks with a host of their own keep f1 and f2 apart")
	}
	for _, own := range []string{"h1.x.test.", "h2.x.test.", "spare.x.test."} {
		if !tab.plan(t, own).PerService {
			t.Errorf("%s shares a plan although it is checked by its own host", own)
		}
	}
	if tab.plan(t, "h1.x.test.") == tab.plan(t, "h2.x.test.") {
		t.Error("h1 and h2 share a plan although they are checked by their own hosts")
	}

	var got []string
	for i := range tab.Targets {
		text := tab.Targets[i].String()
		for _, c := range tab.Targets[i].Checks {
			text += " " + c.Name + "/" + c.Host
		}
		got = append(got, text)
	}
	slices.Sort(got)
	want := []string{
		"192.0.2.1",
		"192.0.2.1 fixed/www.example.com",
		"192.0.2.1 fixed/www.example.com port/",
		"192.0.2.1 own/h1.x.test",
		"192.0.2.1 own/h2.x.test",
		"192.0.2.1 own/spare.x.test",
		"192.0.2.1 port/",
		"192.0.2.2",
		"192.0.2.3",
		"192.0.2.4 own/h1.x.test",
		"192.0.2.4 own/h2.x.test",
		"192.0.2.4 own/spare.x.test",
	}
	if !slices.Equal(got, want) {
		t.Errorf("targets:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestMembers(t *testing.T) {
	tab := compile(t, nil, `
pools:
  one: {min_healthy: 2, endpoints: [192.0.2.1, "2001:db8::1", {address: 192.0.2.2, weight: 7, priority: 3, tags: [ssd, eu]}]}
  two: {endpoints: [192.0.2.2, {address: "2001:db8::2", tags: [eu]}]}
  far: {endpoints: [198.51.100.1]}
  names: {endpoints: [a.example.com]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [one, two], all_down: far, steer: [tags: [eu], weighted, limit: 3, tags: [eu, ssd]]}
      other: {pools: [far]}
      cname: {pools: [names]}
`[1:])
	p := tab.plan(t, "www.x.test.")
	v4, v6 := &p.Members[V4], &p.Members[V6]
	wantV4 := []steer.Candidate{
		{Index: 0, Weight: 100, Share: steer.Whole},
		{Index: 1, Member: 1, Weight: 7, Priority: 3, Marks: 3, Share: steer.Whole},
		{Index: 2, Member: 2, Weight: 100, Pool: 1, Share: steer.Whole},
	}
	wantV6 := []steer.Candidate{
		{Index: 0, Member: 3, Weight: 100, Share: steer.Whole},
		{Index: 1, Member: 4, Weight: 100, Pool: 1, Marks: 1, Share: steer.Whole},
	}
	if !slices.Equal(v4.Candidates, wantV4) || !slices.Equal(v6.Candidates, wantV6) {
		t.Errorf("candidates %v and %v", v4.Candidates, v6.Candidates)
	}
	if !v4.Repeats || v6.Repeats || v4.InRow || v6.InRow {
		t.Errorf("repeats %t %t, in row %t %t", v4.Repeats, v6.Repeats, v4.InRow, v6.InRow)
	}
	if o := tab.plan(t, "other.x.test."); !o.Members[V4].InRow {
		t.Error("one endpoint is not in a row")
	}
	for i, e := range v6.Endpoints {
		if got := v6.Addr(V6, uint32(i)); !slices.Equal(got, e.Address.AsSlice()) {
			t.Errorf("address %d is %x, want %s", i, got, e.Address)
		}
	}
	for i, e := range v4.Endpoints {
		if got := v4.Addr(V4, uint32(i)); !slices.Equal(got, e.Address.AsSlice()) {
			t.Errorf("address %d is %x, want %s", i, got, e.Address)
		}
	}
	if !slices.Equal(p.MinHealthy, []int{2, 1}) {
		t.Errorf("min_healthy %v", p.MinHealthy)
	}
	if sp := p.Spare[V4].Candidates; len(sp) != 1 || sp[0].Pool != 2 || p.Pool(2).Name != "far" {
		t.Errorf("spare %v", sp)
	}
	if got := len(tab.plan(t, "cname.x.test.").Members[Hosts].Candidates); got != 1 {
		t.Errorf("%d host names", got)
	}
	if at := tab.Locate(name(t, "www.x.test."), "198.51.100.1"); len(at) != 1 || tab.Targets[at[0]].String() != "198.51.100.1" {
		t.Error("an endpoint of the reserve is not found")
	}
	if len(tab.Locate(name(t, "cname.x.test."), "a.example.com")) != 1 {
		t.Error("a host name is not found")
	}
	for _, c := range [][2]string{{"www.x.test.", "192.0.2.9"}, {"ns1.x.test.", "192.0.2.53"}, {"no.x.test.", "192.0.2.1"}} {
		if len(tab.Locate(name(t, c[0]), c[1])) > 0 {
			t.Errorf("%s has no endpoint %s", c[0], c[1])
		}
	}
}

// TestLocateEverywhere finds an address that two pools have judged differently
// in both.
func TestLocateEverywhere(t *testing.T) {
	tab := compile(t, nil, `
checks:
  a: {type: tcp, port: 1}
  b: {type: tcp, port: 2}
pools:
  one: {checks: [a], endpoints: [192.0.2.1]}
  two: {checks: [b], endpoints: [192.0.2.1]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [one, two]}
`)
	at := tab.Locate(name(t, "www.x.test."), "192.0.2.1")
	if len(at) != 2 || at[0] == at[1] {
		t.Errorf("targets %v, want two", at)
	}
}

// TestVariants takes an address that pools judge by one check, each in its way, for
// as many targets as there are ways, and hosts of members for the service's.
func TestVariants(t *testing.T) {
	tab := compile(t, nil, `
checks:
  a: {type: tcp, port: 1}
  own: {type: http}
  any: {type: calculated, any: [a, own]}
pools:
  one: {checks: [a], endpoints: [192.0.2.1]}
  two: {checks: [{check: a, port: 2}], endpoints: [192.0.2.1]}
  three: {checks: [{check: a, port: 1}], endpoints: [192.0.2.1, {address: 192.0.2.2, checks: [any]}]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [one, two, three]}
      api: {pools: [one, two, three]}
`)
	if at := tab.Locate(name(t, "www.x.test."), "192.0.2.1"); len(at) != 2 {
		t.Errorf("targets %v, want two", at)
	}
	hosts := map[string]bool{}
	for _, target := range tab.Targets {
		for _, c := range target.Checks {
			if c.Name == "any" {
				hosts[c.Host] = true
			}
		}
	}
	if len(hosts) != 2 || !hosts["www.x.test"] || !hosts["api.x.test"] {
		t.Errorf("the calculated check is made for %v", hosts)
	}
}

func TestCompileErrors(t *testing.T) {
	tags := strings.Repeat("{tags: [a]}, ", 33)
	for _, c := range []struct{ service, want string }{
		{`www: {pools: [tagged], steer: [` + tags + `]}`, "service www.x.test: 33 tags filters in a chain; 32 are possible"},
	} {
		s := parse(t, fmt.Sprintf(`
checks: {own: {type: http}}
pools:
  own: {checks: [own], endpoints: [192.0.2.1]}
  tagged: {endpoints: [{address: 192.0.2.1, tags: [a]}]}
zones: {x.test: {nameservers: {ns1: 192.0.2.53}, services: {%s}}}
`, c.service))
		if _, err := Compile(nil, s); err == nil || err.Error() != c.want {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

func TestEachCounter(t *testing.T) {
	tab := compile(t, nil, sharing)
	seen := map[uint32]string{}
	tab.EachCounter(func(uint32) bool { return true }, func(i uint32, service, pool string) {
		if seen[i] != "" {
			t.Errorf("counter %d is that of %s and of %s", i, seen[i], service+pool)
		}
		seen[i] = service + pool
	})
	if len(seen) != tab.Counters().Len || len(seen) != 13 {
		t.Errorf("%d counters of %d: %v", len(seen), tab.Counters().Len, seen)
	}
	n := tab.lookup(t, "spare.x.test.")
	if seen[n.Counter] != "spare.x.test.ports" || seen[n.Counter+1] != "spare.x.test.hosted" {
		t.Errorf("counters of spare: %q, %q", seen[n.Counter], seen[n.Counter+1])
	}
	tab.EachCounter(func(i uint32) bool { return i == n.Counter }, func(i uint32, _, _ string) {
		if i != n.Counter {
			t.Errorf("counter %d was not wanted", i)
		}
	})
	services := 0
	tab.EachService(func(n *Node, _ *Plan) bool {
		services++
		if tab.Name(n).First() == "ns1" {
			t.Error("ns1 is no service")
		}
		return services < 4
	})
	if services != 4 || tab.Services() != 9 || tab.Zones[0].Services != 9 {
		t.Errorf("%d services until told to stop; %d in all, %d in the zone", services, tab.Services(), tab.Zones[0].Services)
	}
	if !slices.Equal([]byte(dnswire.Name(tab.Text(n))), []byte(name(t, "spare.x.test."))) {
		t.Errorf("text of a node is %q", tab.Text(n))
	}
}

// Endpoints of one address are one target, but where a script is told of their
// priorities.
func TestPrioritiesOfScripts(t *testing.T) {
	tab := compile(t, nil, `
checks:
  port: {type: tcp, port: 5432}
  judge: {type: lua, script: return true}
pools:
  a: {checks: [port], endpoints: [{address: 192.0.2.1, priority: 1}]}
  b: {checks: [port], endpoints: [{address: 192.0.2.1, priority: 2}]}
  c: {checks: [judge], endpoints: [{address: 192.0.2.1, priority: 1}]}
  d: {checks: [judge], endpoints: [{address: 192.0.2.1, priority: 2}]}
  e: {checks: [judge], endpoints: [{address: 192.0.2.1, priority: 2}]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services: {all: {pools: [a, b, c, d, e]}}
`)
	var got []string
	for _, target := range tab.Targets {
		got = append(got, fmt.Sprintf("%s %d", target.Checks[0].Name, target.Priority))
	}
	slices.Sort(got)
	if want := []string{"judge 1", "judge 2", "port 0"}; !slices.Equal(got, want) {
		t.Errorf("targets %v, want %v", got, want)
	}
}
