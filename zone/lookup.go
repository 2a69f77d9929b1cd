package zone

import "github.com/rhumb-dns/rhumb/dnswire"

// Kind is where the search for a name ends.
type Kind uint8

// The ends of a search.
const (
	Outside    Kind = iota // in no zone of ours
	Exact                  // at the name itself
	Wildcard               // at the wildcard that covers it
	Delegation             // at the cut above it, or at itself
	Redirect               // at the DNAME record above it
	Missing                // the name does not exist
)

// Match is where a name is answered.
type Match struct {
	Kind Kind
	Zone int // index of the zone; -1 for none
	// Node is the name's own, or that of the wildcard, the cut or the DNAME. It
	// is nil when there is none, and when the parent of a zone answers for that
	// zone's name.
	Node *Node
	// Encloser is the length of the closest encloser (RFC 4592 section 3.3.1),
	// which the name ends in: of the longest name above it that exists.
	Encloser int

	data  *Data
	entry uint32
}

// Find is where a name is answered: steps 2 and 3 of RFC 1034 section 4.3.2, as
// RFC 6672 section 3.2 has them. The name is in lower-case wire form.
func (t *Tree) Find(name []byte, qtype dnswire.Type) (m Match) {
	m.Find(t, name, qtype)
	return m
}

// Find makes m where a name is answered; see Tree.Find. It sets every field.
func (m *Match) Find(t *Tree, name []byte, qtype dnswire.Type) {
	// 2. "Search the available zones for the zone which is the nearest ancestor
	// to QNAME." 3. "Start matching down, label by label, in the zone." Every
	// name is in one index, so the matching down ends at the longest end of
	// QNAME that is there.
	encloser := name
	n := t.Lookup(name)
	if n == nil {
		for over := depth(name) - t.most - 1; over > 0; over-- {
			encloser = encloser[1+int(encloser[0]):]
		}
	}
	for n == nil {
		if len(encloser) == 1 {
			*m = Match{Kind: Outside, Zone: -1, entry: none}
			return
		}
		encloser = encloser[1+int(encloser[0]):]
		n = t.Lookup(encloser)
	}
	whole := len(encloser) == len(name)
	if whole && qtype == dnswire.TypeDS && n.has(apex) && t.zones[n.Zone()].parent >= 0 {
		// The DS records of a zone are its parent's to give (RFC 4035 section
		// 3.1.4.1): the matching down ends there.
		child := &t.zones[n.Zone()]
		n, encloser = t.above(child, name)
		if child.known && !n.has(hidden) {
			*m = Match{Kind: Exact, Zone: child.parent, Encloser: len(name), data: t.zones[child.parent].data, entry: child.above}
			return
		}
		whole = false
	}
	if n.has(hidden) && m.divert(t, n, encloser, whole, qtype) {
		return
	}
	// 3a. "If the whole of QNAME is matched, we have found the node."
	if whole {
		m.at(t, Exact, n, len(name))
		return
	}
	// 3c. "If at some label, a match is impossible (i.e., the corresponding label
	// does not exist), look to see if the "*" label exists."
	if n.has(wildcardBelow) {
		var buf [256]byte
		buf[0], buf[1] = 1, '*'
		w := t.Lookup(buf[:2+copy(buf[2:], encloser)])
		m.at(t, Wildcard, w, len(encloser))
		return
	}
	// "If the "*" label does not exist [and] the name is original, set an
	// authoritative name error in the response and exit."
	m.at(t, Missing, n, len(encloser))
	m.Node, m.entry = nil, none
}

// Match is where a node's own name is answered.
func (t *Tree) Match(n *Node) (m Match) {
	text := t.Text(n)
	if !n.has(hidden) || !m.divert(t, n, text, true, dnswire.TypeA) {
		m.at(t, Exact, n, len(text))
	}
	return m
}

// above is the longest name above a zone's own that exists in its parent.
func (t *Tree) above(z *zoned, name []byte) (n *Node, at []byte) {
	for at = name; ; {
		at = at[1+int(at[0]):]
		if n = t.Lookup(at); n != nil && n.Zone() == z.parent {
			return n, at
		}
	}
}

// divert is steps 3b and 3c of RFC 6672: whether a cut or a DNAME record stands
// on the way down, and which one comes first.
func (m *Match) divert(t *Tree, n *Node, at []byte, whole bool, qtype dnswire.Type) bool {
	own := whole
	for n.has(occluded) {
		// What hides a name does not lie below a cut or a DNAME itself.
		at = at[1+int(at[0]):]
		n, own = t.Lookup(at), false
	}
	switch {
	case n.has(cut) && own && qtype == dnswire.TypeDS:
		return false // the parent's side of the cut, which is here
	case n.has(cut):
		// 3b. "If a match would take us out of the authoritative data, we have a
		// referral. This happens when we encounter a node with NS RRs marking cuts
		// along the bottom of a zone."
		m.at(t, Delegation, n, len(at))
		return true
	case n.has(dname) && !own:
		// 3c. "If at some label, a match is impossible [...] look to see whether
		// the last label matched has a DNAME record."
		m.at(t, Redirect, n, len(at))
		return true
	}
	return false
}

// at sets the fields one by one: a whole Match would be made and then copied.
func (m *Match) at(t *Tree, k Kind, n *Node, encloser int) {
	m.Kind, m.Zone, m.Node, m.Encloser = k, n.Zone(), n, encloser
	m.data, m.entry = t.zones[m.Zone].data, n.entry()
}

// Data are the static records of the zone that answers.
func (m *Match) Data() *Data { return m.data }

// Static is whether the match has static records, or has been stated to exist
// without any.
func (m *Match) Static() bool { return m.entry != none }

// Bare is whether the match has been stated to exist, without records.
func (m *Match) Bare() bool {
	if m.entry == none {
		return false
	}
	_, sets := m.data.entry(m.entry)
	return sets[0] == 0
}

// Set is the static record set of a type.
func (m *Match) Set(t dnswire.Type) (Set, bool) {
	if m.entry == none {
		return Set{}, false
	}
	return m.data.lookup(m.entry, t)
}

// Signature is the RRSIG set that covers a type.
func (m *Match) Signature(t dnswire.Type) (Set, bool) {
	if m.entry == none || !m.data.Signed {
		return Set{}, false
	}
	return m.data.signature(m.entry, t)
}

// Each calls f with every static set until it returns false.
func (m *Match) Each(f func(s Set) bool) {
	if m.entry != none {
		m.data.each(m.entry, f)
	}
}

// Owner is the name of the match's own node or of the wildcard.
func (m *Match) Owner() []byte {
	if m.entry == none {
		return nil
	}
	return m.data.owner(m.entry)
}

// Glue is the match of a name server of a delegation from a zone, whatever hides
// it: what the zone itself says of it comes before what a zone of ours below
// says.
func (t *Tree) Glue(name []byte, zone int) (m Match, ok bool) {
	z := &t.zones[zone]
	if entry, ok := z.glue[string(name)]; ok {
		return Match{Kind: Exact, Zone: zone, Encloser: len(name), data: z.data, entry: entry}, true
	}
	n := t.Lookup(name)
	if n == nil {
		return Match{}, false
	}
	m.at(t, Exact, n, len(name))
	return m, true
}
