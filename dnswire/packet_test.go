package dnswire_test

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// The helpers below lay packets down byte by byte, well-formed or not.

// id is the ID of every packet that head starts.
const id = 0xbeef

func u16(v ...int) []byte {
	var b []byte
	for _, n := range v {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	return b
}

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// head is a header: flags, then QDCOUNT, ANCOUNT, NSCOUNT and ARCOUNT.
func head(flags, qd, an, ns, ar int) []byte { return u16(id, flags, qd, an, ns, ar) }

// wire is a name in wire form, its case kept; "" is the root.
func wire(labels ...string) []byte {
	var b []byte
	for _, l := range labels {
		b = append(append(b, byte(len(l))), l...)
	}
	return append(b, 0)
}

func question(name []byte, t dnswire.Type) []byte {
	return cat(name, u16(int(t), int(dnswire.ClassIN)))
}

// rr is a record of class IN with TTL 0.
func rr(owner []byte, t dnswire.Type, data []byte) []byte {
	return cat(owner, u16(int(t), 1, 0, 0, len(data)), data)
}

// opt is an OPT record; z is the flags with the DO bit.
func opt(size, version, z int, options ...[]byte) []byte {
	data := cat(options...)
	return cat([]byte{0}, u16(41, size, version, z, len(data)), data)
}

func option(code int, data ...byte) []byte { return cat(u16(code, len(data)), data) }

func ecs(family int, source, scope byte, addr ...byte) []byte {
	return option(8, cat(u16(family), []byte{source, scope}, addr)...)
}

var (
	example = wire("www", "example", "com")
	askA    = question(example, dnswire.TypeA)
	askEnd  = dnswire.HeaderLen + len(askA)

	edns = opt(1232, 0, 0)
	soa  = rr([]byte{0xc0, 12}, dnswire.TypeSOA, cat(wire(), wire(), make([]byte, 20)))
	tsig = rr(wire("key"), dnswire.TypeTSIG, cat(wire("hmac-sha256"), make([]byte, 16)))
	a    = rr([]byte{0xc0, 12}, dnswire.TypeA, []byte{192, 0, 2, 1})
)

// cookies are client and server cookies; sections of it are options of any length.
var cookies = []byte("clientcookie and a server's behind it, too long")

// withOPT is a query for www.example.com A with one record behind it.
func withOPT(record []byte) []byte { return cat(head(0, 1, 0, 0, 1), askA, record) }

// withECS is a query with one ECS option.
func withECS(family int, source, scope byte, addr ...byte) []byte {
	return withOPT(opt(1232, 0, 0, ecs(family, source, scope, addr...)))
}

// longest is a name of 255 bytes in n labels for n = 4 (the fewest) and 127
// (the most); over by one with extra 1.
func longest(n, extra int) []byte {
	if n == 127 {
		labels := strings.Split(strings.Repeat("x", 127), "")
		labels[126] += strings.Repeat("y", extra)
		return wire(labels...)
	}
	l := strings.Repeat("A", 63)
	return wire(l, l, l, l[:61+extra])
}

// packet is a packet and what Parse has to make of it.
type packet struct {
	name   string
	msg    []byte
	status dnswire.Status
	end    int // QuestionEnd; 0 for HeaderLen
}

// packets has a packet or more for every rule of Parse.
func packets() []packet {
	const (
		ok      = dnswire.StatusOK
		drop    = dnswire.StatusDrop
		formErr = dnswire.StatusFormErr
		notImp  = dnswire.StatusNotImp
		badVers = dnswire.StatusBadVers
		cookie  = dnswire.StatusCookieOnly
	)
	v6 := []byte{0x20, 1, 0xd, 0xb8, 1, 2, 3}
	withCookie := func(size int) []byte { return withOPT(opt(1232, 0, 0, option(10, cookies[:size]...))) }
	unasked := func(records ...[]byte) []byte { return cat(head(0, 0, 0, 0, len(records)), cat(records...)) }
	client := option(10, cookies[:8]...)
	ask := func(labels ...string) []byte {
		return cat(head(0, 1, 0, 0, 0), question(wire(labels...), dnswire.TypeA))
	}
	askType := func(t dnswire.Type) []byte {
		return cat(head(0, 1, 0, 0, 1), question(example, t), edns)
	}
	named := func(name []byte) []byte {
		return cat(head(0, 1, 0, 0, 0), question(name, dnswire.TypeA))
	}
	ixfr := question(example, dnswire.TypeIXFR)
	whole := cat(head(0, 1, 0, 0, 0), askA)
	long4, long127 := named(longest(4, 0)), named(longest(127, 0))

	return []packet{
		{"empty", nil, drop, 0},
		{"short-header", head(0, 1, 0, 0, 0)[:11], drop, 0},
		{"response", cat(head(0x8000, 1, 0, 0, 0), askA), drop, 0},
		{"response-notify", cat(head(0xa000, 1, 0, 0, 0), askA), drop, 0},

		{"opcode-iquery", cat(head(1<<11, 1, 0, 0, 0), askA), notImp, 0},
		{"opcode-notify", cat(head(4<<11, 1, 0, 0, 0), askA), notImp, 0},
		{"opcode-update", cat(head(5<<11, 1, 0, 0, 0), askA), notImp, 0},
		{"opcode-dso", head(6<<11, 0, 0, 0, 0), notImp, 0},
		{"opcode-15-garbage", cat(head(15<<11, 9, 9, 9, 9), []byte("?")), notImp, 0},

		{"header-only", head(0, 0, 0, 0, 0), formErr, 0},
		{"no-question", cat(head(0, 0, 0, 0, 1), edns), formErr, 0},
		{"two-questions", cat(head(0, 2, 0, 0, 0), askA, askA), formErr, 0},
		{"qdcount-256", cat(head(0, 256, 0, 0, 0), askA), formErr, 0},
		{"answer", cat(head(0, 1, 1, 0, 0), askA, a), formErr, askEnd},
		{"ancount-lies", cat(head(0, 1, 256, 0, 0), askA), formErr, askEnd},
		{"authority", cat(head(0, 1, 0, 1, 0), askA, soa), formErr, askEnd},
		{"ixfr", cat(head(0, 1, 0, 1, 0), ixfr, soa), ok, askEnd},
		{"ixfr-edns-tsig", cat(head(0, 1, 0, 1, 2), ixfr, soa, edns, tsig), ok, askEnd},
		{"ixfr-no-soa", cat(head(0, 1, 0, 0, 0), ixfr), ok, askEnd},
		{"ixfr-nscount-lies", cat(head(0, 1, 0, 2, 0), ixfr, soa), formErr, askEnd},
		{"ixfr-answer", cat(head(0, 1, 1, 0, 0), ixfr, soa), formErr, askEnd},

		{"plain", whole, ok, askEnd},
		{"flags-all", cat(head(0x07ff, 1, 0, 0, 0), askA), ok, askEnd},
		{"mixed-case", ask("wWw", "EXAMPLE", "cOm"), ok, askEnd},
		{"root", ask(), ok, 17},
		{"one-byte-label", ask("Z"), ok, 19},
		{"case-borders", ask("@AZ[`az{\x00\x7f\x80\xc1\xda\xff"), ok, 32},
		{"label-63", ask(strings.Repeat("M", 63)), ok, 81},
		{"label-64", ask(strings.Repeat("m", 64)), formErr, 0},
		{"label-extended", named([]byte{0x41, 1, 0}), formErr, 0},
		{"label-reserved", named([]byte{0x80, 1, 0}), formErr, 0},
		{"name-pointer", named([]byte{0xc0, 12}), formErr, 0},
		{"name-pointer-header", named([]byte{3, 'w', 'w', 'w', 0xc0, 0}), formErr, 0},
		{"name-255-4", long4, ok, 12 + 255 + 4},
		{"name-255-127", long127, ok, 12 + 255 + 4},
		{"name-256-4", named(longest(4, 1)), formErr, 0},
		{"name-256-127", named(longest(127, 1)), formErr, 0},
		{"name-257-128", named(wire(strings.Split(strings.Repeat("x", 128), "")...)), formErr, 0},
		{"name-endless", named(bytes.Repeat([]byte{1, 'x'}, 400)), formErr, 0},
		{"name-absent", whole[:12], formErr, 0},
		{"name-cut", whole[:20], formErr, 0},
		{"name-no-root", whole[:28], formErr, 0},
		{"no-type", whole[:29], formErr, 0},
		{"type-cut", whole[:30], formErr, 0},
		{"no-class", whole[:31], formErr, 0},
		{"class-cut", whole[:32], formErr, 0},
		{"name-255-cut", long4[:len(long4)-1], formErr, 0},
		{"trailing-byte", append(bytes.Clone(whole), 0), formErr, askEnd},
		{"trailing-opt", cat(whole, edns), formErr, askEnd},
		{"trailing-after-opt", append(withOPT(edns), 0), formErr, askEnd},

		{"edns", withOPT(edns), ok, askEnd},
		{"edns-do-unknown-flags", withOPT(opt(4096, 0, 0xffff)), ok, askEnd},
		{"edns-rcode-ignored", withOPT(opt(4096, 0xff00, 0)), ok, askEnd},
		{"edns-size-0", withOPT(opt(0, 0, 0)), ok, askEnd},
		{"edns-mixed-case", cat(head(0, 1, 0, 0, 1), question(wire("MAIL", "Example", "ORG"), dnswire.TypeMX), edns), ok, 34},
		{"edns-unknown-options", withOPT(opt(1232, 0, 0, option(65001, 1, 2, 3), option(0), option(12, make([]byte, 40)...))), ok, askEnd},
		{"edns-cookie", withCookie(8), ok, askEnd},
		{"edns-nsid", withOPT(opt(1232, 0, 0, option(3))), ok, askEnd},
		{"edns-nsid-filled", withOPT(opt(1232, 0, 0, option(3, 'x'))), ok, askEnd},
		{"edns-owner", withOPT(cat(wire("x"), edns[1:])), formErr, askEnd},
		{"edns-owner-pointer", withOPT(cat([]byte{0xc0, 28}, edns[1:])), formErr, askEnd},
		{"edns-two", cat(head(0, 1, 0, 0, 2), askA, edns, edns), formErr, askEnd},
		{"edns-two-apart", cat(head(0, 1, 0, 0, 3), askA, edns, a, edns), formErr, askEnd},
		{"edns-version-1", withOPT(opt(1232, 1, 0x8000)), badVers, askEnd},
		{"edns-version-255", withOPT(opt(1232, 255, 0)), badVers, askEnd},
		{"edns-version-1-bad-option", withOPT(opt(1232, 1, 0, []byte{0, 8, 0})), badVers, askEnd},
		{"edns-version-1-bad-ecs", withOPT(opt(1232, 1, 0, ecs(9, 9, 9))), badVers, askEnd},
		{"edns-version-1-qtype-opt", cat(head(0, 1, 0, 0, 1), question(example, dnswire.TypeOPT), opt(512, 1, 0)), badVers, askEnd},
		{"edns-version-1-trailing", append(withOPT(opt(1232, 1, 0)), 0), formErr, askEnd},
		{"edns-version-1-two", cat(head(0, 1, 0, 0, 2), askA, opt(1232, 1, 0), edns), formErr, askEnd},
		{"edns-cut", withOPT(edns[:10]), formErr, askEnd},
		{"edns-absent", withOPT(nil), formErr, askEnd},
		{"edns-data-cut", withOPT(cat(edns[:9], u16(4))), formErr, askEnd},
		{"edns-option-head-cut", withOPT(opt(1232, 0, 0, []byte{0, 3, 0})), formErr, askEnd},
		{"edns-option-cut", withOPT(opt(1232, 0, 0, u16(3, 1))), formErr, askEnd},
		{"edns-second-option-cut", withOPT(opt(1232, 0, 0, option(3), u16(65001, 65535), []byte{1})), formErr, askEnd},

		{"ecs-v4-24", withECS(1, 24, 0, 192, 0, 2), ok, askEnd},
		{"ecs-v4-32", withECS(1, 32, 0, 192, 0, 2, 255), ok, askEnd},
		{"ecs-v4-20", withECS(1, 20, 0, 192, 0, 0xf0), ok, askEnd},
		{"ecs-v4-1", withECS(1, 1, 0, 0x80), ok, askEnd},
		{"ecs-v4-0", withECS(1, 0, 0), ok, askEnd},
		{"ecs-v6-56", withECS(2, 56, 0, v6...), ok, askEnd},
		{"ecs-v6-49", withECS(2, 49, 0, 0x20, 1, 0xd, 0xb8, 1, 2, 0x80), ok, askEnd},
		{"ecs-v6-128", withECS(2, 128, 0, bytes.Repeat([]byte{0xff}, 16)...), ok, askEnd},
		{"ecs-v6-0", withECS(2, 0, 0), ok, askEnd},
		{"ecs-family-0", withECS(0, 0, 0), ok, askEnd},
		{"ecs-nsid", withOPT(opt(1232, 0, 0x8000, ecs(1, 8, 0, 10), option(3))), ok, askEnd},
		{"ecs-family-0-source", withECS(0, 8, 0, 10), formErr, askEnd},
		{"ecs-family-0-address", withECS(0, 0, 0, 0), formErr, askEnd},
		{"ecs-family-0-scope", withECS(0, 0, 1), formErr, askEnd},
		{"ecs-family-3", withECS(3, 24, 0, 192, 0, 2), formErr, askEnd},
		{"ecs-family-3-empty", withECS(3, 0, 0), formErr, askEnd},
		{"ecs-family-257", withECS(257, 24, 0, 192, 0, 2), formErr, askEnd},
		{"ecs-v4-33", withECS(1, 33, 0, 192, 0, 2, 1, 0), formErr, askEnd},
		{"ecs-v6-129", withECS(2, 129, 0, make([]byte, 17)...), formErr, askEnd},
		{"ecs-scope", withECS(1, 24, 24, 192, 0, 2), formErr, askEnd},
		{"ecs-long", withECS(1, 24, 0, 192, 0, 2, 0), formErr, askEnd},
		{"ecs-short", withECS(1, 24, 0, 192, 0), formErr, askEnd},
		{"ecs-0-address", withECS(1, 0, 0, 0), formErr, askEnd},
		{"ecs-v4-20-bits", withECS(1, 20, 0, 192, 0, 0xf8), formErr, askEnd},
		{"ecs-v4-31-bits", withECS(1, 31, 0, 192, 0, 2, 1), formErr, askEnd},
		{"ecs-v6-49-bits", withECS(2, 49, 0, 0x20, 1, 0xd, 0xb8, 1, 2, 0xc0), formErr, askEnd},
		{"ecs-empty", withOPT(opt(1232, 0, 0, option(8))), formErr, askEnd},
		{"ecs-head-cut", withOPT(opt(1232, 0, 0, option(8, 0, 1, 24))), formErr, askEnd},
		{"ecs-two", withOPT(opt(1232, 0, 0, ecs(1, 8, 0, 10), ecs(1, 8, 0, 10))), formErr, askEnd},
		{"ecs-two-family-0", withOPT(opt(1232, 0, 0, ecs(0, 0, 0), ecs(0, 0, 0))), formErr, askEnd},

		{"cookie-16", withCookie(16), ok, askEnd},
		{"cookie-24", withCookie(24), ok, askEnd},
		{"cookie-40", withCookie(40), ok, askEnd},
		{"cookie-0", withCookie(0), formErr, askEnd},
		{"cookie-7", withCookie(7), formErr, askEnd},
		{"cookie-9", withCookie(9), formErr, askEnd},
		{"cookie-15", withCookie(15), formErr, askEnd},
		{"cookie-41", withCookie(41), formErr, askEnd},
		{"cookie-two", withOPT(opt(1232, 0, 0, client, option(10, cookies[8:32]...))), ok, askEnd},
		{"cookie-second-malformed", withOPT(opt(1232, 0, 0, client, option(10), option(10, 1), option(10, make([]byte, 41)...))), ok, askEnd},
		{"cookie-first-malformed", withOPT(opt(1232, 0, 0, option(10), client)), formErr, askEnd},
		{"cookie-ecs-malformed", withOPT(opt(1232, 0, 0, client, ecs(9, 9, 9))), formErr, askEnd},
		{"cookie-version-1", withOPT(opt(1232, 1, 0, option(10, 1))), badVers, askEnd},
		{"cookie-only", unasked(opt(1232, 0, 0, client)), cookie, 0},
		{"cookie-only-40", unasked(opt(1232, 0, 0, option(3), option(10, cookies[:40]...))), cookie, 0},
		{"cookie-only-tsig", unasked(opt(1232, 0, 0, client), tsig), cookie, 0},
		{"cookie-only-version-1", unasked(opt(1232, 1, 0, client)), badVers, 0},
		{"cookie-only-malformed", unasked(opt(1232, 0, 0, option(10, 1))), formErr, 0},
		{"cookie-only-two", unasked(opt(1232, 0, 0, client), edns), formErr, 0},
		{"cookie-only-trailing", append(unasked(opt(1232, 0, 0, client)), 0), formErr, 0},
		{"cookie-only-answer", cat(head(0, 0, 1, 0, 1), a, opt(1232, 0, 0, client)), formErr, 0},
		{"cookie-only-authority", cat(head(0, 0, 0, 1, 1), soa, opt(1232, 0, 0, client)), formErr, 0},
		{"no-question-a", unasked(a), formErr, 0},

		{"keepalive", withOPT(opt(1232, 0, 0, option(11))), ok, askEnd},
		{"keepalive-filled", withOPT(opt(1232, 0, 0, option(11, 0, 9))), ok, askEnd}, // over UDP
		{"padding", withOPT(opt(1232, 0, 0, option(12, 0, 1, 2))), ok, askEnd},
		{"padding-empty", withOPT(opt(1232, 0, 0, option(12))), ok, askEnd},
		{"zoneversion", withOPT(opt(1232, 0, 0, option(19))), ok, askEnd},
		{"zoneversion-filled", withOPT(opt(1232, 0, 0, option(19, 2, 0, 0, 0, 0, 1))), formErr, askEnd},
		{"zoneversion-one-byte", withOPT(opt(1232, 0, 0, option(19, 2))), formErr, askEnd},
		{"zoneversion-two", withOPT(opt(1232, 0, 0, option(19), option(19))), formErr, askEnd},
		{"report-channel", withOPT(opt(1232, 0, 0, option(18, example...))), ok, askEnd},
		{"options-all", withOPT(opt(1232, 0, 0x8000, option(3), ecs(1, 8, 0, 10), client, option(11), option(19), option(12, 0, 0))), ok, askEnd},

		{"tsig", cat(head(0, 1, 0, 0, 2), askA, edns, tsig), ok, askEnd},
		{"additional-a", withOPT(a), ok, askEnd},
		{"additional-name", cat(head(0, 1, 0, 0, 2), askA, rr(example, dnswire.TypeA, []byte{1, 2, 3, 4}), edns), ok, askEnd},
		{"additional-half-pointer-name", withOPT(rr([]byte{1, 'x', 0xc0, 16}, dnswire.TypeTXT, []byte{0})), ok, askEnd},
		{"additional-loop", cat(head(0, 1, 0, 0, 2), askA, rr([]byte{0xc0, byte(askEnd)}, dnswire.TypeA, nil), edns), ok, askEnd},
		{"additional-name-255", withOPT(rr(longest(4, 0), dnswire.TypeA, nil)), ok, askEnd},
		{"additional-name-256", withOPT(rr(longest(4, 1), dnswire.TypeA, nil)), formErr, askEnd},
		{"additional-name-extended", withOPT(rr([]byte{0x41, 0}, dnswire.TypeA, nil)), formErr, askEnd},
		{"additional-name-reserved", withOPT(rr([]byte{0xbf, 0}, dnswire.TypeA, nil)), formErr, askEnd},
		{"additional-name-cut", withOPT([]byte{5, 'x'}), formErr, askEnd},
		{"additional-pointer-cut", withOPT([]byte{0xc0}), formErr, askEnd},
		{"additional-fixed-cut", withOPT(a[:11]), formErr, askEnd},
		{"additional-data-cut", withOPT(a[:len(a)-1]), formErr, askEnd},
		{"arcount-lies", cat(head(0, 1, 0, 0, 65535), askA, edns), formErr, askEnd},

		{"qtype-opt", askType(dnswire.TypeOPT), formErr, askEnd},
		{"qtype-nxname", askType(dnswire.TypeNXNAME), formErr, askEnd},
		{"qtype-any", askType(dnswire.TypeANY), ok, askEnd},
		{"qtype-65280", askType(65280), ok, askEnd},
		{"qtype-0", askType(0), ok, askEnd},
	}
}
