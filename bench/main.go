package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// settings of one run.
type settings struct {
	dir    string // for configurations, zones and the program; removed in the end
	rhumb  string // the program under test
	self   string // this program, for its own subcommands
	each   time.Duration
	rounds int
	many   int // names of the large cases
}

func main() {
	if len(os.Args) > 1 {
		// What the benchmark starts of itself, on a core of its own.
		switch os.Args[1] {
		case "echo":
			exit(echo())
		case "load":
			exit(loadCommand(os.Args[2:]))
		}
	}
	quick := flag.Bool("quick", false, "short rounds and 20,000 names in place of a million")
	only := flag.String("only", "resolve,serve,million,change", "parts to run")
	flag.Parse()
	exit(run(*quick, strings.Split(*only, ",")))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(quick bool, parts []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s := settings{each: 3 * time.Second, rounds: 3, many: 1_000_000}
	if quick {
		s.each, s.rounds, s.many = 500*time.Millisecond, 1, 20_000
	}
	var err error
	if s.dir, err = os.MkdirTemp("", "rhumb-bench"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(s.dir) }()
	if s.self, err = os.Executable(); err != nil {
		return err
	}
	s.rhumb = filepath.Join(s.dir, "rhumb")
	if out, err := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", s.rhumb, "./cmd/rhumb").CombinedOutput(); err != nil {
		return fmt.Errorf("build (run it at the root of the project): %w\n%s", err, out)
	}
	fmt.Printf("%s, %s/%s, %d processors, %s\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cpuName())
	for _, p := range []struct {
		name string
		run  func(context.Context, settings) error
	}{
		{"resolve", benchResolve}, {"serve", benchServe}, {"million", benchMillion}, {"change", benchChange},
	} {
		if !slices.Contains(parts, p.name) {
			continue
		}
		if err := p.run(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Println()
	}
	return nil
}

func cpuName() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for l := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return "unknown processor"
}

func median[T int | float64 | time.Duration](v []T) T {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}
