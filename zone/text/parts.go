package text

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/rhumb-dns/rhumb/chunk"
	"github.com/rhumb-dns/rhumb/dnswire"
)

const (
	minPart  = 16 << 10 // octets that a part is to have: some hundred records
	maxParts = 30_000   // into about which a large file is divided
	mostPart = 4 << 20  // more than the longest entry
)

// State is what the records of a part take over from what stands before it.
// States compare with ==.
type State struct {
	origin            string
	owner             dnswire.Name
	stated, last, min ttl
	fallback          uint32 // Options.TTL
	begun             bool   // not the start of the file, which may have a byte order mark
}

// Part is some whole entries of a zone file as they were read. The records of
// one owner that stand together are in one part. Parts compare with ==.
type Part struct {
	Mark   chunk.Mark
	Before State
	After  State

	word  uint64 // hash of the last owner in it, as it was written
	steps int    // of $GENERATE
}

// Handler takes what ReadParts reads.
type Handler struct {
	// Part is that a part begins, at a line counted from 1. If was is not
	// negative it is before[was] as it was read then, with as many lines
	// between its first line and that of each record, and its records are not
	// read. If it is, the part is new and its records follow.
	Part func(was, line int)
	// Record is a record of the part that was begun last. The Record and its
	// Data are overwritten by the next one.
	Record func(r *Record)
}

// ReadParts reads a zone file as ReadFile does, but for the parts that are as
// they were in an earlier reading with the same name: before, as that reading
// gave them, or none at first. parts, with the records of those that are not
// new, have the records that ReadFile gives, in its order.
//
// ok is false if the file cannot be read by parts: it includes others, or has
// more than 4 MiB of one owner or between parentheses. Then ReadFile reads it.
// errs are those of ReadFile. With errors or without ok, parts is nil and what
// the Handler was given is void.
//
// A file that is as it was costs the reading and a hash of it: a change costs
// the part that it is in, of 16 KiB or of a 30,000th of a larger file, and those
// after it as far as the change alters what they mean.
func ReadParts(name string, o Options, before []Part, h Handler) (parts []Part, errs Errors, ok bool) {
	return readParts(name, o, before, h, minPart)
}

func readParts(name string, o Options, before []Part, h Handler, size int64) (parts []Part, errs Errors, ok bool) {
	d := &divider{r: newReader(o, h.Record), before: before}
	d.r.alone = true
	d.f = &file{name: name, origin: string(d.r.o.Origin)}
	parts, err := d.parts(h, size)
	switch {
	case err == nil:
		return parts, nil, true
	case errors.Is(err, errIncludes):
		return nil, nil, false
	}
	// What is wrong can lie in how entries were parted, and later ones may be
	// wrong too: the whole file tells.
	_, errs = ReadFile(name, o, func(*Record) {})
	return nil, errs, errs != nil
}

// errIncludes is that a file cannot be read by parts. An included file may
// change while the one that names it does not.
var errIncludes = errors.New("includes a file")

// divider is the chunk.Skipper of a zone file, and what reads its new parts.
type divider struct {
	r      *reader
	f      *file
	before []Part
	begun  bool

	// Of the lines that were told, which may be one more than there are in the
	// part that is read.
	told  int // since the last part
	depth int // of parentheses behind the last
	word  uint64
	last  uint64 // word without the last line
}

// parts reads the file. The first error ends it.
func (d *divider) parts(h Handler, size int64) (parts []Part, err error) {
	in, octets, err := d.r.open(d.f)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	marks := make([]chunk.Mark, len(d.before))
	for i := range marks {
		marks[i] = d.before[i].Mark
	}
	c := chunk.NewReader(in, marks, d, chunk.Sizes{Wished: int(max(size, octets/maxParts)), Most: mostPart})
	parts = make([]Part, 0, len(d.before)+8)
	for {
		s, err := c.Next()
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		if err != nil {
			return nil, err
		}
		h.Part(s.Was, s.Line)
		p := Part{Mark: s.Mark}
		if s.Was >= 0 {
			p = d.before[s.Was]
		} else {
			text, err := c.Text()
			if err != nil {
				return nil, err
			}
			d.read(&p, string(text), s.Line)
		}
		d.begun = true
		switch {
		case d.r.includes:
			return nil, errIncludes
		case len(d.r.errs) > 0:
			return nil, d.r.errs[0].Error
		case d.r.steps < 0:
			return nil, errors.New("too many steps of $GENERATE")
		}
		parts = append(parts, p)
	}
}

// read reads the records of a new part, and fills in what the next reading has
// to know.
func (d *divider) read(p *Part, text string, line int) {
	p.Before = d.state()
	steps := d.r.steps
	s := &scanner{text: text, line: line}
	if !d.begun {
		s.text = strings.TrimPrefix(text, bom)
	}
	d.r.read(d.f, s)
	d.begun = true
	p.After, p.steps, p.word = d.state(), steps-d.r.steps, d.word
	if d.told -= int(p.Mark.Lines); d.told > 0 {
		p.word = d.last
	}
}

func (d *divider) state() State {
	return State{
		origin: d.f.origin, owner: d.f.owner, stated: d.f.stated, last: d.f.last, min: d.r.min,
		fallback: d.r.o.TTL, begun: d.begun,
	}
}

// Line is of chunk.Divider.
func (d *divider) Line(line []byte) chunk.Cut {
	d.told++
	d.last = d.word
	cut := chunk.Never
	if d.depth == 0 {
		cut, d.word = cutAt(line, d.word)
	}
	if d.depth > 0 || bytes.IndexByte(line, '(') >= 0 {
		d.depth = nested(line, d.depth)
	}
	return cut
}

// Skip is of chunk.Skipper.
func (d *divider) Skip(lines []byte, n int) {
	if d.depth > 0 || bytes.IndexByte(lines, '(') >= 0 {
		for line := range bytes.Lines(lines) {
			d.Line(line[:len(line)-1])
		}
		return
	}
	d.told += n
	for len(lines) > 0 { // back to the last with an owner
		end := len(lines) - 1
		begin := bytes.LastIndexByte(lines[:end], '\n') + 1
		if cut, word := cutAt(lines[begin:end], 0); cut != chunk.Never {
			d.word = word
			return
		}
		lines = lines[:begin]
	}
}

// Fits is of chunk.Divider.
func (d *divider) Fits(i int, behind []byte) chunk.Cut {
	p := &d.before[i]
	switch {
	case p.Before != d.state():
		return chunk.Never
	case behind == nil:
		return chunk.May
	}
	cut, _ := cutAt(behind, p.word)
	return cut
}

// Seen is of chunk.Divider.
func (d *divider) Seen(i int) {
	p := &d.before[i]
	d.f.origin, d.f.owner, d.f.stated, d.f.last, d.r.min = p.After.origin, p.After.owner, p.After.stated, p.After.last, p.After.min
	d.r.steps -= p.steps
	d.told, d.depth = 0, 0 // and word is set by the line that comes: it begins a part
}

// cutAt is whether a part may begin at a line outside parentheses, and the hash
// of the last owner behind it; word is the one before it. It may at another
// owner, or where the same word means another one. It may not at other
// directives, for which the owner stays the same, nor at comments, which are
// likely to belong to what is below them as to what is above.
func cutAt(line []byte, word uint64) (chunk.Cut, uint64) {
	if len(line) == 0 {
		return chunk.Never, word
	}
	switch k := kinds[line[0]]; {
	case k != plain && k != escape:
		return chunk.Never, word
	case line[0] == '$':
		if hasDirective(line, "$ORIGIN") || hasDirective(line, "$GENERATE") {
			return chunk.May, 0
		}
		return chunk.Never, word
	}
	h := uint64(14695981039346656037) // FNV-1a: owners are short
	for _, c := range line {
		if k := kinds[c]; k != plain && k != escape {
			break
		}
		h = (h ^ uint64(lower[c])) * 1099511628211
	}
	if h == word {
		return chunk.Never, word
	}
	return chunk.May, h
}

// hasDirective is whether line begins with a directive, in capitals or not.
func hasDirective(line []byte, name string) bool {
	return len(line) >= len(name) && strings.EqualFold(string(line[:len(name)]), name) &&
		(len(line) == len(name) || kinds[line[len(name)]] == white)
}

// nested is the depth of parentheses behind a line, given that before it: what
// scanner.read finds where nothing is wrong.
func nested(line []byte, depth int) int {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch k := kinds[line[i]]; {
		case k == escape:
			i++
		case k == quote:
			quoted = !quoted
		case quoted:
		case k == comment:
			return depth
		case k == open:
			depth++
		case k == shut:
			depth = max(depth-1, 0)
		}
	}
	return depth
}
