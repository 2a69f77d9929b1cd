package server

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/server/limit"
)

// Access is who may ask. The longest network that holds a client decides; a
// client in none may ask unless Allow has any.
type Access struct {
	Allow, Deny []netip.Prefix
	Drop        bool // who may not ask gets no answer, and else REFUSED
}

// RateLimit is how many answers a second a client network gets over UDP without
// a valid cookie; 0 is any number.
type RateLimit struct {
	Answers   int // for each name, or for all that a wildcard or DNAME record answers
	NoData    int // for each name
	NXDomains int // for each zone
	Referrals int // for each cut
	Errors    int // all other answers together
	All       int // all answers together
	// Slip is every how many-th answer beyond a limit goes out truncated; 0: none.
	Slip         int
	Bits4, Bits6 int // of the prefixes that make a client network; default 24 and 56
	Exempt       []netip.Prefix
	Accounts     int // that are kept at a time, of 8 bytes; default DefaultAccounts
	DryRun       bool
}

// The defaults of RateLimit.
const (
	DefaultBits4    = 24
	DefaultBits6    = 56
	DefaultAccounts = 1 << 17
)

// What becomes of an answer beyond a limit.
const (
	limitedDropped = iota
	limitedSlipped
	limitedDryRun
	limitedActions
)

var limitedNames = [limitedActions]string{"dropped", "slipped", "dry_run"}

// What becomes of a query of who may not ask.
const (
	deniedRefused = iota
	deniedDropped
	deniedActions
)

var deniedNames = [deniedActions]string{"refused", "dropped"}

// guardCounts count whom the guard has stopped.
type guardCounts struct {
	limited [limit.Kinds][limitedActions]atomic.Uint64
	denied  [deniedActions]atomic.Uint64
}

func (g *guardCounts) add(o *guardCounts) {
	for k := range g.limited {
		for a := range g.limited[k] {
			g.limited[k][a].Add(o.limited[k][a].Load())
		}
	}
	for a := range g.denied {
		g.denied[a].Add(o.denied[a].Load())
	}
}

// guard is who is answered, and how often. It is not changed after it has been
// made, but for the accounts.
type guard struct {
	access    *limit.Networks  // nil: everybody may ask
	drop      bool             // who may not, gets no answer
	responses *limit.Responses // nil: no limit
	size      uint16           // of an answer over UDP without a valid cookie
	slip      uint32
	dryRun    bool
	accounts  int // that responses was asked to have
}

// barred is the word of networks that may not ask.
const barred = 1

// newGuard makes the guard of a Setup. The accounts of the one before are kept
// when they are as many: a reload forgives nothing.
func newGuard(s *Setup, before *guard) (g guard) {
	a, r := &s.Access, s.RateLimit
	if g.size = dnswire.MaxUDP; s.NoCookieSize > 0 {
		g.size = uint16(min(s.NoCookieSize, dnswire.MaxUDP))
	}
	if len(a.Allow)+len(a.Deny) > 0 {
		otherwise := uint8(0)
		if len(a.Allow) > 0 {
			otherwise = barred
		}
		g.access = limit.NewNetworks(otherwise, limit.Rule{Networks: a.Allow}, limit.Rule{Networks: a.Deny, Word: barred})
		g.drop = a.Drop
	}
	if r == nil {
		return g
	}
	rates := limit.Rates{
		Kinds: [limit.Kinds]int{
			limit.Answer: r.Answers, limit.NoData: r.NoData, limit.NXDomain: r.NXDomains,
			limit.Referral: r.Referrals, limit.Failure: r.Errors,
		},
		All: r.All, Bits4: r.Bits4, Bits6: r.Bits6, Exempt: r.Exempt,
	}
	if rates.Bits4 <= 0 {
		rates.Bits4 = DefaultBits4
	}
	if rates.Bits6 <= 0 {
		rates.Bits6 = DefaultBits6
	}
	if g.accounts = r.Accounts; g.accounts <= 0 {
		g.accounts = DefaultAccounts
	}
	var accounts *limit.Accounts
	if before != nil && before.responses != nil && before.accounts == g.accounts {
		accounts = before.responses.Accounts()
	} else {
		accounts = limit.NewAccounts(g.accounts)
	}
	g.responses, g.slip, g.dryRun = limit.NewResponses(accounts, rates), uint32(r.Slip), r.DryRun
	return g
}

// admits is whether a client may ask.
func (g *guard) admits(client netip.Addr) bool {
	return g.access == nil || g.access.Find(client) != barred
}

// deny appends what the query of who may not ask gets to dst: REFUSED with the
// extended error 18 (RFC 8914 section 4.19), or nothing. It counts.
func (w *worker) deny(dst []byte) []byte {
	q := &w.q
	switch {
	case q.Status == dnswire.StatusDrop:
		w.count.drop(dropNotQuery)
		return dst
	case w.guard.drop:
		w.count.guard.denied[deniedDropped].Add(1)
		w.count.drop(dropAccess)
		return dst
	}
	out := q.AppendReply(dst)
	extra := 0
	if q.EDNS {
		out = dnswire.AppendOPT(out, &dnswire.OPT{RCode: dnswire.Refused, DO: q.DO, EDE: dnswire.EDEProhibited})
		extra++
	}
	dnswire.PutHeader(out[len(dst):], q.ReplyFlags()|uint16(dnswire.Refused), 0, 0, extra)
	w.count.guard.denied[deniedRefused].Add(1)
	// resolve has not seen the query: what it has left is of the one before.
	w.scratch.Outcome = resolve.Outcome{Zone: -1, RCode: dnswire.Refused}
	if w.limits() && !w.pass(limit.Failure, nil) {
		if out = w.suppress(dst, out, limit.Failure, nil); len(out) == len(dst) {
			return out
		}
	}
	w.answered(len(out) - len(dst))
	return out
}

// bound keeps the answer to the query at hand small while its source may be
// forged.
func (w *worker) bound() {
	if q := &w.q; q.UDPSize > w.guard.size && q.CookieState != dnswire.CookieValid && q.Transport == dnswire.UDP {
		q.UDPSize = w.guard.size
	}
}

// limits is whether the answer to the query at hand has a limit: over UDP, where
// the source may be forged, and without a cookie that proves that it is not.
func (w *worker) limits() bool {
	return w.guard.responses != nil && w.q.Transport == dnswire.UDP && w.q.CookieState != dnswire.CookieValid
}

// pass is whether an answer about a name is within the limits.
func (w *worker) pass(k limit.Kind, name []byte) bool {
	return w.guard.responses.Take(limit.At(w.watch.began), w.q.Client.Addr(), k, name)
}

// kind is what the answer msg, which resolve has made, counts as, and the name
// that it is about.
func (w *worker) kind(msg []byte) (limit.Kind, []byte) {
	o, name := &w.scratch.Outcome, w.q.Name()
	flags, answers := binary.BigEndian.Uint16(msg[2:]), binary.BigEndian.Uint16(msg[6:])
	switch {
	case o.Zone < 0:
		return limit.Failure, nil
	case o.RCode == dnswire.NXDomain:
		return limit.NXDomain, name[len(name)-o.Named:]
	case o.RCode != dnswire.NoError:
		return limit.Failure, nil
	case answers > 0 || flags&dnswire.FlagTC != 0:
		return limit.Answer, name[len(name)-o.Named:]
	case flags&dnswire.FlagAA != 0:
		return limit.NoData, name[len(name)-o.Named:]
	}
	return limit.Referral, name[len(name)-o.Named:]
}

// suppress is what goes out instead of out, which is beyond the limit of a kind
// and a name and begins with dst: nothing, or every so many-th time what sends a real client to TCP.
// That is no longer than the query, but for the server cookie of 16 octets, with
// which the client has no limit any more. It counts.
func (w *worker) suppress(dst, out []byte, k limit.Kind, name []byte) []byte {
	q, counts := &w.q, &w.count.guard.limited[k]
	w.limited(name)
	if w.guard.dryRun {
		counts[limitedDryRun].Add(1)
		return out
	}
	// Over all clients of a worker: whose turn it is, nobody can tell.
	w.suppressed++
	if w.guard.slip == 0 || w.suppressed%w.guard.slip != 0 {
		counts[limitedDropped].Add(1)
		w.count.drop(dropRateLimit)
		return out[:len(dst)]
	}
	counts[limitedSlipped].Add(1)
	if q.QuestionEnd <= dnswire.HeaderLen {
		return out // without a question it is as small as that
	}
	aa := binary.BigEndian.Uint16(out[len(dst)+2:]) & dnswire.FlagAA
	out = q.AppendReply(dst)
	extra := 0
	if q.EDNS {
		opt := dnswire.OPT{DO: q.DO}
		if q.CookieState != dnswire.CookieNone {
			opt.ClientCookie, opt.ServerCookie = q.Cookie[:dnswire.ClientCookieLen], q.ServerCookie[:]
		}
		out = dnswire.AppendOPT(out, &opt)
		extra++
	}
	// NOERROR, whatever was to be said: who overlooks TC must not take it for a
	// name that does not exist.
	dnswire.PutHeader(out[len(dst):], q.ReplyFlags()|aa|dnswire.FlagTC, 0, 0, extra)
	o := &w.scratch.Outcome
	o.RCode, o.Counters, o.Targets = dnswire.NoError, nil, nil
	return out
}
