package top

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/rhumb-dns/rhumb/api"
)

var update = flag.Bool("update", false, "write what comes out as what is expected")

// busy is a reading with every list, and names that mean harm.
func busy() *api.Top {
	return &api.Top{
		Node: "ns1", WindowSeconds: 1.0004,
		Queries:       api.TopRate{Total: 123_456_789, Rate: 18_432.4},
		ResponseBytes: api.TopRate{Total: 9_876_543_210, Rate: 1_190_000},
		Latency:       api.TopLatency{Count: 18432, MeanMS: 0.02, P50MS: 0.0123, P90MS: 0.31, P99MS: 1.684},

		TCPConnections: 12,
		Transports:     []api.TopEntry{row("udp", 123_000_000, 18_000), row("tcp", 456_000, 400), row("tls", 789, 32.4)},
		Zones:          []api.TopEntry{row("gslb.example.com.", 100_000_000, 12_000), row("a.very.long.name.of.a.zone.that.does.not.fit.example.org.", 20_000_000, 6000), row("-", 3_456_789, 432)},
		Types:          []api.TopEntry{row("A", 100_000_000, 10_000), row("AAAA", 20_000_000, 8000), row("other", 3, 0)},
		RCodes:         []api.TopEntry{row("NOERROR", 120_000_000, 18_000), row("NXDOMAIN", 3_456_789, 432)},
		Services:       []api.TopEntry{row("www.gslb.example.com.", 90_000_000, 9000), row("api.gslb.example.com.", 1_000_000, 99)},
		Endpoints:      []api.TopEntry{row("192.0.2.10", 40_000_000, 5000), row("2001:db8:1234:5678:9abc:def0:1234:5678", 50_000_000, 4000), row("www.example.net", 7, 1.26)},
		Networks:       []api.TopEntry{row("203.0.113.0/24", 5_000_000, 9000), row("2001:db8:0:100::/56", 4_000_000, 2000)},
		Names:          []api.TopEntry{row("www.gslb.example.com.", 90_000_000, 9000), row("\x1b[2J\x07evil\u202e\xff.example.", 20, 3), row("日本語.example.", 10, 2), row("e\u0301.example.", 10, 1)},
		Dropped:        []api.TopEntry{row("not_a_query", 1000, 12.4), row("receive_buffer", 5, 0)},
		Limits:         []api.TopEntry{row("tcp_client_limit", 12, 2)},

		LimitedNetworks: []api.TopEntry{row("198.51.100.0/24", 900, 450)},
		LimitedNames:    []api.TopEntry{row("gslb.example.com.", 800, 400)},
		GeneratedAt:     time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

// TestFrames compares frames with those in testdata; with -update it writes them.
func TestFrames(t *testing.T) {
	totals := busy()
	totals.WindowSeconds = 0
	for name, c := range map[string]struct {
		v View
		t *api.Top
	}{
		"80x24":    {View{Width: 80, Height: 24, Live: true}, busy()},
		"120x40":   {View{Width: 120, Height: 40, Live: true, Order: ByName, Paused: true}, busy()},
		"30x12":    {View{Width: 30, Height: 12, Live: true, Trouble: "cannot reach http://127.0.0.1:8080: connection refused"}, busy()},
		"one":      {View{Width: 80, Height: 12, Live: true, Section: 7}, busy()},
		"one-wide": {View{Width: 120, Height: 12, Live: true, Section: 5, Order: ByTotal}, busy()},
		"one-none": {View{Width: 80, Height: 12, Live: true, Section: 1}, &api.Top{Node: "ns1", WindowSeconds: 1}},
		"once":     {View{Width: 100}, busy()},
		"totals":   {View{Width: 100}, totals},
		"nothing":  {View{Width: 80, Height: 24, Live: true}, nil},
		"color":    {View{Width: 80, Height: 14, Live: true, Color: true, Section: 8}, busy()},
		"limited":  {View{Width: 80, Height: 8, Live: true, Section: 9}, busy()},
	} {
		got := strings.Join(c.v.Frame(c.t), "\n") + "\n"
		file := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

var painting = regexp.MustCompile("\x1b\\[[0-9]+m")

// TestFits draws in every size: a line that is too long or one too many would make
// the terminal scroll, and a control character would do as it likes.
func TestFits(t *testing.T) {
	for width := 1; width < 170; width += 3 {
		for height := 1; height < 60; height += 2 {
			for section := range Sections() + 1 {
				v := View{Width: width, Height: height, Color: true, Live: true, Section: section, Trouble: "no\x1bn\ne"}
				frame := v.Frame(busy())
				if len(frame) > height {
					t.Fatalf("%d lines in %dx%d, section %d", len(frame), width, height, section)
				}
				for _, line := range frame {
					line = painting.ReplaceAllString(line, "")
					n := 0
					for _, r := range line {
						n += columns(r)
						if unicode.IsControl(r) || r == '\u202e' {
							t.Fatalf("%q is in %q", r, line)
						}
					}
					if n > width {
						t.Fatalf("%d columns in %dx%d, section %d: %q", n, width, height, section, line)
					}
				}
			}
		}
	}
}

func TestFigures(t *testing.T) {
	for n, want := range map[float64]string{
		0: "0", 0.04: "<0.1", 7: "7", 1.26: "1.3", 9.94: "9.9", 9.96: "10", 999.4: "999", 1000: "1,000", 18_432.4: "18,432",
		999_999: "999,999", 1_000_000: "1.00M", 12_345_678: "12.3M", 123_456_789: "123M", 1e12: "1.00T",
	} {
		if got := number(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
		}
	}
	for n, want := range map[float64]string{0: "0 B", 999: "999 B", 1000: "1.00 kB", 65_432: "65.4 kB", 999_999: "1.00 MB", 1_190_000: "1.19 MB"} {
		if got := octets(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
		}
	}
	for ms, want := range map[float64]string{0: "-", 0.0012: "1.2 µs", 0.0123: "12 µs", 0.9994: "999 µs", 1.684: "1.68 ms", 12.4: "12 ms", 1234: "1.2s"} {
		if got := milliseconds(ms); got != want {
			t.Errorf("%v: %s, want %s", ms, got, want)
		}
	}
	for s, want := range map[string]string{
		"plain.example.": "plain.example.", "a b": "a b", "\x1b[2J": `\u{1b}[2J`, "\xff": `\xff`, "é": "é", "\u202e": `\u{202e}`, "\n": `\u{a}`,
	} {
		if got := printable(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

func TestPress(t *testing.T) {
	n := Sections()
	for typed, want := range map[string]View{
		"":                   {},
		"3":                  {Section: 3},
		"9":                  {Section: n},
		"30":                 {},
		"3\x1b":              {},
		"\t\x1b[C\x1bOC":     {Section: 3},
		"\x1b[D":             {Section: n},
		"\x1b[D\x1b[D":       {Section: n - 1},
		"9\x1b[C":            {},
		"s":                  {Order: ByTotal},
		"ss":                 {Order: ByName},
		"sss":                {Order: ByRate},
		" ":                  {Paused: true},
		"  ":                 {},
		"x\xff":              {},
		"2s\x1b[B\x1b[A\x00": {Section: 2, Order: ByTotal},
	} {
		v := View{}
		if v.Press([]byte(typed)) || v != want {
			t.Errorf("%q: %+v, want %+v", typed, v, want)
		}
	}
	for _, typed := range []string{"q", "Q", "\x03", "\x04", "1s q"} {
		if v := (View{}); !v.Press([]byte(typed)) {
			t.Errorf("%q does not end it", typed)
		}
	}
}

func row(name string, total uint64, rate float64) api.TopEntry {
	return api.TopEntry{Name: name, Total: total, Rate: rate}
}
