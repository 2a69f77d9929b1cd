package document

import (
	"slices"
	"testing"
)

func TestNode(t *testing.T) {
	top, errs := Parse("x.yaml", 7, []byte("a: {ä: 1, c: \"~\"}\nb:\n  - null\n  - x\n"))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if top.IsZero() || !(Node{}).IsZero() || top.Name() != "x.yaml" || top.File() != 7 || top.Kind() != Mapping {
		t.Errorf("%+v", top)
	}
	var nodes []Node // in the order of the text
	var walk func(n Node)
	walk = func(n Node) {
		nodes = append(nodes, n)
		if n.Kind() != Scalar {
			for c := range n.Children() {
				walk(c)
			}
		}
	}
	walk(top)
	type place struct{ line, col int }
	var places []place
	var texts, spans []string
	for _, n := range nodes {
		if n.Name() != "x.yaml" || n.File() != 7 {
			t.Errorf("a node of %s, %d", n.Name(), n.File())
		}
		places = append(places, place{n.Line(), n.Col()})
		if n.Kind() == Scalar {
			texts = append(texts, string(n.Raw()))
			if n.Null() != (string(n.Raw()) == "null") || n.Quoted() != (string(n.Raw()) == "~") || n.Span() != nil {
				t.Errorf("%q: null %t, quoted %t, span %q", n.Raw(), n.Null(), n.Quoted(), n.Span())
			}
		} else {
			spans = append(spans, string(n.Span()))
		}
	}
	if want := []place{{1, 1}, {1, 1}, {1, 4}, {1, 5}, {1, 8}, {1, 11}, {1, 14}, {2, 1}, {3, 3}, {3, 5}, {4, 5}}; !slices.Equal(places, want) {
		t.Errorf("places %v", places)
	}
	if want := []string{"a", "ä", "1", "c", "~", "b", "null", "x"}; !slices.Equal(texts, want) {
		t.Errorf("texts %q", texts)
	}
	if want := []string{"a: {ä: 1, c: \"~\"}\nb:\n  - null\n  - x", "{ä: 1, c: \"~\"}", "- null\n  - x"}; !slices.Equal(spans, want) {
		t.Errorf("spans %q", spans)
	}
	// Iteration stops when it is told to.
	for k := range top.Pairs() {
		if string(k.Raw()) != "a" {
			t.Errorf("the second key is reached: %q", k.Raw())
		}
		break
	}
}

// Both parsers may meet what cannot be read; the library says why.
func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "1:1: the file is empty: state at least one key, or remove it",
		"# c\n":                  "1:1: the file is empty: state at least one key, or remove it",
		"a: 1\n---\nb: 2\n":      "2:1: a second document: a file holds one; put the other into a file of its own and include it",
		"a: b: c\n":              "1:5: syntax: mapping values are not allowed in this context",
		"a:\n\tb: c\n":           "2:1: syntax: a tab: indent with spaces",
		"ä: @\n":                 "1:4: syntax: a value cannot start with @: put it in quotes",
		"a: x\x00\n":             "1:5: syntax: control characters are not allowed (value: 0)",
		"a: !foo x\n":            "1:4: the tag !foo is not supported: remove it",
		"[a]: b\n":               "1:1: a key is a word, not a list, a map or an alias",
		"<<: x\n":                "1:5: a merge key (<<) takes a map or a list of maps",
		"a: &x [*x]\n":           "1:8: the alias *x is inside of what it stands for",
		"a: {b: !foo x, [c]: d}": "1:8: the tag !foo is not supported: remove it; 1:16: a key is a word, not a list, a map or an alias",
	} {
		top, errs := Parse("x.yaml", 0, []byte(text))
		got := ""
		for i, e := range errs {
			if i > 0 {
				got += "; "
			}
			got += e.Error()
		}
		if got != want || !top.IsZero() {
			t.Errorf("%q:\ngot  %s\nwant %s", text, got, want)
		}
	}
}
