//go:build unix

package interop

import (
	"flag"
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
}

var differences = []difference{
	{
		[]string{"BIND"},
		"a chain that leads into another zone of the same server ends there",
		"RFC 1034 section 4.3.2 goes back to step 1, which searches the available zones again; NSD does so",
		func(h *habits) { h.stopsAtZones = true },
	},
	{
		[]string{"Knot DNS"},
		"a chain knows the first zone only: what another zone of the same server has is a referral, or nothing",
		"the same: step 1 is taken again",
		func(h *habits) { h.oneZone = true },
	},
	{
		[]string{"NSD"},
		"a name that only another zone of the same server has (occluded data of the parent) exists: it is no data instead of NXDOMAIN, and blocks wildcards",
		"a zone is searched by itself (RFC 1034 section 4.3.2 step 3); Knot DNS and BIND do so",
		func(h *habits) { h.sharedNames = true },
	},
	{
		[]string{"NSD"},
		"a chain ends without error where a DNAME is used twice in a row, also where its substitution overflows",
		"RFC 6672 section 3.2 has no such rule; Knot DNS and BIND go on",
		func(h *habits) { h.dnameOnce = true },
	},
	{
		[]string{"NSD"},
		"a chain goes on after 16 CNAME records, to no definite length",
		"the RFCs name no bound; an answer is not to be made larger at will, and 16 is more than resolvers follow",
		func(h *habits) { h.steps, h.cutsShort = 1000, 15 },
	},
	{
		[]string{"Knot DNS"},
		"a chain ends without error after 3 to 5 CNAME records",
		"the RFCs name no bound",
		func(h *habits) { h.steps, h.cutsShort = 1000, 3 },
	},
	{
		[]string{"BIND"},
		"a chain ends after 12 CNAME records",
		"the RFCs name no bound",
		func(h *habits) { h.steps = 12 },
	},
	{
		[]string{"BIND"},
		"a chain that loops or is too long is SERVFAIL, with the records",
		"NSD and Knot DNS say NOERROR, and a resolver that has the records finds out itself; SERVFAIL would have it ask all our nodes",
		func(h *habits) { h.failsAtEnd = true },
	},
	{
		[]string{"Knot DNS"},
		"after a DNAME that overflows the DNAME's target itself is answered, and may change the code",
		"RFC 6672 section 3.2: set YXDOMAIN and exit; NSD and BIND do so",
		func(h *habits) { h.pastOverflow = true },
	},
	{
		[]string{"Knot DNS"},
		"a DNAME at a wildcard is given under the name that was asked for",
		"such a record would rewrite names below that one only, and does not match its CNAME; RFC 6672 section 3.3 leaves it open; NSD and BIND give it as it is",
		func(h *habits) { h.ownedDNAME = true },
	},
	{
		[]string{"NSD", "Knot DNS"},
		"a CNAME that leads to itself through a wildcard, or an address that several records lead to, is there again",
		"a set is there once (RFC 2181 section 5)",
		func(h *habits) { h.repeats = true },
	},
	{
		[]string{"NSD", "Knot DNS"},
		"a wildcard below a cut makes glue",
		"it is the child's to say what its wildcards cover; BIND does not",
		func(h *habits) { h.occludedWildcards = true },
	},
	{
		[]string{"Knot DNS"},
		"a chain ends without error where a wildcard leads on a second time",
		"a wildcard is no loop: what it makes are different names (RFC 4592 section 2.2)",
		func(h *habits) { h.wildcardOnce = true },
	},
	{
		[]string{"Knot DNS"},
		"additional addresses that a wildcard makes are under the wildcard's name",
		"nobody asked for that name; what we add is under the name that the record leads to",
		func(h *habits) { h.bareWildcards = true },
	},
}

// habitsOf is what a server does in its own way, but for one row of the table.
func habitsOf(server string, except int) habits {
	var h habits
	for i, d := range differences {
		if i != except && slices.Contains(d.who, server) {
			d.set(&h)
		}
	}
	return h
}

func TestDifferential(t *testing.T) {
	var worlds []*world
	var zones []*authority
	for i := range *differentialWorlds {
		w := makeWorld(*differentialSeed + uint64(i))
		worlds = append(worlds, w)
		zones = append(zones, w.zones...)
	}
	b := newBatch(t, zones)
	peers := []*peer{b.nsd(t), b.knot(t), b.bind(t)}

	total, agreed, unexplained := 0, 0, 0
	seen := make([]int, len(differences))
	rules := map[string]int{}
	for _, w := range worlds {
		qs := w.questions(200)
		total += len(qs)
		answers := make([][]*dns.Msg, len(peers))
		for i, p := range peers {
			answers[i] = askAll(t, p, qs, false)
		}
		for i, q := range qs {
			want := ask(w.zones, q, habits{})
			for _, r := range want.rules {
				rules[r]++
			}
			same := 0
			for j, p := range peers {
				got := answers[j][i]
				if equal(got, answers[0][i]) {
					same++
				}
				sections, _ := compare(want, got)
				if len(sections) == 0 {
					continue
				}
				if sections, details := explain(w, q, habitsOf(p.name, -1), got); len(sections) > 0 {
					t.Errorf("world %d: %s: %s is not explained in %s (%s):\n%s",
						w.seed, q, p.name, strings.Join(sections, ", "), strings.Join(want.rules, ", "), strings.Join(details, "\n"))
					unexplained++
				}
				for d := range differences {
					if !slices.Contains(differences[d].who, p.name) {
						continue
					}
					if sections, _ := explain(w, q, habitsOf(p.name, d), got); len(sections) > 0 {
						seen[d]++
					}
				}
			}
			if same < len(peers) {
				continue
			}
			agreed++
			sections, details := compare(want, answers[0][i])
			// Of the additional section each server takes what it likes.
			if slices.ContainsFunc(sections, func(s string) bool { return s != "additional" }) {
				t.Errorf("world %d: %s: all three agree, and the oracle does not in %s (%s):\n%s",
					w.seed, q, strings.Join(sections, ", "), strings.Join(want.rules, ", "), strings.Join(details, "\n"))
			}
			if unexplained > 20 {
				t.Fatal("and so on")
			}
		}
	}
	t.Logf("%d zones, %d questions; the three agree on %d", len(zones), total, agreed)
	for _, r := range slices.Sorted(maps.Keys(rules)) {
		t.Logf("%8d %s", rules[r], r)
	}
	for i, d := range differences {
		t.Logf("%8d %s: %s", seen[i], strings.Join(d.who, " and "), d.what)
		if seen[i] == 0 && *differentialWorlds >= 200 {
			t.Errorf("nothing shows that %s: %s: drop the row, or make worlds that do", strings.Join(d.who, " and "), d.what)
		}
	}
}

// explain compares an answer with the oracle's, when it has a server's habits.
func explain(w *world, q question, h habits, got *dns.Msg) (sections, details []string) {
	want := ask(w.zones, q, h)
	if h.repeats {
		got = got.Copy()
		got.Answer, got.Extra = once(got.Answer), once(got.Extra)
	}
	sections, details = compare(want, got)
	if len(sections) == 0 || h.cutsShort == 0 || got.Rcode != dns.RcodeSuccess || len(got.Ns) > 0 {
		return sections, details
	}
	cnames := 0
	all := texts(slices.Concat(want.answer...))
	for i, rr := range got.Answer {
		if i == len(all) || all[i] != texts(got.Answer)[i] {
			return sections, details
		}
		if rr.Header().Rrtype == dns.TypeCNAME {
			cnames++
		}
	}
	if cnames >= h.cutsShort {
		return nil, nil
	}
	return sections, details
}

// once is the records without those that have come before.
func once(set []dns.RR) []dns.RR {
	var all []dns.RR
	for i, s := range texts(set) {
		if !slices.Contains(texts(set[:i]), s) {
			all = append(all, set[i])
		}
	}
	return all
}

// equal is whether two answers are, but for the additional section.
func equal(a, b *dns.Msg) bool {
	return a.Rcode == b.Rcode && a.Authoritative == b.Authoritative &&
		slices.Equal(sorted(texts(a.Answer)), sorted(texts(b.Answer))) &&
		slices.Equal(sorted(texts(a.Ns)), sorted(texts(b.Ns)))
}
