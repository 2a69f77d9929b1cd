package resolve

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// records reads an answer of our own for its explanation: type and data of the
// records of the answer section, as text, the name servers of a referral, and
// for how many seconds the answer may be remembered.
func records(msg []byte) (answers, referral []string, ttl uint32) {
	answers = []string{}
	if len(msg) < dnswire.HeaderLen {
		return answers, nil, 0
	}
	count := func(at int) int { return int(binary.BigEndian.Uint16(msg[at:])) }
	at := dnswire.HeaderLen
	var asked dnswire.Name
	for range count(4) {
		asked, at = nameAt(msg, at)
		at += 4
	}
	an, ns := count(6), count(8)
	for i := range an + ns {
		var owner dnswire.Name
		owner, at = nameAt(msg, at)
		t := dnswire.Type(binary.BigEndian.Uint16(msg[at:]))
		own := binary.BigEndian.Uint32(msg[at+4:])
		if i == 0 || own < ttl {
			ttl = own
		}
		data := at + 10
		at = data + count(at+8)
		switch {
		case i < an:
			text := t.String() + " " + dataText(msg, t, data, at)
			if owner != asked {
				text = owner.String() + " " + text
			}
			answers = append(answers, text)
		case t == dnswire.TypeNS:
			referral = append(referral, dataText(msg, t, data, at))
		}
	}
	return answers, referral, ttl
}

// dataText is the data of a record, at msg[from:to], as a zone file has it.
func dataText(msg []byte, t dnswire.Type, from, to int) string {
	switch t {
	case dnswire.TypeA, dnswire.TypeAAAA:
		a, _ := netip.AddrFromSlice(msg[from:to])
		return a.String()
	case dnswire.TypeCNAME, dnswire.TypeNS, dnswire.TypeDNAME, dnswire.TypePTR:
		name, _ := nameAt(msg, from)
		return name.String()
	case dnswire.TypeMX:
		name, _ := nameAt(msg, from+2)
		return fmt.Sprintf("%d %s", binary.BigEndian.Uint16(msg[from:]), name)
	case dnswire.TypeSRV:
		name, _ := nameAt(msg, from+6)
		n := func(i int) uint16 { return binary.BigEndian.Uint16(msg[from+2*i:]) }
		return fmt.Sprintf("%d %d %d %s", n(0), n(1), n(2), name)
	case dnswire.TypeDS:
		return fmt.Sprintf("%d %d %d %X", binary.BigEndian.Uint16(msg[from:]), msg[from+2], msg[from+3], msg[from+4:to])
	case dnswire.TypeCAA:
		tag := from + 2 + int(msg[from+1])
		return fmt.Sprintf("%d %s %q", msg[from], msg[from+2:tag], msg[tag:to])
	case dnswire.TypeTXT:
		var texts []string
		for at := from; at < to; at += 1 + int(msg[at]) {
			texts = append(texts, strconv.Quote(string(msg[at+1:at+1+int(msg[at])])))
		}
		return strings.Join(texts, " ")
	case dnswire.TypeHTTPS, dnswire.TypeSVCB:
		name, at := nameAt(msg, from+2)
		return fmt.Sprintf("%d %s%s", binary.BigEndian.Uint16(msg[from:]), name, paramsText(msg[at:to]))
	case dnswire.TypeSOA:
		server, at := nameAt(msg, from)
		mbox, at := nameAt(msg, at)
		text := server.String() + " " + mbox.String()
		for ; at < to; at += 4 {
			text += fmt.Sprintf(" %d", binary.BigEndian.Uint32(msg[at:]))
		}
		return text
	case dnswire.TypeHINFO:
		cpu := msg[from+1 : from+1+int(msg[from])]
		return fmt.Sprintf("%q %q", cpu, msg[from+2+len(cpu):to])
	}
	return fmt.Sprintf("\\# %d %x", to-from, msg[from:to])
}

// paramsText is the parameters of an SVCB or HTTPS record, each with a space
// before it.
func paramsText(b []byte) string {
	var out strings.Builder
	for len(b) >= 4 {
		key, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		value := b[4 : 4+size]
		b = b[4+size:]
		var items []string
		switch key {
		case dnswire.SVCMandatory:
			for ; len(value) > 0; value = value[2:] {
				items = append(items, paramName(binary.BigEndian.Uint16(value)))
			}
		case dnswire.SVCALPN:
			for ; len(value) > 0; value = value[1+value[0]:] {
				items = append(items, string(value[1:1+value[0]]))
			}
		case dnswire.SVCPort:
			items = append(items, strconv.Itoa(int(binary.BigEndian.Uint16(value))))
		case dnswire.SVCIPv4Hint, dnswire.SVCIPv6Hint:
			n := 4
			if key == dnswire.SVCIPv6Hint {
				n = 16
			}
			for ; len(value) > 0; value = value[n:] {
				a, _ := netip.AddrFromSlice(value[:n])
				items = append(items, a.String())
			}
		case dnswire.SVCECH:
			items = append(items, base64.StdEncoding.EncodeToString(value))
		default:
			if len(value) > 0 {
				items = append(items, strconv.Quote(string(value)))
			}
		}
		out.WriteString(" " + paramName(key))
		if len(items) > 0 {
			out.WriteString("=" + strings.Join(items, ","))
		}
	}
	return out.String()
}

// paramName is the name of a parameter (RFC 9460 section 14.3.2).
func paramName(key uint16) string {
	names := [...]string{"mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint"}
	if int(key) < len(names) {
		return names[key]
	}
	return fmt.Sprintf("key%d", key)
}

// nameAt is the name at an offset, and the offset just past it.
func nameAt(msg []byte, at int) (name dnswire.Name, end int) {
	var wire []byte
	for {
		c := int(msg[at])
		switch {
		case c >= 0xc0:
			if end == 0 {
				end = at + 2
			}
			at = int(binary.BigEndian.Uint16(msg[at:]) & 0x3fff)
		case c == 0:
			if end == 0 {
				end = at + 1
			}
			return dnswire.Name(append(wire, 0)), end
		default:
			wire = append(wire, msg[at:at+1+c]...)
			at += 1 + c
		}
	}
}
