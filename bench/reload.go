package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// alteration is a change of a server's data. n is another number each time, so
// that each time something changes.
type alteration struct {
	what  string
	large bool // all of it changes
	apply func(text string, names, n int) string
	// ask is the name whose answer tells, and good what it then is.
	ask  func(names int) int
	good func(answer []byte, n int) bool
}

func middle(names int) int { return names / 2 }

// altered is the address of changes.
func altered(n int) [4]byte { return [4]byte{10, 9, byte(n >> 8), byte(n)} }

func alteredText(n int) string { a := altered(n); return fmt.Sprintf("10.9.%d.%d", a[2], a[3]) }

func hasAltered(b []byte, n int) bool { a := altered(n); return b[7] > 0 && bytes.Contains(b, a[:]) }

// newSerial is a zone with another serial.
func newSerial(text string, n int) string {
	before, rest, _ := strings.Cut(text, "@ SOA ns1 hostmaster ")
	_, after, _ := strings.Cut(rest, " ")
	return fmt.Sprintf("%s@ SOA ns1 hostmaster %d %s", before, n+1, after)
}

// replaceLine puts line in the place of the one that begins so.
func replaceLine(text, begin, line string) string {
	at := strings.Index(text, "\n"+begin)
	if at < 0 {
		return text
	}
	before, rest := text[:at+1], text[at+1:]
	_, after, _ := strings.Cut(rest, "\n")
	return before + line + "\n" + after
}

var recordChanges = []alteration{
	{
		what: "one record", ask: middle, good: hasAltered,
		apply: func(text string, names, n int) string {
			label := fmt.Sprintf("n%0*d ", digits, middle(names))
			return replaceLine(newSerial(text, n), label, label+"A "+alteredText(n))
		},
	},
	{
		what: "every record", large: true, ask: middle, good: hasAltered,
		apply: func(text string, names, n int) string {
			zone := newSerial(text, n)
			first := strings.Index(zone, "\nn0")
			lines := strings.Split(strings.TrimSpace(zone[first:]), "\n")
			for i, l := range lines {
				label, _, _ := strings.Cut(l, " ")
				lines[i] = label + " A " + alteredText(n)
			}
			return zone[:first+1] + strings.Join(lines, "\n") + "\n"
		},
	},
}

// ttlIs is whether an answer's first record has a TTL: behind the question comes
// a pointer to its name, the type and the class.
func ttlIs(b []byte, ttl int) bool {
	at := 12 + len(serviceName(0)) + 1 + 4 + 2 + 4
	return b[7] > 0 && len(b) >= at+4 && int(binary.BigEndian.Uint32(b[at:])) == ttl
}

var serviceChanges = []alteration{
	{
		what: "one service", ask: middle,
		good: func(b []byte, n int) bool { return ttlIs(b, 100+n) },
		apply: func(text string, names, n int) string {
			label := fmt.Sprintf("      n%0*d:", digits, middle(names))
			return replaceLine(text, label, fmt.Sprintf("%s {pools: [p0], steer: round-robin, ttl: %d}", label, 100+n))
		},
	},
	{
		what: "one endpoint", ask: func(int) int { return 0 }, good: hasAltered,
		apply: func(text string, _, n int) string {
			return replaceLine(text, "  p0:", fmt.Sprintf("  p0: {endpoints: [%s]}", alteredText(n)))
		},
	},
	{
		what: "every service", large: true, ask: func(names int) int { return names - 1 },
		good: func(b []byte, n int) bool { return ttlIs(b, 100+n) },
		apply: func(text string, _, n int) string {
			// What the line of a service had before goes with it.
			lines := strings.Split(text, "\n")
			for i, l := range lines {
				if label, rest, ok := strings.Cut(l, ": {pools: "); ok {
					pools, _, _ := strings.Cut(rest, "]")
					lines[i] = fmt.Sprintf("%s: {pools: %s], steer: round-robin, ttl: %d}", label, pools, 100+n)
				}
			}
			return strings.Join(lines, "\n")
		},
	},
}

// benchReload measures changes among many names: how soon they are in the
// answers, what they cost, and what clients see of it at the fixed rate.
func benchReload(ctx context.Context, s *settings) ([]table, error) {
	t := table{
		Title: fmt.Sprintf("A change among %d names, by a new file and a signal", s.many),
		Head:  []string{"server", "change", "to the new answer", "CPU", "most ÷ at rest", "MB after", fmt.Sprintf("p99 µs at %d/s before", s.rate), "during", "during ÷ before", "p99.9 during", "not answered"},
		Notes: []string{"Without load: the time from the new file to the first changed answer, the CPU time until the process is quiet again, its largest resident size beside that before. With load: the latency of what was asked from the new file until the process was quiet. All on the one core that answers."},
	}
	type subject struct {
		contestant
		file    string
		changes []alteration
	}
	all := []subject{
		{contestant{"rhumb, services", startRhumb, steerOne}, "rhumb.yaml", serviceChanges},
		{rhumbStatic("rhumb, zone file"), filepath.Join("zones", zoneName), recordChanges},
		{contestant{"gdnsd", startGdnsd, ""}, filepath.Join("zones", zoneName), recordChanges},
		{contestant{"Knot DNS", startKnot, ""}, filepath.Join("zones", zoneName), recordChanges},
		{contestant{"NSD", startNSD, ""}, filepath.Join("zones", zoneName), recordChanges},
	}
	if s.quick {
		all = all[:1]
	}
	for _, c := range all {
		p, err := c.start(ctx, s, wants{names: s.many, steer: c.steer, cores: s.serverCores})
		if err != nil {
			return nil, err
		}
		if p == nil {
			continue
		}
		r := reloading{s: s, p: p, path: filepath.Join(p.dir, c.file)}
		for i := range c.changes {
			s.progress("reload: %s, %s", c.name, c.changes[i].what)
			row, err := r.measure(ctx, &c.changes[i])
			if err != nil {
				fmt.Fprintf(os.Stderr, "\n%s: %s: %v\n", c.name, c.changes[i].what, err)
				row = []string{refused + ": " + err.Error()}
			}
			t.Rows = append(t.Rows, append([]string{c.name, c.changes[i].what}, row...))
		}
		p.end()
		for _, why := range reasons(r.refused) {
			t.Notes = append(t.Notes, fmt.Sprintf("Refused of %s: %s.", c.name, why))
		}
	}
	s.progress("")
	return []table{t}, nil
}

// reloading is a server whose data changes.
type reloading struct {
	s       *settings
	p       *peer
	path    string
	n       int // changes so far
	refused []string
}

// prepare writes the changed file, elsewhere: some servers look at all that is
// beside the one they have.
func (r *reloading) prepare(a *alteration) error {
	text, err := os.ReadFile(r.path)
	if err != nil {
		return err
	}
	r.n++
	return os.WriteFile(r.next(), []byte(a.apply(string(text), r.s.many, r.n)), 0o600)
}

func (r *reloading) next() string { return filepath.Join(r.p.dir, "next") }

// change puts the prepared file in place and waits for the answer that shows it;
// begin is when the file was there.
func (r *reloading) change(a *alteration) (begin time.Time, took time.Duration, err error) {
	begin = time.Now()
	if err := os.Rename(r.next(), r.path); err != nil {
		return begin, 0, err
	}
	if err := r.p.reload(); err != nil {
		return begin, 0, err
	}
	err = awaitAnswer(r.p.addr, serviceName(a.ask(r.s.many)), time.Minute, func(b []byte) bool { return a.good(b, r.n) })
	return begin, time.Since(begin), err
}

// quiet waits until the process uses no more than share of a core and returns
// when it began to do so.
func (r *reloading) quiet(share float64) time.Time {
	const look = 100 * time.Millisecond
	began := time.Now()
	calm := 0
	for range 150 {
		u, at := used(family(r.p.pid())), time.Now()
		time.Sleep(look)
		if d := used(family(r.p.pid())).minus(u).Total; float64(d) > share*float64(time.Since(at)) {
			calm, began = 0, time.Now()
		} else if calm++; calm == 5 || r.s.quick {
			break
		}
	}
	return began
}

func (r *reloading) measure(ctx context.Context, a *alteration) ([]string, error) {
	if err := r.prepare(a); err != nil {
		return nil, err
	}
	r.quiet(0.02)
	pid := r.p.pid()
	rest := kilobytes(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
	most := "-"
	before := used(family(pid))
	if forgetPeak(pid) == nil {
		most = ""
	}
	_, took, err := r.change(a)
	if err != nil {
		return nil, err
	}
	r.quiet(0.02)
	spent := used(family(pid)).minus(before)
	// A thread that has ended is in the ticks alone.
	cpu := max(spent.Total, spent.User+spent.System)
	if most == "" {
		// The parts of several processes cannot be added at their most.
		most = "-"
		if len(family(pid)) == 1 {
			most = fmt.Sprintf("%.2f", float64(peak(pid))/float64(max(1, rest)))
		}
	}
	row := []string{fmt.Sprintf("%.1f ms", float64(took)/1e6), fmt.Sprintf("%.1f ms", float64(cpu)/1e6), most, fmt.Sprintf("%.0f", float64(resident(pid))/1e6)}
	for range tries {
		loaded, why, err := r.loaded(ctx, a)
		if err != nil {
			return nil, err
		}
		if why == "" || r.s.noisy {
			return append(row, loaded...), nil
		}
		r.refused = append(r.refused, why)
	}
	return append(row, refused, "", "", "", ""), nil
}

// loaded makes the change while clients ask at the fixed rate. It may refuse the
// run.
func (r *reloading) loaded(ctx context.Context, a *alteration) (row []string, why string, err error) {
	s := r.s
	if err := r.prepare(a); err != nil {
		return nil, "", err
	}
	trace := filepath.Join(s.dir, "trace")
	lead := max(2*time.Second, s.each)
	length := lead + 4*time.Second
	if a.large {
		length = lead + 12*time.Second
	}
	if s.quick {
		lead, length = s.each, lead+time.Second
	}
	o := order{To: r.p.addr, Mode: modeRate, Rate: s.rate, Shape: shape{Kind: "plain", Names: s.many}, Pid: r.p.pid(), Warm: s.warm, Each: length, Trace: trace}
	type outcome struct {
		r   *seen
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		l, err := s.loadProcess(ctx, o, len(s.serverCores))
		done <- outcome{l, err}
	}()
	time.Sleep(s.warm + lead/2)
	calmUse, calmFrom := used(family(r.p.pid())), time.Now()
	time.Sleep(lead / 2)
	// What the queries alone cost does not count as being busy with the change.
	share := float64(used(family(r.p.pid())).minus(calmUse).Total) / float64(time.Since(calmFrom))
	begin, _, err := r.change(a)
	end := time.Time{}
	if err == nil {
		end = r.quiet(share + 0.1)
	}
	l := <-done
	if err != nil {
		return nil, "", err
	}
	if l.err != nil {
		return nil, "", l.err
	}
	// The change itself takes the core from what answers.
	l.r.Switched = 0
	if why = refusal(l.r); !strings.HasPrefix(why, "disturbed") {
		why = ""
	}
	all, err := readTrace(trace)
	if err != nil {
		return nil, "", err
	}
	calm, during := between(all, time.Time{}, begin), between(all, begin, end)
	return []string{
		fmt.Sprintf("%.1f", micro(calm.P99)), fmt.Sprintf("%.1f", micro(during.P99)),
		fmt.Sprintf("%.2f", float64(during.P99)/float64(max(1, calm.P99))), fmt.Sprintf("%.1f", micro(during.P999)), fmt.Sprint(l.r.Lost),
	}, why, nil
}
