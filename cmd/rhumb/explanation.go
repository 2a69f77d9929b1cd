package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/api"
)

// shownEndpoints is how many endpoints a step names.
const shownEndpoints = 12

// printExplanation prints the road to an answer in the order that it was gone.
// subnet is the client subnet that the query had, empty when it had none and there
// is no scope.
func (c *cli) printExplanation(e *api.Explanation, subnet string, offline bool) {
	by := " asked by " + e.Client
	if subnet != "" {
		by += " for " + subnet
	}
	c.out.line(cell{e.Name + " " + e.Type, bold}, cell{by, plain})
	if offline {
		c.out.line(cell{"offline: health is not known, so every endpoint counts as up", yellow})
	}

	service := "" // at hand: a CNAME may lead from one to another
	last := 0
	for i, s := range e.Steps {
		if len(s.Kept) > 0 {
			last = i
		}
	}
	before, follow := map[int][]string{}, false // what there was before a step, by its depth
	for i, s := range e.Steps {
		fmt.Fprintln(c.out.w)
		c.out.line(cell{fmt.Sprintf("%2d  ", i+1), dim}, cell{indent(s), plain}, cell{s.What, bold}, cell{": " + s.Why, plain})
		if s.What == "service" {
			service = s.Why
			c.printService(e, service, offline)
			before[0] = candidates(e, service)
			follow = before[0] != nil
		}
		if s.What == "nested" {
			// Neither what it chooses from nor what it comes to is a list of ours.
			delete(before, s.Depth)
			delete(before, s.Depth+1)
		}
		if s.What != "zone" && s.What != "service" && (len(s.Kept) > 0 || service != "" && chosen(s)) {
			c.printKept(e, service, before[s.Depth], s, i >= last || s.What == "health")
			if follow {
				before[s.Depth] = s.Kept
			}
		}
	}
	c.printAnswer(e, subnet != "")
}

// chosen is whether a step chose among endpoints, also when it kept none.
func chosen(s api.Step) bool {
	switch s.What {
	case "family", "negative", "all_down", "name", "static", "any", "refused", "truncated",
		"flatten", "cname", "dname", "wildcard", "referral", "chaos", "nested", "place", "conduct", "ttl":
		return false
	}
	return true
}

// indent sets what a nested service or composed pool does apart from what comes of
// it.
func indent(s api.Step) string { return strings.Repeat("    ", s.Depth) }

func (c *cli) printService(e *api.Explanation, service string, offline bool) {
	if service == e.Service {
		c.out.line(cell{"    steering ", dim}, cell{e.Steer, plain})
	}
	rows := [][]cell{titles("ENDPOINT", "POOL", "WEIGHT", "PRIORITY", "TAGS", "STATE", "SAID BY", "SINCE", "CONNECT", "LOAD", "SHARE", "WHY")}
	now := c.now()
	for _, x := range e.Endpoints {
		if x.Service != service {
			continue
		}
		share := ""
		if x.Share > 0 {
			share = part(x.Share)
		}
		row := []cell{
			{x.Address, bold},
			{x.Pool, plain},
			{strconv.FormatUint(uint64(x.Weight), 10), plain},
			{strconv.Itoa(x.Priority), plain},
			{strings.Join(x.Tags, " "), plain},
			stateOf(x.State, x.Degraded, x.Suspect),
			{x.Authority, plain},
			{ago(now, x.Since), plain},
			{duration(x.ConnectMS), plain},
			{reported(x.Load), plain},
			{share, yellow},
			{x.Reason, dim},
		}
		if offline {
			row[5], row[6] = cell{"assumed up", yellow}, cell{}
		}
		rows = append(rows, row)
	}
	c.out.table("    ", true, rows)
}

// candidates are the endpoints of a service that a question of this type chooses
// from.
func candidates(e *api.Explanation, service string) []string {
	var v4, v6, hosts []string
	for _, x := range e.Endpoints {
		if x.Service != service {
			continue
		}
		switch a, err := netip.ParseAddr(x.Address); {
		case err != nil:
			hosts = append(hosts, x.Address)
		case a.Is4():
			v4 = append(v4, x.Address)
		default:
			v6 = append(v6, x.Address)
		}
	}
	switch {
	case len(v4)+len(v6) == 0:
		return hosts
	case e.Type == "A": // host names beside addresses are flattened
		return append(v4, hosts...)
	case e.Type == "AAAA":
		return append(v6, hosts...)
	}
	return nil // records of other types are made of one family after the other
}

// printKept prints what a step left, and what it left out of what was there
// before it; with their states when it was health that decided.
func (c *cli) printKept(e *api.Explanation, service string, before []string, s api.Step, states bool) {
	row := []cell{{indent(s) + "    kept     ", dim}}
	row = append(row, names(s.Kept, green, nil)...)
	c.out.line(row...)
	var out []string
	for _, x := range before {
		if !slices.Contains(s.Kept, x) {
			out = append(out, x)
		}
	}
	if len(out) == 0 {
		return
	}
	var state func(string) string
	if states {
		state = func(address string) string {
			for _, x := range e.Endpoints {
				if x.Service == service && x.Address == address && x.State != "up" {
					return " (" + x.State + ")"
				}
			}
			return ""
		}
	}
	row = []cell{{indent(s) + "    left out ", dim}}
	c.out.line(append(row, names(out, plain, state)...)...)
}

// names are endpoints in their order, not more than can be taken in.
func names(all []string, as style, note func(string) string) []cell {
	if len(all) == 0 {
		return []cell{{"none", yellow}}
	}
	var out []cell
	for i, x := range all {
		if i == shownEndpoints {
			return append(out, cell{fmt.Sprintf(" and %d more", len(all)-i), dim})
		}
		if i > 0 {
			out = append(out, cell{", ", plain})
		}
		out = append(out, cell{x, as})
		if note != nil {
			out = append(out, cell{note(x), dim})
		}
	}
	return out
}

func (c *cli) printAnswer(e *api.Explanation, subnet bool) {
	fmt.Fprintln(c.out.w)
	as := green
	switch {
	case e.RCode != "NOERROR":
		as = red
	case len(e.Answers) == 0:
		as = yellow
	}
	ttl := count(int(e.TTL), "second")
	what := fmt.Sprintf(", %s, to be kept for %s", count(len(e.Answers), "record"), ttl)
	switch {
	case len(e.Answers) > 0 && len(e.Referral) == 0:
	case len(e.Referral) > 0:
		what = fmt.Sprintf(", a referral to %s, to be kept for %s", count(len(e.Referral), "name server"), ttl)
	case e.RCode == "NOERROR" || e.RCode == "NXDOMAIN":
		what = fmt.Sprintf(", no records, to be remembered for %s", ttl)
	default:
		what = ", no records"
	}
	scope := ""
	if subnet {
		scope = fmt.Sprintf(": ECS scope /%d", e.ECSScope)
	}
	c.out.line(cell{"answer: ", bold}, cell{e.RCode, as}, cell{what, plain})
	for _, a := range e.Answers {
		c.out.line(cell{"    " + a, green})
	}
	for _, ns := range e.Referral {
		c.out.line(cell{"    " + ns, green})
	}
	switch {
	case e.Network == "":
	case e.Network == "any":
		c.out.line(cell{"    the same for every client" + scope, dim})
	default:
		c.out.line(cell{"    the same for every client of " + e.Network + scope, plain})
	}
	if e.EDE != "" {
		c.out.line(cell{"    extended error " + extended(e.EDE), yellow})
	}
}

// extended is an extended error with the name of its code (RFC 8914 section 4)
// in place of a text of its own.
func extended(e string) string {
	names := map[string]string{"20": "Not Authoritative", "22": "No Reachable Authority", "23": "Network Error"}
	if name, bare := names[e]; bare {
		return e + ": " + name
	}
	return e
}
