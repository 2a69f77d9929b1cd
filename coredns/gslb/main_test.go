package gslb

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/dnssec"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/root"
	_ "github.com/coredns/coredns/plugin/view"
	"github.com/miekg/dns"
)

func TestMain(m *testing.M) {
	dnsserver.Quiet, caddy.Quiet = true, true
	if err := dnsserver.SetDirectives([]string{"root", "bind", "ready", "prometheus", "errors", "log", "cache", "dnssec", "gslb", "file", "view"}); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

type corefile string

func (c corefile) Body() []byte       { return []byte(c) }
func (c corefile) Path() string       { return "Corefile" }
func (c corefile) ServerType() string { return "dns" }

// instance is a CoreDNS that ends with the test.
type instance struct{ *caddy.Instance }

func start(t *testing.T, text string) *instance {
	t.Helper()
	i, err := caddy.Start(corefile(text))
	if err != nil {
		t.Fatal(err)
	}
	in := &instance{i}
	t.Cleanup(in.stop)
	return in
}

func (i *instance) stop() {
	if i.Instance != nil {
		i.ShutdownCallbacks()
		_ = i.Stop()
		i.Instance = nil
	}
}

func (i *instance) restart(t *testing.T, text string) error {
	t.Helper()
	next, err := i.Restart(corefile(text))
	i.Instance = next
	return err
}

func (i *instance) ask(t *testing.T, name string, typ uint16, with ...func(*dns.Msg)) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, typ)
	for _, f := range with {
		f(m)
	}
	got, _, err := new(dns.Client).Exchange(m, i.Servers()[0].LocalAddr().String())
	if err != nil {
		t.Fatalf("%s %s: %v", name, dns.TypeToString[typ], err)
	}
	return got
}

// put writes a file, in a directory of the test's, by renaming it into its place.
func put(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}
