package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rhumb-dns/rhumb/simulate"
)

// shownMoves is how many roads, countries and networks a simulation shows.
const shownMoves = 10

func (c *cli) printSimulation(r *simulate.Result, f *simulateFlags, notes []string) {
	c.printAsked(r, f, notes)
	c.printShares(r, f)
	c.printMoves(r)
	if len(r.Conditions) > 0 && r.Compared {
		fmt.Fprintln(c.out.w)
	}
	for _, x := range r.Conditions {
		as, word := green, "does not hold"
		if x.Holds {
			as, word = red, "holds"
		}
		c.out.line(cell{"fail if " + x.Text + ": ", plain}, cell{word, as})
	}
}

// printAsked says what was asked, by whom, and what was supposed.
func (c *cli) printAsked(r *simulate.Result, f *simulateFlags, notes []string) {
	services := count(r.Services, "service")
	if len(f.services) == 1 {
		services = f.services[0]
	}
	what := fmt.Sprintf("%s queries for %s of %s", grouped(float64(r.Queries)), strings.Join(r.Types, " and "), services)
	m := r.Mix
	switch m.Kind {
	case "population":
		what += fmt.Sprintf(" from %s networks of %s: %s million internet users", grouped(float64(m.Clients)), countries(m.Countries), grouped(m.Weight))
	case "anywhere":
		what += fmt.Sprintf(" from %s networks anywhere", grouped(float64(m.Clients)))
	case "prefixes":
		what += fmt.Sprintf(" from the networks of %s", m.From)
	default:
		what += fmt.Sprintf(" as %s asked them in %s", counted(m.Clients, "client"), m.From)
	}
	c.out.line(cell{what, bold})
	for _, s := range r.Suppositions {
		c.out.line(cell{"supposed: " + s, yellow})
	}
	if f.compare != "" {
		c.out.line(cell{"before: " + f.file + "; after: " + f.compare, plain})
	}
	for _, n := range notes {
		c.out.line(cell{n, dim})
	}
	l := m.Left
	for _, s := range []struct {
		n   float64
		why string
	}{
		{l.NotOurs, "for names that are not ours"},
		{l.NoService, "for names that are no services"},
		{l.NotWanted, "for other types and services"},
		{l.NoQuery, "frames that hold no query"},
		{l.Answers, "answers"},
		{l.Parts, "segments of TCP with a part of a query"},
	} {
		if s.n > 0 {
			c.out.line(cell{"left out: " + grouped(s.n) + " " + s.why, dim})
		}
	}
	if l.Incomplete {
		c.out.line(cell{"the file ends within a frame", dim})
	}
}

func countries(n int) string {
	if n == 1 {
		return "1 country"
	}
	return fmt.Sprintf("%d countries", n)
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return grouped(float64(n)) + " " + noun + "s"
}

// printShares prints the shares of pools and endpoints.
func (c *cli) printShares(r *simulate.Result, f *simulateFlags) {
	rows := [][]cell{titles("POOL", "ENDPOINT", "SHARE", "", "", "LOAD", "LIMIT", "")}
	if r.Compared {
		rows[0] = titles("POOL", "ENDPOINT", "BEFORE", "AFTER", "CHANGE", "LOAD", "LIMIT", "")
	}
	share := func(s simulate.Change, as style) []cell {
		if !r.Compared {
			return []cell{{inPercent(s.Before), as}, {}, {}}
		}
		by := cell{points(s.After - s.Before), plain}
		if by.text != "" {
			by.style = yellow
		}
		return []cell{{inPercent(s.Before), as}, {inPercent(s.After), as}, by}
	}
	for i := range r.Pools {
		p := &r.Pools[i]
		row := append([]cell{{p.Name, bold}, {}}, share(p.Share, bold)...)
		if r.Load != nil {
			row = append(row, cell{grouped(p.Share.After * r.Load.Amount), bold})
		}
		rows = append(rows, row)
		for _, e := range p.Endpoints {
			row := append([]cell{{}, {e.Name, plain}}, share(e.Share, plain)...)
			load, limit := cell{}, cell{}
			mark := cell{e.State, styleOf(e.State)}
			if e.State == "up" {
				mark = cell{}
			}
			if r.Load != nil {
				load.text = grouped(e.Load.After)
			}
			if e.HardLimit > 0 {
				limit.text = grouped(e.HardLimit)
				if e.SoftLimit != e.HardLimit {
					limit.text = grouped(e.SoftLimit) + " / " + limit.text
				}
			} else if e.SoftLimit > 0 {
				limit.text = grouped(e.SoftLimit)
			}
			if e.Over != "" {
				load.style = red
				mark = cell{strings.TrimSpace(mark.text + " over its " + e.Over + " limit"), red}
			}
			rows = append(rows, append(row, load, limit, mark))
		}
	}
	for _, n := range r.Reasons {
		rows = append(rows, append([]cell{{"(" + n.Text + ")", red}, {}}, share(n.Share, red)...))
	}
	alignRight(rows, 2, 3, 4, 5, 6)
	fmt.Fprintln(c.out.w)
	c.out.table("", true, rows)
	if r.Compared || r.Load != nil || r.Distance != nil || r.ToDown.Before > 0 || len(r.Conditions) > 0 {
		fmt.Fprintln(c.out.w)
	}
	if r.Load != nil {
		unit := r.Load.Unit
		if unit != "" && unit[0] != '/' {
			unit = " " + unit
		}
		c.out.line(cell{"load: parts of " + grouped(r.Load.Amount) + unit, dim})
	}
	if d := r.Distance; d != nil {
		text := fmt.Sprintf("mean distance from client to pool: %s km", grouped(d.Before))
		if r.Compared {
			text += fmt.Sprintf(" before, %s km after", grouped(d.After))
		}
		if known := math.Min(r.Measured.Before, r.Measured.After); known < 0.995 {
			text += fmt.Sprintf(" (of %s of the answers: of the others a place is not known)", inPercent(known))
		}
		c.out.line(cell{text, plain})
	}
	if s := r.ToDown; s.Before > 0 || s.After > 0 {
		text := inPercent(s.After) + " of the answers lead to endpoints that are down or drained"
		if r.Compared && s.Before > 0 {
			text += ", " + inPercent(s.Before) + " before"
		}
		c.out.line(cell{text, red})
	}
}

// printMoves says who moves, and where.
func (c *cli) printMoves(r *simulate.Result) {
	if !r.Compared {
		return
	}
	if r.Moved < 1e-9 {
		c.out.line(cell{"no client moves", green})
		return
	}
	head := inPercent(r.Moved) + " of the clients move"
	if r.Mix.Unit == "million users" {
		head += fmt.Sprintf(", %s million users", grouped(r.Moved*r.Mix.Weight))
	}
	c.out.line(cell{head + ":", bold})
	var rows [][]cell
	for i, m := range r.Moves {
		if i == shownMoves {
			rows = append(rows, []cell{{"", plain}, {fmt.Sprintf("and %d more", len(r.Moves)-i), dim}})
			break
		}
		way := titled(m.From) + " -> " + titled(m.To)
		if m.From == m.To {
			way = "within " + titled(m.From)
		}
		far := ""
		if m.Distance != nil {
			far = fmt.Sprintf("mean distance %s km -> %s km", grouped(m.Distance.Before), grouped(m.Distance.After))
		}
		rows = append(rows, []cell{{inPercent(m.Share), plain}, {way, plain}, {far, dim}})
	}
	alignRight(rows, 0)
	c.out.table("  ", false, rows)
	c.printMovers(r)
}

func titled(pool string) string {
	if pool == "" {
		return "(no answer)"
	}
	return pool
}

// printMovers says which countries and networks have most that moves.
func (c *cli) printMovers(r *simulate.Result) {
	rows := [][]cell{titles("COUNTRY", "CLIENTS", "MOVE", "KM BEFORE", "KM AFTER")}
	more := 0
	for _, m := range r.Countries {
		if m.Moved < 1e-9 {
			break
		}
		if len(rows) > shownMoves {
			more++
			continue
		}
		code := m.Code
		if code == "" {
			code = "(unknown)"
		}
		before, after := "", ""
		if m.Distance != nil {
			before, after = grouped(m.Distance.Before), grouped(m.Distance.After)
		}
		rows = append(rows, []cell{{code, plain}, {inPercent(m.Share), plain}, {inPercent(m.Moved / m.Share), plain}, {before, plain}, {after, plain}})
	}
	c.movers(rows, more, "countries")

	rows, more = [][]cell{titles("NETWORK", "COUNTRY", "CLIENTS", "MOVE")}, 0
	for _, m := range r.Networks {
		if m.Moved < 1e-9 {
			break
		}
		if len(rows) > shownMoves {
			more++
			continue
		}
		rows = append(rows, []cell{{m.Prefix, plain}, {m.Country, plain}, {inPercent(m.Share), plain}, {inPercent(m.Moved / m.Share), plain}})
	}
	c.movers(rows, more, "networks")
}

func (c *cli) movers(rows [][]cell, more int, noun string) {
	if len(rows) == 1 {
		return
	}
	if rows[0][0].text == "COUNTRY" {
		alignRight(rows, 1, 2, 3, 4)
	} else {
		alignRight(rows, 2, 3)
	}
	fmt.Fprintln(c.out.w)
	c.out.table("", true, rows)
	if more > 0 {
		c.out.line(cell{fmt.Sprintf("and %d more %s", more, noun), dim})
	}
}

// inPercent is a share for people.
func inPercent(share float64) string {
	switch {
	case share > 0 && share < 0.0005:
		return "<0.1%"
	case share < 1 && share > 0.9995:
		return ">99.9%"
	}
	return strconv.FormatFloat(100*share, 'f', 1, 64) + "%"
}

// points is a difference of shares, with its sign; empty when it is too small to
// be seen.
func points(d float64) string {
	if math.Abs(d) < 0.0005 {
		return ""
	}
	return fmt.Sprintf("%+.1f", 100*d)
}

// grouped is a whole number with its thousands apart.
func grouped(v float64) string {
	s := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for at := len(s) - 3; at > 0 && s[at-1] != '-'; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

// alignRight pads the cells of columns, so that their ends are below each other.
func alignRight(rows [][]cell, columns ...int) {
	for _, i := range columns {
		width := 0
		for _, row := range rows {
			if i < len(row) {
				width = max(width, utf8.RuneCountInString(row[i].text))
			}
		}
		for _, row := range rows {
			if i < len(row) && row[i].text != "" {
				row[i].text = strings.Repeat(" ", width-utf8.RuneCountInString(row[i].text)) + row[i].text
			}
		}
	}
}
