package geo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
)

// description is what a database says of itself.
type description struct {
	kind  string    // its type, as in GeoLite2-City
	built time.Time // zero: it does not say
}

// read makes a layer of a file in MaxMind's format. What is damaged is an error.
func read(name string, file []byte) (*layer, description, error) {
	return (&room{content: file}).read(name)
}

func (file *room) read(name string) (*layer, description, error) {
	r, err := maxminddb.OpenBytes(file.content)
	if err != nil {
		return nil, description{}, fmt.Errorf("not a whole database in MaxMind's format: %w; fetch it again", err)
	}
	m := r.Metadata
	d := description{kind: strings.Clone(m.DatabaseType)}
	if m.BuildEpoch > 0 && m.BuildEpoch < 1<<40 {
		d.built = m.BuildTime().UTC()
	}
	w := &walk{reader: r, file: file.content, nodes: uint32(m.NodeCount), size: m.RecordSize}
	switch {
	case m.RecordSize != 24 && m.RecordSize != 28 && m.RecordSize != 32:
		return nil, d, damaged(fmt.Errorf("records of %d bits, where the format has 24, 28 and 32", m.RecordSize))
	case m.NodeCount == 0 || uint64(m.NodeCount) > 1<<31 || uint64(m.NodeCount)*uint64(m.RecordSize/4) > uint64(len(w.file)):
		return nil, d, damaged(fmt.Errorf("%d nodes in %d bytes", m.NodeCount, len(w.file)))
	case m.IPVersion != 4 && m.IPVersion != 6:
		return nil, d, damaged(fmt.Errorf("IP version %d, where the format has 4 and 6", m.IPVersion))
	}
	if err := w.all(m.IPVersion == 6); err != nil {
		return nil, d, damaged(err)
	}
	// The tree is as large as what is made of it, and the data are yet to be read.
	if file.forget != nil {
		file.forget(int(w.nodes) * int(w.size/4))
	}
	l := &layer{name: name}
	if err := w.into(l); err != nil {
		return nil, d, damaged(err)
	}
	if len(w.file) >= largeFile {
		runtime.GC() // what came and went on the way, before anything else takes room
	}
	if l.v4.blank() && l.v6.blank() {
		return nil, d, fmt.Errorf("type %q has nothing that says where an address is: take a country, city or ASN database", d.kind)
	}
	return l, d, nil
}

// damaged is the error of a file that says what the format does not allow.
func damaged(why error) error { return fmt.Errorf("damaged: %w; fetch it again", why) }

// largeFile is from what size on a collection is worth its time: it takes some
// milliseconds, and to read the file a hundred times as many.
const largeFile = 16 << 20

// walk goes through the tree of networks, in the order of their addresses, and
// then through the data that they lead to.
type walk struct {
	reader *maxminddb.Reader
	file   []byte
	nodes  uint32 // nodes of the tree; a record beyond is the end of a branch
	size   uint   // bits of a record
	// left is how many nodes may yet be visited. Damage may make a tree in which the
	// branches meet again and again, and that takes longer than the world stands.
	left int

	// data are the offsets in the data, in the order in which the tree has them. The
	// values of v4 and v6 are their positions there, and 1 more; 0 is nothing.
	data     []uint32
	byOffset offsets // position in data

	count tally
	root4 uint32 // where the addresses of IPv4 begin; not to be entered from elsewhere
	v4    builder4
	v6    *builder6
}

var (
	errDeep  = errors.New("the tree of networks is deeper than an address is long")
	errLoops = errors.New("the tree of networks has loops")
)

// all visits everything. Branches are shared in an undamaged tree as well:
// vendors let 2002::/16, ::ffff:0:0/96 and others lead to the addresses of IPv4.
func (w *walk) all(six bool) error {
	w.left = 8*int(w.nodes) + 1024
	if !six {
		w.v4.grow(w.ranges(0))
		w.v6 = newBuilder6(inside4, 0)
		return w.walk4(0, 0, 0)
	}
	// The addresses of IPv4 are those of ::/96.
	w.root4 = w.descend(0, 96, func(uint) bool { return false })
	w.v4.grow(w.ranges(w.root4))
	if err := w.walk4(w.root4, 0, 0); err != nil {
		return err
	}
	if len(w.v4.values) == 1 && w.v4.values[0] == 0 {
		// A writer may have put them where IPv6 has them.
		at := w.descend(0, 96, func(depth uint) bool { return depth >= 80 })
		w.v4 = builder4{}
		if err := w.walk4(at, 0, 0); err != nil {
			return err
		}
	}
	// What is within a /64 counts here too, and is no range of its own.
	w.v6 = newBuilder6(inside4, w.ranges(0))
	return w.walk6(0, 0, 0, 0)
}

// tally counts neighbours in the tree with different records.
type tally struct {
	left int // nodes that may yet be visited
	last uint32
	n    int
}

// ranges is about how many ranges the walk from a node on will make, not less. To
// count them first takes a twelfth of the time, and half of the memory, that lists
// take which grow. Of a damaged tree it is any number below that of its nodes.
func (w *walk) ranges(node uint32) int {
	w.count = tally{left: int(w.nodes), last: w.nodes}
	w.visit(node, node == w.root4)
	return min(w.count.n, int(w.nodes)) + 4
}

func (w *walk) visit(node uint32, within4 bool) {
	if node >= w.nodes || node == w.root4 && !within4 {
		if node != w.count.last {
			w.count.last = node
			w.count.n++
		}
		return
	}
	if w.count.left--; w.count.left < 0 {
		return
	}
	l, r := w.pair(node)
	w.visit(l, within4)
	w.visit(r, within4)
}

// descend is the node that depth steps lead to, or the end of the branch before.
func (w *walk) descend(node uint32, depth uint, right func(depth uint) bool) uint32 {
	for i := range depth {
		if node >= w.nodes {
			break
		}
		l, r := w.pair(node)
		if node = l; right(i) {
			node = r
		}
	}
	return node
}

func (w *walk) walk4(node, addr uint32, depth uint) error {
	if node >= w.nodes {
		v, err := w.value(node)
		if err != nil {
			return fmt.Errorf("network of %d.%d.%d.%d: %w", addr>>24, addr>>16&255, addr>>8&255, addr&255, err)
		}
		w.v4.add(addr, v)
		return nil
	}
	if depth == 32 {
		return errDeep
	}
	if w.left--; w.left < 0 {
		return errLoops
	}
	l, r := w.pair(node)
	if err := w.walk4(l, addr, depth+1); err != nil {
		return err
	}
	return w.walk4(r, addr|1<<(31-depth), depth+1)
}

func (w *walk) walk6(node uint32, hi, lo uint64, depth uint) error {
	if node == w.root4 && depth > 0 && node < w.nodes {
		w.v6.add(hi, lo, 0)
		return nil
	}
	if node >= w.nodes {
		v, err := w.value(node)
		if err != nil {
			var at [16]byte
			binary.BigEndian.PutUint64(at[:], hi)
			binary.BigEndian.PutUint64(at[8:], lo)
			return fmt.Errorf("network of %v: %w", netip.AddrFrom16(at), err)
		}
		w.v6.add(hi, lo, v)
		return nil
	}
	if depth == 128 {
		return errDeep
	}
	if w.left--; w.left < 0 {
		return errLoops
	}
	l, r := w.pair(node)
	if err := w.walk6(l, hi, lo, depth+1); err != nil {
		return err
	}
	if depth < 64 {
		hi |= 1 << (63 - depth)
	} else {
		lo |= 1 << (127 - depth)
	}
	return w.walk6(r, hi, lo, depth+1)
}

// pair is the two records of a node.
func (w *walk) pair(node uint32) (left, right uint32) {
	switch w.size {
	case 24:
		b := w.file[uint64(node)*6:][:6]
		return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]), uint32(b[3])<<16 | uint32(b[4])<<8 | uint32(b[5])
	case 28:
		b := w.file[uint64(node)*7:][:7]
		return uint32(b[3]>>4)<<24 | uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]),
			uint32(b[3]&15)<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6])
	}
	b := w.file[uint64(node)*8:][:8]
	return binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
}

// separator is the number of octets between the tree and the data.
const separator = 16

// value is what a record beyond the nodes stands for: its position in data, and
// one more.
func (w *walk) value(record uint32) (uint32, error) {
	if record == w.nodes {
		return 0, nil
	}
	if record-w.nodes < separator {
		return 0, errors.New("a record that points in between tree and data")
	}
	offset := record - w.nodes - separator
	n, ok := w.byOffset.find(offset)
	if !ok {
		n = uint32(len(w.data))
		w.data = append(w.data, offset)
		w.byOffset.add(offset, n)
	}
	return n + 1, nil
}

// into makes places of what the tree leads to, and the tables of l.
func (w *walk) into(l *layer) error {
	w.byOffset = offsets{}
	p, k := newPool(), &known{}
	ids := make([]uint32, len(w.data)+1)
	same := true
	for n, offset := range w.data {
		f := fields{known: k}
		if err := w.reader.LookupOffset(uintptr(offset)).Decode(&f); err != nil {
			return fmt.Errorf("network of %s: %w", w.where(uint32(n)+1), err)
		}
		ids[n+1] = p.number(f.record(p))
		same = same && ids[n+1] == uint32(n)+1
	}
	l.places = p.places
	if !same {
		w.v4.number(ids)
	}
	l.v4 = w.v4.done()
	if l.v6 = w.v6.done(); !same {
		l.v6 = l.v6.classes(ids, inside4)
	}
	return nil
}

// where is the first address with a value.
func (w *walk) where(value uint32) netip.Addr {
	if i := slices.Index(w.v4.values, value); i >= 0 {
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, w.v4.starts[i])))
	}
	var found netip.Addr
	v6 := w.v6.done()
	v6.each(func(hi, lo uint64, v uint32) {
		if v == value && !found.IsValid() {
			found = netip.AddrFrom16([16]byte(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, hi), lo)))
		}
	})
	return found
}

// offsets is a number for each of many offsets. Each network asks it, in no order:
// what counts is that a question costs one miss of the processor's cache, where a
// map costs several.
type offsets struct {
	slots []slot // a power of two, or none
	n     int    // of them taken
}

type slot struct{ offset, id uint32 } // id is one more than the number; 0: free

// at is the slot of an offset, or the free one where it belongs.
func (o *offsets) at(offset uint32) *slot {
	mask := uint32(len(o.slots) - 1)
	// The upper bits of the product depend on all of the offset.
	for i := uint32(uint64(offset) * 0x9e3779b97f4a7c15 >> 32); ; i++ {
		if s := &o.slots[i&mask]; s.id == 0 || s.offset == offset {
			return s
		}
	}
}

func (o *offsets) find(offset uint32) (id uint32, ok bool) {
	if len(o.slots) == 0 {
		return 0, false
	}
	s := o.at(offset)
	return s.id - 1, s.id != 0
}

// add gives an offset that has none a number.
func (o *offsets) add(offset, id uint32) {
	if o.n++; o.n > len(o.slots)/2 {
		old := o.slots
		o.slots = make([]slot, max(64, 2*len(old)))
		for _, s := range old {
			if s.id != 0 {
				*o.at(s.offset) = s
			}
		}
	}
	*o.at(offset) = slot{offset, id + 1}
}
