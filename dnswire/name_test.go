package dnswire_test

import (
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
)

func mustName(t testing.TB, s string) dnswire.Name {
	t.Helper()
	n, err := dnswire.ParseName(s)
	if err != nil {
		t.Fatalf("ParseName(%q): %v", s, err)
	}
	return n
}

func TestNameFromText(t *testing.T) {
	l63 := strings.Repeat("a", 63)
	tests := []struct {
		text string
		want []byte
		out  string // String; text when empty
	}{
		{".", wire(), ""},
		{"com.", wire("com"), ""},
		{"com", wire("com"), "com."},
		{"WWW.Example.COM", wire("www", "example", "com"), "www.example.com."},
		{"_443._tcp.a-b.example.", wire("_443", "_tcp", "a-b", "example"), ""},
		{"*.example.", wire("*", "example"), ""},
		{`a\.b.example.`, wire("a.b", "example"), ""},
		{`a\046b.example.`, wire("a.b", "example"), `a\.b.example.`},
		{`\065\090.example.`, wire("az", "example"), "az.example."},
		{`\..`, wire("."), ""},
		{`\.`, wire("."), `\..`},
		{`\\.`, wire(`\`), ""},
		{`\000\031\127\255.`, wire("\x00\x1f\x7f\xff"), ""},
		{"\x00\x1f\x7f\xff.", wire("\x00\x1f\x7f\xff"), `\000\031\127\255.`},
		{`\ \'\@\;\(\)\".`, wire(` '@;()"`), ""},
		{` '@;()".`, wire(` '@;()"`), `\ \'\@\;\(\)\".`},
		{`\032.`, wire(" "), `\ .`},
		{`\a.`, wire("a"), "a."},
		{"ü.", wire("ü"), `\195\188.`},
		{l63, wire(l63), l63 + "."},
		{strings.Repeat(`\097`, 63), wire(l63), l63 + "."},
		{strings.Repeat("x.", 127), longest(127, 0), ""},
	}
	for _, tt := range tests {
		n, err := dnswire.ParseName(tt.text)
		if err != nil || string(n) != string(tt.want) {
			t.Errorf("ParseName(%q) = %q, %v; want %q", tt.text, string(n), err, tt.want)
			continue
		}
		out := tt.out
		if out == "" {
			out = tt.text
		}
		if n.String() != out {
			t.Errorf("String of %q is %q, want %q", string(n), n.String(), out)
		}
		if got := dnswire.AppendName([]byte("xy"), n); string(got) != "xy"+string(tt.want) {
			t.Errorf("AppendName gives %q", got)
		}
	}
	if s := dnswire.Name("").String(); s != "" {
		t.Errorf("no name is %q", s)
	}
}

func TestNameErrors(t *testing.T) {
	l63, l64 := strings.Repeat("a", 63), strings.Repeat("a", 64)
	tests := []struct{ text, want string }{
		{"", "empty name"},
		{"..", `empty label in ".."`},
		{".com", `empty label in ".com"`},
		{"www..com", `empty label in "www..com"`},
		{"com..", `empty label in "com.."`},
		{"www." + l64 + ".com", `label "` + l64 + `" is longer than 63 bytes`},
		{l64, `label "` + l64 + `" is longer than 63 bytes`},
		{l63 + `\.`, `label "` + l63 + `\\." is longer than 63 bytes`},
		{strings.Repeat("x.", 128), "name is longer than 255 bytes"},
		{strings.Repeat(l63+".", 4), "name is longer than 255 bytes"},
		{`www.a\`, `label "a\\": \ at the end`},
		{`a\25`, `label "a\\25": \ before a digit needs three digits`},
		{`a\25x.b`, `label "a\\25x.b": \ before a digit needs three digits`},
		{`\256.b`, `label "\\256.b": \256 is above 255`},
	}
	for _, tt := range tests {
		n, err := dnswire.ParseName(tt.text)
		if err == nil || err.Error() != tt.want || n != "" {
			t.Errorf("ParseName(%q) = %q, %v; want %s", tt.text, string(n), err, tt.want)
		}
	}
}

func TestNameParts(t *testing.T) {
	n := mustName(t, `W\.w.example.com`)
	want := []struct{ first, text string }{
		{"w.w", `w\.w.example.com.`}, {"example", "example.com."}, {"com", "com."}, {"", "."},
	}
	for i, w := range want {
		if n.First() != w.first || n.String() != w.text || n.Labels() != 3-i || n.IsRoot() != (i == 3) {
			t.Errorf("%q: First %q, Labels %d, IsRoot %v", n.String(), n.First(), n.Labels(), n.IsRoot())
		}
		n = n.Parent()
	}
	if n != "" || n.Parent() != "" || n.First() != "" || n.Labels() != 0 || n.IsRoot() {
		t.Errorf("the root's parent is %q", string(n))
	}
}

func TestNameWithin(t *testing.T) {
	tests := []struct {
		name, zone string
		want       bool
	}{
		{"example.com", "example.com", true},
		{"www.example.com", "EXAMPLE.com", true},
		{"a.b.c.example.com", "example.com", true},
		{"badexample.com", "example.com", false},
		{"com", "example.com", false},
		{"example.org", "example.com", false},
		{"example.com.org", "example.com", false},
		{"www.example.com", ".", true},
		{".", ".", true},
		{".", "com", false},
		// The zone's bytes end the name's, but inside of a label.
		{`x\003com`, "com", false},
		{`\003com.x\003com`, "com", false},
	}
	for _, tt := range tests {
		n, zone := mustName(t, tt.name), mustName(t, tt.zone)
		if got := n.Within(zone); got != tt.want {
			t.Errorf("%s within %s: %v", n, zone, got)
		}
		if n.Within("") || dnswire.Name("").Within(zone) {
			t.Errorf("%s: something within no name", n)
		}
	}
}

func TestNameJoin(t *testing.T) {
	com := mustName(t, "example.com")
	long := mustName(t, strings.Repeat("x.", 120)+"yy") // 244 bytes
	if n, err := com.Prepend("WwW.\xff"); err != nil || n.String() != `www\.\255.example.com.` {
		t.Errorf("Prepend: %s, %v", n, err)
	}
	if n, err := mustName(t, "a.b").Join(com); err != nil || n.String() != "a.b.example.com." {
		t.Errorf("Join: %s, %v", n, err)
	}
	if n, err := dnswire.Root.Join(com); err != nil || n != com {
		t.Errorf("Join of the root: %s, %v", n, err)
	}
	if n, err := com.Join(dnswire.Root); err != nil || n != com {
		t.Errorf("Join to the root: %s, %v", n, err)
	}
	if n, err := long.Prepend("0123456789"); err != nil || len(n) != 255 {
		t.Errorf("Prepend up to 255 bytes: %d bytes, %v", len(n), err)
	}
	for want, got := range map[string]func() (dnswire.Name, error){
		"empty label": func() (dnswire.Name, error) { return com.Prepend("") },
		`label "` + strings.Repeat("A", 64) + `" is longer than 63 bytes`: func() (dnswire.Name, error) {
			return com.Prepend(strings.Repeat("A", 64))
		},
		"name is longer than 255 bytes": func() (dnswire.Name, error) { return long.Prepend("0123456789x") },
	} {
		if n, err := got(); err == nil || err.Error() != want || n != "" {
			t.Errorf("%q, %v; want %s", string(n), err, want)
		}
	}
	if n, err := com.Join(long); err == nil || n != "" {
		t.Errorf("Join to more than 255 bytes: %d bytes", len(n))
	}
}
