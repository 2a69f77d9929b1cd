package spec

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/spec/document"
)

var fenceSection = section{
	title: "geofence",
	intro: "The argument of `geofence` is a level, a list of levels, or a map. From the narrowest: `asn`, `city`, `subdivision`, `country`, `region`, `continent`.",
	example: `pools:
  ie: {place: {country: IE}, endpoints: [192.0.2.10]}
  us: {place: {country: US}, endpoints: [198.51.100.10]}
zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
      a: {pools: [ie, us], steer: [geofence: country, rotate]}
      b: {pools: [ie, us], steer: [geofence: [country, continent], rotate]}
      c: {pools: [ie, us], steer: [geofence: {levels: country, strict: true}, rotate], all_down: nodata}
`,
	fields: []field{
		{name: "levels", typ: "level, or list of levels", need: true, doc: "The endpoints that match at the first of them at which any does are kept."},
		{name: "strict", typ: "true or false", def: "false", doc: "What happens when none matches at any level: nobody is kept, or all are."},
	},
}

var nearestSection = section{
	title: "nearest",
	intro: "The argument of `nearest`, which may be left out. An endpoint is kept when it is not further than the nearest by more than the greater of the two.",
	example: `pools:
  ie: {place: {country: IE, at: [53.35, -6.26]}, endpoints: [192.0.2.10]}
  us: {place: {country: US, at: [40.71, -74.01]}, endpoints: [198.51.100.10]}
zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [ie, us], steer: [nearest: {tolerance: 20%, within: 300km}, weighted]}
`,
	fields: []field{
		{name: "tolerance", typ: "percent", def: "10%", doc: "Of the distance to the nearest, from `0%` to `1000%`."},
		{name: "within", typ: "kilometres", def: "100km", doc: "From `0km` to `20000km`."},
	},
}

var latencySection = section{
	title: "latency",
	intro: "The argument of `latency`, which may be left out. An endpoint is kept when it is not slower than the fastest by more than the greater of `tolerance` and `within`.",
	example: `checks:
  web: {type: http, host: www.example.com}
pools:
  eu: {checks: [web], endpoints: [192.0.2.10, 192.0.2.11]}
  us: {checks: [web], endpoints: [198.51.100.10]}
zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [eu, us], steer: [latency: {tolerance: 25%, within: 5ms, max: 300ms}, weighted]}
`,
	fields: []field{
		{name: "tolerance", typ: "percent", def: "15%", doc: "Of the lowest latency, from `0%` to `1000%`."},
		{name: "within", typ: "duration", def: "10ms", lo: 0, hi: 60e9, doc: ""},
		{name: "max", typ: "duration", prose: "any", lo: 1e6, hi: 60e9, doc: "An endpoint that is slower is dropped, unless all are."},
	},
}

var tierSection = section{
	title: "tier",
	intro: "The argument of `tier`, which may be left out: then nothing spills.",
	example: `pools:
  main: {endpoints: [192.0.2.10, 192.0.2.11, 192.0.2.12, 192.0.2.13]}
  more: {endpoints: [198.51.100.10]}
zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [main, more], steer: [tier: {min_healthy: 75%, spill: 50%}, weighted]}
`,
	fields: []field{
		{name: "min_healthy", typ: "integer or percent", need: true, doc: "How many healthy endpoints a tier is to have, or what part of its endpoints of the family that is asked for. With h of them where it is to have m it takes the share h/m of the queries; the others go to the next tier."},
		{name: "spill", typ: "percent", def: "100%", doc: "The greatest share of a tier's queries that goes to the next."},
	},
}

// fence decodes the argument of geofence.
func (d *decoder) fence(e *entry, p *path) *Fence {
	r := e.val()
	f := &Fence{}
	if r.Kind() == document.Mapping {
		o := d.object(&fenceSection, p, e.key, r)
		f.Strict = o.boolean("strict")
		k := o.get("levels")
		if k == nil {
			return f
		}
		r, p = k.val(), p.dot("levels")
	}
	if r.Kind() != document.Sequence {
		if l, ok := d.level(r, p); ok {
			f.Levels = []geo.Level{l}
		}
		return f
	}
	items := d.list(r, p)
	if len(items) == 0 {
		d.fail(r, p, "the list is empty: state at least one level, such as country")
	}
	first := map[geo.Level]document.Node{}
	for i, it := range items {
		l, ok := d.level(it, p.at(i))
		if !ok {
			continue
		}
		if at, twice := first[l]; twice {
			d.fail(it, p.at(i), "%q is stated twice; first at %s", l, where(at))
			continue
		}
		first[l] = it
		f.Levels = append(f.Levels, l)
	}
	return f
}

func (d *decoder) level(r document.Node, p *path) (geo.Level, bool) {
	s, ok := d.text(r, p)
	if !ok {
		return 0, false
	}
	l, known := geo.LevelOf(s)
	if !known {
		msg := unknown("level", s, geo.LevelNames)
		if !strings.Contains(msg, ";") {
			names := []string{}
			for n := range geo.LevelNames {
				names = append(names, n)
			}
			msg += ": the levels are " + and(names)
		}
		d.fail(r, p, "%s", msg)
	}
	return l, known
}

func (d *decoder) nearest(e *entry, p *path) *Nearest {
	o := d.object(&nearestSection, p, e.key, e.vals...)
	n := nearestDefault
	if k := o.get("tolerance"); k != nil {
		n.Tolerance, _ = d.percent(k.val(), p.dot("tolerance"), 1000)
	}
	if k := o.get("within"); k != nil {
		n.Within, _ = d.kilometres(k.val(), p.dot("within"))
	}
	return &n
}

func (d *decoder) latency(e *entry, p *path) *Latency {
	o := d.object(&latencySection, p, e.key, e.vals...)
	l := latencyDefault
	if k := o.get("tolerance"); k != nil {
		l.Tolerance, _ = d.percent(k.val(), p.dot("tolerance"), 1000)
	}
	l.Within, l.Max = o.duration("within"), o.duration("max")
	return &l
}

func (d *decoder) spill(e *entry, p *path) *Spill {
	o := d.object(&tierSection, p, e.key, e.vals...)
	s := &Spill{Most: 100}
	if k := o.get("spill"); k != nil {
		var ok bool
		if s.Most, ok = d.percent(k.val(), p.dot("spill"), 100); ok && s.Most == 0 {
			d.fail(k.val(), p.dot("spill"), "nothing would spill: write tier alone")
		}
	}
	k := o.get("min_healthy")
	if k == nil {
		return s
	}
	p = p.dot("min_healthy")
	if text := string(k.val().Raw()); k.val().Kind() == document.Scalar && strings.HasSuffix(text, "%") {
		part, ok := d.percent(k.val(), p, 100)
		switch {
		case !ok:
		case part < 1 || part != math.Trunc(part):
			d.fail(k.val(), p, "a whole number of percent is expected, 1%% to 100%%")
		default:
			s.Least, s.Percent = uint32(part), true
		}
		return s
	}
	n, _ := d.integer(k.val(), p, 1, math.MaxUint16)
	s.Least = uint32(n)
	return s
}

var (
	percents   = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)%$`)
	kilometres = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?km$`)
)

// percent reads a part of something.
func (d *decoder) percent(r document.Node, p *path, most float64) (float64, bool) {
	return d.measure(r, p, percents, "a percentage such as 10%", "%", most)
}

// kilometres reads a distance.
func (d *decoder) kilometres(r document.Node, p *path) (float64, bool) {
	return d.measure(r, p, kilometres, "a distance such as 100km", "km", 20_000)
}

// measure reads a number with its unit.
func (d *decoder) measure(r document.Node, p *path, form *regexp.Regexp, want, unit string, most float64) (float64, bool) {
	s, ok := d.text(r, p)
	if !ok {
		return 0, false
	}
	m := form.FindStringSubmatch(s)
	if m == nil {
		if fraction.MatchString(s) {
			d.fail(r, p, "%s is expected: write the unit, %s", want, s+unit)
			return 0, false
		}
		d.fail(r, p, "%s is expected, not %q", want, s)
		return 0, false
	}
	v, _ := strconv.ParseFloat(m[1], 64)
	if v > most {
		d.fail(r, p, "%s is out of range: 0%s to %g%s", s, unit, most, unit)
		return 0, false
	}
	return v, true
}
