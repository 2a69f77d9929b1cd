package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

// Order is what entries are sorted by.
type Order int

// The orders.
const (
	ByRate Order = iota
	ByTotal
	ByName
	orders
)

func (o Order) String() string { return [...]string{"rate", "total", "name"}[o] }

// View is what is shown, and how.
type View struct {
	Width  int // columns
	Height int // lines; 0: as many as there are
	Color  bool

	Section int // 0: all of them; else the number of one, from 1
	Order   Order
	Paused  bool
	Live    bool // more readings come, and keys are taken
	Trouble string
}

// section is one list.
type section struct {
	title   string
	entries func(*api.Top) []api.TopEntry
	alarm   bool // any rate is bad news
	part    bool // the entries are parts of all queries
}

var sections = []section{
	{"zones", func(t *api.Top) []api.TopEntry { return t.Zones }, false, true},
	{"services", func(t *api.Top) []api.TopEntry { return t.Services }, false, true},
	{"types", func(t *api.Top) []api.TopEntry { return t.Types }, false, true},
	{"rcodes", func(t *api.Top) []api.TopEntry { return t.RCodes }, false, true},
	{"endpoints", func(t *api.Top) []api.TopEntry { return t.Endpoints }, false, true},
	{"client networks", func(t *api.Top) []api.TopEntry { return t.Networks }, false, true},
	{"names", func(t *api.Top) []api.TopEntry { return t.Names }, false, true},
	{"drops and limits", refusals, true, false},
	{"rate limited", limited, true, false},
}

// limited are the client networks with answers beyond a rate limit, and what
// they asked for.
func limited(t *api.Top) []api.TopEntry { return slices.Concat(t.LimitedNetworks, t.LimitedNames) }

// refusals are the drops, and the limits behind them.
func refusals(t *api.Top) []api.TopEntry {
	var all []api.TopEntry
	for _, e := range t.Dropped {
		e.Name = "drop " + e.Name
		all = append(all, e)
	}
	for _, e := range t.Limits {
		e.Name = "limit " + e.Name
		all = append(all, e)
	}
	return all
}

// Sections is how many lists there are.
func Sections() int { return len(sections) }

const (
	boxWidth = 37 // the least for a list beside others
	boxGap   = 3
	rateCols = 8
	partCols = 6
)

// Frame is the lines of a reading, none of them wider than the view, and not
// more than it has.
func (v *View) Frame(t *api.Top) []string {
	var lines []string
	if t == nil {
		t = &api.Top{}
		lines = []string{v.fit(cells{{"waiting for the first reading", plain}})}
	} else {
		lines = v.head(t)
	}
	if v.Trouble != "" {
		lines = append(lines, v.fit(cells{{printable(v.Trouble), red}}))
	}
	foot := v.foot()
	room := -1 // no limit
	if v.Height > 0 {
		room = max(v.Height-len(lines)-1-len(foot), 0)
	}
	lines = append(lines, "")
	if v.Section > 0 {
		lines = append(lines, v.one(t, &sections[v.Section-1], room)...)
	} else {
		lines = append(lines, v.all(t, room)...)
	}
	if v.Height > 0 {
		for len(lines) < v.Height-len(foot) {
			lines = append(lines, "")
		}
		lines = lines[:max(min(len(lines), v.Height-len(foot)), 0)]
	}
	return append(lines, foot...)
}

// cells are texts of one line.
type cells []struct {
	text  string
	style style
}

// fit is cells in one line, cut to the width.
func (v *View) fit(line cells) string { return v.within(line, v.Width) }

// within is cells in at most so many columns.
func (v *View) within(line cells, room int) string {
	var b strings.Builder
	for _, c := range line {
		text := cut(c.text, room)
		room -= width(text)
		b.WriteString(v.paint(text, c.style))
		if text != c.text {
			break
		}
	}
	return b.String()
}

func (v *View) head(t *api.Top) []string {
	when := t.GeneratedAt.Format(time.TimeOnly)
	switch {
	case v.Paused:
		when += "  paused"
	case t.WindowSeconds > 0:
		when += "  over " + time.Duration(t.WindowSeconds*float64(time.Second)).Round(100*time.Millisecond).String()
	}
	name := cut(printable(t.Node), max(v.Width-width(when)-2, 8))
	space := strings.Repeat(" ", max(v.Width-width(name)-width(when), 2))
	if !v.Live {
		space = "  "
	}
	queries := number(t.Queries.Rate) + " q/s"
	bytes := octets(t.ResponseBytes.Rate) + "/s"
	if t.WindowSeconds == 0 {
		queries, bytes = number(float64(t.Queries.Total))+" queries", octets(float64(t.ResponseBytes.Total))
	}
	l := t.Latency
	lines := []string{
		v.fit(cells{{name, bold}, {space, plain}, {when, dim}}),
		v.fit(cells{
			{queries, bold},
			{"  out " + bytes, plain},
			{"   latency", dim},
			{" p50 " + milliseconds(l.P50MS) + "  p90 " + milliseconds(l.P90MS) + "  p99 " + milliseconds(l.P99MS), plain},
		}),
	}
	var by cells
	for _, e := range t.Transports {
		by = append(by, struct {
			text  string
			style style
		}{printable(e.Name) + " " + number(measured(t, &e)) + "  ", plain})
	}
	var drops, limits float64
	for _, e := range t.Dropped {
		drops += measured(t, &e)
	}
	for _, e := range t.Limits {
		limits += measured(t, &e)
	}
	alarm := func(n float64) style {
		if n > 0 {
			return red
		}
		return dim
	}
	by = append(by, cells{
		{fmt.Sprintf("tcp open %d   ", t.TCPConnections), plain},
		{"dropped " + number(drops) + "  ", alarm(drops)},
		{"limited " + number(limits), alarm(limits)},
	}...)
	return append(lines, v.fit(by))
}

// measured is the rate of an entry, or its total when none was measured.
func measured(t *api.Top, e *api.TopEntry) float64 {
	if t.WindowSeconds == 0 {
		return float64(e.Total)
	}
	return e.Rate
}

// value is the figure that an entry is shown with, for which it is sorted.
func (v *View) value(t *api.Top, e *api.TopEntry) float64 {
	if v.Order == ByTotal {
		return float64(e.Total)
	}
	return measured(t, e)
}

func (v *View) figure(t *api.Top, e *api.TopEntry) string { return number(v.value(t, e)) }

// whole is what the figures are parts of.
func (v *View) whole(t *api.Top) float64 {
	return v.value(t, &api.TopEntry{Total: t.Queries.Total, Rate: t.Queries.Rate})
}

func (v *View) unit(t *api.Top) string {
	if t.WindowSeconds == 0 || v.Order == ByTotal {
		return "total"
	}
	return "per s"
}

// sorted is the entries in the order of the view, as they can be printed.
func (v *View) sorted(t *api.Top, s *section) []api.TopEntry {
	all := slices.Clone(s.entries(t))
	for i := range all {
		all[i].Name = printable(all[i].Name)
	}
	slices.SortStableFunc(all, func(x, y api.TopEntry) int {
		byName := cmp.Compare(x.Name, y.Name)
		switch v.Order {
		case ByTotal:
			return cmp.Or(cmp.Compare(y.Total, x.Total), byName)
		case ByName:
			return byName
		}
		return cmp.Or(cmp.Compare(y.Rate, x.Rate), cmp.Compare(y.Total, x.Total), byName)
	})
	return all
}

// all is every list, side by side where there is room; room is how many lines,
// -1 for any number.
func (v *View) all(t *api.Top, room int) []string {
	across := 1
	if v.Live {
		across = min(max((v.Width+boxGap)/(boxWidth+boxGap), 1), len(sections)/2)
	}
	wide := (v.Width - (across-1)*boxGap) / across
	if across == 1 {
		wide = min(v.Width, 2*boxWidth)
	}
	lists := make([][]api.TopEntry, len(sections))
	var need []int // lines of each row of lists, without its title
	for i := range sections {
		lists[i] = v.sorted(t, &sections[i])
		if i%across == 0 {
			need = append(need, 0)
		}
		need[i/across] = max(need[i/across], len(lists[i]), 1)
	}
	var out []string
	for row, n := range dealt(need, room) {
		if row > 0 {
			out = append(out, "")
		}
		first := row * across
		for line := range n + 1 {
			var b strings.Builder
			for i := first; i < min(first+across, len(sections)); i++ {
				if i > first {
					b.WriteString(strings.Repeat(" ", boxGap))
				}
				b.WriteString(v.line(t, i, lists[i], line, wide))
			}
			out = append(out, strings.TrimRight(b.String(), " "))
		}
	}
	return out
}

// dealt is how many lines each row gets, where each has a title and all but the
// last an empty line: in turn one more, while it needs one and there is one.
// Rows that do not even get one are left out.
func dealt(need []int, room int) []int {
	if room < 0 {
		return need
	}
	rows := min(len(need), (room+1)/3)
	got := make([]int, rows)
	left := room - (2*rows - 1)
	for gave := true; gave && left > 0; {
		gave = false
		for i := range got {
			if got[i] < need[i] && left > 0 {
				got[i]++
				left--
				gave = true
			}
		}
	}
	return got
}

// line is a line of list number i in so many columns: its title, or an entry.
func (v *View) line(t *api.Top, i int, list []api.TopEntry, line, in int) string {
	s := &sections[i]
	name := max(in-rateCols-partCols, 1)
	if line == 0 {
		title := strings.ToUpper(s.title)
		if v.Live {
			title = fmt.Sprintf("%d %s", i+1, title)
		}
		return v.within(cells{{left(title, name) + right(v.unit(t), rateCols) + strings.Repeat(" ", partCols), bold}}, in)
	}
	if line > len(list) {
		if line == 1 {
			return v.paint(left("none", in), dim)
		}
		return strings.Repeat(" ", in)
	}
	e := &list[line-1]
	part := ""
	if s.part {
		part = share(v.value(t, e), v.whole(t))
	}
	return v.within(cells{
		{left(e.Name, name), plain},
		{right(v.figure(t, e), rateCols), v.look(t, s, e)},
		{right(part, partCols), dim},
	}, in)
}

// look is how a figure is painted.
func (v *View) look(t *api.Top, s *section, e *api.TopEntry) style {
	switch n := v.value(t, e); {
	case n == 0:
		return dim
	case s.alarm:
		return red
	}
	return cyan
}

// bars is how many columns a bar takes.
const bars = 20

// one is a single list, with rates, totals and a bar.
func (v *View) one(t *api.Top, s *section, room int) []string {
	list := v.sorted(t, s)
	if room >= 0 {
		list = list[:min(len(list), max(room-1, 0))]
	}
	bar := 0
	if v.Width >= boxWidth+2*rateCols+bars {
		bar = bars + 1
	}
	name := max(min(v.Width, 100)-2*rateCols-partCols-bar-2, 1)
	title := left(strings.ToUpper(s.title), name) + right("per s", rateCols) + right("total", rateCols+2)
	out := []string{v.fit(cells{{title, bold}})}
	most := 0.0
	for i := range list {
		most = max(most, v.value(t, &list[i]))
	}
	for i := range list {
		e := &list[i]
		part := ""
		if s.part {
			part = share(v.value(t, e), v.whole(t))
		}
		line := cells{
			{left(e.Name, name), plain},
			{right(number(e.Rate), rateCols), v.look(t, s, e)},
			{right(number(float64(e.Total)), rateCols+2), plain},
			{right(part, partCols), dim},
		}
		if bar > 0 && most > 0 {
			if full := int(v.value(t, e)/most*bars + 0.5); full > 0 {
				line = append(line, cells{{" " + strings.Repeat("█", full), v.look(t, s, e)}}...)
			}
		}
		out = append(out, v.fit(line))
	}
	if len(list) == 0 && room != 0 {
		out = append(out, v.fit(cells{{"none", dim}}))
	}
	return out
}

// foot is the line of keys.
func (v *View) foot() []string {
	if !v.Live || v.Height > 0 && v.Height < 6 {
		return nil
	}
	pause := "space pause"
	if v.Paused {
		pause = "space go on"
	}
	return []string{v.fit(cells{{
		fmt.Sprintf("q quit   0 all   1-%d one list   ←→ the next   s sort: %s   %s", len(sections), v.Order, pause), dim,
	}})}
}
