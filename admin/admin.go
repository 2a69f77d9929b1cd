package admin

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/controller"
	"github.com/rhumb-dns/rhumb/notify"
	"github.com/rhumb-dns/rhumb/server/meter"
)

// Process is what the admin surface asks of the process around it.
type Process interface {
	// Reload reads the configuration again and puts it in force, or changes
	// nothing; the error's text is then what `rhumb check` prints.
	Reload(ctx context.Context) error
	Condition() Condition
}

// Condition is how the process is at this instant.
type Condition struct {
	Started time.Time
	Version string
	Config  string // the main file

	LoadedAt time.Time // of the statement in force
	// ReloadError is why the last reload was refused; empty when the files and
	// the node agree.
	ReloadError   string
	ReloadErrorAt time.Time
	Warnings      []string

	DNS        []netip.AddrPort // bound
	DNSOverTLS []netip.AddrPort // bound
	Bound      bool             // DNS is served
	Settled    bool             // every probe has a first verdict
}

// Options are what the surface is made of. Engine and Process are needed.
type Options struct {
	Engine     *rhumb.Engine
	Process    Process
	Gatherer   prometheus.Gatherer   // what /metrics shows; nil: prometheus.DefaultGatherer
	Registerer prometheus.Registerer // nil: no metrics of its own
	Logger     *slog.Logger          // nil: silent
	// Traffic is what the node has been asked so far; nil: nothing.
	Traffic func() *meter.Reading
	// Notifier tells others what happens; nil: nobody does.
	Notifier *notify.Notifier
	// Controller tells edges what the zones answer; nil: none is told.
	Controller *controller.Controller
}

// Admin is the surface.
type Admin struct {
	engine  *rhumb.Engine
	process Process
	log     *slog.Logger
	meters  *meters
	guesses *guesses
	traffic func() *meter.Reading
	tells   *notify.Notifier
	streams *streams
	// controller may be nil; edgeStreams are of those that it tells.
	controller  *controller.Controller
	edgeStreams *streams
	handler     http.Handler
	// profiling is held while a profile is taken.
	profiling sync.Mutex
}

// New makes the surface.
func New(o Options) *Admin {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Gatherer == nil {
		o.Gatherer = prometheus.DefaultGatherer
	}
	if o.Traffic == nil {
		o.Traffic = func() *meter.Reading { return &meter.Reading{At: time.Now()} }
	}
	a := &Admin{engine: o.Engine, process: o.Process, log: o.Logger, guesses: newGuesses(), traffic: o.Traffic, tells: o.Notifier, controller: o.Controller}
	a.streams, a.edgeStreams = newStreams("events", maxStreams), newStreams("changes", maxEdgeStreams)
	a.meters = newMeters(o.Registerer, o.Process.Condition().Version)
	a.handler = a.guard(a.mux(o.Gatherer))
	return a
}

// Handler answers requests. It is safe for concurrent use.
func (a *Admin) Handler() http.Handler { return a.handler }
