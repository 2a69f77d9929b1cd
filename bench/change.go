package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
)

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// benchChange measures from the moment an endpoint has given the answer that
// fails its check to the first DNS answer that says so.
func benchChange(ctx context.Context, s *settings) ([]table, error) {
	t := table{Title: "From an endpoint's failing (or mended) response to the changed DNS answer", Head: []string{"names", "changes", "median", "worst"}}
	for _, names := range []int{1000, s.many} {
		s.progress("change: %d names", names)
		took, err := changes(ctx, names, 20)
		if err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, []string{
			fmt.Sprint(names), fmt.Sprint(len(took)),
			fmt.Sprintf("%.2f ms", float64(median(took))/1e6), fmt.Sprintf("%.2f ms", float64(slices.Max(took))/1e6),
		})
	}
	s.progress("")
	return []table{t}, nil
}

func changes(ctx context.Context, names, n int) ([]time.Duration, error) {
	// The endpoint notes when it gave its first response of the new kind.
	var broken atomic.Bool
	var said atomic.Int64
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		said.CompareAndSwap(0, time.Now().UnixNano())
		if broken.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})}
	go func() { _ = srv.Serve(l) }()
	defer func() { _ = srv.Close() }()

	var text strings.Builder
	fmt.Fprintf(&text, `checks:
  web: {type: http, port: %d, host: bench.test, interval: 100ms, timeout: 100ms, rise: 1, fall: 1}
pools:
  one: {checks: [web], endpoints: [127.0.0.1]}
  two: {endpoints: [192.0.2.2]}
zones:
  %s:
    nameservers: {ns1: 127.0.0.1}
    services:
`, l.Addr().(*net.TCPAddr).Port, zoneName)
	for i := range names {
		fmt.Fprintf(&text, "      n%07d: {pools: [one, two], steer: failover}\n", i)
	}
	sp, err := spec.Parse("bench.yaml", []byte(text.String()))
	if err != nil {
		return nil, err
	}
	e, err := rhumb.New(rhumb.Options{})
	if err != nil {
		return nil, err
	}
	change, err := e.Prepare(sp)
	if err != nil {
		return nil, err
	}
	if err := e.Commit(change); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	defer func() { stop(); <-done }()
	<-e.Settled()

	name, err := dnswire.ParseName(serviceName(names / 2))
	if err != nil {
		return nil, err
	}
	var q dnswire.Query
	q.Parse(dnswire.AppendQuery(nil, name, dnswire.TypeA, netip.Prefix{}))
	c := resolve.NewScratch(1, 2)
	buf := make([]byte, 0, 512)
	answer := func() string {
		buf = e.Snapshot().Append(buf[:0], &q, c)
		return string(buf[q.QuestionEnd+12 : q.QuestionEnd+16])
	}
	var took []time.Duration
	for range n {
		before := answer()
		broken.Store(!broken.Load())
		said.Store(0)
		for deadline := time.Now().Add(10 * time.Second); answer() == before; {
			if time.Now().After(deadline) {
				return nil, fmt.Errorf("no change within 10 s")
			}
			runtime.Gosched()
		}
		took = append(took, time.Duration(time.Now().UnixNano()-said.Load()))
	}
	return took, nil
}
