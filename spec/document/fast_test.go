package document

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// dump is a tree as text: what both parsers must agree on.
func dump(n Node) string {
	var b strings.Builder
	var walk func(n Node, depth int)
	walk = func(n Node, depth int) {
		n = n.open()
		fmt.Fprintf(&b, "%*s%d:%d %s", depth*2, "", n.Line(), n.Col(), n.Kind())
		if n.Kind() == Scalar {
			fmt.Fprintf(&b, " %q quoted=%t null=%t", n.Raw(), n.Quoted(), n.Null())
		}
		b.WriteByte('\n')
		for c := range n.Children() {
			walk(c, depth+1)
		}
	}
	walk(n, 0)
	return b.String()
}

// same fails when the fast parser accepts a text and the library reads it differently.
func same(t *testing.T, src string) (accepted bool) {
	t.Helper()
	quick := &document{name: "x.yaml", src: []byte(src)}
	if !parseFast(quick) {
		return false
	}
	slow := &document{name: "x.yaml", src: []byte(src)}
	if errs := parseLibrary(slow); len(errs) > 0 {
		t.Fatalf("the fast parser accepts what the library refuses with %v:\n%q", errs, src)
	}
	got, want := dump(Node{quick, 0}), dump(Node{slow, 0})
	if got != want {
		t.Fatalf("the fast parser reads\n%s\nthe library\n%s\nin %q", got, want, src)
	}
	return true
}

// fastTexts are read by the fast parser.
var fastTexts = []string{
	"a: 1\n",
	"a: 1",
	"---\na: 1\n",
	"# c\n\na: 1 # d\n\n# e\nb:\n  - x\n  -  y # z\n  -\n  - k: v\n    l: w\n",
	"a:\nb:\n- x\n- y\nc:\n",
	"a:\n  b:\n    c: d\n  e: f\ng: h\n",
	"- a\n- b: c\n",
	"a: {b: c, d: [1, -6.26, ::1/128, 2001:db8::1], 'e': \"f\", }\n",
	"a: [x, [y, {z: 1}], ] # c\n",
	"a: {}\nb: []\n",
	"a: ${X}\nb: [${X:-a, b]}, $${Y}]\nc: {d: ${X}}\n",
	"a: 'it''s'\nb: \"q\\\"w\\\\e\\n\"\n\"c\": x\n'd e': y\n",
	"ä: ö # ü\nb: [é, x]\nc: {ñ: y}\n",
	"a: b:c\nd: http://x/y#z\ne: a  b   # c\n",
	"a: [tags: [x, y], rotate, limit: 2, 'q': r, \"s\": {t: u}]\n",
	"a: -1\nb: :53\nc: ~\nd: null\n",
	"-   a: b\n    c: d\n-   e\n",
	"a:\n  - b\nc:\n  # d\n  - e\n",
}

// slowTexts are left to the library, which reads or refuses them.
var slowTexts = []string{
	"", "# c\n", "a", "a: &x 1\nb: *x\n", "a: |\n  x\n", "a: >\n  x\n", "? a\n: b\n", "%YAML 1.2\n---\na: b\n", "\n---a:",
	"a: 1\n---\nb: 2\n", "a: 1\n...\n", "a: b\n  c\n", "a: \"b\n  c\"\n", "a: [b,\n c]\n", "\ta: b\n", "a:\tb\n",
	"a: !!str 5\n", "<<: {a: b}\n", "a: b: c\n", "a: [b:, c]\n", "a: [{b: c}: d]\n", "a: [b: c: d]\n", "a: {b}\n", "a: {b: }\n", "a: @\n", "a: b\r\n",
	"a: 'b\n", "a: {b: c\n", "a: {b: c} d\n", "a: \"\\u0041\"\n", "a:\n b: c\n  d: e\n", "a:\n  b: c\n d: e\n",
	"- a\nb: c\n", "a: - b\n", "- - a\n", "\ufeffa: b\n", "a: \ue07b\n", "a: {\"b\":c}\n", "a: x\x00\n", "a: \xff\n",
}

func TestFastParser(t *testing.T) {
	for _, src := range fastTexts {
		if !same(t, src) {
			t.Errorf("the fast parser does not read %q", src)
		}
	}
	for _, src := range slowTexts {
		if same(t, src) {
			t.Errorf("the fast parser reads %q", src)
		}
	}
}

// Every file of the project is read by the fast parser, so it is what users meet, but
// for those with blocks of text, as scripts are.
func TestFastParserReadsExamples(t *testing.T) {
	files, _ := filepath.Glob("../../examples/*.yaml")
	deeper, _ := filepath.Glob("../../examples/*/rhumb.yaml")
	valid, _ := filepath.Glob("../testdata/valid-*.yaml")
	for _, file := range slices.Concat(files, deeper, valid) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		block := strings.Contains(string(b), ": | ")
		if !same(t, string(b)) && !block && !strings.Contains(file, "library") {
			t.Errorf("the fast parser does not read %s", file)
		}
	}
}

func FuzzFastParser(f *testing.F) {
	for _, src := range append(fastTexts, slowTexts...) {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) { same(t, src) })
}
