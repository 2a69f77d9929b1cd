package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// CoreDNS with our plugins, beside CoreDNS's own plugin file in the same program.

// pluginContests are the cases of CoreDNS's plugins.
func pluginContests(s *settings, full, fixed order, others ...contestant) []contest {
	of := func(name, title string, names int, start func(blockWith) starter) contest {
		return contest{
			name: name, title: title, shape: shape{Kind: "plain", Names: names}, full: full, fixed: fixed, keep: names > 10_000,
			notes: []string{"One program: CoreDNS with all of its standard plugins and ours. The Corefiles have bind, the one plugin, and what is said."},
			who:   append([]contestant{{"CoreDNS, " + title, start(blockWith{}), ""}}, others...),
		}
	}
	// with puts the same plugin beside it with others ahead of it, and without its lane.
	with := func(c contest, start func(blockWith) starter) contest {
		c.who = append(c.who,
			contestant{"with errors, prometheus", start(blockWith{ahead: "  errors\n  prometheus 127.0.0.1:0\n"}), ""},
			contestant{"with lane off", start(blockWith{within: "    lane off\n"}), ""})
		return c
	}
	const small = 1000
	return []contest{
		with(of("elchi", "the plugin elchi", small, startElchi), startElchi),
		with(of("gslb", "the plugin gslb", small, startGSLB), startGSLB),
		of("elchi-many", fmt.Sprintf("the plugin elchi, %d names", s.many), s.many, startElchi),
	}
}

// blockWith is what else a server block has, and the block of the plugin in it.
type blockWith struct{ ahead, within string }

// startElchi starts CoreDNS with elchi, and a controller that has the names.
func startElchi(with blockWith) starter {
	return func(ctx context.Context, s *settings, w wants) (*peer, error) { return runElchi(ctx, s, w, with) }
}

func runElchi(ctx context.Context, s *settings, w wants, with blockWith) (*peer, error) {
	const secret = "the secret of the benchmark"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	controller := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/dns/snapshot" {
			http.NotFound(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		b := bufio.NewWriterSize(rw, 1<<20)
		fmt.Fprintf(b, `{"zone": %q, "version_hash": "1", "records": [`, zoneName)
		for i := range w.names {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(b, `{"name": %q, "type": "A", "ttl": 30, "ips": ["10.1.0.1"]}`, strings.TrimSuffix(serviceName(i), "."))
		}
		b.WriteString("]}")
		_ = b.Flush()
	})}
	go func() { _ = controller.Serve(l) }()
	defer func() { _ = controller.Close() }() // once the names have been fetched
	return startPlugin(ctx, s, w, "elchi", func(*peer) (string, error) {
		return fmt.Sprintf("%s  elchi {\n    endpoint http://%s\n    secret %q\n%s  }\n", with.ahead, l.Addr(), secret, with.within), nil
	})
}

// startGSLB starts CoreDNS with gslb, and a record with one backend for each name.
func startGSLB(with blockWith) starter {
	return func(ctx context.Context, s *settings, w wants) (*peer, error) { return runGSLB(ctx, s, w, with) }
}

func runGSLB(ctx context.Context, s *settings, w wants, with blockWith) (*peer, error) {
	return startPlugin(ctx, s, w, "gslb", func(p *peer) (string, error) {
		var b strings.Builder
		b.WriteString("records:\n")
		for i := range w.names {
			fmt.Fprintf(&b, "  %s:\n    mode: failover\n    backends: [{address: 10.1.0.1}]\n", serviceName(i))
		}
		path, err := p.write("gslb.yml", b.String())
		return fmt.Sprintf("%s  gslb {\n    zone %s. %s\n%s  }\n", with.ahead, zoneName, path, with.within), err
	})
}

// startPlugin starts CoreDNS with a part of a Corefile.
func startPlugin(ctx context.Context, s *settings, w wants, name string, block func(*peer) (string, error)) (*peer, error) {
	if s.coredns == "" {
		s.missing("CoreDNS", "It is built with -coredns, which make bench says.")
		return nil, nil
	}
	p, err := prepare(s, "CoreDNS, "+name)
	if err != nil {
		return nil, err
	}
	text, err := block(p)
	if err != nil {
		return nil, err
	}
	path, err := p.write("Corefile", fmt.Sprintf("%s:%d {\n  bind %s\n%s}\n", zoneName, p.addr.Port(), p.addr.Addr(), text))
	if err != nil {
		return nil, err
	}
	p.cmd = pinned(ctx, w.cores, s.coredns, "-conf", path, "-quiet")
	return p.launch(w.names)
}

// corednsModule is the go.mod with the version of CoreDNS that is built.
var corednsModule = filepath.Join("coredns", "go.mod")

// corednsVersion is the one that is built.
func corednsVersion() string {
	b, _ := os.ReadFile(corednsModule)
	for l := range strings.Lines(string(b)) {
		if f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(l), "require ")); len(f) > 1 && f[0] == "github.com/coredns/coredns" {
			return f[1]
		}
	}
	return "unknown"
}
