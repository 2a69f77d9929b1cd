package dnswire

import "encoding/binary"

// AppendReply appends the start of an answer to q: a header with its ID, opcode
// and RD and CD bits, QR set and every other bit zero, and its question byte for
// byte. The counts are zero but for QDCOUNT, which is 1 unless q has no question
// that could be read. CD is copied because RFC 4035 section 3 says MUST; its
// section 3.1.6, for authoritative answers, says SHOULD clear.
//
// The message starts at len(dst), so dst[len(dst):] of the result is what
// PutHeader takes. A query with StatusDrop has no answer.
func (q *Query) AppendReply(dst []byte) []byte {
	flags := q.ReplyFlags()
	if q.QuestionEnd <= HeaderLen {
		return append(dst,
			byte(q.ID>>8), byte(q.ID), byte(flags>>8), byte(flags),
			0, 0, 0, 0, 0, 0, 0, 0)
	}
	dst = append(dst,
		byte(q.ID>>8), byte(q.ID), byte(flags>>8), byte(flags),
		0, 1, 0, 0, 0, 0, 0, 0)
	return append(dst, q.Msg[HeaderLen:q.QuestionEnd]...)
}

// ReplyFlags is the second word of an answer's header as AppendReply has it.
func (q *Query) ReplyFlags() uint16 { return FlagQR | q.Flags&(opcodeMask|FlagRD|FlagCD) }

// Limit is the length in bytes of the largest answer that the client takes:
// 512 over UDP without EDNS (RFC 1035 section 4.2.1), and with it what the
// client stated, but not below 512 (RFC 6891 section 6.2.3) nor above MaxUDP.
func (q *Query) Limit() int {
	switch {
	case q.Transport != UDP:
		return MaxTCP
	case !q.EDNS:
		return minUDP
	}
	return max(minUDP, min(int(q.UDPSize), MaxUDP))
}

// PutHeader completes the header of msg, a whole message: its second word, with
// the low four bits of the code, whose upper bits go in the OPT record, and the
// numbers of records. QDCOUNT stays.
func PutHeader(msg []byte, flags uint16, an, ns, ar int) {
	_ = msg[HeaderLen-1]
	binary.BigEndian.PutUint16(msg[2:], flags)
	binary.BigEndian.PutUint32(msg[6:], uint32(an)<<16|uint32(uint16(ns)))
	binary.BigEndian.PutUint16(msg[10:], uint16(ar))
}

// EDE is an extended DNS error's info code (RFC 8914 section 4).
type EDE uint16

// The extended errors that say something about an authoritative answer.
const (
	EDEOther                EDE = 0
	EDEStaleAnswer          EDE = 3
	EDEForgedAnswer         EDE = 4
	EDENotReady             EDE = 14
	EDEBlocked              EDE = 15
	EDECensored             EDE = 16
	EDEFiltered             EDE = 17
	EDEProhibited           EDE = 18
	EDENotAuthoritative     EDE = 20
	EDENotSupported         EDE = 21
	EDENoReachableAuthority EDE = 22
	EDENetworkError         EDE = 23
	EDEInvalidData          EDE = 24
	EDESynthesized          EDE = 29
	EDEInvalidQueryType     EDE = 30 // RFC 9824 section 3.5, for NXNAME
	EDERateLimited          EDE = 31
	EDEOverQuota            EDE = 32
)

// OPT is the content of an answer's OPT record (RFC 6891 section 6.1.2). The
// zero value is an OPT record without options.
type OPT struct {
	RCode RCode // the whole code; the record carries what is above the low four bits
	DO    bool  // as in the query (RFC 3225 section 3)

	// NSID is the server's identity, raw bytes; empty for no option.
	NSID string

	// ECS is the query's option, which goes back with Scope in it, the number of
	// bits of the address that the answer is for. Nil or not Present for no
	// option.
	ECS   *ECS
	Scope uint8

	// EDE and EDEText (UTF-8) are an extended error. There is no option when
	// both are zero: code 0 is "other error", which says nothing without a text.
	EDE     EDE
	EDEText string

	// ClientCookie and ServerCookie make the COOKIE option (RFC 7873 section 4).
	// ClientCookie is the first 8 bytes of the query's; empty for no option.
	ClientCookie []byte
	ServerCookie []byte

	// Keepalive is how long an idle connection stays open, in units of 100 ms
	// (RFC 7828 section 3.1). 0 asks the client to close it, so whether there is
	// an option is a word of its own.
	Keepalive    uint16
	HasKeepalive bool

	// ReportChannel is the agent domain that resolvers report errors to (RFC 9567
	// section 5); no name for no option.
	ReportChannel Name

	ZoneVersion ZoneVersion

	// Pad is the number of zero bytes in a Padding option (RFC 7830), which is the
	// last one. It may be 0: HasPad is whether there is an option.
	Pad    int
	HasPad bool
}

// ZoneVersion is the content of a ZONEVERSION option of the type SOA-SERIAL
// (RFC 9660 sections 2.1 and 4).
type ZoneVersion struct {
	Present bool
	// Labels is how many labels the name of the zone has, the root not counted.
	// They are the last ones of the question's name.
	Labels uint8
	Serial uint32 // of the zone's SOA record
}

// optFixed is the length of an OPT record without options: the root, type,
// class, TTL and data length.
const optFixed = 1 + rrFixed

// optionHead is the length of an option's code and length.
const optionHead = 4

// The lengths of options' contents that are always the same.
const (
	keepaliveLen   = 2
	zoneVersionLen = 6
	// zoneVersionSerial is the type SOA-SERIAL (RFC 9660 section 4).
	zoneVersionSerial = 0
)

// Len is the length in bytes of the record that AppendOPT appends.
func (o *OPT) Len() int {
	n := optFixed
	if o.NSID != "" {
		n += optionHead + len(o.NSID)
	}
	if o.hasECS() {
		n += optionHead + 4 + addrLen(o.ECS.SourceBits)
	}
	if o.hasEDE() {
		n += optionHead + 2 + len(o.EDEText)
	}
	if len(o.ClientCookie) > 0 {
		n += optionHead + len(o.ClientCookie) + len(o.ServerCookie)
	}
	if o.HasKeepalive {
		n += optionHead + keepaliveLen
	}
	if o.ReportChannel != "" {
		n += optionHead + len(o.ReportChannel)
	}
	if o.ZoneVersion.Present {
		n += optionHead + zoneVersionLen
	}
	if o.HasPad {
		n += optionHead + o.Pad
	}
	return n
}

func (o *OPT) hasECS() bool { return o.ECS != nil && o.ECS.Present }

func (o *OPT) hasEDE() bool { return o.EDE != EDEOther || o.EDEText != "" }

// AppendOPT appends an OPT record with version 0 that advertises MaxUDP. It is
// for the caller to see that the record fits, with Len, and to count it. NSID,
// EDEText and Pad are short enough for a message, and ECS is as Parse made it.
func AppendOPT(dst []byte, o *OPT) []byte {
	var do byte
	if o.DO {
		do = 0x80
	}
	size := o.Len() - optFixed
	dst = append(dst, 0, 0, byte(TypeOPT), MaxUDP>>8, MaxUDP&0xff,
		byte(o.RCode>>4), 0, do, 0, byte(size>>8), byte(size))
	if o.NSID != "" {
		dst = appendOption(dst, optNSID, len(o.NSID))
		dst = append(dst, o.NSID...)
	}
	if o.hasECS() {
		e := o.ECS
		addr := e.Addr[:addrLen(e.SourceBits)]
		dst = appendOption(dst, optECS, 4+len(addr))
		dst = append(dst, byte(e.Family>>8), byte(e.Family), e.SourceBits, o.Scope)
		dst = append(dst, addr...)
	}
	if o.hasEDE() {
		dst = appendOption(dst, optEDE, 2+len(o.EDEText))
		dst = append(dst, byte(o.EDE>>8), byte(o.EDE))
		dst = append(dst, o.EDEText...)
	}
	if len(o.ClientCookie) > 0 {
		dst = appendOption(dst, optCookie, len(o.ClientCookie)+len(o.ServerCookie))
		dst = append(append(dst, o.ClientCookie...), o.ServerCookie...)
	}
	if o.HasKeepalive {
		dst = appendOption(dst, optTCPKeepalive, keepaliveLen)
		dst = binary.BigEndian.AppendUint16(dst, o.Keepalive)
	}
	if o.ReportChannel != "" {
		dst = appendOption(dst, optReportChannel, len(o.ReportChannel))
		dst = AppendName(dst, o.ReportChannel)
	}
	if v := &o.ZoneVersion; v.Present {
		dst = appendOption(dst, optZoneVersion, zoneVersionLen)
		dst = append(dst, v.Labels, zoneVersionSerial)
		dst = binary.BigEndian.AppendUint32(dst, v.Serial)
	}
	if o.HasPad {
		dst = appendOption(dst, optPadding, o.Pad)
		for left := o.Pad; left > 0; left -= len(zeros) {
			dst = append(dst, zeros[:min(left, len(zeros))]...)
		}
	}
	return dst
}

// PlainOPT is the length in bytes of an OPT record without options.
const PlainOPT = optFixed

// AppendPlainOPT is AppendOPT for an OPT record without options.
func AppendPlainOPT(dst []byte, rc RCode, do bool) []byte {
	var flags byte
	if do {
		flags = 0x80
	}
	return append(dst, 0, 0, byte(TypeOPT), MaxUDP>>8, MaxUDP&0xff, byte(rc>>4), 0, flags, 0, 0, 0)
}

// zeros are what padding is made of (RFC 7830 section 3).
var zeros [512]byte

func appendOption(dst []byte, code uint16, size int) []byte {
	return append(dst, byte(code>>8), byte(code), byte(size>>8), byte(size))
}
