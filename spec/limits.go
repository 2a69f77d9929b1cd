package spec

import (
	"net/netip"
	"slices"

	"github.com/rhumb-dns/rhumb/spec/document"
)

// maxPerSecond is more than one node answers in all.
const maxPerSecond = 1_000_000

var rateLimitSection = section{
	title: "dns.rate_limit",
	intro: "How often a client network is answered over UDP without a valid cookie; see [Defence](defence.md). To state the map, `{}` too, turns the limits on. Answers over TCP or TLS and to clients with a valid cookie have no limit. 0 is no limit.",
	example: `dns:
  rate_limit: {responses_per_second: 200, slip: 2, exempt: [192.0.2.0/24]}
`,
	fields: []field{
		{name: "responses_per_second", typ: "integer", def: "200", lo: 0, hi: maxPerSecond, doc: "Answers with records to one client network, for each name; for all names that a wildcard or a DNAME record answers together."},
		{name: "nodata_per_second", typ: "integer", prose: "as `responses_per_second`", lo: 0, hi: maxPerSecond, doc: "Answers that a name has no such record, for each name."},
		{name: "nxdomains_per_second", typ: "integer", prose: "as `responses_per_second`", lo: 0, hi: maxPerSecond, doc: "Answers that there is no such name, for each zone."},
		{name: "referrals_per_second", typ: "integer", prose: "as `responses_per_second`", lo: 0, hi: maxPerSecond, doc: "Referrals to other name servers, for each delegation."},
		{name: "errors_per_second", typ: "integer", prose: "as `responses_per_second`", lo: 0, hi: maxPerSecond, doc: "All other answers, such as REFUSED, together."},
		{name: "all_per_second", typ: "integer", def: "0", lo: 0, hi: maxPerSecond, doc: "All answers to one client network together, whatever their kinds and names."},
		{name: "slip", typ: "integer", def: "2", lo: 0, hi: 10, doc: "Every how many-th answer beyond a limit is sent truncated and empty, so that a real client asks again over TCP. 1 is each of them, 0 none."},
		{name: "ipv4_prefix", typ: "integer", def: "24", lo: 1, hi: 32, doc: "The bits of an IPv4 address that make a client network."},
		{name: "ipv6_prefix", typ: "integer", def: "56", lo: 1, hi: 64, doc: "The bits of an IPv6 address that make a client network."},
		{name: "exempt", typ: "list of networks", def: "[]", doc: "Client networks without a limit."},
		{name: "accounts", typ: "integer", def: "131072", lo: 1024, hi: 1 << 27, doc: "How many networks, kinds and names are told apart at a time, rounded up to a power of two; 8 bytes each, for good. One that has not been used for a second takes no place."},
		{name: "dry_run", typ: "true or false", def: "false", doc: "Whether answers beyond a limit are only counted, and sent all the same."},
	},
}

var accessSection = section{
	title: "dns.access",
	intro: "Who may ask, over any transport, by source address; behind a proxy of `dns.proxy_protocol`, by the address of its client. The longest network that holds the client decides. A client in none of them may ask, unless `allow` is stated.",
	example: `dns:
  access: {allow: [10.0.0.0/8, "2001:db8::/32"], deny: [10.66.0.0/16], answer: drop}
`,
	fields: []field{
		{name: "allow", typ: "list of networks", prose: "all", doc: "Who may ask."},
		{name: "deny", typ: "list of networks", def: "[]", doc: "Who may not."},
		{name: "answer", typ: "word", def: "refused", words: []string{"refused", "drop"}, doc: "What who may not ask gets: REFUSED with the extended error 18 (Prohibited), or nothing, and connections are closed."},
	},
}

// RateLimit is response rate limiting. The rates are answers a second for each
// client network; 0 is no limit.
type RateLimit struct {
	On                                                   bool
	Responses, NoData, NXDomains, Referrals, Errors, All int
	Slip                                                 int // every so many-th answer beyond a limit is sent truncated; 0: none
	IPv4Prefix, IPv6Prefix                               int
	Exempt                                               []netip.Prefix
	Accounts                                             int
	DryRun                                               bool
}

// Access is who may ask. The longest network decides; a client in none may ask
// unless Allow is not empty. No network is in both.
type Access struct {
	Allow, Deny []netip.Prefix
	Drop        bool // who may not ask gets no answer, and else REFUSED
}

// limits decodes what queries are answered.
func (d *decoder) limits(dns *DNS, o *object) {
	dns.NoCookieUDPSize = int(o.integer("nocookie_udp_size"))
	if o.get("rate_limit") != nil {
		dns.RateLimit = d.rateLimit(d.below(o, "rate_limit", &rateLimitSection))
	}
	if o.get("access") != nil {
		dns.Access = d.access(d.below(o, "access", &accessSection))
	}
}

func (d *decoder) rateLimit(o *object) RateLimit {
	r := RateLimit{
		On: true, Responses: int(o.integer("responses_per_second")), All: int(o.integer("all_per_second")),
		Slip: int(o.integer("slip")), IPv4Prefix: int(o.integer("ipv4_prefix")), IPv6Prefix: int(o.integer("ipv6_prefix")),
		Accounts: int(o.integer("accounts")), DryRun: o.boolean("dry_run"),
	}
	for name, rate := range map[string]*int{
		"nodata_per_second": &r.NoData, "nxdomains_per_second": &r.NXDomains,
		"referrals_per_second": &r.Referrals, "errors_per_second": &r.Errors,
	} {
		*rate = r.Responses
		if o.get(name) != nil {
			*rate = int(o.integer(name))
		}
	}
	if e := o.get("exempt"); e != nil {
		r.Exempt = d.networks(e.val(), o.path.dot("exempt"))
	}
	if e := o.get("responses_per_second"); e != nil && max(r.Responses, r.NoData, r.NXDomains, r.Referrals, r.Errors, r.All) == 0 {
		d.doubt(e.val(), o.path.dot("responses_per_second"), "0 is no limit, and no other is stated: nothing is limited; state how many, or remove dns.rate_limit")
	}
	return r
}

// all4 and all6 are all addresses.
var all4, all6 = netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)

func (d *decoder) access(o *object) Access {
	a := Access{Drop: o.word("answer") == "drop"}
	allowed := map[netip.Prefix]document.Node{}
	if e := o.get("allow"); e != nil {
		p, before := o.path.dot("allow"), len(d.errs)
		a.Allow = d.networks(e.val(), p)
		if len(a.Allow) == 0 && len(d.errs) == before {
			d.fail(e.val(), p, "the list is empty: nobody could ask; state the networks that may, or remove the key for all")
		}
		for _, n := range a.Allow {
			allowed[n] = e.val()
		}
	}
	if e := o.get("deny"); e != nil {
		p := o.path.dot("deny")
		a.Deny = d.networks(e.val(), p)
		for _, n := range a.Deny {
			if at, both := allowed[n]; both {
				d.fail(e.val(), p, "%s is allowed as well, at %s: the longest network decides, and these are the same", n, where(at))
			}
		}
		if len(allowed) == 0 && slices.Contains(a.Deny, all4) && slices.Contains(a.Deny, all6) {
			d.doubt(e.val(), p, "all addresses: nobody is answered")
		}
	}
	if o.get("allow") == nil && o.get("deny") == nil {
		d.fail(o.at, o.path, "neither allow nor deny is stated: everybody may ask; state one of them, or remove dns.access")
	}
	return a
}
