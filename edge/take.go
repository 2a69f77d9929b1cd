package edge

import (
	"errors"
	"fmt"
	"io"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// taken is a snapshot that has been taken.
type taken struct {
	st      *standing // nil: nothing has changed
	hash    string
	refused report
}

type gatherOptions struct {
	rules *rules
	apex  []text.Record
	most  int    // DNS records
	since string // the version that is there; empty for none
	// ended is not nil once nobody wants the snapshot any more: a large one is work for
	// seconds. Nil: somebody does.
	ended func() error
}

func (o *gatherOptions) wanted() error {
	if o.ended == nil {
		return nil
	}
	return o.ended()
}

// errOther is the error of a snapshot of another zone.
var errOther = errors.New("it is of another zone")

// addRefused adds that the name of a record that cannot be taken is there, without data: to
// deny it would take away what else it has.
func (g *gathering) addRefused(r *checked, rules *rules) error {
	if r.name == nil || r.kind == kindCNAME || len(rules.own[dnswire.Name(r.name)]) > 0 || g.has(r.name, r.kind) {
		return nil
	}
	r.record = record{form: empty, off: true, ttl: rules.ttl}
	_, err := g.add(r)
	return err
}

// gather takes a snapshot, or that nothing has changed. An error is of the whole.
func gather(r io.Reader, o gatherOptions) (*taken, error) {
	const told = 10
	t := &taken{refused: report{most: told}}
	g := newGathering(o.most)
	c := checker{rules: o.rules}
	took := false
	d := newDecoder(r)
	d.named = func(zone string) error {
		if n, err := appendName(nil, []byte(zone)); zone != "" && (err != nil || string(n) != string(o.rules.zone)) {
			return fmt.Errorf("%w: %s", errOther, quoted(zone))
		}
		return nil
	}
	d.record = func(it *item) error {
		if err := o.wanted(); err != nil {
			return err
		}
		rec, ok := c.check(it, &t.refused)
		if !ok {
			return g.addRefused(&rec, o.rules)
		}
		took = true
		again, err := g.add(&rec)
		if again {
			t.refused.add(it, "it is stated several times: the last one counts")
		}
		return err
	}
	h, err := d.decode()
	switch {
	case err != nil:
		return nil, err
	case h.unchanged && o.since == "":
		return nil, errors.New("it says that nothing has changed, and was asked for everything")
	case h.unchanged:
		return t, nil
	case h.zone == "":
		return nil, errNoZone
	case h.hash == "":
		return nil, errors.New("its version_hash is empty")
	case !h.listed:
		return nil, errors.New("it has no list of records, not even an empty one")
	case !took && t.refused.n > t.refused.own:
		return nil, fmt.Errorf("none of its records can be taken: %v", &t.refused)
	}
	t.hash = h.hash
	if t.st, err = g.build(&o); err != nil {
		return nil, fmt.Errorf("its records make no zone: %w", err)
	}
	return t, nil
}
