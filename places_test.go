package rhumb_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/spec"
)

func region(t *testing.T, e *rhumb.Engine, addr string) string {
	t.Helper()
	l, err := e.Locate(netip.MustParseAddr(addr))
	if err != nil {
		t.Fatal(err)
	}
	return l.Place.Region
}

// Places are loaded when somebody asks, and follow what is stated from then on.
func TestPlacesWhenNeeded(t *testing.T) {
	e := newEngine(t, rhumb.Options{})
	if _, err := e.Locate(netip.MustParseAddr("10.0.0.1")); err == nil {
		t.Error("located without a configuration")
	}
	commit(t, e, parse(t, "geo: {networks: {10.0.0.0/8: {region: a}}}"))
	if e.Snapshot().Geo != nil || e.Geo().Loaded {
		t.Error("loaded, and nobody needs it")
	}
	if got := region(t, e, "10.0.0.1"); got != "a" {
		t.Errorf("the region is %q", got)
	}
	if e.Snapshot().Geo == nil || !e.Geo().Loaded {
		t.Error("not loaded, and somebody asked")
	}
	if _, err := e.Locate(netip.Addr{}); err == nil {
		t.Error("no address was located")
	}
	commit(t, e, parse(t, "geo: {networks: {10.0.0.0/8: {region: b}}}"))
	if e.Snapshot().Geo == nil {
		t.Error("lost by the next statement")
	}
	if got := region(t, e, "10.0.0.1"); got != "b" {
		t.Errorf("after a change the region is %q", got)
	}
}

// Whoever looks up between the preparation of a statement and its being in force
// has the one before, and then the one behind.
func TestPlacesBetweenPrepareAndCommit(t *testing.T) {
	e := newEngine(t, rhumb.Options{})
	commit(t, e, parse(t, "geo: {networks: {10.0.0.0/8: {region: a}}}"))
	c, err := e.Prepare(parse(t, "geo: {networks: {10.0.0.0/8: {region: b}}}"))
	if err != nil {
		t.Fatal(err)
	}
	if got := region(t, e, "10.0.0.1"); got != "a" {
		t.Errorf("before, the region is %q", got)
	}
	if err := e.Commit(c); err != nil {
		t.Fatal(err)
	}
	if got := region(t, e, "10.0.0.1"); got != "b" {
		t.Errorf("behind, the region is %q", got)
	}
}

// A database that is stated is read though nobody needs it yet. One that is
// damaged is an error at its place, and what is in force stays.
func TestDamagedDatabases(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "rhumb.yaml")
	for name, text := range map[string]string{
		"a.mmdb": "", "b.mmdb": strings.Repeat("no database ", 1000),
		"rhumb.yaml": "geo:\n  databases: [a.mmdb, built-in, b.mmdb]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	e := newEngine(t, rhumb.Options{})
	commit(t, e, parse(t, "geo: {databases: [built-in], networks: {10.0.0.0/8: {region: a}}}"))
	if e.Snapshot().Geo == nil {
		t.Error("a database that is stated was not read")
	}
	s, _, err := spec.Load(file, spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Prepare(s)
	var got string
	if err != nil {
		got = strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
	}
	const a, b = "rhumb.yaml:2:15: geo.databases[0]: a.mmdb: is empty\n", "rhumb.yaml:2:33: geo.databases[2]: b.mmdb: not a whole database in MaxMind's format: "
	if !strings.HasPrefix(got, a+b) || strings.Count(got, "\n") != 1 {
		t.Errorf("the error is\n%s", got)
	}
	if got := region(t, e, "10.0.0.1"); got != "a" {
		t.Errorf("after the error the region is %q", got)
	}
}
