//go:build linux

package server

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/server/datagram"
)

// findDnsdist gives the path of the real program. It needs RHUMB_INTEROP=1, as
// the conversations in interop do: those see what a user sees, and these whom a
// query is taken for.
func findDnsdist(t *testing.T) string {
	t.Helper()
	if os.Getenv("RHUMB_INTEROP") != "1" {
		t.Skip("SKIPPED: the conversation with dnsdist; `make interop` runs it")
	}
	program, err := exec.LookPath("dnsdist")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("SKIPPED: dnsdist is not installed; .ci/packages installs it")
	}
	return program
}

// dnsdist starts the program with a backend, and gives the address at which it
// listens.
func dnsdist(t *testing.T, program string, backend netip.AddrPort, options string) netip.AddrPort {
	t.Helper()
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), freePort(t))
	conf := filepath.Join(t.TempDir(), "dnsdist.conf")
	text := fmt.Sprintf(`setLocal(%q)
setACL("127.0.0.0/8")
setSecurityPollSuffix("")
newServer({address=%q, useProxyProtocol=true%s})
getServer(0):setUp()
`, at, backend, options)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--supervised", "--disable-syslog", "-C", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	// It listens on TCP when it listens at all. From another address than that:
	// a port that nobody has may be given to who looks for it, who would then
	// find itself.
	look := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		c, err := look.Dial("tcp", at.String())
		if err == nil {
			_ = c.Close()
			return at
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// from connects to dnsdist as one client.
func from(t *testing.T, network, client string, to netip.AddrPort) net.Conn {
	t.Helper()
	var local net.Addr = &net.UDPAddr{IP: net.ParseIP(client)}
	if network == "tcp" {
		local = &net.TCPAddr{IP: net.ParseIP(client)}
	}
	c, err := (&net.Dialer{LocalAddr: local}).Dial(network, to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestDnsdistUDP is the client of a query that came through dnsdist over UDP.
func TestDnsdistUDP(t *testing.T) {
	program := findDnsdist(t)
	r := &node{}
	r.snap.Store(snapshot(t, ""))
	s := New(Options{Snapshot: r.snap.Load})
	s.configure(&Setup{Proxies: loopback})
	sock, err := datagram.Listen(netip.MustParseAddrPort("127.0.0.1:0"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close() //nolint:errcheck // a test's
	to := dnsdist(t, program, sock.Addr(), "")
	w := s.newWorker(dnswire.UDP, s.newCounters(sock))
	for _, client := range []string{"127.0.0.77", "127.0.0.78"} {
		c := from(t, "udp", client, to)
		if _, err := c.Write(query(t, 7, "www.x.test.")); err != nil {
			t.Fatal(err)
		}
		// Among its health checks, which it makes for itself.
		var seen []string
		for !slices.Contains(seen, client) {
			if len(seen) > 100 {
				t.Fatalf("the clients are %v, want %s among them", seen, client)
			}
			n, err := sock.Receive(0)
			if err != nil || !w.batch(sock, n) {
				t.Fatal(err)
			}
			seen = append(seen, w.q.Client.Addr().String())
		}
		if got := c.LocalAddr().String(); w.q.Client.String() != got {
			t.Errorf("client %s, want %s", w.q.Client, got)
		}
		buf := make([]byte, 512)
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		check(t, buf[:n], 7)
	}
	if got := w.count.dropped[dropProxyHeader].Load(); got != 0 {
		t.Errorf("%d headers were not understood", got)
	}
}

// TestDnsdistStreams is the clients of connections that dnsdist makes over TCP,
// and over TLS, where it puts the header within.
func TestDnsdistStreams(t *testing.T) {
	program := findDnsdist(t)
	cert := certificate(t, 1)
	r := startSetup(t, Options{}, Setup{
		Listen: addresses("127.0.0.1:0"), TLS: addresses("127.0.0.1:0"), Certificate: cert, Proxies: loopback,
	})
	for _, b := range []struct {
		name, options string
		to            netip.AddrPort
	}{
		{"tcp", "", r.Addrs()[0]},
		{"tls", `, tls="openssl", validateCertificates=false`, r.TLSAddrs()[0]},
	} {
		t.Run(b.name, func(t *testing.T) {
			to := dnsdist(t, program, b.to, b.options)
			for _, client := range []string{"127.0.0.77", "127.0.0.78"} {
				c := from(t, "tcp", client, to)
				send(t, c, query(t, 7, "www.x.test."))
				if rcode, n := check(t, receive(t, c), 7); rcode != 0 || n != 1 {
					t.Errorf("rcode %d, %d answers", rcode, n)
				}
				var clients []netip.AddrPort
				r.tcp.mu.Lock()
				for c := range r.tcp.all {
					clients = append(clients, c.client)
				}
				r.tcp.mu.Unlock()
				if want := netip.MustParseAddrPort(c.LocalAddr().String()); !slices.Contains(clients, want) {
					t.Errorf("connections of %v, want one of %v", clients, want)
				}
			}
		})
	}
	for series, want := range map[string]float64{
		`rhumb_dns_queries_total{rcode="NOERROR",transport="tcp",type="A",zone="x.test."}`: 2,
		`rhumb_dns_queries_total{rcode="NOERROR",transport="tls",type="A",zone="x.test."}`: 2,
		`rhumb_dns_dropped_total{reason="proxy_header"}`:                                   0,
		`rhumb_tls_handshakes_total{result="failed"}`:                                      0,
	} {
		if got := r.metric(t, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}
