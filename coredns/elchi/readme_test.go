package elchi

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/coredns/coredns/core/dnsserver"
)

// local has a Corefile listen on loopback, at ports that the system chooses. What the
// plugin is told stays as it is, but for where its webhook and the controllers are.
func local(text string) string {
	for _, c := range []struct{ what, with string }{
		{`(?m)^(\S.*):53 \{$`, "$1:0 {"},
		{`(?m)^(\s+)bind .*$`, ""},
		{`(?m)^(\S.* \{)$`, "$1\n    bind 127.0.0.1"},
		{`(?m)^(\s+)ready$`, "${1}ready 127.0.0.1:0"},
		{`(?m)^(\s+)prometheus .*$`, "${1}prometheus 127.0.0.1:0"},
		{`(?m)^(\s+)webhook.*$`, "${1}webhook 127.0.0.1:0"},
		{`(https?://)[a-z-]+:\d+`, "${1}127.0.0.1:1"}, // nobody is asked for names
	} {
		text = regexp.MustCompile(c.what).ReplaceAllString(text, c.with)
	}
	return text
}

// TestReadme starts every Corefile of the README, and looks for the sections that
// CoreDNS wants.
func TestReadme(t *testing.T) {
	raw, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, s := range []string{"# elchi\n", "## Name\n", "## Description\n", "## Syntax\n", "## Examples\n", "## Metrics\n", "## Ready\n", "## Bugs\n"} {
		at := strings.Index(string(raw), s)
		if at < last {
			t.Errorf("the section %q is not in its place", strings.TrimSpace(s))
		}
		last = max(last, at)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("gslb.example.org.db", []byte("$ORIGIN gslb.example.org.\n@ 60 SOA ns a 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NODE_IP", "127.0.0.1")
	dnsserver.Port = "0"
	defer func() { dnsserver.Port = dnsserver.DefaultPort }()
	all := regexp.MustCompile("(?s)~~~ corefile\n(.*?)~~~").FindAllStringSubmatch(string(raw), -1)
	if len(all) < 4 {
		t.Fatalf("there are %d Corefiles", len(all))
	}
	for _, m := range all {
		start(t, local(m[1])).stop()
	}
}
