package table

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/zone"
)

// Statement is what the spec says of a zone; nil when it has none of that name.
func (t *Table) Statement(name dnswire.Name) *spec.Zone {
	if i := t.stands(name); i >= 0 {
		return t.stated.zones[i]
	}
	return nil
}

func (t *Table) stands(name dnswire.Name) int {
	return slices.IndexFunc(t.stated.zones, func(z *spec.Zone) bool { return z.Name == name })
}

// Feed is the table with other records in a fed zone, beneath those that the spec
// states; the rest is shared. It costs what differs, when d was made by Amend of
// what the zone had, and otherwise what all names do. The error says that no such
// zone is fed, that the records contradict the statement, or all services of the
// zone that cannot stand beside them.
//
// Ahead is what Feed has made, of a table with this one's serial, with data that d
// is or was made of: then it costs what differs from those. Nil: there is none.
func (t *Table) Feed(d *zone.Data, ahead *Table) (*Table, error) {
	at := t.stands(d.Name)
	if at < 0 || !t.stated.zones[at].Fed {
		return nil, fmt.Errorf("table: feed: the statement in force has no zone %s that is fed", d.Name)
	}
	z := *t.stated.zones[at]
	over, err := d.With(z.Data)
	if err != nil {
		return nil, fmt.Errorf("table: feed: %w", err)
	}
	if over == z.Handed {
		return t, nil
	}
	z.Handed = over
	next := *t
	next.stated.zones = slices.Clone(t.stated.zones)
	next.stated.zones[at] = &z
	if t.Zones[at].Waits {
		here := *t.Zones[at]
		here.Waits = false
		next.Zones = slices.Clone(t.Zones)
		next.Zones[at] = &here
		next.Waiting--
	}
	data := make([]*zone.Data, len(t.Zones))
	for i := range data {
		data[i] = t.Data(i)
	}
	data[at] = over
	var clashes []string
	clash := func(n *Node) {
		if why := next.clash(n, next.Plans[n.Plan].Policy); why != "" && len(clashes) < maxFaults {
			clashes = append(clashes, "the service "+next.Name(n).String()+": "+why)
		}
	}
	var beside []dnswire.Name // names, since nodes move
	from := t
	if ahead != nil && ahead.serial == t.serial {
		from = ahead
	}
	tree, err := from.Branch(data, func(_ *Node, name []byte) { beside = append(beside, dnswire.Name(name)) })
	whole := errors.Is(err, zone.ErrWhole)
	next.anew = whole || from != t && from.anew
	switch {
	case whole:
		next.Tree = t.replant(data)
		next.EachService(func(n *Node, _ *Plan) bool {
			if n.Zone() == at {
				clash(n)
			}
			return true
		})
	case err != nil:
		return nil, err
	default:
		next.Tree = tree
		for _, name := range beside {
			clash(next.Lookup([]byte(name)))
		}
	}
	if len(clashes) > 0 {
		slices.Sort(clashes)
		return nil, fmt.Errorf("table: feed: %s", strings.Join(clashes, "; "))
	}
	return &next, nil
}

// replant makes the index anew, with the services as they are.
func (t *Table) replant(data []*zone.Data) *zone.Tree {
	tree := zone.NewTree(data, t.services)
	t.EachService(func(n *Node, _ *Plan) bool {
		o := tree.Add(t.Text(n), n.Zone())
		o.Plan, o.Seq, o.Counter = n.Plan, n.Seq, n.Counter
		return true
	})
	return tree
}

// clash is why a service of a policy cannot stand beside the static records; empty
// when it can.
func (t *Table) clash(n *Node, p *spec.Policy) (why string) {
	m := t.Match(n)
	switch m.Kind {
	case zone.Delegation:
		return fmt.Sprintf("nobody asks for it here: %s is delegated by NS records", bareName(t.Name(m.Node)))
	case zone.Redirect:
		return fmt.Sprintf("nobody asks for it here: %s has a DNAME record, which renames all that is below it", bareName(t.Name(m.Node)))
	}
	m.Each(func(set zone.Set) bool {
		why = p.Clash(set.Type)
		return why == ""
	})
	return why
}
