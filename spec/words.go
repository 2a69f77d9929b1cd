package spec

import (
	"fmt"
	"strings"
)

// steering is one word that may stand in a chain.
type steering struct {
	name string
	// chain is what a preset expands to; empty for a filter.
	chain []Step
	// then is the filter that comes behind it where the word is the whole chain.
	then string
	// arg is what a filter takes, as it is written; empty for none.
	arg      string
	optional bool // it may stand without
	doc      string
}

var steerings = []steering{
	{name: "round-robin", chain: []Step{{Filter: "rotate"}}, doc: "Each in turn."},
	{name: "random", chain: []Step{{Filter: "shuffle"}}, doc: "Any, with equal chance."},
	{name: "weighted", doc: "Chance in proportion to `weight`; 0 takes no traffic. Preset and filter."},
	{name: "failover", chain: []Step{{Filter: "tier"}, {Filter: "rotate"}}, doc: "The first pool with enough healthy endpoints, then the lowest `priority` in it."},
	{name: "geo", chain: []Step{{Filter: "geofence", Fence: &Fence{Levels: bestLevels}}}, then: "rotate", doc: "Those whose place matches the client's best."},
	{name: "rotate", doc: "Puts the next endpoint first, query after query."},
	{name: "shuffle", doc: "Puts the endpoints in random order."},
	{name: "sticky", doc: "The same client network gets the same endpoint while it lives, in proportion to `weight`; 0 takes no traffic. Preset and filter."},
	{name: "nearest", then: "weighted", arg: "nearest: {within: 100km}", optional: true, doc: "Keeps the nearest endpoints. See [nearest](#nearest)."},
	{name: "latency", then: "weighted", arg: "latency: {within: 10ms}", optional: true, doc: "Keeps the endpoints of lowest latency. See [latency](#latency)."},
	{name: "geofence", arg: "geofence: country", doc: "Keeps the endpoints in the client's country, or another level. See [geofence](#geofence)."},
	{name: "tier", arg: "tier: {min_healthy: 50%}", optional: true, doc: "Keeps the first of `pools` that has an endpoint left, and in it the lowest `priority` that has one. See [tier](#tier)."},
	{name: "shed", doc: "Takes traffic from endpoints above their `soft_limit`, all of it at their `hard_limit`."},
	{name: "schedule", arg: "schedule: [{pools: [eu], days: [mon-fri]}]", doc: "Keeps pools in their windows of time. See [schedule](#schedule)."},
	{name: "tags", arg: "tags: [ssd]", doc: "Keeps the endpoints that have all of these tags."},
	{name: "limit", arg: "limit: 2", doc: "Keeps the first so many endpoints."},
	{name: "first", arg: "first: [[tags: [ssd], rotate], rotate]", doc: "Keeps what the first of these chains keeps that keeps anything. A chain is a word or a list, as that of a service."},
}

var policiesSection = section{
	title: "policies",
	intro: "A policy is a chain with a name, for services and other policies to use. The name must not be that of a filter or preset.",
	example: `pools:
  eu: {place: {country: IE, at: [53.35, -6.26]}, endpoints: [192.0.2.10, 192.0.2.11]}
  us: {place: {country: US, at: [40.71, -74.01]}, endpoints: [198.51.100.10]}
policies:
  close: [geofence: [country, continent], nearest]
  fair: [close, weighted]
zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [eu, us], steer: fair}
      api: {pools: [eu, us], steer: [close, sticky]}
`,
}

// elsewhere are what other products call things, with what to do here. From
// Route 53, NS1's filter chains, gdnsd and PowerDNS.
var elsewhere = map[string]string{
	"multivalue":          "write random, with answers: 8",
	"multi-value":         "write random, with answers: 8",
	"simple":              "write round-robin, or leave steer out",
	"geolocation":         "write geofence: country, or geo",
	"geoip":               "write geofence: country, or geo",
	"geoproximity":        "write nearest",
	"geotarget_country":   "write geofence: country",
	"geotarget_regional":  "write geofence: region",
	"geotarget_latlong":   "write nearest",
	"geofence_country":    "write geofence: country",
	"geofence_regional":   "write geofence: region",
	"netfence_asn":        "write geofence: asn",
	"netfence_prefix":     "write geofence: region, and the networks under geo.networks",
	"ip-based":            "write geofence: region, and the networks under geo.networks",
	"weighted_shuffle":    "write weighted",
	"weighted_sticky":     "write sticky",
	"sticky_shuffle":      "write sticky",
	"priority":            "write failover, or tier",
	"select_first_n":      "write limit: N",
	"select_first_region": "write tier",
	"shed_load":           "write shed",
	"up":                  "leave it out: what is down is out before the chain begins",
	"multifo":             "write failover, with answers: 0",
	"simplefo":            "write failover",
	"pickclosest":         "write nearest",
	"pickrandom":          "write random",
	"pickwrandom":         "write weighted",
	"pickwhashed":         "write sticky",
	"primary":             "write failover, and the order of pools",
	"secondary":           "write failover, and the order of pools",
}

// unknownFilter is the message for a word of a chain that nobody knows.
func unknownFilter(name string, known func(yield func(string) bool)) string {
	if here, ok := elsewhere[strings.ToLower(name)]; ok {
		return fmt.Sprintf("unknown filter %q: %s", name, here)
	}
	return unknown("filter", name, known)
}
