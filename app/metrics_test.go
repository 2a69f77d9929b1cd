package app

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/health"
)

var update = flag.Bool("update", false, "write what comes out as what is expected")

const metricsFile = "../docs/metrics.md"

const metricsHead = `# Metrics

<!-- Made from the code by: go test ./app -run TestMetricsReference -update -->

The node gives them at ` + "`/metrics`" + ` of the admin surface, in Prometheus's formats. Labels
are from the configuration or from a fixed list, never from a query. Series come into
being when there is something to count. Beside these there are the usual ones of the
Go runtime (` + "`go_*`" + `) and of the process (` + "`process_*`" + `).

| metric | type | labels | meaning |
|---|---|---|---|
`

// described takes a prometheus.Desc apart, which has no other way in.
var described = regexp.MustCompile(`^Desc{fqName: "([^"]*)", help: "(.*?)"(?:, unit: "[^"]*")?, constLabels: {(.*)}, variableLabels: {(.*)}}$`)

// TestMetricsReference runs a node, sees that each of its metrics is fed, and
// compares docs/metrics.md with them; with -update it writes it.
func TestMetricsReference(t *testing.T) {
	a := exercised(t)
	types := map[string]string{}
	again, enough := time.NewTicker(20*time.Millisecond), time.After(30*time.Second)
	defer again.Stop()
	for types["rhumb_endpoint_latency_seconds"] == "" { // which takes a few probes
		select {
		case <-again.C:
		case <-enough:
			t.Fatal("no latency was measured in 30 s")
		}
		families, err := a.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var series bytes.Buffer
		if err := a.engine.WriteSeries(&series); err != nil {
			t.Fatal(err)
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		single, err := parser.TextToMetricFamilies(&series)
		if err != nil {
			t.Fatal(err)
		}
		families = slices.AppendSeq(families, maps.Values(single))
		for _, f := range families {
			types[f.GetName()] = strings.ToLower(f.GetType().String())
		}
	}

	descs := make(chan *prometheus.Desc)
	go func() {
		a.registry.Describe(descs)
		close(descs)
	}()
	rows := map[string]string{}
	row := func(name, help, labels string) {
		if types[name] == "" {
			t.Errorf("%s has no sample: feed it here, or it is never fed", name)
		}
		if labels != "" {
			labels = "`" + strings.ReplaceAll(labels, ",", "`, `") + "`"
		}
		rows[name] = fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, types[name], labels, help)
	}
	for _, s := range rhumb.EndpointSeries {
		row(s.Name, s.Help, strings.TrimSuffix("pool,endpoint,service,"+s.Label, ","))
	}
	for d := range descs {
		m := described.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("cannot read %s", d)
		}
		name, help, labels := m[1], strings.ReplaceAll(m[2], `\"`, `"`), m[4]
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		for _, pair := range strings.Split(m[3], ",") {
			if label, _, ok := strings.Cut(pair, "="); ok {
				labels = strings.TrimPrefix(labels+","+label, ",")
			}
		}
		row(name, help, labels)
	}
	var b strings.Builder
	b.WriteString(metricsHead)
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		b.WriteString(rows[name])
	}
	if *update {
		if err := os.WriteFile(metricsFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(metricsFile)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("docs/metrics.md is not what the code registers: make docs\n%s", b.String())
	}
}

// exercised is a running node that has probed, answered and been asked.
func exercised(t *testing.T) *App {
	t.Helper()
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != api.SnapshotPath {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(`{"zone":"y.test","version_hash":"1","records":[]}`))
	}))
	t.Cleanup(endpoint.Close)
	u, err := url.Parse(endpoint.URL)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	WritePair(t, dir, 1)
	file := filepath.Join(dir, "rhumb.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, `
dns: {listen: [127.0.0.1:0], dnstap: {tcp: "127.0.0.1:%s"}, tls: {listen: [127.0.0.1:0], cert: ns.crt, key: ns.key}}
admin: {listen: 127.0.0.1:0}
geo: {databases: [built-in]}
checks:
  up: {type: tcp, port: %s, interval: 200ms, timeout: 100ms}
  said: {type: external, on_stale: down}
pools:
  p: {checks: [up, {check: said, on_fail: degraded}], slow_start: 1s, endpoints: [127.0.0.1]}
zones:
  x.test:
    nameservers: {ns1: 127.0.0.1}
    services:
      www: {pools: [p]}
  y.test: {nameservers: {ns1: 127.0.0.1}}
notify: {ops: {webhook: {url: "http://127.0.0.1:%s"}}}
controller: {secret: shared-with-edges, zones: [x.test], edges: [{url: "http://127.0.0.1:%s"}]}
sources: [{controller: {endpoint: "http://127.0.0.1:%s", secret: shared-with-edges, zone: y.test}}]
`, u.Port(), u.Port(), u.Port(), u.Port(), u.Port()), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{Config: file, Version: "test", LogWriter: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-a.Started():
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}

	q := new(dns.Msg)
	q.SetQuestion("www.x.test.", dns.TypeA)
	if m, err := dns.Exchange(q, a.DNSAddrs()[0].String()); err != nil || len(m.Answer) != 1 {
		t.Fatalf("the node does not answer: %v %v", m, err)
	}
	now := time.Now()
	if unknown := a.engine.SetLoads([]health.Load{{Endpoint: "127.0.0.1", Load: 0.5, At: now, Until: now.Add(time.Hour)}}); len(unknown) > 0 {
		t.Errorf("%s is no endpoint", unknown)
	}
	if err := a.engine.Override(health.Overriding{Service: "www.x.test", Endpoint: "127.0.0.1", Drain: true, Over: time.Hour}); err != nil {
		t.Error(err)
	}
	if _, err := a.engine.Report(health.Report{Check: "said", Endpoint: "127.0.0.1", At: now}); err != nil {
		t.Error(err)
	}
	res, err := http.Get("http://" + a.AdminAddr().String() + "/api/v1/live")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return a
}
