package app_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/app"
)

// overTLS connects to the node with TLS, whoever it says it is.
func (n *node) overTLS() *dns.Conn {
	n.t.Helper()
	c := &dns.Client{Net: "tcp-tls", Timeout: patience, TLSConfig: &tls.Config{
		InsecureSkipVerify: true, NextProtos: []string{"dot"},
	}}
	co, err := c.Dial(n.DNSOverTLSAddrs()[0].String())
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = co.Close() })
	return co
}

// serial is the number of the certificate that a new connection is shown.
func (n *node) serial() int64 {
	n.t.Helper()
	co := n.overTLS()
	defer func() { _ = co.Close() }()
	return co.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// askOver is one query over a connection that stays open.
func (n *node) askOver(co *dns.Conn, name string) string {
	n.t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, dns.TypeA)
	if err := co.SetDeadline(time.Now().Add(patience)); err != nil {
		n.t.Fatal(err)
	}
	if err := co.WriteMsg(m); err != nil {
		n.t.Fatal(err)
	}
	r, err := co.ReadMsg()
	if err != nil {
		n.t.Fatal(err)
	}
	return addresses(r)
}

// TestCertificateFiles replaces the files of the certificate while the node
// runs, well and badly.
func TestCertificateFiles(t *testing.T) {
	dir := t.TempDir()
	app.WritePair(t, dir, 1)
	config := filepath.Join(dir, "rhumb.yaml")
	write(t, config, "dns: {listen: [127.0.0.1:0], tls: {listen: [127.0.0.1:0], cert: ns.crt, key: ns.key}}\n"+
		"admin: {listen: 127.0.0.1:0}\n"+fmt.Sprintf(staticZone, "192.0.2.1"))
	n := start(t, config)
	to := n.DNSOverTLSAddrs()
	first := n.overTLS()
	if got := n.askOver(first, "www.app.test."); got != "192.0.2.1" || n.serial() != 1 {
		t.Fatalf("answer %q, certificate %d", got, n.serial())
	}

	until := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); !done(); runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("not in time: %s\n%s", what, n.log)
			}
		}
	}
	app.WritePair(t, dir, 2) // nobody says reload
	until("the new certificate", func() bool { return n.serial() == 2 })

	good, err := os.ReadFile(filepath.Join(dir, "ns.key"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "ns.key"), "nothing\n")
	until("the complaint", func() bool { return n.Condition().ReloadError != "" })
	if got := n.Condition().ReloadError; !strings.Contains(got, "dns.tls.key: ns.key holds no PEM block") {
		t.Errorf("the node complains of %q", got)
	}
	if got := n.serial(); got != 2 {
		t.Errorf("certificate %d beside a bad file, want 2", got)
	}
	write(t, filepath.Join(dir, "ns.key"), string(good))
	until("the end of the complaint", func() bool { return n.Condition().ReloadError == "" })

	if got := n.askOver(first, "www.app.test."); got != "192.0.2.1" {
		t.Errorf("over the first connection: %q", got)
	}
	if got := n.DNSOverTLSAddrs(); got[0] != to[0] {
		t.Errorf("listens on %v, before on %v", got, to)
	}
}

// TestTransportsReload gives a node TLS, proxies and limits that it had not, and
// takes them away again.
func TestTransportsReload(t *testing.T) {
	dir := t.TempDir()
	app.WritePair(t, dir, 1)
	config := filepath.Join(dir, "rhumb.yaml")
	plain := header + fmt.Sprintf(staticZone, "192.0.2.1")
	write(t, config, plain)
	n := start(t, config)
	if got := n.DNSOverTLSAddrs(); len(got) != 0 {
		t.Errorf("TLS on %v", got)
	}
	reload := func(text string) {
		t.Helper()
		write(t, config, text)
		if err := n.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	reload(strings.Replace(plain, "dns: {", "dns: {tls: {listen: [127.0.0.1:0], cert: ns.crt, key: ns.key}, "+
		"tcp: {max_per_client: 1}, proxy_protocol: {trusted: [127.0.0.2/32]}, ", 1))
	if got := n.askOver(n.overTLS(), "www.app.test."); got != "192.0.2.1" {
		t.Errorf("over TLS: %q", got)
	}
	// That was this client's only connection; the next one is closed.
	c, err := net.Dial("tcp", n.DNSAddrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if k, err := c.Read(make([]byte, 1)); k != 0 || err == nil || os.IsTimeout(err) {
		t.Errorf("a second connection: %d bytes, %v; want the end", k, err)
	}
	if runtime.GOOS == "linux" {
		proxied(t, n)
	}
	reload(plain)
	if got := n.DNSOverTLSAddrs(); len(got) != 0 {
		t.Errorf("TLS on %v still", got)
	}
	n.until("www.app.test", "192.0.2.1")
}

// proxied asks as the proxy 127.0.0.2, first as it must and then without a
// header: only the first query has an answer.
func proxied(t *testing.T, n *node) {
	t.Helper()
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}, net.UDPAddrFromAddrPort(n.DNSAddrs()[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	m := new(dns.Msg)
	m.SetQuestion("www.app.test.", dns.TypeA)
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{packed, append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x12\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x08\x10\x00\x00\x35"), packed...)} {
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 512)
	k, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	r := new(dns.Msg)
	if err := r.Unpack(buf[:k]); err != nil || addresses(r) != "192.0.2.1" {
		t.Errorf("answer %v, %v", r, err)
	}
	res := n.metrics(t)
	if !strings.Contains(res, `rhumb_dns_dropped_total{reason="proxy_header"} 1`) {
		t.Errorf("the datagram without a header is not counted:\n%s", res)
	}
}

// metrics is what /metrics says.
func (n *node) metrics(t *testing.T) string {
	t.Helper()
	res, err := http.Get("http://" + n.AdminAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
