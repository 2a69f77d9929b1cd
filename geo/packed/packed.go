package packed

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Database is a country, by its code, for each address.
type Database struct {
	Built time.Time // whole seconds
	Codes []string  // two letters each, but for the first, which is "": not known; 256 at most
	V4    []Range4  // by Start, which differ; what lies before the first is not known
	V6    []Range6  // by Hi and Lo
}

// Range4 is from Start to before the next one's.
type Range4 struct {
	Start uint32
	Code  uint8 // a position in Codes
}

// Range6 is from the address with the halves Hi and Lo to before the next one.
type Range6 struct {
	Hi, Lo uint64
	Code   uint8
}

const magic = "rhumb countries 1\n"

// maxSize is how much may be unpacked: some 20 times of what there is today.
const maxSize = 64 << 20

// Append appends d to dst. An error says what d has that it must not have.
func (d *Database) Append(dst []byte) ([]byte, error) {
	if len(d.Codes) == 0 || len(d.Codes) > 256 || d.Codes[0] != "" || d.Built.Unix() < 0 {
		return dst, fmt.Errorf("packed: %d codes, built %s", len(d.Codes), d.Built)
	}
	b := binary.AppendUvarint(nil, uint64(d.Built.Unix()))
	b = binary.AppendUvarint(b, uint64(len(d.Codes)))
	for _, c := range d.Codes[1:] {
		if len(c) != 2 {
			return dst, fmt.Errorf("packed: code %q", c)
		}
		b = append(b, c...)
	}
	var codes []byte
	code := func(c uint8) error {
		codes = append(codes, c)
		if int(c) >= len(d.Codes) {
			return fmt.Errorf("packed: a range with code %d", c)
		}
		return nil
	}
	b = binary.AppendUvarint(b, uint64(len(d.V4)))
	for i, r := range d.V4 {
		before := uint32(0)
		if i > 0 {
			before = d.V4[i-1].Start
		}
		if err := code(r.Code); err != nil || r.Start < before || i > 0 && r.Start == before {
			return dst, errors.Join(errOrder, err)
		}
		b = binary.AppendUvarint(b, uint64(r.Start-before))
	}
	b, codes = append(b, codes...), codes[:0]
	b = binary.AppendUvarint(b, uint64(len(d.V6)))
	for i, r := range d.V6 {
		var before Range6
		if i > 0 {
			before = d.V6[i-1]
		}
		if err := code(r.Code); err != nil || r.Hi < before.Hi || i > 0 && r.Hi == before.Hi && r.Lo <= before.Lo {
			return dst, errors.Join(errOrder, err)
		}
		b = binary.AppendUvarint(b, r.Hi-before.Hi)
	}
	for _, r := range d.V6 {
		b = binary.AppendUvarint(b, r.Lo)
	}
	b = append(b, codes...)
	if len(b) > maxSize {
		return dst, fmt.Errorf("packed: %d octets are too many", len(b))
	}

	out := bytes.NewBuffer(append(dst, magic...))
	w, err := flate.NewWriter(out, flate.BestCompression)
	if err != nil {
		return dst, err
	}
	if _, err := w.Write(b); err != nil {
		return dst, err
	}
	if err := w.Close(); err != nil {
		return dst, err
	}
	return out.Bytes(), nil
}

var (
	errOrder = errors.New("packed: ranges that are not in order")
	errShort = errors.New("packed: cut short")
)

// Parse reads what Append has made.
func Parse(b []byte) (*Database, error) {
	rest, ok := bytes.CutPrefix(b, []byte(magic))
	if !ok {
		return nil, errors.New("packed: not a country database of this version")
	}
	var raw bytes.Buffer
	raw.Grow(8 * len(rest)) // it may be less, and need not be
	if _, err := io.Copy(&raw, io.LimitReader(flate.NewReader(bytes.NewReader(rest)), maxSize+1)); err != nil {
		return nil, fmt.Errorf("packed: %w", err)
	}
	if raw.Len() > maxSize {
		return nil, fmt.Errorf("packed: more than %d octets", maxSize)
	}
	r := &reader{b: raw.Bytes()}
	d := &Database{Built: time.Unix(int64(min(r.number(), 1<<40)), 0).UTC(), Codes: []string{""}}
	n := r.count(0)
	for i := 1; i < n && len(r.b) >= 2; i++ {
		d.Codes = append(d.Codes, string(r.b[:2]))
		r.b = r.b[2:]
	}
	if len(d.Codes) != n || n > 256 {
		return nil, errShort
	}
	d.V4 = make([]Range4, r.count(2))
	at := uint64(0)
	for i := range d.V4 {
		at += r.number()
		if at > 0xffffffff || i > 0 && uint32(at) <= d.V4[i-1].Start {
			return nil, errOrder
		}
		d.V4[i].Start = uint32(at)
	}
	for i := range d.V4 {
		d.V4[i].Code = r.code(n)
	}
	d.V6 = make([]Range6, r.count(3))
	at = 0
	for i := range d.V6 {
		step := r.number()
		if at+step < at {
			return nil, errOrder
		}
		at += step
		d.V6[i].Hi = at
	}
	for i := range d.V6 {
		d.V6[i].Lo = r.number()
		if i > 0 && d.V6[i].Hi == d.V6[i-1].Hi && d.V6[i].Lo <= d.V6[i-1].Lo {
			return nil, errOrder
		}
	}
	for i := range d.V6 {
		d.V6[i].Code = r.code(n)
	}
	if r.bad || len(r.b) > 0 {
		return nil, errShort
	}
	return d, nil
}

// reader takes numbers from b until there is one that is none; then it is bad,
// and all others are 0.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[size:]
	return n
}

// count is a number of things of which each takes so many octets at least.
func (r *reader) count(octets int) int {
	n := r.number()
	if n > uint64(len(r.b)/max(octets, 1)) {
		r.b, r.bad = nil, true
		return 0
	}
	return int(n)
}

func (r *reader) code(codes int) uint8 {
	if len(r.b) == 0 || int(r.b[0]) >= codes {
		r.b, r.bad = nil, true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}
