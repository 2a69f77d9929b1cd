package hosts

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// reply is what a server of the world says of a question.
type reply struct {
	rcode   int
	records []string // of the answer, in RFC 1035 text
	tc      bool     // over UDP
	silent  bool     // until it is given up
	took    time.Duration
	err     error
	upset   bool // the exchange panics
}

// world plays every server.
type world struct {
	mu      sync.Mutex
	replies map[string]reply // by "name type", or "server name type", which goes first
	down    map[string]bool  // servers that say nothing
	asked   []ask
	now     int // exchanges under way
	most    int
}

type ask struct {
	at       time.Time
	server   string
	question string // "name type"
	tcp      bool
	edns     bool
}

func newWorld() *world { return &world{replies: map[string]reply{}, down: map[string]bool{}} }

func (w *world) set(question string, r reply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replies[question] = r
}

// addrs sets the addresses of "name type" with a TTL.
func (w *world) addrs(question, ttl string, addrs ...string) {
	name, typ, _ := strings.Cut(question, " ")
	var r reply
	for _, a := range addrs {
		r.records = append(r.records, strings.Join([]string{name, ttl, "IN", typ, a}, " "))
	}
	w.set(question, r)
}

func (w *world) fell(server string, down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down[server] = down
}

// asks are the exchanges for a question so far, of all when it is empty.
func (w *world) asks(question string) []ask {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.asked), func(a ask) bool { return question != "" && a.question != question })
}

// peak is how many exchanges were under way together at most.
func (w *world) peak() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.most
}

func (w *world) exchange(ctx context.Context, server netip.AddrPort, q *dns.Msg, tcp bool) (*dns.Msg, error) {
	question := q.Question[0].Name + " " + dns.TypeToString[q.Question[0].Qtype]
	w.mu.Lock()
	w.asked = append(w.asked, ask{time.Now(), server.String(), question, tcp, q.IsEdns0() != nil})
	w.now++
	w.most = max(w.most, w.now)
	r, ok := w.replies[server.String()+" "+question]
	if !ok {
		r, ok = w.replies[question]
	}
	if !ok {
		r.rcode = dns.RcodeNameError
	}
	if w.down[server.String()] {
		r = reply{silent: true}
	}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.now--
	}()
	if r.silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if r.took > 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(r.took):
		}
	}
	switch {
	case r.upset:
		panic("index out of range, say")
	case r.err != nil:
		return nil, r.err
	}
	m := new(dns.Msg).SetReply(q)
	m.Rcode, m.RecursionAvailable = r.rcode, true
	m.Truncated = r.tc && !tcp
	if !m.Truncated {
		for _, text := range r.records {
			m.Answer = append(m.Answer, rr(text))
		}
	}
	return m, nil
}

func rr(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return rr
}

// logs is what a resolver has logged.
type logs struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), what)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var errDisk = errors.New("no space left on device")

// disk is a Keeper.
type disk struct {
	mu     sync.Mutex
	kept   map[string][]byte
	writes int
	broken bool
}

func newDisk() *disk { return &disk{kept: map[string][]byte{}} }

func (d *disk) Load(b string) (map[string][]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b != bucket || d.broken {
		return nil, errDisk
	}
	return maps.Clone(d.kept), nil
}

func (d *disk) Save(_ string, values map[string][]byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes++
	if d.broken {
		return errDisk
	}
	for k, v := range values {
		if v == nil {
			delete(d.kept, k)
		} else {
			d.kept[k] = v
		}
	}
	return nil
}

func (d *disk) breaks(broken bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = broken
}

// state is what is on the disk, and how often it was written.
func (d *disk) state() (map[string]string, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[string]string{}
	for k, v := range d.kept {
		all[k] = string(v)
	}
	return all, d.writes
}

// rig is a resolver at work inside a bubble.
type rig struct {
	*Resolver
	t         *testing.T
	world     *world
	log       *logs
	reg       *prometheus.Registry
	conf      string // files of the system's resolver, which do not exist at first
	hostsFile string
	stop      func()
}

func newRig(t *testing.T, k Keeper) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{
		t: t, world: newWorld(), log: &logs{}, reg: prometheus.NewRegistry(),
		conf: filepath.Join(dir, "resolv.conf"), hostsFile: filepath.Join(dir, "hosts"),
	}
	var err error
	r.Resolver, err = New(Options{
		Logger: slog.New(slog.NewTextHandler(r.log, nil)), Registerer: r.reg, Keeper: k,
		ResolvConf: r.conf, HostsFile: r.hostsFile, Exchange: r.world.exchange,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run starts the resolver. The rig must be stopped before its bubble ends.
func (r *rig) run() *rig {
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	})
	return r
}

const server1, server2 = "192.0.2.53:53", "198.51.100.53:53"

// names applies names with the first server, or others.
func (r *rig) names(names string, servers ...string) *View {
	if servers == nil {
		servers = []string{server1}
	}
	return r.Apply(parsed(names), ports(servers...))
}

// system applies names with the system's resolver.
func (r *rig) system(names string) *View { return r.Apply(parsed(names), nil) }

func parsed(names string) (all []dnswire.Name) {
	for _, text := range strings.Fields(names) {
		all = append(all, named(text))
	}
	return all
}

func named(text string) dnswire.Name {
	n, err := dnswire.ParseName(text)
	if err != nil {
		panic(err)
	}
	return n
}

func ports(servers ...string) (all []netip.AddrPort) {
	for _, s := range servers {
		all = append(all, netip.MustParseAddrPort(s))
	}
	return all
}

// after lets time pass, and everything that it brings about happen.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// soon is long enough for what is under way, and for a quiet view.
func soon() { after(2 * quietGap) }

// want compares the addresses of name i, separated by blanks.
func (r *rig) want(i int, v4, v6 string) {
	r.t.Helper()
	d := r.View().Detail(i)
	if got := text(d.V4.Addrs); got != v4 {
		r.t.Errorf("at %s A of %v is %q, want %q (%+v)", clock(), d.Name, got, v4, d.V4)
	}
	if got := text(d.V6.Addrs); got != v6 {
		r.t.Errorf("at %s AAAA of %v is %q, want %q (%+v)", clock(), d.Name, got, v6, d.V6)
	}
}

// gauges compares the gauges.
func (r *rig) gauges(stale, unresolved float64) {
	r.t.Helper()
	if s, u := testutil.ToFloat64(r.meters.stale), testutil.ToFloat64(r.meters.unresolved); s != stale || u != unresolved {
		r.t.Errorf("at %s stale %v and unresolved %v, want %v and %v", clock(), s, u, stale, unresolved)
	}
}

func (r *rig) counted(result string) float64 {
	return testutil.ToFloat64(r.meters.queries.WithLabelValues(result))
}

func text(addrs []netip.Addr) string {
	var all []string
	for _, a := range addrs {
		all = append(all, a.String())
	}
	return strings.Join(all, " ")
}

func addrs(text string) (all []netip.Addr) {
	for _, a := range strings.Fields(text) {
		all = append(all, netip.MustParseAddr(a))
	}
	return all
}

func clock() string { return time.Now().Format("15:04:05.000") }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// A file's time may be too coarse to tell two writes apart, and is not that of
	// the bubble.
	if err := os.Chtimes(path, time.Time{}, time.Now()); err != nil {
		t.Fatal(err)
	}
}
