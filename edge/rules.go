package edge

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// kind is the type of a record as a controller states it.
type kind uint8

const (
	kindA kind = iota
	kindAAAA
	// kindCNAME is a record of any other type that has a failover and no addresses.
	kindCNAME
	kinds = 3
)

// kindNames are the types as they are written.
var kindNames = [kinds]string{"A", "AAAA", "CNAME"}

// dnsTypes are the types of what is answered.
var dnsTypes = [kinds]dnswire.Type{dnswire.TypeA, dnswire.TypeAAAA, dnswire.TypeCNAME}

func (k kind) String() string { return kindNames[k] }

// form is what a record says of its name.
type form uint8

const (
	absent    form = iota // there is no such record
	addressed             // its data are addresses, 4 or 16 octets each
	alias                 // its data are the name that it is an alias of
	empty                 // the name is there and has no data
)

// record is one record of a name. Its data belong to whoever made it.
type record struct {
	form form
	off  bool // it was stated with enabled: false
	ttl  uint32
	data []byte
}

// width is how many octets an address of a kind has.
func (k kind) width() int {
	if k == kindA {
		return 4
	}
	return 16
}

// count is how many DNS records it stands for.
func (r *record) count(k kind) int {
	switch r.form {
	case addressed:
		return len(r.data) / k.width()
	case alias:
		return 1
	}
	return 0
}

// rules are what the records of a zone have to be.
type rules struct {
	zone dnswire.Name
	ttl  uint32 // of those that state none
	// own are the records that the node's configuration has of names in the zone: a
	// controller cannot state them.
	own map[dnswire.Name][]text.Record
}

func newRules(o *Options) *rules {
	r := &rules{zone: o.Zone, ttl: o.TTL, own: map[dnswire.Name][]text.Record{}}
	for _, a := range o.Apex {
		r.own[a.Owner] = append(r.own[a.Owner], a)
	}
	return r
}

// owns is what the configuration has of a type.
func (r *rules) owns(name []byte, t dnswire.Type) (data [][]byte) {
	for _, a := range r.own[dnswire.Name(name)] {
		if a.Type == t {
			data = append(data, a.Data)
		}
	}
	return data
}

// checked is an item that was found to be a record. It is good until the next item is
// checked.
type checked struct {
	name []byte // in lower-case wire form
	kind kind
	record
}

// checker checks items, in memory of its own.
type checker struct {
	*rules
	name, data, target []byte
}

// check makes a record of an item. Not ok: it is none, and why is noted in rep, as is
// what is left out of a record that is one.
func (c *checker) check(it *item, rep *report) (r checked, ok bool) {
	why := c.key(it, &r)
	if why == "" {
		why = c.value(it, &r, rep)
	}
	switch why {
	case "", agrees:
	case ownAlias, ownAddresses:
		rep.own++
		fallthrough
	default:
		rep.add(it, why)
	}
	return r, why == ""
}

// Why a record is not taken of a name that the configuration has records of.
const (
	// agrees is of one that says what the configuration says: both are right, and there
	// is nothing to report.
	agrees       = "the configuration of the node says the same"
	ownAddresses = "the configuration of the node states other addresses of the name"
	ownAlias     = "the configuration of the node has records of the name, which can be no alias then"
)

// key reads name and type; what is wrong with the item so far is returned, empty for
// nothing. A name of the zone there is all the same, where the item has one.
func (c *checker) key(it *item, r *checked) string {
	var err error
	c.name, err = appendName(c.name[:0], it.name)
	if err == nil && within(c.name, c.zone) {
		r.name, r.kind = c.name, kindOf(it.kind)
	}
	switch {
	case it.fault != "":
		return it.fault
	case err != nil:
		return "name: " + err.Error()
	case r.name == nil:
		return "it is outside of the zone " + c.zone.String()
	}
	return ""
}

func kindOf(t []byte) kind {
	t = bytes.TrimSpace(t)
	for k, name := range kindNames[:kindCNAME] {
		if bytes.EqualFold(t, []byte(name)) {
			return kind(k)
		}
	}
	return kindCNAME
}

// value reads the rest of a record.
func (c *checker) value(it *item, r *checked, rep *report) string {
	failover := bytes.TrimSpace(it.failover)
	r.off, r.ttl = it.off, it.ttl
	if r.ttl == 0 {
		r.ttl = c.ttl
	}
	if r.kind == kindCNAME && (len(failover) == 0 || len(it.ends) > 0 && !it.off) {
		return "type " + quoted(it.kind) + " is neither A nor AAAA"
	}
	if !it.off && len(it.ends) > 0 {
		return c.addresses(it, r, rep)
	}
	if len(failover) == 0 {
		if !it.off {
			return "it has neither addresses nor a failover: state enabled: false for a name without data"
		}
		r.form = empty
		return ""
	}
	return c.alias(failover, r)
}

func (c *checker) alias(failover []byte, r *checked) string {
	var err error
	if c.target, err = appendName(c.target[:0], failover); err != nil {
		return "failover: " + err.Error()
	}
	switch {
	case bytes.Equal(c.target, c.name):
		return "failover is the name itself"
	case string(c.name) == string(c.zone):
		return "the zone's own name cannot be an alias: state addresses"
	case len(c.own[dnswire.Name(c.name)]) > 0:
		return ownAlias
	}
	r.form, r.data = alias, c.target
	return ""
}

// addresses reads the addresses: those that are none of the kind are left out.
func (c *checker) addresses(it *item, r *checked, rep *report) string {
	c.data = c.data[:0]
	begin, bad := 0, ""
	for _, end := range it.ends {
		t := it.addresses[begin:end]
		begin = end
		before := len(c.data)
		var why string
		c.data, why = appendAddress(c.data, t, r.kind)
		if why != "" {
			if bad != "" {
				rep.add(it, bad)
			}
			bad = "address " + quoted(t) + " " + why
		}
		if w := r.kind.width(); len(c.data) > before && repeated(c.data, w) {
			c.data = c.data[:before]
		}
	}
	if len(c.data) == 0 {
		return bad + ": no address is left"
	}
	if bad != "" {
		rep.add(it, bad+": it is left out")
	}
	if own := c.owns(c.name, dnsTypes[r.kind]); len(own) > 0 {
		for a := range slices.Chunk(c.data, r.kind.width()) {
			if !slices.ContainsFunc(own, func(b []byte) bool { return bytes.Equal(a, b) }) {
				return ownAddresses
			}
		}
		if len(own)*r.kind.width() != len(c.data) { // neither has one twice
			return ownAddresses
		}
		return agrees
	}
	r.form, r.data = addressed, c.data
	return ""
}

// repeated is whether the last of some addresses is among those before it.
func repeated(data []byte, width int) bool {
	last := data[len(data)-width:]
	for i := 0; i < len(data)-width; i += width {
		if string(data[i:i+width]) == string(last) {
			return true
		}
	}
	return false
}

// appendAddress reads an address of a kind; why says why it is none.
func appendAddress(dst, t []byte, k kind) (_ []byte, why string) {
	if k == kindA {
		if dst, ok := appendDotted(dst, t); ok {
			return dst, ""
		}
	}
	a, err := netip.ParseAddr(string(bytes.TrimSpace(t)))
	switch {
	case err != nil || a.Zone() != "" || len(t) >= maxAddress: // what was cut may look like one
		return dst, "is none"
	case k == kindA && !a.Unmap().Is4():
		return dst, "is not IPv4"
	case k == kindAAAA && a.Is4():
		return dst, "is not IPv6"
	case k == kindAAAA && a.Is4In6():
		return dst, "is an IPv4 address within IPv6, which nobody can connect to"
	}
	return append(dst, a.Unmap().AsSlice()...), ""
}

// appendDotted reads an IPv4 address as it is mostly written. Not ok: it is written in
// another way, or is none.
func appendDotted(dst, t []byte) (_ []byte, ok bool) {
	var a [4]byte
	n, digits, v := 0, 0, 0
	for _, c := range t {
		switch {
		case '0' <= c && c <= '9':
			if digits > 0 && v == 0 {
				return dst, false // 01 is octal to some
			}
			digits++
			if v = v*10 + int(c-'0'); v > 255 {
				return dst, false
			}
		case c == '.' && digits > 0 && n < 3:
			a[n] = byte(v)
			n, digits, v = n+1, 0, 0
		default:
			return dst, false
		}
	}
	if n != 3 || digits == 0 {
		return dst, false
	}
	a[3] = byte(v)
	return append(dst, a[:]...), true
}

// appendName reads a name, with or without its final dot, into lower-case wire form.
func appendName(dst, t []byte) ([]byte, error) {
	t = bytes.TrimSpace(t)
	if n, ok := appendSimple(dst, t); ok {
		return n, nil
	}
	n, err := dnswire.ParseName(string(t))
	return append(dst, n...), err
}

// appendSimple reads a name of letters, digits, '-', '_' and '*'. Not ok: it is no such
// name.
func appendSimple(dst, t []byte) (_ []byte, ok bool) {
	begin := len(dst)
	dst = append(dst, 0)
	head := begin // where the length of the label is
	for _, c := range t {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '*':
			dst = append(dst, c)
		case 'A' <= c && c <= 'Z':
			dst = append(dst, c+'a'-'A')
		case c == '.':
			n := len(dst) - head - 1
			if n == 0 || n > 63 {
				return dst[:begin], false
			}
			dst[head] = byte(n)
			head = len(dst)
			dst = append(dst, 0)
		default:
			return dst[:begin], false
		}
	}
	if n := len(dst) - head - 1; n > 63 {
		return dst[:begin], false
	} else if n > 0 {
		dst[head] = byte(n)
		dst = append(dst, 0)
	}
	const longest = 255
	if n := len(dst) - begin; n == 1 || n > longest {
		return dst[:begin], false
	}
	return dst, true
}

// within is whether a name is a zone's or below it, by labels.
func within(name []byte, zone dnswire.Name) bool {
	for len(name) > len(zone) {
		name = name[1+int(name[0]):]
	}
	return string(name) == string(zone)
}

// report is what was refused of a text.
type report struct {
	n    int // items and addresses
	own  int // of them, those that the configuration has a say in
	most int // how many of them are kept
	kept []api.Refusal
}

func (r *report) add(it *item, why string) {
	if len(r.kept) < r.most {
		r.addKey(brief(it.name), brief(it.kind), why)
	} else {
		r.n++
	}
}

func (r *report) addKey(name, kind, why string) {
	r.n++
	if len(r.kept) < r.most {
		r.kept = append(r.kept, api.Refusal{Name: name, Type: kind, Reason: why})
	}
}

// String is the refusals that were kept, for a log.
func (r *report) String() string {
	var b strings.Builder
	for i, k := range r.kept {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s %s: %s", quoted(k.Name), quoted(k.Type), k.Reason)
	}
	if n := r.n - len(r.kept); n > 0 {
		fmt.Fprintf(&b, "; and %d more", n)
	}
	return b.String()
}

// brief is a text of somebody else's, cut to what a name can be.
func brief(t []byte) string {
	const most = 300
	return strings.ToValidUTF8(string(t[:min(len(t), most)]), "\uFFFD")
}
