package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb/api"
)

func (c *cli) overridesCommand() *cobra.Command {
	list := running(func(*cobra.Command, []string) error {
		all, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Overrides, error) { return n.Overrides(ctx) })
		if err != nil {
			return err
		}
		if c.json {
			return c.printJSON(all)
		}
		c.printOverrides(all)
		return nil
	})
	cmd := &cobra.Command{
		Use:   "overrides",
		Short: "Operators' words on endpoints: list, set, clear",
		Long: "An override is an operator's word on one endpoint of one service. It stands above\n" +
			"every check until it is cleared, and over restarts where node.data_dir is stated.",
		Args:                       subcommands,
		RunE:                       list,
		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List them", Args: takes(), RunE: list},
		c.setCommand(),
		&cobra.Command{
			Use:     "clear SERVICE ADDRESS",
			Short:   "Leave an endpoint to its checks again",
			Example: "  rhumb overrides clear www.gslb.example.com 192.0.2.10",
			Args:    takes("SERVICE", "ADDRESS"),
			RunE: running(func(_ *cobra.Command, args []string) error {
				_, err := ask(c, func(ctx context.Context, n *api.Client) (struct{}, error) {
					return struct{}{}, n.ClearOverride(ctx, args[0], args[1])
				})
				if err != nil || c.json {
					return err
				}
				c.out.line(cell{args[1], bold}, cell{" of " + args[0] + " is left to its checks again", plain})
				return nil
			}),
		},
	)
	return cmd
}

func (c *cli) setCommand() *cobra.Command {
	var healthy bool
	var reason, source string
	cmd := &cobra.Command{
		Use:     "set SERVICE ADDRESS --healthy=true|false --reason TEXT",
		Short:   "Say that an endpoint is up or down for a service",
		Example: "  rhumb overrides set www.gslb.example.com 192.0.2.10 --healthy=false --reason 'new disk'",
		Args:    takes("SERVICE", "ADDRESS"),
		RunE: running(func(_ *cobra.Command, args []string) error {
			o, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Override, error) {
				return n.SetOverride(ctx, args[0], args[1], api.OverrideRequest{Healthy: &healthy, Reason: reason, Source: source})
			})
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(o)
			}
			c.out.line(cell{o.Address, bold}, cell{" is ", plain}, saying(o),
				cell{fmt.Sprintf(" for %s, whatever its checks say, until `rhumb overrides clear %s %s`", o.Service, o.Service, o.Address), plain})
			return nil
		}),
	}
	cmd.Flags().BoolVar(&healthy, "healthy", false, "true for up, false for down")
	cmd.Flags().StringVar(&reason, "reason", "", "why, on one line")
	cmd.Flags().StringVar(&source, "source", operator(), "who or what says so")
	for _, required := range []string{"healthy", "reason"} {
		_ = cmd.MarkFlagRequired(required) // fails only for a flag that is not there
	}
	return cmd
}

// operator is who calls, as far as this machine knows.
func operator() string {
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + cmp.Or(host, "localhost")
}

func (c *cli) printOverrides(all *api.Overrides) {
	if len(all.Overrides) == 0 {
		fmt.Fprintln(c.err, "rhumb: no override is set")
		return
	}
	rows := [][]cell{titles("SERVICE", "ADDRESS", "SAYS", "SINCE", "BY", "WHY", "NOTE")}
	now := c.now()
	for _, o := range all.Overrides {
		note := ""
		if !o.InForce {
			note = "waits: the configuration has no such endpoint"
		}
		rows = append(rows, []cell{
			{o.Service, plain},
			{o.Address, bold},
			saying(&o),
			{ago(now, o.Since), plain},
			{o.Source, plain},
			{o.Reason, dim},
			{note, yellow},
		})
	}
	c.out.table("", true, rows)
}
