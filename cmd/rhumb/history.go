package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb/api"
)

// happened are the flags that select events.
type happened struct {
	q     api.HistoryQuery
	since string
}

func (h *happened) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&h.q.Service, "service", "", "only what concerns this service")
	f.StringVar(&h.q.Endpoint, "endpoint", "", "only this address or host name")
	f.StringVar(&h.q.Pool, "pool", "", "only this pool and its endpoints")
	f.StringVar(&h.q.Type, "type", "", "only these types, such as down,up")
	f.StringVar(&h.since, "since", "", "from when on: how long ago, such as 1h, or a time such as 2026-11-21T18:00Z")
	f.Uint64Var(&h.q.After, "after", 0, "only events with a higher id")
}

func (c *cli) historyCommand() *cobra.Command {
	var h happened
	follow := false
	cmd := &cobra.Command{
		Use:   "history",
		Short: "What happened to endpoints and pools",
		Long: "Lists the changes of endpoints and pools, what operators said of them, starts and reloads:\n" +
			"the last ones, of at least 1,000 of each endpoint that the node remembers.",
		Example: "  rhumb history --endpoint 192.0.2.10 --since 24h\n" +
			"  rhumb history --follow",
		Args: takes(),
		RunE: running(func(*cobra.Command, []string) (err error) {
			if h.q.Since, err = c.sinceWhen(h.since); err != nil {
				return misuse{err}
			}
			if h.q.Limit < 1 || h.q.Limit > 10_000 {
				return misuse{fmt.Errorf("--limit %d: it is from 1 to 10000", h.q.Limit)}
			}
			all, err := ask(c, func(ctx context.Context, n *api.Client) (*api.History, error) { return n.History(ctx, h.q) })
			if err != nil {
				return err
			}
			switch {
			case c.json && !follow:
				return c.printJSON(all)
			case len(all.Events) == 0 && !follow:
				fmt.Fprintln(c.err, "rhumb: nothing happened")
				return nil
			case !follow:
				c.printHistory(all)
				return nil
			}
			for _, e := range all.Events {
				if err := c.printEvent(e, nil); err != nil {
					return err
				}
				h.q.After = e.ID
			}
			h.q.Since = time.Time{}
			return c.follow(h.q)
		}),
	}
	h.flags(cmd)
	cmd.Flags().IntVar(&h.q.Limit, "limit", 100, "how many at most, 1 to 10000")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens, until interrupted")
	return cmd
}

func (c *cli) eventsCommand() *cobra.Command {
	var h happened
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Follow what happens to endpoints and pools",
		Long: "Prints what happens, a line for each event, as it does, until it is interrupted. When the\n" +
			"node goes away, it is asked again from there on until it is back.",
		Example: "  rhumb events --type down,up --json",
		Args:    takes(),
		RunE: running(func(*cobra.Command, []string) (err error) {
			if h.q.Since, err = c.sinceWhen(h.since); err != nil {
				return misuse{err}
			}
			return c.follow(h.q)
		}),
	}
	h.flags(cmd)
	return cmd
}

// follow prints events until it is interrupted.
func (c *cli) follow(q api.HistoryQuery) error {
	n, err := c.client()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return c.stay(ctx, q, func(ctx context.Context, q api.HistoryQuery) (uint64, error) {
		return n.Follow(ctx, q, c.printEvent)
	})
}

// How long it takes until a node that has gone is asked again: a second at first,
// and longer each time.
const (
	firstPause = time.Second
	lastPause  = 15 * time.Second
)

// stay follows a node again when its stream has ended, from where it was, until ctx
// ends. What fails the first time does so for good.
func (c *cli) stay(ctx context.Context, q api.HistoryQuery, follow func(context.Context, api.HistoryQuery) (uint64, error)) error {
	connected, away, pause := false, false, firstPause
	for {
		reached, err := follow(ctx, q)
		if reached > 0 {
			connected, away, pause = true, false, firstPause
			q.After, q.Since = reached, time.Time{}
		}
		var gone *api.Unreachable
		var refused *api.Problem
		switch {
		case ctx.Err() != nil:
			return nil
		case !errors.As(err, &gone) && (!errors.As(err, &refused) || refused.Status < http.StatusInternalServerError):
			return err
		case !connected:
			return err
		case !away:
			fmt.Fprintf(c.err, "rhumb: %s; trying again until it is back\n", oneLine(err.Error()))
			away = true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, lastPause)
	}
}

// printEvent prints a line.
func (c *cli) printEvent(e api.Event, missing *api.Gap) error {
	if missing != nil {
		words := fmt.Sprintf("%d events are missing", missing.Lost)
		if missing.Unknown {
			words = "events from before the node started are missing"
		}
		fmt.Fprintln(c.err, "rhumb: "+words)
		return nil
	}
	if c.json {
		return c.printLine(e)
	}
	color := colorOfEvent(e.Type)
	c.out.line(cell{moment(e.At), dim}, cell{"  ", plain}, cell{e.Type, color}, cell{"  " + subjectOf(&e), bold}, cell{"  " + wordsOf(&e), plain})
	return nil
}

func colorOfEvent(kind string) style {
	switch kind {
	case "down", "pool-gave-way", "reload-refused":
		return red
	case "up", "pool-stands":
		return green
	}
	return yellow
}

// subjectOf is what an event happened to.
func subjectOf(e *api.Event) string {
	switch {
	case e.Service != "":
		return e.Endpoint + " of " + e.Service
	case e.Endpoint != "":
		return e.Endpoint
	case len(e.Pools) > 0:
		return "pool " + strings.Join(e.Pools, ", ")
	}
	return "the node"
}

// wordsOf is the rest of it.
func wordsOf(e *api.Event) string {
	var all []string
	if e.Was != "" {
		was := "was " + e.Was
		if d, err := time.ParseDuration(e.Lasted); err == nil {
			was += " for " + d.Round(time.Second).String()
		}
		all = append(all, was)
	}
	if e.Type == "override-set" {
		all = append(all, e.State)
	}
	if e.On != "" {
		all = append(all, e.On)
	}
	reason := e.Reason
	if e.Class != "" {
		reason += " (" + e.Class + ")"
	}
	if reason != "" {
		all = append(all, reason)
	}
	if e.Who != "" {
		all = append(all, "by "+e.Who)
	}
	return strings.Join(all, "; ")
}

func (c *cli) printHistory(all *api.History) {
	rows := [][]cell{titles("ID", "AT", "WHAT", "ON", "POOLS", "DETAIL")}
	for _, e := range all.Events {
		pools := strings.Join(e.Pools, ", ")
		if e.Endpoint == "" {
			pools = ""
		}
		rows = append(rows, []cell{
			{fmt.Sprint(e.ID), dim},
			{moment(e.At), plain},
			{e.Type, colorOfEvent(e.Type)},
			{subjectOf(&e), bold},
			{pools, plain},
			{wordsOf(&e), plain},
		})
	}
	c.out.table("", true, rows)
	if all.More {
		fmt.Fprintln(c.err, "rhumb: there are more; --limit, --since and --after select")
	}
}

func (c *cli) notifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notify",
		Short: "Who is told what happens, and how far they are",
		Args:  takes(),
		RunE: running(func(*cobra.Command, []string) error {
			all, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Destinations, error) { return n.Destinations(ctx) })
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(all)
			}
			rows := [][]cell{titles("NAME", "KIND", "WAITING", "OLDEST", "DELIVERED", "FAILURES", "ERROR")}
			at := func(t time.Time) string {
				if t.IsZero() {
					return ""
				}
				return moment(t)
			}
			for _, d := range all.Destinations {
				rows = append(rows, []cell{
					{d.Name, bold},
					{d.Kind, plain},
					{fmt.Sprint(d.Waiting), plain},
					{at(d.Oldest), plain},
					{at(d.Delivered), plain},
					{fmt.Sprint(d.Failures), plain},
					{d.Error, red},
				})
			}
			c.out.table("", true, rows)
			return nil
		}),
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "test NAME",
		Short:   "Send a test event to a destination",
		Example: "  rhumb notify test ops",
		Args:    takes("NAME"),
		RunE: running(func(_ *cobra.Command, args []string) error {
			done, err := ask(c, func(ctx context.Context, n *api.Client) (*api.NotifyTested, error) { return n.TestNotify(ctx, args[0]) })
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(done)
			}
			fmt.Fprintf(c.out.w, "%s took it in %s: %s\n", done.Name, done.Took, done.Result)
			return nil
		}),
	})
	return cmd
}
