package spec

import (
	"time"
)

// field is one key of the configuration. It is declared once, here: the decoder
// takes its known keys, bounds and defaults from it, and Reference its tables.
type field struct {
	name string
	// typ is the type as the reference shows it.
	typ string
	// def is the default as it would be written; prose is the default in words
	// where it cannot be written.
	def, prose string
	// lo and hi are the bounds of an integer, or of a duration in nanoseconds;
	// hi 0 is none.
	lo, hi int64
	// words are all that the value may be.
	words []string
	// merge: several files may state the key, and their maps become one.
	merge bool
	// later: the key is of the contract and this version does not do it.
	later bool
	need  bool // the key must be stated
	// secret: the value lets somebody in. A key with _file behind it may be stated
	// in its place (withFile).
	secret bool
	// unless is a key that may be stated in place of one that must be.
	unless string
	doc    string
}

// section is one kind of map.
type section struct {
	title   string
	intro   string
	example string // a whole document, loaded by a test
	fields  []field
}

func (s *section) field(name string) *field {
	for i := range s.fields {
		if s.fields[i].name == name {
			return &s.fields[i]
		}
	}
	return nil
}

// names yields the keys of s, for the near one.
func (s *section) names(yield func(string) bool) {
	for _, f := range s.fields {
		if !yield(f.name) {
			return
		}
	}
}

const (
	maxTTL    = 604800 // a week; resolvers cap TTLs at a day or a week anyway
	maxWeight = 65535
	minLoad   = 0.001     // loads are counted in thousandths
	maxLoad   = 4_000_000 // of which more than this many would not fit in 32 bits
	// maxProbes per second is what one node is asked to do at most: ten times
	// the 10,000 that 100,000 checks every 10 s come to would be a mistake.
	maxProbes = 20_000
	// maxInclude is how deep files may include files.
	maxInclude = 10
	// maxFile bounds what is read of one file.
	maxFile = 1 << 30
)

var topSection = section{
	title: "The file",
	intro: "All keys are optional, but a node without zones refuses every query.",
	fields: []field{
		{name: "include", typ: "list of patterns or maps", def: "[]", merge: true, doc: "More files, relative to this one. See [Several files](#several-files). A map is for files in other words: see [an item of include](#an-item-of-include)."},
		{name: "node", typ: "map", merge: true, doc: "This node. See [node](#node)."},
		{name: "dns", typ: "map", merge: true, doc: "How the node answers. See [dns](#dns)."},
		{name: "admin", typ: "map", merge: true, doc: "The HTTP surface. See [admin](#admin)."},
		{name: "log", typ: "map", merge: true, doc: "See [log](#log)."},
		{name: "geo", typ: "map", merge: true, doc: "Where clients are. See [geo](#geo)."},
		{name: "health", typ: "map", merge: true, doc: "What concerns all checks together. See [health](#health)."},
		{name: "checks", typ: "map of checks", merge: true, doc: "By name. See [checks](#checks)."},
		{name: "check_defaults", typ: "map", merge: true, doc: "What checks have that do not state it. See [check_defaults](#check_defaults)."},
		{name: "pools", typ: "map of pools", merge: true, doc: "By name. See [pools](#pools)."},
		{name: "policies", typ: "map of chains", merge: true, doc: "Chains of filters by name. See [policies](#policies)."},
		{name: "notify", typ: "map of destinations", merge: true, doc: "By name. See [notify](#notify)."},
		{name: "zones", typ: "map of zones", merge: true, doc: "By domain name. See [zones](#zones)."},
		{name: "sources", typ: "list of sources", merge: true, doc: "Who hands over records while the node runs. See [sources](#sources)."},
		{name: "controller", typ: "map", doc: "What edges are told. See [controller](#controller)."},
	},
}

var includeSection = section{
	title: "an item of include",
	intro: "In place of a pattern: files in the words of another program, which are read as if they were written in these. See [Migration from CoreDNS-GSLB](migration-coredns-gslb.md).",
	fields: []field{
		{name: "path", typ: "pattern", need: true, doc: "The file or files, as a pattern alone would name them."},
		{name: "dialect", typ: "word", need: true, words: []string{"coredns-gslb"}, doc: "Whose words they are in."},
		{name: "zone", typ: "name", prose: "none", doc: "The zone of the records in a zone file, which the Corefile states there. Its `nameservers`, or its file, are stated under `zones` as ever. A file of `healthcheck_profiles` or of locations has none."},
		{name: "debug_txt", typ: "true or false", def: "false", doc: "`debug_txt` of the [services](#services) that the records become."},
	},
}

var nodeSection = section{
	title: "node",
	intro: "What is particular to this machine.",
	example: `node:
  name: ns1
  region: eu-west
  data_dir: /var/lib/rhumb
`,
	fields: []field{
		{name: "name", typ: "text", prose: "the host's name", doc: "How the node calls itself."},
		{name: "region", typ: "text", doc: "Where the node is; the same words as `place.region`."},
		{name: "data_dir", typ: "directory", prose: "memory only, with a warning", doc: "Where the last known health, overrides, maintenance, the [audit log](api.md#audit-log) and the [history](events.md#history) are kept over a restart."},
	},
}

var dnsSection = section{
	title: "dns",
	intro: "How the node answers queries.",
	example: `dns:
  listen: ["127.0.0.1:5300", "[::1]:5300"]
  ttl: 30
  nsid: ns1
`,
	fields: []field{
		{name: "listen", typ: "list of address:port", def: "[127.0.0.1:5300]", doc: "UDP and TCP on each. `0.0.0.0:53` and `[::]:53` are all addresses; port 0 takes any free one. See [Transports](transports.md)."},
		{name: "ttl", typ: "seconds", def: "30", lo: 0, hi: maxTTL, doc: "The TTL of services that state none."},
		{name: "ecs", typ: "true, false or map", def: "true", doc: "Whether to take and return the EDNS client subnet (RFC 7871), and from whom: see [dns.ecs](#dnsecs)."},
		{name: "nsid", typ: "text", prose: "no NSID", doc: "The answer to an NSID option (RFC 5001), at most 128 bytes."},
		{name: "resolvers", typ: "list of addresses", prose: "the system's", doc: "Who is asked for the addresses of host names that are flattened (see `flatten` of [services](#services)): `192.0.2.53`, or with a port `192.0.2.53:5353`, `[2001:db8::53]:5353`."},
		{name: "cookie_secret", typ: "32 hex digits, or a list of such", prose: "random at every start", doc: "The secret of DNS cookies (RFC 7873). Nodes behind one address need the same one. The first of a list makes cookies, all of them verify; see [Cookies](dns.md#cookies) for how to change it."},
		{name: "require_cookie", typ: "true or false", def: "false", doc: "Whether a query over UDP with a cookie that is not ours gets BADCOOKIE and a good one instead of an answer. Clients that send no cookie are answered as ever."},
		{name: "chaos", typ: "map", prose: "REFUSED", doc: "What the node says of itself in class CH. See [dns.chaos](#dnschaos)."},
		{name: "report_channel", typ: "name", prose: "none", doc: "The agent domain that resolvers report errors to (RFC 9567): a name whose server collects the reports."},
		{name: "udp", typ: "map", prose: "its defaults", merge: true, doc: "How the sockets of UDP are laid out. See [dns.udp](#dnsudp)."},
		{name: "nocookie_udp_size", typ: "integer", def: "1232", lo: 512, hi: 1232, doc: "The largest answer over UDP, in bytes, to a client without a valid cookie; what is larger is sent truncated. Lower it while the node's answers are used to flood others; see [Defence](defence.md#amplification)."},
		{name: "rate_limit", typ: "map", prose: "no limit", merge: true, doc: "Response rate limiting. See [dns.rate_limit](#dnsrate_limit)."},
		{name: "access", typ: "map", prose: "everybody may ask", merge: true, doc: "Who may ask. See [dns.access](#dnsaccess)."},
		{name: "tcp", typ: "map", prose: "its defaults", merge: true, doc: "What connections may take, over TLS or not. See [dns.tcp](#dnstcp)."},
		{name: "tls", typ: "map", prose: "no DNS over TLS", merge: true, doc: "See [dns.tls](#dnstls)."},
		{name: "proxy_protocol", typ: "map", prose: "no proxy is believed", merge: true, doc: "See [dns.proxy_protocol](#dnsproxy_protocol)."},
		{name: "dnstap", typ: "map", prose: "nothing is recorded", merge: true, doc: "See [dns.dnstap](#dnsdnstap)."},
	},
}

var chaosSection = section{
	title: "dns.chaos",
	intro: "Answers to TXT questions of class CH (RFC 4892), at most 255 bytes each. What is not stated is refused.",
	example: `dns:
  chaos: {version: rhumb, id: ns1}
`,
	fields: []field{
		{name: "version", typ: "text", prose: "REFUSED", doc: "For `version.bind` and `version.server`."},
		{name: "id", typ: "text", prose: "REFUSED", doc: "For `id.server` and `hostname.bind`."},
	},
}

var adminSection = section{
	title: "admin",
	intro: "The REST API, metrics and the health of the node itself. It answers to whom it is told to and to nobody else.",
	example: `admin:
  listen: 127.0.0.1:8080
  allowed_networks: [127.0.0.0/8, "::1/128", 192.0.2.0/24]
`,
	fields: []field{
		{name: "listen", typ: "address:port", def: "127.0.0.1:8080", doc: "Port 0 takes any free one."},
		{name: "allowed_networks", typ: "list of networks", def: "[127.0.0.0/8, ::1/128]", doc: "Who may ask, by source address."},
		{name: "tokens", typ: "list of tokens", prose: "none is asked for", doc: "Who may do what. See [admin.tokens](#admintokens)."},
		{name: "tls", typ: "map", prose: "plain HTTP", merge: true, doc: "See [admin.tls](#admintls)."},
	},
}

var adminTLSSection = section{
	title: "admin.tls",
	intro: "HTTPS for the admin surface. Paths are relative to the file that states them. A key that everybody can read is refused.",
	fields: []field{
		{name: "cert", typ: "PEM file", need: true, doc: "The certificate, then those that signed it."},
		{name: "key", typ: "PEM file", need: true, doc: "Its private key."},
		{name: "client_ca", typ: "PEM file", prose: "no client certificate is asked for", doc: "Clients must show a certificate that one of these signed."},
	},
}

var logSection = section{
	title: "log",
	intro: "Changes of state go to standard error.",
	example: `log: {level: info, format: json}
`,
	fields: []field{
		{name: "level", typ: "word", def: "info", words: []string{"debug", "info", "warn", "error"}, doc: "The least that is logged."},
		{name: "format", typ: "word", def: "text", words: []string{"text", "json"}, doc: "For people or for programs."},
	},
}

// checkSection has the keys of all checks; those of one type are in a section of
// its kind.
var checkSection = section{
	title: "checks",
	intro: "A check is how an endpoint is judged. It is a map under `checks`, by a name that pools and endpoints refer to. Identical probes of one address are made once and shared. These are the keys of all types; each type has more, below.",
	fields: []field{
		{name: "type", typ: "word", need: true, doc: "What is asked: one of the types below."},
		{name: "interval", typ: "duration", def: "5s", lo: int64(100 * time.Millisecond), hi: int64(24 * time.Hour), doc: "From one probe to the next."},
		{name: "timeout", typ: "duration", def: "2s", lo: 1, hi: int64(24 * time.Hour), doc: "How long a probe may take; not longer than `interval`."},
		{name: "confirm", typ: "duration", prose: "1s, or `interval` where that is shorter", lo: int64(10 * time.Millisecond), hi: int64(24 * time.Hour), doc: "From a failed probe of an up endpoint to the next, until it is decided whether the endpoint is down; not longer than `interval`. See [Health](health.md#from-results-to-a-verdict)."},
		{name: "rise", typ: "integer", def: "2", lo: 1, hi: 100, doc: "Successes in a row that make a down endpoint up."},
		{name: "fall", typ: "integer", def: "3", lo: 1, hi: 100, doc: "Failures in a row that make an up endpoint down."},
		{name: "degraded_above", typ: "duration", prose: "however long it takes", lo: 1, hi: int64(24 * time.Hour), doc: "How long a success may take before it counts as [degraded](health.md#degraded); shorter than `timeout`."},
		{name: "degraded_share", typ: "percentage", def: "50%", doc: "What an endpoint that is [degraded](health.md#degraded) by the check is left of its traffic, 1% to 100%; `50%`, or as a number `0.5`."},
		{name: "target", typ: "IP address or host name", prose: "the endpoint", doc: "What is probed in the endpoint's place: what the check says of it goes for the endpoint."},
		{name: "on_fail", typ: "word", def: "down", words: []string{"down", "degraded"}, doc: "What an endpoint is that fails the check. A check that only degrades takes no endpoint down."},
	},
}

var placeSection = section{
	title: "place",
	intro: "Where a pool is, or the clients of a network of `geo`, as far as it is stated. The continent follows from the country, and the region from `geo.regions`, when they are not stated.",
	fields: []field{
		{name: "region", typ: "text", doc: "A word of your own."},
		{name: "continent", typ: "word", words: []string{"AF", "AN", "AS", "EU", "NA", "OC", "SA"}, doc: "Two letters."},
		{name: "country", typ: "text", doc: "ISO 3166-1, two capital letters."},
		{name: "subdivision", typ: "text", doc: "ISO 3166-2 without the country, such as `CA` of `US-CA`, with `country`; the English name for databases that have no codes."},
		{name: "city", typ: "text", doc: "Its name."},
		{name: "asn", typ: "integer", lo: 1, hi: 1<<32 - 1, doc: "The number of the autonomous system."},
		{name: "at", typ: "[latitude, longitude]", doc: "In degrees, south and west negative."},
	},
}

var poolSection = section{
	title: "pools",
	intro: "A pool is a group of endpoints in one place. It is a map under `pools`, by a name that services refer to. The words `serve-all`, `serve-every`, `last-healthy`, `nodata` and `servfail` cannot be names, because `all_down` takes either.",
	example: `checks:
  web: {type: http, path: /healthz}
pools:
  eu:
    place: {region: eu-west, continent: EU, country: IE, at: [53.35, -6.26]}
    checks: [web]
    endpoints:
      - 192.0.2.10
      - {address: 192.0.2.11, weight: 200, tags: [ssd]}
      - {address: "2001:db8::10"}
`,
	fields: append([]field{
		{name: "place", typ: "map", doc: "See [place](#place)."},
		{name: "checks", typ: "list of checks", def: "[]", doc: "An endpoint is healthy when all of them pass. See [checks of a pool or endpoint](#checks-of-a-pool-or-endpoint)."},
		{name: "min_healthy", typ: "integer", def: "1", lo: 1, hi: 1 << 31, doc: "With fewer healthy endpoints, IPv4 and IPv6 together, the pool gives way to others of the service; when no pool has enough, those that are healthy serve. At most the number of endpoints."},
		{name: "soft_limit", typ: "number", prose: "the hard limit", doc: "Of endpoints that state none. Needs `hard_limit`."},
		{name: "hard_limit", typ: "number", prose: "no limit", doc: "Of endpoints that state none."},
		{name: "endpoints", typ: "list of endpoints", need: true, unless: "pools", doc: "At least one. See [endpoints](#endpoints)."},
		{name: "pools", typ: "list of pools", doc: "In place of `endpoints`, `checks` and `place`: the pools that this one is composed of, which stand as one for the services that name it. It chooses among their endpoints first, by the keys that follow. See [Nesting](steering.md#nesting)."},
		{name: "steer", typ: "word, or list of words", prose: "`round-robin`, with `pools`", doc: "How a composed pool chooses. See [Steering](#steering)."},
		{name: "answers", typ: "integer", def: "1", lo: 0, hi: 65535, doc: "How many endpoints a composed pool gives at most; 0 is all."},
		{name: "all_down", typ: "word or pool", prose: "that of who names it", words: []string{"serve-all", "serve-every", "last-healthy", "nodata", "servfail"}, doc: "What a composed pool gives when nothing in it is left: see `all_down` of [services](#services). Without it, or with `nodata` or `servfail`, it gives nothing and other pools of the service take over."},
		{name: "panic", typ: "number", def: "0", doc: "Of a composed pool: see `panic` of [services](#services)."},
	}, conductFields("")...),
}

var endpointSection = section{
	title: "endpoints",
	intro: "An item of `endpoints` is an address or host name, or a map:",
	fields: []field{
		{name: "address", typ: "IP address or host name", need: true, doc: "A host name is answered as CNAME, or with its own addresses: see `flatten` of [services](#services)."},
		{name: "weight", typ: "integer", def: "100", lo: 0, hi: maxWeight, doc: "Share of the traffic under the filter `weighted`, where 0 takes none; in SRV records the weight."},
		{name: "priority", typ: "integer", def: "0", lo: 0, hi: 65535, doc: "The filter `tier` prefers lower ones within a pool."},
		{name: "port", typ: "integer", prose: "the service's `srv.port`", lo: 1, hi: 65535, doc: "Of SRV records; checks have a port of their own."},
		{name: "tags", typ: "list of text", def: "[]", doc: "For the filter `tags`."},
		{name: "enabled", typ: "true or false", def: "true", doc: "With `false` the endpoint is there in name only: nobody probes it, it is never answered, whatever `all_down` and `panic` say, and it does not count for `min_healthy`."},
		{name: "checks", typ: "list of checks", prose: "the pool's", doc: "In place of the pool's; `[]` is none."},
		{name: "place", typ: "map", prose: "the pool's", doc: "In place of the pool's, as a whole. See [place](#place)."},
		{name: "soft_limit", typ: "number", prose: "the pool's", doc: "From 0.001 to 4000000: the [load](health.md#loads) above which the filter `shed` takes traffic away, in the unit of the reports."},
		{name: "hard_limit", typ: "number", prose: "the pool's", doc: "Likewise: the load at which the filter `shed` leaves it no traffic."},
	},
}

var zoneSection = section{
	title: "zones",
	intro: "A zone is a map under `zones`, by its domain name. The node is authoritative for it.",
	example: `pools:
  eu: {endpoints: [192.0.2.10]}
zones:
  gslb.example.com:
    nameservers:
      ns1: 192.0.2.53                       # ns1.gslb.example.com
      ns2: [198.51.100.53, "2001:db8::53"]
      ns3.example.net.: []                  # with a final dot: a whole name
    soa: {mbox: hostmaster.example.com.}
    services:
      "@": {pools: [eu]}
      www: {pools: [eu], ttl: 20}
`,
	fields: []field{
		{name: "nameservers", typ: "map of addresses", prose: "the file or records have SOA and NS", merge: true, doc: "By name: an address or a list of them. A name without a final dot is relative to the zone. Names within the zone need addresses; others must have none (`[]`). They make the zone's NS and SOA records, and the addresses."},
		{name: "soa", typ: "map", merge: true, doc: "See [soa](#soa)."},
		{name: "services", typ: "map of services", merge: true, doc: "By name below the zone; `\"@\"` is the zone itself. See [services](#services)."},
		{name: "file", typ: "zone file", doc: "Static records, as RFC 1035 text; relative to the file that states it. Without `nameservers` it is the whole zone, with SOA and NS. See [Static records](#static-records)."},
		{name: "records", typ: "list of records", merge: true, doc: "Static records, each as a line of a zone file: name, TTL (default `soa.ttl`), type, data. See [Static records](#static-records)."},
		{name: "dnssec", typ: "map", later: true, doc: "Signing."},
	},
}

var soaSection = section{
	title: "soa",
	intro: "The fields of the zone's SOA record; all have defaults.",
	fields: []field{
		{name: "mbox", typ: "name", def: "hostmaster", doc: "The mailbox of who is responsible, with a dot for the @. Without a final dot relative to the zone."},
		{name: "serial", typ: "integer", prose: "the newest modification time of the files, the zone file among them, in Unix seconds", lo: 0, hi: 1<<32 - 1, doc: "The version of the zone."},
		{name: "refresh", typ: "seconds", def: "3600", lo: 1, hi: 1<<31 - 1, doc: "For secondaries."},
		{name: "retry", typ: "seconds", def: "600", lo: 1, hi: 1<<31 - 1, doc: "For secondaries."},
		{name: "expire", typ: "seconds", def: "604800", lo: 1, hi: 1<<31 - 1, doc: "For secondaries."},
		{name: "minimum", typ: "seconds", prose: "the lowest TTL of the zone's services and `dns.ttl`", lo: 0, hi: maxTTL, doc: "The TTL of negative answers (RFC 2308); the default keeps them from outliving positive ones."},
		{name: "ttl", typ: "seconds", def: "3600", lo: 0, hi: maxTTL, doc: "Of the SOA and NS records and of the nameservers' addresses."},
	},
}

var memberSection = section{
	title: "an item of pools",
	intro: "An item of `pools` of a service is the name of a pool, or a map with the name of a pool or of another service, which stands there as one pool of the endpoints that it would answer with. See [Nesting](steering.md#nesting).",
	example: `pools:
  dublin: {endpoints: [192.0.2.10]}
  frankfurt: {endpoints: [192.0.2.20]}
  us: {endpoints: [198.51.100.10]}
zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
      eu-web: {pools: [dublin, frankfurt], steer: weighted}
      www: {pools: [{service: eu-web}, us], steer: failover}
      split: {pools: [{service: eu-web, weight: 70}, {pool: us, weight: 30}], steer: weighted}
`,
	fields: []field{
		{name: "pool", typ: "name", prose: "`service`", doc: "The name of a pool, for one that states a weight. An item is either a pool or a service."},
		{name: "weight", typ: "integer", def: "100", lo: 0, hi: maxWeight, doc: "For `weighted`: how much of the traffic the pool or service has as a whole, however many of its endpoints are up; in it the weights of the endpoints count. Without a weight in the whole list, endpoints count by their own weights alone. See [Weights of pools](steering.md#weights-of-pools)."},
		{name: "service", typ: "name", need: true, unless: "pool", doc: "The service's name below the zone, `\"@\"` for the zone's own, or where there is no such service its whole name; with a final dot always a whole name. It may be stated later, in another file or in another zone."},
	},
}

var serviceSection = section{
	title: "services",
	intro: "A service is a steered name in a zone. Its name is letters, digits, hyphens and underscores, in any case, with dots for deeper names; `*` as the whole first label is a wildcard, `\"@\"` the zone itself (in quotes, as YAML wants for both).",
	example: `pools:
  eu: {endpoints: [192.0.2.10, {address: 192.0.2.11, weight: 300}]}
  us: {endpoints: [198.51.100.10]}
zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [eu, us], steer: weighted, ttl: 20}
      api:
        pools: [eu, us]
        steer: [tier, shuffle, limit: 2]
        answers: 2
        all_down: last-healthy
        panic: 0.3
`,
	fields: append([]field{
		{name: "pools", typ: "list of pools and services", need: true, doc: "In order of preference, where the steering has one."},
		{name: "steer", typ: "word, or list of words", def: "round-robin", doc: "A preset, or a chain of filters and presets. See [Steering](#steering)."},
		{name: "ttl", typ: "seconds", prose: "`dns.ttl`", lo: 0, hi: maxTTL, doc: "Of the answers."},
		{name: "answers", typ: "integer", def: "1", lo: 0, hi: 65535, doc: "How many records; 0 is all. With host names that are not flattened it is 1."},
		{name: "all_down", typ: "word or pool", def: "serve-all", words: []string{"serve-all", "serve-every", "last-healthy", "nodata", "servfail"}, doc: "What to answer when nothing is left, neither a healthy endpoint nor one of which nothing is known: every endpoint through the chain, every endpoint as a record each, those that were healthy last, no data, SERVFAIL, or the endpoints of another pool. See [all_down](steering.md#all_down)."},
		{name: "panic", typ: "number", def: "0", doc: "From 0 to 1: when a smaller share of the endpoints, IPv4 and IPv6 together, is healthy, health is ignored, and `min_healthy` with it. Not when none of the family that was asked for is healthy. 0 is never."},
		{name: "flatten", typ: "true or false", prose: "`false`, where it can be", doc: "Whether a host name among the endpoints is answered with its addresses, as A and AAAA, which are looked up in the background; otherwise it is answered as CNAME. A name with a CNAME has no other data, so the default is true, and false is an error, where there is some: at `\"@\"`, with addresses in the same service, with `https`, `svcb`, `srv`, `txt` or `debug_txt`. Elsewhere the default is false."},
		{name: "https", typ: "map", prose: "no HTTPS record", doc: "An HTTPS record at the service's name, for the endpoints that are answered. `{}` is one without parameters of its own. See [https and svcb](#https-and-svcb)."},
		{name: "svcb", typ: "map", prose: "no SVCB record", doc: "An SVCB record in the same way. The service's name is that of the SVCB record, such as `_dns.resolver`."},
		{name: "srv", typ: "true, false or map", def: "false", doc: "SRV records of the endpoints, with their ports and weights, at the service's name, such as `_sip._udp`. See [srv](#srv)."},
		{name: "txt", typ: "list of text", def: "[]", doc: "TXT records, one for each item, at most 64. An item longer than 255 bytes becomes several strings of one record."},
		{name: "debug_txt", typ: "true or false", def: "false", doc: "Whether TXT queries are answered with a record for each endpoint that says how it is. It shows everybody all of the addresses. Not with `txt`. See [debug_txt](steering.md#debug_txt)."},
		{name: "transition_ttl", typ: "seconds", prose: "10, or `ttl` where that is lower", lo: 0, hi: maxTTL, doc: "Of the answers while something about the pools is in transition: a delay runs, an endpoint starts slowly, or is held or drained. At most `ttl`. See [Conduct](conduct.md#the-ttl)."},
	}, conductFields("the pool's")...),
}

var svcbSection = section{
	title: "https and svcb",
	intro: "The parameters of an HTTPS or SVCB record (RFC 9460). It is a record in ServiceMode whose target is the service's own name.",
	example: `pools:
  eu: {endpoints: [192.0.2.10, "2001:db8::10"]}
  dns: {endpoints: [192.0.2.53]}
zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [eu], https: {alpn: [h3, h2]}}
      _dns.resolver: {pools: [dns], svcb: {alpn: [dot, doq]}}
`,
	fields: []field{
		{name: "alpn", typ: "list of text", def: "[]", doc: "The protocols that are spoken, such as `h3` and `h2`, each 1 to 255 bytes."},
		{name: "no_default_alpn", typ: "true or false", def: "false", doc: "That the protocol which goes without saying, HTTP/1.1 for HTTPS records, is not spoken. Needs `alpn`."},
		{name: "port", typ: "integer", prose: "that of the protocol", lo: 1, hi: 65535, doc: "The port, when it is another one."},
		{name: "ech", typ: "base64", doc: "The ECHConfigList of Encrypted ClientHello, which is taken as it is."},
		{name: "hints", typ: "true or false", def: "true", doc: "Whether the record holds the addresses that A and AAAA queries are answered with, as `ipv4hint` and `ipv6hint`."},
		{name: "mandatory", typ: "list of words", def: "[]", doc: "The parameters without which a client must not use the record: of `alpn`, `no-default-alpn`, `port` and `ech` those that it has. Hints cannot be mandatory, because they come and go with the health of the endpoints."},
		{name: "priority", typ: "integer", def: "1", lo: 1, hi: 65535, doc: "The SvcPriority of the record."},
	},
}

var srvSection = section{
	title: "srv",
	intro: "`true` is SRV records (RFC 2782) of endpoints that all state a `port`, a map is SRV records with a port for those that do not. The weight is the endpoint's. The target is the host name or, for an address, a name below the service's without its labels that begin with an underscore, so a wildcard service with SRV records has host names only.",
	example: `pools:
  sip: {endpoints: [192.0.2.60, {address: sip.example.net, port: 5070, weight: 20}]}
zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
      _sip._udp: {pools: [sip], srv: {port: 5060}}
`,
	fields: []field{
		{name: "port", typ: "integer", prose: "every endpoint states its own", lo: 1, hi: 65535, doc: "The port of endpoints that state none."},
	},
}

// sections are in the order of the reference.
var sections = []*section{
	&topSection, &includeSection, &nodeSection, &dnsSection, &ecsSection, &chaosSection, &tcpSection, &tlsSection, &proxySection,
	&dnstapSection,
	&udpSection,
	&rateLimitSection,
	&accessSection,
	&adminSection, &tokenSection, &adminTLSSection, &logSection,
	&healthSection, &checkDefaultsSection, &checkSection, &httpSection, &basicSection, &tcpCheckSection, &tlsCheckSection,
	&mysqlSection, &postgresSection, &redisSection, &prometheusSection,
	&grpcSection, &icmpSection, &dnsCheckSection, &smtpSection, &scriptSection, &luaSection,
	&externalSection, &calculatedSection, &atLeastSection, &useSection,
	&poolSection, &placeSection, &endpointSection, &dampingSection, &geoSection, &regionSection, &zoneSection, &soaSection, &serviceSection, &memberSection, &svcbSection, &srvSection,
	&policiesSection, &fenceSection, &nearestSection, &latencySection, &tierSection, &scheduleSection,
	&notifySection, &webhookSection, &notifierSection,
	&sourcesSection, &fromControllerSection,
	&controllerSection, &edgeSection,
}
