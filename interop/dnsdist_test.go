//go:build linux

package interop

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// behind starts the two nodes of examples/dnsdist with dnsdist in front, all as
// there but for the ports, and what edit makes of the files.
func behind(t *testing.T, edit func(text string) string) (front *node, nodes [2]*node) {
	t.Helper()
	dnsdist := program(t, "dnsdist")
	dir := t.TempDir()
	edited := func(name string, old ...string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join("..", "examples", "dnsdist", name))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer(old...).Replace(string(b))
		for i := 0; i < len(old); i += 2 {
			if !strings.Contains(string(b), old[i]) {
				t.Fatalf("%s has no %s", name, old[i])
			}
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(edit(text)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := edited("rhumb.yaml")
	for i := range nodes {
		t.Setenv("RHUMB_NODE", fmt.Sprintf("ns%d", i+1))
		t.Setenv("RHUMB_DNS", "127.0.0.1:0")
		t.Setenv("RHUMB_ADMIN", "127.0.0.1:0")
		nodes[i] = serve(t, config)
	}
	front = &node{t: t, port: freePort(t)}
	background(t, dnsdist, "--supervised", "--disable-syslog", "-C", edited("dnsdist.conf",
		"127.0.0.1:5300", "127.0.0.1:"+front.port,
		"127.0.0.1:5301", "127.0.0.1:"+nodes[0].port,
		"127.0.0.1:5302", "127.0.0.1:"+nodes[1].port))
	return front, nodes
}

func asIs(text string) string { return text }

// metric adds up the series whose names and labels match, over nodes.
func metric(t *testing.T, series string, nodes ...*node) (sum float64) {
	t.Helper()
	for _, n := range nodes {
		res, err := http.Get(n.api + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^`+series+` (\S+)$`).FindAllStringSubmatch(string(b), -1) {
			v, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}

// TestDnsdist has clients ask through dnsdist: its health checks, its cache, its
// client subnets, and a node that goes away.
func TestDnsdist(t *testing.T) {
	front, nodes := behind(t, asIs)
	const asked = `rhumb_dns_queries_total{.*type="A".*}`
	front.until("192.0.2.10", "-b", "127.0.0.77", "api.gslb.example.com", "A", "+nocookie")
	both := nodes[:]
	// Nothing in the answer depends on the client, and says so with the scope of
	// its client subnet: the next one's comes from the cache.
	before := metric(t, asked, both...)
	for _, client := range []string{"127.0.0.78", "127.0.0.79"} {
		front.until("192.0.2.10", "-b", client, "api.gslb.example.com", "A", "+nocookie")
	}
	if got := metric(t, asked, both...); got != before {
		t.Errorf("%v queries reached the nodes, want none: the answer was in the cache", got-before)
	}
	// A client's own subnet comes back to it.
	if out := front.dig("api.gslb.example.com", "A", "+subnet=198.51.100.0/24"); !strings.Contains(out, "CLIENT-SUBNET: 198.51.100.0/24/0") {
		t.Errorf("the client's subnet is not in the answer:\n%s", out)
	}
	if out := front.dig("none.gslb.example.com", "A"); !strings.Contains(out, "status: NXDOMAIN") {
		t.Errorf("a name that is not there:\n%s", out)
	}
	for _, n := range nodes {
		if out := n.dig("api.gslb.example.com", "A", "-b", "127.0.0.2"); !strings.Contains(out, "192.0.2.10") {
			t.Errorf("who is no proxy gets no answer from a node:\n%s", out)
		}
	}
	if got := metric(t, `rhumb_dns_dropped_total{reason="proxy_header"}`, both...); got != 0 {
		t.Errorf("%v headers of dnsdist were not understood", got)
	}
	// Health checks come over UDP, for dnsdist itself.
	for _, n := range nodes {
		if metric(t, `rhumb_dns_queries_total{.*transport="udp",type="SOA".*}`, n) == 0 {
			t.Error("a node has had no health check")
		}
	}
	nodes[0].stop()
	before = metric(t, asked, nodes[1])
	front.until("192.0.2.10", "api.gslb.example.com", "A") // with a cookie that no cache knows
	if got := metric(t, asked, nodes[1]); got == before {
		t.Error("the node that is left was not asked")
	}
}

// TestDnsdistCookies has a client's cookie come back from another client, over
// UDP through dnsdist: a cookie is made for an address, so the one is recognised
// and the other is not.
func TestDnsdistCookies(t *testing.T) {
	for _, c := range []struct {
		name  string
		edit  func(string) string
		known bool
	}{
		{"with the header", asIs, true},
		{"without it", noHeader, false}, // so that what is seen is seen to come from it
	} {
		t.Run(c.name, func(t *testing.T) {
			front, _ := behind(t, func(text string) string {
				// Both nodes are one to the clients, as they are to any.
				return c.edit(strings.Replace(text, "  nsid:", "  cookie_secret: 000102030405060708090a0b0c0d0e0f\n  nsid:", 1))
			})
			front.until("192.0.2.10", "api.gslb.example.com", "A")
			ours := front.cookieOf("127.0.0.77", "2464c4abcf10c957")
			if len(ours) != 48 {
				t.Fatalf("cookie %q, want one of the server's", ours)
			}
			if got := front.cookieOf("127.0.0.77", ours); got != ours {
				t.Errorf("the client's own cookie is answered with %s", got)
			}
			if got := front.cookieOf("127.0.0.78", ours); (got != ours) != c.known {
				t.Errorf("the cookie of another client is answered with %s, and was %s", got, ours)
			}
		})
	}
}

// cookieOf asks from a client's address with a cookie, and returns the answer's,
// both in hexadecimal.
func (n *node) cookieOf(client, cookie string) string {
	n.t.Helper()
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(client)}}
	nc, err := d.Dial("udp", "127.0.0.1:"+n.port)
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		n.t.Fatal(err)
	}
	m := new(dns.Msg)
	// A name of its own, which is not in the cache.
	m.SetQuestion(fmt.Sprintf("%d-%s.gslb.example.com.", len(cookie), strings.ReplaceAll(client, ".", "-")), dns.TypeA)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})
	c := &dns.Conn{Conn: nc, UDPSize: 4096}
	if err := c.WriteMsg(m); err != nil {
		n.t.Fatal(err)
	}
	r, err := c.ReadMsg()
	if err != nil {
		n.t.Fatal(err)
	}
	if opt := r.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if k, ok := o.(*dns.EDNS0_COOKIE); ok {
				return k.Cookie
			}
		}
	}
	return ""
}

// noHeader is the example without the PROXY protocol.
func noHeader(text string) string {
	text = strings.Replace(text, "useProxyProtocol = true", "useProxyProtocol = false", 1)
	return strings.Replace(text, "trusted: [127.0.0.1/32]", "trusted: [192.0.2.1/32]", 1)
}

// TestDnsdistClients has five clients keep a connection each through dnsdist,
// where a node takes one of a client: it must know them apart, by the header.
func TestDnsdistClients(t *testing.T) {
	oneEach := strings.NewReplacer("  proxy_protocol:", "  tcp: {max_per_client: 1}\n  proxy_protocol:")
	for _, c := range []struct {
		name  string
		edit  func(string) string
		known bool
	}{
		{"with the header", oneEach.Replace, true},
		{"without it", func(text string) string { return noHeader(oneEach.Replace(text)) }, false}, // as above
	} {
		t.Run(c.name, func(t *testing.T) {
			front, nodes := behind(t, c.edit)
			front.until("192.0.2.10", "api.gslb.example.com", "A")
			answered := 0
			for i := range 5 {
				if throughTCP(t, front.port, fmt.Sprintf("127.0.0.%d", 71+i)) {
					answered++
				}
			}
			refused := metric(t, `rhumb_tcp_closed_total{reason="client_limit"}`, nodes[:]...)
			if open := metric(t, "rhumb_tcp_connections", nodes[:]...); c.known && (answered != 5 || open != 5 || refused != 0) {
				t.Errorf("%d of 5 answered, %v connections, %v refused", answered, open, refused)
			}
			if !c.known && refused == 0 {
				t.Error("no connection was refused, although all are of one address: the test shows nothing")
			}
		})
	}
}

// throughTCP asks once from a client's address, keeps the connection, and says
// whether there was an answer.
func throughTCP(t *testing.T, port, client string) bool {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(client)}, Timeout: time.Minute}
	nc, err := d.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	c := &dns.Conn{Conn: nc}
	m := new(dns.Msg)
	m.SetQuestion(fmt.Sprintf("%s.gslb.example.com.", strings.ReplaceAll(client, ".", "-")), dns.TypeA)
	if err := c.WriteMsg(m); err != nil {
		t.Fatal(err)
	}
	r, err := c.ReadMsg()
	return err == nil && r.Rcode == dns.RcodeNameError
}
