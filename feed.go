package rhumb

import (
	"bytes"
	"fmt"
	"maps"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// Feed puts in force what a source keeps of a zone that the statement in force says
// is fed (spec.Zone.Fed). Until the first time, what is no service there answers
// SERVFAIL. What the statement says of the zone itself counts, whatever d has of it
// (zone.Data.With), and the zone keeps d when another statement is put in force.
//
// It costs what differs, when d was made by Amend of what the zone was fed before,
// and otherwise what all names do. Queries go on meanwhile, and so does what
// follows health: only another Feed or a Commit waits. FeedAhead spares them that.
//
// It fails, and changes nothing, when no such zone is fed or a service cannot stand
// beside the records.
func (e *Engine) Feed(name dnswire.Name, d *zone.Data) error { return e.feed(name, d, nil) }

// maxAhead is how often an index is made ahead: each time another statement has been
// put in force meanwhile.
const maxAhead = 3

// FeedAhead does of a Feed what takes long, while nobody waits. What it returns is Feed
// for d, or data made of d by Amend, and costs what these differ, unless another
// statement has been put in force since. Errors are Feed's.
func (e *Engine) FeedAhead(name dnswire.Name, d *zone.Data) (feed func(*zone.Data) error, err error) {
	if err := of(name, d); err != nil {
		return nil, err
	}
	d.Index()
	var ahead *table.Table
	for range maxAhead {
		e.mu.Lock()
		now := e.table
		e.mu.Unlock()
		if now == nil {
			return nil, errNoStatement(name)
		}
		if ahead != nil && ahead.Serial() == now.Serial() {
			break
		}
		if ahead, err = now.Feed(d, nil); err != nil {
			return nil, fmt.Errorf("rhumb: %w", err)
		}
	}
	return func(d *zone.Data) error { return e.feed(name, d, ahead) }, nil
}

func of(name dnswire.Name, d *zone.Data) error {
	if d.Name != name {
		return fmt.Errorf("rhumb: feed %s: these are the records of %s", name, d.Name)
	}
	return nil
}

func errNoStatement(name dnswire.Name) error {
	return fmt.Errorf("rhumb: feed %s: there is no statement yet", name)
}

// feed is Feed. Ahead has data that d was made of, or is nil.
func (e *Engine) feed(name dnswire.Name, d *zone.Data, ahead *table.Table) error {
	if err := of(name, d); err != nil {
		return err
	}
	d.Index() // before anybody has to wait
	e.feeding.Lock()
	defer e.feeding.Unlock()
	e.mu.Lock()
	now, same := e.table, e.fed[name] == d
	e.mu.Unlock()
	switch {
	case now == nil:
		return errNoStatement(name)
	case same:
		return nil
	}
	next, err := now.Feed(d, ahead)
	if err != nil {
		return fmt.Errorf("rhumb: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fed == nil {
		e.fed = map[dnswire.Name]*zone.Data{}
	}
	e.fed[name] = d
	if e.table = next; next != now {
		e.replace()
	}
	return nil
}

// Apex are the records that the statement in force has of a zone: SOA and NS, the
// addresses of its name servers, and whatever else it states. Who feeds the zone
// puts them into his zone.Builder. Nil: there is no such zone.
func (e *Engine) Apex(name dnswire.Name) []text.Record {
	e.mu.Lock()
	t := e.table
	e.mu.Unlock()
	if t == nil {
		return nil
	}
	z := t.Statement(name)
	if z == nil {
		return nil
	}
	var out []text.Record
	z.Data.All(func(owner dnswire.Name, t dnswire.Type, ttl uint32, data [][]byte) bool {
		for _, b := range data {
			out = append(out, text.Record{Owner: owner, Type: t, TTL: ttl, Data: bytes.Clone(b)})
		}
		return true
	})
	return out
}

// compile makes the table of the change's statement, with what its fed zones have.
func (c *Change) compile(prev *table.Table) (*table.Table, error) {
	s := *c.spec
	s.Zones = make([]*spec.Zone, len(c.spec.Zones))
	had := c.fed
	c.fed = map[dnswire.Name]*zone.Data{}
	for i, z := range c.spec.Zones {
		if d := had[z.Name]; z.Fed && d != nil {
			over, err := d.With(z.Data)
			if err != nil {
				return nil, fmt.Errorf("rhumb: what the zone %s has been fed: %w", z.Name, err)
			}
			fed := *z
			fed.Handed = over
			c.fed[z.Name], z = d, &fed
		}
		s.Zones[i] = z
	}
	t, err := table.Compile(prev, &s)
	c.spec.Warnings = s.Warnings
	return t, err
}

// catchUp gives a change what zones have been fed since it was prepared.
func (e *Engine) catchUp(c *Change) error {
	e.mu.Lock()
	superseded, fed := e.commits != c.commits, maps.Clone(e.fed)
	e.mu.Unlock()
	if superseded {
		return ErrSuperseded
	}
	for name, d := range fed {
		z := c.table.Statement(name)
		if z == nil || !z.Fed || c.fed[name] == d {
			continue
		}
		next, err := c.table.Feed(d, nil)
		if err != nil {
			return fmt.Errorf("rhumb: prepare the change again: %w", err)
		}
		c.table, c.fed[name] = next, d
	}
	return nil
}
