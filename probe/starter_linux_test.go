package probe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// looped is a Loop at work.
type looped struct {
	*Loop
	t     *testing.T
	ended chan Ended
}

func newLooped(t *testing.T) *looped {
	t.Helper()
	p := &looped{t: t, ended: make(chan Ended, 1<<17)}
	var err error
	if p.Loop, err = NewLoop(func(all []Ended) {
		for _, e := range all {
			p.ended <- e
		}
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return p
}

// begin starts a probe that has to be one for the Loop.
func (p *looped) begin(prober Prober, to Target, timeout time.Duration, tag any) {
	p.t.Helper()
	s, ok := prober.(Starter)
	if !ok || !s.Start(p.Loop, to, timeout, tag) {
		p.t.Fatalf("%T needs a goroutine for %v", prober, to)
	}
}

func (p *looped) next() Ended {
	p.t.Helper()
	select {
	case e := <-p.ended:
		return e
	case <-time.After(patience):
		p.t.Fatal("a probe has not ended")
		return Ended{}
	}
}

// ignoring is a listener whose queue is full, so that the kernel ignores who connects.
func ignoring(t *testing.T) Target {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	to := Target{Addr: netip.MustParseAddr("127.0.0.1"), Port: uint16(sa.(*syscall.SockaddrInet4).Port)}
	c, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return to
}

// A target is probed in both ways, and the same must come of it.
type inBothWays struct {
	name    string
	prober  Prober
	target  Target
	timeout time.Duration
}

func hostileTCP(t *testing.T) (all []inBothWays) {
	tcp := must(t, TCP{})
	add := func(name string, to Target, timeout time.Duration) {
		all = append(all, inBothWays{name, tcp, to, timeout})
	}
	for _, addr := range families(t) {
		add("accepts on "+addr, serve(t, addr, func(net.Conn) {}), patience)
		add("closed on "+addr, closedPort(t, addr), patience)
	}
	add("accepts and is silent", silent(t), patience)
	add("greets", serve(t, "127.0.0.1", func(c net.Conn) { _, _ = c.Write([]byte("220 hello\r\n")) }), patience)
	add("accepts and closes", serve(t, "127.0.0.1", func(c net.Conn) { c.Close() }), patience)
	add("does not answer", ignoring(t), 60*time.Millisecond)
	at := func(s string) Target { a := netip.MustParseAddrPort(s); return Target{Addr: a.Addr(), Port: a.Port()} }
	for _, s := range []string{"255.255.255.255:80", "[fe80::1]:80", "[ff02::1]:80", "[::ffff:255.255.255.255]:80"} {
		add(s, at(s), 60*time.Millisecond)
	}
	mapped := serve(t, "127.0.0.1", func(net.Conn) {})
	mapped.Addr = netip.AddrFrom16(mapped.Addr.As16())
	add("mapped", mapped, patience)
	return all
}

func hostileHTTP(t *testing.T) (all []inBothWays) {
	plain, judged := must(t, HTTP{}), must(t, HTTP{Host: "www.example.com", Body: regexp.MustCompile(`^ok$`)})
	reset := func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	for i, prober := range []Prober{plain, judged} {
		for name, to := range map[string]Target{
			"answers":               serve(t, "127.0.0.1", answering(nil, ok200)),
			"is unavailable":        serve(t, "127.0.0.1", answering(nil, "HTTP/1.1 503 Down\r\n\r\n")),
			"has another body":      serve(t, "127.0.0.1", answering(nil, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbusy")),
			"ends without a word":   serve(t, "127.0.0.1", answering(nil, "")),
			"ends in its header":    serve(t, "127.0.0.1", answering(nil, "HTTP/1.1 200 OK\r\nServer: ")),
			"speaks something else": serve(t, "127.0.0.1", answering(nil, "220 hello\r\n")),
			"never stops":           serve(t, "127.0.0.1", answering(nil, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20))),
			"resets":                serve(t, "127.0.0.1", reset),
			"is closed":             closedPort(t, "127.0.0.1"),
		} {
			all = append(all, inBothWays{fmt.Sprintf("http %d %s", i, name), prober, to, patience})
		}
		all = append(all,
			inBothWays{"http accepts and is silent", prober, silent(t), 60 * time.Millisecond},
			inBothWays{"http does not answer", prober, ignoring(t), 60 * time.Millisecond})
	}
	return all
}

// What comes of a probe does not depend on whether it has a goroutine, in whatever
// company it is.
func TestLoopSaysWhatProbeSays(t *testing.T) {
	cases := append(hostileTCP(t), hostileHTTP(t)...)
	for _, m := range httpMischief() {
		if m.name == "resets at once" {
			continue // when it is seen is a matter of luck, and the detail says when
		}
		cases = append(cases, inBothWays{"mischief: " + m.name, must(t, m.check), serve(t, "127.0.0.1", m.play), m.timeout()})
	}
	want := make([]Result, len(cases))
	allowed := make([]time.Duration, len(cases)) // at first the case's timeout
	ask := func(i int, d time.Duration) {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		want[i], allowed[i] = cases[i].prober.Probe(ctx, cases[i].target), d
	}
	for i, c := range cases {
		ask(i, c.timeout)
	}
	const n = 1000
	p := newLooped(t)
	rnd := rand.New(rand.NewPCG(5, 6))
	for left := n; left > 0; {
		some := min(left, 1+rnd.IntN(50))
		for range some {
			i := rnd.IntN(len(cases))
			p.begin(cases[i].prober, cases[i].target, allowed[i], i)
		}
		p.Flush()
		left -= some
	}
	for left := n; left > 0; left-- {
		e := p.next()
		i := e.Tag.(int)
		got := e.Result
		alike := got.Class == want[i].Class && got.Detail == want[i].Detail && got.OK == want[i].OK && (got.Connect > 0) == (want[i].Connect > 0)
		// How far a conversation comes in a short time depends on the machine.
		if inTime := got.Class != ClassTimeout && got.Class != ClassSlow && want[i].Class != ClassTimeout && want[i].Class != ClassSlow; !alike && !inTime && allowed[i] < patience {
			ask(i, 4*allowed[i])
			p.begin(cases[i].prober, cases[i].target, allowed[i], i)
			p.Flush()
			left++
			continue
		}
		if !alike {
			t.Errorf("%s: %+v, and with a goroutine %+v", cases[i].name, got, want[i])
		}
		check(t, got, want[i].Class, want[i].Detail)
		if got.RTT < got.Connect || e.Began.IsZero() || e.Fault != "" {
			t.Errorf("%s: %+v", cases[i].name, e)
		}
		if got.Class == ClassTimeout && got.RTT < cases[i].timeout {
			t.Errorf("%s: timeout after %v", cases[i].name, got.RTT)
		}
	}
}

// A server that resets what it has accepted has accepted it, whatever is seen first.
func TestResetsWhatItAccepts(t *testing.T) {
	to := serve(t, "127.0.0.1", func(c net.Conn) {
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	})
	plain, asks := must(t, TCP{}), must(t, HTTP{})
	p := newLooped(t)
	const n = 200
	for i := range n {
		check(t, plain.Probe(ctxFor(t, patience), to), ClassNone, "")
		p.begin(plain, to, patience, ClassNone)
		p.begin(asks, to, patience, ClassReset)
		if i%20 == 0 {
			p.Flush()
		}
	}
	p.Flush()
	for range 2 * n {
		e := p.next()
		check(t, e.Result, e.Tag.(Class), "")
		if e.Result.OK && e.Result.Connect == 0 {
			t.Error("no time to connect")
		}
	}
}

// What a Loop cannot do it leaves to Probe.
func TestLoopDeclines(t *testing.T) {
	p := newLooped(t)
	for _, to := range []Target{
		{Host: "www.example.com", Port: 80},
		{Addr: somewhere.Addr},
		{Addr: netip.MustParseAddr("fe80::1%lo"), Port: 80},
	} {
		if must(t, TCP{}).(Starter).Start(p.Loop, to, patience, nil) {
			t.Errorf("%v was started", to)
		}
	}
	to := silent(t)
	for _, o := range []any{TCP{Talk{Send: []byte("x")}}, HTTP{TLS: &TLSConfig{}}, HTTP{Version: HTTP2}, HTTP{FollowRedirects: true}, HTTP{Body: regexp.MustCompile(`(a{1,30}){1,30}b`)}} {
		if must(t, o).(Starter).Start(p.Loop, to, patience, nil) {
			t.Errorf("%+v was started", o)
		}
	}
}

func TestLoopIsCanceled(t *testing.T) {
	var all []Ended
	var mu sync.Mutex
	l, err := NewLoop(func(es []Ended) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, es...)
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	to := ignoring(t)
	tcp := must(t, TCP{}).(Starter)
	tcp.Start(l, to, patience, 1)
	l.Flush()
	go func() { done <- l.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	tcp.Start(l, to, patience, 2)
	l.Flush()
	for i, e := range all {
		check(t, e.Result, ClassCanceled, "canceled while connecting")
		if e.Tag != i+1 {
			t.Errorf("tag %v", e.Tag)
		}
	}
	if len(all) != 2 {
		t.Errorf("%d probes have ended, want 2", len(all))
	}
}

func files(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("SKIPPED: ", err)
	}
	return len(d)
}

// A process that has no descriptors left knows that it is not the endpoint.
func TestLoopWithoutDescriptors(t *testing.T) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	to := silent(t)
	p := newLooped(t)
	low := old
	low.Cur = uint64(files(t)) - 2 // those of the look itself
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Skip("SKIPPED: ", err)
	}
	p.begin(must(t, TCP{}), to, patience, nil)
	p.Flush()
	e := p.next()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	check(t, e.Result, ClassLocal, "out of descriptors, ports or memory while connecting")
}

// The cost of 50 probes that are begun together.
func BenchmarkLoop(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	const batch = 50
	came := make(chan int, batch)
	l, err := NewLoop(func(all []Ended) { came <- len(all) })
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	p, to := NewTCP(TCP{}).(Starter), targetOf(ln.Addr())
	b.ReportAllocs()
	for b.Loop() {
		for range batch {
			p.Start(l, to, patience, nil)
		}
		l.Flush()
		for n := 0; n < batch; {
			n += <-came
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/probe")
	cancel()
	<-done
}

// TestStartedWhileItEnds: each probe is told of once, also when the Loop ends while
// they are started.
func TestStartedWhileItEnds(t *testing.T) {
	s := must(t, TCP{}).(Starter)
	to := closedPort(t, "127.0.0.1")
	for range 50 {
		var mu sync.Mutex
		told := map[any]int{}
		l, err := NewLoop(func(all []Ended) {
			mu.Lock()
			defer mu.Unlock()
			for _, e := range all {
				told[e.Tag]++
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		const n = 2000
		for i := range n {
			if i == n/2 {
				cancel()
			}
			if !s.Start(l, to, patience, i) {
				t.Fatal("needs a goroutine")
			}
			l.Flush()
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if told[i] != 1 {
				t.Fatalf("probe %d was told of %d times", i, told[i])
			}
		}
		cancel()
	}
}
