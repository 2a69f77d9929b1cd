package corednsgslb_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/spec/corednsgslb"
	"github.com/rhumb-dns/rhumb/spec/document"
)

// said is what a tree says, without its places.
func said(n document.Node) string {
	var b strings.Builder
	var walk func(document.Node)
	walk = func(n document.Node) {
		if n.Kind() == document.Scalar {
			fmt.Fprintf(&b, "%q", n.Raw())
			return
		}
		b.WriteString(n.Kind().String() + "(")
		for c := range n.Children() {
			walk(c)
			b.WriteByte(' ')
		}
		b.WriteByte(')')
	}
	walk(n)
	return b.String()
}

// comments are lines of comments.
func comments(all []string) (out string) {
	for _, c := range all {
		out += "#" + c + "\n"
	}
	return out
}

// Whatever a file says, it is read or refused, each fault at a place; and what comes out is
// written as it is meant, with every comment.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("../testdata/coredns-gslb/*.yml")
	if err != nil || len(files) < 4 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b), "shop.example.com")
		f.Add(string(b), "")
	}
	f.Add("records: {a.b.: {mode: geoip, backends: [{address: a.b, country: [A, B], city: c, asn: [1, AS2]}]}}", ".")
	f.Add("healthcheck_profiles: {x: {type: http, params: {headers: {a: \"b\\n\"}}}} # c", "x")
	f.Add("# a\rrecords:\r  # two\r  a.x.:\r    backends: [{address: 192.0.2.1}]\r", "x")
	f.Add("# a\u0085y: 5\nrecords:\n  # b\u2028  # c\n  a.x.:\n    backends: [{address: 192.0.2.1}] # d\u0085  b.x.:\n    backends: [{address: 192.0.2.1}]\n", "x")
	f.Add("records: {a.x.: {owner: \"a\\0b\\x1b\\x7f\\x9f\\uFEFFc\\uFFFE\\uFFFF\", description: \"\\U0001FFFE\\x01\", backends: [{address: 192.0.2.1, description: \"d\\x07\\L\\Pe\"}]}}", "x")
	f.Fuzz(func(t *testing.T, text, zone string) {
		top, errs := document.Parse("x.yml", 0, []byte(text))
		if len(errs) > 0 {
			return
		}
		r := corednsgslb.Read([]corednsgslb.Source{{Top: top, Zone: zone, DebugTXT: true, Public: true}}, corednsgslb.Options{})
		for _, fault := range append(r.Faults, r.Warnings...) {
			if fault.Line < 1 || fault.Col < 1 || fault.File != "x.yml" || fault.Msg == "" {
				t.Fatalf("%+v", fault)
			}
		}
		if len(r.Faults) > 0 {
			return
		}
		v := corednsgslb.Merge(r.Documents)
		want := said(document.Make("x.yml", 0, v))
		head, tail := v.Annotate(document.Comments([]byte(text)))
		out := comments(head) + v.Write() + comments(tail)
		if len(v.Pairs) == 0 {
			return
		}
		again, errs := document.Parse("y.yml", 0, []byte(out))
		if len(errs) > 0 {
			t.Fatalf("%v\n%s", errs, out)
		}
		if got := said(again); got != want {
			t.Fatalf("%s\nis written as\n%s", want, out)
		}
	})
}

// Names compare by their labels and without case.
func TestZoneMembership(t *testing.T) {
	for _, c := range []struct {
		record, zone string
		label        string // empty: it is not in the zone
	}{
		{"www.Example.org.", "example.ORG", "www"},
		{"a.b.example.org", "example.org.", "a.b"},
		{"example.org.", "example.org", "@"},
		{"evilexample.org.", "example.org", ""},
		{"example.org.evil.", "example.org", ""},
		{"org.", "example.org", ""},
		{"www.org.", ".", "www.org"},
	} {
		text := "records: {" + c.record + ": {backends: [{address: 192.0.2.1}]}}\n"
		top, errs := document.Parse("x.yml", 0, []byte(text))
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		r := corednsgslb.Read([]corednsgslb.Source{{Top: top, Zone: c.zone}}, corednsgslb.Options{})
		if c.label == "" {
			if len(r.Faults) != 1 || !strings.Contains(r.Faults[0].Msg, "is not in the zone") {
				t.Errorf("%s in %s: %v", c.record, c.zone, r.Faults)
			}
			continue
		}
		if len(r.Faults) > 0 {
			t.Error(r.Faults)
			continue
		}
		zone := r.Documents[0].Find("zones").Pairs[0].Value
		if got := zone.Find("services").Pairs[0].Key.Text; got != c.label {
			t.Errorf("%s in %s is %s", c.record, c.zone, got)
		}
	}
}

// read reads one zone file of example.org, with a map of locations where there is one.
func read(t *testing.T, zone, subnets string) *corednsgslb.Result {
	t.Helper()
	var sources []corednsgslb.Source
	for _, s := range []struct{ name, text, zone string }{{"zone.yml", zone, "example.org"}, {"map.yml", subnets, ""}} {
		if s.text == "" {
			continue
		}
		top, errs := document.Parse(s.name, 0, []byte(s.text))
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		sources = append(sources, corednsgslb.Source{Top: top, Zone: s.zone})
	}
	return corednsgslb.Read(sources, corednsgslb.Options{})
}

// several is what a format makes of the numbers below n.
func several(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "#", fmt.Sprint(i)))
	}
	return b.String()
}

// What takes time in the square of a list's length would take minutes here.
func TestLarge(t *testing.T) {
	const n = 100_000
	for name, text := range map[string]string{
		"tags":   "records: {a.example.org.: {backends: [{address: 192.0.2.1, tags: [" + several(n, "t#, ") + "]}]}}\n",
		"checks": "healthcheck_profiles:\n" + several(n/4, "  p#: {type: tcp}\n") + "records: {a.example.org.: {backends: [{address: 192.0.2.1, healthchecks: [" + several(n/4, "p#, ") + "]}]}}\n",
		"names":  "records:\n" + several(n/4, "  a#.example.org.: {backends: [{address: 192.0.2.1}]}\n"),
	} {
		r := read(t, text, "")
		if len(r.Faults) > 0 {
			t.Errorf("%s: %v", name, r.Faults[0])
		}
		corednsgslb.Merge(r.Documents)
	}
	r := read(t, "records:\n"+several(n/20, "  a#.example.org.: {mode: geoip, backends: [{address: 192.0.2.1, location: l#}]}\n"), "subnets:\n"+several(n/20, "  - {subnet: '2001:db8:#::/48', location: [l#, m#]}\n"))
	if len(r.Faults) > 0 {
		t.Error(r.Faults[0])
	}
	r = read(t, "healthcheck_profiles:\n"+several(n/20, "  profile#: {type: tcp}\n")+"records:\n"+several(n/20, "  a#.example.org.: {backends: [{address: 192.0.2.1, healthchecks: [profle#]}]}\n"), "")
	if len(r.Faults) != n/20 || !strings.Contains(r.Faults[0].Msg, "did you mean") {
		t.Error(len(r.Faults), r.Faults[0])
	}
}

// A few lines that ask for pools without end are refused.
func TestPlaces(t *testing.T) {
	countries := "[" + several(26, "A#, B#, C#, D#, ") + "]"
	for _, c := range []struct{ name, backends, subnets, want string }{
		{"many locations", "[{address: 192.0.2.1, location: x}]", "subnets:\n" + several(101, "  - {subnet: '2001:db8:#::/48', location: [x, l#]}\n"), "zone.yml:1:52: records[a.example.org.].backends[0]: it is in 101 places, with the sets of locations that its own are in: at most 100 are possible"},
		{"many countries", "[{address: 192.0.2.1, country: " + countries + "}]", "", "zone.yml:1:52: records[a.example.org.].backends[0]: it is in 104 places, with the sets of locations that its own are in: at most 100 are possible"},
		{"in a chain", "[" + several(101, "{address: 192.0.2.#, asn: [1#, 1#1], city: [a#, a#1]}, ") + "]", "", ""},
	} {
		r := read(t, "records: {a.example.org.: {mode: geoip, backends: "+c.backends+"}}\n", c.subnets)
		got := ""
		if len(r.Faults) > 0 {
			got = r.Faults[0].Error()
		}
		if got != c.want {
			t.Errorf("%s: got  %s\nwant %s", c.name, got, c.want)
		}
	}
	// Each backend has the network that the one before it has in its last pool.
	var chain strings.Builder
	for i := range 101 {
		fmt.Fprintf(&chain, "{address: 10.0.0.%d, asn: [%d, %d]}, ", i, 1000+i, 1001+i)
	}
	r := read(t, "records: {a.example.org.: {mode: geoip, backends: ["+chain.String()+"]}}\n", "")
	if len(r.Faults) != 1 || !strings.HasSuffix(r.Faults[0].Error(), "records[a.example.org.]: the countries, cities and networks of the backends take more than 100 pools: divide the record") {
		t.Error(r.Faults)
	}
}

// Numbers are those of YAML, as the code took them; what has a fraction is none.
func TestNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"30": "30", "+30": "30", "0x1E": "30", "0o36": "30", "036": "30", "3_0": "30", "30.0": "30", "3e1": "30", "08": "8", `"30"`: "30",
		"1.5": "", "x": "", "0x": "", "1e400": "", "nan": "", "": "30", "inf": "", "99999999999999999999": "",
	} {
		r := read(t, "records: {a.example.org.: {record_ttl: "+text+", backends: [{address: 192.0.2.1}]}}\n", "")
		got := ""
		if len(r.Faults) == 0 {
			got = r.Documents[0].Find("zones").Find("example.org").Find("services").Find("a").Find("ttl").Text
		}
		if got != want {
			t.Errorf("%s is %q, %v", text, got, r.Faults)
		}
	}
}

// A Host header with a port, as the code sent it, is one without.
func TestHostWithPort(t *testing.T) {
	r := read(t, "records: {a.example.org.: {backends: [{address: 192.0.2.1, healthchecks: [{type: http, params: {port: 8443, host: 'www.example.org:8443'}}]}]}}\n", "")
	if len(r.Faults) > 0 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0].Error(), ".params.host: the port is left out of the Host header, which is www.example.org") {
		t.Fatal(r.Faults, r.Warnings)
	}
	if got := r.Documents[0].Find("checks").Pairs[0].Value.Find("host").Text; got != "www.example.org" {
		t.Error(got)
	}
}

// A comment beside a key of a map stays there, and does not change places with those within.
func TestCommentBesideMap(t *testing.T) {
	const text = "healthcheck_profiles:\n  a:\n    type: http\n    params:\n      headers: # outer\n        X: z # inner\nrecords: {}\n"
	r := read(t, text, "")
	v := corednsgslb.Merge(r.Documents)
	v.Annotate(document.Comments([]byte(text)))
	if out := v.Write(); !strings.Contains(out, "headers: # outer\n      X: z # inner\n") {
		t.Error(out)
	}
}
