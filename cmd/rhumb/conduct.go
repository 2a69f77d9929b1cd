package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

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
	var why api.Because
	cmd := &cobra.Command{
		Use:     "failback POOL",
		Short:   "Have a pool that gave way stand again",
		Long:    "A pool that gave way stands again now, whatever its failback and failback_delay, for\nall services. It must have min_healthy endpoints up.",
		Example: "  rhumb failback eu",
		Args:    takes("POOL"),
		RunE: running(func(_ *cobra.Command, args []string) error {
			f, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Failback, error) { return n.Failback(ctx, args[0], why) })
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
	addBecause(cmd, &why)
	return cmd
}

// printPools prints each pool on a line, and its endpoints below it. Services for
// which a pool is the same in every respect share the line.
func (c *cli) printPools(pools []api.Pool) {
	for i := 0; i < len(pools); {
		p := &pools[i]
		services := []string{}
		for ; i < len(pools) && alike(p, &pools[i]); i++ {
			if pools[i].Service != "" {
				services = append(services, pools[i].Service)
			}
		}
		as := green
		switch {
		case !p.Standing:
			as = red
		case p.Moving:
			as = yellow
		}
		why := strings.TrimPrefix(p.Why, "pool "+p.Name)
		c.out.line(cell{p.Name, bold}, cell{why, as}, cell{servedTo(services), dim})
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

// alike is whether nothing but the service tells two pools apart.
func alike(a, b *api.Pool) bool {
	return a.Name == b.Name && a.Standing == b.Standing && a.Moving == b.Moving && a.Why == b.Why && slices.Equal(a.Endpoints, b.Endpoints)
}

// shownServices is how many services a line names.
const shownServices = 3

// servedTo are the services that a pool is judged for, not more than can be taken
// in; nothing when it is the same for all.
func servedTo(services []string) string {
	switch n := len(services); {
	case n == 0:
		return ""
	case n > shownServices:
		return fmt.Sprintf(", for %s and %d more", strings.Join(services[:shownServices], ", "), n-shownServices)
	}
	return ", for " + strings.Join(services, ", ")
}
