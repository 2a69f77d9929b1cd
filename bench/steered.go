package main

import (
	"fmt"
	"net/netip"
	"strings"
)

// The steered cases: one service shape, in the words of each server.
const (
	steerOne      = "one"      // a service of one endpoint, where data could be static
	steerWeighted = "weighted" // one of eight, by weight
	steerFailover = "failover" // two pools of four: one of the first
	steerPlace    = "place"    // by where the client is: see world
)

// weights are those of the eight endpoints.
var weights = [8]int{50, 60, 70, 80, 90, 100, 110, 120}

// endpoint is an address of pool number pool: its second octet says which.
func endpoint(pool, i int) string { return fmt.Sprintf("10.%d.0.%d", pool+1, i+1) }

// joined is f of the first n numbers with sep between them.
func joined(n int, sep string, f func(i int) string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = f(i)
	}
	return strings.Join(all, sep)
}

// rhumbServices is rhumb's configuration: one of the words above, or a preset of
// presets.
func rhumbServices(steer string, names int, measured ...netip.AddrPort) string {
	var b strings.Builder
	list := func(pool, n int) string {
		return joined(n, ", ", func(i int) string {
			return fmt.Sprintf("{address: %s, weight: %d}", endpoint(pool, i), weights[i])
		})
	}
	pools, word := "[p]", steer
	switch steer {
	case steerOne:
		word = "round-robin"
		b.WriteString("pools:\n")
		for i := range poolsOfOne(names) {
			fmt.Fprintf(&b, "  p%d: {endpoints: [%s]}\n", i, poolAddress(i))
		}
	case steerWeighted:
		fmt.Fprintf(&b, "pools:\n  p: {endpoints: [%s]}\n", list(0, 8))
	case steerFailover:
		pools = "[p, q]"
		fmt.Fprintf(&b, "pools:\n  p: {endpoints: [%s]}\n  q: {endpoints: [%s]}\n", list(0, 4), list(1, 4))
	default:
		pools, word = "["+siteNames()+"]", strings.TrimPrefix(steer, presetOf)
		if steer == steerPlace {
			word = placeSteer
		}
		b.WriteString(sitePools(measured))
	}
	fmt.Fprintf(&b, "zones:\n  %s:\n    nameservers: {ns1: 127.0.0.1}\n    services:\n", zoneName)
	for i := range names {
		if steer == steerOne {
			pools = fmt.Sprintf("[p%d]", i%poolsOfOne(names))
		}
		fmt.Fprintf(&b, "      n%0*d: {pools: %s, steer: %s}\n", digits, i, pools, word)
	}
	return b.String()
}

// poolsOfOne is how many pools so many services of one endpoint share.
func poolsOfOne(names int) int { return max(1, names/1000) }

func poolAddress(i int) string { return fmt.Sprintf("10.1.%d.%d", i/250, i%250+1) }

// gdnsdPlugins is gdnsd's configuration of plugins and the record of a name.
func gdnsdPlugins(steer string) (plugins, record string) {
	list := func(pool, n int, even bool) string {
		return joined(n, "\n", func(i int) string {
			w := weights[i]
			if even {
				w = 1
			}
			return fmt.Sprintf("      e%d = [ %s, %d ]", i, endpoint(pool, i), w)
		})
	}
	switch steer {
	case steerWeighted:
		return fmt.Sprintf("  weighted => {\n    p => {\n%s\n    }\n  }\n", list(0, 8, false)), "DYNA weighted!p"
	case steerFailover:
		return fmt.Sprintf(`  weighted => {
    p => {
%s
    }
    q => {
%s
    }
  }
  metafo => { resources => { f => {
    datacenters => [ one, two ]
    dcmap => { one => %%weighted!p, two => %%weighted!q }
  } } }
`, list(0, 4, true), list(1, 4, true)), "DYNA metafo!f"
	}
	return "", ""
}

// knotGeo is what Knot's module reads for each name, and its mode.
func knotGeo(steer string, names int) (text, mode string) {
	each := ""
	switch steer {
	case steerWeighted:
		mode = "weighted"
		each = joined(len(weights), "", func(i int) string {
			return fmt.Sprintf("  - weight: %d\n    A: %s\n", weights[i], endpoint(0, i))
		})
	default:
		return "", ""
	}
	var b strings.Builder
	for i := range names {
		fmt.Fprintf(&b, "%s\n%s", strings.TrimSuffix(serviceName(i), ".")+":", each)
	}
	return b.String(), mode
}

// powerRecord is a name's record in PowerDNS's Lua.
func powerRecord(steer string) string {
	switch steer {
	case steerWeighted:
		return fmt.Sprintf(`LUA A "pickwrandom({%s})"`, joined(len(weights), ", ", func(i int) string {
			return fmt.Sprintf("{%d, '%s'}", weights[i], endpoint(0, i))
		}))
	}
	return ""
}
