package corednsgslb

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/spec/document"
)

// Source is one file.
type Source struct {
	Top document.Node
	// Zone is the zone of a zone file, with or without its final dot; empty for other files.
	Zone string
	// Key is how the zone's key is to be spelled in what comes out; empty: in lower case,
	// without a final dot.
	Key string
	// DebugTXT is whether TXT queries for its records are answered with the state of their
	// backends.
	DebugTXT bool
	// Public is that everybody on this machine can read the file.
	Public bool
}

// Options are what Read takes besides files. The zero value will do.
type Options struct {
	// Enabled is what was said since of a backend, in place of its `enable`. Record is
	// the record's name in lower case with its final dot, address the backend's as Backend
	// has it. Nil: nothing was said of any.
	Enabled func(record, address string) (enabled, stated bool)
}

// Fault is one thing that is wrong, or probably not meant, at its place.
type Fault struct {
	File      string
	Line, Col int
	Path, Msg string
}

// Error is "file:line:col: path: why".
func (f Fault) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", f.File, f.Line, f.Col, f.Path, f.Msg)
}

// Result is what came of files.
type Result struct {
	// Documents are native configuration, one for each source in the same order; of no use
	// when there are Faults.
	Documents []*document.Value
	Faults    []Fault
	Warnings  []Fault
	// Records are in the order of the files.
	Records []Record

	paths []map[place]string // by source
}

type place struct{ line, col int }

// Path is the key of source i that what came from a place is from; empty when none is.
func (r *Result) Path(i, line, col int) string { return r.paths[i][place{line, col}] }

// Record is a name that backends serve.
type Record struct {
	Zone        string // in lower case, with its final dot
	Name        string // likewise
	Mode        string
	Owner       string
	Description string
	Backends    []Backend
}

// Backend is one of the backends of a record.
type Backend struct {
	// Address is an IP address in its shortest form, or a host name in lower case without
	// its final dot.
	Address string
	// Spelled are the ways in which the file spells it otherwise.
	Spelled     []string
	Description string
	Priority    int
	Enabled     bool // by its file, or by what was said since
	Tags        []string
	Locations   []string
	Checks      []Check
}

// Check is one of the checks of a backend.
type Check struct {
	Name string // in the native configuration
	// Label is what CoreDNS-GSLB calls it in its metrics: "https/443", "tcp/80", "icmp".
	Label string
	// Target is what it is aimed at in place of the backend, spelled as Backend.Address;
	// empty: the backend.
	Target string
}

// Read reads files that belong together.
func Read(sources []Source, o Options) *Result {
	r := &reading{options: o, result: &Result{}, global: map[string]*profile{}, names: map[string]document.Node{}}
	files := make([]*file, len(sources))
	for i := range sources {
		r.result.paths = append(r.result.paths, map[place]string{})
		files[i] = &file{reading: r, Source: sources[i], paths: r.result.paths[i], out: mapping()}
		files[i].begin()
	}
	// Maps first, since what is in them decides where backends are; then profiles that
	// all zones may name.
	for _, f := range files {
		f.locations()
	}
	for _, f := range files {
		f.profiles()
	}
	for _, f := range files {
		f.records()
		r.result.Documents = append(r.result.Documents, f.document())
	}
	inOrder(&r.result.Faults)
	inOrder(&r.result.Warnings)
	return r.result
}

// inOrder sorts faults by file, line and column. What is said of each backend that a
// profile is for is said once.
func inOrder(all *[]Fault) {
	slices.SortStableFunc(*all, func(a, b Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	*all = slices.Compact(*all)
}

// reading is the reading of all files.
type reading struct {
	options Options
	result  *Result
	global  map[string]*profile // of files without a zone
	// shared are the regions of subnets by each of their locations: where a subnet has
	// several, its region stands for them. stated are those regions.
	shared map[string][]string
	stated map[string]bool
	names  map[string]document.Node // of records, where each was stated
}

// file is one file while it is read.
type file struct {
	*reading
	Source
	paths map[place]string
	top   *object
	zone  string // in lower case, with its final dot; empty: none
	local map[string]*profile

	checks, pools, services, networks *document.Value
	out                               *document.Value
}

// topKeys are those of all kinds of files.
var topKeys = []string{"defaults", "healthcheck_profiles", "records", "subnets"}

func (f *file) begin() {
	f.checks, f.pools, f.services, f.networks = mapping(), mapping(), mapping(), mapping()
	f.local = map[string]*profile{}
	if f.Zone != "" {
		f.zone = strings.ToLower(strings.TrimSuffix(f.Zone, ".")) + "."
		if f.Key == "" {
			f.Key = strings.TrimSuffix(f.zone, ".")
		}
		if f.zone == "." {
			f.Key = "."
		}
	}
	// A key that begins with x- is there for its anchors.
	f.top = f.object(f.Top, "", topKeys, func(key string) bool { return strings.HasPrefix(key, "x-") })
	for _, key := range []string{"defaults", "records"} {
		if k := f.top.get(key); k != nil && f.zone == "" {
			f.fail(k.key, key, "the zone of these records is not known: state zone beside the path of this file")
		}
	}
	if k := f.top.get("subnets"); k != nil && f.zone != "" {
		f.fail(k.key, "subnets", "a map of locations is for all zones: put it into a file of its own, without a zone")
	}
}

// document is what came of the file.
func (f *file) document() *document.Value {
	add := func(key string, v *document.Value) {
		if len(v.Pairs) > 0 {
			put(f.out, key, v) // from no line: nobody's comments are its own
		}
	}
	if len(f.networks.Pairs) > 0 {
		geo := mapping()
		put(geo, "networks", f.networks)
		add("geo", geo)
	}
	add("checks", f.checks)
	add("pools", f.pools)
	if f.zone != "" {
		zone := mapping()
		if len(f.services.Pairs) > 0 {
			put(zone, "services", f.services)
		}
		zone.Line, zone.Col = f.Top.Line(), f.Top.Col()
		if k := f.top.get("records"); k != nil {
			zone.Line, zone.Col = k.key.Line(), k.key.Col()
		}
		zones := mapping()
		put(zones, f.Key, zone)
		add("zones", zones)
	}
	f.out.Line, f.out.Col = 1, 1
	return f.out
}

// Merge is documents as one, in which each key of the sections, each zone and what a zone
// has stands once. Comments of keys that become one are all there.
func Merge(documents []*document.Value) *document.Value {
	return merge(documents, 3)
}

// merge is mappings as one. Keys that several have become one, as deep as depth says.
func merge(all []*document.Value, depth int) *document.Value {
	out, at := mapping(), map[string]int{}
	var parts [][]*document.Value // by key
	for _, m := range all {
		for _, p := range m.Pairs {
			i, there := at[p.Key.Text]
			if !there {
				i = len(parts)
				at[p.Key.Text] = i
				parts = append(parts, nil)
				out.Pairs = append(out.Pairs, p)
			} else {
				out.Pairs[i].Key = withComments(out.Pairs[i].Key, p.Key)
			}
			parts[i] = append(parts[i], p.Value)
		}
	}
	for i, p := range parts {
		if v := p[0]; depth > 0 && v.Kind == document.Mapping && !v.Flow {
			out.Pairs[i].Value = merge(p, depth-1)
		}
	}
	return out
}

// withComments is a key with the comments of another as well.
func withComments(key, other *document.Value) *document.Value {
	if len(other.Above) == 0 && other.Beside == "" {
		return key
	}
	k := *key
	k.Above = slices.Concat(key.Above, other.Above)
	if other.Beside != "" {
		k.Above = append(k.Above, other.Beside)
	}
	return &k
}
