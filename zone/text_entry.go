package zone

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// maxFile bounds a file; it is read into memory as a whole.
const maxFile = 4 << 30

// readRegular is the text of a regular file. Anything else could block, or have
// no end.
func readRegular(path string) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	size := st.Size()
	switch {
	case !st.Mode().IsRegular():
		return "", errors.New("not a regular file")
	case size > maxFile || int64(int(size)) != size:
		return "", errors.New("larger than 4 GiB")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var b strings.Builder
	b.Grow(int(size))
	// A file that grows meanwhile is read to the size that it had.
	if _, err := io.Copy(&b, io.LimitReader(f, size)); err != nil {
		return "", err
	}
	return b.String(), nil
}

// directive is the directive of e in capitals, or "".
func (e *entry) directive() string {
	if e.blank || len(e.tokens) == 0 || e.tokens[0].quoted || !strings.HasPrefix(e.tokens[0].text, "$") {
		return ""
	}
	return strings.ToUpper(e.tokens[0].text)
}

// entry reads a directive or a record.
func (r *reader) entry(f *file, e *entry) error {
	if e.blank {
		if f.owner == "" && !f.lost {
			f.lost = true
			return errors.New("no owner: the line begins with white space, and no record in this file is before it")
		}
		return r.record(f, e.tokens)
	}
	if d := e.directive(); d != "" {
		if err := r.directive(f, d, e.tokens[1:]); err != nil {
			return fmt.Errorf("%s: %w", d, err)
		}
		return nil
	}
	if err := f.setOwner(e.tokens[0]); err != nil {
		return err
	}
	return r.record(f, e.tokens[1:])
}

func (r *reader) directive(f *file, name string, args []token) error {
	switch name {
	case "$ORIGIN":
		f.blind = true
		if len(args) != 1 {
			return errors.New("takes one name")
		}
		origin, err := f.wire(nil, args[0])
		if err != nil {
			return err
		}
		f.origin, f.blind = string(origin), false
		return nil
	case "$TTL":
		if len(args) != 1 {
			return errors.New("takes one TTL")
		}
		seconds, err := parseTTL(args[0].text)
		if err != nil {
			return err
		}
		f.stated = ttl{seconds, true}
		return nil
	case "$INCLUDE":
		return r.include(f, args)
	case "$GENERATE":
		return r.generate(f, args)
	}
	return errors.New("unknown directive; there are $ORIGIN, $TTL, $INCLUDE and $GENERATE")
}

// include reads another file. The origin, owner and TTLs of f are f's own and
// so as before when it ends.
func (r *reader) include(f *file, args []token) error {
	if len(args) != 1 && len(args) != 2 || args[0].text == "" {
		return errors.New("takes the path of a file and, if wanted, an origin")
	}
	path := args[0].text
	sub := &file{name: path, from: f, origin: f.origin, blind: f.blind, stated: f.stated, last: f.last}
	if !filepath.IsAbs(path) {
		sub.name = filepath.Join(filepath.Dir(f.name), path)
	}
	if len(args) == 2 {
		origin, err := f.wire(nil, args[1])
		if err != nil {
			return err
		}
		sub.origin, sub.blind = string(origin), false
	}
	depth := 0
	abs, err := filepath.Abs(sub.name)
	for up := f; up != nil; up = up.from {
		if err == nil && up.abs == abs {
			return fmt.Errorf("%q includes itself", path)
		}
		depth++
	}
	if depth > maxDepth {
		return fmt.Errorf("%q is more than %d files deep", path, maxDepth)
	}
	text, err := r.open(sub)
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	r.read(sub, text)
	return nil
}

// wire appends the name that t writes in wire form, in the case it is written.
func (f *file) wire(dst []byte, t token) ([]byte, error) {
	if t.quoted || t.mixed {
		return dst, fmt.Errorf("name %q: a name is not written in quotes", t.text)
	}
	dst, err := appendName(dst, t.text, f.origin)
	if err != nil {
		return dst, fmt.Errorf("name %q: %w", t.text, err)
	}
	return dst, nil
}

// setOwner makes t the owner of this record and of the next ones without one.
func (f *file) setOwner(t token) error {
	wire, err := f.wire(f.ownerBuf[:0], t)
	if err != nil {
		f.lost = true
		return fmt.Errorf("owner: %w", err)
	}
	f.ownerBuf = wire
	lowerWire(wire)
	f.lost = f.blind
	if string(f.owner) != string(wire) {
		f.owner = dnswire.Name(wire)
	}
	return nil
}

// lose takes what can be known from an entry with a syntax error: its owner, so
// that the records after it are judged.
func (f *file) lose(e *entry) {
	switch {
	case e.blank || len(e.tokens) == 0:
	case e.directive() == "$ORIGIN":
		f.blind = true
	case e.directive() != "":
	case e.tokens[0].escaped || f.setOwner(e.tokens[0]) != nil:
		f.lost = true
	}
}

// header is what stands between a record's owner and its data.
type header struct {
	ttl  ttl
	typ  dnswire.Type
	data []token
}

// parseHeader reads [TTL] [class] type or [class] [TTL] type (RFC 1035
// section 5.1).
func parseHeader(tokens []token) (h header, err error) {
	class := false // seen
	for i, t := range tokens {
		switch {
		case t.quoted || t.mixed:
			return h, fmt.Errorf("%q in quotes where a TTL, a class or a type belongs", t.text)
		case !h.ttl.known && t.text != "" && isDigit(t.text[0]):
			h.ttl.known = true
			if h.ttl.seconds, err = parseTTL(t.text); err != nil {
				return h, err
			}
			continue
		}
		if c, ok := parseClass(t.text); ok && !class {
			if c != dnswire.ClassIN {
				return h, fmt.Errorf("class %s: the class of a zone is IN", c)
			}
			class = true
			continue
		}
		h.typ, err = dnswire.ParseType(t.text)
		switch {
		case err != nil && strings.HasPrefix(t.text, "$"):
			return h, fmt.Errorf("%q: a directive begins its line, with no white space before it", t.text)
		case err != nil && i == 0:
			return h, fmt.Errorf("%q is no TTL, class or type", t.text)
		case err != nil:
			return h, err
		case !isData(h.typ):
			return h, fmt.Errorf("type %s is not of data in a zone", h.typ)
		}
		h.data = tokens[i+1:]
		return h, nil
	}
	return h, errors.New("the record has no type")
}

// parseClass reads a mnemonic, or CLASS and a number (RFC 3597 section 5).
func parseClass(s string) (c dnswire.Class, ok bool) {
	switch upper := strings.ToUpper(s); upper {
	case "IN":
		return dnswire.ClassIN, true
	case "CS": // obsolete (RFC 1035 section 3.2.4)
		return 2, true
	case "CH":
		return dnswire.ClassCH, true
	case "HS":
		return 4, true
	case "NONE":
		return dnswire.ClassNONE, true
	default:
		digits, ok := strings.CutPrefix(upper, "CLASS")
		n, err := strconv.ParseUint(digits, 10, 16)
		return dnswire.Class(n), ok && err == nil
	}
}

// isData is whether records of type t can be in a zone (RFC 6895 section 3.1:
// 0 and 65535 are reserved, 128 to 255 are questions and meta types).
func isData(t dnswire.Type) bool {
	return t != 0 && t != dnswire.TypeOPT && (t < 128 || t > 255) && t != 65535
}

// record reads a record behind its owner, which is f's, and emits it.
func (r *reader) record(f *file, tokens []token) error {
	h, err := parseHeader(tokens)
	if err != nil {
		return err
	}
	if h.ttl.known {
		f.last = h.ttl
	}
	return r.finish(f, f.owner, h, f.lost || f.blind)
}

// finish reads the data of a record and emits it, unless quiet.
func (r *reader) finish(f *file, owner dnswire.Name, h header, quiet bool) error {
	data, err := r.data.read(h.typ, h.data, f.origin)
	if err != nil {
		return err
	}
	if h.typ == dnswire.TypeSOA && !r.min.known {
		// RFC 2308 section 4 has no say for the SOA itself; where nothing
		// states a TTL, its own minimum is the nearest thing to one.
		r.min = ttl{min(binary.BigEndian.Uint32(data[len(data)-4:]), maxTTL), true}
	}
	if quiet {
		return nil
	}
	r.rec = Record{Owner: owner, Type: h.typ, TTL: r.o.TTL, Data: data, Pos: Pos{f.index, f.line}}
	for _, t := range [...]ttl{h.ttl, f.stated, f.last, r.min} {
		if t.known {
			r.rec.TTL = t.seconds
			break
		}
	}
	r.emit(&r.rec)
	return nil
}

// parseTTL reads seconds, or numbers with units as BIND writes them: 1h30m.
func parseTTL(s string) (uint32, error) {
	var sum, n uint64
	digits := false
	for i := range len(s) {
		c := s[i]
		unit := uint64(0)
		switch c {
		case 's', 'S':
			unit = 1
		case 'm', 'M':
			unit = 60
		case 'h', 'H':
			unit = 3600
		case 'd', 'D':
			unit = 86400
		case 'w', 'W':
			unit = 7 * 86400
		}
		switch {
		case isDigit(c):
			n = n*10 + uint64(c-'0')
			digits = true
		case unit == 0 || !digits:
			return 0, fmt.Errorf("%q is not a TTL", s)
		default:
			sum += n * unit
			n, digits = 0, false
		}
		if n > maxTTL || sum > maxTTL {
			return 0, errTTL(s)
		}
	}
	switch {
	case s == "":
		return 0, errors.New("empty TTL")
	case sum+n > maxTTL:
		return 0, errTTL(s)
	}
	return uint32(sum + n), nil
}

func errTTL(s string) error {
	return fmt.Errorf("TTL %s is above %d (RFC 2181 section 8)", s, maxTTL)
}
