package resolve

import (
	"encoding/binary"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/table"
	"github.com/rhumb-dns/rhumb/zone"
)

// message is an answer in the making.
type message struct {
	buf    []byte // all of it; the message begins at start
	start  int
	flags  uint16 // of the header, which is completed last
	answer int    // records in each section
	auth   int
	extra  int
}

// question is the name that is being answered, in lower-case wire form, and
// where it lies in the message. It is the query's own until a CNAME or a DNAME
// leads on.
type question struct {
	name []byte
	zone.Place
}

func (q question) String() string { return dnswire.Name(q.name).String() }

// within is where the end of the name of so many octets lies.
func (m *message) within(at *question, n int) zone.Place {
	if n == at.Len {
		return at.Place
	}
	return zone.Place{Offset: at.Suffix(m.buf[m.start:], n), Len: n}
}

// set lays down a record set.
func (m *message) set(s *zone.Set, owner zone.Place) {
	m.buf = s.Append(m.buf, m.start, owner)
}

// setOf lays down a record set whose data have no pointers, whether a pointer
// can name its owner or not.
func (m *message) setOf(s *zone.Set, owner question) {
	if owner.InReach() {
		m.set(s, owner.Place)
	} else {
		m.buf, _ = s.AppendNamed(m.buf, m.start, owner.name)
	}
}

// head appends what comes before the data of a record of class IN.
func (m *message) head(owner int, t dnswire.Type, ttl uint32, size int) {
	m.headOf(dnswire.ClassIN, owner, t, ttl, size)
}

func (m *message) headOf(class dnswire.Class, owner int, t dnswire.Type, ttl uint32, size int) {
	// Two stores, since a copy of an array that has just been written in smaller
	// pieces waits for them.
	m.buf = binary.BigEndian.AppendUint64(m.buf, 0xc000_0000_0000_0000|uint64(owner)<<48|uint64(t)<<32|uint64(class)<<16|uint64(ttl>>16))
	m.buf = binary.BigEndian.AppendUint32(m.buf, ttl<<16|uint32(size))
}

// address appends an A or AAAA record.
func (m *message) address(at *question, f table.Family, ttl uint32, addr []byte) {
	m.head(at.Offset, f.Type(), ttl, len(addr))
	m.buf = append(m.buf, addr...)
	m.answer++
}

// cname appends a CNAME record, its target uncompressed.
func (m *message) cname(at *question, target dnswire.Name, ttl uint32) (next question) {
	m.head(at.Offset, dnswire.TypeCNAME, ttl, len(target))
	offset := len(m.buf) - m.start
	m.buf = dnswire.AppendName(m.buf, target)
	m.answer++
	return question{m.buf[len(m.buf)-len(target):], zone.Place{Offset: offset, Len: len(target)}}
}

// anyTTL is the TTL of the record that stands for ANY.
const anyTTL = 3600

func (m *message) hinfo(at *question) {
	const cpu = "RFC8482"
	m.head(at.Offset, dnswire.TypeHINFO, anyTTL, len(cpu)+2)
	m.buf = append(append(append(m.buf, byte(len(cpu))), cpu...), 0)
	m.answer++
}

// name reads the name at an offset of the message, which ends in pointers
// perhaps, into buf in lower case.
func (m *message) name(offset int, buf *[256]byte) question {
	msg := m.buf[m.start:]
	n := 0
	for off := offset; ; {
		c := int(msg[off])
		if c >= 0xc0 {
			off = int(binary.BigEndian.Uint16(msg[off:]) & 0x3fff)
			continue
		}
		buf[n] = byte(c)
		for i := 1; i <= c; i++ {
			b := msg[off+i]
			if 'A' <= b && b <= 'Z' {
				b |= 0x20
			}
			buf[n+i] = b
		}
		n += 1 + c
		off += 1 + c
		if c == 0 {
			return question{buf[:n], zone.Place{Offset: offset, Len: n}}
		}
	}
}
