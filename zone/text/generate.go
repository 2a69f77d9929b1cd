package text

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// generate makes records by BIND's $GENERATE: a range, then a record as a
// template with $ for the number at hand. The owner that it makes is not that
// of the next record. The first step with an error ends it: the others would
// most likely say the same.
func (r *reader) generate(f *file, args []token) error {
	if len(args) < 4 {
		return errors.New("takes a range, an owner, a type and data")
	}
	g, err := parseRange(args[0].text)
	if err != nil {
		return err
	}
	steps := (g.stop-g.start)/g.step + 1
	if steps > maxSteps {
		return fmt.Errorf("%d steps are more than %d", steps, maxSteps)
	}
	if r.steps -= int(steps); r.steps < 0 {
		return fmt.Errorf("more than %d steps in all", maxTotal)
	}
	template := args[1:]
	tokens := make([]token, len(template))
	var owner []byte
	for n := g.start; n <= g.stop; n += g.step {
		if err := expandAll(tokens, template, n); err != nil {
			return err // of the template, whatever the number
		}
		if owner, err = r.step(f, tokens, owner[:0]); err != nil {
			return fmt.Errorf("at %d: %w", n, err)
		}
	}
	return nil
}

// step makes the record of one step.
func (r *reader) step(f *file, tokens []token, buf []byte) (owner []byte, err error) {
	owner, err = f.wire(buf, tokens[0])
	if err != nil {
		return buf, fmt.Errorf("owner: %w", err)
	}
	h, err := parseHeader(tokens[1:])
	if err != nil {
		return owner, err
	}
	if len(h.data) == 1 && h.data[0].quoted && forms[h.typ].text == nothing {
		// BIND takes one word for the data, and quotes where it has blanks.
		s := newScanner(h.data[0].text)
		e := s.next()
		switch {
		case e == nil:
			h.data = nil
		case e.err != nil:
			return owner, e.err.err
		default:
			h.data = e.tokens
		}
	}
	lowerWire(owner)
	return owner, r.finish(f, dnswire.Name(owner), h, f.blind)
}

// span is the range of a $GENERATE.
type span struct{ start, stop, step int64 }

// parseRange reads start-stop or start-stop/step.
func parseRange(s string) (g span, err error) {
	bounds, step, stepped := strings.Cut(s, "/")
	first, last, ok := strings.Cut(bounds, "-")
	g.step = 1
	number := func(what, s string) (n int64) {
		v, e := strconv.ParseUint(s, 10, 31)
		if e != nil && err == nil {
			err = fmt.Errorf("%s %s is not a number from 0 to 2147483647", what, cite(s))
		}
		return int64(v)
	}
	if !ok {
		return g, fmt.Errorf("%s is not a range such as 1-10 or 0-100/10", cite(s))
	}
	g.start, g.stop = number("start", first), number("stop", last)
	if stepped {
		g.step = number("step", step)
	}
	switch {
	case err != nil:
		return g, err
	case g.step == 0:
		return g, errors.New("a step of 0")
	case g.stop < g.start:
		return g, fmt.Errorf("range %s ends before it begins", brief(s))
	}
	return g, nil
}

// expandAll puts n into the tokens of a template.
func expandAll(dst, template []token, n int64) error {
	size := 0
	for i, t := range template {
		text, err := expand(t.text, n)
		if err != nil {
			return err
		}
		dst[i] = t
		dst[i].text = text
		if size += len(text) + 1; size > maxStepLen {
			return fmt.Errorf("the text of a step is longer than %d bytes", maxStepLen)
		}
	}
	return nil
}

// expand puts n where s has $ or ${offset,width,base}. \$ and $$ are a $.
func expand(s string, n int64) (string, error) {
	if strings.IndexByte(s, '$') < 0 {
		return s, nil
	}
	b := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s); {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			if s[i+1] != '$' {
				b = append(b, '\\')
			}
			b = append(b, s[i+1])
			i += 2
		case s[i] != '$':
			b = append(b, s[i])
			i++
		case strings.HasPrefix(s[i:], "$$"):
			b = append(b, '$')
			i += 2
		case strings.HasPrefix(s[i:], "${"):
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return "", fmt.Errorf("%s has no }", cite(s[i:]))
			}
			var err error
			if b, err = modified(b, s[i+2:i+end], n); err != nil {
				return "", err
			}
			i += end + 1
		default:
			b = strconv.AppendInt(b, n, 10)
			i++
		}
	}
	return string(b), nil
}

// modified appends n as the modifier offset[,width[,base]] says.
func modified(b []byte, modifier string, n int64) ([]byte, error) {
	bad := func() ([]byte, error) {
		return b, fmt.Errorf("${%s}: not an offset, a width up to 255 and a base of d, o, x, X, n or N", brief(modifier))
	}
	parts := strings.Split(modifier, ",")
	if len(parts) > 3 {
		return bad()
	}
	offset, err := strconv.ParseInt(parts[0], 10, 32)
	if err != nil {
		return bad()
	}
	width := uint64(0)
	if len(parts) > 1 {
		if width, err = strconv.ParseUint(parts[1], 10, 8); err != nil {
			return bad()
		}
	}
	base := "d"
	if len(parts) > 2 {
		base = parts[2]
	}
	if n += offset; n < 0 {
		return b, fmt.Errorf("${%s}: below 0 at %d", brief(modifier), n-offset)
	}
	switch base {
	case "d", "o", "x", "X":
		return fmt.Appendf(b, "%0"+strconv.FormatUint(width, 10)+base, n), nil
	case "n":
		return nibbles(b, n, int(width), "0123456789abcdef"), nil
	case "N":
		return nibbles(b, n, int(width), "0123456789ABCDEF"), nil
	}
	return bad()
}

// nibbles appends the hexadecimal digits of n from the last, with dots between
// them, for names below ip6.arpa. The width counts the dots.
func nibbles(b []byte, n int64, width int, digits string) []byte {
	for {
		b = append(b, digits[n&15])
		n >>= 4
		width--
		if n == 0 && width <= 0 {
			return b
		}
		b = append(b, '.')
		width--
		if n == 0 && width <= 0 {
			return b
		}
	}
}
