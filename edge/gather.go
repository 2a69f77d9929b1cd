package edge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// gathering collects the records of a snapshot, which come in any order, by name. It
// holds no pointers, so that a million records are little to the garbage collector.
//
// Entries lie one behind the other:
//
//	name    entryName, length, last, the name
//	record  form, kind and off, ttl, prev, length of the data (16 bits), data
//
// Last and prev (32 bits) are one more than the places of the name's last record and of
// the one before it, 0 for none: a name has at most one of each kind.
type gathering struct {
	bytes   []byte
	slots   []uint32 // open addressing; one more than the place of a name, 0 for none
	seed    maphash.Seed
	names   int
	records int // DNS records
	most    int // of either: a name may have none
}

const (
	entryName  = 0xff
	nameHead   = 1 + 1 + 4
	recordHead = 1 + 1 + 4 + 4 + 2
	offBit     = 0x80
)

func newGathering(most int) *gathering {
	return &gathering{seed: maphash.MakeSeed(), slots: make([]uint32, 64), most: most}
}

// slot is where a name is in slots, or would be.
func (g *gathering) slot(name []byte) int {
	mask := len(g.slots) - 1
	for at := int(maphash.Bytes(g.seed, name)) & mask; ; at = (at + 1) & mask {
		if p := g.slots[at]; p == 0 || string(g.name(p-1)) == string(name) {
			return at
		}
	}
}

// name is the name of the entry at a place.
func (g *gathering) name(p uint32) []byte {
	b := g.bytes[p:]
	return b[nameHead : nameHead+int(b[1])]
}

func (g *gathering) grow() {
	was := g.slots
	g.slots = make([]uint32, 2*len(was))
	for _, p := range was {
		if p != 0 {
			g.slots[g.slot(g.name(p-1))] = p
		}
	}
}

// add adds a record. Again is that there was one of the name and the kind, which is
// gone. The error is that there are too many.
func (g *gathering) add(r *checked) (again bool, err error) {
	if len(g.bytes) > math.MaxUint32-1<<17 {
		return false, errors.New("its records take more than 4 GiB")
	}
	at := g.slot(r.name)
	if g.slots[at] == 0 {
		if 2*g.names >= len(g.slots) {
			g.grow()
			at = g.slot(r.name)
		}
		g.slots[at] = uint32(len(g.bytes)) + 1
		if g.names++; g.names > g.most {
			return false, tooMany("names", g.most)
		}
		g.bytes = append(g.bytes, entryName, byte(len(r.name)), 0, 0, 0, 0)
		g.bytes = append(g.bytes, r.name...)
	}
	last := g.slots[at] - 1 + 2 // where the place of the name's last record is
	for link := last; ; {
		p := binary.BigEndian.Uint32(g.bytes[link:])
		if p == 0 {
			break
		}
		old, k, prev := g.record(p - 1)
		if k == r.kind {
			g.records -= old.count(k)
			if again = true; len(old.data) == len(r.data) { // where it was: it may come for ever
				g.records += r.count(k)
				appendEntry(g.bytes[:p-1], r, prev)
				return again, g.bounded()
			}
			binary.BigEndian.PutUint32(g.bytes[link:], prev)
			break
		}
		link = p - 1 + 6
	}
	g.records += r.count(r.kind)
	prev := binary.BigEndian.Uint32(g.bytes[last:])
	binary.BigEndian.PutUint32(g.bytes[last:], uint32(len(g.bytes))+1)
	g.bytes = appendEntry(g.bytes, r, prev)
	return again, g.bounded()
}

// has is whether there is a record of a name and a kind.
func (g *gathering) has(name []byte, want kind) bool {
	p := g.slots[g.slot(name)]
	if p == 0 {
		return false
	}
	for at := binary.BigEndian.Uint32(g.bytes[p-1+2:]); at != 0; {
		_, k, prev := g.record(at - 1)
		if k == want {
			return true
		}
		at = prev
	}
	return false
}

// appendEntry appends a record.
func appendEntry(b []byte, r *checked, prev uint32) []byte {
	flags := byte(r.kind)
	if r.off {
		flags |= offBit
	}
	b = append(b, byte(r.form), flags)
	b = binary.BigEndian.AppendUint32(b, r.ttl)
	b = binary.BigEndian.AppendUint32(b, prev)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.data)))
	return append(b, r.data...)
}

func (g *gathering) bounded() error {
	if g.records > g.most {
		return tooMany("records", g.most)
	}
	return nil
}

// tooMany is the error of a snapshot that is larger than an edge takes.
func tooMany(what string, most int) error {
	return fmt.Errorf("it has more than %d %s, which are the most that a zone may have here: divide it into several zones", most, what)
}

// record is the record at a place, and one more than the place of the one before it.
func (g *gathering) record(p uint32) (r record, k kind, prev uint32) {
	b := g.bytes[p:]
	r = record{form: form(b[0]), off: b[1]&offBit != 0, ttl: binary.BigEndian.Uint32(b[2:])}
	r.data = b[recordHead : recordHead+int(binary.BigEndian.Uint16(b[10:]))]
	return r, kind(b[1] &^ offBit), binary.BigEndian.Uint32(b[6:])
}

// each calls f with every name, in the order in which they came, and its records.
func (g *gathering) each(f func(name []byte, n *named) error) error {
	for p := 0; p < len(g.bytes); {
		if g.bytes[p] != entryName {
			r, _, _ := g.record(uint32(p))
			p += recordHead + len(r.data)
			continue
		}
		name := g.name(uint32(p))
		var n named
		for at := binary.BigEndian.Uint32(g.bytes[p+2:]); at != 0; {
			r, k, prev := g.record(at - 1)
			n[k], at = r, prev
		}
		if err := f(name, &n); err != nil {
			return err
		}
		p += nameHead + len(name)
	}
	return nil
}

// build makes a standing of the records, with those that the configuration has.
func (g *gathering) build(o *gatherOptions) (*standing, error) {
	r := o.rules
	b := zone.NewBuilder(r.zone)
	for i := range o.apex {
		if err := b.Add(&o.apex[i]); err != nil {
			return nil, err
		}
	}
	st := newStanding(r)
	var buf []text.Record
	err := g.each(func(name []byte, n *named) error {
		if err := o.wanted(); err != nil {
			return err
		}
		owner := dnswire.Name(name)
		buf = n.lay(owner, buf[:0])
		for i := range buf {
			if err := b.Add(&buf[i]); err != nil {
				return err
			}
		}
		if len(buf) == 0 && len(r.own[owner]) == 0 {
			if err := b.AddName(owner); err != nil {
				return err
			}
		}
		st.note(name, n)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := o.wanted(); err != nil {
		return nil, err
	}
	data, faults, _ := b.Build()
	if len(faults) > 0 {
		return nil, errors.New(faults[0].Msg)
	}
	st.data = data
	return st, nil
}
