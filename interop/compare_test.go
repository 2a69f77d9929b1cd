package interop

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// compare says in which sections an answer is not the one that is due, and how.
func compare(want *verdict, got *dns.Msg) (sections, details []string) {
	differ := func(section, format string, args ...any) {
		if !slices.Contains(sections, section) {
			sections = append(sections, section)
		}
		details = append(details, section+": "+fmt.Sprintf(format, args...))
	}
	if got.Rcode != want.rcode {
		differ("rcode", "got %s, want %s", dns.RcodeToString[got.Rcode], dns.RcodeToString[want.rcode])
	}
	if got.Authoritative != want.aa {
		differ("aa", "got %v, want %v", got.Authoritative, want.aa)
	}
	if got.Truncated {
		differ("tc", "got true")
	}
	// The chain's order is the order of its sets; within a set there is none.
	var wantAnswer, gotAnswer []string
	rest := texts(got.Answer)
	for _, set := range want.answer {
		wantAnswer = append(wantAnswer, sorted(texts(set))...)
		n := min(len(set), len(rest))
		gotAnswer = append(gotAnswer, sorted(rest[:n])...)
		rest = rest[n:]
	}
	gotAnswer = append(gotAnswer, rest...)
	if !slices.Equal(gotAnswer, wantAnswer) {
		differ("answer", "got\n\t%s\nwant\n\t%s", lines(gotAnswer), lines(wantAnswer))
	}
	if g, w := sorted(texts(got.Ns)), sorted(texts(want.authority)); !slices.Equal(g, w) {
		differ("authority", "got\n\t%s\nwant\n\t%s", lines(g), lines(w))
	}
	extra := slices.DeleteFunc(slices.Clone(got.Extra), func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
	g, required, allowed := texts(extra), texts(want.required), texts(want.allowed)
	for _, w := range required {
		if !slices.Contains(g, w) {
			differ("missing glue", "%s", w)
		}
	}
	for i, w := range g {
		if !slices.Contains(required, w) && !slices.Contains(allowed, w) {
			differ("additional", "%s should not be there", w)
		}
		if slices.Contains(g[:i], w) {
			differ("additional", "%s is there twice", w)
		}
	}
	return sections, details
}

// texts are records in a form that compares: a name's case means nothing.
func texts(set []dns.RR) []string {
	var all []string
	for _, rr := range set {
		all = append(all, strings.ToLower(rr.String()))
	}
	return all
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

func lines(s []string) string { return strings.Join(s, "\n\t") }
