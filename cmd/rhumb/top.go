package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/top"
)

// The bounds of --interval: what a node measures for at most, and what is no
// load for it.
const (
	shortInterval = 100 * time.Millisecond
	longInterval  = 10 * time.Second
)

// pageWidth is how wide a reading is where there is no terminal.
const pageWidth = 100

func (c *cli) topCommand() *cobra.Command {
	var (
		interval time.Duration
		limit    int
		once     bool
	)
	cmd := &cobra.Command{
		Use:   "top",
		Short: "What is asked most now, live",
		Long: "Shows queries a second, latency, and what is asked most: by zone, service, type,\n" +
			"response code, endpoint, client network and name, with drops and limits, and\n" +
			"who is rate limited. Networks and names are estimates from a sample.\n\n" +
			"In a terminal it goes on until q is pressed; 1 to 9 show one list, s sorts by\n" +
			"another column, space pauses. Elsewhere it prints one reading and ends.",
		Args: takes(),
		RunE: running(func(*cobra.Command, []string) error {
			if interval < shortInterval || interval > longInterval {
				return misuse{fmt.Errorf("--interval %v: it is from %v to %v", interval, shortInterval, longInterval)}
			}
			if limit < 1 || limit > 1000 {
				return misuse{fmt.Errorf("--limit %d: it is from 1 to 1000", limit)}
			}
			c.node.timeout += interval // the node measures before it answers
			if c.json || once || !term.IsTerminal(int(c.outFile.Fd())) {
				return c.topOnce(api.TopQuery{Window: interval, Limit: limit})
			}
			return c.topLive(interval)
		}),
	}
	cmd.Flags().DurationVar(&interval, "interval", time.Second, "how long each reading measures")
	cmd.Flags().IntVar(&limit, "limit", 10, "how many entries of each list, when printed once")
	cmd.Flags().BoolVar(&once, "once", false, "print one reading and end")
	return cmd
}

// topOnce prints one reading.
func (c *cli) topOnce(q api.TopQuery) error {
	t, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Top, error) { return n.Top(ctx, q) })
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(t)
	}
	t.GeneratedAt = t.GeneratedAt.Local()
	v := top.View{Width: pageWidth, Color: c.out.color}
	if w, _, err := term.GetSize(int(c.outFile.Fd())); err == nil {
		v.Width = w
	}
	for _, line := range v.Frame(t) {
		if _, err := fmt.Fprintln(c.out.w, line); err != nil {
			return err
		}
	}
	return nil
}

// topLive shows readings until somebody has seen enough.
func (c *cli) topLive(interval time.Duration) error {
	node, err := c.client()
	if err != nil {
		return err
	}
	// Whatever ends it, the terminal is put right first.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err = top.Run(ctx, top.Options{
		In: c.in, Out: c.outFile, Color: c.out.color, Interval: interval,
		Read: func(ctx context.Context, limit int) (*api.Top, error) {
			t, err := node.Top(ctx, api.TopQuery{Window: interval, Limit: limit})
			if err == nil {
				t.GeneratedAt = t.GeneratedAt.Local()
			}
			return t, err
		},
	})
	var away *api.Unreachable
	if errors.As(err, &away) {
		return fmt.Errorf("%w; is `rhumb serve` running there? --api names another", err)
	}
	return err
}
