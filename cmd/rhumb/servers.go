package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb/api"
)

var states = []string{"up", "degraded", "down", "unknown"}

func (c *cli) serversCommand() *cobra.Command {
	var q api.ServersQuery
	var live bool
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "servers",
		Short: "Endpoints and their health",
		Long: "Lists the endpoints of pools with their state, who said so and why. With --watch it goes\n" +
			"on until it is interrupted: in a terminal what changes is redrawn, elsewhere each line is\n" +
			"printed again with the time when its state, or why, has changed.",
		Args: takes(),
		RunE: running(func(*cobra.Command, []string) error {
			if q.State != "" && !slices.Contains(states, q.State) {
				return misuse{fmt.Errorf("--state %q: it is %s", q.State, strings.Join(states, ", "))}
			}
			if live {
				switch {
				case c.json:
					return misuse{errors.New("--watch is for people and --json for programs: state one of them")}
				case interval < shortInterval:
					return misuse{fmt.Errorf("--interval %v: it is %v or more", interval, shortInterval)}
				}
				return c.watchServers(q, interval)
			}
			all, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Servers, error) {
				if c.json { // an empty list says it
					return n.Servers(ctx, q)
				}
				return serversOf(ctx, n, q)
			})
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(all)
			}
			c.printServers(all)
			if q.Results {
				return c.printAllEvidence(all, q)
			}
			return nil
		}),
	}
	cmd.Flags().StringVar(&q.Pool, "pool", "", "only of this pool")
	cmd.Flags().StringVar(&q.Region, "region", "", "only of pools in this region")
	cmd.Flags().StringVar(&q.Service, "service", "", "only those that this service uses, with their state for it")
	cmd.Flags().StringVar(&q.State, "state", "", "only in this state: "+strings.Join(states, ", "))
	cmd.Flags().BoolVarP(&q.Results, "verbose", "v", false, "with the last results of every check, and the last change")
	cmd.Flags().BoolVarP(&live, "watch", "w", false, "go on, showing what changes")
	cmd.Flags().DurationVar(&interval, "interval", 2*time.Second, "how often the node is asked, with --watch")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(states, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return cmd
}

// serversOf are the endpoints that a query selects. That there are none because there
// is no such pool or service is an error.
func serversOf(ctx context.Context, n *api.Client, q api.ServersQuery) (*api.Servers, error) {
	all, err := n.Servers(ctx, q)
	if err != nil || len(all.Servers) > 0 {
		return all, err
	}
	if q.Pool != "" {
		if of, err := n.Servers(ctx, api.ServersQuery{Pool: q.Pool}); err != nil {
			return nil, err
		} else if of.Total == 0 {
			return nil, fmt.Errorf("there is no pool %s that a service uses", q.Pool)
		}
	}
	if q.Service != "" {
		if of, err := n.Services(ctx, api.ServicesQuery{Name: q.Service, Limit: 1}); err != nil {
			return nil, err
		} else if of.Total == 0 {
			return nil, fmt.Errorf("there is no service %s", q.Service)
		}
	}
	return all, nil
}

func (c *cli) printServers(all *api.Servers) {
	if len(all.Servers) == 0 {
		fmt.Fprintln(c.err, "rhumb: no endpoint matches")
		return
	}
	rows := [][]cell{titles("POOL", "REGION", "ADDRESS", "SERVICE", "STATE", "SAID BY", "SINCE", "LATENCY", "CONNECT", "LOAD", "WHY")}
	now := c.now()
	var words []api.Override
	for _, s := range all.Servers {
		latency := ""
		if !s.LastCheck.IsZero() && s.LatencyMS > 0 {
			latency = strconv.FormatFloat(s.LatencyMS, 'f', 1, 64) + " ms"
		}
		rows = append(rows, []cell{
			{s.Pool, plain},
			{s.Region, plain},
			{s.Address, bold},
			{s.Service, plain},
			stateOf(s.State, s.Degraded, s.Suspect),
			{s.Authority, plain},
			{ago(now, s.Since), plain},
			{latency, plain},
			{duration(s.ConnectMS), plain},
			{reported(s.Load), plain},
			{s.Reason, dim},
		})
		if s.Service == "" {
			words = append(words, s.Overrides...)
		}
	}
	c.out.table("", true, rows)
	for _, o := range words {
		c.out.line(cell{fmt.Sprintf("%s is overridden for %s: ", o.Address, o.Service), plain}, saying(&o),
			cell{fmt.Sprintf(", set %s%s by %s: %s", ago(now, o.Since), untilWhen(o.Until), o.Source, o.Reason), plain})
	}
}

// untilWhen is when a word lapses, in a sentence.
func untilWhen(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " until " + moment(t)
}

// duration is milliseconds that may not be known.
func duration(ms float64) string {
	if ms == 0 {
		return ""
	}
	return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
}

// reported is a load that may not be known.
func reported(load *float64) string {
	if load == nil {
		return ""
	}
	return number(*load)
}

// saying is an operator's word in the words of states.
func saying(o *api.Override) cell {
	switch {
	case o.Healthy:
		return cell{"up", green}
	case o.State != api.OverrideDrain:
		return cell{"down", red}
	case o.Share > 0:
		return cell{"draining, " + part(o.Share) + " left", yellow}
	}
	return cell{"drained", red}
}

// part is a share above 0 in percent, which is never shown as nothing.
func part(share float64) string {
	return strconv.FormatFloat(max(share*100, 1), 'f', 0, 64) + "%"
}
