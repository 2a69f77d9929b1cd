package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
)

// spreadRow is how long something took, as a distribution in milliseconds.
func spreadRow(what string, took []time.Duration) []string {
	slices.Sort(took)
	if len(took) == 0 {
		return []string{what, "0", "-", "-", "-", "-"}
	}
	at := func(q float64) string {
		return fmt.Sprintf("%.2f", float64(took[min(len(took)-1, int(q*float64(len(took))))])/1e6)
	}
	return []string{what, fmt.Sprint(len(took)), at(0.5), at(0.9), at(0.99), at(1)}
}

// resolver asks a node, one query after the other.
type resolver struct {
	conn *net.UDPConn
	buf  []byte
}

func newResolver(to netip.AddrPort) (*resolver, error) {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	return &resolver{conn, make([]byte, 1500)}, err
}

func (r *resolver) close() { _ = r.conn.Close() }

// ask is the answer for a name; nil when none came in time.
func (r *resolver) ask(name string) ([]byte, error) {
	n, err := dnswire.ParseName(name)
	if err != nil {
		return nil, err
	}
	q := dnswire.AppendQuery(nil, n, dnswire.TypeA, netip.Prefix{})
	_ = r.conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := r.conn.Write(q); err != nil {
		return nil, err
	}
	k, err := r.conn.Read(r.buf)
	if err != nil || k <= dnswire.HeaderLen {
		return nil, err
	}
	return r.buf[:k], nil
}

// refusedToAnswer is the time from the moment in which the kernel refuses a check's
// connection to the first answer without the endpoint.
func refusedToAnswer(ctx context.Context, s *settings, f *farm) (table, error) {
	t := table{
		Title: "From a refused connection to the changed answer, in milliseconds",
		Head:  []string{"from", "changes", "p50", "p90", "p99", "most"},
		Notes: []string{"A TCP check every second that takes an endpoint out at its first failure. Endpoints cease to listen one after the other, while a client asks for the service without a pause."},
	}
	n := 100
	if s.quick {
		n = 3
	}
	// A port that is free on all of them.
	first, err := f.open(farmTCP, netip.AddrPortFrom(farmAddr(8, 0), 0))
	if err != nil {
		return t, err
	}
	for i := 1; i < n; i++ {
		if _, err := f.open(farmTCP, portOf(farmAddr(8, i*poolSize), first)); err != nil {
			return t, err
		}
	}
	text := fmt.Sprintf("checks:\n  it: {type: tcp, port: %d, interval: 1s, timeout: 500ms, rise: 1, fall: 1}\npools:\n  rest: {endpoints: [192.0.2.1]}\n", first.Port())
	services := fmt.Sprintf("zones:\n  %s:\n    nameservers: {ns1: 127.0.0.1}\n    services:\n", zoneName)
	for i := range n {
		text += fmt.Sprintf("  p%d: {checks: [it], endpoints: [%s]}\n", i, farmAddr(8, i*poolSize))
		services += fmt.Sprintf("      n%0*d: {pools: [p%d, rest], steer: failover}\n", digits, i, i)
	}
	p, err := startChecking(ctx, s, text+services, n, n)
	if err != nil {
		return t, err
	}
	defer p.end()
	seen, err := watchRefusals()
	if err != nil {
		t.Notes = append(t.Notes, fmt.Sprintf("When a connection is refused cannot be seen here (%v).", err))
	} else {
		defer seen.close()
	}
	var refusal, whole []time.Duration
	for i := range n {
		s.progress("health: refused %d of %d", i+1, n)
		fromRefusal, fromClose, err := oneRefused(p, f, seen, portOf(farmAddr(8, i*poolSize), first), serviceName(i))
		if err != nil {
			return t, err
		}
		if seen != nil {
			refusal = append(refusal, fromRefusal)
		}
		whole = append(whole, fromClose)
	}
	t.Rows = append(t.Rows, spreadRow("refused connection", refusal), spreadRow("the endpoint's end", whole))
	return t, nil
}

func oneRefused(p *peer, f *farm, seen *refusals, at netip.AddrPort, service string) (fromRefusal, fromClose time.Duration, err error) {
	r, err := newResolver(p.addr)
	if err != nil {
		return 0, 0, err
	}
	defer r.close()
	end := time.Now().Add(10 * time.Second)
	type sight struct {
		at  time.Time
		err error
	}
	refused := make(chan sight, 1)
	if seen != nil {
		seen.forget()
	}
	if err := f.close(at); err != nil {
		return 0, 0, err
	}
	closed := time.Now()
	if seen != nil {
		go func() {
			at, err := seen.next(at, end)
			refused <- sight{at, err}
		}()
	}
	for {
		b, err := r.ask(service)
		if err == nil && hasRest(b) {
			break
		}
		if time.Now().After(end) {
			return 0, 0, errors.Join(fmt.Errorf("%v is in the answers 10 s after its end", at), err)
		}
	}
	changed := time.Now()
	if seen == nil {
		return 0, changed.Sub(closed), nil
	}
	was := <-refused
	return changed.Sub(was.at), changed.Sub(closed), was.err
}

// manyDown takes many endpoints down at once, while clients ask at the fixed rate.
func manyDown(ctx context.Context, s *settings, f *farm) (table, error) {
	n := 10_000
	if s.quick {
		n = 1_000
	}
	t := table{
		Title: fmt.Sprintf("%d endpoints of %d services down at once", n, n/poolSize),
		Head:  []string{"services", "right within 2 s", "verdict to right answer: p50 ms", "most ms", fmt.Sprintf("query p99 µs at %d/s, quiet", s.rate), "during", "during ÷ quiet", "not answered"},
		Notes: []string{fmt.Sprintf("TCP checks every %v. The verdict on a service is that on the last of its endpoints. It is looked at each service in turn whether its answer is right, every 10 ms at one. Quiet is before they go down, during is from then to the last right answer.", checkEvery)},
	}
	s.progress("health: %d down at once", n)
	at, err := f.open(farmTCP, everywhere)
	if err != nil {
		return t, err
	}
	p, err := startChecking(ctx, s, checkedText(fmt.Sprintf("type: tcp, port: %d, interval: %v, timeout: 2s", at.Port(), checkEvery), 16, n), n/poolSize, n)
	if err != nil {
		return t, err
	}
	defer p.end()
	var row []string
	for range tries {
		var why string
		if row, why, err = s.down(ctx, f, p, at, n/poolSize); err != nil {
			return t, err
		}
		if why == "" || s.noisy {
			break
		}
		t.Notes = append(t.Notes, "Refused: "+why+".")
		row = []string{fmt.Sprint(n / poolSize), refused, "", "", "", "", "", ""}
		if _, err := f.open(farmTCP, netip.AddrPortFrom(everywhere.Addr(), at.Port())); err != nil {
			return t, err
		}
		if err := p.awaitUp(ctx, n); err != nil {
			return t, err
		}
	}
	t.Rows = append(t.Rows, row)
	return t, nil
}

// down closes what the endpoints of all services listen on, and looks when each has
// the right answer.
func (s *settings) down(ctx context.Context, f *farm, p *peer, at netip.AddrPort, services int) (row []string, why string, err error) {
	quiet, whole := 5*time.Second, 30*time.Second
	trace := filepath.Join(s.dir, "trace")
	o := order{To: p.addr, Mode: modeRate, Rate: s.rate, Shape: shape{Kind: "plain", Names: services}, Pid: p.pid(), Warm: s.warm, Each: quiet + whole, Trace: trace}
	type outcome struct {
		r   *seen
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		l, err := s.loadProcess(ctx, o, len(s.serverCores))
		done <- outcome{l, err}
	}()
	time.Sleep(s.warm + quiet)
	begin := time.Now()
	if err := f.close(at); err != nil {
		return nil, "", err
	}
	right, err := p.right(services, begin.Add(whole))
	if err != nil {
		return nil, "", err
	}
	end := slices.MaxFunc(right, time.Time.Compare)
	verdicts, err := p.verdicts(ctx, services)
	if err != nil {
		return nil, "", err
	}
	l := <-done
	if l.err != nil {
		return nil, "", l.err
	}
	var took []time.Duration
	inTime := 0
	for i := range services {
		d := max(right[i].Sub(verdicts[i]), 0)
		took = append(took, d)
		if d <= 2*time.Second {
			inTime++
		}
	}
	all, err := readTrace(trace)
	if err != nil {
		return nil, "", err
	}
	before, during := between(all, time.Time{}, begin), between(all, begin, end)
	// What the checks do takes the core from what answers, and the endpoints take the
	// client's; both are in the latencies.
	l.r.Switched, l.r.Waited = 0, 0
	spread := spreadRow("", took)
	return []string{
		fmt.Sprint(services), fmt.Sprint(inTime), spread[2], spread[5],
		fmt.Sprintf("%.1f", micro(before.P99)), fmt.Sprintf("%.1f", micro(during.P99)),
		fmt.Sprintf("%.2f", float64(during.P99)/float64(max(1, before.P99))), fmt.Sprint(l.r.Lost),
	}, refusal(l.r), nil
}

// right is when each service had the right answer: that of the pool behind all.
func (p *peer) right(services int, until time.Time) ([]time.Time, error) {
	r, err := newResolver(p.addr)
	if err != nil {
		return nil, err
	}
	defer r.close()
	all := make([]time.Time, services)
	// One after the other: many at once would take the core from the client that the
	// latencies are of.
	for left, i := services, 0; left > 0; i = (i + 1) % services {
		if time.Now().After(until) {
			return nil, fmt.Errorf("%d services have endpoints in their answers that are down", left)
		}
		if all[i].IsZero() {
			time.Sleep(10 * time.Millisecond)
			b, err := r.ask(serviceName(i))
			if err != nil {
				return nil, err
			}
			if hasRest(b) {
				all[i] = time.Now()
				left--
			}
		}
	}
	return all, nil
}

// verdicts are when the last endpoint of each service was found to be down.
func (p *peer) verdicts(ctx context.Context, services int) ([]time.Time, error) {
	c, err := api.New(fmt.Sprintf("http://%s", p.admin), api.Options{})
	if err != nil {
		return nil, err
	}
	list, err := c.Servers(ctx, api.ServersQuery{})
	if err != nil {
		return nil, err
	}
	all := make([]time.Time, services)
	for i := range list.Servers {
		e := &list.Servers[i]
		var pool int
		if _, err := fmt.Sscanf(e.Pool, "p%d", &pool); err != nil || pool >= services {
			continue
		}
		if e.State != "down" {
			return nil, fmt.Errorf("%s is %s", e.Address, e.State)
		}
		if e.Since.After(all[pool]) {
			all[pool] = e.Since
		}
	}
	return all, nil
}
