package mouth

import (
	"log/slog"
	"strings"
	"testing"
)

// TestField writes values as they are when nobody can take them for something else.
func TestField(t *testing.T) {
	for value, want := range map[string]string{
		"h1":             " version=h1",
		"größer":         " version=größer",
		"":               ` version=""`,
		"two words":      ` version="two words"`,
		"a=b":            ` version="a=b"`,
		"\x1b[2J":        ` version="\x1b[2J"`,
		"\u202e\u0085":   ` version="\u202e\u0085"`,
		"\xff":           ` version="\xff"`,
		"a\nsecond line": ` version="a\nsecond line"`,
	} {
		var b strings.Builder
		if field(&b, "", slog.String("version", value)); b.String() != want {
			t.Errorf("%q: %s, want %s", value, b.String(), want)
		}
	}
}
