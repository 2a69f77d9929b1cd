//go:build linux

package interop

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/rhumb-dns/rhumb/api"
)

// sshd is OpenSSH's server with users of its own: in a namespace of mounts it has
// another /etc/passwd, /etc/shadow and /run, in which monitor logs in with "secret".
type sshd struct {
	port string
	key  ssh.PublicKey
}

func startSSHD(t *testing.T) sshd {
	t.Helper()
	server, unshare := program(t, "sshd"), program(t, "unshare")
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: the server needs users of its own, for which one has to be root")
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "run", "sshd"), 0o755); err != nil {
		t.Fatal(err)
	}
	users, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	passwd := write(t, filepath.Join(dir, "passwd"), string(users)+"monitor:x:64801:64801::/:/bin/sh\nsshd:x:64802:65534::/run/sshd:/usr/sbin/nologin\n")
	if err := os.Chmod(passwd, 0o644); err != nil {
		t.Fatal(err)
	}
	// The password is "secret".
	write(t, filepath.Join(dir, "shadow"), "monitor:$6$rhumbtest$Ja1iZKzPxzON4IWFVHyQ3qDPTEHsbW/eToT4N17r22inoiuy3lKi/j9/ZQOp7fyYGKv2J9Ax5xDXDI9UU6K6i1:19000::::::\nsshd:*:19000::::::\n")
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "key"), string(pem.EncodeToMemory(block)))
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	s := sshd{freeTCPPort(t), key}
	cfg := write(t, filepath.Join(dir, "sshd_config"), fmt.Sprintf("Port %s\nListenAddress 127.0.0.1\nHostKey %s\nPidFile none\nUsePAM no\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\nUseDNS no\nPrintMotd no\n", s.port, filepath.Join(dir, "key")))
	background(t, unshare, "--mount", "sh", "-ec",
		`mount --bind "$1/passwd" /etc/passwd; mount --bind "$1/shadow" /etc/shadow; mount --bind "$1/run" /run; exec "$2" -D -e -f "$3"`,
		"sh", dir, server, cfg)
	for deadline := time.Now().Add(time.Minute); ; {
		c, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err == nil {
			_ = c.Close()
			return s
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// TestCheckSSH has scripts in Lua log in to OpenSSH's server, whose key is the one
// that is known, or is not.
func TestCheckSSH(t *testing.T) {
	s := startSSHD(t)
	dir := t.TempDir()
	host := []string{"127.0.0.1:" + s.port}
	right := write(t, filepath.Join(dir, "right"), knownhosts.Line(host, s.key)+"\n")
	other, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	otherKey, err := ssh.NewPublicKey(other)
	if err != nil {
		t.Fatal(err)
	}
	wrong := write(t, filepath.Join(dir, "wrong"), knownhosts.Line(host, otherKey)+"\n")
	none := write(t, filepath.Join(dir, "none"), "")

	var checks, pools, services strings.Builder
	for _, c := range []struct{ name, known, user, password, command string }{
		{"right", right, "monitor", "secret", "id -un"},
		{"wrong", wrong, "monitor", "secret", "id -un"},
		{"none", none, "monitor", "secret", "id -un"},
		{"password", right, "monitor", "hunter22", "id -un"},
		{"status", right, "monitor", "secret", "exit 3"},
		{"long", right, "monitor", "secret", "yes"},
		{"hang", right, "monitor", "secret", "sleep 15"},
	} {
		fmt.Fprintf(&checks, "  %s:\n    type: lua\n    known_hosts: %s\n    interval: 3s\n    timeout: 2s\n    rise: 1\n    script: |\n"+
			"      local out, why = ssh_exec(backend.address .. ':%s', %q, %q, %q, 1)\n      return out == 'monitor\\n', why\n", c.name, c.known, s.port, c.user, c.password, c.command)
		fmt.Fprintf(&pools, "  %s: {checks: [%[1]s], endpoints: [127.0.0.1]}\n", c.name)
		fmt.Fprintf(&services, "      %s: {pools: [%[1]s], all_down: nodata, ttl: 0}\n", c.name)
	}
	n := serve(t, config(t, "checks:\n"+checks.String()+"pools:\n"+pools.String()+
		"zones:\n  gslb.test:\n    nameservers: {ns1: 127.0.0.1}\n    services:\n"+services.String()))
	n.until("127.0.0.1", "right.gslb.test", "A")
	res, err := http.Get(n.api + "/api/v1/health/servers")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var all api.Servers
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"right":    "",
		"wrong":    "the host shows another key than known_hosts has",
		"none":     "the host's key is not in known_hosts",
		"password": "the login was refused",
		"status":   "the command ended with status 3",
		"long":     "the command wrote more than 65536 bytes",
		"hang":     "timeout of the command",
	}
	if len(all.Servers) != len(want) {
		t.Fatalf("%d servers", len(all.Servers))
	}
	for _, server := range all.Servers {
		if got := server.Checks[0].Detail; got != want[server.Pool] {
			t.Errorf("%s: %q, want %q", server.Pool, got, want[server.Pool])
		}
	}
}
