package document

import (
	"fmt"
	"strings"
	"testing"
)

// testEnv is the environment of the tests.
func testEnv(name string) (string, bool) {
	v, ok := map[string]string{"TEST_WORD": "soon", "TEST_NUMBER": "77", "TEST_EMPTY": ""}[name]
	return v, ok
}

func TestText(t *testing.T) {
	for _, c := range []struct{ in, want, err string }{
		{"a", "a", ""},
		{"${TEST_NUMBER}", "77", ""},
		{"<${TEST_NUMBER}${TEST_WORD}>", "<77soon>", ""},
		{"${UNSET:-a: b, c}", "a: b, c", ""},
		{"${TEST_EMPTY:-x}", "x", ""},
		{"${TEST_EMPTY}", "", ""},
		{"${TEST_WORD:-x}", "soon", ""},
		{"$${TEST_WORD}", "${TEST_WORD}", ""},
		{"$5 $ $$ ${TEST_NUMBER}$", "$5 $ $$ 77$", ""},
		{"${UNSET}", "", "the environment variable UNSET is not set; set it or write ${UNSET:-default}"},
		{"${", "", "malformed variable: write ${NAME} or ${NAME:-default}, or $${ for a literal ${"},
		{"${A-b}", "", "malformed variable: write ${NAME} or ${NAME:-default}, or $${ for a literal ${"},
	} {
		// In quotes for the readers, so that a default may hold what it likes.
		top, errs := Parse("x.yaml", 0, []byte("'"+c.in+"'"))
		if len(errs) > 0 {
			t.Fatalf("%q: %v", c.in, errs)
		}
		got, err := top.Text(testEnv)
		if msg := fmt.Sprint(err); got != c.want || c.err == "" && err != nil || c.err != "" && msg != c.err {
			t.Errorf("%q: %q, %v", c.in, got, err)
		}
		if got := top.Variable(); got != strings.Contains(c.in, "${") {
			t.Errorf("%q: variable %t", c.in, got)
		}
	}
}

func TestFromEnvironment(t *testing.T) {
	for in, want := range map[string]bool{
		"${A}": true, "${A:-}": true, "${A:-x}": false, "x${A}": false, "${A}x": false, "${A}${B}": false,
		"x": false, "$${A}": false, "${A": false, "": false,
	} {
		top, errs := Parse("x.yaml", 0, []byte("'"+in+"'"))
		if len(errs) > 0 {
			t.Fatalf("%q: %v", in, errs)
		}
		if got := top.FromEnvironment(); got != want {
			t.Errorf("%q: %t", in, got)
		}
	}
}

// A variable is one scalar wherever it stands, for both parsers, and columns
// are those of the text.
func TestShield(t *testing.T) {
	for _, lead := range []string{"", "&x "} { // an anchor is the library's
		top, errs := Parse("x.yaml", 0, []byte(lead+"{a: ${A:-b, c: d}, e: [${B}, f]}"))
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		var got []string
		for k, v := range top.Pairs() {
			got = append(got, fmt.Sprintf("%s@%d", k.Raw(), k.Col()-len(lead)))
			if v.Kind() == Scalar {
				got = append(got, string(v.Raw()))
				continue
			}
			for c := range v.Children() {
				got = append(got, fmt.Sprintf("%s@%d", c.Raw(), c.Col()-len(lead)))
			}
		}
		if want := "a@2 ${A:-b, c: d} e@20 ${B}@24 f@30"; strings.Join(got, " ") != want {
			t.Errorf("%q: %s, want %s", lead, strings.Join(got, " "), want)
		}
	}
}
