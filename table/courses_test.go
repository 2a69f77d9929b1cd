package table

import (
	"slices"
	"testing"
)

const conducted = `
checks:
  port: {type: tcp, port: 80}
  own: {type: http}
pools:
  eu: {checks: [port], slow_start: 60s, endpoints: ["2001:db8::1", 192.0.2.1, 192.0.2.2]}
  us: {checks: [port], endpoints: [198.51.100.1]}
  hosted: {checks: [own], damping: true, endpoints: [192.0.2.4]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      a: {pools: [us, eu], all_down: eu}
      b: {pools: [eu], answers: 2}
      c: {pools: [eu, us], failover_delay: 30s}
      d: {pools: [us]}
      e: {pools: [eu, us], slow_start: 0s}
      h1: {pools: [hosted, eu]}
      h2: {pools: [hosted, eu]}
`

func TestCourses(t *testing.T) {
	tab := compile(t, nil, conducted)
	of := func(service string) (courses []int32) { return tab.plan(t, service+".x.test.").Courses }
	a, b, c := of("a"), of("b"), of("c")
	if len(a) != 3 || a[0] != -1 || a[2] != -1 {
		t.Errorf("a: %v: only eu has a course, as a member and not when all is down", a)
	}
	if len(b) != 1 || b[0] != a[1] {
		t.Errorf("a and b want the same of eu: %v, %v", a, b)
	}
	if len(c) != 2 || c[0] == a[1] || c[1] < 0 || c[0] < 0 {
		t.Errorf("c wants something else of eu, and something of us: %v", c)
	}
	if of("d") != nil || of("e") != nil {
		t.Errorf("d and e want nothing of their pools: %v, %v", of("d"), of("e"))
	}
	h1, h2 := of("h1"), of("h2")
	if h1[0] == h2[0] || h1[1] != a[1] || h2[1] != a[1] {
		t.Errorf("hosted is judged for each of its services, eu is not: %v, %v", h1, h2)
	}
	keys := map[string]bool{}
	for i := range tab.Courses {
		course := &tab.Courses[i]
		if keys[course.Key] {
			t.Errorf("two courses with the key %s", course.Key)
		}
		keys[course.Key] = true
		for slot, target := range course.Targets {
			if got := tab.Targets[target].String(); got != course.Pool.Endpoints[slot].String() {
				t.Errorf("%s: endpoint %d is judged as %s", course.Key, slot, got)
			}
		}
	}
	if len(tab.Courses) != 5 || tab.Courses[h1[0]].Host != "h1.x.test" || tab.Courses[a[1]].Host != "" {
		t.Errorf("%d courses: %+v", len(tab.Courses), tab.Courses)
	}
	p := tab.plan(t, "a.x.test.")
	if v4, v6 := p.Members[V4].Slots, p.Members[V6].Slots; !slices.Equal(v4, []uint16{0, 1, 2}) || !slices.Equal(v6, []uint16{0}) {
		t.Errorf("slots %v and %v", v4, v6)
	}
	if tab.plan(t, "d.x.test.").Members[V4].Slots != nil {
		t.Error("slots without courses")
	}
	// Tables made of another one have the same.
	if again := compile(t, tab, conducted); len(again.Courses) != len(tab.Courses) {
		t.Errorf("%d courses in place of %d", len(again.Courses), len(tab.Courses))
	}
}
