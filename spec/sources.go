package spec

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec/document"
)

// Source is who hands over records of a zone while the node runs: a controller.
type Source struct {
	// Zone is one of Spec.Zones, which then has Fed.
	Zone dnswire.Name
	// Endpoints are the URLs of controllers, in the order in which they are asked.
	Endpoints []string
	Secret    string
	Regions   []string // none: what clients are answered of whom nothing is known
	NodeIP    string   // how the node calls itself there; empty: not said
	TTL       uint32   // seconds, of records that state none
	// SyncInterval is how often a controller is asked, Timeout how long it may take.
	SyncInterval, Timeout time.Duration
	TLS                   *Secure // of https; nil: all endpoints are plain http
}

var sourcesSection = section{
	title: "sources",
	intro: "Who hands over records while the node runs. An item is a map with one key, which says what kind of source it is.",
	fields: []field{
		{name: "controller", typ: "map", need: true, doc: "See [sources: controller](#sources-controller)."},
	},
}

var fromControllerSection = section{
	title: "sources: controller",
	intro: "The node is an edge of a controller: it answers in a zone with what the controller says, and goes on with that while the controller is away. The zone is stated under `zones`, with its `nameservers` and no services or records of its own. See [Controller](controller.md#rhumb-as-an-edge). With an `https` endpoint there are the keys from `verify` on as well.",
	example: `zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53}
sources:
  - controller:
      endpoint: [https://ns1.example.net:8080, https://ns2.example.net:8080]
      secret: ${CONTROLLER_SECRET}
      zone: gslb.example.com
      regions: [eu-west]
`,
	fields: slices.Concat(
		[]field{{name: "endpoint", typ: "URL, or list of URLs", need: true, doc: "The controllers, before `/dns/`: the next one is asked only while those before it fail."}},
		withFile(field{name: "secret", typ: "text", need: true, unless: "secret_file", doc: "What the controllers want as `X-Elchi-Secret`: 8 to 512 visible ASCII characters."}),
		[]field{
			{name: "zone", typ: "zone", need: true, doc: "The zone whose records they have. It has one source."},
			{name: "regions", typ: "list of text", def: "[]", doc: "What clients in these regions are answered, all together; a word has no comma and no space. `all` is none."},
			{name: "node_ip", typ: "IP address", prose: "not said", doc: "How the node calls itself at the controllers."},
			{name: "ttl", typ: "seconds", def: "300", lo: 1, hi: maxTTL, doc: "Of records that state none."},
			{name: "sync_interval", typ: "duration", def: "5m", lo: int64(5 * time.Second), hi: int64(24 * time.Hour), doc: "How often they are asked, give or take a tenth. A controller that has a stream of changes, as a Rhumb node, tells them at once besides."},
			{name: "timeout", typ: "duration", def: "4s", lo: int64(time.Second), hi: int64(10 * time.Minute), doc: "How long a controller may take to answer, and then to go on with its answer; shorter than `sync_interval`."},
		},
		secureFields,
	),
}

// sources decodes the lists of sources. The zones are known.
func (d *decoder) sources(vals []document.Node, p *path) {
	first := map[dnswire.Name]document.Node{}
	i := 0
	for _, v := range vals {
		for _, it := range d.list(v, p) {
			at := p.at(i)
			if i++; it.Kind() != document.Mapping {
				d.fail(it, at, "a map is expected: {controller: {...}}")
				continue
			}
			o := d.object(&sourcesSection, at, it, it)
			if o.get("controller") == nil {
				continue
			}
			c := d.below(o, "controller", &fromControllerSection)
			s := d.fromController(c)
			if s == nil {
				continue
			}
			zone := c.get("zone").val()
			if other, twice := first[s.Zone]; twice {
				d.fail(zone, c.path.dot("zone"), "%s has a source already, at %s: a zone has one", bare(s.Zone), where(other))
				continue
			}
			first[s.Zone] = zone
			d.spec.Sources = append(d.spec.Sources, s)
		}
	}
}

// fromController is one source; nil when its zone is missing or wrong.
func (d *decoder) fromController(o *object) *Source {
	s := &Source{Secret: d.sharedSecret(o), TTL: uint32(o.integer("ttl")), SyncInterval: o.duration("sync_interval"), Timeout: o.duration("timeout")}
	if s.SyncInterval <= s.Timeout {
		e := o.get("timeout")
		if e == nil {
			e = o.get("sync_interval")
		}
		if e != nil {
			d.fail(e.val(), o.path.dot(e.name), "a timeout of %s is not shorter than the sync_interval of %s", s.Timeout, s.SyncInterval)
		}
	}
	d.endpoints(s, o)
	if e := o.get("regions"); e != nil {
		p := o.path.dot("regions")
		items := o.list("regions")
		s.Regions = d.words(items, p)
		for i, it := range items {
			if w, ok := d.text(it, p.at(i)); ok && (strings.ContainsAny(w, ", \t\r\n") || len(w) > MaxRegion) {
				d.fail(it, p.at(i), "a region is a word without commas, of at most %d characters", MaxRegion)
			}
		}
		if len(items) > MaxRegions {
			d.fail(e.val(), p, "%d regions are too many: at most %d", len(items), MaxRegions)
		}
		if slices.Contains(s.Regions, "all") {
			s.Regions = nil
		}
	}
	if e := o.get("node_ip"); e != nil {
		if text, ok := d.text(e.val(), o.path.dot("node_ip")); ok {
			if a, err := netip.ParseAddr(text); err != nil {
				d.fail(e.val(), o.path.dot("node_ip"), "an IP address is expected, not %q", text)
			} else {
				s.NodeIP = a.String()
			}
		}
	}
	if !d.fedZone(s, o) {
		return nil
	}
	return s
}

// endpoints is the key endpoint, and how it is secured.
func (d *decoder) endpoints(s *Source, o *object) {
	e := o.get("endpoint")
	if e == nil {
		s.TLS = d.secure(o)
		return
	}
	p := o.path.dot("endpoint")
	items := []document.Node{e.val()}
	at := func(int) *path { return p }
	if e.val().Kind() == document.Sequence {
		items, at = d.list(e.val(), p), p.at
		if len(items) == 0 {
			d.fail(e.val(), p, "the list is empty: state at least one URL")
		}
	}
	secure, known := false, true
	for i, it := range items {
		text, ok := d.text(it, at(i))
		if !ok {
			known = false
			continue
		}
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
			d.fail(it, at(i), "a URL such as https://ns1.example.net:8080 is expected, of scheme, host, port and path alone")
			known = false
			continue
		case slices.Contains(s.Endpoints, strings.TrimRight(text, "/")):
			d.fail(it, at(i), "stated twice")
		}
		secure = secure || u.Scheme == "https"
		s.Endpoints = append(s.Endpoints, strings.TrimRight(text, "/"))
	}
	if secure || !known {
		s.TLS = d.secure(o)
		return
	}
	for _, f := range secureFields {
		if e := o.get(f.name); e != nil {
			d.fail(e.key, o.path.dot(f.name), "only for https")
		}
	}
}

// fedZone finds the zone of a source, which nobody else may have records in.
func (d *decoder) fedZone(s *Source, o *object) bool {
	e := o.get("zone")
	if e == nil {
		return false
	}
	p := o.path.dot("zone")
	text, ok := d.text(e.val(), p)
	if !ok {
		return false
	}
	name, why := domain(text)
	if why != "" {
		d.fail(e.val(), p, "%s", why)
		return false
	}
	s.Zone = name
	at := slices.IndexFunc(d.nests.zones, func(z *stated) bool { return z.name == name })
	if at < 0 {
		why := unknown("zone", bare(name), d.zoneNames)
		if near(bare(name), d.zoneNames) == "" {
			why += ": state it under zones, with its nameservers"
		}
		d.fail(e.val(), p, "%s", why)
		return false
	}
	z := d.nests.zones[at]
	for _, v := range z.vals {
		if v.Kind() != document.Mapping {
			continue
		}
		for k := range v.Pairs() {
			switch key := string(k.Raw()); key {
			case "file", "records", "services":
				d.fail(k, z.path.dot(key), "the source at %s says what is in this zone: remove the key, or the source", where(e.val()))
			}
		}
	}
	d.spec.Zones[at].Fed = true
	return true
}
