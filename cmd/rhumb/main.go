package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
	_ "time/tzdata" // zones of schedules, on machines that have no files of them

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rhumb-dns/rhumb/spec"
)

func main() {
	c := &cli{
		in: os.Stdin, outFile: os.Stdout, out: page{w: os.Stdout, color: colored(os.Stdout)},
		err: os.Stderr, now: time.Now,
	}
	os.Exit(c.run(os.Args[1:]))
}

// The exit codes.
const (
	exitFailure = 1
	exitMisuse  = 2
	exitUnmet   = 3 // a simulation came out as it must not
)

// cli is one invocation.
type cli struct {
	in, outFile *os.File
	out         page
	err         io.Writer
	now         func() time.Time

	node nodeFlags
	json bool
}

// failure is an error of a command that was called as it should be.
type failure struct{ err error }

func (f failure) Error() string { return f.err.Error() }
func (f failure) Unwrap() error { return f.err }

// misuse is an error of how a command was called, found while it ran.
type misuse struct{ error }

// errSaid is a failure of which all has been said.
var errSaid = errors.New("said")

// errUnmet is that of a simulation of which a condition says that it fails.
var errUnmet = errors.New("a condition holds")

// run executes a command line and gives its exit code.
func (c *cli) run(args []string) int {
	root := c.root()
	root.SetArgs(args)
	root.SetIn(c.in)
	root.SetOut(c.out.w)
	root.SetErr(c.err)
	cmd, err := root.ExecuteC()
	var f failure
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUnmet):
		return exitUnmet
	case errors.Is(err, errSaid):
		return exitFailure
	case errors.As(err, &f):
		c.complain(f.err)
		return exitFailure
	}
	said, _, _ := strings.Cut(oneLine(err.Error()), ": strconv.") // of a flag: what Go calls it helps nobody
	fmt.Fprintf(c.err, "rhumb: %s; see `%s --help`\n", said, cmd.CommandPath())
	return exitMisuse
}

// complain prints an error. The errors of a configuration have a place of their
// own to begin with.
func (c *cli) complain(err error) {
	var many spec.Errors
	if errors.As(err, &many) {
		fmt.Fprintf(c.err, "%s\nrhumb: %s\n", many, count(len(many), "error"))
		return
	}
	fmt.Fprintf(c.err, "rhumb: %s\n", oneLine(err.Error()))
}

func oneLine(s string) string { return strings.Join(strings.Fields(clean(s)), " ") }

// running wraps what a command does, so that its errors are told from those of
// how it was called.
func running(do func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := do(cmd, args)
		var m misuse
		if err == nil || errors.As(err, &m) {
			return err
		}
		return failure{err}
	}
}

func (c *cli) root() *cobra.Command {
	cobra.EnableCommandSorting = false
	root := &cobra.Command{
		Use:   "rhumb",
		Short: "A global server load balancer that works through DNS",
		Long: "Rhumb answers each DNS query with the endpoints that are alive and best for\n" +
			"that client, and can say why.",
		Version:           release(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              subcommands,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		DisableAutoGenTag: true,
	}
	root.SetVersionTemplate("rhumb {{.Version}}\n")
	root.SuggestionsMinimumDistance = 2
	root.AddGroup(&cobra.Group{ID: "run", Title: "Run a node:"}, &cobra.Group{ID: "ask", Title: "Ask a running node:"})
	for _, sub := range []*cobra.Command{c.serveCommand(), c.checkCommand(), c.importCommand(), c.simulateCommand(), c.demoCommand()} {
		sub.GroupID = "run"
		root.AddCommand(sub)
	}
	for _, sub := range []*cobra.Command{
		c.statusCommand(), c.topCommand(), c.serversCommand(), c.poolsCommand(), c.explainCommand(), c.geoCommand(),
		c.overridesCommand(), c.drainCommand(), c.maintenanceCommand(), c.auditCommand(), c.historyCommand(), c.eventsCommand(), c.notifyCommand(), c.loadCommand(), c.resultCommand(), c.failbackCommand(), c.reloadCommand(),
	} {
		sub.GroupID = "ask"
		root.AddCommand(sub)
	}
	root.AddCommand(c.versionCommand())
	c.node.add(root.PersistentFlags())
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON, for programs")
	return root
}

// subcommands are the arguments of a command that has subcommands.
func subcommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf(" (did you mean %s?)", near[0])
	}
	return fmt.Errorf("%s has no command %q%s", cmd.CommandPath(), args[0], hint)
}

// takes are the arguments of a command that has no subcommands: their names as
// Use has them, those in brackets being optional.
func takes(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < len(names) && names[len(args)][0] != '[' {
			return fmt.Errorf("%s is missing", names[len(args)])
		}
		for i := range min(len(args), len(names)) {
			if args[i] == "" {
				return fmt.Errorf("%s is empty", strings.Trim(names[i], "[]"))
			}
		}
		if len(args) > len(names) {
			return fmt.Errorf("%q is one argument too many", args[len(names)])
		}
		return nil
	}
}

// printJSON prints a value of the API.
func (c *cli) printJSON(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = c.out.w.Write(append(b, '\n'))
	return err
}

// printLine prints a value as JSON on one line.
func (c *cli) printLine(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = c.out.w.Write(append(b, '\n'))
	return err
}

// colored is whether colours are seen where f leads (https://no-color.org).
func colored(f *os.File) bool {
	if runtime.GOOS == "windows" && os.Getenv("WT_SESSION") == "" {
		return false // the console there shows escapes as they are
	}
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}
