package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
)

const (
	idleConns    = 10_000
	idlePatience = 10 * time.Second
	// idleBeside are the files that a process has besides its connections.
	idleBeside = 200
)

// benchIdle measures what a connection costs that has had its answer and is kept
// open: the memory of the process, without the kernel's for the socket.
func benchIdle(ctx context.Context, s *settings) ([]table, error) {
	n := idleConns
	if s.quick {
		n = 200
	}
	t := table{
		Title: "Connections that are open and silent",
		Head:  []string{"transport", "connections", "MB before", "MB with them", "bytes each"},
		Notes: []string{"The proportional set size of the process, each connection having asked once. What the kernel holds for a socket is not in it."},
	}
	for _, secure := range []bool{false, true} {
		row, err := idleMemory(ctx, s, n, secure)
		if err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, row)
	}
	s.progress("")
	return []table{t}, nil
}

func idleMemory(ctx context.Context, s *settings, n int, secure bool) ([]string, error) {
	p, err := prepare(s, "rhumb")
	if err != nil {
		return nil, err
	}
	name, over := "TCP", ""
	if secure {
		name, over = "TLS", fmt.Sprintf(", tls: {listen: [%q], cert: %q, key: %q}", p.tls, s.cert, s.key)
	}
	s.progress("idle: %d connections over %s", n, name)
	path, err := p.write("rhumb.yaml", fmt.Sprintf("dns: {listen: [%q]%s, tcp: {idle_timeout: 1h, max_connections: %d, max_per_client: %d, connections_per_second: 0}}\nadmin: {listen: \"127.0.0.1:0\"}\nlog: {level: error}\n",
		p.addr, over, 2*n, 2*n)+rhumbServices(steerOne, 1))
	if err != nil {
		return nil, err
	}
	p.cmd = pinned(ctx, s.serverCores, s.rhumb, "serve", "-c", path)
	if p, err = p.launch(1); err != nil {
		return nil, err
	}
	defer p.end()
	asked, err := dnswire.ParseName(serviceName(0))
	if err != nil {
		return nil, err
	}
	query := dnswire.AppendQuery(nil, asked, dnswire.TypeA, netip.Prefix{})
	query = append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	before := s.settledSize(p.pid())
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for i := range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c, err := idleConn(p, secure)
		if err != nil {
			return nil, fmt.Errorf("connection %d: %w (does `ulimit -n` allow %d files?)", i, err, n+idleBeside)
		}
		open = append(open, c)
		if err := askOnce(c, query, idlePatience); err != nil {
			return nil, fmt.Errorf("connection %d: %w", i, err)
		}
	}
	with := s.settledSize(p.pid())
	// All are open still: none has made room for another.
	for _, c := range []net.Conn{open[0], open[n/2], open[n-1]} {
		if err := askOnce(c, query, idlePatience); err != nil {
			return nil, fmt.Errorf("a connection that was silent: %w", err)
		}
	}
	return []string{
		name, fmt.Sprint(n), fmt.Sprintf("%.1f", float64(before)/1e6), fmt.Sprintf("%.1f", float64(with)/1e6),
		fmt.Sprint((with - before) / n),
	}, nil
}

func idleConn(p *peer, secure bool) (net.Conn, error) {
	if secure {
		d := &net.Dialer{Timeout: idlePatience}
		return tls.DialWithDialer(d, "tcp4", p.tls.String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // our own certificate
	}
	return net.DialTimeout("tcp4", p.addr.String(), idlePatience)
}

// askOnce asks a framed query and waits for the whole answer.
func askOnce(c net.Conn, query []byte, patience time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write(query); err != nil {
		return err
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return err
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	if len(b) < dnswire.HeaderLen || b[7] == 0 {
		return fmt.Errorf("an answer without records")
	}
	return nil
}
