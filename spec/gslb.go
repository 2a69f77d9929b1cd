package spec

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/spec/corednsgslb"
	"github.com/rhumb-dns/rhumb/spec/document"
)

// GSLB is what CoreDNS-GSLB is told: the files, and what its Corefile says beside them.
type GSLB struct {
	// Name is what errors call the statement itself, such as "Corefile:12".
	Name  string
	Files []GSLBFile
	// Databases are files in MaxMind's format, asked in their order. None: the one that is
	// built in.
	Databases []string
	NoECS     bool // client subnets are not listened to
	DebugTXT  bool // TXT queries for records are answered with the state of their backends
	// IdleAfter is from when on a record that nobody asks for is checked more rarely, and
	// IdleMultiplier how much so; IdleAfter 0: never.
	IdleAfter      time.Duration
	IdleMultiplier int
}

// GSLBFile is a zone file or, without a Zone, a file of healthcheck_profiles or of locations.
type GSLBFile struct{ Path, Zone string }

// LoadGSLB reads the files and makes a statement of them. Its zones have a SOA and an NS
// record of their own, which nobody need have stated. The results are those of Load.
func LoadGSLB(g *GSLB, o Options) (*Spec, []string, error) {
	l, s, err := g.load(o)
	o.Kept.end(err == nil)
	watch := append(l.watch, l.d.looked...)
	slices.Sort(watch)
	return s, slices.Compact(watch), err
}

func (g *GSLB) load(o Options) (*loader, *Spec, error) {
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	l := newLoader(o, readSizes{least: -1})
	l.d.spec.Files, l.d.spec.names = []string{g.Name}, []string{g.Name}
	zones := mapOf()
	for _, f := range g.Files {
		as := foreign{debugTXT: g.DebugTXT}
		if f.Zone != "" {
			name, why := domain(f.Zone)
			if why != "" {
				l.d.incomplete = true
				l.d.errs = append(l.d.errs, Error{File: g.Name, Msg: f.Zone + ": " + why})
				continue
			}
			as.zone = name
		}
		l.takeAs(f.Path, document.Node{}, nil, nil, as)
		if f.Zone != "" && zones.Find(bare(as.zone)) == nil { // it may be in several files
			zones.set(bare(as.zone), mapOf().set("records", apexOf(f.Path)))
		}
	}
	top := g.top()
	if len(zones.Pairs) > 0 {
		top.set("zones", zones)
	}
	l.docs = append([]origin{{top: document.Make(g.Name, 0, top.Value)}}, l.docs...)
	s, err := l.finish(o)
	return l, s, err
}

// top is what there is beside the files.
func (g *GSLB) top() *made {
	top := mapOf()
	if g.NoECS {
		top.set("dns", mapOf().set("ecs", plainly("false")))
	}
	if len(g.Databases) > 0 {
		list := &document.Value{Kind: document.Sequence}
		for _, db := range g.Databases {
			if abs, err := filepath.Abs(db); err == nil {
				db = abs
			}
			list.Items = append(list.Items, verbatim(db))
		}
		top.set("geo", mapOf().set("databases", &made{list}))
	}
	if g.IdleAfter > 0 {
		idle := mapOf().set("idle_after", plainly(short(int64(g.IdleAfter))))
		if g.IdleMultiplier > 0 {
			idle.set("idle_multiplier", plainly(strconv.Itoa(g.IdleMultiplier)))
		}
		top.set("health", idle)
	}
	return top
}

// apexOf are the SOA and NS records of a zone of which only the services are stated, with
// the names that CoreDNS makes up. A "no" is not remembered for long. The serial is when the
// file was changed.
func apexOf(file string) *made {
	serial := int64(1)
	if st, err := os.Stat(file); err == nil {
		serial = st.ModTime().Unix()
	}
	return &made{&document.Value{Kind: document.Sequence, Items: []*document.Value{
		verbatim(fmt.Sprintf("@ 300 SOA ns.dns hostmaster %d 7200 1800 86400 30", uint32(serial))),
		verbatim("@ 300 NS ns.dns"),
	}}}
}

// made is a map or list that is being made.
type made struct{ *document.Value }

func mapOf() *made { return &made{&document.Value{Kind: document.Mapping}} }

func (m *made) set(key string, v *made) *made {
	m.Pairs = append(m.Pairs, document.Pair{Key: verbatim(key), Value: v.Value})
	return m
}

func plainly(s string) *made { return &made{&document.Value{Text: s}} }

// verbatim is a text in which a ${ is no variable.
func verbatim(s string) *document.Value {
	return &document.Value{Text: strings.ReplaceAll(s, "${", "$${"), Quoted: true}
}

// ConvertGSLB is the same statement as native configuration, with the comments of the files
// above what they were written at. The files are known to be without errors then.
func ConvertGSLB(g *GSLB) (string, []Error, error) {
	l, s, err := g.load(Options{})
	if err != nil {
		return "", nil, err
	}
	var out strings.Builder
	var tail []string
	for i, f := range l.foreign {
		b, err := os.ReadFile(f.name)
		if err != nil {
			return "", nil, err
		}
		head, behind := l.translated.Documents[i].Annotate(document.Comments(b))
		tail = append(tail, behind...)
		fmt.Fprintf(&out, "# From %s.\n", strings.Join(strings.Fields(filepath.Base(f.name)), " "))
		for _, c := range head {
			fmt.Fprintf(&out, "#%s\n", c)
		}
	}
	all := corednsgslb.Merge(l.translated.Documents)
	top := g.top()
	for _, p := range all.Pairs {
		if have := top.Find(p.Key.Text); have != nil {
			have.Pairs = append(have.Pairs, p.Value.Pairs...)
		} else {
			top.Pairs = append(top.Pairs, p)
		}
	}
	if zones := top.Find("zones"); zones != nil {
		for i := range zones.Pairs {
			zone := zones.Pairs[i].Value
			file := slices.IndexFunc(g.Files, func(f GSLBFile) bool {
				name, _ := domain(f.Zone)
				return f.Zone != "" && bare(name) == zones.Pairs[i].Key.Text
			})
			records := verbatim("records")
			records.Above = []string{" CoreDNS had these from its plugin file. State nameservers, or file, in their place."}
			zone.Pairs = append([]document.Pair{{Key: records, Value: apexOf(g.Files[file].Path).Value}}, zone.Pairs...)
		}
	}
	out.WriteByte('\n')
	out.WriteString(top.Write())
	for _, c := range tail {
		fmt.Fprintf(&out, "#%s\n", c)
	}
	return out.String(), s.Warnings, nil
}

// ZoneOfGSLB is the zone of a zone file of CoreDNS-GSLB, which states none: the longest that
// the file's name has in it and that has all of its records, or else the longest that has
// all of them and is none of them. It is empty for a file without records, and for one whose
// records have no zone in common.
func ZoneOfGSLB(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %s", file, reason(err))
	}
	top, errs := document.Parse(file, 0, b)
	if len(errs) > 0 {
		return "", Error{File: file, Line: errs[0].Line, Col: errs[0].Col, Msg: errs[0].Msg}
	}
	var common []string
	named := false
	for _, r := range under(top, "records", "*") {
		labels := strings.Split(strings.ToLower(strings.TrimSuffix(r.path.key, ".")), ".")
		if !named {
			common, named = labels[1:], true // below the zone
			continue
		}
		n := 0
		for n < len(common) && n < len(labels)-1 && common[len(common)-1-n] == labels[len(labels)-1-n] {
			n++
		}
		common = common[len(common)-n:]
	}
	base := []byte(strings.ToLower(filepath.Base(file)))
	for i := 0; i+1 < len(common); i++ {
		if zone := strings.Join(common[i:], "."); bytes.Contains(base, []byte(zone)) {
			return zone, nil
		}
	}
	return strings.Join(common, "."), nil
}
