//go:build linux

package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// capture is fstrm_capture, a receiver of dnstap.
type capture struct {
	t    testing.TB
	cmd  *exec.Cmd
	file string
}

// captures starts a receiver on a unix socket or a port of TCP.
func captures(t testing.TB, at ...string) *capture {
	t.Helper()
	c := &capture{t: t, file: filepath.Join(t.TempDir(), "tap.fstrm")}
	c.cmd = background(t, program(t, "fstrm_capture"), append([]string{"-t", "protobuf:dnstap.Dnstap", "-w", c.file}, at...)...)
	return c
}

// end ends the receiver, which then has everything in its file.
func (c *capture) end() {
	c.t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGINT); err != nil {
		c.t.Fatal(err)
	}
	if err := c.cmd.Wait(); err != nil {
		c.t.Fatal(err)
	}
}

// connectedTap waits until the receiver takes what the node records.
func connectedTap(t *testing.T, n *node) {
	t.Helper()
	for end := time.Now().Add(time.Minute); metric(t, "rhumb_dns_dnstap_connected", n) != 1; {
		if time.Now().After(end) {
			t.Fatalf("the receiver of dnstap is not connected:\n%s", n.logs())
		}
		runtime.Gosched()
	}
}

// freeTCPPort is like freePort.
func freeTCPPort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

var (
	// As dnstap-read prints a message, without the date and the client's port.
	readLine = regexp.MustCompile(`(?m)^\S+ \S+ (A[QR] \S+):\d+ (->|<-) (\S+ \S+ \d+b \S+)$`)
	size     = regexp.MustCompile(` \d+b `)
	// As kdig prints an answer.
	kdigStatus = regexp.MustCompile(`opcode: QUERY; status: (\S+);`)
)

// TestDnstap has programs of three other houses take what we record, and say what
// was asked and answered: fstrm_capture (Farsight), dnstap-read (BIND), dnstap-ldns
// and kdig (Knot DNS).
func TestDnstap(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "tap.sock")
	port := freeTCPPort(t)
	for _, c := range []struct {
		name    string
		config  string
		capture []string
	}{
		{"unix", "socket: " + socket, []string{"-u", socket}},
		{"tcp", "tcp: 127.0.0.1:" + port, []string{"-a", "127.0.0.1", "-p", port}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ldns, read, kdig := program(t, "dnstap-ldns"), program(t, "dnstap-read"), program(t, "kdig")
			recv := captures(t, c.capture...)
			crt, key := certificate(t)
			n := serve(t, config(t, "node: {name: tapped}\ndns: {listen: [127.0.0.1:0], tls: {listen: [127.0.0.1:0], cert: "+crt+", key: "+key+"}, dnstap: {"+c.config+"}}\n"+zoneText()))
			connectedTap(t, n)

			n.dig("www.interop.test", "A", "+nocookie")
			n.dig("none.interop.test", "A", "+tcp", "+nocookie")
			n.dig("example.org", "AAAA", "+nocookie")
			output(t, kdig, "@127.0.0.1", "-p", n.tlsPort(), "+tls", "v4.interop.test", "A")
			n.stop() // before STOP everything goes out
			recv.end()

			us := "127.0.0.1:" + n.port
			overTLS := "127.0.0.1:" + n.tlsPort()
			var got []string
			for _, m := range readLine.FindAllStringSubmatch(output(t, read, recv.file), -1) {
				line := m[1] + " " + m[2] + " " + size.ReplaceAllString(m[3], " ")
				if strings.Contains(line, overTLS) {
					line = strings.Replace(line, " UDP ", " DOT ", 1) // BIND 9.18 knows no DOT
				}
				got = append(got, line)
			}
			var want []string
			for _, m := range []string{
				us + " UDP www.interop.test/IN/A", us + " TCP none.interop.test/IN/A",
				us + " UDP example.org/IN/AAAA", overTLS + " DOT v4.interop.test/IN/A",
			} {
				want = append(want, "AQ 127.0.0.1 -> "+m, "AR 127.0.0.1 <- "+m)
			}
			if !slices.Equal(got, want) {
				t.Errorf("dnstap-read says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}

			var status []string
			for _, m := range kdigStatus.FindAllStringSubmatch(output(t, kdig, "-G", recv.file), -1) {
				status = append(status, m[1])
			}
			if want := []string{"NOERROR", "NXDOMAIN", "REFUSED", "NOERROR"}; !slices.Equal(status, want) {
				t.Errorf("kdig says %v, want %v", status, want)
			}

			// Version 0.2 knows no DOT either, and ends there with an error.
			out, _ := exec.Command(ldns, "-y", "-r", recv.file).Output()
			yaml := strings.Split(string(out), "\n---\n")
			if len(yaml) < 7 { // what ends with a separator has nothing behind it
				t.Fatalf("dnstap-ldns prints %d messages:\n%s", len(yaml)-1, out)
			}
			for i, m := range yaml[:6] {
				kind, rcode, zone := "AUTH_QUERY", "NOERROR", ""
				if i%2 == 1 {
					kind, rcode, zone = "AUTH_RESPONSE", status[i/2], "interop.test."
				}
				if i == 5 {
					zone = "" // it is none of ours
				}
				for _, want := range []string{
					`identity: "tapped"`, `version: "rhumb `, "type: " + kind + "\n", "socket_family: INET\n",
					fmt.Sprintf("opcode: QUERY, rcode: %s,", rcode),
				} {
					if !strings.Contains(m, want) {
						t.Errorf("message %d has no %q:\n%s", i, want, m)
					}
				}
				if has := strings.Contains(m, "query_zone: \""+zone+"\""); has != (zone != "") || zone == "" && strings.Contains(m, "query_zone") {
					t.Errorf("message %d is not of zone %q:\n%s", i, zone, m)
				}
			}
		})
	}
}

// TestDnstapExample has the node of the example and the commands of the manual.
func TestDnstapExample(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "examples", "dnstap.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "rhumb.sock")
	text := string(b)
	for old, now := range map[string]string{"127.0.0.1:5300": "127.0.0.1:0", "127.0.0.1:8080": "127.0.0.1:0", "/run/dnstap/rhumb.sock": socket} {
		if !strings.Contains(text, old) {
			t.Fatalf("the example has no %s", old)
		}
		text = strings.ReplaceAll(text, old, now)
	}
	file := filepath.Join(dir, "rhumb.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	recv := captures(t, "-u", socket)
	n := serve(t, file)
	connectedTap(t, n)
	const asked = 1000 // a tenth of them is at least one, but for once in 10^45 times
	client, m := dns.Client{Timeout: time.Minute}, new(dns.Msg).SetQuestion("www.gslb.example.com.", dns.TypeA)
	conn, err := client.Dial("127.0.0.1:" + n.port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // a test's
	for range asked {
		if _, _, err := client.ExchangeWithConn(m, conn); err != nil {
			t.Fatal(err)
		}
	}
	n.stop()
	recv.end()
	out := output(t, program(t, "dnstap-read"), recv.file)
	q, r := strings.Count(out, " AQ "), strings.Count(out, " AR ")
	if q != r || q == 0 || q == asked {
		t.Errorf("%d queries and %d answers of %d:\n%s", q, r, asked, out)
	}
}
