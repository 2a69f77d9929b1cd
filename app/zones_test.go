package app_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestZoneFile: a zone file that is changed is read again, one with errors
// changes nothing and says all of them, and the log says what a reload brought.
func TestZoneFile(t *testing.T) {
	dir := t.TempDir()
	file, config := filepath.Join(dir, "x.zone"), filepath.Join(dir, "rhumb.yaml")
	state := func(serial int, lines ...string) {
		t.Helper()
		write(t, file, fmt.Sprintf("@ 60 SOA ns.example.net. h %d 2 3 4 5\n@ 60 NS ns.example.net.\n%s\n", serial, strings.Join(lines, "\n")))
	}
	state(1, "www 60 A 192.0.2.1")
	write(t, config, header+"zones: {x.test: {file: x.zone}}\n")
	n := start(t, config)
	n.until("www.x.test", "192.0.2.1")

	state(2, "www 60 A 192.0.2.2", "txt 60 TXT hello")
	if err := n.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.until("www.x.test", "192.0.2.2")

	state(3, "www 60 A 192.0.2", "www 60 CNAME other", "other.example. 60 A 192.0.2.3")
	err := n.Reload(t.Context())
	if err == nil {
		t.Fatal("a broken zone file was taken")
	}
	for _, want := range []string{file + ":3: ", file + ":5: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s:\n%v", want, err)
		}
	}
	if got := addresses(n.ask("www.x.test", dns.TypeA)); got != "192.0.2.2" {
		t.Errorf("answer %s while the file is broken", got)
	}

	state(1, "www 60 A 192.0.2.4")
	if err := n.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.until("www.x.test", "192.0.2.4")
	log := n.log.String()
	for _, want := range []string{
		`msg="zone changed" zone=x.test. serial=2 records=4`,
		`msg="configuration not reloaded; the one in force stays" by=request errors=2`,
		`msg="the serial of a zone went backwards`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s:\n%s", want, log)
		}
	}
}
