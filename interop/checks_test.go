//go:build linux

package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/rhumb-dns/rhumb/api"
)

// credential is a certificate of its own authority, and where both are on disk.
type credential struct {
	cert    tls.Certificate
	crt, ky string
}

func newCredential(t testing.TB, dir string, names ...string) credential {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10*24*time.Hour + time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	out := credential{cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}
	out.crt = write(t, filepath.Join(dir, "crt.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	out.ky = write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
	return out
}

// service is a check of one endpoint, 127.0.0.1, whose name in the zone is that of
// the check: its answer says whether the check passes.
type service struct{ name, check string }

// judges serves each service as long as its check passes.
func judges(t testing.TB, services ...service) *node {
	t.Helper()
	var checks, pools, zone strings.Builder
	for _, s := range services {
		fmt.Fprintf(&checks, "  %s: {%s, interval: 500ms, timeout: 500ms, rise: 1, fall: 2}\n", s.name, s.check)
		fmt.Fprintf(&pools, "  %s: {checks: [%[1]s], endpoints: [127.0.0.1]}\n", s.name)
		fmt.Fprintf(&zone, "      %s: {pools: [%[1]s], all_down: nodata, ttl: 0}\n", s.name)
	}
	return serve(t, config(t, "checks:\n"+checks.String()+"pools:\n"+pools.String()+
		"zones:\n  gslb.test:\n    nameservers: {ns1: 127.0.0.1}\n    services:\n"+zone.String()))
}

// says waits until a service is answered, or is not.
func (n *node) says(service string, up bool) {
	n.t.Helper()
	want := ""
	if up {
		want = "127.0.0.1"
	}
	n.until(want, service+".gslb.test", "A")
}

// fails waits until the last probe of a service's check failed so.
func (n *node) fails(service, detail string) {
	n.t.Helper()
	var got string
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		res, err := http.Get(n.api + "/api/v1/health/servers")
		if err != nil {
			n.t.Fatal(err)
		}
		var all api.Servers
		err = json.NewDecoder(res.Body).Decode(&all)
		_ = res.Body.Close()
		if err != nil {
			n.t.Fatal(err)
		}
		for _, s := range all.Servers {
			if s.Pool == service {
				got = s.Checks[0].Detail
			}
		}
		if strings.Contains(got, detail) {
			n.says(service, false)
			return
		}
	}
	n.t.Fatalf("%s: still %q, want %q\n%s", service, got, detail, n.logs())
}

// TestCheckDNS judges NSD.
func TestCheckDNS(t *testing.T) {
	conversation(t)
	b := &batch{dir: t.TempDir()}
	b.add(t, "example.test.", "$ORIGIN example.test.\n$TTL 300\n@ SOA ns hostmaster 7 3600 600 604800 60\n@ NS ns\nns A 127.0.0.1\n"+
		"www A 192.0.2.7\nwww A 192.0.2.8\n@ MX 10 mail\nbig TXT "+strings.Repeat(`"`+strings.Repeat("x", 200)+`" `, 20)+"\n")
	nsd := b.nsd(t)
	check := func(keys string) string { return "type: dns, port: " + nsd.port + ", " + keys }
	n := judges(
		t,
		service{"any", check("name: www.example.test")},
		service{"data", check(`name: WWW.example.test., expect: '^192\.0\.2\.8$'`)},
		service{"tcp", check(`name: example.test, record: SOA, proto: tcp, expect: ' 7 3600 '`)},
		service{"mx", check(`name: example.test, record: mx, expect: '^10 mail\.example\.test\.$'`)},
		service{"big", check(`name: big.example.test, record: TXT, expect: 'x{200}'`)}, // truncated, so over TCP
		service{"nx", check("name: nx.example.test, rcode: NXDOMAIN")},
		service{"foreign", check("name: example.org, rcode: REFUSED")},
		service{"wrong", check(`name: www.example.test, expect: '^192\.0\.2\.9$'`)},
		service{"code", check("name: nx.example.test")},
	)
	for _, s := range []string{"any", "data", "tcp", "mx", "big", "nx", "foreign"} {
		n.says(s, true)
	}
	n.fails("wrong", "none of 2 A records matches")
	n.fails("code", "the answer is NXDOMAIN, expected NOERROR")
	nsd.stop()
	n.fails("any", "connection refused")
	n.fails("tcp", "connection refused")
}

// TestCheckGRPC judges servers of grpc-go.
func TestCheckGRPC(t *testing.T) {
	conversation(t)
	cred := newCredential(t, t.TempDir(), "orders.test")
	hs := health.NewServer()
	hs.SetServingStatus("shop.Orders", healthpb.HealthCheckResponse_SERVING)
	start := func(healthy bool, opts ...grpc.ServerOption) int {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := grpc.NewServer(opts...)
		if healthy {
			healthpb.RegisterHealthServer(s, hs)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = s.Serve(ln)
		}()
		t.Cleanup(func() {
			s.Stop()
			<-ended
		})
		return ln.Addr().(*net.TCPAddr).Port
	}
	plain, secure, none := start(true), start(true, grpc.Creds(credentials.NewServerTLSFromCert(&cred.cert))), start(false)
	n := judges(
		t,
		service{"plain", fmt.Sprintf("type: grpc, port: %d, service: shop.Orders", plain)},
		service{"server", fmt.Sprintf("type: grpc, port: %d", plain)},
		service{"secure", fmt.Sprintf("type: grpc, port: %d, tls: true, host: orders.test, ca: %q, service: shop.Orders", secure, cred.crt)},
		service{"verified", fmt.Sprintf("type: grpc, port: %d, tls: true, host: orders.test", secure)},
		service{"nobody", fmt.Sprintf("type: grpc, port: %d, service: shop.Nobody", plain)},
		service{"none", fmt.Sprintf("type: grpc, port: %d", none)},
		service{"days", fmt.Sprintf("type: tls, port: %d, host: orders.test, ca: %q, min_days: 9", secure, cred.crt)},
		service{"fewdays", fmt.Sprintf("type: tls, port: %d, host: orders.test, ca: %q, min_days: 11", secure, cred.crt)},
	)
	for _, s := range []string{"plain", "server", "secure", "days"} {
		n.says(s, true)
	}
	n.fails("verified", "certificate signed by unknown authority")
	n.fails("nobody", "service shop.Nobody is not known")
	n.fails("none", "the server has no health service")
	n.fails("fewdays", "certificate ends in 10 days")
	hs.SetServingStatus("shop.Orders", healthpb.HealthCheckResponse_NOT_SERVING)
	n.fails("plain", "service shop.Orders is NOT_SERVING")
	n.fails("secure", "service shop.Orders is NOT_SERVING")
	n.says("server", true)
	hs.SetServingStatus("shop.Orders", healthpb.HealthCheckResponse_SERVING)
	n.says("plain", true)
}

// TestCheckSMTP judges Postfix.
func TestCheckSMTP(t *testing.T) {
	program(t, "postfix")
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: Postfix wants root")
	}
	p := newPostfix(t)
	check := func(port, keys string) string { return "type: smtp, port: " + port + keys }
	tls := fmt.Sprintf(", host: mx.test, ca: %q", p.cred.crt)
	n := judges(
		t,
		service{"plain", check(p.port, "")},
		service{"start", check(p.port, ", starttls: true"+tls)},
		service{"whole", check(p.secure, ", tls: true"+tls)},
		service{"mailbox", check(p.port, `, hello: ns1.example.net, mail_from: "<>", rcpt_to: postmaster@mx.test`)},
		service{"relay", check(p.port, `, mail_from: a@example.net, rcpt_to: b@example.org`)},
		service{"nobody", check(p.port, `, mail_from: "<>", rcpt_to: nobody-here@mx.test`)},
		service{"verified", check(p.port, ", starttls: true, host: mx.test")},
		service{"greeting", "type: tcp, port: " + p.port + `, send: 'QUIT\r\n', expect: '^220 mx\.test ESMTP(?s:.*)221 '`},
	)
	for _, s := range []string{"plain", "start", "whole", "mailbox", "greeting"} {
		n.says(s, true)
	}
	n.fails("relay", "the reply to RCPT is 554, expected 250")
	n.fails("nobody", "the reply to RCPT is 550, expected 250")
	n.fails("verified", "certificate signed by unknown authority")
	p.stop()
	n.fails("plain", "connection refused")
	n.fails("whole", "connection refused")
}

// postfix is a Postfix with a directory and ports of its own.
type postfix struct {
	port, secure string
	cred         credential
	stop         func()
}

func newPostfix(t *testing.T) *postfix {
	t.Helper()
	// Its processes run as another user, who cannot look into t.TempDir.
	dir, err := os.MkdirTemp("", "rhumb-postfix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"conf", "queue", "data"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := &postfix{port: freeTCPPort(t), secure: freeTCPPort(t), cred: newCredential(t, dir, "mx.test")}
	conf := filepath.Join(dir, "conf")
	write(t, filepath.Join(conf, "main.cf"), fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
myhostname = mx.test
mydestination = mx.test
mynetworks =
mynetworks_style = host
smtpd_relay_restrictions = reject_unauth_destination
local_recipient_maps = inline:{postmaster=ok}
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_tls_cert_file = %[2]s
smtpd_tls_key_file = %[3]s
smtpd_client_connection_rate_limit = 0
`, dir, p.cred.crt, p.cred.ky))
	write(t, filepath.Join(conf, "master.cf"), fmt.Sprintf(`127.0.0.1:%s inet n - n - - smtpd
127.0.0.1:%s inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
error unix - - n - - error
retry unix - - n - - error
local unix - n n - - local
smtp unix - - n - - smtp
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
`, p.port, p.secure))
	for _, name := range []string{"main.cf", "master.cf"} {
		if err := os.Chmod(filepath.Join(conf, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	output(t, "chown", "postfix", filepath.Join(dir, "data"))
	run := func(verb string) ([]byte, error) {
		return exec.Command(program(t, "postfix"), "-c", conf, verb).CombinedOutput()
	}
	logs := func() string {
		b, _ := os.ReadFile(filepath.Join(dir, "log"))
		return string(b)
	}
	if out, err := run("start"); err != nil {
		t.Fatalf("postfix start: %v\n%s\n%s", err, out, logs())
	}
	stopped := false
	p.stop = func() {
		if stopped {
			return
		}
		stopped = true
		if out, err := run("stop"); err != nil {
			t.Errorf("postfix stop: %v\n%s\n%s", err, out, logs())
		}
	}
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("Postfix says:\n%s", logs())
		}
	})
	return p
}

// TestCheckICMP pings this machine, where it may.
func TestCheckICMP(t *testing.T) {
	conversation(t)
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: echo requests may want root")
	}
	n := judges(
		t,
		service{"ping", "type: icmp, count: 2, max_rtt: 150ms"},
		service{"quick", "type: icmp, count: 2, max_rtt: 1ns"},
	)
	n.says("ping", true)
	n.fails("quick", "echo replies took")
}
