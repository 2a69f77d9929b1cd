package resolve_test

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/hosts"
	"github.com/rhumb-dns/rhumb/resolve"
)

const explained = `
checks:
  c: {type: tcp, port: 1}
pools:
  eu: {checks: [c], min_healthy: 2, endpoints: [{address: 192.0.2.1, weight: 10, tags: [ssd]}, {address: 192.0.2.2, priority: 3}, "2001:db8::1"]}
  us: {checks: [c], endpoints: [198.51.100.1, 198.51.100.2]}
  toweb: {endpoints: [www.x.test]}
  away: {endpoints: [cdn.example.com]}
  both: {pools: [us, eu], steer: weighted}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    soa: {serial: 1, minimum: 5}
    services:
      www: {pools: [eu, us], steer: failover, ttl: 20, all_down: us}
      alias: {pools: [toweb], ttl: 7}
      away: {pools: [away], ttl: 9}
      panic: {pools: [us], panic: 0.6, answers: 1, ttl: 11}
      servfail: {pools: [us], all_down: servfail}
      ssd: {pools: [eu], steer: [tags: [ssd], weighted]}
      nest: {pools: [{service: ssd}, both], steer: failover}
  y.test: {nameservers: {ns1: 192.0.2.54}, soa: {serial: 2}}
`

// TestExplain compares explanations with testdata/explain.golden.
func TestExplain(t *testing.T) {
	s := compile(t, explained)
	down := func(reason string) health.Detail {
		return health.Detail{State: health.Down, Authority: health.Validation, Reason: reason, Since: time.Unix(1_700_000_000, 0).UTC()}
	}
	var out strings.Builder
	ask := func(st states, line string) {
		s := &resolve.Snapshot{Table: s.Table, Health: st.view(s.Table)}
		fmt.Fprintf(&out, "> %s\n", line)
		write(&out, s.Explain(asked(t, strings.Fields(line)), 1, 2))
	}
	ask(nil, "www.x.test A edns")
	ask(states{"192.0.2.1": down("connection refused"), "2001:db8::1": down("timeout")}, "WWW.x.test A ecs=203.0.113.0/24")
	ask(states{"192.0.2.1": down("a"), "192.0.2.2": {}, "2001:db8::1": down("b"), "198.51.100.1": {}, "198.51.100.2": down("c")}, "alias.x.test A edns")
	ask(states{"2001:db8::1": down("timeout")}, "www.x.test AAAA edns")
	ask(states{"198.51.100.1": down("timeout")}, "panic.x.test A edns")
	ask(states{"198.51.100.1": down("timeout"), "198.51.100.2": down("timeout")}, "servfail.x.test A edns")
	ask(states{"192.0.2.1": down("timeout")}, "ssd.x.test A edns")
	ask(nil, "nest.x.test A")
	ask(nil, "www.x.test MX")
	ask(nil, "panic.x.test AAAA")
	ask(nil, "away.x.test AAAA")
	ask(nil, "x.test SOA")
	ask(nil, "x.test NS")
	ask(nil, "www.x.test ANY")
	ask(nil, "nope.y.test A")
	ask(nil, "www.example.com A edns")
	ask(nil, "www.x.test A tsig")
	ask(nil, "www.x.test A questions=2")

	const file = "testdata/explain.golden"
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("got:\n%s\nwant (-update to accept):\n%s", out.String(), want)
	}
}

func write(out *strings.Builder, t *resolve.Trace) {
	fmt.Fprintf(out, "%s %s zone=%s service=%s steer=[%s]\n", t.Name, t.Type, t.Zone, t.Service, t.Steer)
	for _, e := range t.Endpoints {
		fmt.Fprintf(out, "  endpoint %s of %s, weight %d, priority %d, tags %v: %s, says %s", e.Address, e.Pool, e.Weight, e.Priority, e.Tags, e.State, e.Authority)
		if e.Reason != "" {
			fmt.Fprintf(out, " (%s, %s)", e.Reason, e.Since.Format(time.RFC3339))
		}
		out.WriteByte('\n')
	}
	for _, s := range t.Steps {
		fmt.Fprintf(out, "  %s%s: %s", strings.Repeat("  ", s.Depth), s.What, s.Why)
		if s.Kept != nil {
			fmt.Fprintf(out, " -> %s", strings.Join(s.Kept, " "))
		}
		out.WriteByte('\n')
	}
	fmt.Fprintf(out, "  = %s %q ttl %d, scope %d, ede %q\n\n", t.RCode, t.Answers, t.TTL, t.ECSScope, t.EDE)
}

// TestExplainSilence is of packets that get no answer.
func TestExplainSilence(t *testing.T) {
	s := compile(t, explained)
	for _, msg := range [][]byte{nil, {1, 2, 3}, {0, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1}} {
		q := parsed(msg, dnswire.UDP)
		if trace := s.Explain(q, 1, 2); len(trace.Message) > 0 || len(trace.Answers) > 0 || trace.Answers == nil {
			t.Errorf("%x is answered: %+v", msg, trace)
		}
		dst := []byte("before")
		if got := s.Append(dst, q, resolve.NewScratch(1, 2)); string(got) != "before" {
			t.Errorf("%x is answered with %x", msg, got)
		}
	}
}

// TestExplainFigures sees that an explanation has what the steering goes by.
func TestExplainFigures(t *testing.T) {
	s := compile(t, explained)
	www := dnswire.Name("\x03www\x01x\x04test\x00")
	view := states(nil).view(s.Table)
	figures := health.Figures{Shares: map[dnswire.Name]map[int]uint16{www: {}}}
	for i := range s.Table.Targets {
		figures.Latency = append(figures.Latency, 0)
		figures.Load = append(figures.Load, health.NoLoad)
		switch s.Table.Targets[i].String() {
		case "192.0.2.1":
			figures.Latency[i], figures.Load[i], figures.Shares[www][i] = 12_345, 830, health.Whole/4
		case "192.0.2.2":
			figures.Load[i] = 0
		}
	}
	s = &resolve.Snapshot{Table: s.Table, Health: view.With(figures)}
	trace := s.Explain(asked(t, []string{"www.x.test", "A"}), 1, 2)
	if last := trace.Steps[len(trace.Steps)-1]; last.What != "ttl" || trace.TTL != 10 {
		t.Errorf("it ends with %+v, to be kept for %d seconds, while an endpoint is drained", last, trace.TTL)
	}
	for _, x := range trace.Endpoints {
		got := fmt.Sprint(x.ConnectMS, " ", x.Share, " ", x.Authority)
		if x.Load != nil {
			got += fmt.Sprint(" ", *x.Load)
		}
		want := map[string]string{"192.0.2.1": "12.345 0.25 operator drain 0.83", "192.0.2.2": "0 0 no check 0"}[x.Address]
		if want == "" {
			want = "0 0 no check"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", x.Address, got, want)
		}
	}
}

// A host name that is flattened has one address, or more.
func TestExplainFlattened(t *testing.T) {
	for _, c := range []struct {
		addresses []string
		want      string
	}{
		{[]string{"192.0.2.1"}, "move.example has 1 address"},
		{[]string{"192.0.2.1", "192.0.2.2"}, "move.example has 2 addresses"},
	} {
		s := compile(t, `
pools: {p: {endpoints: [move.example]}}
zones: {x.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [p], flatten: true}}}}
`)
		d := hosts.Detail{Name: s.Table.Hosts[0], V4: hosts.Records{TTL: time.Minute, Resolved: time.Unix(1_700_000_000, 0)}}
		for _, a := range c.addresses {
			d.V4.Addrs = append(d.V4.Addrs, netip.MustParseAddr(a))
		}
		s.Hosts = hosts.Fixed(d)
		said := ""
		for _, step := range s.Explain(asked(t, []string{"www.x.test", "A"}), 1, 2).Steps {
			if step.What == "flatten" {
				said = step.Why
			}
		}
		if said != c.want {
			t.Errorf("%q, want %q", said, c.want)
		}
	}
}
