package document

// Value is a value of a document that was made and not read: what another text says, in
// other words. It says where in that text it is from, and Make makes nodes of it.
type Value struct {
	Kind Kind
	Text string // of a scalar
	// Quoted is that a scalar is text whatever it looks like.
	Quoted bool
	// Line and Col are where it is from, from 1; 0 is nowhere.
	Line, Col int

	Pairs []Pair   // of a mapping
	Items []*Value // of a sequence

	// Above are lines of comment above a key or an item, without their #, and Beside is
	// the one behind it. Flow is that a collection is written in one line. They are for
	// Write.
	Above  []string
	Beside string
	Flow   bool
}

// Pair is a key of a mapping, a scalar, and its value.
type Pair struct{ Key, Value *Value }

// Find is the value of a key; nil when there is none.
func (v *Value) Find(key string) *Value {
	for i := range v.Pairs {
		if v.Pairs[i].Key.Text == key {
			return v.Pairs[i].Value
		}
	}
	return nil
}

// Make makes the nodes of a value, as of a document with a name and a number. There are
// no spans in it.
func Make(name string, file int, v *Value) Node {
	d := &document{name: name, file: file}
	d.make(v)
	return Node{d, 0}
}

func (d *document) make(v *Value) {
	c := cell{kind: v.Kind, line: uint32(v.Line), col: uint32(v.Col), flags: cooked}
	if v.Kind == Scalar {
		if v.Quoted {
			c.flags |= quoted
		}
		c.off = uint32(len(d.cooked))
		d.cooked = append(d.cooked, v.Text...)
		c.end = uint32(len(d.cooked))
		d.add(c)
		return
	}
	i := d.add(c)
	for _, p := range v.Pairs {
		d.make(p.Key)
		d.make(p.Value)
	}
	for _, it := range v.Items {
		d.make(it)
	}
	d.close(i)
}
