package health

import (
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// Every field of a script check reaches the script.
func TestScriptProber(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no scripts on this system")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "check")
	text := `#!/bin/sh
echo "$1 $RHUMB_CHECK $KEY $(pwd -P)"
exit 1
`
	if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	ask := func() *spec.ScriptCheck {
		return &spec.ScriptCheck{
			Name: "c", Command: file, Args: []string{"{address}:{port}/{priority}"}, Dir: "/", Parallel: 1,
			Environment: spec.Environment{Env: map[string]string{"KEY": "hunter22"}, Secrets: []string{"KEY"}},
		}
	}
	aim := probe.Target{Addr: netip.MustParseAddr("192.0.2.1"), Port: 7, Priority: 3}
	for _, c := range []struct {
		nagios bool
		want   probe.Result
	}{
		{false, probe.Result{Class: probe.ClassValue, Detail: "exit status 1: 192.0.2.1:7/3 c *** /"}},
		{true, probe.Result{OK: true, Degraded: true, Detail: "warning: 192.0.2.1:7/3 c *** /"}},
	} {
		a := ask()
		a.Nagios = c.nagios
		p, err := NewProber(Check{Check: &spec.Check{Name: "c", Type: spec.CheckScript, Ask: a}})
		if err != nil {
			t.Fatal(err)
		}
		got := p.Probe(t.Context(), aim)
		got.RTT = 0
		if got != c.want {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
	if _, err := NewProber(Check{Check: &spec.Check{Type: spec.CheckScript, Ask: &spec.ScriptCheck{Command: "/no/such"}}}); err == nil {
		t.Error("a command that is not there is taken")
	}
}

func TestLuaProber(t *testing.T) {
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a := &spec.LuaCheck{
		Source:     `return false, backend.address .. backend.priority .. env.KEY .. select(2, ssh_exec("192.0.2.1", "a", "b", "c"))`,
		KnownHosts: hosts, Parallel: 1,
		Environment: spec.Environment{Env: map[string]string{"KEY": "hunter22"}, Secrets: []string{"KEY"}},
	}
	p, err := NewProber(Check{Check: &spec.Check{Name: "c", Type: spec.CheckLua, Ask: a}})
	if err != nil {
		t.Fatal(err)
	}
	got := p.Probe(t.Context(), probe.Target{Addr: netip.MustParseAddr("192.0.2.1"), Priority: 3})
	if want := "192.0.2.13***the host's key is not in known_hosts"; got.Detail != want {
		t.Errorf("%+v, want %s", got, want)
	}
	for _, a := range []*spec.LuaCheck{{Source: "("}, {Source: "return true", KnownHosts: "/no/such"}} {
		if _, err := NewProber(Check{Check: &spec.Check{Type: spec.CheckLua, Ask: a}}); err == nil {
			t.Errorf("%+v is taken", a)
		}
	}
}

// Endpoints of one address and different priorities have scripts of their own, and
// share all other probes.
func TestScriptsKnowThePriority(t *testing.T) {
	b, err := New(Options{Prober: func(Check) (probe.Prober, error) { return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	lua := Check{Check: &spec.Check{Name: "l", Type: spec.CheckLua, Ask: &spec.LuaCheck{Source: "return true"}}}
	tcp := Check{Check: &spec.Check{Name: "t", Type: spec.CheckTCP, Port: 1}}
	at := netip.MustParseAddr("192.0.2.1")
	p, err := b.Prepare([]Target{
		{Addr: at, Checks: []Check{lua, tcp}, Priority: 1},
		{Addr: at, Checks: []Check{tcp, lua}, Priority: 2},
		{Addr: at, Checks: []Check{lua}, Priority: 2},
		{Addr: at, Checks: []Check{lua}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	requests := map[string]bool{}
	for _, r := range p.runners {
		requests[r.request()] = true
		if r.check.Type == spec.CheckLua {
			got = append(got, r.aim.Priority)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, []int{0, 1, 2}) || len(p.runners) != 4 || len(requests) != 4 {
		t.Errorf("scripts are told %v; %d probes of %d requests", got, len(p.runners), len(requests))
	}
}
