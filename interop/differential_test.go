//go:build unix

package interop

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// The differential run asks NSD, Knot DNS, BIND and Rhumb the same questions
// over the same zones. Rhumb must answer as the oracle does, always. Each of the
// others must answer as the oracle does when it is given that server's habits,
// so that nothing differs without its row here; and what all three agree on must
// be what the oracle says without any habit.

var (
	differentialSeed   = flag.Uint64("differential.seed", 1, "the first world of the differential run")
	differentialWorlds = flag.Int("differential.worlds", 200, "how many worlds the differential run has")
)

// difference is a kind of case that not all servers answer alike.
type difference struct {
	who  []string // that differ from us
	what string
	why  string // we do not
	set  func(*habits)
	// world is one that shows it, and so is part of every run.
	world uint64
}

// choose makes the worlds of a run.
func choose(seed uint64, n int, rows []difference) []*world {
	var seeds []uint64
	for i := range n {
		seeds = append(seeds, seed+uint64(i))
	}
	for _, d := range rows {
		seeds = append(seeds, d.world)
	}
	slices.Sort(seeds)
	var worlds []*world
	for _, s := range slices.Compact(seeds) {
		worlds = append(worlds, makeWorld(s))
	}
	return worlds
}

// check fails where nothing shows a difference any more.
func check(t *testing.T, rows []difference, seen []int) {
	t.Helper()
	for i, d := range rows {
		if seen[i] == 0 {
			t.Errorf("nothing shows that %s: %s: drop the row, or give it a world that does", strings.Join(d.who, " and "), d.what)
		}
	}
}

var differences = []difference{
	{
		[]string{"BIND"},
		"a chain that leads into another zone of the same server ends there",
		"RFC 1034 section 4.3.2 goes back to step 1, which searches the available zones again; NSD does so",
		func(h *habits) { h.stopsAtZones = true },
		0,
	},
	{
		[]string{"Knot DNS"},
		"a chain knows the first zone only: what another zone of the same server has is a referral, or nothing",
		"the same: step 1 is taken again",
		func(h *habits) { h.oneZone = true },
		0,
	},
	{
		[]string{"NSD"},
		"a name that only another zone of the same server has (occluded data of the parent) exists: it is no data instead of NXDOMAIN, and blocks wildcards",
		"a zone is searched by itself (RFC 1034 section 4.3.2 step 3); Knot DNS and BIND do so",
		func(h *habits) { h.sharedNames = true },
		0,
	},
	{
		[]string{"NSD"},
		"a chain ends without error where a DNAME is used twice in a row, also where its substitution overflows",
		"RFC 6672 section 3.2 has no such rule; Knot DNS and BIND go on",
		func(h *habits) { h.dnameOnce = true },
		804,
	},
	{
		[]string{"NSD"},
		"a chain goes on after 16 CNAME records, to no definite length",
		"the RFCs name no bound; an answer is not to be made larger at will, and 16 is more than resolvers follow",
		func(h *habits) { h.steps, h.cutsShort = 1000, 15 },
		0,
	},
	{
		[]string{"Knot DNS"},
		"a chain ends without error after 3 to 5 CNAME records",
		"the RFCs name no bound",
		func(h *habits) { h.steps, h.cutsShort = 1000, 3 },
		0,
	},
	{
		[]string{"BIND"},
		"a chain ends after 12 CNAME records",
		"the RFCs name no bound",
		func(h *habits) { h.steps = 12 },
		0,
	},
	{
		[]string{"BIND"},
		"a chain that comes back to a name: the sets of one name stand together",
		"NSD and Knot DNS keep the order of the steps, and RFC 1034 section 4.3.2 copies them one after another",
		func(h *habits) { h.byName = true },
		969,
	},
	{
		[]string{"BIND"},
		"a chain that loops or is too long is SERVFAIL, with the records",
		"NSD and Knot DNS say NOERROR, and a resolver that has the records finds out itself; SERVFAIL would have it ask all our nodes",
		func(h *habits) { h.failsAtEnd = true },
		0,
	},
	{
		[]string{"Knot DNS"},
		"after a DNAME that overflows the DNAME's target itself is answered, and may change the code",
		"RFC 6672 section 3.2: set YXDOMAIN and exit; NSD and BIND do so",
		func(h *habits) { h.pastOverflow = true },
		806,
	},
	{
		[]string{"Knot DNS"},
		"a DNAME at a wildcard is given under the name that was asked for",
		"such a record would rewrite names below that one only, and does not match its CNAME; RFC 6672 section 3.3 leaves it open; NSD and BIND give it as it is",
		func(h *habits) { h.ownedDNAME = true },
		803,
	},
	{
		[]string{"NSD", "Knot DNS"},
		"a CNAME that leads to itself through a wildcard, or an address that several records lead to, is there again",
		"a set is there once (RFC 2181 section 5)",
		func(h *habits) { h.repeats = true },
		801,
	},
	{
		[]string{"NSD", "Knot DNS"},
		"a wildcard below a cut makes glue",
		"it is the child's to say what its wildcards cover; BIND does not",
		func(h *habits) { h.occludedWildcards = true },
		38,
	},
	{
		[]string{"Knot DNS"},
		"a chain ends without error where a wildcard leads on a second time",
		"a wildcard is no loop: what it makes are different names (RFC 4592 section 2.2)",
		func(h *habits) { h.wildcardOnce = true },
		847,
	},
	{
		[]string{"Knot DNS"},
		"additional addresses that a wildcard makes are under the wildcard's name",
		"nobody asked for that name; what we add is under the name that the record leads to",
		func(h *habits) { h.bareWildcards = true },
		879,
	},
}

// signedDifferences are those of signed zones.
var signedDifferences = []difference{
	{
		[]string{"Knot DNS", "BIND"},
		"no data at a wildcard that is an empty non-terminal: NSEC proves only that the name does not exist",
		"RFC 4035 section 3.1.3.4 wants the proof that the wildcard has no such type as well: without it a resolver cannot know that the answer is not NXDOMAIN; NSD gives it",
		func(h *habits) { h.bareNonTerminals = true },
		1,
	},
	{
		[]string{"Knot DNS"},
		"a name that begins with \"*\" and that a wildcard answers: no proof that the wildcard was to be used",
		"RFC 4592 section 2.3: an asterisk label in a query has no meaning of its own; NSD and BIND prove it",
		func(h *habits) {
			h.looseProofs = append(h.looseProofs, "wildcard for a name that begins with *")
		},
		3,
	},
	{
		[]string{"Knot DNS"},
		"a DNAME at a wildcard: SERVFAIL, or the NSEC record of the wildcard besides",
		"the DNAME has a signature of its own; NSD and BIND give both as they are",
		func(h *habits) { h.looseAnswers = append(h.looseAnswers, "DNAME at a wildcard") },
		4,
	},
	{
		[]string{"NSD", "BIND"},
		"no such name, below an empty non-terminal that opt-out hides: the wildcard there is denied",
		"what a resolver can prove is the encloser above it (RFC 5155 section 7.2.1), and there it looks for the wildcard",
		func(h *habits) {
			h.looseProofs = append(h.looseProofs, "no such name, with an encloser that opt-out hides")
		},
		16,
	},
	{
		[]string{"Knot DNS"},
		"no such name, below an empty non-terminal that opt-out hides: an answer without SOA and AA",
		"RFC 5155 section 7.2.2; NSD and BIND prove it",
		func(h *habits) {
			h.looseAnswers = append(h.looseAnswers, "no such name, with an encloser that opt-out hides")
		},
		16,
	},
	{
		[]string{"BIND"},
		"NSEC asked for at a cut: the parent's, with AA",
		"RFC 4035 section 3.1.4.1 makes an exception for DS only; NSD and Knot DNS refer",
		func(h *habits) { h.nsecAtCut = true },
		48,
	},
	{
		[]string{"Knot DNS", "BIND"},
		"NSEC asked for at a CNAME of an unsigned zone: no data",
		"RFC 1034 section 4.3.2 follows a CNAME that QTYPE does not match, and there is nothing else that it could match; NSD does so",
		func(h *habits) { h.nsecStays = true },
		42,
	},
	{
		[]string{"NSD"},
		"no data at a wildcard: an NSEC3 record more where the wildcard was asked for itself, at times one less where not",
		"RFC 5155 sections 7.2.3 and 7.2.5; Knot DNS and BIND give just these",
		func(h *habits) {
			h.looseProofs = append(h.looseProofs, "no data at a wildcard, with NSEC3")
		},
		3,
	},
	{
		[]string{"NSD", "Knot DNS", "BIND"},
		"no data at a wildcard that is an empty non-terminal that opt-out hides: each has a proof of its own",
		"RFC 5155 section 7.2.5 wants it proved that the wildcard has no data, and the closest provable encloser proof of section 7.2.4 does so",
		func(h *habits) {
			h.looseProofs = append(h.looseProofs, "no data at a wildcard that opt-out hides")
		},
		26,
	},
	{
		[]string{"NSD"},
		"no such name, or no data at a wildcard, after a DNAME: a record of the proof is missing",
		"the proof is the same as without a DNAME before; Knot DNS and BIND give it",
		func(h *habits) {
			h.looseProofs = append(h.looseProofs, "proof after a DNAME")
		},
		8,
	},
	{
		[]string{"NSD"},
		"a zone that has another of the server's above or below it: the proofs are for names of the other",
		"it follows from the names that NSD shares between zones, above",
		func(h *habits) {
			h.looseProofs = append(h.looseProofs, "proof in a zone with another below or above it")
		},
		26,
	},
}

var allDifferences = append(slices.Clone(differences), signedDifferences...)

// habitsOf is what a server does in its own way, but for one row of the table.
func habitsOf(server string, except int) habits {
	var h habits
	for i, d := range allDifferences {
		if i != except && slices.Contains(d.who, server) {
			d.set(&h)
		}
	}
	return h
}

func TestDifferential(t *testing.T) {
	conversation(t)
	worlds := choose(*differentialSeed, *differentialWorlds, differences)
	check(t, differences, differ(t, worlds, func(w *world) []question { return w.questions(200) }))
}

// differ asks all servers, and counts what the rows of the table explain.
func differ(t *testing.T, worlds []*world, questions func(*world) []question) (seen []int) {
	t.Helper()
	var zones []*authority
	for _, w := range worlds {
		zones = append(zones, w.zones...)
	}
	b := newBatch(t, zones)
	peers := []*peer{b.nsd(t), b.knot(t), b.bind(t)}
	ours := b.rhumb(t)

	seen, first := make([]int, len(allDifferences)), make([]uint64, len(allDifferences))
	kinds, rules := map[string]int{}, map[string]int{}
	total, agreed := 0, 0
	// wrong tells of the first case of a kind.
	wrong := func(w *world, q question, who string, sections, applied, details []string) {
		kind := fmt.Sprintf("%s in %s after %s", who, strings.Join(sections, ", "), strings.Join(slices.Compact(slices.Clone(applied)), ", "))
		if kinds[kind]++; kinds[kind] == 1 && len(kinds) <= 60 {
			t.Errorf("world %d: %s: %s:\n%s", w.seed, q, kind, strings.Join(details, "\n"))
		}
	}
	for _, w := range worlds {
		qs := questions(w)
		total += len(qs)
		answers := make([][]*dns.Msg, len(peers))
		for i, p := range peers {
			answers[i] = askAll(t, p, qs)
		}
		own := askAll(t, ours, qs)
		for i, q := range qs {
			want := ask(w.zones, q, habits{})
			if sections, details := compare(want, own[i]); len(sections) > 0 {
				wrong(w, q, "Rhumb is wrong", sections, want.rules, details)
			}
			for _, r := range want.rules {
				rules[r]++
			}
			same, explained := 0, 0
			for j, p := range peers {
				got := answers[j][i]
				if equal(got, answers[0][i]) {
					same++
				}
				if sections, _ := compare(want, got); len(sections) == 0 {
					continue
				}
				if sections, details := explain(w, q, habitsOf(p.name, -1), got); len(sections) > 0 {
					wrong(w, q, p.name+" is not explained", sections, want.rules, details)
				} else {
					explained++
				}
				for d := range allDifferences {
					if !slices.Contains(allDifferences[d].who, p.name) {
						continue
					}
					if sections, _ := explain(w, q, habitsOf(p.name, d), got); len(sections) > 0 {
						if seen[d]++; seen[d] == 1 {
							first[d] = w.seed
						}
					}
				}
			}
			if same < len(peers) {
				continue
			}
			agreed++
			if explained == len(peers) {
				continue // each for a reason of its own
			}
			sections, details := compare(want, answers[0][i])
			// Of the additional section each server takes what it likes.
			if slices.ContainsFunc(sections, func(s string) bool { return s != "additional" }) {
				wrong(w, q, "all three agree, and the oracle does not", sections, want.rules, details)
			}
		}
	}
	t.Logf("%d zones, %d questions; the three agree on %d", len(zones), total, agreed)
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		t.Logf("%8d wrong: %s", kinds[k], k)
	}
	for _, r := range slices.Sorted(maps.Keys(rules)) {
		t.Logf("%8d %s", rules[r], r)
	}
	for i, d := range allDifferences {
		if seen[i] == 0 {
			continue
		}
		t.Logf("%8d %s: %s (world %d)", seen[i], strings.Join(d.who, " and "), d.what, first[i])
	}
	return seen
}

// explain compares an answer with the oracle's, when it has a server's habits.
func explain(w *world, q question, h habits, got *dns.Msg) (sections, details []string) {
	want := ask(w.zones, q, h)
	after := func(rules []string) bool {
		return slices.ContainsFunc(rules, func(r string) bool { return slices.Contains(want.rules, r) })
	}
	if after(h.looseAnswers) && q.do {
		return nil, nil
	}
	if after(h.looseProofs) {
		want.authority, got = withoutProofs(want.authority), got.Copy()
		got.Ns = withoutProofs(got.Ns)
	}
	if h.bareWildcards {
		got = got.Copy()
		got.Extra = withoutProofs(got.Extra)
	}
	if h.repeats {
		got = got.Copy()
		got.Answer, got.Ns, got.Extra = once(got.Answer), once(got.Ns), once(got.Extra)
	}
	sections, details = compare(want, got)
	if len(sections) == 0 || h.cutsShort == 0 || got.Rcode != dns.RcodeSuccess || len(withoutProofs(got.Ns)) > 0 {
		return sections, details
	}
	cnames := 0
	all, _ := signatures(slices.Concat(want.answer...))
	start, _ := signatures(got.Answer)
	for i, rr := range start {
		if i == len(all) || all[i] != rr {
			return sections, details
		}
		if strings.Contains(rr, "\tcname\t") {
			cnames++
		}
	}
	if cnames >= h.cutsShort {
		return nil, nil
	}
	return sections, details
}

// withoutProofs is a set without NSEC and NSEC3 records.
func withoutProofs(set []dns.RR) []dns.RR {
	proof := func(t uint16) bool { return t == dns.TypeNSEC || t == dns.TypeNSEC3 }
	return slices.DeleteFunc(slices.Clone(set), func(rr dns.RR) bool {
		sig, ok := rr.(*dns.RRSIG)
		return proof(rr.Header().Rrtype) || ok && proof(sig.TypeCovered)
	})
}

// equal is whether two answers are, but for the additional section.
func equal(a, b *dns.Msg) bool {
	return a.Rcode == b.Rcode && a.Authoritative == b.Authoritative &&
		slices.Equal(sorted(texts(a.Answer)), sorted(texts(b.Answer))) &&
		slices.Equal(sorted(texts(a.Ns)), sorted(texts(b.Ns)))
}
