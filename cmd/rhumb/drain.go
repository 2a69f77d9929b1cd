package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb/api"
)

// maxDrained is how many overrides are set for a pool: each is a request of its
// own.
const maxDrained = 1000

func (c *cli) drainCommand() *cobra.Command {
	var over time.Duration
	var pool, reason, source string
	var until lasting
	cmd := &cobra.Command{
		Use:   "drain [SERVICE ADDRESS] --over DURATION",
		Short: "Take an endpoint out little by little",
		Long: "The endpoint's share of the traffic shrinks evenly to nothing, and then it is out, until\n" +
			"`rhumb overrides clear`, or for as long as --for or --until says. With --pool that is every endpoint of a pool, in every service\n" +
			"that uses the pool; `rhumb overrides clear --pool` takes it back. Clients keep what they\n" +
			"were answered for the TTL.",
		Example: "  rhumb drain www.gslb.example.com 192.0.2.10 --over 10m --reason 'new disk'\n" +
			"  rhumb drain --pool eu --over 1h",
		Args: takes("[SERVICE]", "[ADDRESS]"),
		RunE: running(func(_ *cobra.Command, args []string) error {
			if (len(args) == 2) == (pool != "") || len(args) == 1 {
				return misuse{errors.New("SERVICE and ADDRESS, or --pool, is what is drained")}
			}
			if over < 0 || over > api.MaxDrain {
				return misuse{fmt.Errorf("--over: %v is not from 0s to %dh", over, api.MaxDrain/time.Hour)}
			}
			word := api.OverrideRequest{State: api.OverrideDrain, Duration: over.String(), Reason: reason, Source: source, For: until.lasts, Until: until.until}
			seats := []seat{}
			if pool == "" {
				seats = append(seats, seat{args[0], args[1]})
			}
			all, err := ask(c, func(ctx context.Context, n *api.Client) ([]*api.Override, error) {
				if pool != "" {
					var err error
					if seats, err = seatsOf(ctx, n, pool); err != nil {
						return nil, err
					}
				}
				var done []*api.Override
				for _, s := range seats {
					o, err := n.SetOverride(ctx, s.service, s.address, word)
					if err != nil && len(done) > 0 {
						err = fmt.Errorf("after %d of %d: %w", len(done), len(seats), err)
					}
					if err != nil {
						return nil, err
					}
					done = append(done, o)
				}
				return done, nil
			})
			switch {
			case err != nil:
				return err
			case c.json:
				return c.printJSON(all)
			}
			c.printDrains(all, pool)
			return nil
		}),
	}
	cmd.Flags().DurationVar(&over, "over", 0, "how long it takes, such as 10m; 0s: out at once")
	cmd.Flags().StringVar(&pool, "pool", "", "every endpoint of this pool, in every service that uses it")
	cmd.Flags().StringVar(&reason, "reason", "", "why, on one line")
	cmd.Flags().StringVar(&source, "source", operator(), whoSays)
	until.add(cmd)
	_ = cmd.MarkFlagRequired("over") // the flag is there
	return cmd
}

// seat is an endpoint of a service.
type seat struct{ service, address string }

// seatsOf is the endpoints of a pool in each service that uses it, also as its
// reserve.
func seatsOf(ctx context.Context, n *api.Client, pool string) ([]seat, error) {
	in, err := n.Servers(ctx, api.ServersQuery{Pool: pool})
	if err != nil {
		return nil, err
	}
	var addresses []string
	for _, s := range in.Servers {
		if !slices.Contains(addresses, s.Address) {
			addresses = append(addresses, s.Address)
		}
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("no service uses a pool %s", pool)
	}
	var all []seat
	for q := (api.ServicesQuery{}); ; {
		page, err := n.Services(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, s := range page.Services {
			if s.AllDown != pool && !slices.ContainsFunc(s.Pools, func(p api.ServicePool) bool { return p.Name == pool }) {
				continue
			}
			for _, a := range addresses {
				all = append(all, seat{s.Name, a})
			}
			if len(all) > maxDrained {
				return nil, fmt.Errorf("pool %s has more than %d endpoints in services; name what is to be drained one by one", pool, maxDrained)
			}
		}
		if page.Next == "" {
			return all, nil
		}
		q.After = page.Next
	}
}

// printDrains says what goes out when, and how that is taken back. pool is empty
// when it was one endpoint.
func (c *cli) printDrains(all []*api.Override, pool string) {
	for _, o := range all {
		when := " drains, and is out at " + o.OutAt.UTC().Format(time.RFC3339)
		if o.Share == 0 {
			when = " is out now"
		}
		c.out.line(cell{o.Address, bold}, cell{" of " + o.Service + when, plain})
	}
	back := "--pool " + pool
	if pool == "" {
		back = all[0].Service + " " + all[0].Address
	}
	c.out.line(cell{"to give the traffic back: rhumb overrides clear " + back, dim})
}
