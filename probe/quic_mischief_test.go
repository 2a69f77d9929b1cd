package probe

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// initial is what a packet that begins a QUIC connection says about it: RFC 9000
// section 17.2.
func initial(b []byte) (to, from []byte, ok bool) {
	if len(b) < 1200 || b[0]&0xc0 != 0xc0 || len(b) < 6+int(b[5]) {
		return nil, nil, false
	}
	to, b = b[6:6+b[5]], b[6+b[5]:]
	return to, b[1 : 1+b[0]], true
}

// Servers that answer datagrams with something that is not QUIC, or no answer to it.
func TestQUICMischief(t *testing.T) {
	ids := func(a, b []byte) string {
		return string([]byte{byte(len(a))}) + string(a) + string([]byte{byte(len(b))}) + string(b)
	}
	// Whoever says what a client can see to be wrong is passed over: it could be
	// somebody else who wants the probe to fail. Something came all the same.
	for _, tc := range []struct {
		name  string
		says  func(got, to, from []byte) []string
		class Class
	}{
		{"its own words", func(got, _, _ []byte) []string { return []string{string(got)} }, ClassSlow},
		{"nonsense", func([]byte, []byte, []byte) []string {
			return []string{"", "x", strings.Repeat("\xff", 1200), strings.Repeat("\x00", 1200), strings.Repeat("\x40", 30)}
		}, ClassSlow},
		{"other versions", func(_, to, from []byte) []string {
			return []string{"\x80\x00\x00\x00\x00" + ids(from, to) + "\x0a\x0a\x0a\x0a"}
		}, ClassProtocol},
		{"no versions", func(_, to, from []byte) []string { return []string{"\x80\x00\x00\x00\x00" + ids(from, to)} }, ClassSlow},
		{"the same version", func(_, to, from []byte) []string {
			return []string{"\x80\x00\x00\x00\x00" + ids(from, to) + "\x00\x00\x00\x01"}
		}, ClassSlow},
		{"try again, without a seal", func(_, _, from []byte) []string {
			return []string{"\xf0\x00\x00\x00\x01" + ids(from, []byte("elsewhere")) + "token" + strings.Repeat("s", 16)}
		}, ClassSlow},
		{"an initial that is not sealed", func(got, to, from []byte) []string {
			return []string{"\xc0\x00\x00\x00\x01" + ids(from, to) + "\x00\x44\x00" + string(got[100:1100])}
		}, ClassSlow},
		{"a handshake that is not sealed", func(got, to, from []byte) []string {
			return []string{"\xe0\x00\x00\x00\x01" + ids(from, to) + "\x44\x00" + string(got[100:1100])}
		}, ClassSlow},
		{"a reset from nowhere", func([]byte, []byte, []byte) []string { return []string{"\x40" + strings.Repeat("r", 60)} }, ClassSlow},
		{"a flood", func(got, to, from []byte) []string {
			var all []string
			for range 200 {
				all = append(all, "\xe0\x00\x00\x00\x01"+ids(from, to)+"\x44\x00"+string(got[100:1100]))
			}
			return all
		}, ClassSlow},
	} {
		t.Run(tc.name, func(t *testing.T) {
			packets, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				for buf := make([]byte, 4096); ; {
					n, from, err := packets.ReadFrom(buf)
					if err != nil {
						return
					}
					to, own, ok := initial(buf[:n])
					if !ok {
						continue
					}
					for _, s := range tc.says(bytes.Clone(buf[:n]), bytes.Clone(to), bytes.Clone(own)) {
						_, _ = packets.WriteTo([]byte(s), from)
					}
				}
			})
			defer wg.Wait()
			defer packets.Close()
			before := runtime.NumGoroutine()
			at := packets.LocalAddr().(*net.UDPAddr).AddrPort()
			p := must(t, HTTP{Version: HTTP3, TLS: &TLSConfig{}})
			within(t, 8<<20, func() {
				r := p.Probe(ctxFor(t, 60*time.Millisecond), Target{Addr: at.Addr(), Port: at.Port()})
				check(t, r, tc.class, "")
			})
			eventuallyFew(t, before)
		})
	}
}

// A name server that answers nothing leaves nothing behind, from the moment on at which
// the probe's time is over.
func TestNameServerIsSilent(t *testing.T) {
	// Whoever resolves first in this process makes a channel for all who do, which in a
	// bubble would be that bubble's alone.
	none := resolverOver(func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed })
	none.PreferGo = true
	if got, err := none.LookupNetIP(t.Context(), "ip", "never.example.com."); err == nil {
		t.Errorf("a name that nobody is asked for has %v", got)
	}
	synctest.Test(t, func(t *testing.T) {
		p := pipes{handle: drain}
		n := p.network()
		var mu sync.Mutex // it asks for both families at once
		r := resolverOver(func(ctx context.Context, _, _ string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			return n.dial(ctx, netip.AddrPort{})
		})
		r.PreferGo = true
		asked := 0
		n.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			asked++
			return r.LookupNetIP(ctx, "ip", host)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got := on(t, must(t, TCP{}), n).Probe(ctx, Target{Host: "never.example.com.", Port: 80})
		check(t, got, ClassDNS, "timeout while resolving the host name")
		synctest.Wait()
		if open := p.open.Load(); open != 0 || asked != 1 || len(p.dialed) == 0 {
			t.Errorf("%d sockets open, asked %d times on %d", open, asked, len(p.dialed))
		}
	})
}

// A name whose addresses are never the same.
func TestResolverMischief(t *testing.T) {
	n := system
	p := on(t, must(t, TCP{}), &n)
	good, bad := serve(t, "127.0.0.1", func(net.Conn) {}), closedPort(t, "127.0.0.1")
	turn := 0
	n.lookup = func(context.Context, string) ([]netip.Addr, error) {
		turn++
		return [][]netip.Addr{{good.Addr}, {netip.MustParseAddr("255.255.255.255")}, {}, nil}[turn%4], nil
	}
	for _, want := range []Class{ClassUnreachable, ClassDNS, ClassDNS, ClassNone, ClassUnreachable} {
		check(t, p.Probe(ctxFor(t, patience), Target{Host: "www.example.com", Port: good.Port}), want, "")
	}
	n.lookup = func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{bad.Addr, good.Addr}, nil }
	check(t, p.Probe(ctxFor(t, patience), Target{Host: "www.example.com", Port: bad.Port}), ClassRefused, "first of 2 addresses")
}

// Where a redirect may lead, and where not.
func TestRedirectMischief(t *testing.T) {
	for location, c := range map[string]struct {
		class  Class
		detail string
	}{
		"file:///etc/passwd":                   {ClassProtocol, "redirect to neither http nor https"},
		"javascript:alert(1)":                  {ClassProtocol, "redirect to neither http nor https"},
		"gopher://127.0.0.1/":                  {ClassProtocol, "redirect to neither http nor https"},
		"http:opaque":                          {ClassProtocol, "redirect to a malformed location"},
		"http://":                              {ClassProtocol, "redirect to a malformed location"},
		"http://127.0.0.1:0/":                  {ClassProtocol, "redirect to a malformed location"},
		"http://127.0.0.1:99999/":              {ClassProtocol, "redirect to a malformed location"},
		"http://[::1%25lo]/":                   {ClassProtocol, "redirect to a malformed location"},
		"http://a b/":                          {ClassProtocol, "redirect to a malformed location"},
		"//255.255.255.255/":                   {ClassUnreachable, "after a redirect to http://255.255.255.255: "},
		strings.Repeat("/x", 10_000):           {ClassRedirect, "more than 10 redirects"},
		"?" + strings.Repeat("x", 20_000):      {ClassRedirect, "more than 10 redirects"},
		"/\\..\\..//%2e%2e/\x80\xff":           {ClassRedirect, "more than 10 redirects"},
		"http://" + strings.Repeat("a.", 2000): {ClassProtocol, "redirect to a malformed location"},
	} {
		to := serve(t, "127.0.0.1", answering(nil, "HTTP/1.1 302 x\r\nLocation: "+location+"\r\n\r\n"))
		within(t, 4<<20, func() {
			check(t, must(t, HTTP{FollowRedirects: true, Bearer: hunter}).Probe(ctxFor(t, patience), to), c.class, c.detail)
		})
	}
}
