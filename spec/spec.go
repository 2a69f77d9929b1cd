package spec

import (
	"net/netip"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec/corednsgslb"
	"github.com/rhumb-dns/rhumb/zone"
)

// Spec is one whole statement of intent: every key of every file merged,
// defaults filled in, references resolved, validated. It is not changed after
// it has been made.
type Spec struct {
	Node   Node
	DNS    DNS
	Admin  Admin
	Log    Log
	Geo    Geo
	Health Health
	Checks map[string]*Check
	Pools  map[string]*Pool
	// Zones is in the order of the names' labels, parents before children.
	Zones []*Zone

	// Notify are who is told what happens, by name.
	Notify []*Destination
	// Sources are who hands over records of zones while the node runs.
	Sources []*Source
	// Controller is what edges are told; nil: nothing.
	Controller *Controller

	// Records are those of included files of CoreDNS-GSLB, which have become services.
	Records []corednsgslb.Record

	// Files are the files that made it, the first one given first.
	Files []string
	names []string // the same, as messages name them
	// Modified is the newest modification time of Files. SOA serials come from
	// it, so that a restart does not change them.
	Modified time.Time
	// Warnings are what is allowed and probably not meant, sorted like Errors.
	Warnings []Error
}

// Pos is a place in one of Spec.Files, for messages. Line and Col count from 1.
type Pos struct {
	File int
	Line int
	Col  int
}

// Node is this running node.
type Node struct {
	Name    string
	Region  string
	DataDir string // empty: memory only
}

// DNS is how the node answers.
type DNS struct {
	Listen []netip.AddrPort
	TTL    uint32 // seconds
	ECS    bool   // whether client subnets are listened to (RFC 7871)
	// ECSTrusted are the networks of those who are believed; empty: all are.
	ECSTrusted []netip.Prefix
	NSID       string
	// Resolvers are who is asked for the addresses of host names that are
	// flattened; empty: the system's.
	Resolvers []netip.AddrPort

	// CookieSecrets are the secrets of DNS cookies (RFC 9018): the first one makes
	// them, all of them verify. Empty: a random one, made at start.
	CookieSecrets [][16]byte
	// RequireCookie is whether a client over UDP that speaks of cookies and has no
	// valid one gets BADCOOKIE instead of an answer.
	RequireCookie bool
	Chaos         Chaos
	// ReportChannel is the agent domain that resolvers report errors to (RFC
	// 9567); no name: nobody is told of one.
	ReportChannel dnswire.Name

	UDP UDP
	TCP TCP
	TLS *DNSTLS // nil: no DNS over TLS
	// Proxies are believed about their clients (PROXY protocol, version 2).
	Proxies []netip.Prefix
	Dnstap  *Dnstap // nil: nobody is told of queries

	// NoCookieUDPSize is the largest answer over UDP to a client without a valid
	// cookie, in bytes.
	NoCookieUDPSize int
	RateLimit       RateLimit
	Access          Access
}

// Chaos are the answers to questions of class CH (RFC 4892), at most 255 bytes
// each; empty: the question is refused.
type Chaos struct {
	Version string // version.bind and version.server
	ID      string // id.server and hostname.bind
}

// TCP is what connections may take, those of DNS over TLS among them.
type TCP struct {
	IdleTimeout    time.Duration
	MaxConnections int
	MaxPerClient   int // of one IPv4 address or IPv6 /64
	// ConnectionsPerSecond are new ones of one IPv4 address or IPv6 /64; 0: any
	// number.
	ConnectionsPerSecond int
	// QueriesPerSecond are those of the same, over all of its connections; 0: any
	// number.
	QueriesPerSecond int
}

// DNSTLS is DNS over TLS. The files are PEM, as absolute paths.
type DNSTLS struct {
	Listen    []netip.AddrPort
	Cert, Key string
}

// Admin is the HTTP surface.
type Admin struct {
	Listen          netip.AddrPort
	AllowedNetworks []netip.Prefix
	// Tokens are who may do what; empty: AllowedNetworks alone says.
	Tokens []Token
	TLS    *AdminTLS // nil: plain HTTP
}

// AdminTLS are PEM files, as absolute paths.
type AdminTLS struct {
	Cert, Key string
	ClientCA  string // empty: no client certificate is asked for
}

// Log is how the process logs.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // text, json
}

// CheckType is a kind of check.
type CheckType string

// The check types.
const (
	CheckHTTP  CheckType = "http"
	CheckHTTPS CheckType = "https"
	CheckTCP   CheckType = "tcp"
	CheckTLS   CheckType = "tls"

	CheckMySQL      CheckType = "mysql"
	CheckPostgres   CheckType = "postgres"
	CheckRedis      CheckType = "redis"
	CheckPrometheus CheckType = "prometheus"
	CheckGRPC       CheckType = "grpc"
	CheckICMP       CheckType = "icmp"
	CheckDNS        CheckType = "dns"
	CheckSMTP       CheckType = "smtp"
	CheckExternal   CheckType = "external"
	CheckCalculated CheckType = "calculated"
)

// Check is how an endpoint is judged.
type Check struct {
	Name     string
	Type     CheckType
	Port     uint16        // 0 only for types that have none
	Interval time.Duration // of those that make no probes: how far apart results of one event may be
	Timeout  time.Duration
	Rise     int // successes in a row that make a down endpoint up
	Fall     int // failures in a row that make an up endpoint down
	// Confirm is from a failed probe of an up endpoint to the next, until its state is
	// decided; 0: Interval.
	Confirm time.Duration

	// DegradedAbove is how long a success may take that is not degraded; 0: as long as
	// it likes.
	DegradedAbove time.Duration
	// DegradedShare is what an endpoint is left of its traffic while it is degraded by
	// the check, 0.01 to 1.
	DegradedShare float64
	// OnlyDegrades is whether an endpoint that fails the check is degraded and not
	// down.
	OnlyDegrades bool

	// Variant tells checks of one name apart: what pools and endpoints have stated in
	// place of some of its keys. Empty: the check as the section checks has it.
	Variant string

	// Host is the name that is asked for; empty: the service's host, for types that
	// ask for one (CheckType.Named), and the endpoint's own name or address for others.
	Host string

	// TargetAddr or TargetHost, a name without its final dot, is what is probed in the
	// endpoint's place; neither: the endpoint.
	TargetAddr netip.Addr `json:",omitzero"`
	TargetHost string     `json:",omitempty"`

	// TLS is how the connection is secured; nil: not at all.
	TLS *Secure
	// Ask is what checks of this type have besides, as *HTTPCheck; nil for types that
	// have nothing else. What differs in it, or in TLS, as encoding/json writes it,
	// is another probe.
	Ask any
}

// Secure is the TLS side of a check. Files are absolute paths.
type Secure struct {
	Verify bool
	CA     string // PEM file; empty: the system's roots
	SNI    string // in place of the host; empty: the host
	Cert   string // PEM file with the client's certificate; empty: none
	Key    string // PEM file with its private key
}

// StatusRange is a range of HTTP status codes, both ends included.
type StatusRange struct{ From, To int }

// Place is where something is. Fields that were not stated are zero.
type Place struct {
	Region      string
	Continent   string // two letters: AF AN AS EU NA OC SA
	Country     string // ISO 3166-1 alpha-2
	Subdivision string
	City        string
	ASN         uint32
	At          *[2]float64 // latitude, longitude in degrees
}

// Pool is a named group of endpoints in one place, or what stands for one in a
// list of pools: a service or several pools that choose among their own
// endpoints first (Nested).
type Pool struct {
	Name       string
	Place      Place // of its endpoints; zero when Nested is not nil
	MinHealthy int
	// Endpoints are the endpoints that serve, at least one unless there are Disabled. With Nested they are copies of
	// those of Nested.Pools one pool after the other, of which one that is nested
	// itself has all of its own in its place, and then of those of
	// Nested.AllDown.Pool.
	Endpoints []Endpoint
	// Nested is how a pool that is composed of others chooses among them, or the
	// policy of the service that stands here, with the Flatten of the service that
	// it stands in; nil in a plain pool. A composed pool's has no TTL and no
	// records.
	Nested *Policy
	// Service is the name of the nested service, lower case; no name in a pool.
	// Name is the same as text without the final dot.
	Service dnswire.Name
	Conduct *Conduct // nil: all changes at once
	Pos     Pos      // zero for a service
	// Disabled are the endpoints that are stated and do not serve: nobody probes them, no
	// rule answers with them, and min_healthy does not count them.
	Disabled []Endpoint
}

// Idle yields the endpoints that do not serve, those of what the pool is composed of
// among them.
func (p *Pool) Idle(yield func(*Endpoint) bool) {
	p.idle(yield)
}

func (p *Pool) idle(yield func(*Endpoint) bool) bool {
	for i := range p.Disabled {
		if !yield(&p.Disabled[i]) {
			return false
		}
	}
	if p.Nested != nil {
		for _, inner := range p.Nested.Pools {
			if !inner.idle(yield) {
				return false
			}
		}
	}
	return true
}

// Endpoint is one address (or host name) that serves.
type Endpoint struct {
	Address  netip.Addr   // not valid when Host is set
	Host     dnswire.Name // a host name, answered as CNAME or, with Policy.Flatten, as its addresses
	Weight   uint32       // 0 takes no traffic; at most 65535
	Port     uint16       // of SRV records; 0: Policy.SRVPort
	Priority int          // lower is preferred by the tier filter within a pool
	Tags     []string
	Checks   []*Check // the pool's unless stated; empty: nobody judges it
	Place    *Place   // the pool's unless stated; nil: nothing is known
	// SoftLimit is the load above which the filter shed takes traffic away, and
	// HardLimit that at which it takes all, in the unit of the reports; HardLimit 0
	// is no limit. The soft one is not above the hard one.
	SoftLimit, HardLimit float64
	Pos                  Pos
}

// String is the endpoint's address as text, or its host name without the final dot.
func (e *Endpoint) String() string {
	if e.Host != "" {
		s := e.Host.String()
		return s[:len(s)-1]
	}
	return e.Address.String()
}

// Zone is a DNS zone we are authoritative for.
type Zone struct {
	Name        dnswire.Name
	Nameservers []Nameserver // in the order written; empty when Data has them from a file
	SOA         SOA
	Services    Services // in the order written
	// Data are its static records: SOA and NS, those of its file, and so on.
	Data *zone.Data
	// Fed is that a source hands over the rest of the records while it runs, and
	// changes them. It is no key of the configuration: sources set it.
	Fed bool
	// Handed are those records with Data over them (zone.Data.With); nil while there
	// are none. Whoever keeps them sets it; a statement has none.
	Handed *zone.Data
	Pos    Pos
}

// Records are the zone's static records as they are answered: Data, or Handed.
func (z *Zone) Records() *zone.Data {
	if z.Handed != nil {
		return z.Handed
	}
	return z.Data
}

// Waits is whether nobody knows yet what the zone has.
func (z *Zone) Waits() bool { return z.Fed && z.Handed == nil }

// Nameserver is one NS record of a zone. Addrs is empty when the name is
// outside the zone.
type Nameserver struct {
	Name  dnswire.Name
	Addrs []netip.Addr
}

// SOA holds the fields of a zone's SOA record, in seconds where they are times.
type SOA struct {
	Mbox    dnswire.Name
	Serial  uint32
	Refresh uint32
	Retry   uint32
	Expire  uint32
	Minimum uint32 // also the TTL of negative answers
	TTL     uint32 // of the SOA and NS records

	stated bool // the configuration states the serial
}

// Policy is how a service picks its endpoints, and what it answers of them.
type Policy struct {
	Pools []*Pool
	// Weights are those of Pools for the filter weighted; nil: none is stated, and the
	// weights of the endpoints alone count.
	Weights []uint32
	Steer   []Step // presets and policies expanded
	Preset  string // the word the chain was written as, if it was one word
	TTL     uint32

	// Conduct is what the service states in place of its pools; ask ConductOf. Nil:
	// nothing.
	Conduct       *Conduct
	TransitionTTL uint32 // in place of TTL while something changes; at most TTL

	// Flatten is whether host names are answered as A and AAAA records, with the
	// addresses of the hosts, and not as CNAME. It is the whole truth, of services
	// at a zone's own name as well: true when the service states it and has host
	// names, and when it has host names beside data that a CNAME does not allow
	// (addresses in these pools or the all-down pool, records of other types, the
	// SOA and NS records of "@"). It is false without host names.
	Flatten bool

	SRV     bool   // SRV records are made from the endpoints (RFC 2782)
	SRVPort uint16 // the port of endpoints that state none; 0: each states its own

	Answers int // how many records; 0 is all
	AllDown AllDown
	Panic   float64 // share of healthy endpoints below which health is ignored; 0: never

	HTTPS *SVCB    // the parameters of the HTTPS record; nil: none
	SVCB  *SVCB    // those of the SVCB record; nil: none
	TXT   []string // one TXT record each, whole: not yet divided into strings of 255 octets
	// DebugTXT is whether TXT queries are answered with how each endpoint is.
	DebugTXT bool

	// Key is the same text for policies that mean the same but for what is in
	// their pools, which it names, also from one Load to the next. Of what is
	// nested it has the Key.
	Key string

	depth int // how deep others are nested in it; 0: not at all
}

// SVCB is what an HTTPS or SVCB record of a service says besides its hints: a
// record in ServiceMode with the target "." (RFC 9460 section 2.4.3).
type SVCB struct {
	Priority      uint16   // from 1
	ALPN          []string // each 1 to 255 octets, as they are in the record
	NoDefaultALPN bool     // only with ALPN
	Port          uint16   // 0: no port parameter
	Mandatory     []uint16 // keys, ascending; of ALPN, NoDefaultALPN, Port and ECH those that are set
	ECH           []byte   // an ECHConfigList, unexamined
	Hints         bool     // the addresses of the answer are in it, as ipv4hint and ipv6hint
}

// Plain is whether the record has no parameters but hints. One for host names
// alone then sends the client to the host's own record (AliasMode).
func (b *SVCB) Plain() bool {
	return len(b.ALPN) == 0 && !b.NoDefaultALPN && b.Port == 0 && len(b.ECH) == 0
}

// AllDownRule says what a service answers when nothing is healthy.
type AllDownRule uint8

// The all-down rules.
const (
	ServeAll    AllDownRule = iota // every endpoint, as if all were healthy
	LastHealthy                    // the endpoints that were the last to be healthy
	NoData                         // NOERROR without records
	ServFail
	OtherPool // the endpoints of AllDown.Pool, whatever their health
	// ServeEvery is every endpoint as a record of its own: neither the chain nor
	// Answers cuts.
	ServeEvery
)

// AllDown is a rule and, for OtherPool, the pool, which is a plain one.
type AllDown struct {
	Rule AllDownRule
	Pool *Pool
	// Stated is whether the configuration says so. A nested policy that states
	// nothing leaves it to the one that it is nested in.
	Stated bool
}
