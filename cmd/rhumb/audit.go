package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb/api"
)

func (c *cli) auditCommand() *cobra.Command {
	var q api.AuditQuery
	var since string
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Who did what, when and why",
		Long: "Lists overrides, drains and maintenance that were set, cleared or ended by themselves,\n" +
			"failbacks and reloads: the last ones, of the 1,000 that the node has in memory. Older ones\n" +
			"are in audit.jsonl of its data_dir.",
		Example: "  rhumb audit --since 24h --limit 1000",
		Args:    takes(),
		RunE: running(func(*cobra.Command, []string) error {
			var err error
			if q.Since, err = c.sinceWhen(since); err != nil {
				return misuse{err}
			}
			log, err := ask(c, func(ctx context.Context, n *api.Client) (*api.AuditLog, error) { return n.Audit(ctx, q) })
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(log)
			}
			c.printAudit(log)
			return nil
		}),
	}
	cmd.Flags().StringVar(&since, "since", "", "from when on: how long ago, such as 24h, or a time such as 2026-11-21T18:00Z")
	cmd.Flags().Uint64Var(&q.After, "after", 0, "only entries with a higher id")
	cmd.Flags().IntVar(&q.Limit, "limit", 100, "how many at most, 1 to 1000")
	return cmd
}

// sinceWhen is the time that a flag means: a time, or how long ago.
func (c *cli) sinceWhen(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return c.now().Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since %q: it is a duration such as 24h, or a time such as 2026-11-21T18:00Z", s)
}

func (c *cli) printAudit(log *api.AuditLog) {
	if len(log.Entries) == 0 {
		fmt.Fprintln(c.err, "rhumb: nothing was done")
		return
	}
	rows := [][]cell{titles("ID", "AT", "WHO", "FROM", "WHAT", "ON", "WHY", "HOW", "FAILED")}
	for _, e := range log.Entries {
		who := e.Who
		switch {
		case e.Stated != "":
			who += " (says " + e.Stated + ")"
		case e.Token != "" && e.Token != e.Who:
			who += " (token " + e.Token + ")"
		}
		from := e.From
		if from == e.Who {
			from = ""
		}
		rows = append(rows, []cell{
			{fmt.Sprint(e.ID), dim},
			{moment(e.At), plain},
			{who, bold},
			{from, plain},
			{e.What, plain},
			{e.On, plain},
			{e.Why, dim},
			{e.How, plain},
			{strings.TrimSpace(e.Failed), red},
		})
	}
	c.out.table("", true, rows)
	if log.More {
		fmt.Fprintln(c.err, "rhumb: there are more; --limit, --since and --after select")
	}
}
