package resolve

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// records reads an answer of our own for its explanation: type and data of the
// records of the answer section, as text, and for how many seconds the answer
// may be remembered.
func records(msg []byte) (answers []string, ttl uint32) {
	answers = []string{}
	if len(msg) < dnswire.HeaderLen {
		return answers, 0
	}
	count := func(at int) int { return int(binary.BigEndian.Uint16(msg[at:])) }
	at := dnswire.HeaderLen
	for range count(4) {
		_, at = nameAt(msg, at)
		at += 4
	}
	an, ns := count(6), count(8)
	for i := range an + ns {
		_, at = nameAt(msg, at)
		t := dnswire.Type(binary.BigEndian.Uint16(msg[at:]))
		own := binary.BigEndian.Uint32(msg[at+4:])
		if i == 0 || own < ttl {
			ttl = own
		}
		data := at + 10
		at = data + count(at+8)
		if i < an {
			answers = append(answers, t.String()+" "+dataText(msg, t, data, at))
		}
	}
	return answers, ttl
}

// dataText is the data of a record, at msg[from:to], as a zone file has it.
func dataText(msg []byte, t dnswire.Type, from, to int) string {
	switch t {
	case dnswire.TypeA, dnswire.TypeAAAA:
		a, _ := netip.AddrFromSlice(msg[from:to])
		return a.String()
	case dnswire.TypeCNAME, dnswire.TypeNS:
		name, _ := nameAt(msg, from)
		return name.String()
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
