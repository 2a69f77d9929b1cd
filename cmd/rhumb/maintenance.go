package main

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb/api"
)

func (c *cli) maintenanceCommand() *cobra.Command {
	list := running(func(*cobra.Command, []string) error {
		all, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Maintenances, error) { return n.Maintenance(ctx) })
		if err != nil {
			return err
		}
		if c.json {
			return c.printJSON(all)
		}
		c.printMaintenance(all.Maintenance)
		return nil
	})
	cmd := &cobra.Command{
		Use:   "maintenance",
		Short: "Endpoints that are out for a while: list, add, cancel",
		Long: "A maintenance takes endpoints out of every service that has them, now or at a time, and\n" +
			"gives them back at its end. It stands above every check, and below `rhumb overrides`.",
		Args:                       subcommands,
		RunE:                       list,
		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "What is in force and to come", Args: takes(), RunE: list},
		c.addMaintenanceCommand(),
		c.cancelMaintenanceCommand(),
	)
	return cmd
}

func (c *cli) addMaintenanceCommand() *cobra.Command {
	var req api.MaintenanceRequest
	var asns []uint
	cmd := &cobra.Command{
		Use:   "add --reason TEXT --for DURATION",
		Short: "Take endpoints out for a while",
		Long: "Of the flags that select, each may be there several times: an endpoint is selected when\n" +
			"one value of every flag that is there fits. What is selected is found anew at every reload.",
		Example: "  rhumb maintenance add --pool eu --for 1h --drain 10m --reason 'new switch'\n" +
			"  rhumb maintenance add --country IE --tag ssd --at 2026-11-21T18:00Z --until 2026-11-22T06:00Z --reason power",
		Args: takes(),
		RunE: running(func(*cobra.Command, []string) error {
			for _, n := range asns {
				if n > math.MaxUint32 {
					return misuse{fmt.Errorf("--asn %d: it is at most %d", n, uint32(math.MaxUint32))}
				}
				req.Select.ASNs = append(req.Select.ASNs, uint32(n))
			}
			m, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Maintenance, error) { return n.AddMaintenance(ctx, req) })
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(m)
			}
			c.printMaintenance([]api.Maintenance{*m})
			c.out.line(cell{"to end it: rhumb maintenance cancel " + m.ID, dim})
			return nil
		}),
	}
	f := cmd.Flags()
	for name, list := range selecting(&req.Select) {
		f.StringArrayVar(list, name, nil, "select by this "+name+"; may be repeated")
	}
	f.UintSliceVar(&asns, "asn", nil, "select by the number of this autonomous system; may be repeated")
	f.StringVar(&req.At, "at", "", "when it begins, such as 2026-11-21T18:00Z (default now)")
	f.StringVar(&req.For, "for", "", "how long it lasts, such as 1h")
	f.StringVar(&req.Until, "until", "", "until when it lasts, in place of --for")
	f.StringVar(&req.Drain, "drain", "", "over how long, from its beginning, the traffic is taken away, such as 10m (default at once)")
	f.StringVar(&req.Reason, "reason", "", "why, on one line")
	f.StringVar(&req.Source, "source", operator(), whoSays)
	cmd.MarkFlagsMutuallyExclusive("for", "until")
	cmd.MarkFlagsOneRequired("for", "until")
	_ = cmd.MarkFlagRequired("reason") // the flag is there
	return cmd
}

// selecting are the lists of texts of a selection, by their flag.
func selecting(s *api.Selection) map[string]*[]string {
	return map[string]*[]string{
		"endpoint": &s.Endpoints, "pool": &s.Pools, "tag": &s.Tags, "region": &s.Regions, "continent": &s.Continents,
		"country": &s.Countries, "subdivision": &s.Subdivisions, "city": &s.Cities,
	}
}

func (c *cli) cancelMaintenanceCommand() *cobra.Command {
	var why api.Because
	cmd := &cobra.Command{
		Use:     "cancel ID",
		Short:   "End a maintenance, or take it off the calendar",
		Example: "  rhumb maintenance cancel k7w2m4pq --reason 'done early'",
		Args:    takes("ID"),
		RunE: running(func(_ *cobra.Command, args []string) error {
			_, err := ask(c, func(ctx context.Context, n *api.Client) (struct{}, error) {
				return struct{}{}, n.CancelMaintenance(ctx, args[0], why)
			})
			if err != nil || c.json {
				return err
			}
			c.out.line(cell{"maintenance " + args[0] + " is cancelled", plain})
			return nil
		}),
	}
	addBecause(cmd, &why)
	return cmd
}

func (c *cli) printMaintenance(all []api.Maintenance) {
	if len(all) == 0 {
		fmt.Fprintln(c.err, "rhumb: no maintenance is planned")
		return
	}
	rows := [][]cell{titles("ID", "STATE", "AT", "UNTIL", "ENDPOINTS", "SELECTED BY", "BY", "WHY")}
	for _, m := range all {
		state, as := m.State, yellow
		switch m.State {
		case api.MaintenanceDraining:
			state += ", " + part(m.Share) + " left"
		case api.MaintenanceInForce:
			as = red
		}
		rows = append(rows, []cell{
			{m.ID, bold},
			{state, as},
			{moment(m.At), plain},
			{moment(m.Until), plain},
			{fewOf(m.Endpoints), plain},
			{selectedBy(&m.Select), plain},
			{m.Source, plain},
			{m.Reason, dim},
		})
	}
	c.out.table("", true, rows)
}

// fewOf is endpoints on a line, the first three by name.
func fewOf(all []string) string {
	const few = 3
	switch n := len(all); {
	case n == 0:
		return "none"
	case n > few:
		return strings.Join(all[:few], " ") + fmt.Sprintf(" and %d more", n-few)
	}
	return strings.Join(all, " ")
}

// selectedBy is a selection on a line.
func selectedBy(s *api.Selection) string {
	var all []string
	by := selecting(s)
	for _, name := range []string{"endpoint", "pool", "tag", "region", "continent", "country", "subdivision", "city"} {
		if list := *by[name]; len(list) > 0 {
			all = append(all, name+" "+strings.Join(list, " or "))
		}
	}
	for i, n := range s.ASNs {
		word := "asn"
		if i > 0 {
			word = "or"
		}
		all = append(all, fmt.Sprintf("%s %d", word, n))
	}
	return strings.Join(all, ", ")
}
