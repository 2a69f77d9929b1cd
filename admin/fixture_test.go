package admin_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/admin"
	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/controller"
	"github.com/rhumb-dns/rhumb/history"
	"github.com/rhumb-dns/rhumb/notify"
	"github.com/rhumb-dns/rhumb/server/meter"
	"github.com/rhumb-dns/rhumb/spec"
)

// configuration has an endpoint in every state: unchecked ones are up, and
// nothing listens on port 1 of this machine.
const configuration = `node: {name: ns1, region: eu-west}
geo:
  networks: {10.0.0.0/8: {region: lan, country: IE, subdivision: L, city: Dublin, asn: 64500, at: [53.35, -6.26]}}
  regions: {north-america: {continents: [NA]}}
checks:
  shut: {type: tcp, port: 1, interval: 1h}
  page: {type: http, port: 1, interval: 1h}
pools:
  eu:
    place: {region: eu-west}
    endpoints:
      - {address: 192.0.2.10, weight: 300, tags: [ssd], priority: 1}
      - {address: 127.0.0.1, checks: [shut]}
      - "2001:db8::10"
  us:
    place: {region: us-east}
    slow_start: 60s
    damping: true
    endpoints: [198.51.100.10]
  hosted:
    endpoints: [{address: 127.0.0.1, checks: [page]}]
  far:
    endpoints: [www.example.net]
zones:
  gslb.example.com:
    nameservers: {ns1: 192.0.2.53}
    services:
      "@": {pools: [us]}
      www: {pools: [eu, us], steer: failover, ttl: 20, answers: 0}
      api: {pools: [hosted], all_down: us}
      web: {pools: [hosted], all_down: servfail}
      cdn: {pools: [far]}
      "*.any": {pools: [us], steer: [shuffle, limit: 1], all_down: last-healthy}
  example.org:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [us], steer: weighted, all_down: nodata, panic: 0.5}
`

// began is when the process of the tests started, and its files were read.
var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// process is a process whose reloads fail when it is told so.
type process struct {
	condition admin.Condition
	refuse    error
	fail      bool
	reloads   int
}

func (p *process) Condition() admin.Condition { return p.condition }

func (p *process) Reload(context.Context) error {
	if p.fail {
		panic("on purpose")
	}
	p.reloads++
	return p.refuse
}

// node is a surface with an engine behind it.
type node struct {
	t       testing.TB
	engine  *rhumb.Engine
	admin   *admin.Admin
	history *history.Log
	tells   *notify.Notifier
	edges   *controller.Controller
	process *process
	handler http.Handler
	metrics *prometheus.Registry
	said    bytes.Buffer     // the log
	traffic []*meter.Reading // what is read, one after the other; the last one from then on
}

func newNode(t testing.TB, config string) *node {
	t.Helper()
	reg := prometheus.NewRegistry()
	log, _, err := audit.Open("")
	if err != nil {
		t.Fatal(err)
	}
	past, err := history.Open(history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := rhumb.New(rhumb.Options{Registerer: reg, Audit: log, History: past})
	if err != nil {
		t.Fatal(err)
	}
	tells, err := notify.New(notify.Options{History: past, Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	edges := controller.New(controller.Options{Engine: engine, Registerer: reg})
	n := &node{t: t, history: past, tells: tells, edges: edges, engine: engine, metrics: reg, process: &process{condition: admin.Condition{
		Started: began, Version: "v1.2.3", Config: "/etc/rhumb/rhumb.yaml", LoadedAt: began,
		DNS: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5300")}, DNSOverTLS: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8853")},
		Bound: true, Settled: true,
	}}}
	n.admin = admin.New(admin.Options{Engine: engine, Process: n.process, Gatherer: reg, Registerer: reg, Traffic: n.reading, Notifier: tells, Controller: edges, Logger: slog.New(slog.NewTextHandler(&n.said, nil))})
	n.handler = n.admin.Handler()
	if config != "" {
		n.configure(config)
	}
	return n
}

// hook is a webhook that answers with a status.
func hook(t testing.TB, status int) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(s.Close)
	return s.URL
}

// notify has destinations of which one takes what it is told, and one does not.
func (n *node) notify() {
	n.t.Helper()
	told, err := n.tells.Prepare([]*spec.Destination{
		{Name: "ops", Webhook: &spec.Webhook{URL: hook(n.t, http.StatusOK)}, Timeout: time.Minute, Batch: 10},
		{Name: "broken", Webhook: &spec.Webhook{URL: hook(n.t, http.StatusGone)}, Timeout: time.Minute, Batch: 10},
	}, "ns1")
	if err != nil {
		n.t.Fatal(err)
	}
	n.tells.Apply(told)
}

// reading is the next reading of the traffic.
func (n *node) reading() *meter.Reading {
	if len(n.traffic) == 0 {
		return &meter.Reading{At: began}
	}
	r := n.traffic[0]
	if len(n.traffic) > 1 {
		n.traffic = n.traffic[1:]
	}
	return r
}

// configure puts a configuration in force.
func (n *node) configure(config string) {
	n.t.Helper()
	s, err := spec.Parse("test.yaml", []byte(config))
	if err != nil {
		n.t.Fatal(err)
	}
	c, err := n.engine.Prepare(s)
	if err == nil {
		err = n.engine.Commit(c)
	}
	if err != nil {
		n.t.Fatal(err)
	}
}

// probed is the node after every probe has its verdict.
func (n *node) probed() *node { return n.run(configuration) }

// run makes the probes of the configuration until each has a verdict.
func (n *node) run(config string) *node {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- n.engine.Run(ctx) }()
	<-n.engine.Settled()
	cancel()
	if err := <-ended; err != nil {
		n.t.Fatal(err)
	}
	// What the probes left goes into the snapshot with the next change of it.
	n.configure(config)
	return n
}

// ask makes a request of a client on this machine. The target may have a host,
// and each further text is a header.
func (n *node) ask(method, target, body string, headers ...string) *http.Response {
	n.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = "http://127.0.0.1:8080" + target
	}
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, in)
	r.RemoteAddr = "127.0.0.1:40000"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "From" {
			r.RemoteAddr = value
			continue
		}
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	n.handler.ServeHTTP(w, r)
	return w.Result()
}

// decode reads the body of a response that must have a status.
func decode[T any](t testing.TB, resp *http.Response, status int) T {
	t.Helper()
	var v T
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Fatalf("status %d, want %d: %s", resp.StatusCode, status, b)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return v
}

// refused checks that a response is a whole problem and gives its detail.
func refused(t testing.TB, resp *http.Response, status int) string {
	t.Helper()
	if media := resp.Header.Get("Content-Type"); media != api.ProblemType {
		t.Errorf("content type %q, want %s", media, api.ProblemType)
	}
	p := decode[api.Problem](t, resp, status)
	if p.Type != "about:blank" || p.Title != http.StatusText(status) || p.Status != status || p.Detail == "" {
		t.Errorf("not a whole problem: %+v", p)
	}
	return p.Detail
}

// writePair writes a certificate that is signed by itself to name.crt, and its
// key to name.key.
func writePair(t testing.TB, name string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1)}
	c, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	for file, b := range map[string]*pem.Block{
		name + ".crt": {Type: "CERTIFICATE", Bytes: c}, name + ".key": {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
