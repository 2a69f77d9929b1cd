package hosts

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// The bounds of how long an answer counts, whatever its TTL. The lower one keeps
// a name with TTL 0 from being asked for at every breath; the upper one bounds
// how long a host that has moved is looked for at its old place.
const (
	minTTL = 5 * time.Second
	maxTTL = time.Hour
)

// maxChain is how many aliases may lead to the addresses: what resolvers follow
// at most, or more (unbound 11, BIND 16).
const maxChain = 16

// verdict is what an answer says of one family of a name.
type verdict uint8

const (
	failed    verdict = iota // nothing
	canceled                 // nothing, since nobody wanted to know any more
	truncated                // that TCP is to be asked
	plain                    // that EDNS is not understood
	nodata                   // that there are no such addresses
	nxdomain                 // that there is no such name
	found                    // addresses
)

// reading is what was read from an answer.
type reading struct {
	verdict verdict
	// packed is 4 or 16 octets for each address, sorted and unique; empty unless
	// found.
	packed []byte
	ttl    uint32 // seconds, between minTTL and maxTTL; 0 unless found
	result string // for counting
	reason string // why nothing was found, one line
	silent bool   // the server did not answer at all
}

// The results that are counted, beside the lower-case names of response codes.
const (
	resultOK        = "ok"
	resultNoData    = "nodata"
	resultTruncated = "truncated"
	resultMalformed = "malformed"
	resultTimeout   = "timeout"
	resultNetwork   = "network"
)

func malformed(format string, args ...any) reading {
	return reading{result: resultMalformed, reason: fmt.Sprintf(format, args...)}
}

// read reads the answer m to the query q, which asks for A or AAAA. It believes
// nothing but records that belong to the name asked for: those at the name
// itself, or at the end of the chain of aliases that begins there.
func read(q, m *dns.Msg) reading {
	if m == nil || !m.Response || m.Id != q.Id || m.Opcode != dns.OpcodeQuery {
		return malformed("a message that is no answer to the query")
	}
	asked, want := q.Question[0].Name, q.Question[0].Qtype
	name, err := dnswire.ParseName(asked)
	if err != nil {
		return malformed("host name: %v", err)
	}
	trouble := m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError
	// An error may come as a header alone (RFC 8906 section 3.1.4 has seen it).
	if !(trouble && len(m.Question) == 0) && !echoes(m.Question, name, want) {
		return malformed("an answer to another question")
	}
	switch {
	case trouble:
		return refusal(q, m)
	case m.Truncated:
		return reading{verdict: truncated, result: resultTruncated, reason: "truncated"}
	}
	return follow(name, want, m)
}

// echoes is whether a question section is the one that was sent.
func echoes(got []dns.Question, name dnswire.Name, want uint16) bool {
	if len(got) != 1 || got[0].Qtype != want || got[0].Qclass != dns.ClassINET {
		return false
	}
	n, err := dnswire.ParseName(got[0].Name)
	return err == nil && n == name
}

// refusal reads an answer with a response code that says nothing of the name.
func refusal(q, m *dns.Msg) reading {
	r := reading{result: rcodeLabel(m.Rcode), reason: rcodeText(m)}
	switch m.Rcode {
	case dns.RcodeFormatError, dns.RcodeNotImplemented, dns.RcodeBadVers:
		// RFC 6891 section 6.2.2: a server that does not know EDNS may say so like this.
		if q.IsEdns0() != nil {
			r.verdict = plain
		}
	}
	return r
}

// rcodeLabel is one of a few words, whatever the code.
func rcodeLabel(code int) string {
	switch code {
	case dns.RcodeNameError:
		return "nxdomain"
	case dns.RcodeServerFailure:
		return "servfail"
	case dns.RcodeRefused:
		return "refused"
	case dns.RcodeFormatError:
		return "formerr"
	case dns.RcodeNotImplemented:
		return "notimp"
	}
	return "other_rcode"
}

// maxText bounds the text of an extended error, which comes from anywhere.
const maxText = 120

// rcodeText is a response code with the extended error behind it (RFC 8914).
func rcodeText(m *dns.Msg) string {
	text, ok := dns.RcodeToString[m.Rcode]
	if !ok {
		text = "RCODE" + strconv.Itoa(m.Rcode)
	}
	opt := m.IsEdns0()
	if opt == nil {
		return text
	}
	for _, o := range opt.Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok {
			text += " (" + strconv.Itoa(int(e.InfoCode))
			if name, ok := dns.ExtendedErrorCodeToString[e.InfoCode]; ok {
				text += " " + name
			}
			if e.ExtraText != "" {
				text += " " + strconv.QuoteToASCII(e.ExtraText[:min(len(e.ExtraText), maxText)])
			}
			return text + ")"
		}
	}
	return text
}

// follow goes from name along the aliases of m to the addresses of type want.
func follow(name dnswire.Name, want uint16, m *dns.Msg) reading {
	owners := make([]dnswire.Name, len(m.Answer))
	for i, rr := range m.Answer {
		// What has no owner that can be read belongs to no name.
		if n, err := dnswire.ParseName(rr.Header().Name); err == nil && rr.Header().Class == dns.ClassINET {
			owners[i] = n
		}
	}
	chain := []dnswire.Name{name}
	low := uint32(math.MaxUint32)
	for {
		at := chain[len(chain)-1]
		var packed []byte
		var alias *dns.CNAME
		for i, rr := range m.Answer {
			if owners[i] != at {
				continue
			}
			if c, ok := rr.(*dns.CNAME); ok && alias == nil {
				alias = c
			}
			if rr.Header().Rrtype != want {
				continue
			}
			addr, ok := address(rr)
			if !ok {
				return malformed("an address record of the wrong length")
			}
			packed = append(packed, addr...)
			low = min(low, lifetime(rr))
		}
		switch {
		case len(packed) > 0 && m.Rcode == dns.RcodeNameError:
			return malformed("NXDOMAIN with addresses")
		case len(packed) > 0:
			return reading{verdict: found, packed: arrange(packed, size(want == dns.TypeAAAA)), ttl: clamp(low), result: resultOK}
		case alias == nil:
			return absent(m, want, len(chain) > 1)
		}
		next, err := dnswire.ParseName(alias.Target)
		switch {
		case err != nil:
			return malformed("an alias: %v", err)
		case slices.Contains(chain, next):
			return malformed("the aliases of %v are a loop", at)
		case len(chain) > maxChain:
			return malformed("more than %d aliases in a row", maxChain)
		}
		low = min(low, lifetime(alias))
		chain = append(chain, next)
	}
}

// absent reads an answer that has no addresses at the end of its chain.
func absent(m *dns.Msg, want uint16, aliased bool) reading {
	for _, rr := range m.Answer {
		if rr.Header().Rrtype == want {
			return malformed("addresses of another name")
		}
	}
	if m.Rcode == dns.RcodeNameError {
		return reading{verdict: nxdomain, result: rcodeLabel(m.Rcode), reason: "no such name (NXDOMAIN)"}
	}
	soa := slices.ContainsFunc(m.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA })
	if !m.RecursionAvailable && !soa && (aliased || !m.Authoritative) {
		// A referral, or an alias that leads out of the server's zones: it knows no
		// more, which is not that there is no more (RFC 2308 section 2.2).
		return reading{result: "not_recursive", reason: "the server does not recurse, and the name is none of its own"}
	}
	return reading{verdict: nodata, result: resultNoData, reason: "no " + dns.TypeToString[want] + " records"}
}

// address is the octets of an A or AAAA record.
func address(rr dns.RR) ([]byte, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		ip := rr.A.To4()
		return ip, len(ip) == 4
	case *dns.AAAA:
		return rr.AAAA, len(rr.AAAA) == 16
	}
	return nil, false
}

// lifetime is a record's TTL. One with the top bit set is 0 (RFC 2181 section 8).
func lifetime(rr dns.RR) uint32 {
	if ttl := rr.Header().Ttl; ttl <= math.MaxInt32 {
		return ttl
	}
	return 0
}

func clamp(ttl uint32) uint32 {
	return min(max(ttl, uint32(minTTL/time.Second)), uint32(maxTTL/time.Second))
}

// size is the octets of an address.
func size(v6 bool) int {
	if v6 {
		return 16
	}
	return 4
}
