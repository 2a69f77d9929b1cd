package gslb

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/caddy"

	"github.com/rhumb-dns/rhumb/coredns/rig"
	"github.com/rhumb-dns/rhumb/spec"
)

func setUp(text string) (*statement, error) {
	c := caddy.NewTestController("dns", text)
	c.ServerBlockKeys = []string{"dns://example.org.:53"}
	return parse(c)
}

// TestParse has every directive of the documents, in every syntax that they show.
func TestParse(t *testing.T) {
	s, err := setUp(`gslb {
		zone example.org. db.example.org.yml
		zones {
			Test.org.    db.test.org.yml
			lb.test.org  db.lb.yml
		}
		max_stagger_start "120s"
		resolution_idle_timeout "600s"
		healthcheck_idle_multiplier 5
		batch_size_start 50
		geoip_maxmind country /db/country.mmdb
		geoip_maxmind {
			country_db /db/country.mmdb
			city_db /db/city.mmdb
		}
		geoip_asn_maxmind_db /db/asn.mmdb
		geoip_custom_db /db/map.yml
		healthcheck_profiles profiles.yml
		use_edns_csubnet
		disable_txt
		api_enable true
		api_listen_addr 0.0.0.0
		api_listen_port 9090
		api_tls_cert c.pem
		api_tls_key k.pem
		api_basic_user admin
		api_basic_pass secret
		data_dir /var/lib/gslb
		lane off
	}`)
	if err != nil {
		t.Fatal(err)
	}
	var zones []string
	for _, z := range s.zones {
		zones = append(zones, z.zone.String()+" "+z.path)
	}
	a := s.api
	switch {
	case !slices.Equal(zones, []string{"example.org. db.example.org.yml", "test.org. db.test.org.yml", "lb.test.org. db.lb.yml"}),
		s.idleAfter.String() != "10m0s", s.idleMultiplier != 5, s.batch != 50, s.within != 2*time.Minute,
		!slices.Equal(s.databases, []string{"/db/country.mmdb", "/db/city.mmdb", "/db/asn.mmdb"}), s.subnets != "/db/map.yml", s.profiles != "profiles.yml",
		!s.ecs, !s.noTXT, s.dataDir != "/var/lib/gslb", !s.noLane,
		!a.enabled, a.listen() != "0.0.0.0:9090", a.cert != "c.pem", a.key != "k.pem", a.user != "admin", a.password != "secret":
		t.Errorf("%v %+v", zones, s)
	}
	s, err = setUp("gslb gslb_config.yml example.com {\n}")
	if err != nil || len(s.zones) != 1 || s.zones[0].zone.String() != "example.com." || s.zones[0].path != "gslb_config.yml" {
		t.Errorf("%+v %v", s, err)
	}
	if s.api.enabled || s.api.listen() != "127.0.0.1:8080" || s.ecs || s.noTXT || s.idleAfter.String() != "1h0m0s" || s.idleMultiplier != 10 {
		t.Errorf("%+v", s)
	}
	c := caddy.NewTestController("dns", "gslb gslb_config.yml")
	c.ServerBlockKeys = []string{"dns://example.org.:53", "tls://example.org.:853"}
	if s, err = parse(c); err != nil || len(s.zones) != 1 {
		t.Errorf("a zone with two transports: %+v %v", s, err)
	}
	for _, off := range []string{"false", "0"} {
		if s, err := setUp("gslb f.yml {\n api_enable " + off + "\n}"); err != nil || s.api.enabled {
			t.Errorf("api_enable %s: %v", off, err)
		}
	}
}

// TestParseErrors has what is refused, with the line.
func TestParseErrors(t *testing.T) {
	const ok = "zone example.org. f.yml\n"
	for _, c := range []struct{ block, want string }{
		{"", "no zone is stated"},
		{"zone example.org.", "Wrong argument count"},
		{ok + "zone Example.org g.yml", "zone Example.org is stated twice"},
		{ok + "zones example.org. f.yml", "zones: a block belongs here"},
		{ok + "zones {\n a. b c\n }", "zones: two words belong on a line, and 3 are on that of 'a.'"},
		{ok + "max_stagger_start soon", "invalid value for max_stagger_start, expected duration format: soon"},
		{ok + "resolution_idle_timeout -1s", "invalid value for resolution_idle_timeout"},
		{ok + "resolution_idle_timeout 999ms", "invalid value for resolution_idle_timeout: 999ms is out of range: 1s to 8784h, or 0"},
		{ok + "resolution_idle_timeout 8785h", "invalid value for resolution_idle_timeout: 8785h is out of range"},
		{ok + "batch_size_start 0", "invalid value for batch_size_start: 0"},
		{ok + "healthcheck_idle_multiplier 0", "invalid value for healthcheck_idle_multiplier: 0"},
		{ok + "geoip_maxmind continent x.mmdb", "unknown geoip_maxmind type: continent"},
		{ok + "geoip_maxmind country", "Wrong argument count"},
		{ok + "geoip_custom a\n geoip_custom b", "geoip_custom is stated twice"},
		{ok + "use_edns_csubnet yes", "Wrong argument count"},
		{ok + "api_listen_addr everywhere", "invalid value for api_listen_addr"},
		{ok + "api_listen_port 65536", "invalid value for api_listen_port: 65536"},
		{ok + "api_tls_cert c.pem", "api_tls_cert and api_tls_key go together"},
		{ok + "api_enabled true", "unknown option for gslb: api_enabled"},
	} {
		_, err := setUp("gslb {\n " + c.block + "\n}")
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "Testfile:") {
			t.Errorf("%q: %v, want %s", c.block, err, c.want)
		}
	}
	// What is wrong in the files comes with the Corefile's line and their own.
	dir := t.TempDir()
	path := put(t, dir, "db.yml", "records:\n  www.example.org.:\n    mode: nonsense\n")
	c := caddy.NewTestController("dns", "gslb {\n zone example.org. "+path+"\n}")
	c.ServerBlockKeys = []string{"dns://example.org.:53"}
	if err := setup(c); err == nil || !strings.Contains(err.Error(), "plugin/gslb: Testfile:3") || !strings.Contains(err.Error(), path+":3:11:") {
		t.Error(err)
	}
}

// TestDatabaseThatIsNone names the line that states the file, also by a path that is not
// whole.
func TestDatabaseThatIsNone(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	put(t, dir, "db.yml", records)
	put(t, dir, "city.mmdb", "<html>not found</html>")
	want := fmt.Sprintf("plugin/gslb: Corefile:5 - Error during parsing: %s/city.mmdb: not a whole database in MaxMind's format", dir)
	if _, err := caddy.Start(rig.Corefile("example.org:0 {\n bind 127.0.0.1\n gslb {\n  zone example.org. db.yml\n  geoip_maxmind city_db city.mmdb\n  disable_txt\n }\n}\n")); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestFilesThatAreNotThere names the line that states the file, at the start and when it
// goes later.
func TestFilesThatAreNotThere(t *testing.T) {
	dir := t.TempDir()
	there := put(t, dir, "db.yml", records)
	for _, line := range []string{"zone test.org. none", "zones {\n   test.org. none\n  }", "healthcheck_profiles none", "geoip_custom none", "geoip_maxmind country_db none", "geoip_maxmind {\n   city_db none\n  }"} {
		text := fmt.Sprintf("example.org:0 {\n bind 127.0.0.1\n root %s\n gslb {\n  zone example.org. %s\n  %s\n  use_edns_csubnet\n }\n}\n", dir, there, line)
		at := 6 + strings.Count(line[:strings.Index(line, "none")], "\n")
		want := fmt.Sprintf("plugin/gslb: Corefile:%d - Error during parsing: %s/none: no such file", at, dir)
		if _, err := caddy.Start(rig.Corefile(text)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
	s := &statement{stated: map[string]place{there: {"Corefile", 5}}}
	err := s.told(spec.Errors{{File: inside, Line: 2, Col: 3, Path: "include[0].path", Msg: there + ": no such file"}, {File: there, Line: 1, Msg: "else"}})
	if want := "Corefile:5: " + there + ": no such file\n" + there + ":1: else"; err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestOpening has how the first checks begin, as Rhumb has it.
func TestOpening(t *testing.T) {
	for text, want := range map[string]spec.Health{
		"":                            {StartBatch: 1024},
		"batch_size_start 50":         {StartBatch: 50},
		"max_stagger_start 120s":      {StartBatch: 1024, StartWithin: 2 * time.Minute},
		"max_stagger_start 0":         {StartBatch: 1024, StartWithin: time.Millisecond},
		"max_stagger_start 999h":      {StartBatch: 1024, StartWithin: 24 * time.Hour},
		"batch_size_start 2147483647": {StartBatch: spec.MaxStartBatch},
	} {
		path := filepath.Join(t.TempDir(), "db.yml")
		if err := os.WriteFile(path, []byte("records: {}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := setUp("gslb {\n zone example.org. " + path + "\n" + text + "\n}")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		sp, err := s.source(nil).Load()
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := (spec.Health{StartBatch: sp.Health.StartBatch, StartWithin: sp.Health.StartWithin}); got != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
}
