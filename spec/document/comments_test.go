package document

import (
	"fmt"
	"slices"
	"testing"
	"unicode/utf16"
)

// Comments are found in every encoding, and end where the library ends their line.
func TestComments(t *testing.T) {
	const text = "# top\na: 1 # beside é\n\n  # above\nb: '# no' # yes\n# end\n"
	want := "[{2 false  top} {2 true  beside é} {5 false  above} {5 true  yes} {0 false  end}]"
	encode := func(big bool) []byte {
		var out []byte
		for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
			if big {
				out = append(out, byte(u>>8), byte(u))
			} else {
				out = append(out, byte(u), byte(u>>8))
			}
		}
		return out
	}
	ended := func(by string) []byte {
		var out []byte
		for _, c := range []byte(text) {
			if c == '\n' {
				out = append(out, by...)
			} else {
				out = append(out, c)
			}
		}
		return out
	}
	for name, b := range map[string][]byte{
		"as it is": []byte(text), "with a mark": []byte("\ufeff" + text), "UTF-16LE": encode(false), "UTF-16BE": encode(true),
		"CRLF": ended("\r\n"), "CR": ended("\r"), "NEL": ended("\u0085"), "LS": ended("\u2028"), "PS": ended("\u2029"),
	} {
		top, errs := Parse("x", 0, b)
		if len(errs) > 0 {
			t.Errorf("%s: %v", name, errs)
			continue
		}
		var lines []int
		for k := range top.Pairs() {
			lines = append(lines, k.Line())
		}
		if !slices.Equal(lines, []int{2, 5}) {
			t.Errorf("%s: the keys stand in %v", name, lines)
		}
		if got := fmt.Sprint(Comments(b)); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
