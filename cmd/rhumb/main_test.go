package main

import (
	"bufio"
	"context"
	"flag"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/app"
)

var update = flag.Bool("update", false, "write what comes out as what is expected")

func TestMain(m *testing.M) {
	if raced {
		// A program ends a second late under the race detector, which waits for what
		// the program leaves behind.
		_ = os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0"))
	}
	testscript.Main(m, map[string]func(){"rhumb": func() {
		version = "v1.2.3"
		main()
	}})
}

// TestScripts runs the files of testdata. Beside the usual commands there are
//
//	node FILE     runs a node of this configuration; RHUMB_API names it
//	asks NAME N   asks the node N times for the addresses of NAME
//	occupy NAME   sets NAME to an address and port that something listens on
//	cancels WHY   cancels the maintenance that has this reason
//	vacant NAME   sets NAME to an address and port that nothing listens on
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("RHUMB_API", "127.0.0.1:1")
			e.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			return cond == "raced" && raced || cond == "system-config" && exists(defaultConfig), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"node": runNode,
			"asks": queryNode,
			"cancels": func(ts *testscript.TestScript, _ bool, args []string) {
				node, err := api.New(ts.Getenv("RHUMB_API"), api.Options{})
				ts.Check(err)
				all, err := node.Maintenance(context.Background())
				ts.Check(err)
				for _, m := range all.Maintenance {
					if m.Reason == args[0] {
						ts.Check(ts.Exec("rhumb", "maintenance", "cancel", m.ID))
						return
					}
				}
				ts.Fatalf("no maintenance for %s", args[0])
			},
			"occupy": func(ts *testscript.TestScript, _ bool, args []string) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				ts.Check(err)
				ts.Defer(func() { _ = l.Close() })
				ts.Setenv(args[0], l.Addr().String())
			},
			"vacant": func(ts *testscript.TestScript, _ bool, args []string) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				ts.Check(err)
				ts.Setenv(args[0], l.Addr().String())
				ts.Check(l.Close())
			},
		},
	})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func runNode(ts *testscript.TestScript, _ bool, args []string) {
	node, err := app.New(app.Options{Config: ts.MkAbs(args[0]), Version: "v1.2.3", LogWriter: io.Discard})
	ts.Check(err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx) }()
	select {
	case err := <-ended:
		stop()
		ts.Fatalf("the node ended: %v", err)
	case <-node.Started():
	}
	ts.Defer(func() {
		stop()
		if err := <-ended; err != nil {
			ts.Fatalf("the node ended: %v", err)
		}
	})
	ts.Setenv("RHUMB_API", "http://"+node.AdminAddr().String())
	ts.Setenv("RHUMB_DNS", node.DNSAddrs()[0].String())
}

func queryNode(ts *testscript.TestScript, _ bool, args []string) {
	times, err := strconv.Atoi(args[1])
	ts.Check(err)
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(args[0]), dns.TypeA)
	for range times {
		_, err := dns.Exchange(q, ts.Getenv("RHUMB_DNS"))
		ts.Check(err)
	}
}

// TestServe runs the program as an operator does: it serves, is asked, and ends
// well when it is told to.
func TestServe(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGTERM to send")
	}
	file := filepath.Join(t.TempDir(), "rhumb.yaml")
	const config = `node: {name: ns9}
dns: {listen: [127.0.0.1:0]}
admin: {listen: 127.0.0.1:0}
pools: {p: {endpoints: [192.0.2.1]}}
zones: {a.example: {nameservers: {ns: 192.0.2.53}, services: {www: {pools: [p]}}}}
`
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(filepath.Dir(lookPath(t)), "rhumb")
	cmd := exec.Command(program, "serve", "-c", file)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	admin := regexp.MustCompile(`admin listens.* address=(\S+)`)
	address := ""
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "dns listens") {
		if m := admin.FindStringSubmatch(lines.Text()); m != nil {
			address = m[1]
		}
	}
	if address == "" {
		t.Fatal("it did not say where the API listens")
	}
	status, err := exec.Command(program, "status", "--api", address).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(status), "ns9: ") {
		t.Errorf("status: %v\n%s", err, status)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // to the end, before which Wait must not be called
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
}

// lookPath is where testscript.Main has put this program.
func lookPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("rhumb")
	if err != nil {
		t.Fatal(err)
	}
	return path
}
