package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/history"
	"github.com/rhumb-dns/rhumb/spec"
)

// Keeper remembers values by bucket and key. A nil value forgets the key.
type Keeper interface {
	Load(bucket string) (map[string][]byte, error)
	Save(bucket string, values map[string][]byte) error
}

// bucket holds how far destinations are, by name.
const bucket = "notify"

// Options are what a Notifier needs from outside. History is needed.
type Options struct {
	History    *history.Log
	Logger     *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: no metrics
	Keeper     Keeper                // nil: memory only
	// Concerns is whether events are about a service; nil: none is.
	Concerns func(service string) func(*history.Event) bool
}

// Notifier tells destinations. A nil one has none.
type Notifier struct {
	o      Options
	log    *slog.Logger
	meters *meters

	mu      sync.Mutex
	all     map[string]*destination
	kept    map[string][]byte // until the first destinations have claimed theirs
	applied bool
	ctx     context.Context // of Run; nil while there is none
	running sync.WaitGroup
}

// New makes a notifier without destinations. It reads what Options.Keeper holds.
func New(o Options) (*Notifier, error) {
	n := &Notifier{o: o, log: o.Logger, all: map[string]*destination{}}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if o.Keeper != nil {
		var err error
		if n.kept, err = o.Keeper.Load(bucket); err != nil {
			return nil, fmt.Errorf("notify: restore: %w", err)
		}
	}
	n.meters = newMeters(o.Registerer, n)
	return n, nil
}

// Change is destinations that are ready to be told.
type Change struct{ all []*setting }

// setting is what a destination goes by.
type setting struct {
	*spec.Destination
	node   string
	query  history.Query
	sender sender
}

// Prepare makes destinations ready. node is the name of the node. It changes nothing.
func (n *Notifier) Prepare(all []*spec.Destination, node string) (*Change, error) {
	c := &Change{}
	for _, d := range all {
		s := &setting{Destination: d, node: node, query: history.Query{Types: d.Events, Also: n.also(d)}}
		var err error
		if d.Webhook != nil {
			s.sender, err = newWebhook(d.Webhook, d.Timeout)
		} else {
			s.sender, err = newScript(d.Program)
		}
		if err != nil {
			return nil, fmt.Errorf("notify.%s: %w", d.Name, err)
		}
		c.all = append(c.all, s)
	}
	return c, nil
}

// also is whose events a destination is told of, nil for all.
func (n *Notifier) also(d *spec.Destination) func(*history.Event) bool {
	if len(d.Pools) == 0 && len(d.Services) == 0 {
		return nil
	}
	var concerns []func(*history.Event) bool
	for _, s := range d.Services {
		if n.o.Concerns != nil {
			concerns = append(concerns, n.o.Concerns(s.String()))
		}
	}
	return func(e *history.Event) bool {
		return slices.ContainsFunc(e.Pools, func(p string) bool { return slices.Contains(d.Pools, p) }) ||
			slices.ContainsFunc(concerns, func(f func(*history.Event) bool) bool { return f(e) })
	}
}

// Apply puts destinations in force. Those that stay go on where they are.
func (n *Notifier) Apply(c *Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	before := n.all
	n.all = map[string]*destination{}
	places := map[string][]byte{}
	for _, s := range c.all {
		d := before[s.Name]
		delete(before, s.Name)
		if d != nil {
			d.change(s)
		} else {
			at := n.start(s.Name)
			d = newDestination(n, s, at)
			// One that never takes anything has what waits for it after a restart as well.
			places[s.Name] = place(at)
			n.begin(d)
		}
		n.all[s.Name] = d
	}
	for name, d := range before {
		if d.stop != nil {
			d.stop()
		}
		places[name] = nil
		n.meters.forget(name)
	}
	for name := range n.kept {
		if n.all[name] == nil {
			places[name] = nil
		}
	}
	n.applied, n.kept = true, nil
	n.keep(places)
}

// place is a place as it is kept.
func place(at uint64) []byte { return strconv.AppendUint(nil, at, 10) }

// start is where a destination begins: where it was, or at what happens from now on.
func (n *Notifier) start(name string) uint64 {
	if at, err := strconv.ParseUint(string(n.kept[name]), 10, 64); err == nil {
		return at
	}
	if !n.applied {
		return n.o.History.First() - 1 // that the node has started, and what it finds
	}
	return n.o.History.Last()
}

// begin has a destination run, once Run does. mu is held.
func (n *Notifier) begin(d *destination) {
	if n.ctx == nil {
		return
	}
	ctx, stop := context.WithCancel(n.ctx)
	d.stop = stop
	n.running.Go(func() { d.run(ctx) })
}

// Run tells until ctx ends, and waits for deliveries under way, which are given up.
func (n *Notifier) Run(ctx context.Context) error {
	n.mu.Lock()
	n.ctx = ctx
	for _, d := range n.all {
		n.begin(d)
	}
	n.mu.Unlock()
	<-ctx.Done()
	n.mu.Lock()
	n.ctx = nil
	n.mu.Unlock()
	n.running.Wait()
	return nil
}

func (n *Notifier) keep(values map[string][]byte) {
	if n.o.Keeper == nil || len(values) == 0 {
		return
	}
	if err := n.o.Keeper.Save(bucket, values); err != nil {
		n.log.Error("how far destinations are is not kept: a restart would tell them again", "error", err)
	}
}

// destinations are all there are, by name.
func (n *Notifier) destinations() []*destination {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []*destination
	for _, name := range slices.Sorted(maps.Keys(n.all)) {
		all = append(all, n.all[name])
	}
	return all
}

// Status is how a destination stands.
type Status struct {
	Name      string
	Kind      string    // webhook or script
	Waiting   int       // events that it has not taken yet
	Oldest    time.Time // when the first of them was
	Delivered time.Time // when it last took some
	Failures  int       // tries in a row that failed
	Error     string    // of the last of them
}

// Status is how all destinations stand, by name.
func (n *Notifier) Status() []Status {
	var all []Status
	for _, d := range n.destinations() {
		all = append(all, d.status())
	}
	return all
}

// ErrNotFound is the error of a destination that there is not.
var ErrNotFound = errors.New("not found")

// Test sends a destination a delivery of an event that is none, once, and says what
// it answered.
func (n *Notifier) Test(ctx context.Context, name string) (string, error) {
	for _, d := range n.destinations() {
		if d.name == name {
			return d.test(ctx)
		}
	}
	return "", ErrNotFound
}

// oneLine is what others have said, as one short line.
func oneLine(s string) string {
	s = strings.TrimSpace(s)
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > maxReason {
		s = s[:maxReason] + "..."
	}
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s), "")
}

const maxReason = 200
