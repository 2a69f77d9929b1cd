//go:build linux

package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestUnboundInternet has unbound resolve from the root down: from one node of
// ours to the next, by referrals and glue, and with a chain of trust where zones
// are signed. Glue has no ports, so all nodes listen on port 53, each on a
// loopback address of a host of their own.
//
//	.  at 127.0.0.11        NSEC
//	test  at 127.0.0.12     NSEC3, opt-out
//	gslb, near  at .13      not signed; child.gslb, far at .14
//	bind-nsec, ...  at .13  signed in every way, see signedZone
func TestUnboundInternet(t *testing.T) {
	if namespace(t, "unbound") {
		internet(t)
	}
}

// namespace runs a test of programs in a process that has a network of its own,
// where any port is free and nothing is beyond loopback. It returns true there.
func namespace(t *testing.T, programs ...string) bool {
	t.Helper()
	if os.Getenv(inNamespace) != "" {
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: the interface lo cannot be brought up: %v: %s", err, out)
		}
		return true
	}
	for _, p := range programs {
		program(t, p)
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("SKIPPED: the program ip is not installed (iproute2)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), inNamespace+"="+rhumb)
	// With it, all that it has started ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("SKIPPED: no network namespace can be had: %v", err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	}
	t.Logf("%s", out)
	return false
}

const apex = `$ORIGIN %s
$TTL 300
@ SOA ns hostmaster 1 3600 600 604800 60
@ NS ns
`

// signedZone is what every signed zone holds: answers of each kind, what is not
// there in each way, and delegations of each: to another node and to the same,
// signed and not.
const signedZone = apex + `
ns A 127.0.0.13
@ MX 10 www
@ CAA 0 issue "ca.example"
@ HTTPS 1 . alpn=h2
@ TYPE65280 \# 2 0001
www A 192.0.2.1
www AAAA 2001:db8::1
a.b.c.deep TXT "deep"
one CNAME two
two CNAME www
over CNAME www.gslb.test.
into CNAME www.far
between CNAME www.dark
gone CNAME none
wild-gone CNAME none.some.wild
*.wild A 192.0.2.7
fixed.wild A 192.0.2.8
*.alias CNAME www
*.gone CNAME none
*.x.star A 192.0.2.6
d DNAME target
www.target A 192.0.2.9
*.w.target TXT "wild"
e DNAME gslb.test.
long DNAME %s
_sip._udp SRV 1 1 5060 www
big TXT %s
far NS ns.far
ns.far A 127.0.0.14
same NS ns
dark NS ns.dark
ns.dark A 127.0.0.14
same-dark NS ns
hidden.ent NS ns.far
`

const childZone = apex + `
ns A %s
www A 192.0.2.5
*.w TXT "wild"
one CNAME www
up CNAME www.%s
`

// internetCases are questions to each signed zone, by names relative to it, and
// what a resolver must say; % is the zone. "ad" is AD unless the proof needs an
// NSEC3 record that covers a name, in a zone with opt-out: that proves no more
// than that there is nothing signed (RFC 5155 section 9.2). "ds" is AD unless
// opt-out has left out the record of the name itself; ldns-signzone leaves out
// none.
var internetCases = []asked{
	{"@", "SOA", "NOERROR | AD | SOA ns.% hostmaster.% 1 3600 600 604800 60"},
	{"@", "NS", "NOERROR | AD | NS ns.%"},
	{"@", "MX", "NOERROR | AD | MX 10 www.%"},
	{"@", "CAA", `NOERROR | AD | CAA 0 issue "ca.example"`},
	{"@", "HTTPS", `NOERROR | AD | HTTPS 1 . alpn="h2"`},
	{"@", "TYPE65280", `NOERROR | AD | TYPE65280 \# 2 0001`},
	{"@", "TXT", "NOERROR | AD"},
	{"www", "A", "NOERROR | AD | A 192.0.2.1"},
	{"www", "AAAA", "NOERROR | AD | AAAA 2001:db8::1"},
	{"www", "MX", "NOERROR | AD"},
	{"www", "DS", "NOERROR | AD"},
	{"none", "A", "NXDOMAIN | ad"},
	{"a.b.none", "A", "NXDOMAIN | ad"},
	{"none.www", "A", "NXDOMAIN | ad"},
	{"deep", "A", "NOERROR | AD"},
	{"b.c.deep", "A", "NOERROR | AD"},
	{"a.b.c.deep", "TXT", `NOERROR | AD | TXT "deep"`},
	{"a.b.c.deep", "A", "NOERROR | AD"},
	{"x.c.deep", "A", "NXDOMAIN | ad"},
	{"x.y.a.b.c.deep", "TXT", "NXDOMAIN | ad"},
	{"one", "A", "NOERROR | AD | CNAME two.% | CNAME www.% | A 192.0.2.1"},
	{"one", "MX", "NOERROR | AD | CNAME two.% | CNAME www.%"},
	{"two", "CNAME", "NOERROR | AD | CNAME www.%"},
	{"over", "A", "NOERROR | CNAME www.gslb.test. | A 192.0.2.1"},
	{"into", "A", "NOERROR | AD | CNAME www.far.% | A 192.0.2.5"},
	{"between", "A", "NOERROR | CNAME www.dark.% | A 192.0.2.5"},
	{"gone", "A", "NXDOMAIN | ad | CNAME none.%"},
	{"a.wild", "A", "NOERROR | ad | A 192.0.2.7"},
	{"a.b.wild", "A", "NOERROR | ad | A 192.0.2.7"},
	{"a.wild", "MX", "NOERROR | ad"},
	{"a.b.c.wild", "TXT", "NOERROR | ad"},
	{"wild", "A", "NOERROR | AD"},
	{"*.wild", "A", "NOERROR | AD | A 192.0.2.7"},
	{"*.wild", "TXT", "NOERROR | AD"},
	{"*.*.wild", "A", "NXDOMAIN | ad"}, // the encloser is *.wild, which is there
	{"fixed.wild", "A", "NOERROR | AD | A 192.0.2.8"},
	{"fixed.wild", "TXT", "NOERROR | AD"},
	{"a.fixed.wild", "A", "NXDOMAIN | ad"},
	{"a.alias", "A", "NOERROR | ad | CNAME www.% | A 192.0.2.1"},
	{"b.alias", "MX", "NOERROR | ad | CNAME www.%"},
	{"c.alias", "CNAME", "NOERROR | ad | CNAME www.%"},
	{"a.gone", "A", "NXDOMAIN | ad | CNAME none.%"},
	{"a.x.star", "A", "NOERROR | ad | A 192.0.2.6"},
	{"x.star", "A", "NOERROR | AD"},
	{"star", "A", "NOERROR | AD"},
	{"y.star", "A", "NXDOMAIN | ad"},
	{"wild-gone", "A", "NOERROR | ad | CNAME none.some.wild.% | A 192.0.2.7"},
	{"d", "DNAME", "NOERROR | AD | DNAME target.%"},
	{"d", "A", "NOERROR | AD"},
	{"www.d", "A", "NOERROR | AD | DNAME target.% | CNAME www.target.% | A 192.0.2.9"},
	{"www.d", "MX", "NOERROR | AD | DNAME target.% | CNAME www.target.%"},
	{"none.d", "A", "NXDOMAIN | ad | DNAME target.% | CNAME none.target.%"},
	{"a.b.w.d", "TXT", `NOERROR | ad | DNAME target.% | CNAME a.b.w.target.% | TXT "wild"`},
	{strings.Repeat("q", 63) + ".long", "A", "YXDOMAIN | DNAME " + longName("%")},
	{"www.e", "A", "NOERROR | DNAME gslb.test. | CNAME www.gslb.test. | A 192.0.2.1"},
	{"a.apps.e", "AAAA", "NOERROR | DNAME gslb.test. | CNAME a.apps.gslb.test. | AAAA 2001:db8::1"},
	{"_sip._udp", "SRV", "NOERROR | AD | SRV 1 1 5060 www.%"},
	{"_udp", "SRV", "NOERROR | AD"},
	{"big", "TXT", "NOERROR | AD | TXT " + bigText()},
	{"far", "NS", "NOERROR | AD | NS ns.far.%"},
	{"far", "TXT", "NOERROR | AD"},
	{"www.far", "A", "NOERROR | AD | A 192.0.2.5"},
	{"one.far", "A", "NOERROR | AD | CNAME www.far.% | A 192.0.2.5"},
	{"up.far", "AAAA", "NOERROR | AD | CNAME www.% | AAAA 2001:db8::1"},
	{"a.b.w.far", "TXT", `NOERROR | ad | TXT "wild"`},
	{"none.far", "A", "NXDOMAIN | ad"},
	{"www.same", "A", "NOERROR | AD | A 192.0.2.5"},
	{"none.same", "A", "NXDOMAIN | ad"},
	{"same", "SOA", "NOERROR | AD | SOA ns.same.% hostmaster.same.% 1 3600 600 604800 60"},
	{"dark", "DS", "NOERROR | ds"},
	{"www.dark", "A", "NOERROR | A 192.0.2.5"},
	{"none.dark", "A", "NXDOMAIN"},
	{"dark", "NS", "NOERROR | NS ns.dark.%"},
	{"a.w.dark", "TXT", `NOERROR | TXT "wild"`},
	{"up.dark", "A", "NOERROR | CNAME www.% | A 192.0.2.1"},
	{"same-dark", "DS", "NOERROR | ds"},
	{"www.same-dark", "A", "NOERROR | A 192.0.2.5"},
	{"none.same-dark", "MX", "NXDOMAIN"},
	{"www.hidden.ent", "A", "NOERROR | A 192.0.2.5"},
	{"hidden.ent", "DS", "NOERROR | ds"},
	{"ent", "A", "NOERROR | ds"},
	{"x.ent", "A", "NXDOMAIN | ad"},
}

// unsignedBelow is no fault: unbound asks the servers of a signed zone for a name
// in an unsigned one below that is theirs too, and they answer from that one, the
// nearest (RFC 1034 section 4.3.2 step 2). The proof that it is unsigned it asks for
// afterwards.
var unsignedBelow = regexp.MustCompile(`.* response for \S*\bsame-dark\..*\n.* reply from .*\n.* query response was DNSSEC LAME\n`)

// originOf is the zone that is signed in a way.
func originOf(way string) string { return strings.ReplaceAll(way, " ", "-") + ".test." }

// of is a case in the zone that is signed in a way.
func (q asked) of(way string) asked {
	origin := originOf(way)
	if q.name += "."; q.name == "@." {
		q.name = ""
	}
	ad, ds := " | AD", " | AD"
	if strings.HasSuffix(way, "opt-out") {
		ad = ""
	}
	if way == "bind opt-out" {
		ds = ""
	}
	return asked{q.name + origin, q.qtype, strings.NewReplacer("%", origin, " | ad", ad, " | ds", ds).Replace(q.want)}
}

// longName is a name that leaves no room for a label of 63 octets in front of it.
func longName(origin string) string {
	return strings.Repeat(strings.Repeat("l", 63)+".", 3) + origin
}

// zoneOf reads a zone.
func zoneOf(t testing.TB, origin, text string) *authority {
	t.Helper()
	z := &authority{origin: origin}
	p := dns.NewZoneParser(strings.NewReader(text), origin, origin)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		z.records = append(z.records, rr)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return z
}

// ds is the DS record of a zone that the signer signs.
func (s *signer) ds(origin string) dns.RR {
	s.key.Hdr.Name = origin
	return s.key.ToDS(dns.SHA256)
}

// internet is the test, in a network namespace.
func internet(t *testing.T) {
	s := newSigner(t)
	at := map[string]*batch{}
	for _, address := range []string{"127.0.0.11", "127.0.0.12", "127.0.0.13", "127.0.0.14"} {
		at[address] = &batch{dir: t.TempDir()}
	}
	add := func(address string, z *authority, way string) {
		s.sign(z, way)
		at[address].add(t, z.origin, z.text())
	}

	test := zoneOf(t, "test.", fmt.Sprintf(apex, "test.")+`
ns A 127.0.0.12
gslb NS ns.gslb
ns.gslb A 127.0.0.13
near NS ns.gslb
far NS ns.far
ns.far A 127.0.0.14
`)
	signed := ways[len(seals)+1:]
	for _, way := range signed {
		origin := originOf(way)
		z := zoneOf(t, origin, fmt.Sprintf(signedZone, origin, longName(origin), bigText()))
		for _, child := range []struct{ label, address, way string }{
			{"far", "127.0.0.14", way},
			{"same", "127.0.0.13", way},
			{"dark", "127.0.0.14", ""},
			{"same-dark", "127.0.0.13", ""},
			{"hidden.ent", "127.0.0.14", ""},
		} {
			name := child.label + "." + origin
			if child.way != "" {
				z.records = append(z.records, s.ds(name))
			}
			add(child.address, zoneOf(t, name, fmt.Sprintf(childZone, name, child.address, origin)), child.way)
		}
		add("127.0.0.13", z, way)
		test.records = append(test.records, s.ds(origin))
		test.records = append(test.records, zoneOf(t, "test.", fmt.Sprintf("%[1]s 300 NS ns.%[1]s\nns.%[1]s 300 A 127.0.0.13\n", origin)).records...)
	}
	add("127.0.0.12", test, "bind opt-out")
	root := zoneOf(t, ".", `$TTL 300
. SOA a.nic. hostmaster.nic. 1 3600 600 604800 60
. NS a.nic.
a.nic. A 127.0.0.11
test. NS ns.test.
ns.test. A 127.0.0.12
`)
	root.records = append(root.records, s.ds("test."))
	add("127.0.0.11", root, "bind nsec")

	for _, address := range []string{"127.0.0.11", "127.0.0.12"} {
		serve(t, config(t, "dns: {listen: [127.0.0.1:0, "+address+":53]}\nzones:\n"+at[address].each(zoneKeys)))
	}
	nodes(t, place{listen: ", 127.0.0.13:53", zones: at["127.0.0.13"].each(zoneKeys)},
		place{listen: ", 127.0.0.14:53", zones: at["127.0.0.14"].each(zoneKeys)})

	more := fmt.Sprintf("server:\n  root-hints: %q\n  trust-anchor: %q\n",
		write(t, filepath.Join(t.TempDir(), "hints"), ". 300 NS a.nic.\na.nic. 300 A 127.0.0.11\n"), strings.ReplaceAll(s.ds(".").String(), "\t", " "))
	// What unbound has in its cache changes what it asks, and what it need not ask:
	// the one resolver is asked in this order and the other in the opposite one.
	for _, backwards := range []bool{false, true} {
		qs := slices.Clone(resolved)
		for _, way := range signed {
			for _, q := range internetCases {
				qs = append(qs, q.of(way))
			}
		}
		if backwards {
			slices.Reverse(qs)
		}
		r := inFront(t, "53", more)
		for _, q := range qs {
			r.wants(q)
		}
		r.content(unsignedBelow)
		r.stop()
	}
}
