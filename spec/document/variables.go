package document

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Text is the text of a scalar with its variables expanded: ${NAME} and
// ${NAME:-default} become what env says, $${ a literal ${.
func (n Node) Text(env func(name string) (value string, set bool)) (string, error) {
	s := string(n.Raw())
	if !strings.Contains(s, "${") {
		return s, nil
	}
	return expand(s, env)
}

// Variable is whether a scalar holds a variable, or what looks like one.
func (n Node) Variable() bool { return bytes.Contains(n.Raw(), []byte("${")) }

// FromEnvironment is whether a scalar takes its value wholly from the
// environment, so that the file holds nothing of it.
func (n Node) FromEnvironment() bool {
	raw := n.Raw()
	size := refLen(raw)
	return size > 0 && size == len(raw) && !(bytes.Contains(raw, []byte(":-")) && !bytes.HasSuffix(raw, []byte(":-}")))
}

// refLen is the length of the variable reference ${NAME} or ${NAME:-default}
// that starts at b[0], or 0 when none does. A default holds no quote,
// backslash, brace or line break, so that a reference means the same in plain
// and in quoted text.
func refLen(b []byte) int {
	if len(b) < 4 || b[0] != '$' || b[1] != '{' {
		return 0
	}
	i := 2
	for i < len(b) && nameByte(b[i], i > 2) {
		i++
	}
	if i == 2 || i == len(b) {
		return 0
	}
	if b[i] == '}' {
		return i + 1
	}
	if i+1 >= len(b) || b[i] != ':' || b[i+1] != '-' {
		return 0
	}
	for i += 2; i < len(b); i++ {
		switch c := b[i]; {
		case c == '}':
			return i + 1
		case c < ' ', c >= 0x7f, c == '"', c == '\'', c == '\\', c == '{':
			return 0
		}
	}
	return 0
}

func nameByte(c byte, inside bool) bool {
	return c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || inside && c >= '0' && c <= '9'
}

// expand replaces ${NAME} and ${NAME:-default} in s; $${ stands for a literal
// ${. Values are not expanded again. The default is used when the variable is
// unset or empty, as in a shell.
func expand(s string, env func(string) (string, bool)) (string, error) {
	var out strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			out.WriteString(s)
			return out.String(), nil
		}
		if i > 0 && s[i-1] == '$' {
			out.WriteString(s[:i-1])
			out.WriteString("${")
			s = s[i+2:]
			continue
		}
		out.WriteString(s[:i])
		s = s[i:]
		n := refLen([]byte(s))
		if n == 0 {
			return "", fmt.Errorf("malformed variable: write ${NAME} or ${NAME:-default}, or $${ for a literal ${")
		}
		name, def, hasDef := strings.Cut(s[2:n-1], ":-")
		s = s[n:]
		v, set := env(name)
		switch {
		case hasDef && v == "":
			v = def
		case !set:
			return "", fmt.Errorf("the environment variable %s is not set; set it or write ${%s:-default}", name, name)
		}
		out.WriteString(v)
	}
}

// YAML ends plain text at a brace within a flow collection, so {secret: ${X}}
// would not be read. shield lifts every character of a variable reference into
// a range of private-use characters before the library sees the text, one for
// one so that columns stay, and unshield brings them back.
const (
	shieldFirst = 0xe000
	shieldLast  = 0xe07f
)

func shield(src []byte) []byte {
	if !bytes.Contains(src, []byte("${")) || hasShield(src) {
		return src
	}
	out := make([]byte, 0, len(src)+64)
	for i := 0; i < len(src); {
		n := 0
		if src[i] == '$' {
			n = refLen(src[i:])
		}
		if n == 0 {
			out = append(out, src[i])
			i++
			continue
		}
		for _, c := range src[i : i+n] {
			out = utf8.AppendRune(out, shieldFirst+rune(c))
		}
		i += n
	}
	return out
}

func unshield(s string) string {
	if !hasShield([]byte(s)) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r >= shieldFirst && r <= shieldLast {
			return r - shieldFirst
		}
		return r
	}, s)
}

// hasShield is whether b has a character of the private range: U+E000 to
// U+E07F are EE 80 xx and EE 81 80 to EE 81 BF.
func hasShield(b []byte) bool {
	return bytes.Contains(b, []byte{0xee, 0x80}) || bytes.Contains(b, []byte{0xee, 0x81})
}
