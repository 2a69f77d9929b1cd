package table

import (
	"slices"
	"testing"

	"github.com/rhumb-dns/rhumb/steer"
)

// The limits of load are in the unit in which views have loads: thousandths.
func TestLimits(t *testing.T) {
	tab := compile(t, nil, `
pools:
  p: {soft_limit: 0.8, hard_limit: 1, endpoints: [192.0.2.1, {address: 192.0.2.2, soft_limit: 500, hard_limit: 4000000}]}
  q: {endpoints: [192.0.2.3, {address: 192.0.2.4, hard_limit: 0.0625}]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [p, q], steer: [shed, weighted]}
`)
	for _, p := range tab.Plans {
		shed := p.Chain[0].(*steer.Shed)
		if want := []uint32{800, 500_000, 0, 63}; !slices.Equal(shed.Soft, want) {
			t.Errorf("soft limits %v, want %v", shed.Soft, want)
		}
		if want := []uint32{1000, 4_000_000_000, 0, 63}; !slices.Equal(shed.Hard, want) {
			t.Errorf("hard limits %v, want %v", shed.Hard, want)
		}
	}
}
