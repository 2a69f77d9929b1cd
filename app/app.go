package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/admin"
	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/controller"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/history"
	"github.com/rhumb-dns/rhumb/notify"
	"github.com/rhumb-dns/rhumb/server"
	"github.com/rhumb-dns/rhumb/source"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/store"
	"github.com/rhumb-dns/rhumb/table"
	"github.com/rhumb-dns/rhumb/zone"
)

// Options are what the process is started with.
type Options struct {
	Config    string    // path of the configuration file
	Version   string    // what `rhumb version` prints
	LogWriter io.Writer // default: standard error
	// Hangups asks for reloads; nil: SIGHUP does, from Run on. A program takes
	// its own before New, which may read for seconds: until somebody takes it, the
	// signal ends the process.
	Hangups <-chan os.Signal
}

// App is one node.
type App struct {
	version  string
	started  time.Time
	file     *source.File
	log      *slog.Logger
	logging  *logging
	registry *prometheus.Registry
	reloads  *reloadMeters
	hangups  <-chan os.Signal
	store    *store.Store // nil: memory only
	audit    *audit.Log
	history  *history.Log
	notifier *notify.Notifier
	edges    *controller.Controller
	feeds    *feeds
	engine   *rhumb.Engine
	dns      *server.Server
	admin    *adminServer
	first    *spec.Spec

	ready    chan struct{} // closed when DNS answers
	reloadMu sync.Mutex    // one reload at a time
	stopping atomic.Bool   // there are no more reloads

	mu     sync.Mutex
	loaded time.Time // when the statement in force was put in force
	bad    error     // why the files that are there now are not in force
	badAt  time.Time
}

// New reads the configuration and opens the store. Nothing listens yet and no
// probe is made. The error of a bad configuration is a spec.Errors.
func New(o Options) (*App, error) {
	if o.LogWriter == nil {
		o.LogWriter = os.Stderr
	}
	logs := newLogging(o.LogWriter)
	a := &App{
		version:  o.Version,
		started:  time.Now(),
		logging:  logs,
		log:      slog.New(logs),
		registry: prometheus.NewRegistry(),
		ready:    make(chan struct{}),
		hangups:  o.Hangups,
	}
	a.file = source.NewFile(o.Config, a.log)
	a.file.Beside = beside
	s, err := a.file.Load()
	if err != nil {
		return nil, err
	}
	a.first = s
	logs.set(s.Log)
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.reloads = newReloadMeters(a.registry)

	engine := rhumb.Options{Logger: a.log, Registerer: a.registry}
	if s.Node.DataDir != "" {
		if err = a.openStore(s.Node.DataDir); err != nil {
			return nil, err
		}
		engine.Keeper = keeper{a.store}
	}
	if err := a.openAudit(s.Node.DataDir); err != nil {
		a.closeStore()
		return nil, err
	}
	engine.Audit = a.audit
	if err := a.openHistory(s.Node.DataDir); err != nil {
		a.closeStore()
		return nil, err
	}
	engine.History = a.history
	if a.engine, err = rhumb.New(engine); err != nil {
		a.closeStore()
		return nil, err
	}
	if err := a.newNotifier(); err != nil {
		a.closeStore()
		return nil, err
	}
	a.feeds = newFeeds(a)
	a.edges = controller.New(controller.Options{Engine: a.engine, Logger: a.log, Registerer: a.registry, Background: background})
	a.dns = server.New(server.Options{Snapshot: a.engine.Snapshot, Logger: a.log, Registerer: a.registry})
	surface := admin.New(admin.Options{
		Engine: a.engine, Process: a, Gatherer: a.registry, Registerer: a.registry, Logger: a.log,
		Traffic: a.dns.Reading, Notifier: a.notifier, Controller: a.edges,
	})
	a.admin = &adminServer{handler: surface.Handler(), log: a.log, ending: surface.EndStreams}
	return a, nil
}

// Engine is the node's engine.
func (a *App) Engine() *rhumb.Engine { return a.engine }

// Started is closed when the sockets are bound, the first verdicts are in, and
// DNS answers.
func (a *App) Started() <-chan struct{} { return a.ready }

// DNSAddrs are the addresses DNS is bound to.
func (a *App) DNSAddrs() []netip.AddrPort { return a.dns.Addrs() }

// DNSOverTLSAddrs are the addresses DNS over TLS is bound to.
func (a *App) DNSOverTLSAddrs() []netip.AddrPort { return a.dns.TLSAddrs() }

// AdminAddr is the address the admin surface is bound to.
func (a *App) AdminAddr() netip.AddrPort { return a.admin.addr() }

// Run serves until ctx ends, then stops in order: DNS finishes what it has, the
// admin surface and the probes end, what is left to keep is written. It returns
// nil when ctx ended it, and an error when it could not start. A reload that is
// under way then is given up.
func (a *App) Run(ctx context.Context) error {
	defer a.closeStore()
	// A reload waits until the node answers, so that it finds it whole.
	a.reloadMu.Lock()
	hup := a.hangups
	if hup == nil {
		var unhook func()
		hup, unhook = Hangups()
		defer unhook()
	}
	starting := true
	defer func() {
		if starting {
			a.reloadMu.Unlock()
		}
	}()
	sockets, err := a.open()
	if err != nil {
		return err
	}

	// Each of these ends when the context it is given does; they are stopped in
	// the order DNS, admin, probes.
	outlive := context.WithoutCancel(ctx)
	defer a.record(outlive)() // after all that happens
	var running sync.WaitGroup
	defer running.Wait()
	probing, stopProbing := context.WithCancel(outlive)
	defer stopProbing()
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	defer a.admin.stop()
	failed := make(chan error, 6)
	run := func(what string, f func() error) {
		running.Go(func() {
			if err := f(); err != nil {
				failed <- fmt.Errorf("%s: %w", what, err)
			}
		})
	}
	run("health", func() error { return a.engine.Run(probing) })
	run("notify", func() error { return a.notifier.Run(probing) })
	run("controller", func() error { return a.edges.Run(probing) })
	run("sources", a.feeds.begin(probing))

	// DNS waits for the first verdicts, so that no answer is a guess. What is
	// asked meanwhile lies in the sockets.
	select {
	case <-ctx.Done():
		sockets.Abort()
		return nil
	case err := <-failed:
		sockets.Abort()
		return err
	case <-a.engine.Settled():
	}
	a.feeds.first(ctx)
	serving, stopServing := context.WithCancel(outlive)
	defer stopServing()
	served := make(chan struct{})
	run("dns", func() error {
		defer close(served)
		return a.dns.Run(serving)
	})
	sockets.Commit()
	makeRoom(workers(a.engine.Spec().DNS.UDP.Workers))
	release(a.engine)
	for _, addr := range a.DNSAddrs() {
		a.log.Info("dns listens", "address", addr.String(), "transports", "udp,tcp")
	}
	for _, addr := range a.DNSOverTLSAddrs() {
		a.log.Info("dns listens", "address", addr.String(), "transports", "tls")
	}
	starting = false
	a.reloadMu.Unlock()
	run("files", func() error {
		// Why a reload was refused is logged and kept by reload itself.
		return a.file.Watch(watching, func() { _ = a.reload("files") })
	})
	running.Go(func() {
		for {
			select {
			case <-watching.Done():
				return
			case <-hup:
				_ = a.reload("SIGHUP")
			}
		}
	})
	close(a.ready)
	a.tell("READY=1")

	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	a.tell("STOPPING=1")
	a.log.Info("stopping")
	stopWatching()
	// A reload under way may take seconds, which queries shall not notice: it is
	// given up where it would begin to change things, and until then DNS answers.
	a.stopping.Store(true)
	a.reloadMu.Lock()
	stopServing()
	a.reloadMu.Unlock()
	<-served
	return err
}

// open puts the first statement in force: probes made ready, sockets bound. Of
// the DNS sockets it is left to say when they are served.
func (a *App) open() (*server.Change, error) {
	s := a.first
	a.first = nil
	change, err := a.engine.Prepare(s)
	if err != nil {
		return nil, err
	}
	told, err := a.prepareTelling(s)
	if err != nil {
		return nil, err
	}
	web, err := a.admin.bind(s.Admin)
	if err != nil {
		return nil, err
	}
	sockets, err := a.bindDNS(&s.DNS)
	if err != nil {
		web.abort()
		return nil, err
	}
	if err := a.engine.Commit(change); err != nil {
		web.abort()
		sockets.Abort()
		return nil, err
	}
	web.commit()
	a.tellStart(told)
	a.note(nil)
	a.log.Info("admin listens", "address", a.AdminAddr().String())
	for _, w := range s.Warnings {
		a.log.Warn(w.Error())
	}
	return sockets, nil
}

// errDataDir is why a new data_dir is refused: what is in the old one is in use.
var errDataDir = errors.New("node.data_dir: cannot change while the node runs; restart it")

// errStopping is the error of a reload while the node ends.
var errStopping = errors.New("the node is stopping")

// Reload reads the files again and puts them in force, or changes nothing and
// says why. During the start it waits for its end.
func (a *App) Reload(_ context.Context) error { return a.reload("request") }

func (a *App) reload(by string) error {
	a.reloadMu.Lock()
	defer a.reloadMu.Unlock()
	if a.stopping.Load() {
		return errStopping
	}
	begin := time.Now()
	was := a.engine.Snapshot().Table
	err := a.replace()
	if errors.Is(err, errStopping) {
		a.log.Info("reload given up", "by", by)
		return err
	}
	if now := a.engine.Snapshot().Table; err != nil || now != was && now.Anew() {
		release(a.engine)
	}
	a.note(err)
	a.reloads.done(err, time.Now())
	a.tellReload(by, err)
	if err != nil {
		a.refused(by, err)
		return err
	}
	a.log.Info("configuration reloaded", "by", by, "took", time.Since(begin).Round(time.Millisecond).String())
	return nil
}

// loggedErrors is how many errors of a refused reload are logged.
const loggedErrors = 20

// refused logs a reload that changed nothing, a line for each error.
func (a *App) refused(by string, err error) {
	const what = "configuration not reloaded; the one in force stays"
	var all spec.Errors
	if !errors.As(err, &all) || len(all) == 1 {
		a.log.Error(what, "by", by, "error", err)
		return
	}
	a.log.Error(what, "by", by, "errors", len(all))
	for i, e := range all {
		if i == loggedErrors {
			a.log.Error("more errors: rhumb check says them all")
			return
		}
		a.log.Error(e.Error())
	}
}

// loggedZones is how many zones a reload is logged for.
const loggedZones = 20

// changed logs the zones whose static records are others than before.
func (a *App) changed(before, now *table.Table) {
	was := make(map[dnswire.Name]*zone.Data, len(before.Zones))
	for i, z := range before.Zones {
		was[z.Name] = before.Data(i)
	}
	logged := 0
	for i, z := range now.Zones {
		d, old := now.Data(i), was[z.Name]
		if old == nil || old.Serial == d.Serial && old.Records == d.Records {
			continue
		}
		if logged++; logged > loggedZones {
			return
		}
		a.log.Info("zone changed", "zone", z.Text, "serial", d.Serial, "records", d.Records)
		if int32(d.Serial-old.Serial) < 0 { // RFC 1982
			a.log.Warn("the serial of a zone went backwards: secondaries and caches that go by it keep what they have", "zone", z.Text, "serial", d.Serial, "before", old.Serial)
		}
	}
}

// prepare reads the files and compiles what they state. A zone file that turns
// out to have records of one name in several places is read again, as a whole.
func (a *App) prepare() (*spec.Spec, *rhumb.Change, error) {
	if t := a.engine.Snapshot().Table; t.Len() >= manyNames && len(t.Plans) < manyPlans {
		// Two tables are there for a while, and what comes and goes meanwhile must
		// not add as much again. To collect is cheap while few pointers are held,
		// which names have none of, and plans many.
		defer debug.SetGCPercent(debug.SetGCPercent(loadGCPercent))
	}
	for again := 0; ; again++ {
		s, err := a.file.Load()
		if err != nil {
			return nil, nil, err
		}
		change, err := a.engine.Prepare(s)
		var scattered *table.Scattered
		if !errors.As(err, &scattered) || again > len(s.Zones) {
			return s, change, err
		}
		a.file.Whole(scattered.Zone)
	}
}

func (a *App) replace() error {
	var s *spec.Spec
	var change *rhumb.Change
	var err error
	background(func() { s, change, err = a.prepare() })
	if a.stopping.Load() {
		return errStopping
	}
	if err != nil {
		return err
	}
	before, was := a.engine.Spec(), a.engine.Snapshot().Table
	if s.Node.DataDir != before.Node.DataDir {
		return errDataDir
	}
	told, err := a.prepareTelling(s)
	if err != nil {
		return err
	}
	web, err := a.admin.bind(s.Admin)
	if err != nil {
		return err
	}
	sockets, err := a.bindDNS(&s.DNS)
	if err != nil {
		web.abort()
		return err
	}
	// From here on nothing fails: reloads come one at a time, and nobody else
	// commits.
	if err := a.engine.Commit(change); err != nil {
		web.abort()
		sockets.Abort()
		return err
	}
	sockets.Commit()
	makeRoom(workers(s.DNS.UDP.Workers))
	web.commit()
	a.tellOthers(told, before, s)
	a.logging.set(s.Log)
	a.changed(was, a.engine.Snapshot().Table)
	for _, w := range s.Warnings {
		if !slices.Contains(before.Warnings, w) {
			a.log.Warn(w.Error())
		}
	}
	return nil
}

// note records how the last reading ended.
func (a *App) note(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bad = err
	if err != nil {
		a.badAt = time.Now()
		return
	}
	a.loaded = time.Now()
}

// Condition implements admin.Process.
func (a *App) Condition() admin.Condition {
	c := admin.Condition{
		Started: a.started, Version: a.version, Config: a.file.Path(), Warnings: a.damage(),
		DNS: a.dns.Addrs(), DNSOverTLS: a.dns.TLSAddrs(), Bound: closed(a.ready), Settled: closed(a.engine.Settled()),
	}
	if s := a.engine.Spec(); s != nil {
		for _, w := range s.Warnings {
			c.Warnings = append(c.Warnings, w.Error())
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c.LoadedAt = a.loaded
	if a.bad != nil {
		c.ReloadError, c.ReloadErrorAt = a.bad.Error(), a.badAt
	}
	return c
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
