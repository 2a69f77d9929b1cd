package table

import (
	"encoding/binary"
	"net/netip"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
)

// Statics are the records of one name that do not depend on health.
type Statics struct {
	Sets []RRSet
	// Glue are the addresses of the name servers, for the additional section of
	// an NS answer, with their own owner names.
	Glue RRSet
}

// Set is the record set of a type, or nil.
func (s *Statics) Set(t dnswire.Type) *RRSet {
	for i := range s.Sets {
		if s.Sets[i].Type == t {
			return &s.Sets[i]
		}
	}
	return nil
}

// RRSet is a record set in wire form that can be laid down anywhere in a
// message: names end in pointers to the zone's name in the question, which are
// filled in at the places of Fix.
type RRSet struct {
	Type  dnswire.Type
	Count int
	wire  []byte
	owner []uint16 // where a pointer to the owner goes
	apex  []uint16 // where a pointer to the zone's name goes
}

// Append lays the set down. The offsets, from the start of the message, are
// those of a name that is the owner and of one that is the zone.
func (r *RRSet) Append(dst []byte, owner, apex int) []byte {
	at := len(dst)
	dst = append(dst, r.wire...)
	for _, o := range r.owner {
		binary.BigEndian.PutUint16(dst[at+int(o):], 0xc000|uint16(owner))
	}
	for _, o := range r.apex {
		binary.BigEndian.PutUint16(dst[at+int(o):], 0xc000|uint16(apex))
	}
	return dst
}

// Len is the length of the set in octets.
func (r *RRSet) Len() int { return len(r.wire) }

// name appends a name, ended by a pointer when it lies in the zone.
func (r *RRSet) name(n, zone dnswire.Name) {
	if !n.Within(zone) || zone.IsRoot() {
		r.wire = dnswire.AppendName(r.wire, n)
		return
	}
	r.wire = append(r.wire, n[:len(n)-len(zone)]...)
	r.apex = append(r.apex, uint16(len(r.wire)))
	r.wire = append(r.wire, 0, 0)
}

// begin starts a record whose owner has been written, and end completes it.
func (r *RRSet) begin(t dnswire.Type, ttl uint32) (rdata int) {
	r.wire = binary.BigEndian.AppendUint16(r.wire, uint16(t))
	r.wire = binary.BigEndian.AppendUint16(r.wire, uint16(dnswire.ClassIN))
	r.wire = binary.BigEndian.AppendUint32(r.wire, ttl)
	r.wire = append(r.wire, 0, 0)
	return len(r.wire)
}

func (r *RRSet) end(rdata int) {
	binary.BigEndian.PutUint16(r.wire[rdata-2:], uint16(len(r.wire)-rdata))
	r.Count++
}

func (r *RRSet) atOwner() {
	r.owner = append(r.owner, uint16(len(r.wire)))
	r.wire = append(r.wire, 0, 0)
}

// soaSet is a zone's SOA record. Its owner is a pointer to the zone's name, so
// that it serves in the authority section of negative answers as well.
func soaSet(z *spec.Zone, ttl uint32) RRSet {
	r := RRSet{Type: dnswire.TypeSOA}
	r.name(z.Name, z.Name)
	at := r.begin(dnswire.TypeSOA, ttl)
	r.name(z.Nameservers[0].Name, z.Name)
	r.name(z.SOA.Mbox, z.Name)
	for _, v := range []uint32{z.SOA.Serial, z.SOA.Refresh, z.SOA.Retry, z.SOA.Expire, z.SOA.Minimum} {
		r.wire = binary.BigEndian.AppendUint32(r.wire, v)
	}
	r.end(at)
	return r
}

func nsSet(z *spec.Zone) RRSet {
	r := RRSet{Type: dnswire.TypeNS}
	for _, ns := range z.Nameservers {
		r.atOwner()
		at := r.begin(dnswire.TypeNS, z.SOA.TTL)
		r.name(ns.Name, z.Name)
		r.end(at)
	}
	return r
}

func glueSet(z *spec.Zone) RRSet {
	var r RRSet
	for _, ns := range z.Nameservers {
		for _, a := range ns.Addrs {
			r.name(ns.Name, z.Name)
			r.address(a, z.SOA.TTL)
		}
	}
	return r
}

// addressSets are the A and AAAA sets of one name server's own name.
func addressSets(addrs []netip.Addr, ttl uint32) []RRSet {
	var sets []RRSet
	for _, f := range []Family{V4, V6} {
		r := RRSet{Type: f.Type()}
		for _, a := range addrs {
			if familyOf(a) == f {
				r.atOwner()
				r.address(a, ttl)
			}
		}
		if r.Count > 0 {
			sets = append(sets, r)
		}
	}
	return sets
}

func (r *RRSet) address(a netip.Addr, ttl uint32) {
	at := r.begin(familyOf(a).Type(), ttl)
	r.wire = append(r.wire, a.AsSlice()...)
	r.end(at)
}
