package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/simulate"
	"github.com/rhumb-dns/rhumb/spec"
)

// simulateFlags are what is simulated.
type simulateFlags struct {
	file, compare       string
	clients             string
	networks, queries   int
	seed                uint64
	services, types     []string
	down, drain, weight []string
	latency, load       []string
	failIf              []string
	live                bool
	suppositions        []simulate.Supposition
	conditions          []*simulate.Expression
	options             simulate.Options
}

func (c *cli) simulateCommand() *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate [-c FILE]",
		Short: "Where the traffic goes, and where it would go if",
		Long: "Asks a configuration the questions of many clients and prints each endpoint's share\n" +
			"of the answers: as it is, and with something supposed or with another configuration\n" +
			"in its place. Then it says which clients move, how many, and how far. It needs no\n" +
			"running node; every endpoint counts as up unless --down, --drain or --live says\n" +
			"otherwise.\n\n" +
			"The exit status is 3 when a condition of --fail-if holds.",
		Example: "  rhumb simulate -c rhumb.yaml --down pool=eu\n" +
			"  rhumb simulate -c rhumb.yaml --weight endpoint=192.0.2.10=50 --service www.gslb.example.com\n" +
			"  rhumb simulate -c rhumb.yaml --compare new.yaml --fail-if 'moved > 0.2 or max_share > 0.6'\n" +
			"  rhumb simulate -c rhumb.yaml --drain endpoint=192.0.2.10 --clients queries.pcap --load 20k/s",
		Args: takes(),
		RunE: running(func(*cobra.Command, []string) error { return c.simulate(&f) }),
	}
	flags := cmd.Flags()
	configFlag(cmd, &f.file)
	flags.StringVar(&f.compare, "compare", "", "another configuration, which takes the place of this one; what is supposed is supposed of it")
	flags.StringArrayVar(&f.down, "down", nil, "suppose that this has failed: pool=NAME, region=NAME, service=NAME or endpoint=ADDRESS")
	flags.StringArrayVar(&f.drain, "drain", nil, "suppose that an operator has taken this out of service; as --down")
	flags.StringArrayVar(&f.weight, "weight", nil, "suppose another weight: endpoint=ADDRESS=WEIGHT or pool=NAME=WEIGHT")
	flags.StringArrayVar(&f.latency, "latency", nil, "suppose a latency, for the filter of that name: endpoint=ADDRESS=40ms; as --down")
	flags.StringVar(&f.clients, "clients", "", "file that says who asks: prefixes with weights, or queries as pcap, pcapng or dnstap (default the internet's users by country)")
	flags.StringArrayVar(&f.services, "service", nil, "ask for this service; more than one may be stated (default all)")
	flags.StringArrayVar(&f.types, "type", nil, "ask for this type: A, AAAA, both, or another one (default those that a service has endpoints of)")
	flags.IntVar(&f.queries, "queries", simulate.DefaultQueries, "how many queries are simulated")
	flags.IntVar(&f.networks, "networks", simulate.DefaultNetworks, "how many networks stand for the internet's users")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of all random numbers: the same gives the same result")
	flags.StringArrayVar(&f.load, "load", nil, "load of all endpoints together in the unit of their limits, such as 20000 or 20k/s; or suppose what is reported of some, for the filter shed: endpoint=ADDRESS=90")
	flags.StringArrayVar(&f.failIf, "fail-if", nil, "exit with status 3 when this holds, such as 'max_share > 0.6'")
	flags.BoolVar(&f.live, "live", false, "take health, latency and load of endpoints from the running node that --api names")
	_ = cmd.MarkFlagFilename("compare", "yaml", "yml") // the flags are there
	_ = cmd.MarkFlagFilename("clients")
	return cmd
}

// The limits of what may be simulated.
const (
	maxQueries  = 1_000_000_000
	maxNetworks = 10_000_000
)

func (c *cli) simulate(f *simulateFlags) error {
	if err := c.readSimulation(f); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	notes, err := c.worlds(f)
	if err != nil {
		return err
	}
	if f.options.Mix, err = f.mix(); err != nil {
		return err
	}
	r, err := simulate.Run(ctx, f.options)
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case err != nil:
		return err
	}
	for _, s := range f.suppositions {
		r.Suppositions = append(r.Suppositions, s.String())
	}
	unmet := false
	for _, x := range f.conditions {
		holds, err := x.Check(r)
		if err != nil {
			return c.faulty(err)
		}
		unmet = unmet || holds
	}
	if c.json {
		err = c.printJSON(r)
	} else {
		c.printSimulation(r, f, notes)
	}
	if err == nil && unmet {
		return errUnmet
	}
	return err
}

// readSimulation reads what the flags say, before anything is done that takes
// long.
func (c *cli) readSimulation(f *simulateFlags) error {
	o := &f.options
	o.Queries, o.Seed = f.queries, f.seed
	if f.queries < 1 || f.queries > maxQueries {
		return misuse{fmt.Errorf("--queries %d: a number from 1 to %d", f.queries, maxQueries)}
	}
	if f.networks < 1 || f.networks > maxNetworks {
		return misuse{fmt.Errorf("--networks %d: a number from 1 to %d", f.networks, maxNetworks)}
	}
	var total, loads []string
	for _, text := range f.load {
		if strings.Contains(text, "=") {
			loads = append(loads, text)
		} else {
			total = append(total, text)
		}
	}
	for _, a := range []struct {
		flag  string
		act   simulate.Act
		texts []string
	}{{"--down", simulate.Down, f.down}, {"--drain", simulate.Drain, f.drain}, {"--weight", simulate.Weight, f.weight}, {"--latency", simulate.Latency, f.latency}, {"--load", simulate.Loaded, loads}} {
		for _, text := range a.texts {
			s, err := simulate.ParseSupposition(a.act, text)
			if err != nil {
				return misuse{fmt.Errorf("%s %w", a.flag, err)}
			}
			f.suppositions = append(f.suppositions, s)
		}
	}
	var err error
	if o.Services, err = simulate.ParseServices(f.services); err != nil {
		return misuse{fmt.Errorf("--service: %w", err)}
	}
	if o.Types, err = simulate.ParseTypes(f.types); err != nil {
		return misuse{fmt.Errorf("--type: %w", err)}
	}
	if len(total) > 1 {
		return misuse{fmt.Errorf("--load %s and %s: what all have together is stated once", total[0], total[1])}
	}
	for _, text := range total {
		if o.Load, err = simulate.ParseLoad(text); err != nil {
			return misuse{fmt.Errorf("--load: %w", err)}
		}
	}
	for _, text := range f.failIf {
		x, err := simulate.ParseCondition(text)
		if err != nil {
			return c.faulty(err)
		}
		f.conditions = append(f.conditions, x)
	}
	return nil
}

// faulty shows what is wrong with a condition, and where.
func (c *cli) faulty(err error) error {
	var fault *simulate.Fault
	if !errors.As(err, &fault) {
		return err
	}
	for line := range strings.Lines(fault.Caret()) {
		fmt.Fprintf(c.err, "  %s\n", strings.TrimRight(line, "\n"))
	}
	return misuse{fmt.Errorf("--fail-if: %s", fault.Why)}
}

// worlds puts the configurations in force. Notes are what is to be said of them.
func (c *cli) worlds(f *simulateFlags) (notes []string, err error) {
	path, err := config(f.file)
	f.file = path
	if err != nil {
		return nil, err
	}
	var facts simulate.Facts
	if f.live {
		if facts, notes, err = c.facts(); err != nil {
			return nil, err
		}
	}
	if f.options.Before, err = world(path, nil, facts); err != nil {
		return nil, err
	}
	if f.compare == "" && len(f.suppositions) == 0 {
		return notes, nil
	}
	if f.compare != "" {
		path = f.compare
	}
	f.options.After, err = world(path, f.suppositions, facts)
	return notes, err
}

func world(path string, suppositions []simulate.Supposition, facts simulate.Facts) (*simulate.World, error) {
	s, _, err := spec.Load(path, spec.Options{})
	if err != nil {
		return nil, err
	}
	w, err := simulate.NewWorld(s, suppositions, facts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return w, nil
}

// facts are what a node knows of endpoints.
func (c *cli) facts() (facts simulate.Facts, notes []string, err error) {
	all, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Servers, error) {
		return n.Servers(ctx, api.ServersQuery{})
	})
	if err != nil {
		return facts, nil, err
	}
	facts = simulate.Live(all)
	up, words := 0, 0
	for _, s := range facts.States {
		if s == "up" {
			up++
		}
	}
	for _, s := range all.Servers {
		words += len(s.Overrides)
	}
	notes = append(notes, fmt.Sprintf("health as the node has it now: %d of %s up", up, count(len(facts.States), "endpoint")))
	if n, m := len(facts.Latency), len(facts.Load); n+m > 0 {
		notes = append(notes, fmt.Sprintf("measured by the node: the latency of %d, the load of %d", n, m))
	}
	if words > 0 {
		notes = append(notes, fmt.Sprintf("not considered: %s of an operator", count(words, "override")))
	}
	return facts, notes, nil
}

// mix is who asks.
func (f *simulateFlags) mix() (*simulate.Mix, error) {
	if f.clients == "" {
		return simulate.Population(f.options.Before.Places, f.networks, f.seed)
	}
	file, err := os.Open(f.clients)
	if err != nil {
		return nil, fmt.Errorf("--clients: %w", err)
	}
	defer file.Close()
	worlds := []*simulate.World{f.options.Before}
	if f.options.After != nil {
		worlds = append(worlds, f.options.After)
	}
	m, err := simulate.Clients(f.clients, file, f.seed, worlds...)
	if err != nil {
		return nil, fmt.Errorf("--clients: %w", err)
	}
	return m, nil
}
