package text

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/miekg/dns"
	"github.com/rhumb-dns/rhumb/dnswire"
)

// dataReader turns the tokens of a record's data into RDATA. miekg/dns knows
// most types; ownTypes and the plainest records, which are most of a large zone,
// go past it.
type dataReader struct {
	data  []byte // the result, until the next record
	line  []byte // what miekg/dns parses
	in    bytes.Reader
	msg   []byte   // what it packs
	back  []byte   // what it packs again
	types []uint16 // of a bitmap

	origin string // in wire form
	text   string // the same as text
}

// headLen is the length in wire form of an owner that is the root and what
// stands between it and RDATA.
const headLen = 1 + 10

// read gives the RDATA of a record of type t. It is good until the next call.
func (d *dataReader) read(t dnswire.Type, tokens []token, origin string) ([]byte, error) {
	var ok bool
	if d.data, ok = d.appendPlain(d.data[:0], t, tokens, origin); ok {
		return d.data, nil
	}
	if len(tokens) > 0 && tokens[0].text == `\#` && !tokens[0].quoted {
		return d.generic(t, tokens[1:])
	}
	return d.parse(t, tokens, origin)
}

// generic reads the data of RFC 3597 section 5: a length, then hexadecimal
// digits. Where miekg/dns knows the type, they must be what it would write.
func (d *dataReader) generic(t dnswire.Type, tokens []token) ([]byte, error) {
	if len(tokens) == 0 {
		return nil, errors.New(`\#: the length of the data is missing`)
	}
	n, err := strconv.ParseUint(tokens[0].text, 10, 16)
	if err != nil {
		return nil, fmt.Errorf(`\#: length %s is not a number from 0 to 65535`, cite(tokens[0].text))
	}
	for _, tok := range tokens[1:] {
		if tok.quoted || tok.mixed || tok.escaped {
			return nil, fmt.Errorf(`\#: %s is not hexadecimal`, cite(tok.text))
		}
	}
	if d.data, err = hex.AppendDecode(d.data[:0], d.joined(tokens[1:])); err != nil {
		return nil, fmt.Errorf(`\#: %w`, cleaned(err))
	}
	if len(d.data) != int(n) {
		return nil, fmt.Errorf(`\#: %d bytes of data where the length says %d`, len(d.data), n)
	}
	own, isOwn := ownTypes[t]
	_, known := dns.TypeToRR[uint16(t)]
	switch {
	case !known && !isOwn, t == typeNULL, n == 0 && t == typeAPL:
		return d.data, nil
	case n == 0:
		return nil, errors.New("the record has no data")
	case isOwn:
		if err := own.check(d.data); err != nil {
			return nil, fmt.Errorf("%s: %w", t, err)
		}
		return d.data, nil
	}
	return d.data, d.verify(t, d.data)
}

// parse reads data that are not plain.
func (d *dataReader) parse(t dnswire.Type, tokens []token, origin string) ([]byte, error) {
	own, isOwn := ownTypes[t]
	_, known := dns.TypeToRR[uint16(t)]
	switch {
	case !known && !isOwn, t == typeNULL:
		return nil, fmt.Errorf(`the data of type %s are written as \#, their length and hexadecimal digits (RFC 3597 section 5)`, t)
	case len(tokens) == 0 && t == typeAPL: // an empty list (RFC 3123 section 5)
		return d.data[:0], nil
	case len(tokens) == 0:
		return nil, errors.New("the record has no data")
	}
	tokens, err := checkForm(t, tokens)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	if !isOwn {
		return d.delegate(t, tokens, origin)
	}
	if d.data, err = own.read(d.data[:0], tokens, origin); err == nil {
		if err = own.check(d.data); len(d.data) > maxRDLen {
			err = errDataLen
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	return d.data, nil
}

// delegate has miekg/dns read the data. It gets one line with a space between
// the tokens: lines, comments and parentheses are ours.
func (d *dataReader) delegate(t dnswire.Type, tokens []token, origin string) ([]byte, error) {
	if d.text == "" || d.origin != origin {
		d.origin, d.text = origin, dnswire.Name(origin).String()
	}
	d.line = append(d.line[:0], ". 0 IN "...)
	d.line = append(d.line, dns.TypeToString[uint16(t)]...)
	for _, tok := range tokens {
		d.line = append(d.line, ' ')
		if tok.quoted {
			d.line = append(d.line, '"')
		}
		d.line = append(d.line, tok.text...)
		if tok.quoted {
			d.line = append(d.line, '"')
		}
	}
	d.line = append(d.line, '\n')
	d.in.Reset(d.line)
	parser := dns.NewZoneParser(&d.in, d.text, "")
	rr, ok := parser.Next()
	if !ok || rr == nil {
		return nil, reason(t, origin, parser.Err())
	}
	mend(rr, tokens)
	data, err := d.pack(&d.msg, rr)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", t, err)
	case len(data) == 0:
		return nil, errors.New("the record has no data")
	}
	return data, d.verify(t, data)
}

// pack gives the RDATA of rr, in buf.
func (d *dataReader) pack(buf *[]byte, rr dns.RR) ([]byte, error) {
	if *buf == nil {
		// Names may be too long yet, so there is room beyond what is allowed.
		*buf = make([]byte, headLen+maxRDLen+1024)
	}
	rr.Header().Name = "."
	n, err := dns.PackRR(rr, *buf, 0, nil, false)
	if err != nil {
		return nil, cleaned(err)
	}
	return (*buf)[headLen:n], nil
}

// verify holds data against what miekg/dns reads in them and would write: names
// that are too long or compressed, addresses of another length and whatever
// else does not come back the same.
func (d *dataReader) verify(t dnswire.Type, data []byte) error {
	h := dns.RR_Header{Name: ".", Rrtype: uint16(t), Class: dns.ClassINET, Rdlength: uint16(len(data))}
	rr, _, err := dns.UnpackRRWithHeader(h, data, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", t, cleaned(err))
	}
	if err := checkRR(rr); err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	back, err := d.pack(&d.back, rr)
	if err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	if !slices.Equal(back, data) {
		return fmt.Errorf("%s: the data are not in the form that the type has", t)
	}
	return nil
}
