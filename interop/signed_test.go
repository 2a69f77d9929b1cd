//go:build unix

package interop

import (
	"crypto"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

var (
	signedSeed   = flag.Uint64("signed.seed", 1, "the first world of the differential run over signed zones")
	signedWorlds = flag.Int("signed.worlds", 60, "how many worlds the differential run over signed zones has")
)

// signer signs zone files with programs that are trusted to.
type signer struct {
	t      *testing.T
	dir    string
	key    *dns.DNSKEY
	secret crypto.PrivateKey
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	s := &signer{t: t, dir: t.TempDir(), key: &dns.DNSKEY{
		Hdr:   dns.RR_Header{Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 300},
		Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}}
	var err error
	if s.secret, err = s.key.Generate(256); err != nil {
		t.Fatal(err)
	}
	return s
}

// ways are the kinds of signed zones. Those of the two programs differ in details:
// NSEC TTLs, which sets of an opt-out zone have a record.
var ways = []string{"", "nsec", "nsec3", "opt-out", "bind nsec", "bind nsec3", "bind opt-out", "ldns nsec", "ldns nsec3", "ldns opt-out"}

// sign replaces a zone's records by those that it has signed.
func (s *signer) sign(z *authority, way string) {
	s.t.Helper()
	if way == "" {
		return
	}
	if slices.Contains(seals, way) {
		z.seal(way)
		return
	}
	// DS where nothing is delegated is data that dnssec-signzone refuses.
	z.records = slices.DeleteFunc(z.records, func(rr dns.RR) bool {
		return rr.Header().Rrtype == dns.TypeDS && len(z.at(rr.Header().Name, dns.TypeNS)) == 0
	})
	s.key.Hdr.Name = z.origin
	base := filepath.Join(s.dir, fmt.Sprintf("K%s+%03d+%05d", z.origin, s.key.Algorithm, s.key.KeyTag()))
	write(s.t, base+".key", s.key.String()+"\n")
	write(s.t, base+".private", s.key.PrivateKeyString(s.secret))
	in := write(s.t, filepath.Join(s.dir, z.origin+"unsigned"), z.text()+s.key.String()+"\n")
	out := filepath.Join(s.dir, z.origin+"signed")

	var cmd *exec.Cmd
	by, what, _ := strings.Cut(way, " ")
	if by == "bind" {
		args := map[string][]string{"nsec": nil, "nsec3": {"-3", "-", "-H", "0"}, "opt-out": {"-3", "aabb", "-H", "1", "-A"}}[what]
		cmd = exec.Command(program(s.t, "dnssec-signzone"),
			append(args, "-q", "-P", "-z", "-O", "full", "-e", "20370101000000", "-o", z.origin, "-f", out, in, base+".key")...)
	} else {
		args := map[string][]string{"nsec": nil, "nsec3": {"-n", "-t", "0"}, "opt-out": {"-n", "-t", "1", "-s", "aabb", "-p"}}[what]
		cmd = exec.Command(program(s.t, "ldns-signzone"),
			append(args, "-e", "20370101", "-o", z.origin, "-f", out, in, base)...)
	}
	cmd.Dir = s.dir
	if text, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", cmd, err, text)
	}
	z.records = readZone(s.t, out, z.origin)
}

// readZone reads what a signer wrote; owners are in lower case, as everywhere here.
func readZone(t testing.TB, file, origin string) []dns.RR {
	t.Helper()
	text := read(t, file)
	var all []dns.RR
	p := dns.NewZoneParser(strings.NewReader(text), origin, file)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		rr.Header().Name = dns.CanonicalName(rr.Header().Name)
		all = append(all, rr)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSigned is the differential run over zones that were signed elsewhere, by
// clients that want to see the signatures and by such that do not.
func TestSigned(t *testing.T) {
	conversation(t)
	s := newSigner(t)
	worlds := choose(*signedSeed, *signedWorlds, signedDifferences)
	questions := map[*world][]question{}
	for _, w := range worlds {
		// They are made before the signing, because the owners of NSEC3 records are
		// names for NSD only (RFC 5155 section 7.2.8).
		qs := w.questions(200)
		for i := range qs {
			qs[i].do = i%4 > 0
			if i%20 == 0 {
				qs[i].qtype = signedTypes[i/20%3]
			}
		}
		questions[w] = qs
		for j, z := range w.zones {
			s.sign(z, ways[(int(w.seed)+3*j)%len(ways)])
		}
	}
	seen := differ(t, worlds, func(w *world) []question { return questions[w] })
	check(t, signedDifferences, seen[len(differences):])
}
