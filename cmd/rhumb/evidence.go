package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/api"
)

// stateOf is the state of an endpoint in the words and the colour that people see.
func stateOf(state string, degraded, suspect bool) cell {
	switch {
	case suspect:
		return cell{state + ", suspect", yellow}
	case degraded:
		state = "degraded"
	}
	return cell{state, styleOf(state)}
}

// mostChanges is how many changes are looked through for the last ones: the most
// that a node gives at once.
const mostChanges = 10_000

// printAllEvidence prints what the checks of endpoints have found out last, and the last
// change of each that the node remembers.
func (c *cli) printAllEvidence(all *api.Servers, q api.ServersQuery) error {
	if len(all.Servers) == 0 {
		return nil
	}
	h := api.HistoryQuery{Pool: q.Pool, Service: q.Service, Type: "up,degraded,down,unknown", Limit: mostChanges}
	if len(all.Servers) == 1 {
		h.Endpoint = all.Servers[0].Address
	}
	past, err := ask(c, func(ctx context.Context, n *api.Client) (*api.History, error) { return n.History(ctx, h) })
	if err != nil {
		return err
	}
	for i := range all.Servers {
		s := &all.Servers[i]
		fmt.Fprintln(c.out.w)
		c.printEvidence(s)
		for _, e := range slices.Backward(past.Events) {
			if isOf(&e, s) {
				c.out.line(cell{"  last change: ", plain}, cell{moment(e.At), dim}, cell{"  ", plain}, cell{e.Type, colorOfEvent(e.Type)}, cell{"  " + wordsOf(&e), plain})
				break
			}
		}
	}
	return nil
}

// isOf is whether an event is of an endpoint in its pool.
func isOf(e *api.Event, s *api.Server) bool {
	service := strings.TrimSuffix(s.Service, ".")
	return e.Endpoint == s.Address && slices.Contains(e.Pools, s.Pool) && (e.Host == "" || service == "" || e.Host == service)
}

// printEvidence prints what the checks of an endpoint have found out last.
func (c *cli) printEvidence(s *api.Server) {
	title := []cell{{s.Address, bold}, {" of pool " + s.Pool, plain}}
	if s.Service != "" {
		title = append(title, cell{" for " + s.Service, plain})
	}
	c.out.line(append(title, cell{": ", plain}, stateOf(s.State, s.Degraded, s.Suspect), cell{", " + s.Reason, dim})...)
	rows := [][]cell{titles("CHECK", "TYPE", "STATE", "AT", "RESULT", "TOOK", "WHY")}
	for _, k := range s.Checks {
		name := k.Name
		if k.Within != "" {
			name += ", of " + k.Within
		}
		row := []cell{{name, plain}, {k.Type, plain}, stateOf(k.State, k.Degraded != "", k.Suspect)}
		if len(k.Results) == 0 {
			rows = append(rows, append(row, cell{}, cell{}, cell{}, cell{k.Detail, dim}))
			continue
		}
		for _, r := range k.Results {
			took := ""
			if r.LatencyMS > 0 {
				took = strconv.FormatFloat(r.LatencyMS, 'f', 1, 64) + " ms"
			}
			word := cell{"ok", green}
			switch {
			case !r.OK:
				word = cell{r.Class, red}
			case r.Degraded:
				word = cell{"degraded", yellow}
			}
			rows = append(rows, append(row, cell{r.At.UTC().Format("2006-01-02 15:04:05.000"), plain}, word, cell{took, plain}, cell{strings.TrimSpace(r.Detail), dim}))
			row = []cell{{}, {}, {}}
		}
	}
	if len(s.Checks) > 0 {
		c.out.table("  ", true, rows)
	}
}
