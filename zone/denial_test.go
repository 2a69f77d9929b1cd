package zone

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// slowly compares names by RFC 4034 section 6.1 as it is written: "treating
// individual labels as unsigned left-justified octet strings", from the right,
// "the absence of an octet sorts before a zero value octet".
func slowly(a, b []byte) int {
	split := func(n []byte) (labels []string) {
		for n[0] != 0 {
			labels = append([]string{string(n[1 : 1+n[0]])}, labels...)
			n = n[1+n[0]:]
		}
		return labels
	}
	return slices.Compare(split(a), split(b))
}

// sign is -1, 0 or 1.
func sign(n int) int { return min(max(n, -1), 1) }

func TestCanonical(t *testing.T) {
	// The example of RFC 4034 section 6.1, in order.
	example := []string{"example.", "a.example.", "yljkjljk.a.example.", "z.a.example.", "zabc.a.example.", "z.example.", `\001.z.example.`, "*.z.example.", `\200.z.example.`}
	for i, a := range example {
		for j, b := range example {
			if got := sign(Canonical([]byte(name(t, a)), []byte(name(t, b)))); got != sign(i-j) {
				t.Errorf("%s and %s: %d", a, b, got)
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 31))
	label := func() string {
		b := make([]byte, 1+r.IntN(3))
		for i := range b {
			b[i] = "\x00\x01*09a_\xff"[r.IntN(8)]
		}
		return string(append([]byte{byte(len(b))}, b...))
	}
	random := func() []byte {
		n := "\x00"
		for range r.IntN(5) {
			n = label() + n
		}
		if r.IntN(50) == 0 {
			n = strings.Repeat("\x01a", 127) + "\x00"
		}
		return []byte(n)
	}
	seen := map[int]int{}
	for range 50_000 {
		a, b := random(), random()
		want := sign(slowly(a, b))
		if got := sign(Canonical(a, b)); got != want {
			t.Fatalf("%q and %q: %d, want %d", a, b, got, want)
		}
		seen[want]++
	}
	if len(seen) != 3 || seen[0] < 100 {
		t.Error(seen)
	}
}

// chain is a signed zone of names with NSEC or NSEC3 records. Their bitmaps and
// signatures say nothing: nobody reads them here.
func chain(t *testing.T, names []dnswire.Name, hashed bool, iterations uint16, salt string) *Data {
	t.Helper()
	const sig = " 13 2 300 20300101000000 20200101000000 1 @ AAAA"
	lines := []string{"@ SOA ns1 hostmaster 1 2 3 4 5", "@ NS ns.elsewhere.example.", "@ RRSIG SOA" + sig}
	add := func(b *Builder, n dnswire.Name, typ string) {
		r := record(t, b.zone, n.String()+" "+typ)
		if err := b.Add(&r); err != nil {
			t.Fatal(err)
		}
	}
	if hashed {
		lines = append(lines, fmt.Sprintf("@ NSEC3PARAM 1 0 %d %s", iterations, cmpOr(salt, "-")))
	}
	b := builder(t, "x.test", lines...)
	for _, n := range names {
		if n != b.zone {
			add(b, n, "TXT t")
		}
		if hashed {
			owner := dnswire.Name("\x20" + strings.ToLower(dns.HashName(n.String(), dns.SHA1, iterations, salt)) + string(b.zone))
			add(b, owner, fmt.Sprintf("NSEC3 1 0 %d %s 00000000000000000000000000000000 TXT", iterations, cmpOr(salt, "-")))
			add(b, owner, "RRSIG NSEC3"+sig)
		} else {
			add(b, n, "NSEC @ TXT")
			add(b, n, "RRSIG NSEC"+sig)
		}
	}
	d, faults, doubts := b.Build()
	if len(faults)+len(doubts) > 0 {
		t.Fatal(faults, doubts)
	}
	if !d.Signed || d.Hashed() != hashed {
		t.Fatalf("signed %t, hashed %t", d.Signed, d.Hashed())
	}
	return d
}

func cmpOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// TestPredecessor finds what proves a name against a linear search.
func TestPredecessor(t *testing.T) {
	zone := name(t, "x.test")
	for seed := range rounds(uint64(60)) {
		p := pen{rand.New(rand.NewPCG(seed, 32))}
		hashed := seed%2 == 1
		iterations, salt := uint16(0), ""
		if hashed {
			iterations, salt = uint16(p.IntN(3)*p.IntN(76)), []string{"", "ab", hex.EncodeToString(make([]byte, 255))}[p.IntN(3)]
		}
		names := []dnswire.Name{zone}
		for range p.IntN(60) {
			if n := lower(p.below([]byte(zone), 1+p.IntN(3))); !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
		d := chain(t, names, hashed, iterations, salt)
		key := func(n dnswire.Name) string { return string(n) }
		compare := func(a, b dnswire.Name) int { return slowly([]byte(a), []byte(b)) }
		if hashed {
			keys := map[dnswire.Name]string{}
			key = func(n dnswire.Name) string {
				if keys[n] == "" {
					keys[n] = "\x20" + strings.ToLower(dns.HashName(n.String(), dns.SHA1, iterations, salt)) + string(zone)
				}
				return keys[n]
			}
			compare = func(a, b dnswire.Name) int { return strings.Compare(key(a), key(b)) }
		}
		for range 200 {
			asked := lower(p.below([]byte(zone), p.IntN(4)))
			if p.IntN(3) == 0 {
				asked = names[p.IntN(len(names))]
			}
			// The last of those not above the name, or the last of all.
			last := slices.MaxFunc(names, compare)
			best := last
			for _, n := range names {
				if compare(n, asked) <= 0 && (best == last && compare(last, asked) > 0 || compare(n, best) > 0) {
					best = n
				}
			}
			var proof Proof
			var ok, matches bool
			if hashed {
				proof, matches, ok = d.NSEC3([]byte(asked))
				if _, wrong := d.NSEC([]byte(asked)); wrong {
					t.Fatal("NSEC of a zone with NSEC3")
				}
			} else {
				proof, ok = d.NSEC([]byte(asked))
				if _, _, wrong := d.NSEC3([]byte(asked)); wrong {
					t.Fatal("NSEC3 of a zone with NSEC")
				}
			}
			owner, rec, sig := d.Proof(proof)
			if !ok || string(owner) != key(best) || rec.Count != 1 || sig.Count != 1 || sig.Covers() != rec.Type {
				t.Fatalf("seed %d: %s: %q, want %q", seed, asked, owner, key(best))
			}
			if hashed && matches != slices.Contains(names, asked) {
				t.Fatalf("seed %d: %s matches: %t", seed, asked, matches)
			}
		}
	}
}

// TestParams has zones with more than one NSEC3PARAM record, of which some are
// to be ignored, and zones that are signed in part.
func TestParams(t *testing.T) {
	const (
		sig   = "@ RRSIG SOA 13 2 300 20300101000000 20200101000000 1 @ AAAA"
		hash  = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"
		other = "1p9mhaveqvm6t7vbl5lop2u3t2rp3tom"
		next  = " 00000000000000000000000000000000 TXT"
		nsec  = "@ NSEC a TXT"
		none  = "0 the zone x.test. is signed and has no NSEC or NSEC3 records: validating resolvers refuse its word that a name or a type does not exist"
		many  = "0 NSEC3 with more than 150 iterations is treated as unsigned by resolvers: sign the zone with 0 (RFC 9276)"
	)
	for _, c := range []struct {
		lines  []string
		owners string // of the proofs, NSEC3 by the first digit
		doubt  string
		fault  string
	}{
		{lines: nil},
		{lines: []string{nsec}},
		{lines: []string{sig}, doubt: none},
		{lines: []string{sig, nsec}, owners: "x.test."},
		{lines: []string{sig, "@ NSEC3PARAM 1 0 0 -"}, doubt: none},
		{lines: []string{sig, "@ NSEC3PARAM 1 0 0 -", nsec}, owners: "x.test."},
		{lines: []string{sig, nsec, hash + " NSEC3 1 0 0 -" + next}, owners: "x.test."},
		{lines: []string{sig, "@ NSEC3PARAM 1 0 0 -", hash + " NSEC3 1 0 0 -" + next}, owners: "0"},
		{lines: []string{sig, "@ NSEC3PARAM 1 0 0 -", hash + " NSEC3 1 1 0 -" + next}, owners: "0"},
		{lines: []string{sig, "@ NSEC3PARAM 1 1 0 -", hash + " NSEC3 1 1 0 -" + next}, doubt: none},
		{lines: []string{sig, "@ NSEC3PARAM 2 0 0 -", hash + " NSEC3 2 1 0 -" + next}, doubt: none},
		{lines: []string{sig, "@ NSEC3PARAM 1 0 0 -", hash + " NSEC3 1 0 1 -" + next}, doubt: none},
		{lines: []string{sig, "@ NSEC3PARAM 1 0 0 -", hash + " NSEC3 1 0 0 ab" + next}, doubt: none},
		{lines: []string{sig, "@ NSEC3PARAM 1 0 0 ab", hash + " NSEC3 1 0 0 -" + next}, doubt: none},
		{lines: []string{sig, "@ NSEC3PARAM 1 0 0 -", "@ NSEC3PARAM 1 0 5 abcd", hash + " NSEC3 1 0 5 abcd" + next}, owners: "0"},
		{lines: []string{sig, "@ NSEC3PARAM 1 0 5 abcd", "@ NSEC3PARAM 1 0 0 -", hash + " NSEC3 1 0 5 abcd" + next, other + " NSEC3 1 0 0 -" + next}, owners: "0"},
		{lines: []string{sig, "@ NSEC3PARAM 1 7 5 abcd", "@ NSEC3PARAM 1 0 0 -", hash + " NSEC3 1 0 5 abcd" + next, other + " NSEC3 1 0 0 -" + next}, owners: "1"},
		{lines: []string{sig, "@ NSEC3PARAM 1 0 0 -", hash + " NSEC3 1 0 9 -" + next, hash + " NSEC3 1 0 0 -" + next, other + " NSEC3 1 0 0 -" + next}, owners: "01"},
		{lines: []string{sig, "@ NSEC3PARAM 1 0 0 -", hash + ".a NSEC3 1 0 0 -" + next, "a A 192.0.2.1"}, doubt: none},
		{lines: []string{sig, "@ NSEC3PARAM 1 0 0 -", "short NSEC3 1 0 0 -" + next}, doubt: none},
		{lines: []string{sig, "@ NSEC3PARAM 1 0 151 -", hash + " NSEC3 1 0 151 -" + next}, fault: many},
		{lines: []string{sig, "@ NSEC3PARAM 1 0 150 -", hash + " NSEC3 1 0 150 -" + next}, owners: "0"},
		{lines: []string{sig, "@ NSEC3PARAM 1 0 151 -", nsec}, owners: "x.test."},
	} {
		d, faults, doubts := builder(t, "x.test", append(slices.Clone(apexLines), c.lines...)...).Build()
		say := func(fs []Fault) string {
			var out []string
			for _, f := range fs {
				out = append(out, fmt.Sprintf("%d %s", f.Pos.Line, f.Msg))
			}
			return strings.Join(out, "\n")
		}
		if say(faults) != c.fault || say(doubts) != c.doubt {
			t.Errorf("%s:\nfaults %s\ndoubts %s", strings.Join(c.lines, "\n"), say(faults), say(doubts))
		}
		if d == nil {
			continue
		}
		got := ""
		for _, p := range d.proofs {
			owner := d.owner(p)
			if d.hashed {
				got += string(owner[1])
			} else {
				got += dnswire.Name(owner).String()
			}
		}
		if d.Signed != slices.Contains(c.lines, sig) || (got != c.owners && d.Signed) {
			t.Errorf("%s:\nsigned %t, proofs %s, want %s", strings.Join(c.lines, "\n"), d.Signed, got, c.owners)
		}
		if !d.Signed || len(d.proofs) == 0 {
			if _, ok := d.NSEC([]byte(d.Name)); ok {
				t.Error("a proof of what proves nothing")
			}
			if _, _, ok := d.NSEC3([]byte(d.Name)); ok {
				t.Error("a proof of what proves nothing")
			}
		}
	}
}

// TestProofsAreNoNames: the owner of an NSEC3 record does not exist (RFC 5155
// section 7.2.8), unless it has something else.
func TestProofsAreNoNames(t *testing.T) {
	const hash = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"
	const nsec3 = " NSEC3 1 0 0 - 00000000000000000000000000000000 TXT"
	for _, c := range []struct {
		lines []string
		kind  Kind
	}{
		{[]string{hash + nsec3}, Missing},
		{[]string{hash + nsec3, hash + " RRSIG NSEC3 13 2 300 20300101000000 20200101000000 1 @ AAAA"}, Missing},
		{[]string{hash + nsec3, hash + " TXT t"}, Exact},
		{[]string{hash + " RRSIG TXT 13 2 300 20300101000000 20200101000000 1 @ AAAA"}, Exact},
	} {
		tree := NewTree([]*Data{data(t, "x.test", c.lines...)}, 0)
		if m := tree.Find([]byte(name(t, hash+".x.test")), dnswire.TypeTXT); m.Kind != c.kind {
			t.Errorf("%s: %d", c.lines, m.Kind)
		}
	}
}
