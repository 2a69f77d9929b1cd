package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb/api"
)

func (c *cli) resultCommand() *cobra.Command {
	var check string
	list := running(func(*cobra.Command, []string) error {
		all, err := ask(c, func(ctx context.Context, n *api.Client) (*api.CheckResults, error) { return n.CheckResults(ctx, check) })
		if err != nil {
			return err
		}
		if c.json {
			return c.printJSON(all)
		}
		c.printResults(all)
		return nil
	})
	cmd := &cobra.Command{
		Use:   "result",
		Short: "Results of external checks: list, set, clear",
		Long: "An external check is not probed: somebody else judges the endpoint and reports what came\n" +
			"of it. A result counts for a while, so whatever judges reports it again and again.",
		Args:                       subcommands,
		RunE:                       list,
		SuggestionsMinimumDistance: 2,
	}
	listing := &cobra.Command{Use: "list", Short: "List those that count", Args: takes(), RunE: list}
	listing.Flags().StringVar(&check, "check", "", "only of this check")
	cmd.AddCommand(
		listing,
		c.resultSetCommand(),
		&cobra.Command{
			Use:     "clear CHECK ADDRESS",
			Short:   "Forget the result of an endpoint",
			Example: "  rhumb result clear replication 192.0.2.20",
			Args:    takes("CHECK", "ADDRESS"),
			RunE: running(func(_ *cobra.Command, args []string) error {
				_, err := ask(c, func(ctx context.Context, n *api.Client) (struct{}, error) {
					return struct{}{}, n.ClearCheckResult(ctx, args[0], args[1])
				})
				if err != nil || c.json {
					return err
				}
				c.out.line(cell{args[0] + " of ", plain}, cell{args[1], bold}, cell{" is not known any more", plain})
				return nil
			}),
		},
	)
	return cmd
}

// outcomes are what a result may be.
var outcomes = []string{"ok", "degraded", "failed"}

func (c *cli) resultSetCommand() *cobra.Command {
	var valid time.Duration
	var detail, source string
	cmd := &cobra.Command{
		Use:     "set CHECK ADDRESS " + strings.Join(outcomes, "|"),
		Short:   "Report the result of an endpoint",
		Example: "  rhumb result set replication 192.0.2.20 degraded --detail '40 s behind'",
		Args:    takes("CHECK", "ADDRESS", "RESULT"),
		RunE: running(func(_ *cobra.Command, args []string) error {
			if !slices.Contains(outcomes, args[2]) {
				return misuse{fmt.Errorf("RESULT: %q is not %s", args[2], strings.Join(outcomes, ", "))}
			}
			ok := args[2] != "failed"
			req := api.CheckResultRequest{OK: &ok, Degraded: args[2] == "degraded", Detail: detail, Source: source}
			if valid != 0 {
				req.ValidFor = valid.String()
			}
			r, err := ask(c, func(ctx context.Context, n *api.Client) (*api.CheckResult, error) {
				return n.SetCheckResult(ctx, args[0], args[1], req)
			})
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(r)
			}
			c.out.line(cell{r.Check + " of ", plain}, cell{r.Address, bold}, cell{" is ", plain}, outcome(r),
				cell{" for " + brief(r.ValidUntil.Sub(r.ReportedAt)), plain})
			return nil
		}),
	}
	cmd.Flags().DurationVar(&valid, "for", 0, "how long it counts, 1s to the check's ttl, which is the default")
	cmd.Flags().StringVar(&detail, "detail", "", "why")
	cmd.Flags().StringVar(&source, "source", operator(), "who or what reports it")
	return cmd
}

func outcome(r *api.CheckResult) cell {
	switch {
	case !r.OK:
		return cell{"failed", red}
	case r.Degraded:
		return cell{"degraded", yellow}
	}
	return cell{"ok", green}
}

func (c *cli) printResults(all *api.CheckResults) {
	if len(all.Results) == 0 {
		fmt.Fprintln(c.err, "rhumb: no result counts")
		return
	}
	rows := [][]cell{titles("CHECK", "ADDRESS", "RESULT", "REPORTED", "COUNTS FOR", "BY", "WHY")}
	now := c.now()
	for _, r := range all.Results {
		rows = append(rows, []cell{
			{r.Check, plain},
			{r.Address, bold},
			outcome(&r),
			{ago(now, r.ReportedAt), plain},
			{brief(r.ValidUntil.Sub(now)), plain},
			{r.Source, dim},
			{r.Detail, dim},
		})
	}
	c.out.table("", true, rows)
}
