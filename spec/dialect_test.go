package spec

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func shop(dir string) *GSLB {
	return &GSLB{
		Name: "Corefile", DebugTXT: true, IdleAfter: time.Hour, IdleMultiplier: 10,
		Files: []GSLBFile{
			{Path: filepath.Join(dir, "db.shop.example.com.yml"), Zone: "Shop.example.com."},
			{Path: filepath.Join(dir, "other.yml"), Zone: "other.example.net"},
			{Path: filepath.Join(dir, "profiles.yml")},
			{Path: filepath.Join(dir, "locations.yml")},
		},
	}
}

// anyPlace is a place, or the serial of a zone, which is a time.
var anyPlace = regexp.MustCompile(`\{\d+ \d+ \d+\}|(?m)^  \d+:\d+ |soa  \d+|serial \d+`)

// meaning is all that a Spec says, without its places.
func meaning(s *Spec) string {
	var b strings.Builder
	plain := *s
	plain.Warnings = nil
	b.WriteString(outline(&plain))
	for _, z := range s.Zones {
		fmt.Fprintf(&b, "zone %s\n", z.Name)
		for svc := range z.Services.All() {
			fmt.Fprintf(&b, "%s %s\n", svc.Label, svc.Policy.Key)
		}
	}
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range s.Pools {
			if !yield(name) {
				return
			}
		}
	}) {
		p := s.Pools[name]
		for _, e := range slices.Concat(p.Endpoints, p.Disabled) {
			fmt.Fprintf(&b, "%s %s %v", name, e.String(), e.Tags)
			if e.Place != nil {
				fmt.Fprintf(&b, " %+v", *e.Place)
			}
			for _, c := range e.Checks {
				fmt.Fprintf(&b, " %s", content(c))
			}
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s has %d disabled\n", name, len(p.Disabled))
	}
	fmt.Fprintf(&b, "%+v\n", s.Health)
	return anyPlace.ReplaceAllString(b.String(), "")
}

// same fails at the first line in which texts differ.
func same(t *testing.T, want, got string) {
	t.Helper()
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			t.Fatalf("read\n%s\nand in the other way\n%s", a[min(i, len(a)-1)], b[min(i, len(b)-1)])
		}
	}
}

// What is imported means the same as what the dialect is read as, and keeps every comment.
func TestImportMeansTheSame(t *testing.T) {
	dir := "testdata/coredns-gslb"
	g := shop(dir)
	want, _, err := LoadGSLB(g, Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := ConvertGSLB(g)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rhumb.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, _, err := Load(file, Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	same(t, meaning(want), meaning(got))
	for _, c := range []string{"# The shop.", "# and so two attempts", "# TLS, by default.", "# The front door,", "# of which one answers.", "# the first", "# rack one", "# the same", "# The end.", "# Checks that all zones share.", "# overruled in shop.example.com", "# Between the two of them.", "# owner: alice", "# Active and standby"} {
		if !strings.Contains(text, c) {
			t.Errorf("the comment %q is lost", c)
		}
	}
	golden(t, "testdata/coredns-gslb/import.golden", regexp.MustCompile(`hostmaster \d+`).ReplaceAllString(text, "hostmaster 1"))
	if strings.Count(text, "no comment") != 1 {
		t.Error("a text became a comment")
	}
}

// A zone may be in several files, and stands once in what is imported, with what all of
// them say of it and all comments.
func TestImportOfSeveralFiles(t *testing.T) {
	dir := t.TempDir()
	g := &GSLB{Name: "import"}
	for i, zone := range []string{"example.org", "Example.org.", "example.net", "example.org"} {
		file := filepath.Join(dir, fmt.Sprintf("%d.yml", i))
		text := fmt.Sprintf("# Head %d.\nrecords: # beside %d\n  # above %d\n  r%d.%s: {backends: [{address: 192.0.2.%d}]}\n", i, i, i, i, zone, i)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		g.Files = append(g.Files, GSLBFile{file, zone})
	}
	g.Files = append(g.Files, g.Files[0]) // once more is no more
	want, _, err := LoadGSLB(g, Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := ConvertGSLB(g)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("rhumb.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	same(t, meaning(want), meaning(got))
	if len(got.Pools) != 4 {
		t.Errorf("%d pools\n%s", len(got.Pools), text)
	}
	for i := range 4 {
		for _, c := range []string{"# Head %d.\n", "# beside %d\n", "# above %d\n"} {
			if c = fmt.Sprintf(c, i); strings.Count(text, c) != 1 {
				t.Errorf("the comment %q is there %d times\n%s", c, strings.Count(text, c), text)
			}
		}
	}
}

// An include of the dialect is the same as what the plugin loads.
func TestDialectStatement(t *testing.T) {
	dir, err := filepath.Abs("testdata/coredns-gslb")
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := LoadGSLB(shop(dir), Options{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rhumb.yaml")
	doc := `include:
  - {path: DIR/locations.yml, dialect: coredns-gslb}
  - {path: DIR/db.*.yml, dialect: coredns-gslb, zone: SHOP.example.com., debug_txt: true}
  - {path: DIR/other.yml, dialect: coredns-gslb, zone: other.example.net, debug_txt: true}
  - {path: DIR/pro*.yml, dialect: coredns-gslb}
health: {idle_after: 1h, idle_multiplier: 10}
zones:
  Shop.Example.com: {records: ["@ 300 SOA ns.dns hostmaster 1 7200 1800 86400 30", "@ 300 NS ns.dns"]}
  other.example.net: {records: ["@ 300 SOA ns.dns hostmaster 1 7200 1800 86400 30", "@ 300 NS ns.dns"]}
`
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(doc, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	got, watch, err := Load(file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, meaning(want), meaning(got))
	for _, w := range []string{"locations.yml", "db.*.yml", "other.yml"} {
		if !slices.Contains(watch, filepath.Join(dir, w)) {
			t.Errorf("%s is not watched: %q", w, watch)
		}
	}
	if len(got.Records) != 12 {
		t.Errorf("%d records", len(got.Records))
	}
}

// What was said of a backend since stands in place of its enable.
func TestDialectEnabled(t *testing.T) {
	g := shop("testdata/coredns-gslb")
	s, _, err := LoadGSLB(g, Options{Enabled: func(record, address string) (bool, bool) {
		switch record + " " + address {
		case "www.shop.example.com. 172.16.0.11", "off.shop.example.com. 172.16.8.1":
			return true, true
		case "www.shop.example.com. 172.16.0.10", "geo.shop.example.com. 172.16.3.1":
			return false, true
		}
		return false, false
	}})
	if err != nil {
		t.Fatal(err)
	}
	www, off := s.Pools["www.shop.example.com"], s.Pools["off.shop.example.com"]
	if len(www.Endpoints) != 2 || www.Endpoints[0].String() != "172.16.0.11" || len(www.Disabled) != 1 || len(off.Endpoints) != 1 {
		t.Errorf("%+v %+v", www, off)
	}
}

// A record whose backends are all disabled is no fault of its mode, nor of whoever disables
// the last of them.
func TestDialectDisabled(t *testing.T) {
	for _, mode := range []string{"failover", "roundrobin", "random", "weighted", "geoip"} {
		file := filepath.Join(t.TempDir(), "zone.yml")
		text := "records:\n  a.example.org.:\n    mode: " + mode + "\n    backends: [{address: 192.0.2.1, weight: 2, country: FR, location: [a, b]}]\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		g := &GSLB{Name: "Corefile", Files: []GSLBFile{{file, "example.org"}}}
		s, _, err := LoadGSLB(g, Options{Enabled: func(string, string) (bool, bool) { return false, true }})
		if err != nil {
			t.Errorf("%s: %v", mode, err)
			continue
		}
		if p := s.Pools["a.example.org"]; len(p.Endpoints) != 0 || len(p.Disabled) != 1 {
			t.Errorf("%s: %+v", mode, p)
		}
	}
}

// A record without backends, as in an example of the documents, is there and has no data;
// it is not passed over in silence.
func TestDialectWithoutBackends(t *testing.T) {
	for _, record := range []string{"", "{}", "{mode: failover, record_ttl: 60}", "{backends: }", "{backends: []}"} {
		file := filepath.Join(t.TempDir(), "zone.yml")
		text := "defaults: {owner: admin}\nrecords:\n  a.example.org.: " + record + "\n  b.example.org.: {backends: [{address: 192.0.2.1}]}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, _, err := LoadGSLB(&GSLB{Name: "Corefile", Files: []GSLBFile{{file, "example.org"}}}, Options{})
		if err != nil {
			t.Errorf("%q: %v", record, err)
			continue
		}
		told := slices.ContainsFunc(s.Warnings, func(w Error) bool {
			return w.Line == 3 && strings.HasPrefix(w.Path, "records[a.example.org.]") && strings.Contains(w.Msg, "a record without backends")
		})
		if !told || len(s.Records) != 2 || s.Records[0].Name != "a.example.org." || len(s.Records[0].Backends) != 0 {
			t.Errorf("%q: %+v, %v", record, s.Records, s.Warnings)
		}
		if p := s.Pools["a.example.org"]; p == nil || len(p.Endpoints) != 0 {
			t.Errorf("%q: %+v", record, p)
		}
		text, _, err = ConvertGSLB(&GSLB{Name: "Corefile", Files: []GSLBFile{{file, "example.org"}}})
		if err != nil {
			t.Fatal(err)
		}
		if s, err := Parse("rhumb.yaml", []byte(text)); err != nil || len(s.Pools["a.example.org"].Disabled) != 1 {
			t.Errorf("%q: %v\n%s", record, err, text)
		}
	}
}

// Profiles of all zones are for other instances too, so that nobody is told of one without
// use; of one of a zone's own he is.
func TestDialectProfiles(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	profiles := "healthcheck_profiles: {web: {type: tcp, params: {port: 80}}, spare: {type: tcp, params: {port: 81}}}\n"
	global := put("profiles.yml", profiles)
	zone := put("zone.yml", profiles+"records:\n  a.example.org.: {backends: [{address: 192.0.2.1, healthchecks: [web]}]}\n")
	s, _, err := LoadGSLB(&GSLB{Name: "Corefile", Files: []GSLBFile{{zone, "example.org"}, {global, ""}}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, w := range s.Warnings {
		if strings.Contains(w.Msg, "no pool uses this check") {
			told = append(told, w.Error())
		}
	}
	if len(told) != 1 || !strings.HasPrefix(told[0], zone+":1:") || !strings.Contains(told[0], "spare") {
		t.Errorf("%q", told)
	}
}

// Each file is wrong in its own way; the message stands in its last line.
func TestDialectErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"records:\n  a.example.org.:\n    mode: failovr\n    backends: [{address: 192.0.2.1}]\n", `3:11: records[a.example.org.].mode: unknown mode "failovr"; did you mean "failover"?`},
		{"records:\n  a.evilexample.org.: {backends: [{address: 192.0.2.1}]}\n", `2:3: records[a.evilexample.org.]: a.evilexample.org. is not in the zone example.org.`},
		{"records:\n  a.example.org.: {backends: [{address: 192.0.2.1, healthchecks: [wbe]}]}\nhealthcheck_profiles: {web: {type: tcp}}\n", `2:67: records[a.example.org.].backends[0].healthchecks[0]: unknown healthcheck profile "wbe"; did you mean "web"?`},
		{"records:\n  a.example.org.: {backends: [{address: 192.0.2.1, healthchecks: [{type: htpp}]}]}\n", `2:74: records[a.example.org.].backends[0].healthchecks[0].type: unknown check type "htpp"; did you mean "http"?`},
		{"records:\n  a.example.org.: {backends: [{address: 192.0.2.1, country: XX}], mode: geoip}\n", `2:61: records[a.example.org.].backends[0].country: unknown country "XX": two capital letters of ISO 3166-1, such as IE, are expected`},
		{"records:\n  a.example.org.: {backends: [{address: 192.0.2.1, asn: ASx}], mode: geoip}\n", `2:57: records[a.example.org.].backends[0].asn: the number of an autonomous system such as 12345 or AS12345 is expected, not "ASx"`},
		{"records:\n  a.example.org.: {scrape_interval: 5, backends: [{address: 192.0.2.1}]}\n", `2:37: records[a.example.org.].scrape_interval: a duration needs a unit: write 5s or 5ms`},
		{"records:\n  a.example.org.: {scrape_interval: 50ms, backends: [{address: 192.0.2.1, healthchecks: [{type: tcp}]}]}\n", `2:37: records[a.example.org.].scrape_interval: 50ms is out of range: 100ms to 24h`},
		{"defaults: {scrape_interval: 48h}\nhealthcheck_profiles: {x: {type: tcp}}\nrecords:\n  a.example.org.: {backends: [{address: 192.0.2.1, healthchecks: [x]}]}\n", `1:29: defaults.scrape_interval: 48h is out of range: 100ms to 24h`},
		{"records:\n  a.example.org.: {backnds: [{address: 192.0.2.1}]}\n", `2:20: records[a.example.org.].backnds: unknown key "backnds"; did you mean "backends"?`},
		{"records:\n  a.example.org.: {backends: [{address: 192.0.2.1, wieght: 2}]}\n", `2:52: records[a.example.org.].backends[0].wieght: unknown key "wieght"; did you mean "weight"?`},
		{"records:\n  a.example.org.: {backends: [{address: 300.1.1.1}]}\n", `2:41: records[a.example.org.].backends[0].address: "300.1.1.1" is neither an IP address nor a host name`},
		{"records:\n  a.example.org.: {backends: [{address: 192.0.2.1, weight: 70000}]}\n", `2:60: records[a.example.org.].backends[0].weight: 70000 is out of range: -2147483648 to 65535`},
		{"records:\n  a.example.org.: {backends: [{address: 192.0.2.1}, {address: 192.0.2.1, priority: 2}]}\n", `2:53: records[a.example.org.].backends[1]: 192.0.2.1 is stated twice, with another priority, enable or healthchecks; first at FILE:2:31`},
		{"healthcheck_profiles: {x: }\n", `1:24: healthcheck_profiles.x: the key "type" is missing: one of grpc, http, icmp, lua, mysql, tcp`},
		{"healthcheck_profiles: {x: {type: grpc}}\n", `1:27: healthcheck_profiles.x.params.port: the key "port" is missing`},
		{"healthcheck_profiles: {x: {type: mysql, params: {query: SELECT 2}}}\n", `1:49: healthcheck_profiles.x.params.user: the key "user" is missing: nobody can log in without a name; for a check that the port answers, write type: tcp`},
		{"healthcheck_profiles: {x: {type: lua, params: {script: 'return os.execute(\"true\")'}}}\n", `1:56: healthcheck_profiles.x.params.script: the script uses os, which scripts do not have here: they run in a sandbox; a check of type script runs a program`},
		{"healthcheck_profiles: {x: {type: lua, params: {script: 'return ('}}}\n", `1:56: healthcheck_profiles.x.params.script: unexpected end of the script`},
		{"healthcheck_profiles: {x: {type: icmp, params: {count: 100}}}\n", `1:56: healthcheck_profiles.x.params.count: 100 is out of range: 1 to 20`},
		{"healthcheck_profiles: {x: {type: http, params: {expected_body: '('}}}\n", "1:64: healthcheck_profiles.x.params.expected_body: missing closing ): `(`"},
		{"healthcheck_profiles: {x: {type: http, params: {ports: 1}}}\n", `1:49: healthcheck_profiles.x.params.ports: unknown key "ports"; did you mean "port"?`},
		{"record: {}\n", `1:1: record: unknown key "record"; did you mean "records"?`},
		{"subnets: []\n", `1:1: subnets: a map of locations is for all zones: put it into a file of its own, without a zone`},
	} {
		file := filepath.Join(t.TempDir(), "zone.yml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := LoadGSLB(&GSLB{Name: "Corefile", Files: []GSLBFile{{file, "example.org"}}}, Options{})
		var errs Errors
		if !errors.As(err, &errs) || len(errs) != 1 {
			t.Errorf("%s%v", c.text, err)
			continue
		}
		if got := strings.ReplaceAll(strings.TrimPrefix(errs[0].Error(), file+":"), file, "FILE"); got != c.want {
			t.Errorf("%s got  %s\nwant %s", c.text, got, c.want)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"subnets: [{subnet: 10.0.0.0/33, location: a}]\n", `1:20: subnets[0].subnet: a network such as 10.0.0.0/24 is expected, not "10.0.0.0/33"`},
		{"subnets: [{subnet: 10.0.0.0/8, location: a}, {subnet: 10.1.0.0/8, location: b}]\n", `1:55: subnets[1].subnet: 10.0.0.0/8 is stated twice, with another location; first at FILE:1:20`},
		{"subnets: [{subnet: 10.0.0.0/8}]\n", `1:11: subnets[0]: the key "location" is missing`},
		{"records: {}\n", `1:1: records: the zone of these records is not known: state zone beside the path of this file`},
	} {
		file := filepath.Join(t.TempDir(), "map.yml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := LoadGSLB(&GSLB{Name: "Corefile", Files: []GSLBFile{{Path: file}}}, Options{})
		if err == nil || strings.ReplaceAll(strings.TrimPrefix(err.Error(), file+":"), file, "FILE") != c.want {
			t.Errorf("%s got  %v\nwant %s", c.text, err, c.want)
		}
	}
}

// A file that is included as two things is neither.
func TestDialectTwice(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write("z.yml", "records: {}\n")
	for _, c := range []struct{ include, want string }{
		{"[{path: z.yml, dialect: coredns-gslb, zone: a.org}, {path: z.yml, dialect: coredns-gslb, zone: b.org}]", "it is included already, as something else"},
		{"[{path: z.yml, dialect: coredns-gsbl, zone: a.org}]", `"coredns-gsbl" is not one of coredns-gslb; did you mean "coredns-gslb"?`},
		{"[{path: z.yml, zone: a.org}]", `the key "dialect" is missing`},
		{"[{path: no.yml, dialect: coredns-gslb, zone: a.org}]", "no such file"},
		{"[{path: z.yml, dialect: coredns-gslb, zone: 'a b'}]", "not the name of a zone"},
	} {
		_, _, err := Load(write("rhumb.yaml", "include: "+c.include+"\nzones: {a.org: {nameservers: {ns: 192.0.2.1}}, b.org: {nameservers: {ns: 192.0.2.1}}}\n"), Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.include, err, c.want)
		}
	}
}
