package resolve_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/resolve"
)

// randomZone is a zone over few labels, so that names meet: cuts with and
// without DS, wildcards, empty non-terminals, aliases.
func randomZone(r *rand.Rand, zone string) (lines, names []string) {
	label := func() string { return []string{"a", "b", "c", "d", "e", "*"}[r.IntN(6)] }
	below := func(depth int) string {
		labels := make([]string, depth)
		for i := range labels {
			labels[i] = label()
		}
		return strings.Join(append(labels, zone), ".")
	}
	lines = []string{
		fmt.Sprintf("@ 600 SOA ns1 hostmaster %d 3600 600 604800 300", r.IntN(1000)),
		"@ NS ns1", "ns1 A 192.0.2.53", "@ MX 10 ns1",
	}
	const free, full, alias, cut = 0, 1, 2, 3
	state := map[string]int{zone: full, "ns1." + zone: full}
	renamed := map[string]bool{}
	for range 5 + r.IntN(30) {
		n := below(1 + r.IntN(4))
		if state[n] != free || slices.ContainsFunc(parents(n, zone), func(up string) bool { return renamed[up] || state[up] == cut }) {
			continue
		}
		wild := strings.HasPrefix(n, "*")
		occupied := false // by names below, which a cut would hide
		for o := range state {
			occupied = occupied || o != n && within(o, n)
		}
		target := below(r.IntN(4))
		if r.IntN(8) == 0 {
			target = below(1) + "example."
		}
		switch k := r.IntN(10); {
		case k < 2:
			lines, state[n] = append(lines, n+" CNAME "+target), alias
		case k == 2 && !wild && !occupied && !strings.Contains(n, "*"):
			lines, state[n], renamed[n] = append(lines, n+" DNAME "+target), full, true
			if r.IntN(2) == 0 {
				lines = append(lines, n+" A 192.0.2.4")
			}
		case k < 5 && !wild && !occupied:
			lines, state[n] = append(lines, n+" NS ns."+n, n+" NS ns1."+zone, "ns."+n+" A 192.0.2.5"), cut
			if r.IntN(2) == 0 {
				lines = append(lines, n+" DS 1 13 2 "+strings.Repeat("ab", 32))
			}
		default:
			state[n] = full
			before := len(lines)
			for _, data := range []string{"A 192.0.2.1", "A 192.0.2.2", "AAAA 2001:db8::1", "MX 10 " + target, "TXT t", "TLSA 3 1 1 " + strings.Repeat("cd", 32)} {
				if r.IntN(3) == 0 {
					lines = append(lines, n+" "+data)
				}
			}
			if len(lines) == before {
				lines = append(lines, n+[]string{" TXT here", " TLSA 3 1 1 " + strings.Repeat("ef", 32)}[r.IntN(2)])
			}
		}
	}
	return lines, slices.Collect(func(yield func(string) bool) {
		for n := range state {
			if !yield(n) {
				return
			}
		}
	})
}

// TestSigned asks thousands of random questions about random signed zones, and
// judges the answers as a validator does.
func TestSigned(t *testing.T) {
	paths := map[string]int{}
	for seed := range rounds(uint64(90)) {
		r := rand.New(rand.NewPCG(seed, 21))
		how := []denial{{}, {hashed: true}, {hashed: true, optOut: true}}[seed%3]
		if how.hashed {
			how.iterations, how.salt = uint16(r.IntN(4)), []string{"", "aabb"}[r.IntN(2)]
		}
		lines, names := randomZone(r, "s.test.")
		slices.Sort(names)
		z := sign(t, "s.test.", how, lines...)
		snap := serve(t, "", z)
		v := newValidator(z)
		v.paths = paths
		scratch := resolve.NewScratch(seed, 2)
		for range 200 {
			n := names[r.IntN(len(names))]
			for range r.IntN(3) {
				if r.IntN(2) == 0 && n != "s.test." {
					_, n, _ = strings.Cut(n, ".")
				} else {
					n = []string{"a", "b", "c", "ns", "zz", "*", "0"}[r.IntN(7)] + "." + n
				}
			}
			typ := []string{"A", "A", "A", "AAAA", "TXT", "MX", "NS", "DS", "CNAME", "DNAME", "TLSA", "SOA", "DNSKEY", "NSEC", "NSEC3", "NSEC3PARAM", "RRSIG", "ANY", "TYPE65280"}[r.IntN(19)]
			examineSigned(t, snap, scratch, v, fmt.Sprintf("seed %d", seed), n+" "+typ, strings.Join(lines, "\n"))
		}
	}
	if raced {
		return
	}
	for _, path := range []string{
		"expanded", "name error by NSEC", "name error by NSEC3", "no data by NSEC", "no data by NSEC3", "no data at a wildcard by NSEC", "no data at a wildcard by NSEC3",
		"empty non-terminal by NSEC", "empty wildcard by NSEC", "no data by opt-out", "signed delegation", "unsigned delegation by NSEC", "unsigned delegation by NSEC3", "unsigned delegation by opt-out",
		"chain that ends", "answer of type CNAME", "answer of type DNAME", "answer of type DS", "answer of type DNSKEY", "answer of type NSEC", "answer of type NSEC3PARAM",
	} {
		if paths[path] < 10 {
			t.Errorf("%s: only %d times", path, paths[path])
		}
	}
}

// examineSigned asks one question, with and without DO, over UDP and TCP.
func examineSigned(t *testing.T, snap *resolve.Snapshot, scratch *resolve.Scratch, v *validator, where, question, zone string) {
	t.Helper()
	ask := func(options string) *dns.Msg {
		q := asked(t, strings.Fields(question+" "+options))
		return sound(t, q, snap.Append(nil, q, scratch))
	}
	m := ask("do tcp")
	if err := v.judge(m); err != nil {
		t.Fatalf("%s: %s: %v\n%s\n%s", where, question, err, m, zone)
	}
	// Without DO the same answer comes without what proves it.
	plain := ask("edns tcp")
	if plain.Rcode != m.Rcode || plain.Authoritative != m.Authoritative {
		t.Fatalf("%s: %s: without DO\n%s\nand with it\n%s", where, question, plain, m)
	}
	qtype := m.Question[0].Qtype
	for i, sections := range [][2][]dns.RR{{m.Answer, plain.Answer}, {m.Ns, plain.Ns}, {m.Extra, plain.Extra}} {
		var with, without []string
		for _, rr := range sections[0] {
			switch typ := rr.Header().Rrtype; {
			case typ == dns.TypeOPT:
			case i == 0 && (qtype == typ || qtype == dns.TypeANY && typ != dns.TypeRRSIG):
				with = append(with, rr.String())
			case typ != dns.TypeRRSIG && typ != dns.TypeNSEC && typ != dns.TypeNSEC3 && typ != dns.TypeDS:
				with = append(with, rr.String())
			}
		}
		for _, rr := range sections[1] {
			if rr.Header().Rrtype != dns.TypeOPT {
				without = append(without, rr.String())
			}
		}
		if !slices.Equal(with, without) && (qtype != dns.TypeRRSIG || i > 0) {
			t.Fatalf("%s: %s: without DO\n%s\nand with it\n%s", where, question, plain, m)
		}
	}
	if short := ask("do edns=512"); !short.Truncated {
		if err := v.judge(short); err != nil {
			t.Fatalf("%s: %s in 512 octets: %v\n%s", where, question, err, short)
		}
	}
}

// TestSignedAny has the answer to ANY be a set of data that is signed, and not
// what proves others (RFC 8482 section 4.1).
func TestSignedAny(t *testing.T) {
	z := sign(t, "s.test.", denial{}, "@ SOA ns1 h 1 2 3 4 5", "@ NS ns1", "ns1 A 192.0.2.1", "_443._tcp TLSA 3 1 1 "+strings.Repeat("cd", 32), "*.w CAA 0 issue x")
	snap := serve(t, "", z)
	for question, want := range map[string]string{
		"_443._tcp.s.test ANY":        "TLSA",
		"_443._tcp.s.test ANY do":     "TLSA RRSIG",
		"any.w.s.test ANY do edns":    "CAA RRSIG",
		"s.test ANY tcp":              "NS",
		"_tcp.s.test ANY":             "",
		"_443._tcp.s.test RRSIG":      "RRSIG RRSIG",
		"_443._tcp.s.test RRSIG do":   "RRSIG RRSIG",
		"_443._tcp.s.test TYPE47 tcp": "NSEC",
	} {
		q := asked(t, strings.Fields(question))
		m := sound(t, q, snap.Append(nil, q, resolve.NewScratch(1, 2)))
		var got []string
		for _, rr := range m.Answer {
			got = append(got, dns.TypeToString[rr.Header().Rrtype])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %s, want %s", question, got, want)
		}
	}
}

// TestDNAMEToItself has a DNAME record that renames a name to its own owner: the
// record is in the answer once, and so is its signature.
func TestDNAMEToItself(t *testing.T) {
	z := sign(t, "s.test.", denial{}, "@ SOA ns1 h 1 2 3 4 5", "@ NS ns1", "ns1 A 192.0.2.1", "b DNAME @", "b A 192.0.2.2")
	snap := serve(t, "", z)
	for question, want := range map[string]string{
		"b.b.s.test DNAME":    "DNAME CNAME",
		"b.b.s.test DNAME do": "DNAME RRSIG CNAME",
		"b.b.s.test A do":     "DNAME RRSIG CNAME A RRSIG",
		"b.b.s.test RRSIG":    "DNAME CNAME RRSIG RRSIG RRSIG",
		"b.b.s.test RRSIG do": "DNAME RRSIG CNAME RRSIG RRSIG",
		"b.s.test DNAME do":   "DNAME RRSIG",
		"b.s.test RRSIG do":   "RRSIG RRSIG RRSIG",
	} {
		q := asked(t, strings.Fields(question))
		m := sound(t, q, snap.Append(nil, q, resolve.NewScratch(1, 2)))
		var got []string
		for _, rr := range m.Answer {
			got = append(got, dns.TypeToString[rr.Header().Rrtype])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %s, want %s", question, got, want)
		}
	}
}

// TestSignedZones has two signed zones of ours, one below the other: what is
// said of the child's name is said by the right one of them.
func TestSignedZones(t *testing.T) {
	for i, how := range []denial{{}, {hashed: true, salt: "ab"}, {hashed: true, optOut: true}} {
		child, _ := zoneKey("c.s.test.")
		common := []string{"@ 600 SOA ns1 h 1 2 3 4 300", "@ NS ns1", "ns1 A 192.0.2.1", "*.w A 192.0.2.2"}
		up := sign(t, "s.test.", how, append(common, "c NS ns1.c", "ns1.c A 192.0.2.1", child.ToDS(dns.SHA256).String(), "l CNAME a.w.c", "n CNAME nope.c", "d DNAME c", "u NS ns1")...)
		down := sign(t, "c.s.test.", []denial{{hashed: true}, {}, {}}[i], append(common, "back CNAME any.w.s.test.", "b DNAME d.s.test.")...)
		snap := serve(t, "", up, down)
		v := newValidator(up, down)
		scratch := resolve.NewScratch(1, 2)
		for _, name := range []string{"s.test", "c.s.test", "x.c.s.test", "a.w.c.s.test", "b.a.w.s.test", "l.s.test", "n.s.test", "back.c.s.test", "ns1.d.s.test", "a.w.d.s.test", "a.w.b.c.s.test", "nope.s.test", "nope.c.s.test", "w.c.s.test", "a.u.s.test", "u.s.test"} {
			for _, typ := range []string{"A", "DS", "NS", "SOA", "DNSKEY", "TXT", "ANY", "CNAME"} {
				examineSigned(t, snap, scratch, v, fmt.Sprint(how), name+" "+typ, "")
			}
		}
		q := asked(t, []string{"c.s.test", "DS", "do"})
		if m := sound(t, q, snap.Append(nil, q, scratch)); len(m.Answer) != 2 {
			t.Errorf("DS of the zone below:\n%s", m)
		}
	}
}

// TestFarProof has an answer so large that no pointer reaches what proves it.
func TestFarProof(t *testing.T) {
	for _, how := range []denial{{}, {hashed: true}} {
		lines := []string{"@ SOA ns1 h 1 2 3 4 5", "@ NS ns1", "ns1 A 192.0.2.1"}
		for i := range 200 {
			lines = append(lines, fmt.Sprintf("*.w TXT %03d%s", i, strings.Repeat("x", 200)))
		}
		z := sign(t, "s.test.", how, lines...)
		snap := serve(t, "", z)
		q := asked(t, []string{"any.w.s.test", "TXT", "do", "tcp"})
		m := sound(t, q, snap.Append(nil, q, resolve.NewScratch(1, 2)))
		if len(m.Answer) != 201 {
			t.Fatalf("%d records", len(m.Answer))
		}
		if err := newValidator(z).judge(m); err != nil {
			t.Errorf("%v\n%s", err, m.Ns)
		}
	}
}
