package zone

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// Edit is all that a name has from now on.
type Edit struct {
	Owner   dnswire.Name
	Records []text.Record // of Owner; none with Exists: the name is there and has no data; none without: it is gone
	Exists  bool
}

// Refusal is an edit that a zone cannot have.
type Refusal struct {
	Edit  int // which one
	Owner dnswire.Name
	Msg   string
}

// Refusals are all edits that a zone cannot have, in their order; of one edit there
// may be several.
type Refusals []Refusal

// Error is a line for each.
func (rs Refusals) Error() string {
	lines := make([]string, len(rs))
	for i, r := range rs {
		lines[i] = "zone: " + r.Owner.String() + ": " + r.Msg
	}
	return strings.Join(lines, "\n")
}

// ErrSigned is the error of amending signed data: their maker alone can prove the
// records, and that there are no others.
var ErrSigned = errors.New("zone: the records are signed: build the zone from signed records as a whole")

// Amend is the data in which the names of the edits have what these say; d stays
// as it is. Of two edits of a name the later one counts. It costs what the edits
// are, and some kilobytes of a million names; the first time that d, and none of
// the data it came of, is amended or asked for a name, it costs what the zone is.
//
// Nothing is made when an edit is refused. The error is then Refusals, and else
// ErrSigned, or that the zone is too large.
func (d *Data) Amend(edits []Edit) (*Data, error) {
	if len(edits) == 0 {
		return d, nil
	}
	return d.change(edits, d.implies)
}

// change is Amend, with what the data imply from now on.
func (d *Data) change(edits []Edit, implies bool) (*Data, error) {
	if d.Signed || d.named != len(d.pieces) {
		return nil, ErrSigned
	}
	a := d.amend()
	a.d.implies = implies
	var refused Refusals
	for i := range edits {
		for _, why := range a.edit(&edits[i]) {
			refused = append(refused, Refusal{Edit: i, Owner: edits[i].Owner, Msg: why})
		}
		if a.octets > maxArena {
			return nil, errors.New("zone: the zone is larger than 3 GiB")
		}
	}
	if len(refused) > 0 {
		return nil, refused
	}
	return a.finish(d), nil
}

// amender makes data of others. All that it has written can be read in d.pieces
// at once.
type amender struct {
	d      *Data
	places *places
	layer  maker // lays out one name at a time

	last   int    // the piece that is being written; -1 for none
	piece  []byte // and what is in it, in memory of its own
	wrote  bool   // some of that is new
	octets int    // in all pieces
	spent  int    // of these, in entries that are dead
	names  []byte // whose entries are others now, each with its length before it
	apex   bool   // the zone's own is among them
}

// amend begins data that are those of d, which has an apex and so a piece.
func (d *Data) amend() *amender {
	was := d.index()
	a := &amender{
		d: &Data{
			Name: d.Name, Records: d.Records, Serial: d.Serial,
			pieces: slices.Clone(d.pieces), names: d.names, apex: d.apex, cuts: d.cuts, implies: d.implies,
			dead: make([]uint32, len(d.pieces)), negative: d.negative, negativeTTL: d.negativeTTL,
		},
		places: was.branch(),
		layer:  maker{b: NewBuilder(d.Name), d: &Data{}},
		last:   -1,
	}
	copy(a.d.dead, d.dead)
	for i, p := range d.pieces {
		a.octets += len(p)
		a.spent += int(a.d.dead[i])
	}
	n := len(d.pieces) - 1
	if d.tail > 0 {
		n = d.tail - 1
	}
	if n < len(d.pieces) && len(d.pieces[n]) < maxPiece {
		a.last, a.piece = n, append(make([]byte, 0, len(d.pieces[n])+1024), d.pieces[n]...)
	}
	return a
}

// refusedTypes are those that only a signed zone has.
var refusedTypes = []dnswire.Type{dnswire.TypeRRSIG, dnswire.TypeNSEC, dnswire.TypeNSEC3, dnswire.TypeNSEC3PARAM}

// edit makes one edit, and says what speaks against it.
func (a *amender) edit(e *Edit) (refused []string) {
	if !e.Owner.Within(a.d.Name) {
		return []string{"it is outside of the zone " + a.d.Name.String()}
	}
	name := []byte(e.Owner)
	h, was := upper(name), a.places.find(a.d, name)
	if len(e.Records) == 0 && !e.Exists {
		switch {
		case was == none:
			return nil
		case was == a.d.apex:
			return []string{"the zone's own name keeps its SOA and NS records"}
		}
		a.places.remove(a.d, h, was)
		a.d.names--
		a.drop(was)
		a.note(name)
		return nil
	}
	entry, refused := a.lay(e)
	if len(refused) > 0 {
		return refused
	}
	if was != none && bytes.Equal(a.bytes(was), entry) {
		return nil
	}
	at, ok := a.put(entry)
	if !ok {
		return []string{"the zone has no room for it"}
	}
	made := a.layer.d
	if was == none {
		a.places.insert(a.d, h, at)
		a.d.names++
	} else {
		a.places.move(h, was, at)
		a.drop(was)
	}
	if e.Owner == a.d.Name {
		a.d.apex, a.d.Serial, a.apex = at, made.Serial, true
	}
	a.d.Records += made.Records
	a.d.cuts = a.d.cuts || made.cuts
	a.note(name)
	return nil
}

// lay is the entry of an edit's name, until the next one.
func (a *amender) lay(e *Edit) (entry []byte, refused []string) {
	m := &a.layer
	b := m.b
	b.reset()
	for i := range e.Records {
		r := &e.Records[i]
		switch {
		case r.Owner != e.Owner:
			refused = append(refused, "a record is of another name: "+r.Owner.String())
		case slices.Contains(refusedTypes, r.Type):
			refused = append(refused, fmt.Sprintf("%s records belong to signed zones", r.Type))
		default:
			if err := b.Add(r); err != nil {
				refused = append(refused, err.Error())
			}
		}
	}
	if len(refused) > 0 {
		return nil, refused
	}
	if len(e.Records) == 0 {
		if err := b.AddName(e.Owner); err != nil {
			return nil, []string{err.Error()}
		}
	}
	b.group()
	*m.d = Data{Name: a.d.Name, implies: a.d.implies}
	m.piece, m.faults, m.doubts = m.piece[:0], m.faults[:0], m.doubts[:0]
	m.owner(b.records)
	for i := range m.faults {
		refused = append(refused, m.faults[i].Msg)
	}
	return m.piece, refused
}

// bytes is an entry as it lies in memory.
func (a *amender) bytes(entry uint32) []byte {
	b := a.d.pieces[entry>>offsetBits][entry&(1<<offsetBits-1):]
	return b[:entryLen(b)]
}

// put writes an entry down and says where it is. It is not ok when there are too
// many pieces.
func (a *amender) put(entry []byte) (at uint32, ok bool) {
	if a.last < 0 || len(a.piece) >= maxPiece {
		a.trim()
		a.last = slices.IndexFunc(a.d.pieces, func(p []byte) bool { return p == nil })
		if a.last < 0 {
			if a.last = len(a.d.pieces); a.last >= 1<<offsetBits {
				a.last = -1
				return 0, false
			}
			a.d.pieces, a.d.dead = append(a.d.pieces, nil), append(a.d.dead, 0)
		}
		a.piece = make([]byte, 0, 1024)
	}
	at = uint32(a.last)<<offsetBits | uint32(len(a.piece))
	a.piece = append(a.piece, entry...)
	a.d.pieces[a.last] = a.piece
	a.octets += len(entry)
	a.wrote = true
	return at, true
}

// trim ends the piece that is being written.
func (a *amender) trim() {
	if a.wrote {
		a.d.pieces[a.last] = slices.Clip(slices.Clone(a.piece))
		a.wrote = false
	}
}

// drop notes that an entry is in nobody's way any more.
func (a *amender) drop(entry uint32) {
	b := a.bytes(entry)
	a.d.dead[entry>>offsetBits] += uint32(len(b))
	a.spent += len(b)
	a.d.each(entry, func(s Set) bool {
		a.d.Records -= s.Count
		return true
	})
}

// note notes that a name has another entry, or none.
func (a *amender) note(name []byte) {
	a.names = append(append(a.names, byte(len(name))), name...)
}

// slack is how many octets may be dead in any zone, and of larger ones a quarter.
const slack = 1 << 10

// clean moves what is in use out of the pieces that have the most dead octets,
// until these are few enough. It costs no more than three times what has died
// since the last time, whatever the size of the zone.
func (a *amender) clean() {
	for a.spent > slack+a.octets/4 {
		worst := -1
		for i, dead := range a.d.dead {
			if dead > 0 && (worst < 0 || uint64(dead)*uint64(len(a.d.pieces[worst])) > uint64(a.d.dead[worst])*uint64(len(a.d.pieces[i]))) {
				worst = i
			}
		}
		all := a.d.pieces[worst]
		a.octets -= len(all)
		a.spent -= int(a.d.dead[worst])
		a.d.pieces[worst], a.d.dead[worst] = nil, 0
		if worst == a.last {
			a.last, a.piece, a.wrote = -1, nil, false
		}
		for b, at := all, uint32(worst)<<offsetBits; len(b) > 0; {
			entry := b[:entryLen(b)]
			name := entry[1 : 1+int(entry[0])]
			if h := upper(name); a.places.has(h, at) {
				to, _ := a.put(entry) // there is a free piece
				a.places.move(h, at, to)
				if string(name) == string(a.d.Name) {
					a.d.apex = to
				}
				a.note(name)
			}
			at += uint32(len(entry))
			b = b[len(entry):]
		}
	}
}

// finish makes the data, which are d when nothing differs.
func (a *amender) finish(d *Data) *Data {
	if len(a.names) == 0 && a.d.implies == d.implies {
		return d
	}
	a.clean()
	a.trim()
	for n := len(a.d.pieces); n > 0 && a.d.pieces[n-1] == nil; n-- {
		a.d.pieces, a.d.dead = a.d.pieces[:n-1], a.d.dead[:n-1]
	}
	a.d.named, a.d.tail = len(a.d.pieces), a.last+1
	if a.apex {
		a.d.negate()
	}
	a.d.steps = stepsFrom(d, slices.Clip(a.names), a.octets/16)
	a.d.places.Store(a.places)
	return a.d
}
