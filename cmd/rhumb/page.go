package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// style is how a text looks where colours are seen.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

// styleOf is the style of an endpoint's state.
func styleOf(state string) style {
	switch state {
	case "up":
		return green
	case "down":
		return red
	}
	return yellow
}

// cell is one text of a table.
type cell struct {
	text  string
	style style
}

// page is where tables and lines are written.
type page struct {
	w     io.Writer
	color bool
}

func (p page) paint(s string, as style) string {
	if !p.color || as == plain || s == "" {
		return s
	}
	return "\x1b[" + string(as) + "m" + s + "\x1b[0m"
}

// line writes one line of styled texts.
func (p page) line(cells ...cell) {
	var b strings.Builder
	for _, c := range cells {
		b.WriteString(p.paint(clean(c.text), c.style))
	}
	fmt.Fprintln(p.w, b.String())
}

// table writes rows in columns, the first row being their titles when head is
// set. A column in which no row has anything is left out. text/tabwriter would
// count the escapes of colours as width.
func (p page) table(indent string, head bool, rows [][]cell) {
	var width []int
	var used []bool
	for r, row := range rows {
		for i, c := range row {
			if i == len(width) {
				width, used = append(width, 0), append(used, false)
			}
			width[i] = max(width[i], utf8.RuneCountInString(clean(c.text)))
			used[i] = used[i] || c.text != "" && (r > 0 || !head)
		}
	}
	for r, row := range rows {
		var b strings.Builder
		b.WriteString(indent)
		gap := 0 // spaces owed before the next text, so that no line ends in them
		for i, c := range row {
			if !used[i] {
				continue
			}
			text, as := clean(c.text), c.style
			if head && r == 0 {
				as = dim
			}
			if text != "" {
				b.WriteString(strings.Repeat(" ", gap))
				gap = 0
			}
			b.WriteString(p.paint(text, as))
			gap += width[i] - utf8.RuneCountInString(text) + 2
		}
		fmt.Fprintln(p.w, strings.TrimRight(b.String(), " "))
	}
}

// titles is the first row of a table.
func titles(names ...string) []cell {
	row := make([]cell, len(names))
	for i, n := range names {
		row[i].text = n
	}
	return row
}

// clean replaces what would do something to a terminal: texts come from
// endpoints and from other people.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp):
			return unicode.ReplacementChar // also what would turn the rest of the line around
		}
		return r
	}, s)
}

// ago is how long something has been so, in one unit.
func ago(now, then time.Time) string {
	switch {
	case then.IsZero():
		return ""
	case now.Sub(then) < time.Second:
		return "now" // or ahead of us: the node's clock is its own
	}
	return brief(now.Sub(then)) + " ago"
}

func brief(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
