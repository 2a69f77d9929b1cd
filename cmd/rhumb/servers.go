package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb/api"
)

var states = []string{"up", "down", "unknown"}

func (c *cli) serversCommand() *cobra.Command {
	var q api.ServersQuery
	cmd := &cobra.Command{
		Use:   "servers",
		Short: "Endpoints and their health",
		Args:  takes(),
		RunE: running(func(*cobra.Command, []string) error {
			if q.State != "" && !slices.Contains(states, q.State) {
				return misuse{fmt.Errorf("--state %q: it is %s", q.State, strings.Join(states, ", "))}
			}
			all, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Servers, error) { return n.Servers(ctx, q) })
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(all)
			}
			c.printServers(all)
			return nil
		}),
	}
	cmd.Flags().StringVar(&q.Pool, "pool", "", "only of this pool")
	cmd.Flags().StringVar(&q.Region, "region", "", "only of pools in this region")
	cmd.Flags().StringVar(&q.Service, "service", "", "only those that this service uses, with their state for it")
	cmd.Flags().StringVar(&q.State, "state", "", "only in this state: "+strings.Join(states, ", "))
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(states, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return cmd
}

func (c *cli) printServers(all *api.Servers) {
	if len(all.Servers) == 0 {
		fmt.Fprintln(c.err, "rhumb: no endpoint matches")
		return
	}
	rows := [][]cell{titles("POOL", "REGION", "ADDRESS", "SERVICE", "STATE", "SAID BY", "SINCE", "LATENCY", "WHY")}
	now := c.now()
	var words []api.Override
	for _, s := range all.Servers {
		latency := ""
		if !s.LastCheck.IsZero() {
			latency = strconv.FormatFloat(s.LatencyMS, 'f', 1, 64) + " ms"
		}
		rows = append(rows, []cell{
			{s.Pool, plain},
			{s.Region, plain},
			{s.Address, bold},
			{s.Service, plain},
			{s.State, styleOf(s.State)},
			{s.Authority, plain},
			{ago(now, s.Since), plain},
			{latency, plain},
			{s.Reason, dim},
		})
		if s.Service == "" {
			words = append(words, s.Overrides...)
		}
	}
	c.out.table("", true, rows)
	for _, o := range words {
		c.out.line(cell{fmt.Sprintf("%s is overridden for %s: ", o.Address, o.Service), plain}, saying(o.Healthy),
			cell{fmt.Sprintf(", set %s by %s: %s", ago(now, o.Since), o.Source, o.Reason), plain})
	}
}

// saying is an operator's word in the words of states.
func saying(healthy bool) cell {
	if healthy {
		return cell{"up", green}
	}
	return cell{"down", red}
}
