package main

import (
	"fmt"
	"strings"
)

// The steered cases: one service shape, in the words of each server.
const (
	steerOne      = "one"      // a service of one endpoint, where data could be static
	steerWeighted = "weighted" // one of eight, by weight
	steerFailover = "failover" // two pools of four: one of the first
	steerPlace    = "place"    // by the client's network
)

// weights are those of the eight endpoints.
var weights = [8]int{50, 60, 70, 80, 90, 100, 110, 120}

// networks are how many networks of 10.0.0.0/8 there are in the case by the
// client's network; the even ones have one answer and the odd ones the other.
const networks = 64

func network(i int) string { return fmt.Sprintf("10.%d.0.0/14", i*4) }

func endpoint(pool, i int) string { return fmt.Sprintf("10.%d.0.%d", pool+1, i+1) }

// joined is f of the first n numbers with sep between them.
func joined(n int, sep string, f func(i int) string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = f(i)
	}
	return strings.Join(all, sep)
}

// rhumbServices is rhumb's configuration. Until it has a geo filter the nearest
// that it has to the case by networks is a service that takes the client's
// subnet, steers by other things and returns its scope. When it has one,
// steerPlace is geo.networks here, of the same networks as the others have.
func rhumbServices(steer string, names int) string {
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
	default:
		pools, word = "[p, q]", "failover"
		fmt.Fprintf(&b, "pools:\n  p: {endpoints: [%s]}\n  q: {endpoints: [%s]}\n", list(0, 4), list(1, 4))
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
	case steerPlace:
		return fmt.Sprintf(`  geoip => {
    maps => { m => {
      datacenters => [ one, two ]
      nets => {
%s
      }
    } }
    resources => { g => { map => m, dcmap => { one => %s, two => %s } } }
  }
`, joined(networks, "\n", func(i int) string {
			return fmt.Sprintf("        %s => [ %s ]", network(i), [2]string{"one, two", "two, one"}[i%2])
		}), endpoint(0, 0), endpoint(1, 0)), "DYNA geoip!g"
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
	case steerPlace:
		mode = "subnet"
		each = joined(networks, "", func(i int) string {
			return fmt.Sprintf("  - net: %s\n    A: %s\n", network(i), endpoint(i%2, 0))
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
	case steerPlace:
		return fmt.Sprintf(`LUA A ";if(netmask({%s})) then return '%s' else return '%s' end"`, joined(networks/2, ", ", func(i int) string {
			return "'" + network(2*i) + "'"
		}), endpoint(0, 0), endpoint(1, 0))
	}
	return ""
}
