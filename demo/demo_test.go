package demo_test

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/demo"
)

// TestDemo breaks and mends endpoints by the keys, without a terminal, and
// reads in the log that the answers follow.
func TestDemo(t *testing.T) {
	for _, a := range []string{"127.0.0.2:0", "127.0.0.3:0", "127.0.0.4:0"} {
		l, err := net.Listen("tcp", a)
		if err != nil {
			t.Skipf("%s cannot be had here: %v", a, err)
		}
		_ = l.Close()
	}
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()
	_ = l.Close()

	in, keys, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	log, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- demo.Run(ctx, demo.Options{
			In: in, Out: out, Port: port,
			DNS: netip.MustParseAddrPort("127.0.0.1:0"), Admin: netip.MustParseAddrPort("127.0.0.1:0"),
		})
		_ = out.Close()
	}()

	lines := bufio.NewScanner(log)
	var seen []string
	// wait reads on until a line says all of these.
	wait := func(words ...string) {
		t.Helper()
	next:
		for lines.Scan() {
			seen = append(seen, lines.Text())
			for _, w := range words {
				if !strings.Contains(lines.Text(), w) {
					continue next
				}
			}
			return
		}
		t.Fatalf("the log ended without a line that says %q:\n%s", words, strings.Join(seen, "\n"))
	}
	press := func(key string) {
		t.Helper()
		if _, err := keys.WriteString(key); err != nil {
			t.Fatal(err)
		}
	}
	wait("answers", "www.demo.test", "127.0.0.2,127.0.0.3")
	press("12")
	wait("endpoint down", "127.0.0.2")
	wait("answers", "www.demo.test", "endpoints=127.0.0.4")
	press("2")
	wait("endpoint up", "127.0.0.3")
	wait("answers", "www.demo.test", "endpoints=127.0.0.3")
	press("q")
	for lines.Scan() {
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
