package gslb

import (
	"os"
	"path/filepath"
	"testing"

	_ "github.com/coredns/coredns/plugin/dnssec"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/root"

	"github.com/rhumb-dns/rhumb/coredns/rig"
)

func TestMain(m *testing.M) {
	rig.Main(m, "root", "bind", "ready", "prometheus", "errors", "log", "cache", "dnssec", "gslb", "file", "view")
}

// put writes a file, in a directory of the test's, by renaming it into its place.
func put(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}
