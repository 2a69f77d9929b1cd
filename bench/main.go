package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// settings of one run.
type settings struct {
	dir     string // for configurations, zones and the program; removed in the end
	rhumb   string // the program under test
	self    string // this program, for its own subcommands
	coredns string // "" when it is not there
	cert    string // of a name of its own, for TLS
	key     string

	warm, each time.Duration // of one run
	rounds     int
	many       int           // names of the large cases
	rate       int           // queries a second of the modest rate
	handshakes int           // TLS connections a second
	probes     int           // of the soak
	lossFor    time.Duration // of each run with loss
	lossEnds   int           // endpoints of them
	noisy      bool
	quick      bool // all that is wanted is to see that it runs

	serverCores []int
	clientCore  int

	world     *world // made when it is first wanted
	listeners []netip.AddrPort

	said map[string]bool // what is missing
	wide int             // of the progress on the terminal
}

func main() {
	if len(os.Args) > 1 {
		// What the benchmark starts of itself, on a core of its own.
		switch os.Args[1] {
		case "echo":
			exit(echo())
		case "load":
			exit(loadCommand(os.Args[2:]))
		case "farm":
			exit(farmCommand())
		case "dial":
			exit(dialCommand(os.Args[2:]))
		case "flood":
			exit(floodCommand(os.Args[2:]))
		case "soak-peers", "soak-probes":
			exit(soakCommand(os.Args[1:]))
		case "loss":
			exit(lossCommand(os.Args[2]))
		case "atlas":
			exit(atlasCommand(os.Args[2]))
		}
	}
	s := &settings{said: map[string]bool{}}
	quick := flag.Bool("quick", false, "see that everything runs: short rounds, 20,000 names in place of a million, few cases; the figures mean nothing")
	only := flag.String("only", "", "the parts to run, by commas: "+strings.Join(partNames(s), ", ")+" (default all)")
	flag.BoolVar(&s.noisy, "noisy", false, "show what is refused as well, marked with !: to work on the benchmark itself")
	flag.IntVar(&s.rounds, "rounds", 5, "how often each pair of servers is measured")
	flag.DurationVar(&s.each, "for", 2*time.Second, "how long each run counts")
	flag.DurationVar(&s.warm, "warm", 300*time.Millisecond, "how long each run warms up")
	flag.IntVar(&s.many, "names", 1_000_000, "names of the large cases")
	flag.IntVar(&s.rate, "rate", 20_000, "queries a second of the fixed rate")
	flag.IntVar(&s.handshakes, "handshakes", 300, "TLS connections a second")
	flag.IntVar(&s.probes, "probes", soakProbes, "probes of the soak")
	flag.DurationVar(&s.lossFor, "loss-for", 5*time.Minute, "how long a node checks over each kind of a road that loses packets")
	flag.IntVar(&s.lossEnds, "loss-endpoints", 630, "endpoints behind it")
	core := flag.Bool("coredns", false, "build CoreDNS for the comparison")
	raw := flag.String("json", "", "write all that was measured to this file")
	doc := flag.String("write", "", "write the tables into this document, between its marks")
	flag.Parse()
	exit(run(s, options{quick: *quick, only: *only, coredns: *core, json: *raw, document: *doc}))
}

// options are what is not needed once a run has begun.
type options struct {
	quick, coredns       bool
	only, json, document string
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// part is one thing to measure.
type part struct {
	name string
	// quick: it is done when all that is wanted is to see that it runs.
	quick bool
	run   func(context.Context, *settings) ([]table, error)
}

// parts are all there are, in the order in which they run.
func parts(s *settings) []part {
	all := []part{{"resolve", true, benchResolve}, {"client", true, benchClient}}
	for _, c := range contests(s) {
		quick := slices.Contains([]string{"plain", "tcp", "dot"}, c.name)
		all = append(all, part{c.name, quick, func(ctx context.Context, s *settings) ([]table, error) { return benchContest(ctx, s, &c) }})
	}
	return append(all,
		part{"steering", false, benchPresets},
		part{"cities", true, benchCities},
		part{"cores", false, benchCores},
		part{"million", true, benchMillion},
		part{"reload", true, benchReload},
		part{"change", true, benchChange},
		part{"health", true, benchHealth},
		part{"soak", true, benchSoak},
		part{"loss", true, benchLoss},
		part{"idle", true, benchIdle},
		part{"flood", false, benchFlood})
}

func partNames(s *settings) []string {
	var names []string
	for _, p := range parts(s) {
		names = append(names, p.name)
	}
	return names
}

func run(s *settings, o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if o.quick {
		s.each, s.warm, s.rounds, s.many = 200*time.Millisecond, 50*time.Millisecond, 1, 20_000
		s.noisy, s.quick = true, true
	}
	var wanted []string
	if o.only != "" {
		wanted = strings.Split(o.only, ",")
	}
	for _, w := range wanted {
		if !slices.Contains(partNames(s), w) {
			return fmt.Errorf("no part %q: there are %s", w, strings.Join(partNames(s), ", "))
		}
	}
	s.serverCores, s.clientCore = chooseCores()
	var err error
	if s.dir, err = os.MkdirTemp("", "rhumb-bench"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(s.dir) }()
	if s.self, err = os.Executable(); err != nil {
		return err
	}
	s.rhumb = filepath.Join(s.dir, "rhumb")
	if out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", s.rhumb, "./cmd/rhumb").CombinedOutput(); err != nil {
		return fmt.Errorf("build (run it at the root of the project): %w\n%s", err, out)
	}
	if o.coredns {
		s.buildCoreDNS(ctx)
	}
	if err := s.certificate(); err != nil {
		return err
	}
	where := machine(s)
	fmt.Printf("%s.\n%d rounds of %v; medians (least–most).\n\n", where, s.rounds, s.each)
	var blocks []block
	for _, p := range parts(s) {
		if wanted != nil && !slices.Contains(wanted, p.name) || wanted == nil && o.quick && !p.quick {
			continue
		}
		tables, err := p.run(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, errors.Join(err, context.Cause(ctx)))
		}
		for i := range tables {
			if err := tables[i].print(os.Stdout); err != nil {
				return err
			}
		}
		blocks = append(blocks, block{p.name, command(p.name, o), tables})
	}
	if o.json != "" {
		b, err := json.MarshalIndent(struct {
			Machine string
			Blocks  []block
		}{where, blocks}, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.document != "" {
		return writeBlocks(o.document, blocks, where)
	}
	return nil
}

// command is the one that measures a part again, with the flags that change
// figures.
func command(part string, o options) string {
	c := "go run ./bench"
	if o.coredns {
		c += " -coredns"
	}
	flag.Visit(func(f *flag.Flag) {
		if !slices.Contains([]string{"only", "json", "write", "coredns"}, f.Name) {
			c += " -" + f.Name + "=" + f.Value.String()
		}
	})
	return c + " -only " + part
}
