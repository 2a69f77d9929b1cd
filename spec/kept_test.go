package spec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKept reads a zone file again exactly when something of the zone changed.
func TestKept(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, modified time.Time) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-time.Hour)
	const config = "node: {data_dir: /tmp}\nzones:\n  x.test:\n    file: x.zone\n    records: [\"a A 192.0.2.1\"]\n"
	const text = "@ SOA ns h 1 2 3 4 5\n@ NS ns\nns 5 A 192.0.2.2\nns 6 A 192.0.2.3\n$INCLUDE y.zone\n"
	write("rhumb.yaml", config, old)
	write("x.zone", text, old)
	write("y.zone", "y A 192.0.2.4\n", old)
	// The files' inodes have changed just now; so the clock is an hour ahead.
	ahead := func() time.Time { return time.Now().Add(time.Hour) }
	kept := &Kept{now: ahead}
	load := func() (*Spec, error) {
		s, watched, err := Load(filepath.Join(dir, "rhumb.yaml"), Options{Kept: kept})
		for _, name := range []string{"x.zone", "y.zone"} {
			if !strings.Contains(strings.Join(watched, "\n"), filepath.Join(dir, name)) {
				t.Errorf("%s is not watched: %q", name, watched)
			}
		}
		return s, err
	}
	first, err := load()
	if err != nil {
		t.Fatal(err)
	}
	data := first.Zones[0].Data
	same := func(what string, want bool) {
		t.Helper()
		s, err := load()
		if err != nil {
			t.Fatal(err)
		}
		if (s.Zones[0].Data == data) != want {
			t.Errorf("%s: kept is %t", what, !want)
		}
		if got, want := Errors(s.Warnings).Error(), Errors(first.Warnings).Error(); got != want {
			t.Errorf("%s: warnings\n%s\nwant\n%s", what, got, want)
		}
		data = s.Zones[0].Data
	}
	same("nothing changed", true)
	write("rhumb.yaml", strings.Replace(config, "/tmp", "/var", 1), old)
	same("another part of the configuration", true)
	write("rhumb.yaml", strings.Replace(config, "2.1", "2.9", 1), old)
	same("a record of the configuration", false)
	same("nothing changed", true)
	write("y.zone", "y A 192.0.2.5\n", old.Add(time.Second))
	same("an included file", false)
	write("x.zone", text+"z A 192.0.2.7\n", old)
	same("the size of the file", false)
	write("x.zone", text+"z A 192.0.2.8\n", old)
	same("neither the size nor the time of the file, but its content", false)
	kept.now = nil
	same("just written", true)
	write("x.zone", text+"z A 192.0.2.9\n", time.Now())
	same("just written", false)
	same("just written, so that it is not trusted", false)
	kept.now = ahead
	write("x.zone", text, old)
	same("the file", false)

	write("y.zone", "y A 192.0.2\n", old)
	if _, err := load(); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "y.zone")+":1: ") {
		t.Errorf("error %v", err)
	}
	write("y.zone", "y A 192.0.2.5\n", old.Add(time.Second))
	same("mended", false)
	same("nothing changed", true)
}
