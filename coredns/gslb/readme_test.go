package gslb

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/coredns/coredns/core/dnsserver"
)

// local has a Corefile listen on loopback, at ports that the system chooses. What the
// plugin is told stays as it is, but for where its API listens.
func local(text string) string {
	for _, c := range []struct{ what, with string }{
		{`(?m)^(\S.*):53 \{$`, "$1:0 {"},
		{`(?m)^(\s+)bind .*$`, ""},
		{`(?m)^(\S.* \{)$`, "$1\n    bind 127.0.0.1"},
		{`(?m)^(\s+)ready$`, "${1}ready 127.0.0.1:0"},
		{`(?m)^(\s+)prometheus .*$`, "${1}prometheus 127.0.0.1:0"},
		{`(?m)^(\s+)api_listen_port .*$`, "${1}api_listen_port 0"},
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
	for _, s := range []string{"# gslb\n", "## Name\n", "## Description\n", "## Syntax\n", "## Examples\n", "## Metrics\n", "## Ready\n", "## Bugs\n"} {
		at := strings.Index(string(raw), s)
		if at < last {
			t.Errorf("the section %q is not in its place", strings.TrimSpace(s))
		}
		last = max(last, at)
	}
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"db.example.org":              besides,
		"db.test.org":                 strings.ReplaceAll(besides, "example.org", "test.org"),
		"gslb_config.example.org.yml": records,
		"gslb_config.test.org.yml":    strings.ReplaceAll(records, "example.org", "test.org"),
		"location_map.yml":            subnets,
		"healthcheck_profiles.yml":    "healthcheck_profiles: {web: {type: tcp, params: {port: 80}}}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dnsserver.Port = "0"
	defer func() { dnsserver.Port = dnsserver.DefaultPort }()
	all := regexp.MustCompile("(?s)~~~ corefile\n(.*?)~~~").FindAllStringSubmatch(string(raw), -1)
	if len(all) < 2 {
		t.Fatalf("there are %d Corefiles", len(all))
	}
	for _, m := range all {
		start(t, local(m[1])).stop()
	}
}
