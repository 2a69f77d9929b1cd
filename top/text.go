package top

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// style is how a text looks where colours are seen.
type style string

const (
	plain style = ""
	bold  style = "1"
	dim   style = "2"
	red   style = "31"
	cyan  style = "36"
)

func (v *View) paint(s string, as style) string {
	if !v.Color || as == plain || s == "" {
		return s
	}
	return "\x1b[" + string(as) + "m" + s + "\x1b[0m"
}

// printable writes what a terminal would act on, or not show, as an escape: names
// come from whoever asks.
func printable(s string) string {
	plain := true
	for _, r := range s {
		plain = plain && r != utf8.RuneError && unicode.IsPrint(r)
	}
	if plain {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
		s = s[n:]
	}
	return b.String()
}

// wide are the characters that take two columns (Unicode Standard Annex 11, the
// blocks of which all or nearly all do).
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{{0x1100, 0x115f, 1}, {0x2e80, 0xa4cf, 1}, {0xac00, 0xd7a3, 1}, {0xf900, 0xfaff, 1}, {0xfe30, 0xfe6f, 1}, {0xff00, 0xff60, 1}, {0xffe0, 0xffe6, 1}},
	R32: []unicode.Range32{{0x1f300, 0x1f64f, 1}, {0x1f900, 0x1f9ff, 1}, {0x20000, 0x3fffd, 1}},
}

// columns is how many columns a character takes.
func columns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

func width(s string) int {
	n := 0
	for _, r := range s {
		n += columns(r)
	}
	return n
}

// cut is s in at most so many columns; what is cut off leaves an ellipsis.
func cut(s string, most int) string {
	if width(s) <= most {
		return s
	}
	if most < 1 {
		return ""
	}
	n := 0
	for i, r := range s {
		if n += columns(r); n > most-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// left is s in exactly so many columns, followed by spaces; right likewise,
// behind spaces.
func left(s string, in int) string {
	s = cut(s, in)
	return s + strings.Repeat(" ", max(in-width(s), 0))
}

func right(s string, in int) string {
	s = cut(s, in)
	return strings.Repeat(" ", max(in-width(s), 0)) + s
}

// number is a rate or a total in at most 7 columns.
func number(n float64) string {
	switch {
	case n > 0 && n < 0.05:
		return "<0.1"
	case n < 9.95 && n != math.Trunc(n):
		return strconv.FormatFloat(n, 'f', 1, 64)
	case n < 999_999.5:
		s := strconv.FormatFloat(n, 'f', 0, 64)
		if len(s) > 3 {
			s = s[:len(s)-3] + "," + s[len(s)-3:]
		}
		return s
	}
	return scaled(n, 1000, "", "k", "M", "G", "T", "P", "E")
}

// octets is a number of octets.
func octets(n float64) string { return scaled(n, 1000, " B", " kB", " MB", " GB", " TB", " PB", " EB") }

// scaled is a number in three digits and the unit that leaves so few.
func scaled(n, step float64, units ...string) string {
	i := 0
	for n >= step-0.5 && i < len(units)-1 {
		n /= step
		i++
	}
	digits := 0
	switch {
	case i > 0 && n < 9.995:
		digits = 2
	case i > 0 && n < 99.95:
		digits = 1
	}
	return strconv.FormatFloat(n, 'f', digits, 64) + units[i]
}

// milliseconds is a latency.
func milliseconds(ms float64) string {
	switch {
	case ms == 0:
		return "-"
	case ms < 0.00995:
		return strconv.FormatFloat(ms*1000, 'f', 1, 64) + " µs"
	case ms < 0.9995:
		return strconv.FormatFloat(ms*1000, 'f', 0, 64) + " µs"
	case ms < 9.995:
		return strconv.FormatFloat(ms, 'f', 2, 64) + " ms"
	case ms < 999.5:
		return strconv.FormatFloat(ms, 'f', 0, 64) + " ms"
	}
	return time.Duration(ms * float64(time.Millisecond)).Round(100 * time.Millisecond).String()
}

// share is a part of all, in percent.
func share(part, all float64) string {
	if part <= 0 || all <= 0 {
		return ""
	}
	p := 100 * part / all
	if p < 9.95 {
		return strconv.FormatFloat(p, 'f', 1, 64) + "%"
	}
	return strconv.FormatFloat(min(p, 100), 'f', 0, 64) + "%"
}
