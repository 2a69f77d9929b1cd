package spec

import (
	"bytes"
	"slices"

	"github.com/rhumb-dns/rhumb/chunk"
	"github.com/rhumb-dns/rhumb/spec/document"
)

// A file of many services is read in stretches, of which the last reading left
// what they had come to. Services below a key `services:` that are plain enough
// become runs without passing through a tree:
//
//	  services:
//	    www: {pools: [eu, us], steer: weighted}   \
//	    api: {pools: [eu]}                         > a run: names, and texts of
//	    mail:                                      | policies, of which there are few
//	      pools: [eu]                             /
//	    "@": {pools: [eu]}                        stays in the text
//
// What is plain is decided so that the rest of the text, without the runs, is a
// YAML document that means the same but for them (reading.top has the proof).

// place is what the lines before a line say of it.
type place struct {
	key   int  // the indentation of the services key that it is below; -1: of none
	child int  // that of the services below the key; -1: none was seen yet
	fresh bool // the key is the line before
}

// nowhere is the place of a file's first line.
var nowhere = place{key: -1, child: -1}

// next goes over a line, and says whether a stretch may begin with it.
func (p *place) next(line []byte) chunk.Cut {
	n, c := indentation(line)
	cut := chunk.May
	if p.key >= 0 {
		if cut = chunk.Never; p.fresh {
			cut, p.fresh = chunk.Must, false
		}
		switch {
		case c == '\n' || c == '#':
			return cut
		case n > p.key:
			if p.child < 0 {
				p.child = n
			}
			if n == p.child {
				cut = max(cut, chunk.May)
			}
			return cut
		}
		*p, cut = nowhere, chunk.Must
	}
	if n > 1 && c == 's' && servicesKey(line[n:]) {
		*p = place{key: n, child: -1, fresh: true}
	}
	return cut
}

// indentation is how many spaces a line begins with, and what is behind them: a
// newline when nothing is.
func indentation(line []byte) (int, byte) {
	for i, c := range line {
		if c != ' ' {
			return i, c
		}
	}
	return len(line), '\n'
}

// servicesKey is whether a line is the key and nothing else.
func servicesKey(s []byte) bool {
	s, ok := bytes.CutPrefix(s, []byte("services:"))
	rest := bytes.TrimLeft(s, " ")
	return ok && (len(rest) == 0 || rest[0] == '#' && len(rest) < len(s))
}

// part is what a stretch of a file comes to. It is not changed.
type part struct {
	before, after place
	key           int     // the line of the last services key in it, from its first one; -1: none
	pieces        []piece // nil: all of it stays in the text
	doubtful      bool    // it is not as this file takes all files to be
}

// stays is whether some of the text does.
func (p *part) stays() bool {
	return p.pieces == nil || slices.ContainsFunc(p.pieces, func(one piece) bool { return one.run == nil })
}

// piece is some whole lines of a stretch.
type piece struct {
	run         *run // nil: they stay in the text
	lines, size int
}

// run is services that are cut out of a text.
type run struct {
	*Block
	first   int // the line of the first one, from the piece's first
	longest int // of the labels, in octets
	words   *words
	uses    []use
}

// use is how many services of a run have the policy with a number.
type use struct{ number, services uint16 }

// words are the texts of the policies of runs, each once and with a number,
// which it keeps from load to load: a million services have a few between them.
type words struct {
	texts   []string
	numbers map[string]uint16
}

func newWords() *words { return &words{numbers: map[string]uint16{}} }

// room is whether there are numbers for all services of one more block.
func (w *words) room() bool { return len(w.texts)+maxBlock <= 1<<16 }

func (w *words) number(text string) uint16 {
	n, ok := w.numbers[text]
	if !ok {
		n = uint16(len(w.texts))
		w.texts, w.numbers[text] = append(w.texts, text), n
	}
	return n
}

// cutter makes parts.
type cutter struct {
	// least is how many services a run has that is not a whole stretch among
	// others below its key.
	least int
	plain map[string]plainText
	words *words

	// What follows is of one stretch.
	text   []byte
	pieces []piece
	at     *place
	used   map[uint16]int // where a policy is in the uses of the run that is being made
	run    run
	labels []byte
	each   []labelled
	start  int // where the run begins in the text
	lines  int // of it so far
	last   int // the line of its last service
}

// plainText is what is known of a text: whether it is a plain policy.
type plainText struct {
	text string
	ok   bool
}

// maxPlain bounds the memory for texts that were looked at already.
const maxPlain = 1 << 14

func newCutter(least int, w *words) *cutter {
	return &cutter{least: least, plain: map[string]plainText{}, words: w, used: map[uint16]int{}}
}

// part makes the part of a stretch that begins at a place.
func (c *cutter) part(text []byte, at place) *part {
	p := &part{before: at, after: at, key: -1}
	if at.key >= 0 && below(text, at.key) {
		c.text, c.pieces, c.at, c.start, c.lines = text, nil, &p.after, 0, 0
		p.doubtful = !c.services()
		p.pieces = c.pieces
		return p
	}
	n := 0
	for line := range bytes.Lines(text) {
		if p.after.next(bytes.TrimSuffix(line, []byte{'\n'})); p.after.fresh {
			p.key = n
		}
		n++
	}
	return p
}

// below is whether the first line that says something is below a key of this
// indentation.
func below(text []byte, key int) bool {
	for line := range bytes.Lines(text) {
		if n, c := indentation(bytes.TrimSuffix(line, []byte{'\n'})); c != '\n' && c != '#' {
			return n > key
		}
	}
	return false
}

// stated is the lines of one service, up to the next one.
type statedLines struct {
	start, end int // in the text
	count      int
	head       []byte // the first line without its indentation; nil: no service
	from, to   int    // what is below the first line, in the text; 0: nothing
	plain      bool
}

// services divides the services of a stretch. Not ok: they are not stated line
// by line, so that a text without some of them could mean something else.
func (c *cutter) services() (ok bool) {
	first := c.at.fresh
	c.at.fresh = false
	var s statedLines // the comments before the first service
	for pos := 0; pos < len(c.text); {
		end := len(c.text)
		line := c.text[pos:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line, end = line[:i], pos+i+1
		}
		switch n, first := indentation(line); {
		case first == '\n':
		case first == '#':
			s.plain = s.plain && printable(line)
		case c.at.child >= 0 && n > c.at.child:
			if s.head == nil {
				return false // of a service that began in the stretch before
			}
			if s.from == 0 {
				s.from = pos
			}
			s.to = pos + len(line)
		case c.at.child >= 0 && n < c.at.child, first == '-':
			return false
		default:
			c.service(&s)
			c.at.child = n
			s = statedLines{start: pos, head: line[n:], plain: true}
		}
		s.count++
		s.end, pos = end, end
	}
	c.service(&s)
	if len(c.pieces) == 0 && !first {
		c.end(len(c.text), 1)
	} else {
		c.end(len(c.text), c.least)
	}
	return true
}

// service adds a service to the run, or ends the run when it is to stay in the
// text.
func (c *cutter) service(s *statedLines) {
	if s.count == 0 {
		return
	}
	if len(c.each) > 0 && (c.lines-c.last > 255 || len(c.each) == maxBlock) {
		c.end(s.start, c.least)
	}
	before := len(c.labels)
	number, ok := uint16(0), false
	if s.plain {
		if rest := c.label(s.head); rest != nil {
			number, ok = c.policy(s, rest)
		}
	}
	if !ok {
		c.labels = c.labels[:before]
		c.end(s.start, c.least)
		c.stays(s.count, s.end-s.start)
		c.start = s.end
		return
	}
	if len(c.each) == 0 {
		c.run.first, c.last = c.lines, c.lines
	}
	size := len(c.labels) - before
	c.each = append(c.each, labelled{size: uint8(size), lines: uint8(c.lines - c.last), policy: number})
	c.run.longest = max(c.run.longest, size)
	at, known := c.used[number]
	if !known {
		at = len(c.run.uses)
		c.used[number] = at
		c.run.uses = append(c.run.uses, use{number: number})
	}
	c.run.uses[at].services++
	c.last = c.lines
	c.lines += s.count
}

// end ends the run here in the text. It is none with fewer services than least.
func (c *cutter) end(end, least int) {
	switch {
	case len(c.each) >= max(least, 1):
		r := c.run
		r.Block = &Block{labels: string(c.labels), each: append([]labelled(nil), c.each...)}
		c.pieces = append(c.pieces, piece{run: &r, lines: c.lines, size: end - c.start})
	case c.lines > 0:
		c.stays(c.lines, end-c.start)
	}
	c.start, c.lines = end, 0
	c.labels, c.each, c.run = c.labels[:0], c.each[:0], run{}
	clear(c.used)
}

// stays adds lines that stay in the text.
func (c *cutter) stays(lines, size int) {
	if n := len(c.pieces); n > 0 && c.pieces[n-1].run == nil {
		c.pieces[n-1].lines += lines
		c.pieces[n-1].size += size
		return
	}
	c.pieces = append(c.pieces, piece{lines: lines, size: size})
}

const (
	labelFirst = 1 << iota // may begin the name of a plain service
	labelInside
)

var labelBytes = func() (t [256]uint8) {
	for b := range t {
		switch c := byte(b); {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_':
			t[c] = labelFirst | labelInside
		case c == '-', c == '.':
			t[c] = labelInside
		}
	}
	return t
}()

// label appends the name of a service in lower case and returns what is behind
// its colon; nil: it is not plain. appendLabel has the rules.
func (c *cutter) label(head []byte) []byte {
	if labelBytes[head[0]]&labelFirst == 0 {
		return nil
	}
	size := 0
	for i, b := range head {
		switch {
		case b == ':':
			if size == 0 || i > 253 || i+1 < len(head) && head[i+1] != ' ' {
				return nil
			}
			return head[i+1:]
		case labelBytes[b] == 0:
			return nil
		case b == '.':
			if size == 0 {
				return nil
			}
			size = -1
		case b >= 'A' && b <= 'Z':
			b += 'a' - 'A'
		}
		if size++; size > 63 {
			return nil
		}
		c.labels = append(c.labels, b)
	}
	return nil
}

// policy is the number of the policy of a service, which stands behind its name
// in one line, or in the lines below. Not ok: it is not plain.
func (c *cutter) policy(s *statedLines, rest []byte) (number uint16, ok bool) {
	rest = bytes.Trim(rest, " ")
	if n := len(rest); n > 0 && rest[n-1] != '}' || n > 0 && rest[0] == '#' {
		i := bytes.IndexByte(rest, '#') // a comment has a space before it
		if i < 0 || i > 0 && rest[i-1] != ' ' || !printable(rest[i:]) {
			return 0, false
		}
		rest = bytes.TrimRight(rest[:i], " ")
	}
	text := rest
	if len(text) == 0 {
		text = c.text[s.from:s.to]
	} else if s.from > 0 {
		return 0, false
	}
	if c.run.words == nil {
		if c.run.words = c.words; !c.words.room() {
			c.run.words = newWords()
		}
	}
	if number, ok = c.run.words.numbers[string(text)]; ok {
		return number, true
	}
	known, ok := c.plain[string(text)]
	if !ok {
		known = plainText{string(text), plainPolicy(text)}
		if len(c.plain) < maxPlain {
			c.plain[known.text] = known
		}
	}
	if !known.ok {
		return 0, false
	}
	return c.run.words.number(known.text), true
}

// plainPolicy is whether a text is a map that can be the policy of a service
// wherever it stands and whatever the service is called: without records that
// are made of the name.
func plainPolicy(text []byte) bool {
	top, ok := policyNode("", 0, text)
	if !ok || top.Kind() != document.Mapping {
		return false
	}
	for k := range top.Pairs() {
		if key := string(k.Raw()); key == "srv" || key == "txt" {
			return false
		}
	}
	for range references(top) {
		return false // which depend on the zone, and are looked for in the tree
	}
	return true
}

// policyNode is the map that is the text of a policy.
func policyNode(name string, file int, text []byte) (document.Node, bool) {
	if len(text) > 0 && text[0] == '{' {
		return document.ParseFlow(name, file, text)
	}
	return document.ParseAround(name, file, text, nil)
}

// printable is whether a line is of letters that YAML allows in a comment.
func printable(line []byte) bool {
	for _, c := range line {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
