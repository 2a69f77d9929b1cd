package spec

import "testing"

// Disabling the last endpoint that a filter can go by is no error of the chain.
func TestDisabledIsNoFaultOfTheChain(t *testing.T) {
	for _, steer := range []string{
		"weighted", "sticky", "nearest", "latency", "geo", "[shed, rotate]",
		"[tags: [ssd], rotate]", "[{geofence: {levels: country, strict: true}}]",
	} {
		text := `
checks: {tcp: {type: tcp, port: 80}}
pools:
  eu: {endpoints: [{address: 192.0.2.1, enabled: false, tags: [ssd], checks: [tcp], place: {country: IE}, soft_limit: 1, hard_limit: 2}]}
zones: {x.test: {nameservers: {ns: 192.0.2.53}, services: {www: {pools: [eu], steer: ` + steer + `}}}}
`
		if _, err := Parse("x.yaml", []byte(text)); err != nil {
			t.Errorf("%s: %v", steer, err)
		}
	}
}
