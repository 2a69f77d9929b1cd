package main

import (
	"context"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb/api"
)

func (c *cli) poolsCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "pools",
		Short: "Pools, whether they stand, and why",
		Args:  takes(),
		RunE: running(func(*cobra.Command, []string) error {
			all, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Pools, error) { return n.Pools(ctx, name) })
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(all)
			}
			if len(all.Pools) == 0 {
				fmt.Fprintln(c.err, "rhumb: no pool matches")
				return nil
			}
			c.printPools(all.Pools)
			return nil
		}),
	}
	cmd.Flags().StringVar(&name, "pool", "", "only this one")
	return cmd
}

func (c *cli) failbackCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "failback POOL",
		Short:   "Have a pool that gave way stand again",
		Long:    "A pool that gave way stands again now, whatever its failback and failback_delay, for\nall services. It must have min_healthy endpoints up.",
		Example: "  rhumb failback eu",
		Args:    takes("POOL"),
		RunE: running(func(_ *cobra.Command, args []string) error {
			f, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Failback, error) { return n.Failback(ctx, args[0]) })
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(f)
			}
			if !f.Changed {
				c.out.line(cell{args[0], bold}, cell{" stands already", plain})
				return nil
			}
			c.out.line(cell{args[0], bold}, cell{" stands again", green})
			c.printPools(f.Pools)
			return nil
		}),
	}
}

// printPools prints each pool on a line, and its endpoints below it.
func (c *cli) printPools(pools []api.Pool) {
	for _, p := range pools {
		stands := cell{"stands", green}
		switch {
		case !p.Standing:
			stands = cell{"gives way", red}
		case p.Moving:
			stands.style = yellow
		}
		line := []cell{{p.Name, bold}, {" ", plain}, stands}
		if p.Service != "" {
			line = append(line, cell{" for " + p.Service, plain})
		}
		c.out.line(append(line, cell{": " + p.Why, plain})...)
		rows := [][]cell{}
		for _, e := range p.Endpoints {
			judged, share := "", ""
			if e.Judged != e.State {
				judged = "checks say " + e.Judged
			}
			if e.State != "down" && e.Share < 1 {
				share = fmt.Sprintf("%.0f%%", math.Round(100*e.Share))
			}
			rows = append(rows, []cell{{e.Address, bold}, {e.State, styleOf(e.State)}, {share, yellow}, {judged, yellow}, {e.Why, dim}})
		}
		c.out.table("  ", false, rows)
	}
}
