package hosts

import (
	"bytes"
	"fmt"
)

// maxLogged is how many addresses a log line has at most.
const maxLogged = 16

// report logs what has become of a family: other addresses, and the change
// between well and not well, once. One that is in doubt and whose servers fail at
// times says so once, and not with each turn.
func (r *Resolver) report(f *family, before *fact, is level) {
	a, b := &f.host.families[0], &f.host.families[1]
	empty := a.absences > 0 && b.absences > 0 && !a.has() && !b.has()
	changed := !bytes.Equal(before.packed, f.fact.packed)
	said := f.said
	if f.said = fine; is != fine {
		f.said = max(said, is)
	}
	if !changed && f.said == said && empty == f.host.empty {
		return
	}
	log := r.log.With("host", f.host.name.String(), "type", f.letter())
	addresses := list(f.fact.packed, f.v6)
	if changed {
		args := []any{"addresses", addresses, "was", list(before.packed, f.v6)}
		if f.fact.reason != "" {
			args = append(args, "reason", f.fact.reason)
		}
		log.Info("host addresses changed", args...)
	}
	switch {
	case f.said == said:
	case is == fine && f.has():
		log.Info("host resolves again", "addresses", addresses)
	case is == fine:
	case !f.has():
		log.Warn("host does not resolve", "error", f.fact.reason)
	case is == failing:
		log.Warn("host does not resolve; its last addresses stay", "addresses", addresses, "error", f.fact.reason)
	case is == doubted:
		log.Warn("host should have no addresses; they stay until that is certain", "addresses", addresses, "reason", f.fact.reason)
	case is == kept:
		log.Warn("host has no addresses any more; the last ones stay, since there are no others", "addresses", addresses, "reason", f.fact.reason)
	}
	if empty && !f.host.empty {
		log.Warn("host has no addresses of either family", "reason", f.fact.reason)
	}
	f.host.empty = empty
}

// list is packed addresses as text.
func list(packed []byte, v6 bool) string {
	n := len(packed) / size(v6)
	text := fmt.Sprint(unpack(packed[:min(n, maxLogged)*size(v6)], v6))
	if n > maxLogged {
		text += fmt.Sprintf(" and %d more", n-maxLogged)
	}
	return text
}
