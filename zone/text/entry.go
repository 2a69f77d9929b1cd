package text

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
)

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
			return errors.New("no owner: the line begins with white space, and no record is before it")
		}
		return r.record(f, e.tokens)
	}
	if d := e.directive(); d != "" {
		if err := r.directive(f, d, e.tokens[1:]); err != nil {
			return fmt.Errorf("%s: %w", brief(d), err)
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
		if r.alone {
			r.includes = true
			return errIncludes
		}
		return r.include(f, args)
	case "$GENERATE":
		return r.generate(f, args)
	}
	return errors.New("unknown directive; there are $ORIGIN, $TTL, $INCLUDE and $GENERATE")
}

// wire appends the name that t writes in wire form, in the case it is written.
func (f *file) wire(dst []byte, t token) ([]byte, error) {
	if t.quoted || t.mixed {
		return dst, fmt.Errorf("name %s: a name is not written in quotes", cite(t.text))
	}
	dst, err := appendName(dst, t.text, f.origin)
	if err != nil {
		return dst, fmt.Errorf("name %s: %w", cite(t.text), err)
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
			return h, fmt.Errorf("%s in quotes where a TTL, a class or a type belongs", cite(t.text))
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
			return h, fmt.Errorf("%s: a directive begins its line, with no white space before it", cite(t.text))
		case err != nil && i == 0:
			return h, fmt.Errorf("%s is no TTL, class or type", cite(t.text))
		case err != nil:
			return h, fmt.Errorf("no record type %s", cite(t.text))
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
	switch {
	case strings.EqualFold(s, "IN"):
		return dnswire.ClassIN, true
	case len(s) < 2 || lower[s[0]] != 'c' && lower[s[0]] != 'h' && lower[s[0]] != 'n':
		return 0, false // most types
	}
	switch upper := strings.ToUpper(s); upper {
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
		if !ok {
			return 0, false
		}
		n, err := strconv.ParseUint(digits, 10, 16)
		return dnswire.Class(n), err == nil
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
			return 0, fmt.Errorf("%s is not a TTL", cite(s))
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
	return fmt.Errorf("TTL %s is above %d (RFC 2181 section 8)", brief(s), maxTTL)
}
