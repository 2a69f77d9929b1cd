package spec

import (
	"errors"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/rhumb-dns/rhumb/chunk"
	"github.com/rhumb-dns/rhumb/spec/document"
)

// readSizes say which files are read in stretches, and how.
type readSizes struct {
	least   int64 // octets of such a file; smaller ones are read whole; -1: all are
	run     int   // how many services a run has at least (cutter.least)
	stretch int   // octets that a stretch is to have
}

// sizes are small enough for a change to cost little, and large enough for what
// does not change to cost nothing.
var sizes = readSizes{least: 64 << 10, run: 16, stretch: 16 << 10}

// reading is one reading of a file in stretches. It is the chunk.Divider.
type reading struct {
	cut         *cutter
	before      []*part // of the last reading
	here, ahead place   // of the stretch that comes next, and of the line that does

	text    []byte // what is left of the file
	size    int64  // of the file
	read    int64
	lines   int // of text
	gaps    []document.Gap
	regions []*region
	made    keptText
}

// region is what has been cut out below one services key.
type region struct {
	line int // of the key
	at   place
	runs []stretchedRun
}

// stretchedRun is a run and the line of its first service.
type stretchedRun struct {
	*run
	line int
}

// keptText is what one reading leaves for the next.
type keptText struct {
	marks []chunk.Mark
	parts []*part

	// What came of a file that is still what the stamp says.
	stamp stamp // not known: it may have been written while it was read
	top   document.Node
	cuts  map[document.Node]*region
}

func (r *reading) Line(line []byte) chunk.Cut { return r.ahead.next(line) }

func (r *reading) Fits(i int, behind []byte) chunk.Cut {
	p := r.before[i]
	if p.before != r.here {
		return chunk.Never
	}
	if behind == nil {
		return chunk.May
	}
	after := p.after
	return after.next(behind)
}

func (r *reading) Seen(i int) { r.ahead = r.before[i].after }

// errDoubt is that a file is to be read whole.
var errDoubt = errors.New("not stated line by line")

// errLarge is that a file has more than maxFile octets.
var errLarge = errors.New("too large")

// file reads a file, a second time when it changes under its eyes.
func (r *reading) file(f chunk.File, last keptText, stretch int) error {
	fresh, size := *r, chunk.Sizes{Wished: stretch}
	in := chunk.NewFileReader(f, last.marks, r, size)
	defer in.Close()
	err := r.all(in, last)
	if !errors.Is(err, chunk.ErrAgain) {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	*r = fresh
	return r.all(chunk.NewReader(f, last.marks, r, size), last)
}

// all reads what in has.
func (r *reading) all(in *chunk.Reader, last keptText) error {
	r.before, r.here, r.ahead = last.parts, nowhere, nowhere
	r.made = keptText{marks: make([]chunk.Mark, 0, len(last.marks)+8), parts: make([]*part, 0, len(last.parts)+8)}
	key := 0 // the line of the last services key
	for {
		s, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, chunk.ErrLong):
			return errDoubt
		case err != nil:
			return err
		}
		if r.read += int64(s.Mark.Size); r.read > maxFile {
			return errLarge
		}
		var p *part
		var text []byte // of what is new, or stays
		if s.Was >= 0 {
			p = r.before[s.Was]
		}
		if p == nil || p.stays() {
			if text, err = in.Text(); err != nil {
				return err
			}
		}
		if p == nil {
			p = r.cut.part(text, r.here)
		}
		if p.doubtful {
			return errDoubt
		}
		r.made.marks, r.made.parts = append(r.made.marks, s.Mark), append(r.made.parts, p)
		r.here = p.after
		if p.key >= 0 {
			key = s.Line + p.key
		}
		if p.pieces == nil {
			r.stays(text, int(s.Mark.Lines))
			continue
		}
		r.pieces(p, s.Line, text, key)
	}
}

// stays adds what is left of the text.
func (r *reading) stays(text []byte, lines int) {
	if need := len(r.text) + len(text); need > cap(r.text) {
		// It doubles as far as the file can fill it.
		r.text = slices.Grow(r.text, max(len(text), min(need, int(r.size-r.read)+len(text))))
	}
	r.text = append(r.text, text...)
	r.lines += lines
}

// pieces adds what a part comes to, which begins at a line. Its text is not
// looked at when all of it is cut out.
func (r *reading) pieces(p *part, line int, text []byte, key int) {
	at := 0
	for _, one := range p.pieces {
		switch n := len(r.regions); {
		case one.run == nil:
			r.stays(text[at:at+one.size], one.lines)
		default:
			if n == 0 || r.regions[n-1].line != key {
				r.regions = append(r.regions, &region{line: key, at: p.after})
				n++
			}
			if g := len(r.gaps); g > 0 && r.gaps[g-1].After == r.lines {
				r.gaps[g-1].Lines += one.lines
			} else {
				r.gaps = append(r.gaps, document.Gap{After: r.lines, Lines: one.lines})
			}
			below := r.regions[n-1]
			below.runs = append(below.runs, stretchedRun{one.run, line + one.run.first})
		}
		at, line = at+one.size, line+one.lines
	}
}

// top is the tree of what is left of the text, and what is to be added to the
// values of its services keys. Not ok: the file is to be read whole.
//
// That the whole text is YAML, and means what is left of it with the runs added,
// follows from this: the fast parser reads what is left, and it knows no value
// that goes on in another line but by its indentation (ParseAround). The key of
// a region is one of a block map then, being alone in its line. All lines of the
// region are indented further. They are services, whose first lines have one and
// the same indentation, and stay or go with all that is below them; the fast
// parser reads those that go as well (plainPolicy). So the value of the key is
// either nothing, when all went, or a map of that indentation.
func (r *reading) top(name string, file int) (top document.Node, cuts map[document.Node]*region, ok bool) {
	if top, ok = document.ParseAround(name, file, r.text, r.gaps); !ok {
		return top, nil, false
	}
	byLine := make(map[int]*region, len(r.regions))
	for _, at := range r.regions {
		byLine[at.line] = at
	}
	cuts = make(map[document.Node]*region, len(r.regions))
	for _, z := range under(top, "zones", "*") {
		if z.node.Kind() != document.Mapping {
			continue
		}
		for k, v := range z.node.Pairs() {
			at := byLine[k.Line()]
			if at == nil || string(k.Raw()) != "services" || k.Col() != at.at.key+1 {
				continue
			}
			if !(v.Null() || v.Kind() == document.Mapping && v.Col() == at.at.child+1) {
				return top, nil, false
			}
			cuts[v] = at
		}
	}
	return top, cuts, len(cuts) == len(r.regions)
}

// manyShort is how many times shorter stretches may be than they are to be. It
// does not pay to keep a file that is cut into shorter ones.
const manyShort = 8

// maxKeptText is how much may be left of the text of a file whose tree is kept.
const maxKeptText = 1 << 20

// stretches reads a large file. Without a top, its text has no runs and is what
// comes back; errDoubt is that the file is to be read whole.
func (l *loader) stretches(f *os.File, size int64, name, abs string) (document.Node, []byte, error) {
	begun := l.d.kept.clock()
	last := l.d.kept.text(abs)
	if same := last.top; last.stamp.known && last.stamp == stampOf(abs) && same.Name() == name && same.File() == len(l.d.spec.Files) {
		l.d.kept.keepText(abs, last)
		l.add(abs, last)
		return same, nil, nil
	}
	if l.cut == nil {
		l.cut = newCutter(l.sizes.run, l.d.kept.vocabulary())
	}
	r := &reading{cut: l.cut, size: size}
	if err := r.file(chunk.File{File: f, Beside: l.beside}, last, l.sizes.stretch); err != nil {
		return document.Node{}, nil, err
	}
	if len(r.regions) == 0 {
		return document.Node{}, r.text, nil
	}
	made, ok := r.made, false
	if made.top, made.cuts, ok = r.top(name, len(l.d.spec.Files)); !ok {
		return document.Node{}, nil, errDoubt
	}
	keep := made
	if st := stampOf(abs); st.size == r.read && st.before(begun) && len(r.text) <= maxKeptText {
		keep.stamp = st
	} else {
		keep.top, keep.cuts = document.Node{}, nil
	}
	if int64(len(made.parts))*int64(l.sizes.stretch) > manyShort*size {
		keep.marks, keep.parts = nil, nil
	}
	l.d.kept.keepText(abs, keep)
	l.add(abs, made)
	return made.top, nil, nil
}

// add adds a file that was read in stretches.
func (l *loader) add(abs string, made keptText) {
	l.d.spec.Files, l.d.spec.names = append(l.d.spec.Files, abs), append(l.d.spec.names, made.top.Name())
	maps.Copy(l.d.cuts, made.cuts)
}
