package server

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"math/bits"

	"github.com/rhumb-dns/rhumb/dnswire"
)

const (
	// cookieVersion is the construction that RFC 9018 section 4.1 defines.
	cookieVersion = 1
	// A cookie holds from cookieEarly seconds before the time in it, because the
	// clocks of servers behind one address differ, to cookieAge seconds after, and
	// goes back as it is for the first cookieFresh of them (RFC 9018 section 4.3).
	cookieEarly = 5 * 60
	cookieAge   = 60 * 60
	cookieFresh = 30 * 60
)

// cookies checks and makes server cookies by RFC 9018.
type cookies struct {
	// own is the secret for a table that has none. It is of this process, so that
	// a reload of the configuration leaves the cookies good.
	own [1][16]byte
}

func newCookies() *cookies {
	c := &cookies{}
	_, _ = rand.Read(c.own[0][:]) // never fails: a system without randomness ends the program
	return c
}

// check sets the CookieState of q, which has a cookie, and the ServerCookie for
// its answer. The first of the secrets makes cookies, all of them verify; none
// is the process's own. Now is in seconds since 1970, modulo 2^32.
func (c *cookies) check(q *dnswire.Query, secrets [][16]byte, now uint32) {
	if len(secrets) == 0 {
		secrets = c.own[:]
	}
	q.CookieState = dnswire.CookieUnverified
	h := newCookieHash(q)
	if theirs := q.Cookie[dnswire.ClientCookieLen:]; len(theirs) == dnswire.ServerCookieLen && theirs[0] == cookieVersion {
		// The difference is one of serial numbers (RFC 1982), as RFC 9018 section
		// 4.3 says MUST.
		age := int32(now - binary.BigEndian.Uint32(theirs[4:]))
		if -cookieEarly <= age && age <= cookieAge {
			for i := range secrets {
				// The reserved bytes count as they came (section 4.2).
				h.sum(&q.ServerCookie, &secrets[i], theirs[:8])
				if subtle.ConstantTimeCompare(q.ServerCookie[:], theirs) == 0 {
					continue
				}
				q.CookieState = dnswire.CookieValid
				if i == 0 && age <= cookieFresh {
					return
				}
				break
			}
		}
	}
	fields := [8]byte{0: cookieVersion}
	binary.BigEndian.PutUint32(fields[4:], now)
	h.sum(&q.ServerCookie, &secrets[0], fields[:])
}

// cookieHash is what the hash of a cookie is made of: the client cookie, the
// fields of the server cookie before the hash, and the client's address, of 4
// or 16 bytes (RFC 9018 section 4.4).
type cookieHash struct {
	msg [8 + 8 + 16]byte
	n   int
}

func newCookieHash(q *dnswire.Query) (h cookieHash) {
	copy(h.msg[:8], q.Cookie[:dnswire.ClientCookieLen])
	if a := q.Client.Addr().Unmap(); a.Is4() {
		ip := a.As4()
		h.n = 16 + copy(h.msg[16:], ip[:])
	} else {
		ip := a.As16()
		h.n = 16 + copy(h.msg[16:], ip[:])
	}
	return h
}

// sum makes the server cookie with these fields.
func (h *cookieHash) sum(cookie *[dnswire.ServerCookieLen]byte, secret *[16]byte, fields []byte) {
	copy(h.msg[8:16], fields)
	copy(cookie[:8], fields)
	binary.LittleEndian.PutUint64(cookie[8:], sipHash(secret, h.msg[:h.n]))
}

// sipHash is SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input
// PRF", 2012).
func sipHash(key *[16]byte, msg []byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])
	s := sipState{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	last := uint64(len(msg)) << 56
	for ; len(msg) >= 8; msg = msg[8:] {
		s = s.block(binary.LittleEndian.Uint64(msg))
	}
	for i, b := range msg {
		last |= uint64(b) << (8 * i)
	}
	s = s.block(last)
	s.v2 ^= 0xff
	s = s.block(0).block(0) // four rounds
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

type sipState struct{ v0, v1, v2, v3 uint64 }

// block takes in eight bytes of the message, with two rounds.
func (s sipState) block(m uint64) sipState {
	s.v3 ^= m
	s = s.round().round()
	s.v0 ^= m
	return s
}

func (s sipState) round() sipState {
	s.v0 += s.v1
	s.v2 += s.v3
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v1
	s.v0 += s.v3
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 = bits.RotateLeft64(s.v2, 32)
	return s
}

// checkCookie checks the cookie of the query at hand.
func (w *worker) checkCookie() {
	w.s.cookies.check(&w.q, w.snap.Table.CookieSecrets, uint32(w.watch.time().Unix()))
}
