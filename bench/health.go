package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// poolSize is how many endpoints a pool has, with a service for each pool.
	poolSize = 100
	// checkEvery is the interval of the many checks.
	checkEvery = 10 * time.Second
	// maxBegunLate is how late a check may begin, as a part of its interval.
	maxBegunLate = 0.05
)

// benchHealth measures what many checks cost, and how soon what they find is in the
// answers.
func benchHealth(ctx context.Context, s *settings) ([]table, error) {
	f, err := startFarm(ctx, s)
	if err != nil {
		return nil, err
	}
	defer f.end()
	var tables []table
	for _, measure := range []func(context.Context, *settings, *farm) (table, error){manyChecks, refusedToAnswer, manyDown} {
		t, err := measure(ctx, s, f)
		if err != nil {
			return nil, err
		}
		tables = append(tables, t)
	}
	s.progress("")
	return tables, nil
}

// checkedText is a configuration whose pools have so many endpoints altogether, with
// a service for each that has another pool behind it.
func checkedText(check string, block, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "checks:\n  it: {%s}\npools:\n  rest: {endpoints: [192.0.2.1]}\n", check)
	pools := (n + poolSize - 1) / poolSize
	for p := range pools {
		fmt.Fprintf(&b, "  p%d:\n    checks: [it]\n    endpoints:\n", p)
		for i := p * poolSize; i < min(n, (p+1)*poolSize); i++ {
			fmt.Fprintf(&b, "      - %s\n", farmAddr(block, i))
		}
	}
	fmt.Fprintf(&b, "zones:\n  %s:\n    nameservers: {ns1: 127.0.0.1}\n    services:\n", zoneName)
	for p := range pools {
		fmt.Fprintf(&b, "      n%0*d: {pools: [p%d, rest], steer: failover, answers: 1}\n", digits, p, p)
	}
	return b.String()
}

// rest is the address of the pool behind all others, as it stands in an answer.
var restAddr = [4]byte{192, 0, 2, 1}

// startChecking starts a node, and waits until all of its n targets are up.
func startChecking(ctx context.Context, s *settings, text string, names, n int) (*peer, error) {
	p, err := prepare(s, "rhumb")
	if err != nil {
		return nil, err
	}
	if p.admin, err = freeAddr(); err != nil {
		return nil, err
	}
	path, err := p.write("rhumb.yaml", fmt.Sprintf("dns: {listen: [%q]}\nadmin: {listen: %q}\nlog: {level: error}\n", p.addr, p.admin)+text)
	if err != nil {
		return nil, err
	}
	p.cmd = pinned(ctx, s.serverCores, s.rhumb, "serve", "-c", path)
	if p, err = p.launch(names); err != nil {
		return nil, err
	}
	if err := p.awaitUp(ctx, n); err != nil {
		p.end()
		return nil, err
	}
	return p, nil
}

// awaitUp waits until n targets are up. It is the first verdicts that take long, and
// to wait for them costs the node nothing.
func (p *peer) awaitUp(ctx context.Context, n int) error {
	up, err := 0, error(nil)
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = p.ready(ctx); err != nil {
			continue
		}
		var m samples
		if m, err = p.metrics(ctx); err == nil {
			if up = int(m.value(`rhumb_targets{state="up"}`)); up == n {
				return nil
			}
		}
	}
	return errors.Join(fmt.Errorf("rhumb: %d of %d endpoints are up", up, n), err)
}

// ready is nil when a node answers with all first verdicts.
func (p *peer) ready(ctx context.Context) error {
	resp, err := p.get(ctx, "/api/v1/ready")
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (p *peer) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s%s", p.admin, path), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	}
	return resp, nil
}

// samples are the metrics of a node: what stands before the value, and the value.
type samples map[string]float64

func (p *peer) metrics(ctx context.Context) (samples, error) {
	resp, err := p.get(ctx, "/api/v1/metrics")
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	all := samples{}
	for in := bufio.NewScanner(resp.Body); in.Scan(); {
		i := bytes.LastIndexByte(in.Bytes(), ' ')
		if i < 0 {
			continue
		}
		if v, err := strconv.ParseFloat(string(in.Bytes()[i+1:]), 64); err == nil {
			all[string(in.Bytes()[:i])] = v
		}
	}
	return all, nil
}

func (m samples) value(name string) float64 { return m[name] }

// failed are the probes that came to something else than ok.
func (m samples) failed() (n int) {
	for k, v := range m {
		if strings.HasPrefix(k, "rhumb_probes_total{") && !strings.Contains(k, `result="ok"`) {
			n += int(v)
		}
	}
	return n
}

// late are the checks that began late, and all.
func (m samples) late(limit float64) (late, all int) {
	all = int(m.value(`rhumb_probe_lateness_seconds_count{check="it"}`))
	inTime := m.value(fmt.Sprintf(`rhumb_probe_lateness_seconds_bucket{check="it",le="%v"}`, limit))
	return all - int(inTime), all
}

// manyChecks is what a node pays for many checks.
func manyChecks(ctx context.Context, s *settings, f *farm) (table, error) {
	t := table{
		Title: fmt.Sprintf("Checks, each every %v", checkEvery),
		Head:  []string{"server", "checks", "share of a core", "µs a check", "MB", "first round s", "began late", "failed"},
		Notes: []string{
			fmt.Sprintf("The endpoints are in a process of their own on the client's core, each with an address of its own. The CPU time is the node's, the kernel's for it included: on loopback that is both sides of every connection. The first round is from the start of the process, which reads its configuration first, to all verdicts. Late is what began more than %.0f%% of the interval after it was due, from then on; failed is what came to anything but success, although every endpoint was there all the time. MB is the resident size after that, without what the kernel holds.", 100*maxBegunLate),
			"The system calls alone are those of the same checks, at the same rate, made by a loop that remembers nothing: what nobody can do without.",
			"The line of CoreDNS-GSLB was measured once, on another day, with 20,000 TCP checks on this kind of machine, and is not measured here.",
		},
	}
	for _, c := range []struct {
		kind, name, check string
		n                 int
	}{
		{farmTCP, "rhumb, TCP", "type: tcp", 100_000},
		{farmHTTP, "rhumb, HTTP", "type: http, host: www.bench.test, path: /health", 30_000},
	} {
		row, why, err := s.checksOf(ctx, f, c.kind, c.check, c.n)
		if err != nil {
			return t, err
		}
		t.Rows = append(t.Rows, append([]string{c.name}, row...))
		if row, err = s.dialled(ctx, f, c.kind, c.n); err != nil {
			return t, err
		}
		t.Rows = append(t.Rows, append([]string{"the system calls alone"}, row...))
		for _, w := range reasons(why) {
			t.Notes = append(t.Notes, fmt.Sprintf("Refused of %s: %s.", c.name, w))
		}
	}
	t.Rows = append(t.Rows, []string{"CoreDNS-GSLB, TCP", "20000", "0.10", "52", "247", "", "", ""})
	return t, nil
}

// checksOf is the row of one kind of checks, and why runs were refused.
func (s *settings) checksOf(ctx context.Context, f *farm, kind, check string, n int) (row, why []string, err error) {
	if s.quick {
		n /= 50
	}
	s.progress("health: %d %s checks", n, kind)
	at, err := f.open(kind, everywhere)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.close(at) }()
	text := checkedText(fmt.Sprintf("%s, port: %d, interval: %v, timeout: 2s", check, at.Port(), checkEvery), 1, n)
	begin := time.Now()
	p, err := startChecking(ctx, s, text, n/poolSize, n)
	if err != nil {
		return nil, nil, err
	}
	defer p.end()
	first := time.Since(begin)
	each := max(s.each, checkEvery)
	// The second round is spread over more than an interval.
	warm := 2 * checkEvery
	if s.quick {
		each, warm = time.Second, 0
	}
	time.Sleep(warm)
	var share, cost []float64
	for range s.rounds {
		for range tries {
			busy, made, refusal, err := s.checking(ctx, f, p, each)
			if err != nil {
				return nil, nil, err
			}
			if refusal != "" {
				why = append(why, refusal)
			}
			if refusal == "" || s.noisy {
				share = append(share, float64(busy)/float64(each))
				cost = append(cost, micro(busy)/float64(max(made, 1)))
				break
			}
		}
	}
	m, err := p.metrics(ctx)
	if err != nil {
		return nil, nil, err
	}
	late, begun := m.late(maxBegunLate * checkEvery.Seconds())
	row = []string{
		fmt.Sprint(n), refused, "", fmt.Sprintf("%.0f", float64(s.settledSize(p.pid()))/1e6),
		fmt.Sprintf("%.1f", first.Seconds()), fmt.Sprintf("%.3f%% of %d", 100*float64(late)/float64(max(begun, 1)), begun), fmt.Sprint(m.failed()),
	}
	if enough(len(share), s.rounds) {
		row[1], row[2] = spreadOf(share).text("%.2f"), spreadOf(cost).text("%.0f")
	}
	return row, why, nil
}

// dialled is the row of the system calls of checks alone.
func (s *settings) dialled(ctx context.Context, f *farm, kind string, n int) ([]string, error) {
	each := checkEvery
	if s.quick {
		n, each = n/50, time.Second
	}
	at, err := f.open(kind, everywhere)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.close(at) }()
	rate := n * int(time.Second) / int(checkEvery)
	var share, cost []float64
	for range s.rounds {
		out, err := pinned(ctx, s.serverCores, s.self, "dial", kind, fmt.Sprint(at.Port()), "1", fmt.Sprint(n), fmt.Sprint(rate), each.String()).Output()
		if err != nil {
			return nil, fmt.Errorf("dial: %w", err)
		}
		var made, spent int
		if _, err := fmt.Sscan(string(out), &made, &spent); err != nil || made == 0 {
			return nil, fmt.Errorf("dial: %q", out)
		}
		share = append(share, float64(spent)/float64(each))
		cost = append(cost, float64(spent)/float64(made)/1e3)
	}
	return []string{fmt.Sprint(n), spreadOf(share).text("%.2f"), spreadOf(cost).text("%.0f"), "", "", "", ""}, nil
}

// checking is what a node uses for its checks in a time, and how many it makes.
func (s *settings) checking(ctx context.Context, f *farm, p *peer, each time.Duration) (busy time.Duration, made int, refusal string, err error) {
	before, err := p.metrics(ctx)
	if err != nil {
		return 0, 0, "", err
	}
	counted := time.Now()
	others, u, begin := processes(), used(family(p.pid())), time.Now()
	_, steal := coresOf(s.serverCores)
	select {
	case <-ctx.Done():
		return 0, 0, "", ctx.Err()
	case <-time.After(each):
	}
	busy = used(family(p.pid())).minus(u).Total
	took := time.Since(begin)
	_, stolen := coresOf(s.serverCores)
	ours := map[int]bool{os.Getpid(): true}
	for _, pid := range append(family(p.pid()), family(f.cmd.Process.Pid)...) {
		ours[pid] = true
	}
	sum, most := foreign(others, processes(), ours, s.serverCores)
	after, err := p.metrics(ctx)
	if err != nil {
		return 0, 0, "", err
	}
	countedFor := time.Since(counted)
	_, from := before.late(0.5)
	_, to := after.late(0.5)
	made = int(float64(to-from) * float64(each) / float64(countedFor))
	busy = time.Duration(float64(busy) * float64(each) / float64(took))
	switch {
	case float64(stolen-steal) > maxSteal*float64(took):
		refusal = fmt.Sprintf("disturbed: %.1f%% of the cores stolen by the hypervisor", 100*float64(stolen-steal)/float64(took))
	case float64(sum) > maxForeign*float64(took):
		refusal = fmt.Sprintf("disturbed: others used %.1f%% of a core, most of it %s (%v)", 100*float64(sum)/float64(took), most.Name, most.Used)
	}
	return busy, made, refusal, nil
}

// hasRest is whether an answer is that of the pool behind all others, and nothing else.
func hasRest(b []byte) bool { return b[7] == 1 && bytes.Contains(b, restAddr[:]) }

// portOf is an address with the port of another.
func portOf(a netip.Addr, of netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a, of.Port()) }
