package table

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/spec"
)

// TestDoubts has a large zone file, which is read by parts, warned of as a small
// one is.
func TestDoubts(t *testing.T) {
	dir := t.TempDir()
	main, file := filepath.Join(dir, "rhumb.yaml"), filepath.Join(dir, "x.zone")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configuration := `node: {data_dir: /tmp}
pools: {p: {endpoints: [192.0.2.1]}}
zones:
  x.test:
    file: x.zone
    services:
      a.b.wild: {pools: [p]}
      a.c.wild: {pools: [p]}
      other: {pools: [p]}
  below.x.test: {nameservers: {ns1: 192.0.2.53}}
  cut.x.test: {nameservers: {ns1: 192.0.2.53}}
  under.cut.y.test: {nameservers: {ns1: 192.0.2.53}}
  y.test: {file: y.zone}
`
	write(main, configuration)
	write(filepath.Join(dir, "y.zone"), "@ SOA ns h 1 2 3 4 5\n@ NS ns.elsewhere.example.\ncut NS ns.elsewhere.example.\n")
	const records = "@ SOA ns h 1 2 3 4 5\n@ NS ns.elsewhere.example.\n*.wild A 192.0.2.9\nx.c.wild A 192.0.2.9\n" +
		"cut NS ns.elsewhere.example.\n"
	const servers = "sub NS NS.Sub\nsub2 NS ns.sub2\nns.sub2 CNAME n1\nsub3 NS ns.sub3\nns.sub3 AAAA 2001:db8::1\n"
	load := func(prev *Table, kept *spec.Kept, n int, text string) (*Table, string) {
		t.Helper()
		var b strings.Builder
		b.WriteString(records)
		for i := range n {
			fmt.Fprintf(&b, "n%d A 192.0.2.1\n", i)
		}
		b.WriteString(text)
		write(file, b.String())
		s, _, err := spec.Load(main, spec.Options{Kept: kept})
		if err != nil {
			t.Fatal(err)
		}
		tab, err := Compile(prev, s)
		if err != nil {
			t.Fatal(err)
		}
		if joined := n > 1000; s.Zones[2].Data.Joined() != joined && s.Zones[0].Data.Joined() != joined && s.Zones[1].Data.Joined() != joined {
			t.Fatalf("read by parts is %t", !joined)
		}
		var said []string
		for _, w := range s.Warnings {
			said = append(said, w.Path+": "+w.Msg)
		}
		slices.Sort(said)
		return tab, strings.Join(said, "\n")
	}
	const large = 70_000
	_, small := load(nil, nil, 10, servers)
	kept := &spec.Kept{}
	first, got := load(nil, kept, large, servers)
	want := `zones.below.x.test: the file of x.test does not delegate this zone: resolvers that ask there are told that it does not exist
zones.x.test.services.a.b.wild: the records of *.wild.x.test no longer answer for this name
zones.x.test: the name server ns.sub.x.test of sub.x.test has no address here, and nobody else can know it
zones.x.test: the name server ns.sub2.x.test of sub2.x.test is an alias: resolvers do not follow it (RFC 2181 section 10.3)`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	// The same of a small one, but for how the place of a record is named.
	for _, line := range strings.Split(got, "\n") {
		_, msg, _ := strings.Cut(line, ": ")
		msg = strings.Replace(strings.Replace(msg, " of sub.x.test", ".", 1), " of sub2.x.test", ".", 1)
		if !strings.Contains(small, msg) {
			t.Errorf("a small file: %s\nis without\n%s", small, msg)
		}
	}
	if a, b := strings.Count(small, "\n"), strings.Count(got, "\n"); a != b {
		t.Errorf("a small file: %d\n%s", a, small)
	}

	// A change takes warnings away, leaves them, and brings them.
	changed := strings.Replace(servers, "ns.sub2 CNAME n1", "ns.sub2 A 192.0.2.1\nsub4 NS ns.sub4", 1)
	write(main, strings.Replace(configuration, "a.b.wild:", "d.wild:", 1))
	second, got := load(first, kept, large, changed)
	if second.Anew() {
		t.Error("made anew")
	}
	want = `zones.below.x.test: the file of x.test does not delegate this zone: resolvers that ask there are told that it does not exist
zones.x.test.services.d.wild: the records of *.wild.x.test no longer answer for this name
zones.x.test: the name server ns.sub.x.test of sub.x.test has no address here, and nobody else can know it
zones.x.test: the name server ns.sub4.x.test of sub4.x.test has no address here, and nobody else can know it`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
