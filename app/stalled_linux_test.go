package app_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

// stoppedNode is set in the process that TestStoppedProcess stops: it is the
// configuration's path.
const stoppedNode = "RHUMB_TEST_STOPPED_NODE"

// TestStoppedProcess stops a node's process while its probes are under way, for
// longer than they may take. Its endpoints are well all the time, and stay up.
func TestStoppedProcess(t *testing.T) {
	if path := os.Getenv(stoppedNode); path != "" {
		n := start(t, path)
		write(t, path+".tmp", n.AdminAddr().String())
		if err := os.Rename(path+".tmp", path+".admin"); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, os.Stdin) // until the other process closes it
		fmt.Printf("LOG %s", n.log)
		return
	}
	slow := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(400 * time.Millisecond):
		case <-r.Context().Done():
		}
	}))
	slow.Start()
	defer slow.Close()
	var ends []string
	for i := range 12 {
		ends = append(ends, fmt.Sprintf("127.0.0.%d", i+1))
	}
	port := slow.Listener.Addr().(*net.TCPAddr).Port
	_ = slow.Listener.Close()
	for _, at := range ends {
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", at, port))
		if err != nil {
			t.Skipf("%s cannot be had here: %v", at, err)
		}
		go func() { _ = slow.Config.Serve(l) }()
		defer l.Close()
	}
	path := filepath.Join(t.TempDir(), "rhumb.yaml")
	// Probes of both kinds: in one thread for all, and each in its own.
	write(t, path, header+fmt.Sprintf(`
health: {suspect_share: 100%%}
checks:
  own: {type: http, port: %d, host: www.example.com, follow_redirects: true, interval: 1500ms, timeout: 1500ms, fall: 1}
  web: {type: http, port: %d, host: www.example.com, interval: 1500ms, timeout: 1500ms, fall: 1}
pools:
  eu: {checks: [own, web], endpoints: [%s]}
zones:
  example.com:
    nameservers: {ns1.example.net.: []}
    services: {www: {pools: [eu], answers: 0}}
`, port, port, strings.Join(ends, ", ")))

	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), stoppedNode+"="+path)
	var out syncBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, log: &out}
	var client *api.Client
	n.condition("the node runs", func() bool {
		admin, err := os.ReadFile(path + ".admin")
		if err != nil {
			return false
		}
		client, err = api.New("http://"+string(admin), api.Options{})
		return err == nil
	})
	runs := func() (least int) {
		list, err := client.Servers(t.Context(), api.ServersQuery{})
		if err != nil {
			return 0
		}
		least = 1 << 30
		for _, s := range list.Servers {
			for _, c := range s.Checks {
				least = min(least, c.Runs)
			}
		}
		return least
	}
	n.condition("probes are spread", func() bool { return runs() >= 2 })
	before := runs()
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	<-time.After(3 * time.Second)
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	n.condition("probes go on", func() bool { return runs() >= before+2 })
	s, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Awareness.Stalls < 1 || s.Endpoints.Up != len(ends) {
		t.Errorf("%+v, %+v", s.Awareness, s.Endpoints)
	}
	_ = stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	if log := out.String(); strings.Contains(log, "endpoint down") || strings.Contains(log, "check down") || !strings.Contains(log, "stood still") {
		t.Errorf("%s", log)
	}
}
