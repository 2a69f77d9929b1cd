package corednsgslb

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/spec/document"
)

var (
	recordKeys  = []string{"mode", "owner", "description", "record_ttl", "scrape_interval", "scrape_retries", "scrape_timeout", "backends"}
	backendKeys = []string{"address", "description", "priority", "weight", "enable", "tags", "timeout", "country", "city", "asn", "location", "healthchecks"}
	modes       = []string{"failover", "roundrobin", "random", "weighted", "geoip"}
)

const (
	maxPriority = 65535
	maxWeight   = 65535
	maxTTL      = 604800
	maxRetries  = 99
	minInterval = 100 * time.Millisecond
	maxInterval = 24 * time.Hour
)

// paceOf is how often the backends of a record are checked.
func (f *file) paceOf(o *object) pace {
	interval := f.duration(o, "scrape_interval", usual.interval)
	if interval < minInterval || interval > maxInterval {
		k := o.get("scrape_interval")
		f.fail(k.val, k.path, "%s is out of range: %s to %s", short(interval), short(minInterval), short(maxInterval))
		interval = usual.interval
	}
	return pace{
		interval: interval,
		timeout:  f.duration(o, "scrape_timeout", usual.timeout),
		retries:  f.integer(o, "scrape_retries", usual.retries, 0, maxRetries),
	}
}

// defaults are the keys that records have which do not state them.
func (f *file) defaults() *object {
	k := f.top.get("defaults")
	if k == nil {
		return &object{}
	}
	return f.object(k.val, k.path, recordKeys, nil)
}

// defaultPace is that of records which state none. What is wrong with it is said of the
// records.
func (f *file) defaultPace() pace {
	quiet := &file{reading: &reading{result: &Result{}}, paths: map[place]string{}, top: f.top}
	return quiet.paceOf(quiet.defaults())
}

// records reads the records of a zone file.
func (f *file) records() {
	common := f.defaults()
	k := f.top.get("records")
	if k == nil || f.zone == "" {
		return
	}
	for _, e := range f.object(k.val, k.path, nil, nil).keys {
		name, label, why := f.label(e.name)
		if why != "" {
			f.fail(e.key, e.path, "%s", why)
			continue
		}
		if at, twice := f.names[name]; twice {
			f.fail(e.key, e.path, "stated twice; first at %s", where(at))
			continue
		}
		f.names[name] = e.key
		before := len(f.result.Faults)
		o := f.object(e.val, e.path, recordKeys, nil)
		for _, d := range common.keys {
			if o.get(d.name) == nil {
				o.keys = append(o.keys, d)
			}
		}
		if len(f.result.Faults) == before {
			f.record(name, label, &e, o)
		}
	}
}

// label is the name of a record in lower case with its final dot, and what stands before
// the zone in it.
func (f *file) label(stated string) (name, label, why string) {
	name = strings.ToLower(strings.TrimSuffix(stated, ".")) + "."
	switch {
	case name == f.zone:
		return name, "@", ""
	case f.zone == ".":
		return name, strings.TrimSuffix(name, "."), ""
	case strings.HasSuffix(name, "."+f.zone):
		return name, strings.TrimSuffix(name, "."+f.zone), ""
	}
	return "", "", fmt.Sprintf("%s is not in the zone %s", stated, f.zone)
}

// record reads a record: it becomes a service of its zone and a pool with its backends.
func (f *file) record(name, label string, e *stated, o *object) {
	before := len(f.result.Faults)
	mode := f.text(o, "mode", "failover")
	if !slices.Contains(modes, mode) {
		k := o.get("mode")
		f.fail(k.val, k.path, "%s", f.unknown("mode", mode, slices.Values(modes)))
	}
	r := Record{Zone: f.zone, Name: name, Mode: mode, Owner: f.text(o, "owner", ""), Description: f.text(o, "description", "")}
	ttl := f.integer(o, "record_ttl", 30, 0, maxTTL)
	p := f.paceOf(o)
	all := f.backends(o.get("backends"), &r, p)
	if len(f.result.Faults) > before {
		return
	}
	if len(all) == 0 {
		at := e.key
		if k := o.get("backends"); k != nil {
			at = k.val
		}
		f.warn(at, dot(o.path, "backends"), "a record without backends has no data: state at least one, or remove it")
		all = nobody(e.key)
	}
	pools := f.poolsOf(strings.TrimSuffix(name, "."), e, all, mode)
	if pools == nil {
		return
	}
	f.result.Records = append(f.result.Records, r)
	service := mapping()
	service.Line, service.Col = e.key.Line(), e.key.Col()
	set := func(key, of string, v *document.Value) {
		if k := o.get(of); k != nil {
			putAt(service, key, k.val, v)
		} else {
			put(service, key, from(e.key, v))
		}
	}
	set("pools", "backends", list(pools...))
	steer, answers := chain(mode, all)
	set("steer", "mode", steer)
	if answers != 1 {
		set("answers", "mode", integer(answers))
	}
	set("ttl", "record_ttl", integer(ttl))
	set("all_down", "", word("serve-every"))
	if slices.ContainsFunc(all, func(b *backend) bool { return b.host }) {
		set("flatten", "", word("true"))
	}
	if f.DebugTXT && len(r.Backends) > 0 {
		set("debug_txt", "", word("true"))
	}
	putAt(f.services, label, e.key, service)
	key := f.services.Pairs[len(f.services.Pairs)-1].Key
	for _, said := range []struct{ what, text string }{{"owner", r.Owner}, {"", r.Description}} {
		if text := remark(said.text); text != "" && said.what != "" {
			key.Above = append(key.Above, " "+said.what+": "+text)
		} else if text != "" {
			key.Above = append(key.Above, " "+text)
		}
	}
}

// nobody are the backends of a record without any. The name is there: somebody who is told
// that it is not would remember that for as long as the zone says, and of the names below it
// as well (RFC 8020). So it has one that is disabled, of a name that nobody can have.
func nobody(at document.Node) []*backend {
	b := &backend{at: at, of: &object{}, rows: []*row{{}}, weight: 1}
	b.Address = "nobody.invalid"
	return []*backend{b}
}

// chain is the steering of a mode, and how many answers it gives; 0 is all that it leaves.
func chain(mode string, all []*backend) (steer *document.Value, answers int) {
	switch mode {
	case "roundrobin":
		return word("round-robin"), 1
	case "random", "weighted":
		return word(mode), 1
	case "geoip":
		if v := byPlace(all); v != nil {
			return v, 0
		}
	}
	return word("failover"), 1
}

// byPlace is the chain of the mode geoip: the first backend of the client's country, or else
// of its city, or else of its network; or else all backends of the client's location; or
// else as failover. It is nil when no backend says where it is.
func byPlace(all []*backend) *document.Value {
	var levels []*document.Value
	region := false
	for _, l := range []struct {
		name string
		of   func(*row) bool
	}{
		{"country", func(r *row) bool { return r.country != nil }},
		{"city", func(r *row) bool { return r.city != nil }},
		{"asn", func(r *row) bool { return r.asn != nil }},
		{"region", func(r *row) bool { return r.region != nil }},
	} {
		if !slices.ContainsFunc(all, func(b *backend) bool {
			return slices.ContainsFunc(b.rows, l.of)
		}) {
			continue
		}
		if l.name == "region" {
			region = true
		} else {
			levels = append(levels, word(l.name))
		}
	}
	if len(levels) == 0 && !region {
		return nil
	}
	fence := func(levels *document.Value) *document.Value {
		strict := mapping()
		put(strict, "levels", levels)
		put(strict, "strict", word("true"))
		v := mapping()
		put(v, "geofence", strict)
		return v
	}
	limit := mapping()
	put(limit, "limit", integer(1))
	chains := list()
	if len(levels) > 0 {
		chains.Items = append(chains.Items, list(fence(list(levels...)), limit))
	}
	if region {
		chains.Items = append(chains.Items, list(fence(word("region"))))
	}
	one := mapping()
	put(one, "limit", integer(1))
	chains.Items = append(chains.Items, list(word("failover"), one))
	chains.Flow = false
	first := mapping()
	put(first, "first", chains)
	v := list(first)
	v.Flow = false
	return v
}
