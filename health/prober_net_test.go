package health

import (
	"bufio"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// lines is a server that answers each line it hears, after a greeting. An answer
// that begins with ERROR is its last.
func lines(t *testing.T, greeting string, answer func(line string) string) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				_, _ = io.WriteString(c, greeting)
				for in := bufio.NewScanner(c); in.Scan(); {
					said := answer(in.Text())
					_, _ = io.WriteString(c, said)
					if strings.HasPrefix(said, "ERROR") {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		all.Wait()
	})
	return ln.Addr().(*net.TCPAddr).Port
}

// Each key of a configuration reaches the wire: one real probe for each.
func TestChecksFromConfiguration(t *testing.T) {
	secure := httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	secure.StartTLS()
	defer secure.Close()
	left := int(time.Until(secure.Certificate().NotAfter) / (24 * time.Hour))
	if left > 3000 { // the limits' own limit
		left = 3000
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	tlsPort := secure.Listener.Addr().(*net.TCPAddr).Port

	cache := lines(t, "", func(l string) string {
		if l == "version\x00" {
			return "VERSION 1.6\r\n"
		}
		return "ERROR\r\n"
	})
	mail := lines(t, "220 mx\r\n", func(l string) string {
		switch l {
		case "EHLO probe.example.net", "MAIL FROM:<>", "RCPT TO:<postmaster@example.com>":
			return "250 ok\r\n"
		case "QUIT":
			return "221 bye\r\n"
		}
		return "550 " + l + "\r\n"
	})
	starttls := lines(t, "220 mx\r\n", func(l string) string {
		if strings.HasPrefix(l, "EHLO") {
			return "250 STARTTLS\r\n"
		}
		return "454 not now\r\n"
	})

	grpcLn, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hs := grpchealth.NewServer()
	hs.SetServingStatus("shop.Orders", healthpb.HealthCheckResponse_NOT_SERVING)
	gs := grpc.NewServer()
	healthpb.RegisterHealthServer(gs, hs)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = gs.Serve(grpcLn)
	}()
	defer func() {
		gs.Stop()
		<-served
	}()
	grpcPort := grpcLn.Addr().(*net.TCPAddr).Port

	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	names := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Name != "www.example.com." {
			m.Rcode = dns.RcodeNameError
		} else if rr, err := dns.NewRR(fmt.Sprintf("www.example.com. 60 IN MX 10 %s.", w.LocalAddr().Network())); err == nil {
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	})
	dnsPort := pc.LocalAddr().(*net.UDPAddr).Port
	ln, err := net.Listen("tcp", pc.LocalAddr().String())
	if err != nil {
		t.Skipf("the port of UDP is taken for TCP: %v", err)
	}
	udp, tcp := &dns.Server{PacketConn: pc, Handler: names}, &dns.Server{Listener: ln, Handler: names}
	for _, s := range []*dns.Server{udp, tcp} {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = s.ActivateAndServe()
		}()
		<-up
		defer func() {
			_ = s.Shutdown()
			<-ended
		}()
	}

	for _, c := range []struct {
		check    string
		class    probe.Class
		degraded bool
	}{
		{fmt.Sprintf(`{type: tcp, port: %d, send: 'version\0\r\n', expect: '^VERSION 1\.'}`, cache), "", false},
		{fmt.Sprintf(`{type: tcp, port: %d, send: 'version\r\n', expect: '^VERSION 1\.'}`, cache), probe.ClassValue, false},
		{fmt.Sprintf(`{type: tls, port: %d, host: example.com, ca: %q, min_days: %d}`, tlsPort, ca, left-1), "", false},
		{fmt.Sprintf(`{type: tls, port: %d, host: example.com, ca: %q, warn_days: %d}`, tlsPort, ca, left-1), "", false},
		{fmt.Sprintf(`{type: tls, port: %d, host: example.com, ca: %q, send: 'GET / HTTP/1.0\r\n\r\n', expect: '^HTTP/1\.0 404 '}`, tlsPort, ca), "", false},
		{fmt.Sprintf(`{type: grpc, port: %d, host: example.com}`, grpcPort), "", false},
		{fmt.Sprintf(`{type: grpc, port: %d, host: example.com, service: shop.Orders}`, grpcPort), probe.ClassValue, false},
		{fmt.Sprintf(`{type: grpc, port: %d, host: example.com, tls: true}`, grpcPort), probe.ClassTLS, false},
		{fmt.Sprintf(`{type: dns, port: %d, name: www.example.com, record: MX, expect: '^10 udp\.$'}`, dnsPort), "", false},
		{fmt.Sprintf(`{type: dns, port: %d, name: www.example.com, record: MX, proto: tcp, expect: '^10 tcp\.$'}`, dnsPort), "", false},
		{fmt.Sprintf(`{type: dns, port: %d, name: nx.example.com}`, dnsPort), probe.ClassStatus, false},
		{fmt.Sprintf(`{type: dns, port: %d, name: nx.example.com, rcode: NXDOMAIN}`, dnsPort), "", false},
		{fmt.Sprintf(`{type: smtp, port: %d, hello: probe.example.net, mail_from: "<>", rcpt_to: postmaster@example.com}`, mail), "", false},
		{fmt.Sprintf(`{type: smtp, port: %d}`, mail), probe.ClassStatus, false},
		{fmt.Sprintf(`{type: smtp, port: %d, hello: probe.example.net, mail_from: a@example.com}`, mail), probe.ClassStatus, false},
		{fmt.Sprintf(`{type: smtp, port: %d, hello: probe.example.net, mail_from: "<>", rcpt_to: b@example.com}`, mail), probe.ClassStatus, false},
		{fmt.Sprintf(`{type: smtp, port: %d, starttls: true}`, starttls), probe.ClassStatus, false},
		{fmt.Sprintf(`{type: smtp, port: %d, starttls: true}`, mail), probe.ClassStatus, false},
		{fmt.Sprintf(`{type: smtp, port: %d, tls: true}`, mail), probe.ClassTLS, false},
		{`{type: icmp, count: 2}`, "", false},
		{`{type: icmp, count: 2, degraded_rtt: 1ns}`, "", true},
		{`{type: icmp, count: 2, max_rtt: 1ns}`, probe.ClassValue, false},
	} {
		t.Run(c.check, func(t *testing.T) {
			s, err := spec.Parse("rhumb.yaml", []byte("checks:\n  c: "+c.check+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			check := s.Checks["c"]
			p, err := NewProber(Check{Check: check, Host: check.Host})
			if err != nil {
				t.Fatal(err)
			}
			r := p.Probe(context.Background(), probe.Target{Addr: netip.MustParseAddr("127.0.0.1"), Port: check.Port})
			if r.Class == probe.ClassLocal && check.Type == spec.CheckICMP {
				t.Skipf("SKIPPED: %s", r.Detail)
			}
			if r.Class != c.class || r.OK != (c.class == "") || r.Degraded != c.degraded {
				t.Errorf("%+v, want class %q", r, c.class)
			}
		})
	}
}

// Limits that the certificate of the test server does not keep.
func TestCertificateDaysFromConfiguration(t *testing.T) {
	secure := httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	port := secure.Listener.Addr().(*net.TCPAddr).Port
	left := int(time.Until(secure.Certificate().NotAfter) / (24 * time.Hour))
	for _, c := range []struct {
		ask      spec.TLSCheck
		class    probe.Class
		degraded bool
	}{
		{spec.TLSCheck{MinDays: left - 1, WarnDays: left}, "", false},
		{spec.TLSCheck{MinDays: left, WarnDays: left + 2}, "", true},
		{spec.TLSCheck{MinDays: left + 2, WarnDays: left + 3}, probe.ClassTLS, false},
	} {
		p, err := NewProber(Check{Check: &spec.Check{Type: spec.CheckTLS, TLS: &spec.Secure{}, Ask: &c.ask}})
		if err != nil {
			t.Fatal(err)
		}
		r := p.Probe(context.Background(), probe.Target{Addr: netip.MustParseAddr("127.0.0.1"), Port: uint16(port)})
		if r.Class != c.class || r.Degraded != c.degraded || !r.OK != (c.class != "") {
			t.Errorf("%+v: %+v", c.ask, r)
		}
		if r.Detail != "" && !regexp.MustCompile(`^certificate ends in \d+ days, on \d{4}-\d\d-\d\d$`).MatchString(r.Detail) {
			t.Errorf("%q", r.Detail)
		}
	}
}

// What a spec of ours does not hold, a program that uses this package may.
func TestNewProberRefusesMore(t *testing.T) {
	for _, c := range []struct {
		check spec.Check
		want  string
	}{
		{spec.Check{Type: spec.CheckTCP, Ask: &spec.Talk{Expect: "("}}, "expect: error parsing regexp"},
		{spec.Check{Type: spec.CheckTLS, TLS: &spec.Secure{}, Ask: &spec.TLSCheck{Talk: spec.Talk{Expect: "("}}}, "expect: error parsing regexp"},
		{spec.Check{Type: spec.CheckGRPC, TLS: &spec.Secure{CA: "/no/such.pem"}, Ask: &spec.GRPCCheck{}}, "ca: open /no/such.pem: "},
		{spec.Check{Type: spec.CheckSMTP, TLS: &spec.Secure{CA: "/no/such.pem"}, Ask: &spec.SMTPCheck{}}, "ca: open /no/such.pem: "},
		{spec.Check{Type: spec.CheckDNS, Ask: &spec.DNSCheck{Name: "a.", Expect: "("}}, "expect: error parsing regexp"},
		{spec.Check{Type: spec.CheckDNS, Ask: &spec.DNSCheck{}}, `name: "" is not a domain name`},
		{spec.Check{Type: spec.CheckICMP, Ask: &spec.ICMPCheck{Count: 99}}, "count: 99 is out of range"},
		{spec.Check{Type: spec.CheckSMTP, Ask: &spec.SMTPCheck{Hello: "a b"}}, "hello: "},
	} {
		if _, err := NewProber(Check{Check: &c.check}); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.check, err, c.want)
		}
	}
}
