package zone

import (
	"encoding/binary"
	"fmt"

	"github.com/rhumb-dns/rhumb/dnswire"
)

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
		case dnswire.TypeRRSIG, dnswire.TypeNSEC, dnswire.TypeNSEC3:
			continue // RFC 4035 section 2.5
		}
		if h.typ != dnswire.TypeCNAME && other == nil {
			other = h
		}
		if at < 0 {
			continue
		}
		if at != ns && first[at] != nil && !m.repeats(recs[i-1:i], m.b.rdata(h)) {
			m.fault(h, "%s has another %s at line %d: a name has one", m.name(h), h.typ, first[at].pos.Line)
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
		m.fault(h, "%s has a CNAME and, at line %d, a %s: a CNAME stands alone (RFC 2181 section 10.1)", m.name(h), other.pos.Line, other.typ)
	}
	if h := first[dnameRec]; h != nil && first[ns] != nil && !top {
		m.fault(h, "%s has a DNAME and, at line %d, NS: only a zone's own name may have both (RFC 6672 section 2.3)", m.name(h), first[ns].pos.Line)
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
	if !top && (first[ns] != nil && !wild(m.b.owners.text(&m.b.owners.nodes[recs[0].owner])) || first[dnameRec] != nil) {
		m.d.cuts = true
	}
	if top && first[dnameRec] != nil {
		m.d.cuts = true
	}
	for i := range recs {
		h := &recs[i]
		switch {
		case h.typ == dnswire.TypeNS && wild(m.b.owners.text(&m.b.owners.nodes[h.owner])):
			m.doubt(h, "NS at the wildcard %s delegates nothing (RFC 4592 section 4.2)", m.name(h))
		case h.typ == dnswire.TypeDS && first[ns] == nil:
			m.doubt(h, "%s has DS and no NS: a DS record belongs to a delegation", m.name(h))
		}
	}
}

func (m *maker) absent(h *held, t string) {
	m.faults = append(m.faults, Fault{Pos: h.pos, Msg: fmt.Sprintf("the zone %s has no %s record", m.b.zone, t), Absent: true})
}

// wild is whether the first label of a name is "*".
func wild(name []byte) bool { return name[0] == 1 && name[1] == '*' }

// serial is the serial number in the data of an SOA record.
func serial(data []byte) uint32 {
	return binary.BigEndian.Uint32(data[len(data)-20:])
}
