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
	// The chain's order is the order of its sets; within a set there is none, nor
	// is there for signatures.
	var wantAnswer, gotAnswer, wantSigs []string
	rest, gotSigs := signatures(got.Answer)
	for _, set := range want.answer {
		set, sigs := signatures(set)
		wantAnswer = append(wantAnswer, sorted(set)...)
		wantSigs = append(wantSigs, sigs...)
		n := min(len(set), len(rest))
		gotAnswer = append(gotAnswer, sorted(rest[:n])...)
		rest = rest[n:]
	}
	wantAnswer = append(wantAnswer, sorted(wantSigs)...)
	gotAnswer = append(append(gotAnswer, rest...), sorted(gotSigs)...)
	if !slices.Equal(gotAnswer, wantAnswer) {
		differ("answer", "got\n\t%s\nwant\n\t%s", lines(gotAnswer), lines(wantAnswer))
	}
	if g, w := sorted(texts(got.Ns)), sorted(texts(want.authority)); !slices.Equal(g, w) {
		differ("authority", "got\n\t%s\nwant\n\t%s", lines(g), lines(w))
	}
	extra := slices.DeleteFunc(slices.Clone(got.Extra), func(rr dns.RR) bool {
		return rr.Header().Rrtype == dns.TypeOPT || rr.Header().Rrtype == dns.TypeRRSIG
	})
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

// texts are records in a form that compares: a name's case means nothing, nor
// which signature of a set it is, nor how long the proof of a "no" may be kept.
func texts(set []dns.RR) []string {
	var all []string
	for _, rr := range set {
		text := rr.String()
		switch rr := rr.(type) {
		case *dns.RRSIG:
			text = fmt.Sprintf("%s RRSIG %s %d", rr.Hdr.Name, dns.Type(rr.TypeCovered), rr.Labels)
		case *dns.NSEC, *dns.NSEC3:
			rr = dns.Copy(rr)
			rr.Header().Ttl = 0
			text = rr.String()
		}
		all = append(all, strings.ToLower(text))
	}
	return all
}

// signatures parts RRSIG records from the others.
func signatures(set []dns.RR) (others, sigs []string) {
	for i, text := range texts(set) {
		if set[i].Header().Rrtype == dns.TypeRRSIG {
			sigs = append(sigs, text)
		} else {
			others = append(others, text)
		}
	}
	return others, sigs
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

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

func lines(s []string) string { return strings.Join(s, "\n\t") }
