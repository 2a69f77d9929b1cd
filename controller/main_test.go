package controller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/controller"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
)

// node is a controller with an engine, both of which run until the test ends.
type node struct {
	t      testing.TB
	engine *rhumb.Engine
	*controller.Controller
}

func start(t testing.TB, config string) *node {
	t.Helper()
	return startLogged(t, config, nil)
}

func startLogged(t testing.TB, config string, log *slog.Logger) *node {
	t.Helper()
	engine, err := rhumb.New(rhumb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, engine: engine, Controller: controller.New(controller.Options{Engine: engine, Logger: log})}
	n.configure(config)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- engine.Run(ctx) }()
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	<-engine.Settled()
	return n
}

func (n *node) configure(config string) {
	n.t.Helper()
	n.put(parsed(n.t, config))
}

func parsed(t testing.TB, config string) *spec.Spec {
	t.Helper()
	s, err := spec.Parse("test.yaml", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put puts a statement in force.
func (n *node) put(s *spec.Spec) {
	n.t.Helper()
	c, err := n.engine.Prepare(s)
	if err != nil {
		n.t.Fatal(err)
	}
	told, err := n.Prepare(s)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.engine.Commit(c); err != nil {
		n.t.Fatal(err)
	}
	n.Apply(told)
}

func name(t testing.TB, s string) dnswire.Name {
	t.Helper()
	n, err := dnswire.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// now is the records of the zone for some regions.
func (n *node) now(regions ...string) *controller.State {
	n.t.Helper()
	st, err := n.Ask(n.t.Context(), name(n.t, "gslb.test"), regions)
	if err != nil {
		n.t.Fatal(err)
	}
	return st
}

// line is a record in short.
func line(r api.Record) string {
	s := fmt.Sprintf("%s %s %d %s", strings.TrimSuffix(r.Name, ".gslb.test"), r.Type, r.TTL, strings.Join(r.IPs, ","))
	if r.Enabled != nil {
		s += fmt.Sprintf(" enabled=%t", *r.Enabled)
	}
	if r.Failover != "" {
		s += " failover=" + r.Failover
	}
	return s
}

// lines are the records of a state in short, in order. What is written as JSON is the
// same.
func lines(t testing.TB, st *controller.State) string {
	t.Helper()
	var out []string
	var all []api.Record
	st.Records(func(r api.Record) bool {
		all = append(all, r)
		out = append(out, line(r))
		return true
	})
	var b strings.Builder
	if err := st.WriteJSON(&b, false); err != nil {
		t.Fatal(err)
	}
	var got api.Snapshot
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if want := (api.Snapshot{Zone: st.Zone, VersionHash: st.Hash, Records: all}); fmt.Sprintf("%+v", flat(want)) != fmt.Sprintf("%+v", flat(got)) {
		t.Errorf("written are %+v, there are %+v", got, want)
	}
	if st.Len() != len(all) {
		t.Errorf("%d records are said to be there, %d are", st.Len(), len(all))
	}
	slices.Sort(out)
	return strings.Join(out, "\n") + "\n"
}

func flat(s api.Snapshot) []string {
	out := []string{s.Zone, s.VersionHash}
	for _, r := range s.Records {
		out = append(out, line(r))
	}
	return out
}

func (n *node) override(service, endpoint string, healthy bool) {
	n.t.Helper()
	if err := n.tryOverride(service, endpoint, healthy); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) tryOverride(service, endpoint string, healthy bool) error {
	return n.engine.Override(health.Overriding{Service: service, Endpoint: endpoint, Healthy: healthy, Source: "test", Since: time.Now()})
}

func sortedLines(s string) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	slices.Sort(all)
	return strings.Join(all, "\n") + "\n"
}

// maintain takes endpoints out for every service.
func (n *node) maintain(m health.Maintenance) {
	n.t.Helper()
	m.ID, m.Source, m.Reason = "", "test", "power"
	if _, err := n.engine.AddMaintenance(m, audit.By{}); err != nil {
		n.t.Fatal(err)
	}
}
