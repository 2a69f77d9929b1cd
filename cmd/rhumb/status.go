package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb/api"
)

// shownZones is how many zones a status names.
const shownZones = 10

func (c *cli) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "The node at a glance",
		Args:  takes(),
		RunE: running(func(*cobra.Command, []string) error {
			s, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Status, error) { return n.Status(ctx) })
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(s)
			}
			c.printStatus(s)
			return nil
		}),
	}
}

func (c *cli) printStatus(s *api.Status) {
	name := s.Node.Name
	if s.Node.Region != "" {
		name += " in " + s.Node.Region
	}
	state, as := "ready", green
	switch {
	case !s.HealthReady:
		state, as = "not ready: waiting for the first verdict of every probe", red
	case !s.DNSReady:
		state, as = "not ready: DNS is not served yet", red
	case s.Awareness.Suspect:
		state, as = "ready, and cut off itself, it seems", yellow
	}
	c.out.line(cell{name, bold}, cell{": ", plain}, cell{state, as},
		cell{fmt.Sprintf("  (rhumb %s, up %s)", s.Version, brief(time.Duration(s.UptimeSeconds)*time.Second)), dim})

	now := c.now()
	rows := [][]cell{
		{{"dns", dim}, {strings.Join(s.Listeners.DNS, ", "), plain}},
		{{"admin", dim}, {s.Listeners.Admin, plain}},
		{{"config", dim}, {s.Config.File + ", loaded " + ago(now, s.Config.LoadedAt), plain}},
	}
	if len(s.Listeners.DNSOverTLS) > 0 {
		rows = slices.Insert(rows, 1, []cell{{"over TLS", dim}, {strings.Join(s.Listeners.DNSOverTLS, ", "), plain}})
	}
	if !s.Config.OK {
		rows = append(rows, []cell{{}, {"refused " + ago(now, s.Config.ErrorAt) + "; what was in force stays, until these are mended:", red}})
		for line := range strings.Lines(s.Config.Error) {
			rows = append(rows, []cell{{}, {strings.TrimSpace(line), red}})
		}
	}
	for i, w := range s.Warnings {
		title := ""
		if i == 0 {
			title = "warnings"
		}
		rows = append(rows, []cell{{title, dim}, {w, yellow}})
	}
	endpoints := fmt.Sprintf("%d up", s.Endpoints.Up)
	as = green
	if n := s.Endpoints.Degraded; n > 0 {
		endpoints += fmt.Sprintf(" (%d degraded)", n)
		as = yellow
	}
	if n := s.Endpoints.Down; n > 0 {
		endpoints += fmt.Sprintf(", %d down", n)
		as = red
	}
	if n := s.Endpoints.Unknown; n > 0 {
		endpoints += fmt.Sprintf(", %d unknown", n)
		if as == green {
			as = yellow
		}
	}
	if n := s.Awareness.Idle; n > 0 {
		endpoints += fmt.Sprintf(", %d idle", n)
	}
	rows = append(rows, trouble(now, &s.Awareness)...)
	rows = append(rows,
		[]cell{{"endpoints", dim}, {endpoints, as}},
		[]cell{{"overrides", dim}, {fmt.Sprint(s.Overrides), plain}},
	)
	if s.Maintenance+s.MaintenancePlanned > 0 {
		rows = append(rows, []cell{{"maintenance", dim}, {fmt.Sprintf("%d in force, %d planned", s.Maintenance, s.MaintenancePlanned), plain}})
	}
	rows = append(rows,
		[]cell{{"checks", dim}, {fmt.Sprint(s.ChecksTotal), plain}},
		[]cell{{"pools", dim}, {fmt.Sprint(s.PoolsTotal), plain}},
		[]cell{{"services", dim}, {fmt.Sprint(s.ServicesTotal), plain}},
	)
	title := "zones"
	for i, z := range s.Zones {
		if i == shownZones {
			rows = append(rows, []cell{{}, {fmt.Sprintf("and %d more", s.ZonesTotal-i), plain}})
			break
		}
		rows = append(rows, []cell{{title, dim}, {fmt.Sprintf("%s  %s, %s, serial %d%s", z.Name, count(z.Services, "service"), count(z.Records, "record"), z.Serial, signed(z)), plain}})
		title = ""
	}
	if len(s.Zones) == 0 {
		rows = append(rows, []cell{{title, dim}, {"none: every query is refused", yellow}})
	}
	c.out.table("  ", false, rows)
}

// recently is for how long a status shows that the node was in trouble.
const recently = 10 * time.Minute

// trouble is what a node knows of its own.
func trouble(now time.Time, a *api.Awareness) [][]cell {
	var all []string
	if a.Suspect {
		why := fmt.Sprintf("%d of %d probes are silent", a.Silent, a.Asked)
		if a.Cut != "" {
			why += ", " + a.Cut
		}
		all = append(all, fmt.Sprintf("seems to be cut off itself, since %s: %s; %s held", ago(now, a.Since), why, count(a.Held, "verdict")))
	}
	if a.Stalls > 0 && now.Sub(a.StalledAt) < recently {
		all = append(all, fmt.Sprintf("stood still for %v, %s", time.Duration(a.StallSeconds*float64(time.Second)).Round(time.Millisecond), ago(now, a.StalledAt)))
	}
	if a.ClockJumps > 0 && now.Sub(a.JumpedAt) < recently {
		all = append(all, fmt.Sprintf("its clock jumped by %v, %s", time.Duration(a.JumpSeconds*float64(time.Second)).Round(time.Millisecond), ago(now, a.JumpedAt)))
	}
	var rows [][]cell
	title := "trouble"
	for _, what := range all {
		rows = append(rows, []cell{{title, dim}, {what, yellow}})
		title = ""
	}
	return rows
}

func signed(z api.Zone) string {
	if z.Signed {
		return ", signed"
	}
	return ""
}

func (c *cli) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Make the node read its configuration again",
		Long: "Makes the node read its configuration again. One that has an error changes\n" +
			"nothing, and every error is printed as `rhumb check` prints it.",
		Args: takes(),
		RunE: running(func(*cobra.Command, []string) error {
			r, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Reloaded, error) {
				return n.Reload(ctx, api.Because{Source: operator()})
			})
			var p *api.Problem
			if errors.As(err, &p) && len(p.Errors) > 0 {
				if c.json {
					if err := c.printJSON(p); err != nil {
						return err
					}
					return errSaid
				}
				for _, line := range p.Errors {
					fmt.Fprintln(c.err, clean(line))
				}
				fmt.Fprintf(c.err, "rhumb: not reloaded: %s; what was in force stays\n", count(len(p.Errors), "error"))
				return errSaid
			}
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(r)
			}
			for _, w := range r.Warnings {
				fmt.Fprintf(c.err, "warning: %s\n", clean(w))
			}
			c.out.line(cell{"reloaded", green}, cell{fmt.Sprintf(": %s: %s, %s", r.File, count(r.Zones, "zone"), count(r.Services, "service")), plain})
			return nil
		}),
	}
}
