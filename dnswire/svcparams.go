package dnswire

import "encoding/binary"

// The keys of the parameters of an SVCB or HTTPS record (RFC 9460 section
// 14.3.2).
const (
	SVCMandatory     uint16 = 0
	SVCALPN          uint16 = 1
	SVCNoDefaultALPN uint16 = 2
	SVCPort          uint16 = 3
	SVCIPv4Hint      uint16 = 4
	SVCECH           uint16 = 5
	SVCIPv6Hint      uint16 = 6
)

// SVCParams are the parameters of an SVCB or HTTPS record in ServiceMode
// (RFC 9460 section 2.2). A field with its zero value is no parameter.
type SVCParams struct {
	Mandatory     []uint16 // keys in ascending order, each once and not SVCMandatory (section 8)
	ALPN          []string // each 1 to 255 octets (section 7.1)
	NoDefaultALPN bool
	Port          uint16
	V4            []byte // IPv4 hints, 4 octets each (section 7.3)
	ECH           []byte // an ECHConfigList
	V6            []byte // IPv6 hints, 16 octets each
}

// Len is the length in octets of what AppendSVCParams appends.
func (p *SVCParams) Len() int {
	n := 0
	if len(p.Mandatory) > 0 {
		n += 4 + 2*len(p.Mandatory)
	}
	if len(p.ALPN) > 0 {
		n += 4 + p.alpnLen()
	}
	if p.NoDefaultALPN {
		n += 4
	}
	if p.Port != 0 {
		n += 4 + 2
	}
	for _, value := range [...][]byte{p.V4, p.ECH, p.V6} {
		if len(value) > 0 {
			n += 4 + len(value)
		}
	}
	return n
}

// alpnLen is the length of the value of alpn, each protocol with an octet of
// length before it.
func (p *SVCParams) alpnLen() int {
	n := 0
	for _, id := range p.ALPN {
		n += 1 + len(id)
	}
	return n
}

// AppendSVCParams appends the parameters in the ascending order of their keys,
// each as its key, the length of its value and the value (RFC 9460 section
// 2.2). It is for the caller to see that they are as SVCParams says and that
// they fit into the record, with Len.
func AppendSVCParams(dst []byte, p SVCParams) []byte {
	if len(p.Mandatory) > 0 {
		dst = appendSVCParam(dst, SVCMandatory, 2*len(p.Mandatory))
		for _, key := range p.Mandatory {
			dst = binary.BigEndian.AppendUint16(dst, key)
		}
	}
	if len(p.ALPN) > 0 {
		dst = appendSVCParam(dst, SVCALPN, p.alpnLen())
		for _, id := range p.ALPN {
			dst = append(dst, byte(len(id)))
			dst = append(dst, id...)
		}
	}
	if p.NoDefaultALPN {
		dst = appendSVCParam(dst, SVCNoDefaultALPN, 0)
	}
	if p.Port != 0 {
		dst = appendSVCParam(dst, SVCPort, 2)
		dst = binary.BigEndian.AppendUint16(dst, p.Port)
	}
	if len(p.V4) > 0 {
		dst = appendSVCParam(dst, SVCIPv4Hint, len(p.V4))
		dst = append(dst, p.V4...)
	}
	if len(p.ECH) > 0 {
		dst = appendSVCParam(dst, SVCECH, len(p.ECH))
		dst = append(dst, p.ECH...)
	}
	if len(p.V6) > 0 {
		dst = appendSVCParam(dst, SVCIPv6Hint, len(p.V6))
		dst = append(dst, p.V6...)
	}
	return dst
}

func appendSVCParam(dst []byte, key uint16, size int) []byte {
	return append(dst, byte(key>>8), byte(key), byte(size>>8), byte(size))
}
