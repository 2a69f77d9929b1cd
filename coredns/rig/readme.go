package rig

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/coredns/coredns/core/dnsserver"
)

// Readme starts each Corefile of the README of a plugin, of which there are so many at
// least, beside some files, and looks for the sections that CoreDNS wants. They listen on
// loopback, at ports that the system chooses; what the plugin is told stays as it is, but
// for further changes, each a regular expression and what takes its place.
func Readme(t *testing.T, plugin string, least int, files map[string]string, changes ...[2]string) {
	t.Helper()
	raw, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, s := range []string{"# " + plugin + "\n", "## Name\n", "## Description\n", "## Syntax\n", "## Examples\n", "## Metrics\n", "## Ready\n", "## Bugs\n"} {
		at := strings.Index(string(raw), s)
		if at < last {
			t.Errorf("the section %q is not in its place", strings.TrimSpace(s))
		}
		last = max(last, at)
	}
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dnsserver.Port = "0"
	defer func() { dnsserver.Port = dnsserver.DefaultPort }()
	changes = append([][2]string{
		{`(?m)^(\S.*):53 \{$`, "$1:0 {"},
		{`(?m)^(\s+)bind .*$`, ""},
		{`(?m)^(\S.* \{)$`, "$1\n    bind 127.0.0.1"},
		{`(?m)^(\s+)ready$`, "${1}ready 127.0.0.1:0"},
		{`(?m)^(\s+)prometheus .*$`, "${1}prometheus 127.0.0.1:0"},
	}, changes...)
	all := regexp.MustCompile("(?s)~~~ corefile\n(.*?)~~~").FindAllStringSubmatch(string(raw), -1)
	if len(all) < least {
		t.Fatalf("there are %d Corefiles", len(all))
	}
	for _, m := range all {
		text := m[1]
		for _, c := range changes {
			text = regexp.MustCompile(c[0]).ReplaceAllString(text, c[1])
		}
		Start(t, text).Stop()
	}
}
