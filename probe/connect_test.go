package probe

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// The time of a connection is that of the first one alone: neither resolving the
// name nor what the service does with the connection is in it.
func TestConnectTime(t *testing.T) {
	for _, c := range []struct {
		name string
		p    func() Prober
		// answers are what the service says to one connection after another, each a
		// second after it was asked.
		answers []string
		ok      bool
		want    time.Duration
	}{
		{"tcp", func() Prober { return must(t, TCP{}) }, nil, true, 20 * time.Millisecond},
		{"http", func() Prober { return must(t, HTTP{}) }, []string{"HTTP/1.1 204 No Content\r\n\r\n"}, true, 20 * time.Millisecond},
		{
			"redirect", func() Prober { return must(t, HTTP{FollowRedirects: true}) },
			[]string{"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"},
			true, 20 * time.Millisecond,
		},
		{"status", func() Prober { return must(t, HTTP{}) }, []string{"HTTP/1.1 503 Busy\r\n\r\n"}, false, 20 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answers := make(chan string, len(c.answers))
				for _, a := range c.answers {
					answers <- a
				}
				p := &pipes{hosts: map[string][]netip.Addr{"www.example.net": {netip.MustParseAddr("192.0.2.1")}}}
				p.handle = func(far net.Conn) {
					r, err := http.ReadRequest(bufio.NewReader(far))
					if err != nil {
						return // a tcp check sends nothing
					}
					_ = r.Body.Close()
					time.Sleep(time.Second)
					_, _ = far.Write([]byte(<-answers))
				}
				n := p.network()
				pipe, find, dials := n.dial, n.lookup, 0
				n.dial = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
					dials++
					time.Sleep(time.Duration(dials) * 20 * time.Millisecond)
					return pipe(ctx, to)
				}
				n.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
					time.Sleep(300 * time.Millisecond)
					return find(ctx, host)
				}
				got := on(t, c.p(), n).Probe(ctxFor(t, patience), Target{Host: "www.example.net", Port: 80})
				if got.OK != c.ok || got.Connect != c.want {
					t.Errorf("%+v, want a connection in %v", got, c.want)
				}
				p.peers.Wait()
			})
		})
	}
	if got := must(t, TCP{}).Probe(ctxFor(t, patience), closedPort(t, "127.0.0.1")); got.Connect != 0 {
		t.Errorf("refused: %+v", got)
	}
}
