package dnswire_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/miekg/dns"
	"github.com/rhumb-dns/rhumb/dnswire"
)

func parsed(t testing.TB, msg []byte) *dnswire.Query {
	t.Helper()
	q := new(dnswire.Query)
	q.Parse(msg)
	return q
}

func TestAppendReply(t *testing.T) {
	tests := []struct {
		name string
		msg  []byte
		want []byte
	}{
		{"question in its case", find(t, "mixed-case"), cat(head(0x8000, 1, 0, 0, 0), question(wire("wWw", "EXAMPLE", "cOm"), 1))},
		{"RD and CD copied, the rest not", cat(head(0x07ff, 1, 0, 0, 0), askA), cat(head(0x8110, 1, 0, 0, 0), askA)},
		{"no RD, no CD", cat(head(0x06ef, 1, 0, 0, 0), askA), cat(head(0x8000, 1, 0, 0, 0), askA)},
		{"records left out", find(t, "tsig"), cat(head(0x8000, 1, 0, 0, 0), askA)},
		{"question before an error", find(t, "trailing-byte"), cat(head(0x8000, 1, 0, 0, 0), askA)},
		{"no question", find(t, "name-cut"), head(0x8000, 0, 0, 0, 0)},
		{"two questions", find(t, "two-questions"), head(0x8000, 0, 0, 0, 0)},
		{"a cookie only", find(t, "cookie-only"), head(0x8000, 0, 0, 0, 0)},
		{"opcode copied", cat(head(5<<11|0x100, 1, 0, 0, 0), askA), head(0x8000|5<<11|0x100, 0, 0, 0, 0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := parsed(t, tt.msg)
			for _, before := range []string{"", "xy"} { // over TCP a length stands before
				out := q.AppendReply([]byte(before))
				if want := before + string(tt.want); string(out) != want {
					t.Errorf("got  %x\nwant %x", out, want)
				}
			}
		})
	}
}

func TestLimit(t *testing.T) {
	sized := func(size int) []byte { return withOPT(opt(size, 0, 0)) }
	tests := []struct {
		msg       []byte
		transport dnswire.Transport
		want      int
	}{
		{find(t, "plain"), dnswire.UDP, 512},
		{find(t, "plain"), dnswire.TCP, 65535},
		{sized(0), dnswire.UDP, 512},
		{sized(511), dnswire.UDP, 512},
		{sized(513), dnswire.UDP, 513},
		{sized(1231), dnswire.UDP, 1231},
		{sized(1233), dnswire.UDP, 1232},
		{sized(65535), dnswire.UDP, 1232},
		{sized(600), dnswire.TCP, 65535},
		{find(t, "plain"), dnswire.TLS, 65535},
		{sized(600), dnswire.TLS, 65535},
		{find(t, "opcode-notify"), dnswire.UDP, 512},
	}
	for _, tt := range tests {
		q := parsed(t, tt.msg)
		q.Transport = tt.transport
		if got := q.Limit(); got != tt.want {
			t.Errorf("EDNS %v size %d over %d: %d, want %d", q.EDNS, q.UDPSize, tt.transport, got, tt.want)
		}
	}
}

func TestPutHeader(t *testing.T) {
	msg := head(0x8110, 1, 7, 7, 7)
	dnswire.PutHeader(msg, 0x8710|uint16(dnswire.Refused), 300, 2, 256)
	if want := head(0x8715, 1, 300, 2, 256); !bytes.Equal(msg, want) {
		t.Errorf("%x, want %x", msg, want)
	}
	if plain, whole := dnswire.AppendPlainOPT(nil, dnswire.BadVers, true), dnswire.AppendOPT(nil, &dnswire.OPT{RCode: dnswire.BadVers, DO: true}); !bytes.Equal(plain, whole) || len(plain) != dnswire.PlainOPT {
		t.Errorf("plain OPT %x, want %x", plain, whole)
	}
	if plain, whole := dnswire.AppendPlainOPT(nil, 0, false), dnswire.AppendOPT(nil, &dnswire.OPT{}); !bytes.Equal(plain, whole) {
		t.Errorf("plain OPT %x, want %x", plain, whole)
	}
}

func TestAppendOPT(t *testing.T) {
	v6 := dnswire.ECS{Present: true, Family: 2, SourceBits: 49, Addr: [16]byte{0x20, 1, 0xd, 0xb8, 1, 2, 0x80}}
	v4 := dnswire.ECS{Present: true, Family: 1, SourceBits: 24, Addr: [16]byte{192, 0, 2}}
	tests := []struct {
		name string
		opt  dnswire.OPT
		want []byte
	}{
		{"zero", dnswire.OPT{}, opt(1232, 0, 0)},
		{"DO", dnswire.OPT{DO: true}, opt(1232, 0, 0x8000)},
		{"low rcode", dnswire.OPT{RCode: dnswire.Refused}, opt(1232, 0, 0)},
		{"BADVERS", dnswire.OPT{RCode: dnswire.BadVers}, opt(1232, 0x0100, 0)},
		{"BADCOOKIE", dnswire.OPT{RCode: dnswire.BadCookie}, opt(1232, 0x0100, 0)},
		{"highest rcode", dnswire.OPT{RCode: 0xff7}, opt(1232, 0xff00, 0)},
		{"NSID", dnswire.OPT{NSID: "fra\x00\xff"}, opt(1232, 0, 0, option(3, 'f', 'r', 'a', 0, 0xff))},
		{"ECS v4", dnswire.OPT{ECS: &v4, Scope: 22}, opt(1232, 0, 0, ecs(1, 24, 22, 192, 0, 2))},
		{"ECS v6", dnswire.OPT{ECS: &v6, Scope: 56}, opt(1232, 0, 0, ecs(2, 49, 56, 0x20, 1, 0xd, 0xb8, 1, 2, 0x80))},
		{"ECS family 0", dnswire.OPT{ECS: &dnswire.ECS{Present: true}}, opt(1232, 0, 0, ecs(0, 0, 0))},
		{"ECS not sent", dnswire.OPT{ECS: &dnswire.ECS{}, Scope: 24}, opt(1232, 0, 0)},
		{"EDE", dnswire.OPT{EDE: dnswire.EDEProhibited}, opt(1232, 0, 0, option(15, 0, 18))},
		{"EDE with text", dnswire.OPT{EDE: 0x1234, EDEText: "why"}, opt(1232, 0, 0, option(15, 0x12, 0x34, 'w', 'h', 'y'))},
		{"EDE other with text", dnswire.OPT{EDEText: "why"}, opt(1232, 0, 0, option(15, 0, 0, 'w', 'h', 'y'))},
		{"cookies", dnswire.OPT{ClientCookie: cookies[:8], ServerCookie: cookies[8:24]}, opt(1232, 0, 0, option(10, cookies[:24]...))},
		{"no client cookie", dnswire.OPT{ServerCookie: cookies[8:24]}, opt(1232, 0, 0)},
		{"keepalive", dnswire.OPT{HasKeepalive: true, Keepalive: 0x1234}, opt(1232, 0, 0, option(11, 0x12, 0x34))},
		{"keepalive 0", dnswire.OPT{HasKeepalive: true}, opt(1232, 0, 0, option(11, 0, 0))},
		{"keepalive not sent", dnswire.OPT{Keepalive: 9}, opt(1232, 0, 0)},
		{"report channel", dnswire.OPT{ReportChannel: dnswire.Name(example)}, opt(1232, 0, 0, option(18, example...))},
		{
			"zone version",
			dnswire.OPT{ZoneVersion: dnswire.ZoneVersion{Present: true, Labels: 2, Serial: 2023073001}},
			opt(1232, 0, 0, option(19, 2, 0, 0x78, 0x95, 0xa4, 0xe9)), // RFC 9660 section 5
		},
		{"zone version of the root", dnswire.OPT{ZoneVersion: dnswire.ZoneVersion{Present: true}}, opt(1232, 0, 0, option(19, 0, 0, 0, 0, 0, 0))},
		{"zone version not sent", dnswire.OPT{ZoneVersion: dnswire.ZoneVersion{Labels: 2, Serial: 1}}, opt(1232, 0, 0)},
		{"padding", dnswire.OPT{HasPad: true, Pad: 300}, opt(1232, 0, 0, option(12, make([]byte, 300)...))},
		{"padding 0", dnswire.OPT{HasPad: true}, opt(1232, 0, 0, option(12))},
		{"padding not sent", dnswire.OPT{Pad: 3}, opt(1232, 0, 0)},
		{
			"all",
			dnswire.OPT{
				RCode: dnswire.BadVers, DO: true, NSID: "a", ECS: &v4, Scope: 24, EDE: dnswire.EDEOther, EDEText: "b",
				ClientCookie: cookies[:8], ServerCookie: cookies[8:24], HasKeepalive: true, Keepalive: 1,
				ReportChannel: "\x01x\x00", ZoneVersion: dnswire.ZoneVersion{Present: true, Labels: 1, Serial: 2}, HasPad: true, Pad: 2,
			},
			opt(1232, 0x0100, 0x8000, option(3, 'a'), ecs(1, 24, 24, 192, 0, 2), option(15, 0, 0, 'b'),
				option(10, cookies[:24]...), option(11, 0, 1), option(18, 1, 'x', 0), option(19, 1, 0, 0, 0, 0, 2), option(12, 0, 0)),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dirty := append([]byte("xy"), bytes.Repeat([]byte{0xff}, 600)...) // an old answer
			got := dnswire.AppendOPT(dirty[:2], &tt.opt)
			if want := append([]byte("xy"), tt.want...); !bytes.Equal(got, want) {
				t.Errorf("got  %x\nwant %x", got, want)
			}
			if tt.opt.Len() != len(tt.want) {
				t.Errorf("Len %d, want %d", tt.opt.Len(), len(tt.want))
			}
		})
	}
}

// checkReply builds an answer to q with every option in it, and has miekg/dns
// read it.
func checkReply(t *testing.T, q *dnswire.Query) {
	t.Helper()
	out := q.AppendReply(nil)
	o := dnswire.OPT{
		RCode: dnswire.BadVers, DO: q.DO, NSID: "site-1", ECS: &q.ECS, Scope: q.ECS.SourceBits,
		EDE: dnswire.EDEProhibited, EDEText: "no",
		Keepalive: q.ID | 1, HasKeepalive: true, ReportChannel: "\x03err\x04test\x00",
		ZoneVersion: dnswire.ZoneVersion{Present: true, Labels: uint8(q.Labels()), Serial: 1<<31 | uint32(q.ID)},
		Pad:         int(q.ID % 500), HasPad: true,
	}
	if q.Cookie != nil {
		o.ClientCookie, o.ServerCookie = q.Cookie[:dnswire.ClientCookieLen], cookies[:dnswire.ServerCookieLen]
	}
	out = dnswire.AppendOPT(out, &o)
	dnswire.PutHeader(out, q.ReplyFlags()|dnswire.FlagAA|uint16(dnswire.BadVers&0xf), 0, 0, 1)

	var m dns.Msg
	if err := m.Unpack(out); err != nil {
		t.Fatalf("reply %x: %v", out, err)
	}
	if m.Id != q.ID || !m.Response || !m.Authoritative || m.Opcode != int(q.Flags>>11&0xf) ||
		m.RecursionDesired != (q.Flags&dnswire.FlagRD != 0) || m.CheckingDisabled != (q.Flags&dnswire.FlagCD != 0) ||
		m.Truncated || m.RecursionAvailable || m.AuthenticatedData || m.Zero || m.Rcode != dns.RcodeBadVers {
		t.Errorf("reply header %+v to flags %#x", m.MsgHdr, q.Flags)
	}
	if wantQuestion := q.QuestionEnd > dnswire.HeaderLen; wantQuestion != (len(m.Question) == 1) {
		t.Errorf("reply has %d questions", len(m.Question))
	}
	if len(m.Question) == 1 && !bytes.Equal(out[dnswire.HeaderLen:q.QuestionEnd], q.Msg[dnswire.HeaderLen:q.QuestionEnd]) {
		t.Error("reply has another question")
	}
	edns := m.IsEdns0()
	if edns == nil || edns.Do() != q.DO || edns.UDPSize() != dnswire.MaxUDP || edns.Version() != 0 {
		t.Fatalf("reply OPT %v", edns)
	}
	want := 6
	if q.ECS.Present {
		want++
	}
	if q.Cookie != nil {
		want++
	}
	if len(edns.Option) != want {
		t.Errorf("reply has %d options, want %d", len(edns.Option), want)
	}
	for _, option := range edns.Option {
		good := true
		switch option := option.(type) {
		case *dns.EDNS0_SUBNET:
			checkECS(t, q, option, q.ECS.SourceBits)
		case *dns.EDNS0_NSID:
			good = option.Nsid == hex.EncodeToString([]byte(o.NSID))
		case *dns.EDNS0_EDE:
			good = option.InfoCode == uint16(o.EDE) && option.ExtraText == o.EDEText
		case *dns.EDNS0_COOKIE:
			good = option.Cookie == hex.EncodeToString(cat(o.ClientCookie, o.ServerCookie))
		case *dns.EDNS0_TCP_KEEPALIVE:
			good = option.Timeout == o.Keepalive
		case *dns.EDNS0_REPORTING:
			good = option.AgentDomain == o.ReportChannel.String()
		case *dns.EDNS0_ZONEVERSION:
			good = option.LabelCount == o.ZoneVersion.Labels && option.Type == 0 &&
				option.Version == string(binary.BigEndian.AppendUint32(nil, o.ZoneVersion.Serial))
		case *dns.EDNS0_PADDING:
			good = bytes.Equal(option.Padding, make([]byte, o.Pad))
		default:
			good = false
		}
		if !good {
			t.Errorf("reply has option %d %v of %+v", option.Option(), option, o)
		}
	}
	if last := edns.Option[len(edns.Option)-1].Option(); last != dns.EDNS0PADDING {
		t.Errorf("the last option is %d, not the padding", last)
	}
}

// checkECS compares the option of q with what miekg/dns read.
func checkECS(t *testing.T, q *dnswire.Query, s *dns.EDNS0_SUBNET, scope uint8) {
	t.Helper()
	addr := s.Address.To16()
	if s.Family != 2 {
		addr = append(s.Address.To4(), make([]byte, 12)...)
	}
	if !q.ECS.Present || s.Family != q.ECS.Family || s.SourceNetmask != q.ECS.SourceBits ||
		s.SourceScope != scope || !bytes.Equal(addr, q.ECS.Addr[:]) {
		t.Errorf("miekg/dns has ECS %+v, we have %+v", s, q.ECS)
	}
}

func TestReplyUnpacks(t *testing.T) {
	for _, p := range packets() {
		if p.status == dnswire.StatusDrop {
			continue
		}
		t.Run(p.name, func(t *testing.T) { checkReply(t, parsed(t, p.msg)) })
	}
}
