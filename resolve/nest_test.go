package resolve_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
)

// TestNestedOrder holds that what is nested stands where the list of pools has it,
// for filters that go by the order.
func TestNestedOrder(t *testing.T) {
	const text = `
pools:
  a: {endpoints: [192.0.2.1, 192.0.2.2]}
  b: {endpoints: [192.0.2.3, 192.0.2.4]}
  c: {endpoints: [192.0.2.5, 192.0.2.6]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      in-a: {pools: [a], steer: AS-IS, answers: 0}
      in-c: {pools: [c], steer: AS-IS, answers: 0}
      first: {pools: [{service: in-a}, b], steer: AS-IS, answers: 0}
      between: {pools: [b, {service: in-a}, c], steer: AS-IS, answers: 0}
      both: {pools: [{service: in-c}, b, {service: in-a}], steer: AS-IS, answers: 0}
      last: {pools: [b, {service: in-a}], steer: AS-IS, answers: 0}
      alone: {pools: [{service: in-a}, {service: in-c}], steer: AS-IS, answers: 0}
`
	// A chain that keeps all of them as they stand.
	s := compile(t, strings.ReplaceAll(text, "AS-IS", "[limit: 100]"))
	c := resolve.NewScratch(1, 2)
	for name, want := range map[string]string{
		"first": "12" + "34", "between": "34" + "12" + "56", "both": "56" + "34" + "12", "last": "34" + "12", "alone": "12" + "56",
	} {
		q := parsed(query(t, name+".x.test", dns.TypeA), dnswire.UDP)
		m := sound(t, q, s.Append(nil, q, c))
		var got []string
		for _, rr := range m.Answer {
			got = append(got, rr.(*dns.A).A.String())
		}
		var all []string
		for _, n := range want {
			all = append(all, "192.0.2."+string(n))
		}
		if !slices.Equal(got, all) {
			t.Errorf("%s: %v, want %v", name, got, all)
		}
	}
}
