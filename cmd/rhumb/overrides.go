package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

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
		Use:     "overrides",
		Aliases: []string{"override"},
		Short:   "Operators' words on endpoints: list, set, clear",
		Long: "An override is an operator's word on one endpoint of one service. It stands above\n" +
			"every check until it is cleared or lapses, and over restarts where node.data_dir is\n" +
			"stated. `rhumb override` is the same command.",
		Args:                       subcommands,
		RunE:                       list,
		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List them", Args: takes(), RunE: list},
		c.setCommand(),
		c.clearCommand(),
	)
	return cmd
}

func (c *cli) setCommand() *cobra.Command {
	var healthy bool
	var reason, source string
	var until lasting
	cmd := &cobra.Command{
		Use:   "set SERVICE ADDRESS --healthy=true|false --reason TEXT",
		Short: "Say that an endpoint is up or down for a service",
		Example: "  rhumb overrides set www.gslb.example.com 192.0.2.10 --healthy=false --reason 'new disk'\n" +
			"  rhumb overrides set www.gslb.example.com 192.0.2.10 --healthy=false --reason 'new disk' --for 2h",
		Args: takes("SERVICE", "ADDRESS"),
		RunE: running(func(_ *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return misuse{errors.New("--reason: why is required")}
			}
			o, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Override, error) {
				return n.SetOverride(ctx, args[0], args[1], api.OverrideRequest{
					Healthy: &healthy, Reason: reason, Source: source, For: until.lasts, Until: until.until,
				})
			})
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(o)
			}
			c.out.line(cell{o.Address, bold}, cell{" is ", plain}, saying(o),
				cell{fmt.Sprintf(" for %s, whatever its checks say, until %s`rhumb overrides clear %s %s`", o.Service, ending(o.Until), o.Service, o.Address), plain})
			return nil
		}),
	}
	cmd.Flags().BoolVar(&healthy, "healthy", false, "true for up, false for down")
	cmd.Flags().StringVar(&reason, "reason", "", "why, on one line")
	cmd.Flags().StringVar(&source, "source", operator(), whoSays)
	until.add(cmd)
	for _, required := range []string{"healthy", "reason"} {
		_ = cmd.MarkFlagRequired(required) // fails only for a flag that is not there
	}
	return cmd
}

// whoSays is what --source is for.
const whoSays = "who or what says so; the node believes admins, and notes it beside the token of others"

// lasting are the flags that say when a word lapses.
type lasting struct{ lasts, until string }

func (l *lasting) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.lasts, "for", "", "how long, such as 2h; after it the checks decide again")
	cmd.Flags().StringVar(&l.until, "until", "", "until when, such as 2026-11-21T18:00Z")
	cmd.MarkFlagsMutuallyExclusive("for", "until")
}

// ending is when a word lapses, before another way to end it; nothing when it does
// not.
func ending(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339) + " or "
}

func (c *cli) clearCommand() *cobra.Command {
	var pool string
	var why api.Because
	cmd := &cobra.Command{
		Use:   "clear [SERVICE ADDRESS]",
		Short: "Leave an endpoint to its checks again",
		Long: "The endpoint is what its checks say again. With --pool that is every endpoint of a pool,\n" +
			"in every service that uses the pool, as with `rhumb drain --pool`.",
		Example: "  rhumb overrides clear www.gslb.example.com 192.0.2.10\n" +
			"  rhumb overrides clear --pool eu",
		Args: takes("[SERVICE]", "[ADDRESS]"),
		RunE: running(func(_ *cobra.Command, args []string) error {
			if (len(args) == 2) == (pool != "") || len(args) == 1 {
				return misuse{errors.New("SERVICE and ADDRESS, or --pool, is what is cleared")}
			}
			done, err := ask(c, func(ctx context.Context, n *api.Client) ([]seat, error) {
				if pool == "" {
					return []seat{{args[0], args[1]}}, n.ClearOverride(ctx, args[0], args[1], why)
				}
				return clearPool(ctx, n, pool, why)
			})
			if err != nil || c.json {
				return err
			}
			for _, s := range done {
				c.out.line(cell{s.address, bold}, cell{" of " + s.service + " is left to its checks again", plain})
			}
			return nil
		}),
	}
	cmd.Flags().StringVar(&pool, "pool", "", "every endpoint of this pool, in every service that uses it")
	addBecause(cmd, &why)
	return cmd
}

// addBecause adds the flags of who ends something, and why.
func addBecause(cmd *cobra.Command, why *api.Because) {
	cmd.Flags().StringVar(&why.Reason, "reason", "", "why, on one line, for the audit log")
	cmd.Flags().StringVar(&why.Source, "source", operator(), whoSays)
}

// clearPool clears the overrides on a pool's endpoints in the services that use
// it, and says which there were.
func clearPool(ctx context.Context, n *api.Client, pool string, why api.Because) (done []seat, err error) {
	seats, err := seatsOf(ctx, n, pool)
	if err != nil {
		return nil, err
	}
	set, err := n.Overrides(ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range set.Overrides {
		s := seat{o.Service, o.Address}
		if !slices.Contains(seats, s) {
			continue
		}
		if err := n.ClearOverride(ctx, s.service, s.address, why); err != nil {
			return nil, fmt.Errorf("after %d: %w", len(done), err)
		}
		done = append(done, s)
	}
	if len(done) == 0 {
		return nil, fmt.Errorf("no override on an endpoint of the pool %s", pool)
	}
	return done, nil
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

// moment is a time that may not be, as it can be stated.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func (c *cli) printOverrides(all *api.Overrides) {
	if len(all.Overrides) == 0 {
		fmt.Fprintln(c.err, "rhumb: no override is set")
		return
	}
	rows := [][]cell{titles("SERVICE", "ADDRESS", "SAYS", "SINCE", "UNTIL", "BY", "WHY", "NOTE")}
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
			{moment(o.Until), plain},
			{o.Source, plain},
			{o.Reason, dim},
			{note, yellow},
		})
	}
	c.out.table("", true, rows)
}
