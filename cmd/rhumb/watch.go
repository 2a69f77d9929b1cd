package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/rhumb-dns/rhumb/api"
)

// What a terminal is told. The other screen keeps what was on this one, and lines
// that are too long end at its edge.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// watchServers shows the endpoints until it is interrupted.
func (c *cli) watchServers(q api.ServersQuery, interval time.Duration) error {
	// The first answer before the screen changes, so that what is wrong stays visible.
	first, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Servers, error) { return serversOf(ctx, n, q) })
	if err != nil {
		return err
	}
	node, err := c.client()
	if err != nil {
		return err
	}
	// Whatever ends it, the terminal is put right first.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	var show func(*api.Servers, error) error = (&changes{c: c}).show
	if fd := int(c.outFile.Fd()); term.IsTerminal(fd) {
		if _, err := io.WriteString(c.out.w, enterScreen); err != nil {
			return err
		}
		defer func() { _, _ = io.WriteString(c.out.w, leaveScreen) }() // nothing is left to be done about it
		s := &screen{w: c.out.w, size: func() (int, int) { columns, rows, _ := term.GetSize(fd); return columns, rows }}
		show = func(all *api.Servers, err error) error { return s.draw(c.frame(all, err)) }
	}
	w := watching{
		interval: interval, show: show,
		read: func(ctx context.Context) (*api.Servers, error) { return node.Servers(ctx, q) },
	}
	return w.follow(ctx, first)
}

// watching is how answers are come by, and what is done with them.
type watching struct {
	interval time.Duration
	read     func(context.Context) (*api.Servers, error)
	show     func(all *api.Servers, trouble error) error
}

// follow shows the first answer and then one after the other until ctx ends. A
// node that goes away is waited for.
func (w *watching) follow(ctx context.Context, last *api.Servers) error {
	next := time.NewTicker(w.interval)
	defer next.Stop()
	var trouble error
	for {
		if err := w.show(last, trouble); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		all, err := w.read(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if trouble = err; err == nil {
			last = all
		}
	}
}

// frame is the lines of an answer. trouble is why there is none that is newer.
func (c *cli) frame(all *api.Servers, trouble error) []string {
	var b bytes.Buffer
	page := *c
	page.out.w, page.err = &b, &b
	head := []cell{{count(all.Total, "endpoint"), bold}, {" at " + c.now().Format(time.TimeOnly), dim}}
	if trouble != nil {
		head = append(head, cell{"  " + oneLine(trouble.Error()), red})
	}
	page.out.line(head...)
	page.printServers(all)
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// screen is a terminal with what is on it.
type screen struct {
	w       io.Writer
	size    func() (columns, rows int)
	columns int
	rows    int
	before  []string
}

// draw writes the lines that are others than before.
func (s *screen) draw(lines []string) error {
	var b strings.Builder
	// When it changes, the terminal has moved its text about, or has room for what
	// ended at its edge.
	if columns, rows := s.size(); columns != s.columns || max(rows, 2) != s.rows {
		s.columns, s.rows, s.before = columns, max(rows, 2), nil
		b.WriteString("\x1b[2J")
	}
	if len(lines) > s.rows {
		more := len(lines) - s.rows + 1
		lines = append(lines[:s.rows-1:s.rows-1], fmt.Sprintf("... and %s more", count(more, "line")))
	}
	for i := range max(len(lines), len(s.before)) {
		now, was := "", ""
		if i < len(lines) {
			now = lines[i]
		}
		if i < len(s.before) {
			was = s.before[i]
		}
		if now != was {
			fmt.Fprintf(&b, "\x1b[%d;1H%s\x1b[K", i+1, now)
		}
	}
	s.before = lines
	_, err := io.WriteString(s.w, b.String())
	return err
}

// changes prints what changes, for where there is no terminal.
type changes struct {
	c      *cli
	before map[string]string
	away   bool
}

func (p *changes) show(all *api.Servers, trouble error) error {
	if trouble != nil {
		if !p.away {
			p.c.complain(trouble)
		}
		p.away = true
		return nil
	}
	p.away = false
	now := make(map[string]string, len(all.Servers))
	var lines strings.Builder
	line := func(text string) {
		fmt.Fprintf(&lines, "%s %s\n", all.GeneratedAt.UTC().Format(time.RFC3339), clean(text))
	}
	for _, s := range all.Servers {
		key := strings.TrimSpace(s.Pool + " " + s.Address + " " + s.Service)
		is := s.State + " by " + s.Authority
		if s.Reason != "" {
			is += ": " + s.Reason
		}
		for _, o := range s.Overrides {
			if s.Service == "" {
				is += "; overridden for " + o.Service + ": " + saying(&o).text
			}
		}
		now[key] = is
		if was, ok := p.before[key]; !ok || was != is {
			line(key + " " + is)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.before)) {
		if _, ok := now[key]; !ok {
			line(key + " is not there any more")
		}
	}
	p.before = now
	_, err := io.WriteString(p.c.out.w, lines.String())
	if errors.Is(err, syscall.EPIPE) {
		return errSaid // whoever read it has seen enough
	}
	return err
}
