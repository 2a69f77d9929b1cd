package demo

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/health"
)

// Terminal control (ECMA-48).
const (
	altScreen   = "\x1b[?1049h\x1b[?25l"
	mainScreen  = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
	bold        = "\x1b[1m"
	dim         = "\x1b[2m"
	red         = "\x1b[31m"
	green       = "\x1b[32m"
	yellow      = "\x1b[33m"
	cyan        = "\x1b[36m"
	plain       = "\x1b[0m"
	eventsShown = 6
)

// show draws the live view until a key or ctx ends it.
func (d *demo) show(ctx context.Context, stop func()) {
	if d.o.In != nil && term.IsTerminal(int(d.o.In.Fd())) {
		if old, err := term.MakeRaw(int(d.o.In.Fd())); err == nil {
			defer func() { _ = term.Restore(int(d.o.In.Fd()), old) }()
		}
	}
	_, _ = d.o.Out.WriteString(altScreen)
	defer func() { _, _ = d.o.Out.WriteString(mainScreen) }()
	pressed := keys(d.o.In)
	asking := time.NewTicker(askEvery)
	defer asking.Stop()
	drawing := time.NewTicker(drawEvery)
	defer drawing.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case k := <-pressed:
			if d.press(k) {
				stop()
				return
			}
			d.draw()
		case <-asking.C:
			d.ask(ctx)
		case <-drawing.C:
			d.draw()
		}
	}
}

func (d *demo) draw() {
	width, height, err := term.GetSize(int(d.o.Out.Fd()))
	if err != nil || width == 0 || height == 0 { // some terminals do not know
		width, height = 80, 24
	}
	lines := d.picture()
	var b bytes.Buffer
	b.WriteString(home)
	for i, l := range lines {
		if i >= height-1 {
			break
		}
		b.WriteString(clip(l, width))
		b.WriteString(plain + clearLine + "\r\n")
	}
	b.WriteString(clearBelow)
	_, _ = d.o.Out.Write(b.Bytes())
}

// clip cuts a line to the width of the screen; control sequences take no room.
func clip(s string, width int) string {
	n := 0
	escape := false
	for i, r := range s {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			if n++; n > width {
				return s[:i]
			}
		}
	}
	return s
}

func (d *demo) picture() []string {
	dns := d.app.DNSAddrs()[0]
	at := fmt.Sprintf("dig @%s -p %d ", dns.Addr(), dns.Port())
	api := "http://" + d.app.AdminAddr().String()
	lines := []string{
		bold + cyan + "Rhumb demo" + plain + "   demo.test on " + dns.String() + "   API on " + api,
		"  " + bold + "1 2 3" + plain + " break or mend an endpoint    " + bold + "q" + plain + " quit",
		"",
		dim + "  try in another terminal" + plain,
		"    " + at + "www.demo.test",
		"    " + at + "api.demo.test +short",
		"    curl -s '" + api + "/api/v1/explain?name=www.demo.test'",
		"    curl -s " + d.endpoints[0].addr.String() + "/healthz",
		"",
		dim + "  key  endpoint    pool     state     since     why" + plain,
	}
	states := d.app.Engine().Endpoints()
	slices.SortFunc(states, func(a, b rhumb.EndpointStatus) int { // as the keys are
		return a.Endpoint.Address.Compare(b.Endpoint.Address)
	})
	for _, st := range states {
		lines = append(lines, d.endpointLine(st))
	}
	lines = append(lines, "", dim+fmt.Sprintf("  answers going out (the last %d)", shown)+plain)
	for _, s := range services {
		lines = append(lines, "  "+bold+s.name+plain+dim+"  "+s.steer+": "+s.why+plain)
		lines = append(lines, d.answerLines(s.name)...)
	}
	lines = append(lines, "")
	for _, e := range d.events.last(eventsShown) {
		lines = append(lines, dim+"  "+e+plain)
	}
	return lines
}

func (d *demo) endpointLine(st rhumb.EndpointStatus) string {
	color, mark := yellow, "?"
	switch st.Detail.State {
	case health.Up:
		color, mark = green, "●"
	case health.Down:
		color, mark = red, "✗"
	}
	since := ""
	if !st.Detail.Since.IsZero() {
		since = time.Since(st.Detail.Since).Truncate(time.Second).String()
	}
	state := st.Detail.State.String()
	key := "?"
	broken := ""
	for k, e := range d.endpoints {
		if e.addr.Addr() == st.Endpoint.Address {
			key = fmt.Sprint(k + 1)
			if e.broken.Load() {
				broken = yellow + "(broken by you) " + plain
			}
		}
	}
	return fmt.Sprintf("   %s%s%s   %-10s  %-7s  %s%s %-7s%s %-8s  %s%s%s%s", bold, key, plain,
		st.Endpoint, st.Pool.Name, color, mark, state, plain, since, broken, dim, st.Detail.Reason, plain)
}

func (d *demo) answerLines(service string) []string {
	if err := d.failed[service]; err != "" {
		return []string{"    " + red + err + plain}
	}
	count := map[string]int{}
	answers := d.tally[service]
	for _, a := range answers {
		count[a]++
	}
	var lines []string
	for _, a := range addresses {
		mark := "  "
		if len(answers) > 0 && answers[len(answers)-1] == a {
			mark = "→ "
		}
		lines = append(lines, fmt.Sprintf("    %s%-10s %s%s%s %d", mark, a, green, strings.Repeat("█", count[a]), plain, count[a]))
	}
	return lines
}

// narrate logs what the live view shows, whenever it changes.
func (d *demo) narrate(ctx context.Context, stop func(), log *slog.Logger) {
	dns := d.app.DNSAddrs()[0]
	log.Info("try", "command", fmt.Sprintf("dig @%s -p %d www.demo.test", dns.Addr(), dns.Port()))
	log.Info("try", "command", fmt.Sprintf("curl -s 'http://%s/api/v1/explain?name=www.demo.test'", d.app.AdminAddr()))
	log.Info("bytes 1, 2 and 3 on the input break and mend an endpoint; q ends")
	pressed := keys(d.o.In)
	asking := time.NewTicker(askEvery)
	defer asking.Stop()
	last := map[string]string{}
	for {
		select {
		case <-ctx.Done():
			return
		case k := <-pressed:
			if d.press(k) {
				stop()
				return
			}
			if i := int(k - '1'); k >= '1' && i < len(d.endpoints) {
				log.Info("key", "endpoint", d.endpoints[i].addr.Addr().String(), "broken", d.endpoints[i].broken.Load())
			}
		case <-asking.C:
			d.ask(ctx)
			for _, s := range services {
				now := d.going(s.name)
				if now != last[s.name] {
					last[s.name] = now
					log.Info("answers", "name", s.name, "endpoints", now)
				}
			}
		}
	}
}

// going is the endpoints that a service gives out: those of which the latest
// answers were. A weighted service needs several to show all of them.
func (d *demo) going(service string) string {
	if err := d.failed[service]; err != "" {
		return err
	}
	answers := slices.Clone(d.tally[service])
	answers = answers[max(0, len(answers)-shown/2):]
	slices.Sort(answers)
	return strings.Join(slices.Compact(answers), ",")
}

// tail keeps the last lines that were written to it.
type tail struct {
	mu    sync.Mutex
	lines []string
}

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for l := range strings.Lines(string(b)) {
		t.lines = append(t.lines, brief(strings.TrimRight(l, "\r\n")))
	}
	t.lines = t.lines[max(0, len(t.lines)-eventsShown):]
	return len(b), nil
}

// brief is a line of the log without its date and level, which the screen has no
// room for.
func brief(l string) string {
	stamp, rest, ok := strings.Cut(l, " level=INFO msg=")
	at, err := time.Parse("time="+time.RFC3339Nano, stamp)
	if !ok || err != nil {
		return l
	}
	return at.Format(time.TimeOnly) + " " + rest
}

func (t *tail) last(n int) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lines[max(0, len(t.lines)-n):])
}
