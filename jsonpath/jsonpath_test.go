package jsonpath

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// decode reads a document as Select wants it.
func decode(t testing.TB, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

var function = regexp.MustCompile(`\b(length|count|match|search|value)\(`)

// TestCompliance holds the package against the JSONPath Compliance Test Suite
// (github.com/jsonpath-standard/jsonpath-compliance-test-suite), whose licence is
// beside it. What needs the functions must be refused because of them.
func TestCompliance(t *testing.T) {
	b, err := os.ReadFile("testdata/cts.json")
	if err != nil {
		t.Fatal(err)
	}
	var suite []struct {
		Name, Selector string
		Document       json.RawMessage
		Result         []any
		Results        [][]any // any of them, where the order is open
		Invalid        bool    `json:"invalid_selector"`
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	if err := d.Decode(&suite); err != nil {
		t.Fatal(err)
	}
	selected := 0
	for _, tc := range suite {
		p, err := Parse(tc.Selector)
		functions := function.MatchString(tc.Selector)
		switch {
		case tc.Invalid:
			if err == nil {
				t.Errorf("%s: %q is accepted", tc.Name, tc.Selector)
			}
			continue
		case err != nil && functions:
			if !strings.Contains(err.Error(), "functions are not supported") {
				t.Errorf("%s: %q: %v", tc.Name, tc.Selector, err)
			}
			continue
		case err != nil:
			t.Errorf("%s: %q: %v", tc.Name, tc.Selector, err)
			continue
		}
		selected++
		got, err := p.Select(decode(t, string(tc.Document)), 1e5)
		if err != nil {
			t.Errorf("%s: %v", tc.Name, err)
		}
		if tc.Results == nil {
			tc.Results = [][]any{tc.Result}
		}
		right := false
		for _, want := range tc.Results {
			right = right || len(want) == 0 && len(got) == 0 || reflect.DeepEqual(got, want)
		}
		if !right {
			t.Errorf("%s: %s: got %v, want one of %v", tc.Name, tc.Selector, got, tc.Results)
		}
	}
	if selected < 350 {
		t.Errorf("only %d selections", selected)
	}
}

func TestParseSaysWhere(t *testing.T) {
	for _, tc := range []struct{ path, want string }{
		{"", "path: does not begin with $"},
		{"status", "path: does not begin with $"},
		{"$.a b", "path: at byte 4: a segment such as .name or [0] is expected"},
		{"$.", "path: at byte 3: a name or * is expected behind the dot; other names stand in brackets and quotes: ['...']"},
		{"$.my-name", "path: at byte 5: a segment such as .name or [0] is expected"},
		{"$[", "path: at byte 3: a selector is expected: a name in quotes, a number, a slice, * or ?"},
		{"$[a]", "path: at byte 3: a selector is expected: a name in quotes, a number, a slice, * or ?"},
		{"$['a", "path: at byte 3: the quote is not closed"},
		{`$['\x']`, "path: at byte 5: this is no escape of a string"},
		{"$[01]", "path: at byte 3: a whole number is expected, without leading zeros and within 2^53"},
		{"$[0", "path: at byte 4: ] or , is expected"},
		{"$[?@.a==b]", "path: at byte 9: strings stand in quotes"},
		{"$[?@.*==1]", "path: at byte 4: a path that can find several values cannot be compared"},
		{"$[?count(@.*)>1]", "path: at byte 4: functions are not supported"},
		{"$[?1]", "path: at byte 5: a comparison is expected: ==, !=, <, <=, > or >="},
		{"$[?(@.a]", "path: at byte 8: ) is expected"},
		{"$." + strings.Repeat("a", MaxLength), "path: longer than 1024 bytes"},
		{"$.\xff", "path: not UTF-8"},
	} {
		if _, err := Parse(tc.path); err == nil || err.Error() != tc.want {
			t.Errorf("%q: %v, want %s", tc.path, err, tc.want)
		}
	}
}

// A search that would look at more than there is must end.
func TestSelectIsBounded(t *testing.T) {
	const deep = 2000
	nested := decode(t, strings.Repeat("[", deep)+strings.Repeat("]", deep))
	wide := decode(t, "["+strings.Repeat(`{"a":[1,2,3]},`, 3000)+"0]")
	for _, tc := range []struct {
		path string
		root any
	}{
		{"$..*..*", nested},
		{"$..[?@..*]", nested},
		{"$[?$==$]", wide},
		{"$[?$[?@.a==$[0]]]", wide},
		{"$[*,*,*,*][*,*,*,*][*,*,*,*]", wide},
		{"$" + strings.Repeat("..*", 100), wide},
	} {
		p, err := Parse(tc.path)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := p.Select(tc.root, 10_000); !errors.Is(err, ErrCost) || found != nil {
			t.Errorf("%s: %d values, %v", tc.path, len(found), err)
		}
	}
	p, err := Parse("$..a")
	if err != nil {
		t.Fatal(err)
	}
	if found, err := p.Select(wide, 100_000); err != nil || len(found) != 3000 {
		t.Errorf("%d values, %v", len(found), err)
	}
}

// Whatever a path and a document are, a search ends within its cost, and what Parse
// accepts it accepts again.
func FuzzPath(f *testing.F) {
	for _, p := range []string{
		"$", "$.a.b", "$['a',\"b\"]", "$[-1:0:-2]", "$..*", "$[?@.a=='x'&&!(@.b<1||$.c>=2e3)]", `$['😀\n']`, "$[?count(@)]",
	} {
		f.Add(p, `{"a":{"b":[1,2.5,"x",null,true]},"c":[{"a":"x"}]}`)
	}
	f.Fuzz(func(t *testing.T, path, text string) {
		p, err := Parse(path)
		if err != nil {
			return
		}
		if q, err := Parse(p.String()); err != nil || !reflect.DeepEqual(p, q) {
			t.Errorf("%q twice: %v", path, err)
		}
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var root any
		if d.Decode(&root) != nil {
			return
		}
		const cost = 5000
		if found, err := p.Select(root, cost); err == nil && len(found) > cost {
			t.Errorf("%d values", len(found))
		}
	})
}
