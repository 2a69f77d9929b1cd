package edge

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// op is one record that takes the place of what there was, or that goes.
type op struct {
	name   dnswire.Name
	kind   kind
	gone   bool
	record record  // its data are its own
	key    api.Key // as it was stated
}

// operation makes an op of a checked item.
func operation(it *item, r *checked) op {
	rec := r.record
	rec.data = bytes.Clone(rec.data)
	return op{name: dnswire.Name(r.name), kind: r.kind, record: rec, key: api.Key{Name: brief(it.name), Type: brief(it.kind)}}
}

// removal makes an op of an item that is the key of a record. Not ok: it is none, and why
// is noted in rep.
func (c *checker) removal(it *item, rep *report) (o op, ok bool) {
	var r checked
	why := c.key(it, &r)
	if why == "" && r.kind == kindCNAME && !bytes.EqualFold(bytes.TrimSpace(it.kind), []byte(kindNames[kindCNAME])) {
		why = "type " + quoted(it.kind) + " is none of A, AAAA and CNAME"
	}
	if why != "" {
		rep.add(it, why)
		return o, false
	}
	o = operation(it, &r)
	o.gone = true
	return o, true
}

// change is what comes of some ops, to be put in force.
type change struct {
	st               *standing
	data             *zone.Data
	names            map[dnswire.Name]*named
	before           map[dnswire.Name]named
	updated, deleted int
	report           report
}

// errTooMany is the error of a change after which there would be too many records.
var errTooMany = errors.New("too many records")

// change makes the data in which the ops have been done, in their order; the standing
// stays as it is. An error is of the whole.
func (st *standing) change(ops []op, most int) (*change, error) {
	c := &change{st: st, names: map[dnswire.Name]*named{}, before: map[dnswire.Name]named{}, report: report{most: len(ops)}}
	var order []dnswire.Name
	for i := range ops {
		o := &ops[i]
		n := c.names[o.name]
		if n == nil {
			now := st.of(o.name)
			c.before[o.name] = now
			n = &now
			c.names[o.name] = n
			order = append(order, o.name)
		}
		switch {
		case !o.gone:
			n[o.kind] = o.record
			c.updated++
		case n.remove(o.kind):
			c.deleted++
		default:
			c.report.addKey(o.key.Name, o.key.Type, "there is no such record")
		}
	}
	edits := make([]zone.Edit, 0, len(order))
	for _, name := range order {
		n := c.names[name]
		own := st.own[name]
		e := zone.Edit{Owner: name, Exists: n.exists() || len(own) > 0}
		e.Records = n.lay(name, append([]text.Record(nil), own...))
		edits = append(edits, e)
	}
	var err error
	if c.data, err = st.data.Amend(edits); err != nil {
		return nil, err
	}
	next := *st
	next.data = c.data
	switch {
	case c.data.Records > st.data.Records && next.records() > most:
		return nil, fmt.Errorf("%w: at most %d can be held", errTooMany, most)
	case c.data.Names() > st.data.Names() && next.names() > most:
		return nil, fmt.Errorf("%w: at most %d names can be held", errTooMany, most)
	}
	return c, nil
}

// remove takes a record away, and with kindCNAME whatever makes an alias of the name. It
// is false when there is none.
func (n *named) remove(k kind) bool {
	found := false
	for i := range n {
		if n[i].form == absent || kind(i) != k && (k != kindCNAME || n[i].form != alias) {
			continue
		}
		n[i], found = record{}, true
	}
	return found
}

// done makes the standing what the change has made of it.
func (c *change) done() {
	c.st.data = c.data
	for name, n := range c.names {
		c.st.note([]byte(name), n)
	}
}
