package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/app"
	"github.com/rhumb-dns/rhumb/demo"
	"github.com/rhumb-dns/rhumb/spec"
)

// defaultConfig is where packages put the configuration.
const defaultConfig = "/etc/rhumb/rhumb.yaml"

func configFlag(cmd *cobra.Command, into *string) {
	cmd.Flags().StringVarP(into, "config", "c", "", "configuration file; also RHUMB_CONFIG (default "+defaultConfig+")")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // fails only for a flag that is not there
}

// config is the configuration file that is meant.
func config(flag string) (string, error) {
	if path := cmp.Or(flag, os.Getenv("RHUMB_CONFIG")); path != "" {
		return path, nil
	}
	if _, err := os.Stat(defaultConfig); err == nil {
		return defaultConfig, nil
	}
	return "", misuse{fmt.Errorf("no configuration: name one with -c FILE or RHUMB_CONFIG; there is no %s", defaultConfig)}
}

// untilSignal is a context that ends with SIGINT or SIGTERM. A second one ends
// the process at once.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

func (c *cli) serveCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "serve [-c FILE]",
		Short: "Answer DNS queries, judge endpoints, serve the API",
		Long: "Answers DNS queries as the configuration says, until SIGINT or SIGTERM.\n" +
			"SIGHUP, a change of the files, or `rhumb reload` makes it read them again;\n" +
			"a configuration with an error changes nothing.",
		Args: takes(),
		RunE: running(func(*cobra.Command, []string) error {
			path, err := config(file)
			if err != nil {
				return err
			}
			// Before the configuration is read, which may take seconds.
			ctx, stop := untilSignal()
			defer stop()
			hangups, unhook := app.Hangups()
			defer unhook()
			node, err := app.New(app.Options{Config: path, Version: release(), LogWriter: c.err, Hangups: hangups})
			if err != nil {
				return err
			}
			return node.Run(ctx)
		}),
	}
	configFlag(cmd, &file)
	return cmd
}

func (c *cli) demoCommand() *cobra.Command {
	var dns, admin string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Three endpoints on this machine, steered before your eyes",
		Long: "Starts three small endpoints of its own, serves the zone demo.test for them, and\n" +
			"shows what is answered while you break and mend them with the keys 1, 2 and 3.",
		Args: takes(),
		RunE: running(func(*cobra.Command, []string) error {
			o := demo.Options{Version: release(), In: c.in, Out: c.outFile}
			for _, f := range []struct {
				flag, text string
				into       *netip.AddrPort
			}{{"--dns", dns, &o.DNS}, {"--admin", admin, &o.Admin}} {
				if f.text == "" {
					continue
				}
				var err error
				if *f.into, err = netip.ParseAddrPort(f.text); err != nil {
					return misuse{fmt.Errorf("%s: %q is no address:port", f.flag, f.text)}
				}
			}
			ctx, stop := untilSignal()
			defer stop()
			return demo.Run(ctx, o)
		}),
	}
	cmd.Flags().StringVar(&dns, "dns", "", "address and port of DNS (default 127.0.0.1:5300)")
	cmd.Flags().StringVar(&admin, "admin", "", "address and port of the API (default 127.0.0.1:8080)")
	return cmd
}

// checked is the JSON of `rhumb check`.
type checked struct {
	OK        bool          `json:"ok"`
	File      string        `json:"file"`
	Errors    []placedError `json:"errors"`
	Warnings  []placedError `json:"warnings"`
	Zones     int           `json:"zones"`
	Records   int           `json:"records"` // static ones
	Services  int           `json:"services"`
	Pools     int           `json:"pools"`
	Endpoints int           `json:"endpoints"`
	Checks    int           `json:"checks"`
}

type placedError struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
}

func placed(all []spec.Error) []placedError {
	out := []placedError{}
	for _, e := range all {
		out = append(out, placedError{e.File, e.Line, e.Col, e.Path, e.Msg})
	}
	return out
}

func (c *cli) checkCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "check [-c FILE]",
		Short: "Say everything that is wrong with a configuration",
		Long: "Reads a configuration as `rhumb serve` does, without opening a socket or making\n" +
			"a probe, and prints every error as file:line:col: path: why.",
		Args: takes(),
		RunE: running(func(*cobra.Command, []string) error {
			path, err := config(file)
			if err != nil {
				return err
			}
			s, err := load(path)
			if c.json {
				return c.checkedJSON(path, s, err)
			}
			if err != nil {
				return err
			}
			for _, w := range s.Warnings {
				fmt.Fprintf(c.err, "warning: %s\n", w)
			}
			n := tally(path, s)
			c.out.line(cell{"ok", green}, cell{fmt.Sprintf(": %s: %s, %s, %s, %s, %s, %s, %s", path,
				count(n.Zones, "zone"), count(n.Records, "record"), count(n.Services, "service"), count(n.Pools, "pool"),
				count(n.Endpoints, "endpoint"), count(n.Checks, "check"), count(len(n.Warnings), "warning")), plain})
			return nil
		}),
	}
	configFlag(cmd, &file)
	return cmd
}

// load reads a configuration and finds everything that can be wrong with it
// short of serving it.
func load(path string) (*spec.Spec, error) {
	s, _, err := spec.Load(path, spec.Options{})
	if err != nil {
		return nil, err
	}
	engine, err := rhumb.New(rhumb.Options{})
	if err != nil {
		return nil, err
	}
	if _, err := engine.Prepare(s); err != nil {
		return nil, err
	}
	return s, nil
}

func tally(path string, s *spec.Spec) checked {
	n := checked{
		OK: true, File: path, Errors: []placedError{}, Warnings: placed(s.Warnings),
		Zones: len(s.Zones), Pools: len(s.Pools), Checks: len(s.Checks),
	}
	for _, z := range s.Zones {
		n.Services += z.Services.Len()
		n.Records += z.Data.Records
	}
	for _, p := range s.Pools {
		if p.Nested == nil {
			n.Endpoints += len(p.Endpoints)
		}
	}
	return n
}

func (c *cli) checkedJSON(path string, s *spec.Spec, err error) error {
	if err == nil {
		return c.printJSON(tally(path, s))
	}
	bad := checked{File: path, Warnings: []placedError{}}
	var many spec.Errors
	if errors.As(err, &many) {
		bad.Errors = placed(many)
	} else {
		bad.Errors = []placedError{{File: path, Message: err.Error()}}
	}
	if err := c.printJSON(bad); err != nil {
		return err
	}
	return errSaid
}
