package mouth

import (
	"encoding/binary"
	"net"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// The header bits of a query that AppendReply looks at, and the places of the
// opcode.
const (
	flagRD      = 1 << 8
	flagAD      = 1 << 5
	flagCD      = 1 << 4
	opcodeShift = 11
)

// The EDNS options that are handed on. What else there is belongs to CoreDNS's own
// plugins: NSID to nsid, and nobody answers cookies.
const (
	optECS         = 8
	optPadding     = 12
	optZoneVersion = 19
)

// appendQuery puts a query together again, as far as it decides the answer: the
// header, the question and the OPT record. It appends nothing when there is no
// question that has a wire form. In the wire form that Unpack has read, the name
// is what the client sent, byte for byte, since the text escapes what it must.
func appendQuery(dst []byte, r *dns.Msg) []byte {
	if len(r.Question) != 1 {
		return dst
	}
	asked := &r.Question[0]
	flags := uint16(r.Opcode&0xf) << opcodeShift
	if r.RecursionDesired {
		flags |= flagRD
	}
	if r.AuthenticatedData {
		flags |= flagAD
	}
	if r.CheckingDisabled {
		flags |= flagCD
	}
	start := len(dst)
	dst = append(dst, byte(r.Id>>8), byte(r.Id), byte(flags>>8), byte(flags), 0, 1, 0, 0, 0, 0, 0, 0)
	dst, ok := appendName(dst, asked.Name)
	if !ok {
		return dst[:start]
	}
	dst = append(dst, byte(asked.Qtype>>8), byte(asked.Qtype), byte(asked.Qclass>>8), byte(asked.Qclass))
	extra := 0
	for _, rr := range r.Extra {
		if o, ok := rr.(*dns.OPT); ok {
			dst = appendOPT(dst, o)
			extra++
		}
	}
	dst[start+11] = byte(min(extra, 0xff))
	return dst
}

// appendName appends a name in wire form. It reports whether the text is one.
func appendName(dst []byte, text string) ([]byte, bool) {
	const maxLabel, maxName = 63, 255
	start, label := len(dst), len(dst)
	dst = append(dst, 0)
	if text == "." {
		return dst, true
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '.':
			n := len(dst) - label - 1
			if n == 0 || n > maxLabel {
				return dst, false
			}
			dst[label] = byte(n)
			label = len(dst)
			dst = append(dst, 0)
			continue
		case c != '\\':
		case i+3 < len(text) && digit(text[i+1]) && digit(text[i+2]) && digit(text[i+3]):
			n := int(text[i+1]-'0')*100 + int(text[i+2]-'0')*10 + int(text[i+3]-'0')
			if n > 0xff {
				return dst, false
			}
			c = byte(n)
			i += 3
		case i+1 < len(text):
			i++
			c = text[i]
		default:
			return dst, false
		}
		dst = append(dst, c)
		if len(dst)-start > maxName {
			return dst, false
		}
	}
	if n := len(dst) - label - 1; n > 0 { // without the last dot
		if n > maxLabel {
			return dst, false
		}
		dst[label] = byte(n)
		dst = append(dst, 0)
	}
	return dst, len(dst)-start <= maxName
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// appendOPT appends an OPT record with the options that matter.
func appendOPT(dst []byte, o *dns.OPT) []byte {
	dst = append(dst, 0, 0, byte(dns.TypeOPT), byte(o.Hdr.Class>>8), byte(o.Hdr.Class))
	dst = binary.BigEndian.AppendUint32(dst, o.Hdr.Ttl)
	dst = append(dst, 0, 0)
	start := len(dst)
	for _, option := range o.Option {
		switch e := option.(type) {
		case *dns.EDNS0_SUBNET:
			dst = appendSubnet(dst, e)
		case *dns.EDNS0_PADDING:
			dst = append(dst, 0, optPadding, 0, 0)
		case *dns.EDNS0_ZONEVERSION:
			dst = append(dst, 0, optZoneVersion, 0, 0)
		}
	}
	binary.BigEndian.PutUint16(dst[start-2:], uint16(len(dst)-start))
	return dst
}

// appendSubnet appends a client subnet option with the bits of the address that
// its prefix has (RFC 7871 section 6).
func appendSubnet(dst []byte, e *dns.EDNS0_SUBNET) []byte {
	addr := []byte(e.Address)
	if e.Family == 1 {
		if v4 := e.Address.To4(); v4 != nil {
			addr = v4
		}
	}
	n := min((int(e.SourceNetmask)+7)/8, len(addr))
	dst = append(dst, 0, optECS, 0, byte(4+n), byte(e.Family>>8), byte(e.Family), e.SourceNetmask, e.SourceScope)
	return append(dst, addr[:n]...)
}

// whence sets how the query came and from whom.
func whence(q *dnswire.Query, addr net.Addr) {
	if u, ok := addr.(interface{ Unwrap() net.Addr }); ok { // by the PROXY protocol
		if inner := u.Unwrap(); inner != nil {
			addr = inner
		}
	}
	switch a := addr.(type) {
	case *net.UDPAddr:
		q.Transport, q.Client = dnswire.UDP, a.AddrPort()
	case *net.TCPAddr:
		q.Transport, q.Client = dnswire.TCP, a.AddrPort()
	default:
		q.Transport = dnswire.UDP // as request.Proto has it
		q.Client = unknown
	}
}
