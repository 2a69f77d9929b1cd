package admin_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestProfiles(t *testing.T) {
	n := newNode(t, configuration)
	for path, want := range map[string]string{
		"goroutine?debug=1":    "goroutine profile: total ",
		"goroutine?debug=2":    "TestProfiles",
		"heap?debug=1&gc=1":    "# runtime.MemStats",
		"allocs?debug=1":       "heap profile: ",
		"threadcreate?debug=1": "threadcreate profile: ",
		"block?debug=1":        "--- contention:",
		"mutex?debug=1":        "--- mutex:",
		"":                     "full goroutine stack dump",
	} {
		b, err := io.ReadAll(n.ask("GET", "/debug/pprof/"+path, "").Body)
		if err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s: %v\n%.200s", path, err, b)
		}
	}
	// Without debug it is what go tool pprof reads: protobuf, zipped.
	z, err := gzip.NewReader(n.ask("GET", "/debug/pprof/heap", "").Body)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || !bytes.Contains(b, []byte("inuse_space")) {
		t.Errorf("heap: %v, %d bytes", err, len(b))
	}
	if to := n.ask("GET", "/debug/pprof", "").Header.Get("Location"); to != "/debug/pprof/" {
		t.Errorf("without its slash the page is at %q", to)
	}
	for path, want := range map[string]string{
		"profile?seconds=61":     `seconds: "61" is no whole number from 1 to 60`,
		"profile?seconds=0":      `seconds: "0" is no whole number from 1 to 60`,
		"trace?seconds=0.5":      `seconds: "0.5" is no whole number from 1 to 60`,
		"heap?seconds=3600":      `seconds: "3600" is no whole number from 1 to 60`,
		"heap?seconds=1&debug=1": "query: seconds goes without debug and gc",
		"heap?gc=yes":            `gc: "yes" is no whole number from 0 to 1`,
		"goroutine?debug=3":      `debug: "3" is no whole number from 0 to 2`,
		"profile?sec=5":          `query: no parameter "sec"; there are seconds`,
	} {
		if got := refused(t, n.ask("GET", "/debug/pprof/"+path, ""), http.StatusBadRequest); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
	refused(t, n.ask("GET", "/debug/pprof/nothing", ""), http.StatusNotFound)
	refused(t, n.ask("GET", "/debug/pprof/heap/x", ""), http.StatusNotFound)
	refused(t, n.ask("GET", "/debug/pprof/heap", "", "Sec-Fetch-Site: cross-site"), http.StatusForbidden)
	if resp := n.ask("GET", "/debug/pprof/heap", "", "Sec-Fetch-Site: same-origin"); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
}

// TestProfileTakesItsTime has a server that gives requests less time to come in
// than a profile takes, and asks it for two at once.
func TestProfileTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})}
		srv := &http.Server{Handler: newNode(t, configuration).handler, ReadTimeout: 30 * time.Second}
		var all sync.WaitGroup
		defer all.Wait()
		all.Go(func() { _ = srv.Serve(l) })
		defer srv.Close()

		client := &http.Client{Transport: &http.Transport{DialContext: l.dial, DisableKeepAlives: true}}
		ask := func() (int, []byte) {
			resp, err := client.Get("http://127.0.0.1/debug/pprof/heap?seconds=60")
			if err != nil {
				t.Error(err)
				return 0, nil
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Error(err)
			}
			return resp.StatusCode, b
		}
		begin := time.Now()
		all.Go(func() {
			if code, b := ask(); code != http.StatusOK || len(b) == 0 || time.Since(begin) != time.Minute {
				t.Errorf("after %v: %d, %d bytes: %.200s", time.Since(begin), code, len(b), b)
			}
		})
		synctest.Wait()
		if code, b := ask(); code != http.StatusConflict || time.Since(begin) != 0 {
			t.Errorf("two at once: after %v: %d %s", time.Since(begin), code, b)
		}
		time.Sleep(time.Minute) // of the bubble
		synctest.Wait()
		if code, _ := ask(); code != http.StatusOK {
			t.Errorf("the one after: %d", code)
		}
	})
}

// pipes is a listener without sockets, whose time is that of the test.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

// pipe is one end, whose peer is on this machine.
type pipe struct{ net.Conn }

func (pipe) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.accepted <- pipe{there}:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }
