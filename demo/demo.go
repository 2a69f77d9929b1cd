package demo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/rhumb-dns/rhumb/app"
)

// Options are how the demonstration runs.
type Options struct {
	Version string
	In      *os.File       // where keys come from; nil: nowhere
	Out     *os.File       // a terminal shows the live view, anything else gets a log
	DNS     netip.AddrPort // default 127.0.0.1:5300
	Admin   netip.AddrPort // default 127.0.0.1:8080
	Port    uint16         // of the three endpoints; default 8080
}

// The endpoints' addresses, in the order of their keys.
var addresses = [...]string{"127.0.0.2", "127.0.0.3", "127.0.0.4"}

// services are the names that the demonstration asks for all the time.
var services = [...]struct{ name, steer, why string }{
	{"www.demo.test", "failover", "dublin while it lives, then boston"},
	{"api.demo.test", "weighted", "3 : 1 : 4 over whatever lives"},
}

// configuration is what the node is started with. One failure and one success
// decide here, so that the view follows a key within one interval.
const configuration = `# The demonstration's configuration: "rhumb serve -c FILE" runs it as well.
dns:
  listen: [%s]
admin:
  listen: %s

checks:
  web: {type: http, port: %d, path: /healthz, host: demo.test, interval: 1s, timeout: 500ms, rise: 1, fall: 1}

pools:
  dublin:
    place: {region: eu-west, continent: EU, country: IE}
    checks: [web]
    endpoints:
      - {address: 127.0.0.2, weight: 3}
      - {address: 127.0.0.3, weight: 1}
  boston:
    place: {region: us-east, continent: NA, country: US}
    checks: [web]
    endpoints:
      - {address: 127.0.0.4, weight: 4}

zones:
  demo.test:
    nameservers: {ns1: 127.0.0.1}
    services:
      www: {pools: [dublin, boston], steer: failover, ttl: 1}
      api: {pools: [dublin, boston], steer: weighted, ttl: 1}
`

// demo is a running demonstration.
type demo struct {
	o         Options
	endpoints []*endpoint
	app       *app.App
	config    string
	events    *tail
	resolver  *net.Resolver
	tally     map[string][]string // of each service, the latest answers, newest last
	failed    map[string]string   // of each service, why the last query failed
}

// Run shows the demonstration until ctx ends or a key ends it.
func Run(ctx context.Context, o Options) error {
	if !o.DNS.IsValid() {
		o.DNS = netip.MustParseAddrPort("127.0.0.1:5300")
	}
	if !o.Admin.IsValid() {
		o.Admin = netip.MustParseAddrPort("127.0.0.1:8080")
	}
	if o.Port == 0 {
		o.Port = 8080
	}
	dir, err := os.MkdirTemp("", "rhumb-demo")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	d := &demo{o: o, config: filepath.Join(dir, "demo.yaml"), tally: map[string][]string{}, failed: map[string]string{}}
	if err := os.WriteFile(d.config, fmt.Appendf(nil, configuration, o.DNS, o.Admin, o.Port), 0o600); err != nil {
		return fmt.Errorf("demo: %w", err)
	}

	live := o.Out != nil && term.IsTerminal(int(o.Out.Fd()))
	var logs io.Writer = o.Out
	if live {
		d.events = &tail{}
		logs = d.events
	}
	for _, a := range addresses {
		e, err := listen(netip.AddrPortFrom(netip.MustParseAddr(a), o.Port))
		if err != nil {
			d.close()
			return err
		}
		d.endpoints = append(d.endpoints, e)
	}
	if d.app, err = app.New(app.Options{Config: d.config, Version: o.Version, LogWriter: logs}); err != nil {
		d.close()
		return err
	}

	// A terminal that is closed ends what it showed. The node takes the same
	// signal for a reload, which does no harm.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	var running sync.WaitGroup
	failures := make(chan error, len(d.endpoints)+1)
	start := func(f func(context.Context) error) {
		running.Go(func() {
			if err := f(ctx); err != nil {
				failures <- err
				stop()
			}
		})
	}
	for _, e := range d.endpoints {
		start(e.run)
	}
	start(d.app.Run)

	select {
	case <-ctx.Done():
	case <-d.app.Started():
		d.resolver = d.dial()
		if live {
			d.show(ctx, stop)
		} else {
			d.narrate(ctx, stop, slog.New(slog.NewTextHandler(o.Out, nil)))
		}
	}
	stop()
	running.Wait()
	select {
	case err := <-failures:
		return err
	default:
		return nil
	}
}

func (d *demo) close() {
	for _, e := range d.endpoints {
		_ = e.ln.Close()
	}
}

// dial makes a resolver that asks the node and nobody else.
func (d *demo) dial() *net.Resolver {
	to := d.app.DNSAddrs()[0].String()
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, to)
		},
	}
}

// shown is how many of the latest answers of a service are shown.
const shown = 40

// ask asks for every service once, over UDP, and keeps the answers.
func (d *demo) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, s := range services {
		got, err := d.resolver.LookupNetIP(ctx, "ip4", s.name+".")
		if err != nil {
			d.failed[s.name] = err.Error()
			continue
		}
		delete(d.failed, s.name)
		t := append(d.tally[s.name], got[0].Unmap().String())
		d.tally[s.name] = t[max(0, len(t)-shown):]
	}
}

// Pauses: between two rounds of questions, and between two pictures.
const (
	askEvery  = 100 * time.Millisecond
	drawEvery = 200 * time.Millisecond
)

// keys delivers the bytes of the input until it ends. The goroutine outlives
// the demonstration when nobody types, as a read of a terminal cannot be ended.
func keys(in *os.File) <-chan byte {
	c := make(chan byte)
	if in == nil {
		return c
	}
	go func() {
		b := make([]byte, 1)
		for {
			n, err := in.Read(b)
			if n == 1 {
				c <- b[0]
			}
			if err != nil {
				return
			}
		}
	}()
	return c
}

// press does what a key asks for and says whether it was the last.
func (d *demo) press(key byte) (quit bool) {
	switch {
	case key >= '1' && int(key-'1') < len(d.endpoints):
		d.endpoints[key-'1'].toggle()
	case key == 'q', key == 3, key == 4: // Ctrl-C and Ctrl-D arrive as bytes in raw mode
		return true
	}
	return false
}
