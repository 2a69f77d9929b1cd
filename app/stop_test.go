package app

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestStopDuringReload ends a node while it reloads: DNS answers until the reload
// has been given up, and none comes after it.
func TestStopDuringReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rhumb.yaml")
	text := "dns: {listen: [127.0.0.1:0]}\nadmin: {listen: 127.0.0.1:0}\npools: {p: {endpoints: [192.0.2.1]}}\nzones: {x.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [p]}}}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{Config: path, LogWriter: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	select {
	case <-a.Started():
	case err := <-done:
		t.Fatal(err)
	}

	addr := a.DNSAddrs()[0].String()
	a.reloadMu.Lock() // a reload is under way
	stop()
	m := new(dns.Msg).SetQuestion("www.x.test.", dns.TypeA)
	client := &dns.Client{Timeout: 30 * time.Second}
	for range 200 {
		r, _, err := client.Exchange(m, addr)
		if err != nil || len(r.Answer) != 1 {
			t.Fatalf("%v, %v", r, err)
		}
	}
	for !a.stopping.Load() {
		select {
		case err := <-done:
			t.Fatalf("ended before the reload: %v", err)
		default:
		}
	}
	before := a.engine.Snapshot().Table
	if err := a.replace(); !errors.Is(err, errStopping) || a.engine.Snapshot().Table != before {
		t.Errorf("a reload under way: %v", err)
	}
	a.reloadMu.Unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := a.Reload(t.Context()); !errors.Is(err, errStopping) {
		t.Errorf("a reload behind the end: %v", err)
	}
}
