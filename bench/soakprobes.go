package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rhumb-dns/rhumb/probe"
)

// soakKind is one kind of probe of the soak.
type soakKind struct {
	name, peer string
	prober     any
	weight     int           // of a thousand
	timeout    time.Duration // 0: a second
	want       []probe.Class // what may come of it
}

// soakKinds are all there are. What is done most is what is cheap, so that there are
// many; the others are there often enough for a leak to show.
func soakKinds() []soakKind {
	const short = 20 * time.Millisecond
	unverified := &probe.TLSConfig{SkipVerify: true}
	one := []probe.Condition{{Op: "=", Text: "1"}}
	body, none := regexp.MustCompile("^ok"), probe.ClassNone
	is := func(c ...probe.Class) []probe.Class { return c }
	return []soakKind{
		{"tcp", "talks", probe.TCP{}, 400, 0, is(none)},
		{"tcp, refused", "refuses", probe.TCP{}, 100, 0, is(probe.ClassRefused)},
		{"tcp, reset", "resets", probe.TCP{}, 30, 0, is(none)},
		{"tcp, expects", "smtp", probe.TCP{Talk: probe.Talk{Expect: regexp.MustCompile("^220")}}, 20, 0, is(none)},
		{"tcp, expects of a drip", "drips", probe.TCP{Talk: probe.Talk{Expect: regexp.MustCompile("^220")}}, 2, short, is(probe.ClassSlow)},
		{"http", "talks", probe.HTTP{Body: body}, 200, 0, is(none)},
		{"http, unavailable", "unavailable", probe.HTTP{}, 30, 0, is(probe.ClassStatus)},
		{"http, nonsense", "nonsense", probe.HTTP{}, 20, 0, is(probe.ClassProtocol)},
		{"http, broken off", "breaks off", probe.HTTP{}, 20, 0, is(probe.ClassReset)},
		{"http, reset", "resets", probe.HTTP{}, 20, 0, is(probe.ClassReset)},
		{"http, hung up", "hangs up", probe.HTTP{}, 20, 0, is(probe.ClassReset)},
		{"http, too much header", "too much", probe.HTTP{}, 10, 0, is(probe.ClassOversize)},
		{"http, too long a body", "too long a body", probe.HTTP{Body: body}, 10, 0, is(probe.ClassBody)},
		{"http, silent", "silent", probe.HTTP{}, 5, short, is(probe.ClassTimeout)},
		{"http, a drip", "drips", probe.HTTP{}, 5, short, is(probe.ClassProtocol, probe.ClassSlow, probe.ClassTimeout)},
		{"https", "https", probe.HTTP{TLS: unverified, Body: body}, 4, 0, is(none)},
		{"https, HTTP/2", "https", probe.HTTP{TLS: unverified, Version: probe.HTTP2, Body: body}, 3, 0, is(none)},
		{"https, HTTP/3", "http3", probe.HTTP{TLS: unverified, Version: probe.HTTP3, Body: body}, 2, 0, is(none)},
		{"https, HTTP/3, refused", "refuses", probe.HTTP{TLS: unverified, Version: probe.HTTP3}, 2, 0, is(probe.ClassRefused)},
		{"https, HTTP/3, no QUIC", "dns", probe.HTTP{TLS: unverified, Version: probe.HTTP3}, 1, short, is(probe.ClassSlow, probe.ClassTimeout, probe.ClassProtocol)},
		{"https, plain", "talks", probe.HTTP{TLS: unverified}, 5, 0, is(probe.ClassTLS)},
		{"https, silent", "silent", probe.HTTP{TLS: unverified}, 2, short, is(probe.ClassTimeout)},
		{"tls", "https", probe.TLS{TLSConfig: *unverified}, 3, 0, is(none)},
		{"http/2, silent", "silent", probe.HTTP{Version: probe.HTTP2}, 2, short, is(probe.ClassTimeout)},
		{"dns", "dns", probe.DNS{Name: zoneName}, 20, 0, is(none)},
		{"dns, refused", "refuses", probe.DNS{Name: zoneName}, 5, 0, is(probe.ClassRefused)},
		{"dns over tcp", "dns", probe.DNS{Name: zoneName, TCP: true}, 5, 0, is(none)},
		{"dns over tcp, nonsense", "nonsense", probe.DNS{Name: zoneName, TCP: true}, 2, 0, is(probe.ClassProtocol)},
		{"grpc", "grpc", probe.GRPC{}, 5, 0, is(none)},
		{"grpc, http", "talks", probe.GRPC{}, 4, 0, is(probe.ClassProtocol)},
		{"redis", "redis", probe.Redis{}, 10, 0, is(none)},
		{"redis, nonsense", "nonsense", probe.Redis{}, 5, 0, is(probe.ClassProtocol)},
		{"redis, silent", "silent", probe.Redis{}, 2, short, is(probe.ClassTimeout)},
		{"mysql, full", "mysql", probe.MySQL{}, 5, 0, is(probe.ClassError)},
		{"postgres", "postgres", probe.Postgres{}, 5, 0, is(none)},
		{"smtp", "smtp", probe.SMTP{}, 5, 0, is(none, probe.ClassProtocol, probe.ClassReset)},
		{"prometheus", "metrics", probe.Prometheus{Metric: "up", Expect: one}, 5, 0, is(none)},
		{"lua", "talks", probe.Lua{Source: `return http_get("http://" .. backend.address .. ":" .. backend.port .. "/") == "ok\n"`}, 4, 0, is(none)},
		{"lua, a loop", "talks", probe.Lua{Source: `while true do pcall(function() while true do end end) end`}, 1, short, is(probe.ClassTimeout, probe.ClassScript)},
		{"script", "talks", probe.Script{Command: "/bin/true"}, 1, 0, is(none)},
	}
}

func (k *soakKind) make() (p probe.Prober, err error) {
	switch o := k.prober.(type) {
	case probe.TCP:
		return probe.NewTCP(o), nil
	case probe.TLS:
		p, err = probe.NewTLS(o)
	case probe.HTTP:
		p, err = probe.NewHTTP(o)
	case probe.DNS:
		p, err = probe.NewDNS(o)
	case probe.GRPC:
		p, err = probe.NewGRPC(o)
	case probe.Redis:
		p, err = probe.NewRedis(o)
	case probe.MySQL:
		p, err = probe.NewMySQL(o)
	case probe.Postgres:
		p, err = probe.NewPostgres(o)
	case probe.SMTP:
		p, err = probe.NewSMTP(o)
	case probe.Prometheus:
		p, err = probe.NewPrometheus(o)
	case probe.Lua:
		p, err = probe.NewLua(o)
	case probe.Script:
		p, err = probe.NewScript(o)
	}
	if err != nil {
		return nil, fmt.Errorf("soak: %s: %w", k.name, err)
	}
	return p, nil
}

// soakState is what a process of probes holds on to.
type soakState struct {
	Probes                  int
	Goroutines, Descriptors int
	Heap, Resident          int // bytes
	Took                    time.Duration
	Other                   map[string]int // probes that came to something else than they may, by kind and class
	By                      map[string]int // probes, by kind
}

const (
	// soakFlying is how many probes are under way at once.
	soakFlying = 128
	// soakSamples is how often it is looked at what a process holds on to.
	soakSamples = 10
)

// soakProbesCommand makes so many probes of the endpoints at, and prints what it holds
// on to after each tenth of them, one line of JSON each.
func soakProbesCommand(n int, at string) error {
	var where map[string]netip.AddrPort
	if err := json.Unmarshal([]byte(at), &where); err != nil {
		return err
	}
	s := &soaker{start: time.Now(), slots: make(chan struct{}, soakFlying), by: map[string]int{}, other: map[string]int{}}
	for _, k := range soakKinds() {
		p, err := k.make()
		if err != nil {
			return err
		}
		to, ok := where[k.peer]
		if !ok {
			return fmt.Errorf("soak: no endpoint %q", k.peer)
		}
		a := &soakAim{soakKind: k, prober: p, to: probe.Target{Addr: to.Addr(), Port: to.Port()}}
		if a.timeout == 0 {
			a.timeout = time.Second
		}
		for range k.weight {
			s.aims = append(s.aims, a)
		}
	}
	var err error
	if s.engine, err = probe.NewLoop(func(all []probe.Ended) {
		for i := range all {
			s.ended(all[i].Tag.(*soakAim), all[i].Result)
		}
	}); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	if s.engine != nil {
		go func() { done <- s.engine.Run(ctx) }()
	} else {
		done <- nil
	}
	out := json.NewEncoder(os.Stdout)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		s.begin(ctx, s.aims[rnd.IntN(len(s.aims))])
		if (i+1)%max(n/soakSamples, 1) == 0 {
			s.settle()
			if err := out.Encode(s.state(i + 1)); err != nil {
				return err
			}
		}
	}
	cancel()
	return <-done
}

// soakAim is a kind of probes and their target.
type soakAim struct {
	soakKind
	prober probe.Prober
	to     probe.Target
}

// soaker makes probes.
type soaker struct {
	start  time.Time
	engine *probe.Loop // nil: there is none on this system
	aims   []*soakAim  // each as often as it weighs
	slots  chan struct{}

	mu        sync.Mutex
	by, other map[string]int
}

// begin begins a probe when there is room for it.
func (s *soaker) begin(ctx context.Context, a *soakAim) {
	select {
	case s.slots <- struct{}{}:
	default:
		if s.engine != nil {
			s.engine.Flush()
		}
		s.slots <- struct{}{}
	}
	if p, is := a.prober.(probe.Starter); is && s.engine != nil && p.Start(s.engine, a.to, a.timeout, a) {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(ctx, a.timeout)
		defer cancel()
		s.ended(a, a.prober.Probe(ctx, a.to))
	}()
}

func (s *soaker) ended(a *soakAim, r probe.Result) {
	s.mu.Lock()
	s.by[a.name]++
	if !slices.Contains(a.want, r.Class) {
		s.other[a.name+": "+string(r.Class)+": "+r.Detail]++
	}
	s.mu.Unlock()
	<-s.slots
}

// settle waits until all probes have ended, and what ends by itself behind them: the
// goroutines of QUIC connections that have been closed.
func (s *soaker) settle() {
	if s.engine != nil {
		s.engine.Flush()
	}
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
	for range cap(s.slots) {
		<-s.slots
	}
	for range 40 {
		before := runtime.NumGoroutine()
		time.Sleep(25 * time.Millisecond)
		if runtime.NumGoroutine() == before {
			break
		}
	}
	runtime.GC()
	debug.FreeOSMemory()
}

func (s *soaker) state(n int) soakState {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, _ := os.ReadDir("/proc/self/fd")
	s.mu.Lock()
	defer s.mu.Unlock()
	return soakState{
		Probes: n, Goroutines: runtime.NumGoroutine(), Descriptors: len(files), Heap: int(m.HeapAlloc),
		Resident: resident(os.Getpid()), Took: time.Since(s.start), Other: s.other, By: s.by,
	}
}

// soakCommand is a subcommand of this program: soak-peers or soak-probes.
func soakCommand(args []string) error {
	if len(args) < 3 {
		return errors.New("what?")
	}
	if args[0] == "soak-peers" {
		return soakPeersCommand(args[1], args[2])
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	return soakProbesCommand(n, args[2])
}
