package edge

import (
	"bytes"
	"hash/maphash"
	"maps"
	"slices"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// named are the records of one name.
type named [kinds]record

// shown is the record that makes an alias of the name, if one does: a CNAME stands alone
// (RFC 1034 section 3.6.2), so that one is the whole name's, and what the others say
// waits until it is gone. Of several the first of CNAME, A, AAAA counts.
func (n *named) shown() (k kind, ok bool) {
	for _, k := range [...]kind{kindCNAME, kindA, kindAAAA} {
		if n[k].form == alias {
			return k, true
		}
	}
	return 0, false
}

// exists is whether any record states the name.
func (n *named) exists() bool {
	return slices.ContainsFunc(n[:], func(r record) bool { return r.form != absent })
}

// lay appends the DNS records of the name. Their data are those of n.
func (n *named) lay(owner dnswire.Name, dst []text.Record) []text.Record {
	if k, ok := n.shown(); ok {
		return append(dst, text.Record{Owner: owner, Type: dnswire.TypeCNAME, TTL: n[k].ttl, Data: n[k].data})
	}
	for k := kindA; k <= kindAAAA; k++ {
		if n[k].form != addressed {
			continue
		}
		for at, w := 0, k.width(); at < len(n[k].data); at += w {
			dst = append(dst, text.Record{Owner: owner, Type: dnsTypes[k], TTL: n[k].ttl, Data: n[k].data[at : at+w]})
		}
	}
	return dst
}

// standing is the records of a zone as they are.
//
// Addresses are in the data alone. Marks have what data cannot say of a name: that
// records have an alias or no data, which ones, and whether they are enabled. Hidden has
// the data of records behind another's alias. A name that has nothing but addresses is
// in neither.
type standing struct {
	*rules
	data   *zone.Data
	marks  map[nameKey]mark
	hidden map[nameKey][kinds][]byte
	seeds  [2]maphash.Seed
}

// nameKey stands for a name in 16 octets. That two names of a zone have the same is less
// likely than that memory fails.
type nameKey [2]uint64

// mark is the records of a name without their data.
type mark [kinds]struct {
	ttl  uint32
	form form
	off  bool
}

func newStanding(r *rules) *standing {
	return &standing{
		rules: r, marks: map[nameKey]mark{}, hidden: map[nameKey][kinds][]byte{},
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
	}
}

func (st *standing) key(name []byte) nameKey {
	return nameKey{maphash.Bytes(st.seeds[0], name), maphash.Bytes(st.seeds[1], name)}
}

// note remembers of a name what its data cannot say.
func (st *standing) note(name []byte, n *named) {
	k := st.key(name)
	plain := true
	var m mark
	var behind [kinds][]byte
	hides := false
	shown, isAlias := n.shown()
	for i := range n {
		r := &n[i]
		m[i].form, m[i].off, m[i].ttl = r.form, r.off, r.ttl
		plain = plain && (r.form == absent || r.form == addressed)
		if isAlias && (r.form == addressed || r.form == alias && !bytes.Equal(r.data, n[shown].data)) {
			behind[i], hides = bytes.Clone(r.data), true
		}
	}
	if plain {
		delete(st.marks, k)
	} else {
		st.marks[k] = m
	}
	if hides {
		st.hidden[k] = behind
	} else {
		delete(st.hidden, k)
	}
}

// restore makes the records of a name from its record sets. The data of n are its own,
// or the standing's.
func (st *standing) restore(name []byte, sets []zone.Records) (n named) {
	m, marked := mark{}, false
	var behind [kinds][]byte
	if len(st.marks) > 0 {
		key := st.key(name)
		m, marked = st.marks[key]
		behind = st.hidden[key]
	}
	for i := range n {
		n[i] = record{form: m[i].form, off: m[i].off, ttl: m[i].ttl, data: behind[i]}
	}
	shown, _ := n.shown()
	for _, s := range sets {
		k := slices.Index(dnsTypes[:], s.Type)
		if k < 0 || len(st.owns(name, s.Type)) > 0 {
			continue
		}
		data := slices.Concat(s.Data...)
		switch {
		case !marked && kind(k) != kindCNAME:
			n[k] = record{form: addressed, ttl: s.TTL, data: data}
		case kind(k) == kindCNAME:
			for i := range n {
				if n[i].form == alias && (kind(i) == shown || n[i].data == nil) {
					n[i].data = data
				}
			}
		case n[k].form == addressed:
			n[k].data = data
		}
	}
	return n
}

// of is the records of a name.
func (st *standing) of(name dnswire.Name) named {
	sets, _ := st.data.Owned(name)
	return st.restore([]byte(name), sets)
}

// each calls f with the records of every name that has some, until it returns false.
// What f is given is good until it returns.
func (st *standing) each(f func(name dnswire.Name, n *named) bool) {
	var at dnswire.Name
	var sets []zone.Records
	more := true
	end := func() {
		if at == "" {
			return
		}
		if n := st.restore([]byte(at), sets); n.exists() {
			more = f(at, &n)
		}
	}
	st.data.All(func(owner dnswire.Name, t dnswire.Type, ttl uint32, data [][]byte) bool {
		if owner != at {
			if end(); !more {
				at = ""
				return false
			}
			at, sets = owner, sets[:0]
		}
		if t != 0 {
			sets = append(sets, zone.Records{Type: t, TTL: ttl, Data: [][]byte{slices.Concat(data...)}})
		}
		return true
	})
	end()
}

// records is how many DNS records a controller has stated.
func (st *standing) records() int {
	n := st.data.Records
	for _, own := range st.own {
		n -= len(own)
	}
	return n
}

// names is how many names a controller has stated.
func (st *standing) names() int { return st.data.Names() - len(st.own) }

// copied is a standing whose marks no longer change.
func (st *standing) copied() *standing {
	c := *st
	c.marks, c.hidden = maps.Clone(st.marks), maps.Clone(st.hidden)
	return &c
}
