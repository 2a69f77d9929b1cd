package spec

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec/document"
)

// Controller is what the node tells edges of: what its zones answer, to those who ask
// with the secret, and to those that it pushes to.
type Controller struct {
	Secret string
	Zones  []dnswire.Name // in the order stated, each one of Spec.Zones
	Edges  []Edge
	// Failover is, by service, the name that clients of edges are sent to when the
	// service has nothing to answer with, or operators have taken all of it out.
	Failover map[dnswire.Name]dnswire.Name
}

// Edge is a name server that is told of changes at its webhook.
type Edge struct {
	// URL is that of the webhook: http or https, without /notify and without a final
	// slash.
	URL     string
	Name    string         // the URL without its scheme: what is shown of it, and no other edge of the zone has
	Secret  string         // the controller's unless stated
	Zones   []dnswire.Name // those of the controller unless stated
	Regions []string       // none: answers for clients of whom nothing is known
	TLS     *Secure        // nil: plain http
	Timeout time.Duration  // of one request
}

// The bounds of the secret of the protocol, in characters.
const (
	minSharedSecret = 8
	maxSharedSecret = 512
)

// MaxRegions is how many regions may be asked for together, and MaxRegion how long the
// name of one may be, in octets.
const (
	MaxRegions = 16
	MaxRegion  = 64
)

// maxEdges bounds what a change sets going.
const maxEdges = 1000

var controllerSection = section{
	title: "controller",
	intro: "What edges are told: name servers that answer with what this node decides, as CoreDNS does with the plugin `elchi`. They ask under `/dns/` of the admin surface, or are pushed to. See [Controller](controller.md).",
	example: `pools:
  eu: {endpoints: [192.0.2.10]}
zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [eu]}
controller:
  secret: ${CONTROLLER_SECRET}
  zones: [gslb.example.com]
  edges:
    - {url: "http://192.0.2.101:8053"}
  failover:
    www.gslb.example.com: www.backup.example.net
`,
	fields: slices.Concat(
		withFile(field{name: "secret", typ: "text", need: true, unless: "secret_file", doc: "What edges state as `X-Elchi-Secret`: 8 to 512 visible ASCII characters."}),
		[]field{
			{name: "zones", typ: "list of zones", need: true, doc: "The zones of this configuration that are told of. Of any other the node says that it does not know it."},
			{name: "edges", typ: "list of edges", def: "[]", doc: "Who is pushed to. See [controller.edges](#controlleredges). Those that ask need not stand here."},
			{name: "failover", typ: "map of names", def: "{}", doc: "By the whole name of a service: where edges send clients, by CNAME, when operators have taken all of its endpoints out, or when nothing is left and its `all_down` gives no endpoint. This node itself goes by `all_down` alone."},
		},
	),
}

var edgeSection = section{
	title: "controller.edges",
	intro: "An edge has a webhook, which takes changes at `/notify`. For `https` there are the keys from `verify` on as well.",
	fields: slices.Concat(
		[]field{
			{name: "url", typ: "URL", need: true, doc: "`http` or `https`, host and port, and a path where there is one before `/notify`."},
		},
		withFile(field{name: "secret", typ: "text", prose: "that of the controller", doc: "What this edge is told as `X-Elchi-Secret`, and the key of the signature."}),
		[]field{
			{name: "zones", typ: "list of zones", prose: "all of the controller's", doc: "What this edge is told of."},
			{name: "regions", typ: "list of regions", def: "[]", doc: "It is told what clients in these regions are answered, all together. See [Regions](controller.md#regions)."},
			{name: "timeout", typ: "duration", def: "4s", lo: int64(100 * time.Millisecond), hi: int64(10 * time.Minute), doc: "How long one delivery may take."},
		},
		secureFields,
	),
}

// controller decodes the section controller. The zones are known.
func (d *decoder) controller(o *object) {
	if o.at.IsZero() {
		return
	}
	c := &Controller{Secret: d.sharedSecret(o)}
	c.Zones = d.zoneList(o, nil)
	if e := o.get("failover"); e != nil {
		c.Failover = d.failover(e, o.path.dot("failover"), c.Zones)
	}
	if e := o.get("edges"); e != nil {
		c.Edges = d.edges(o.list("edges"), o.path.dot("edges"), c)
	}
	if d.spec.Admin.TLS == nil && !d.spec.Admin.Listen.Addr().IsLoopback() {
		d.doubt(o.at, o.path, "everybody on the way can read the secret of edges: state admin.tls")
	}
	d.spec.Controller = c
}

// sharedSecret is the secret of the protocol, "" when none is stated or it is wrong. No
// message shows it.
func (d *decoder) sharedSecret(o *object) string {
	before := len(d.errs)
	s := o.secretText("secret")
	at := o.get("secret")
	if at == nil {
		at = o.get("secret_file")
	}
	if at == nil || len(d.errs) > before {
		return ""
	}
	p := o.path.dot(at.name)
	switch {
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
		d.fail(at.val(), p, "only visible ASCII characters can be in a secret: %s", secretRemedy)
	case len(s) < minSharedSecret || len(s) > maxSharedSecret:
		d.fail(at.val(), p, "%d to %d characters are expected, not %d: %s", minSharedSecret, maxSharedSecret, len(s), secretRemedy)
	default:
		return s
	}
	return ""
}

// zoneList is the key zones: zones of the configuration, and unless that is nil of those
// that the controller has.
func (d *decoder) zoneList(o *object, of *Controller) []dnswire.Name {
	var out []dnswire.Name
	first := map[dnswire.Name]document.Node{}
	items := o.list("zones")
	p := o.path.dot("zones")
	if items != nil && len(items) == 0 {
		d.fail(o.get("zones").val(), p, "the list is empty: state at least one zone")
	}
	for i, it := range items {
		s, ok := d.text(it, p.at(i))
		if !ok {
			continue
		}
		name, why := domain(s)
		at, twice := first[name]
		switch {
		case why != "":
			d.fail(it, p.at(i), "%s", why)
		case twice:
			d.fail(it, p.at(i), "%s is stated twice; first at %s", bare(name), where(at))
		case !d.isZone(name):
			if d.zoned {
				d.fail(it, p.at(i), "%s", unknown("zone", bare(name), d.zoneNames))
			}
		case of != nil && !slices.Contains(of.Zones, name):
			d.fail(it, p.at(i), "%s is not one of the controller's zones", bare(name))
		default:
			out = append(out, name)
		}
		first[name] = it
	}
	return out
}

func (d *decoder) isZone(name dnswire.Name) bool {
	return slices.ContainsFunc(d.spec.Zones, func(z *Zone) bool { return z.Name == name })
}

func (d *decoder) zoneNames(yield func(string) bool) {
	for _, z := range d.spec.Zones {
		if !yield(bare(z.Name)) {
			return
		}
	}
}

// failover is the names that clients are sent to, by service.
func (d *decoder) failover(e *entry, p *path, zones []dnswire.Name) map[dnswire.Name]dnswire.Name {
	out := map[dnswire.Name]dnswire.Name{}
	first := map[dnswire.Name]document.Node{}
	for _, it := range d.entries(p, e.vals, func(string) bool { return false }) {
		at := p.dot(it.name)
		service, err := dnswire.ParseName(it.name)
		other, twice := first[service]
		switch {
		case err != nil:
			d.fail(it.key, at, "not a name: %s", err)
			continue
		case twice:
			d.fail(it.key, at, "stated twice; first at %s", where(other))
			continue
		case !d.zoned:
		case !slices.ContainsFunc(zones, service.Within):
			d.fail(it.key, at, "in none of the controller's zones")
			continue
		case !d.isService(service):
			d.fail(it.key, at, "%s", unknown("service", bare(service), d.allServices))
			continue
		}
		first[service] = it.key
		s, ok := d.text(it.val(), at)
		if !ok {
			continue
		}
		to, err := dnswire.ParseName(s)
		switch why := badHost(s); {
		case why != "" || err != nil:
			d.fail(it.val(), at, "a host name such as www.backup.example.net is expected")
		case to == service:
			d.fail(it.val(), at, "the service itself")
		default:
			out[service] = to
		}
	}
	return out
}

// edges are those who are pushed to.
func (d *decoder) edges(items []document.Node, p *path, c *Controller) []Edge {
	if len(items) > maxEdges {
		d.fail(items[maxEdges], p, "%d edges are too many: at most %d; others can ask", len(items), maxEdges)
		return nil
	}
	var out []Edge
	type told struct {
		edge string
		zone dnswire.Name
	}
	first := map[told]document.Node{}
	for i, it := range items {
		at := p.at(i)
		if it.Kind() != document.Mapping {
			d.fail(it, at, "a map is expected: {url: ...}")
			continue
		}
		o := d.object(&edgeSection, at, it, it)
		e := Edge{Secret: c.Secret, Zones: c.Zones, Timeout: o.duration("timeout")}
		if o.get("secret") != nil || o.get("secret_file") != nil {
			e.Secret = d.sharedSecret(o)
		}
		if o.get("zones") != nil {
			e.Zones = d.zoneList(o, c)
		}
		e.Regions = d.regionList(o)
		e.URL, e.Name, e.TLS = d.webhookURL(o)
		for _, z := range e.Zones {
			key := told{e.Name, z}
			if other, twice := first[key]; twice && e.URL != "" {
				d.fail(it, at, "the edge at %s is told of %s already", where(other), bare(z))
				break
			}
			first[key] = it
		}
		out = append(out, e)
	}
	return out
}

// regionList is the key regions. A region that no place has is an error, so that a slip
// does not go for "anywhere".
func (d *decoder) regionList(o *object) []string {
	p := o.path.dot("regions")
	items := o.list("regions")
	if len(items) > MaxRegions {
		d.fail(o.get("regions").val(), p, "%d regions are too many: at most %d", len(items), MaxRegions)
		return nil
	}
	words := d.words(items, p)
	known := d.spec.RegionNames()
	for i, w := range words {
		if d.zoned && len(words) == len(items) && !slices.Contains(known, w) {
			d.fail(items[i], p.at(i), "%s", unknown("region", w, slices.Values(known)))
		}
	}
	return words
}

// webhookURL is the key url of an edge, and how it is secured.
func (d *decoder) webhookURL(o *object) (text, name string, t *Secure) {
	u := d.edgeURL(o)
	if u == nil || u.Scheme == "https" {
		t = d.secure(o)
	}
	for _, f := range secureFields {
		if e := o.get(f.name); e != nil && t == nil {
			d.fail(e.key, o.path.dot(f.name), "only for https")
		}
	}
	if u == nil {
		return "", "", nil
	}
	u.Host = strings.ToLower(u.Host)
	text = strings.TrimRight(u.String(), "/")
	return text, strings.TrimPrefix(text, u.Scheme+"://"), t
}

// edgeURL is the key url of an edge, nil when it is missing or wrong.
func (d *decoder) edgeURL(o *object) *url.URL {
	e := o.get("url")
	if e == nil {
		return nil
	}
	p := o.path.dot("url")
	s, ok := d.text(e.val(), p)
	if !ok {
		return nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		d.fail(e.val(), p, "a URL such as http://192.0.2.101:8053 is expected")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		d.fail(e.val(), p, "a URL of scheme, host, port and path alone is expected")
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/notify"):
		d.fail(e.val(), p, "/notify is added: leave it out")
	default:
		return u
	}
	return nil
}

// RegionNames are the regions that a place of the statement has, sorted: those of pools
// and endpoints, of geo.networks and of geo.regions.
func (s *Spec) RegionNames() []string {
	seen := map[string]bool{}
	for i := range s.Geo.Regions {
		seen[s.Geo.Regions[i].Name] = true
	}
	for i := range s.Geo.Networks {
		seen[s.Geo.Networks[i].Place.Region] = true
	}
	for _, p := range s.Pools {
		seen[p.Place.Region] = true
		for i := range p.Endpoints {
			if pl := p.Endpoints[i].Place; pl != nil {
				seen[pl.Region] = true
			}
		}
	}
	delete(seen, "")
	out := make([]string, 0, len(seen))
	for r := range seen {
		out = append(out, r)
	}
	slices.Sort(out)
	return out
}
