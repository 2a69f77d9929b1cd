package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb/api"
)

func (c *cli) loadCommand() *cobra.Command {
	list := running(func(*cobra.Command, []string) error {
		all, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Loads, error) { return n.Loads(ctx) })
		if err != nil {
			return err
		}
		if c.json {
			return c.printJSON(all)
		}
		c.printLoads(all)
		return nil
	})
	cmd := &cobra.Command{
		Use:   "load",
		Short: "How busy endpoints are: list, set, clear",
		Long: "A load is a report of how busy an endpoint is, for the steering filter shed. It counts for\n" +
			"a while and then nothing is known, so whatever measures it reports it again and again.",
		Args:                       subcommands,
		RunE:                       list,
		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List them", Args: takes(), RunE: list},
		c.loadSetCommand(),
		&cobra.Command{
			Use:     "clear ADDRESS",
			Short:   "Forget what was reported of an endpoint",
			Example: "  rhumb load clear 192.0.2.10",
			Args:    takes("ADDRESS"),
			RunE: running(func(_ *cobra.Command, args []string) error {
				_, err := ask(c, func(ctx context.Context, n *api.Client) (struct{}, error) {
					return struct{}{}, n.ClearLoad(ctx, args[0])
				})
				if err != nil || c.json {
					return err
				}
				c.out.line(cell{"the load of ", plain}, cell{args[0], bold}, cell{" is not known any more", plain})
				return nil
			}),
		},
	)
	return cmd
}

func (c *cli) loadSetCommand() *cobra.Command {
	var valid time.Duration
	var source string
	cmd := &cobra.Command{
		Use:     "set ADDRESS LOAD",
		Short:   "Report the load of an endpoint",
		Example: "  rhumb load set 192.0.2.10 0.83 --for 60s",
		Args:    takes("ADDRESS", "LOAD"),
		RunE: running(func(_ *cobra.Command, args []string) error {
			v, err := strconv.ParseFloat(args[1], 64)
			if err != nil || v != v || v-v != 0 {
				return misuse{fmt.Errorf("LOAD: %q is not a number", args[1])}
			}
			l, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Load, error) {
				return n.SetLoad(ctx, args[0], api.LoadRequest{Load: &v, ValidFor: valid.String(), Source: source})
			})
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(l)
			}
			c.out.line(cell{l.Address, bold}, cell{fmt.Sprintf(" has a load of %s for %v", number(l.Load), valid), plain})
			return nil
		}),
	}
	cmd.Flags().DurationVar(&valid, "for", time.Minute, "how long it counts, 1s to 24h")
	cmd.Flags().StringVar(&source, "source", operator(), "who or what reports it")
	return cmd
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func (c *cli) printLoads(all *api.Loads) {
	if len(all.Loads) == 0 {
		fmt.Fprintln(c.err, "rhumb: no load is known")
		return
	}
	rows := [][]cell{titles("ADDRESS", "LOAD", "REPORTED", "COUNTS FOR", "BY")}
	now := c.now()
	for _, l := range all.Loads {
		rows = append(rows, []cell{
			{l.Address, bold},
			{number(l.Load), plain},
			{ago(now, l.ReportedAt), plain},
			{brief(l.ValidUntil.Sub(now)), plain},
			{l.Source, dim},
		})
	}
	c.out.table("", true, rows)
	if !all.InUse {
		fmt.Fprintln(c.err, "rhumb: no service goes by them: none has the filter shed in its steering")
	}
}
