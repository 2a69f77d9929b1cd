package edge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

const (
	// maxAddresses is how many addresses a record may have: as many of either family
	// fit into one answer, and are soon compared with each other.
	maxAddresses = 1000
	// maxAddress is how much of the text of an address is kept: more than any has.
	maxAddress = 64
	// maxHash is how long a hash may be: it goes into a URL.
	maxHash = 1024
	// maxTTL is the highest TTL there is (RFC 2181 section 8).
	maxTTL = 1<<31 - 1
)

// item is a record as a text has it, or the key of one. It is good until the next one
// is read.
type item struct {
	name, kind, failover []byte
	addresses            []byte // one after the other
	ends                 []int  // where each ends in addresses
	ttl                  uint32
	off                  bool   // enabled is false
	fault                string // what is wrong with its form; empty for nothing
}

func (it *item) reset() {
	*it = item{
		name: it.name[:0], kind: it.kind[:0], failover: it.failover[:0],
		addresses: it.addresses[:0], ends: it.ends[:0],
	}
}

// wrong notes what is wrong with the item, the first thing of all.
func (it *item) wrong(format string, args ...any) {
	if it.fault == "" {
		it.fault = fmt.Sprintf(format, args...)
	}
}

// head is what a text says besides its items.
type head struct {
	zone, hash, from string
	unchanged        bool
	listed           bool // it has records, be it none
}

// decoder reads what a controller says: Snapshot, Changes, Notification, Change and
// Reset of package api are all read alike.
type decoder struct {
	s    *scanner
	head head
	it   item
	// record and gone are called with each item of records and deletes. Nil: they are
	// read over.
	record, gone func(it *item) error
	// named is called when the text has said which zone it is about. Nil: nothing is.
	named func(zone string) error

	field, top func([]byte) error
	seen       [2]bool // records, deletes
}

func newDecoder(r io.Reader) *decoder {
	d := &decoder{s: newScanner(r)}
	d.field, d.top = d.readField, d.readTop
	return d
}

// decode reads the text. What is wrong with an item is for who takes the item; an error
// is of the text as a whole, or of who takes.
func (d *decoder) decode() (head, error) {
	if err := d.s.object(d.top); err != nil {
		return d.head, err
	}
	return d.head, d.s.finish()
}

// lower makes a key lower-case, in its place: elchi-gslb takes keys in any case.
func lower(key []byte) {
	for i, c := range key {
		if 'A' <= c && c <= 'Z' {
			key[i] = c + 'a' - 'A'
		}
	}
}

func (d *decoder) readTop(key []byte) error {
	lower(key)
	switch string(key) {
	case "zone":
		if err := d.string(&d.head.zone, "zone"); err != nil {
			return err
		}
		if d.named != nil {
			return d.named(d.head.zone)
		}
		return nil
	case "version_hash":
		return d.string(&d.head.hash, "version_hash")
	case "from":
		return d.string(&d.head.from, "from")
	case "unchanged":
		w, ok, err := d.wordOr()
		if err != nil {
			return err
		}
		if !ok || w != "true" && w != "false" && w != "null" {
			return d.s.fault("unchanged is neither true nor false")
		}
		d.head.unchanged = w == "true"
		return nil
	case "records":
		d.head.listed = true
		return d.items(0, "records", d.record)
	case "deletes":
		return d.items(1, "deletes", d.gone)
	}
	return d.s.skip()
}

// string reads a string of the text as a whole, null for the empty one.
func (d *decoder) string(to *string, key string) error {
	c, err := d.s.peek()
	if err != nil {
		return err
	}
	if c != '"' {
		w, ok, err := d.wordOr()
		if err != nil || ok && w == "null" {
			return err
		}
		return d.s.fault("%s is no string", key)
	}
	t, err := d.s.text()
	if err != nil {
		return err
	}
	if len(t) > maxHash {
		return d.s.fault("%s is longer than %d octets", key, maxHash)
	}
	*to = string(t)
	return nil
}

// wordOr reads a word. Not ok: there was something else, which is read over.
func (d *decoder) wordOr() (w string, ok bool, err error) {
	c, err := d.s.peek()
	if err != nil {
		return "", false, err
	}
	if c == '"' || c == '{' || c == '[' {
		return "", false, d.s.skip()
	}
	t, err := d.s.word()
	if err != nil {
		return "", false, err
	}
	switch string(t) {
	case "true":
		return "true", true, nil
	case "false":
		return "false", true, nil
	case "null":
		return "null", true, nil
	}
	return string(t), true, nil
}

// items reads an array of records, or of keys of such.
func (d *decoder) items(which int, key string, take func(*item) error) error {
	// Twice the same key would mean that the second takes the place of the first, whose
	// items are gone on already.
	if d.seen[which] {
		return d.s.fault("%s is there twice", key)
	}
	d.seen[which] = true
	if take == nil {
		return d.s.skip()
	}
	c, err := d.s.peek()
	if err != nil {
		return err
	}
	if c != '[' {
		w, ok, err := d.wordOr()
		if err != nil || ok && w == "null" {
			return err
		}
		return d.s.fault("%s is no array", key)
	}
	return d.s.array(func() error {
		d.it.reset()
		if err := d.item(); err != nil {
			return err
		}
		return take(&d.it)
	})
}

func (d *decoder) item() error {
	c, err := d.s.peek()
	if err != nil {
		return err
	}
	if c != '{' {
		d.it.wrong("it is no object")
		return d.s.skip()
	}
	return d.s.object(d.field)
}

func (d *decoder) readField(key []byte) error {
	lower(key)
	switch string(key) {
	case "name":
		return d.word(&d.it.name, "name")
	case "type":
		return d.word(&d.it.kind, "type")
	case "failover":
		return d.word(&d.it.failover, "failover")
	case "ttl":
		return d.ttl()
	case "enabled":
		w, ok, err := d.wordOr()
		if err != nil {
			return err
		}
		if !ok || w != "true" && w != "false" && w != "null" {
			d.it.wrong("enabled is neither true nor false")
		}
		d.it.off = w == "false"
		return nil
	case "ips":
		return d.ips()
	}
	return d.s.skip()
}

// word reads a string of an item.
func (d *decoder) word(to *[]byte, key string) error {
	*to = (*to)[:0]
	c, err := d.s.peek()
	if err != nil {
		return err
	}
	if c != '"' {
		w, ok, err := d.wordOr()
		if !ok || w != "null" {
			d.it.wrong("%s is no string", key)
		}
		return err
	}
	t, err := d.s.text()
	if err != nil {
		return err
	}
	if d.s.long {
		d.it.wrong("%s is longer than %d octets", key, maxText)
	}
	*to = append(*to, t...)
	return nil
}

func (d *decoder) ttl() error {
	d.it.ttl = 0
	c, err := d.s.peek()
	if err != nil {
		return err
	}
	if '0' <= c && c <= '9' {
		t, err := d.s.word()
		if err != nil {
			return err
		}
		n, over := uint64(0), len(t) > 10
		for _, c := range t {
			over = over || c < '0' || c > '9'
			n = n*10 + uint64(c-'0')
		}
		if over || n > maxTTL {
			d.it.wrong("ttl %.20s is no whole number of seconds up to %d", t, maxTTL)
			return nil
		}
		d.it.ttl = uint32(n)
		return nil
	}
	w, ok, err := d.wordOr()
	if !ok || w != "null" {
		if !ok {
			w = "that is no number"
		}
		d.it.wrong("ttl %.20s is no whole number of seconds up to %d", w, maxTTL)
	}
	return err
}

func (d *decoder) ips() error {
	d.it.addresses, d.it.ends = d.it.addresses[:0], d.it.ends[:0]
	c, err := d.s.peek()
	if err != nil {
		return err
	}
	if c != '[' {
		w, ok, err := d.wordOr()
		if !ok || w != "null" {
			d.it.wrong("ips is no array")
		}
		return err
	}
	return d.s.array(func() error {
		c, err := d.s.peek()
		if err != nil {
			return err
		}
		if len(d.it.ends) == maxAddresses {
			d.it.wrong("it has more than %d addresses", maxAddresses)
			return d.s.skip()
		}
		var t []byte
		if c == '"' {
			t, err = d.s.text()
			t = bytes.TrimSpace(t)
			t = t[:min(len(t), maxAddress)]
		} else {
			t, err = nil, d.s.skip() // what is no string is no address
		}
		d.it.addresses = append(d.it.addresses, t...)
		d.it.ends = append(d.it.ends, len(d.it.addresses))
		return err
	})
}

// quoted is a text of somebody else's for a message: short, and on one line.
func quoted[T string | []byte](t T) string {
	const most = 100
	if len(t) > most {
		return strconv.QuoteToASCII(string(t[:most])) + "..."
	}
	return strconv.QuoteToASCII(string(t))
}

var errNoZone = errors.New("it does not say which zone it is about")
