//go:build unix

package interop

import (
	"fmt"
	"strings"
	"testing"
)

const zone = `
pools:
  eu: {endpoints: [192.0.2.1, {address: "2001:db8::1"}]}
  v4: {endpoints: [192.0.2.4]}
  many: {endpoints: [%s]}
  cdn: {endpoints: [edge.example.net]}
zones:
  interop.test:
    nameservers: {ns1: 127.0.0.1}
    services:
      www: {pools: [eu], ttl: 20}
      v4: {pools: [v4]}
      many: {pools: [many], answers: 0}
      cdn: {pools: [cdn]}
`

func zoneText() string {
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("198.51.100.%d", i+1))
	}
	return fmt.Sprintf(zone, strings.Join(many, ", "))
}

// TestDig reads answers as dig prints them.
func TestDig(t *testing.T) {
	n := serve(t, config(t, zoneText()))
	for _, c := range []struct {
		args string
		want []string
	}{
		{"www.interop.test A", []string{"status: NOERROR", "flags: qr aa rd;", "ANSWER: 1,", "192.0.2.1", "udp: 1232"}},
		{"www.interop.test AAAA", []string{"2001:db8::1"}},
		{"wWw.iNtErOp.TeSt A", []string{";wWw.iNtErOp.TeSt.", "192.0.2.1"}},
		{"V4.interop.TEST AAAA", []string{"status: NOERROR", "ANSWER: 0, AUTHORITY: 1", "SOA"}},
		{"none.interop.test A", []string{"status: NXDOMAIN", "SOA"}},
		{"example.org A", []string{"status: REFUSED", "EDE: 20"}},
		{"interop.test NS", []string{"ns1.interop.test.", "127.0.0.1"}},
		{"interop.test SOA", []string{"flags: qr aa rd;", "hostmaster.interop.test."}},
		{"cdn.interop.test A", []string{"CNAME\tedge.example.net."}},
		{"www.interop.test A +nsid", []string{`NSID: 69 6e 74 65 72 6f 70 ("interop")`}},
		{"www.interop.test A +subnet=192.0.2.0/24", []string{"CLIENT-SUBNET: 192.0.2.0/24/0"}},
		{"www.interop.test A +edns=1 +noednsneg", []string{"status: BADVERS"}},
		{"www.interop.test A +opcode=status", []string{"status: NOTIMP"}},
		{"www.interop.test A +noedns", []string{"192.0.2.1", "ADDITIONAL: 0"}},
		{"www.interop.test A +tcp", []string{"192.0.2.1", "(TCP)"}},
		{"many.interop.test A +ignore", []string{"flags: qr aa tc rd;", "ANSWER: 0,"}},
		{"many.interop.test A", []string{"ANSWER: 100,", "(TCP)"}},
		{"www.interop.test ANY +notcp", []string{"RFC8482"}},
		{"interop.test AXFR", []string{"Transfer failed"}},
		{"version.bind CH TXT", []string{"status: REFUSED"}},
	} {
		t.Run(c.args, func(t *testing.T) {
			out := n.dig(strings.Fields(c.args)...)
			for _, w := range c.want {
				if !strings.Contains(out, w) {
					t.Errorf("no %q in\n%s", w, out)
				}
			}
		})
	}
}

func TestKdig(t *testing.T) {
	kdig := program(t, "kdig")
	n := serve(t, config(t, zoneText()))
	out := output(t, kdig, "@127.0.0.1", "-p", n.port, "+nsid", "+bufsize=4096", "www.interop.test", "A")
	for _, w := range []string{"status: NOERROR", "Flags: qr aa rd", "UDP size: 1232 B", `"interop"`, "192.0.2.1"} {
		if !strings.Contains(out, w) {
			t.Errorf("no %q in\n%s", w, out)
		}
	}
	out = output(t, kdig, "@127.0.0.1", "-p", n.port, "+tcp", "+keepopen", "www.interop.test", "A", "v4.interop.test", "A")
	for _, w := range []string{"192.0.2.1", "192.0.2.4"} {
		if !strings.Contains(out, w) {
			t.Errorf("no %q over one connection in\n%s", w, out)
		}
	}
}
