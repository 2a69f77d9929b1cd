package app_test

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDnstapReload tells a node of a receiver that it had none of, of another one,
// and takes it away again.
func TestDnstapReload(t *testing.T) {
	listen := func() net.Listener {
		t.Helper()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		return ln
	}
	first, second := listen(), listen()
	config := filepath.Join(t.TempDir(), "rhumb.yaml")
	write(t, config, header)
	n := start(t, config)
	reload := func(to net.Listener) {
		t.Helper()
		text := header
		if to != nil {
			text = strings.Replace(text, "dns: {", "dns: {dnstap: {tcp: \""+to.Addr().String()+"\"}, ", 1)
		}
		write(t, config, text)
		if err := n.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// greeted is a connection whose handshake has begun: READY has come.
	greeted := func(ln net.Listener) net.Conn {
		t.Helper()
		if err := ln.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		c, err := ln.Accept()
		if err != nil {
			t.Fatalf("nobody came: %v\n%s", err, n.log)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(patience))
		ready := make([]byte, 8+4+8+22)
		if _, err := io.ReadFull(c, ready); err != nil || !bytes.HasSuffix(ready, []byte("protobuf:dnstap.Dnstap")) {
			t.Fatalf("%q, %v", ready, err)
		}
		return c
	}
	left := func(c net.Conn) {
		t.Helper()
		if k, err := c.Read(make([]byte, 1)); k != 0 || err == nil {
			t.Errorf("%d bytes, %v; want the end", k, err)
		}
	}
	reload(first)
	c := greeted(first)
	reload(second)
	left(c)
	c = greeted(second)
	reload(nil)
	left(c)
	if text := n.metrics(t); strings.Contains(text, "rhumb_dns_dnstap_connected") {
		t.Errorf("dnstap is on still:\n%s", text)
	}
}
