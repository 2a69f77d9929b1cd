package server

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/server/datagram"
	"github.com/rhumb-dns/rhumb/server/limit"
	"github.com/rhumb-dns/rhumb/server/tap"
)

// The defaults of Options.
const (
	DefaultGrace            = 5 * time.Second
	defaultSocketsElsewhere = 1
)

// Options are what a Server needs. Only Snapshot must be set.
type Options struct {
	// Snapshot is what to answer from now. While it is nil, queries are
	// dropped and counted.
	Snapshot   func() *resolve.Snapshot
	Logger     *slog.Logger          // default: nowhere
	Registerer prometheus.Registerer // default: nowhere

	// Workers is the default of UDP.Workers; its own is GOMAXPROCS. It is 1 where
	// the system gives all datagrams to one socket.
	Workers int

	// Grace is how long connections may take to finish when Run ends.
	Grace time.Duration
}

// Server answers DNS queries on sockets. Bind and Commit give it addresses, Run
// serves them.
type Server struct {
	o          Options
	log        *slog.Logger
	settings   atomic.Pointer[settings] // never nil
	tcp        conns
	tcpWorkers sync.Pool // of *tcpWorker
	tcpCount   *counters
	tls        *tls.Config // one for good, so that session tickets outlive certificates
	tlsCount   *counters
	handshakes [handshakeResults]atomic.Uint64
	panicked   atomic.Bool
	cookies    *cookies
	tap        *tap.Tap

	mu        sync.Mutex
	listeners map[door]*listener
	order     []door // its keys as the last Bind gave them
	udp       UDP    // as the sockets of UDP were opened
	state     state
	wg        sync.WaitGroup // all goroutines of Run

	countMu sync.Mutex
	live    map[*counters]struct{} // one per UDP worker
	gone    *counters              // the sum of those that have ended
}

// state is where a Server is in its life.
type state uint8

const (
	idle state = iota
	running
	stopped
)

// New makes a Server without sockets. It registers its metrics, and panics when
// they are registered already.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if !datagram.SharesLoad {
		o.Workers = defaultSocketsElsewhere
	}
	if o.Grace <= 0 {
		o.Grace = DefaultGrace
	}
	s := &Server{
		o:         o,
		log:       o.Logger,
		listeners: map[door]*listener{},
		live:      map[*counters]struct{}{},
		gone:      &counters{},
		cookies:   newCookies(),
		tap:       tap.New(o.Logger),
	}
	s.tcp.init()
	s.configure(&Setup{})
	s.tcpCount, s.tlsCount = &counters{heavy: newHeavy()}, &counters{heavy: newHeavy()}
	s.tls = s.tlsConfig()
	if o.Registerer != nil {
		o.Registerer.MustRegister(s, s.tap)
	}
	return s
}

// Run serves every address that is or will be committed until ctx ends. Then it
// stops receiving, answers what it has received, closes, and returns nil when
// all its goroutines have ended, which Options.Grace bounds. It runs once.
func (s *Server) Run(ctx context.Context) error {
	endTap := s.runTap()
	s.mu.Lock()
	s.state = running
	for _, l := range s.listeners {
		s.serve(l)
	}
	s.mu.Unlock()

	<-ctx.Done()

	s.mu.Lock()
	s.state = stopped
	for _, l := range s.listeners {
		l.stop()
	}
	s.mu.Unlock()
	s.tcp.finishAll(s.o.Grace)

	// Whoever will not take an answer has had the time for it.
	expired := time.AfterFunc(s.o.Grace, func() {
		s.tcp.closeAll()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, l := range s.listeners {
			l.close()
		}
	})
	defer expired.Stop()
	s.wg.Wait()
	endTap()

	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.listeners)
	s.order = nil
	return nil
}

// configure puts in force what of a Setup is not an address.
func (s *Server) configure(setup *Setup) {
	l := setup.Limits.withDefaults()
	s.tcp.limit(l)
	s.tap.Configure(setup.Tap)
	var before *guard
	if old := s.settings.Load(); old != nil {
		before = &old.guard
	}
	s.settings.Store(&settings{
		certificate: setup.Certificate, proxies: setup.Proxies, idle: l.Idle,
		queries: limit.PerSecond(l.Queries),
		guard:   newGuard(setup, before),
	})
}

// Addrs are the addresses of UDP and TCP that are open, with the ports they
// really have, in the order of the last Bind.
func (s *Server) Addrs() []netip.AddrPort { return s.addrs(false) }

// TLSAddrs are those of DNS over TLS.
func (s *Server) TLSAddrs() []netip.AddrPort { return s.addrs(true) }

func (s *Server) addrs(overTLS bool) []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]netip.AddrPort, 0, len(s.order))
	for _, d := range s.order {
		if d.tls == overTLS {
			out = append(out, s.listeners[d].addr)
		}
	}
	return out
}
