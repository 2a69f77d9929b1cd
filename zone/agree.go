package zone

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone/text"
)

const typeKEY dnswire.Type = 25

// agree finds what contradicts itself among the records of one name.
func (m *maker) agree(recs []held, top bool) {
	var first [4]*held // of the types below
	const soa, cname, dnameRec, ns = 0, 1, 2, 3
	var other *held // of a type that may not stand beside a CNAME
	for i := range recs {
		h := &recs[i]
		at := -1
		switch h.typ {
		case dnswire.TypeSOA:
			at = soa
		case dnswire.TypeCNAME:
			at = cname
		case dnswire.TypeDNAME:
			at = dnameRec
		case dnswire.TypeNS:
			at = ns
		case dnswire.TypeRRSIG, dnswire.TypeNSEC, dnswire.TypeNSEC3, typeKEY:
			continue // RFC 4035 section 2.5
		}
		if h.typ != dnswire.TypeCNAME && other == nil {
			other = h
		}
		if at < 0 {
			continue
		}
		if at != ns && first[at] != nil && !m.repeats(recs[i-1:i], m.b.rdata(h)) {
			m.fault(h, "%s has another %s%s: a name has one", m.name(h), h.typ, line(" at line %d", first[at].pos))
		}
		if first[at] == nil {
			first[at] = h
		}
	}
	switch h := first[cname]; {
	case h == nil:
	case top:
		m.fault(h, "a CNAME cannot stand at the zone's own name, which has SOA and NS records")
	case other != nil:
		m.fault(h, "%s has a CNAME record and%s one of type %s: a CNAME stands alone (RFC 2181 section 10.1)", m.name(h), line(", at line %d,", other.pos), other.typ)
	}
	if h := first[dnameRec]; h != nil && first[ns] != nil && !top {
		m.fault(h, "%s has a DNAME record and%s one of type NS: only a zone's own name may have both (RFC 6672 section 2.3)", m.name(h), line(", at line %d,", first[ns].pos))
	}
	switch h := first[soa]; {
	case top && h == nil:
		m.absent(&recs[0], "SOA")
	case top:
		m.d.Serial = serial(m.b.rdata(h))
	case h != nil:
		m.fault(h, "%s is not the zone's own name: an SOA record belongs to %s alone", m.name(h), m.b.zone)
	}
	if top && first[ns] == nil {
		m.absent(&recs[0], "NS")
	}
	if !top && (first[ns] != nil && !wild(m.b.owners.text(int(recs[0].owner))) || first[dnameRec] != nil) {
		m.d.cuts = true
	}
	if top && first[dnameRec] != nil {
		m.d.cuts = true
	}
	if name := m.b.owners.text(int(recs[0].owner)); len(name) >= 2*len(m.b.zone)-1 && !top {
		if above := name[:len(name)-len(m.b.zone)]; endsInLabels(above, []byte(m.b.zone[:len(m.b.zone)-1])) {
			m.doubt(&recs[0], "%s has the zone's name twice: is a final dot missing?", m.name(&recs[0]))
		}
	}
	for i := range recs {
		h := &recs[i]
		switch {
		case h.typ == dnswire.TypeNS && wild(m.b.owners.text(int(h.owner))):
			m.doubt(h, "NS at the wildcard %s delegates nothing (RFC 4592 section 4.2)", m.name(h))
		case h.typ == dnswire.TypeDNAME && wild(m.b.owners.text(int(h.owner))):
			m.doubt(h, "DNAME at the wildcard %s renames nothing that the wildcard covers (RFC 6672 section 3.3)", m.name(h))
		case h.typ == dnswire.TypeSOA && mailSign(m.b.rdata(h)):
			m.doubt(h, "the mailbox of the SOA record has an @ in it: it is written with a dot in its place (RFC 1035 section 8)")
		case h.typ == dnswire.TypeDS && first[ns] == nil && !m.d.implies:
			m.doubt(h, "%s has DS and no NS: a DS record belongs to a delegation", m.name(h))
		}
	}
}

// line is the line of a place in words; nothing for records that nobody wrote down.
func line(format string, at text.Pos) string {
	if at.Line == 0 {
		return ""
	}
	return fmt.Sprintf(format, at.Line)
}

func (m *maker) absent(h *held, t string) {
	m.faults = append(m.faults, Fault{Pos: h.pos, Msg: fmt.Sprintf("the zone %s has no %s record", m.b.zone, t), Absent: true})
}

// servers finds the NS records whose name servers nobody can find: those at or
// below the delegated name, or in the zone itself for its own, need an address
// here (RFC 1034 section 4.2.1), and an alias is none (RFC 2181 section 10.3).
func (m *maker) servers() {
	b := m.b
	has := map[uint32]uint8{} // of owners that matter
	const address, alias = 1, 2
	var wanted []*held
	for i := range b.records {
		if h := &b.records[i]; h.typ == dnswire.TypeNS {
			owner := b.owners.text(int(h.owner))
			target := lowered(&m.l.lower, b.rdata(h))
			if len(target) >= len(owner) && endsAtLabel(target, owner) {
				wanted = append(wanted, h)
				if at := b.owners.find(target); at >= 0 {
					has[uint32(at)] = 0
				}
			}
		}
	}
	if len(wanted) == 0 {
		return
	}
	for i := range b.records {
		h := &b.records[i]
		if _, ok := has[h.owner]; !ok {
			continue
		}
		switch h.typ {
		case dnswire.TypeA, dnswire.TypeAAAA:
			has[h.owner] |= address
		case dnswire.TypeCNAME:
			has[h.owner] |= alias
		}
	}
	for _, h := range wanted {
		target := lowered(&m.l.lower, b.rdata(h))
		got := uint8(0)
		if at := b.owners.find(target); at >= 0 {
			got = has[uint32(at)]
		}
		switch {
		case got&alias != 0:
			m.doubt(h, "the name server %s is an alias: resolvers do not follow it (RFC 2181 section 10.3)", dnswire.Name(target))
		case got&address == 0:
			m.doubt(h, "the name server %s has no address here, and nobody else can know it", dnswire.Name(target))
		}
	}
}

// mailSign is whether the first label of the mailbox of an SOA record has an @.
func mailSign(data []byte) bool {
	n, ok := nameLen(data)
	if !ok || n >= len(data) {
		return false // which Add has refused
	}
	mbox := data[n:]
	return bytes.IndexByte(mbox[:min(1+int(mbox[0]), len(mbox))], '@') >= 0
}

// endsInLabels is whether labels end in others, which are not none.
func endsInLabels(labels, end []byte) bool {
	if len(end) == 0 {
		return false
	}
	for len(labels) > len(end) {
		labels = labels[1+int(labels[0]):]
	}
	return string(labels) == string(end)
}

// wild is whether the first label of a name is "*".
func wild(name []byte) bool { return name[0] == 1 && name[1] == '*' }

// serial is the serial number in the data of an SOA record.
func serial(data []byte) uint32 {
	return binary.BigEndian.Uint32(data[len(data)-20:])
}
