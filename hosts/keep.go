package hosts

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// Keeper remembers small values over a restart.
type Keeper interface {
	// Load gives all values of a bucket.
	Load(bucket string) (map[string][]byte, error)
	// Save writes values, all or none; a nil value deletes.
	Save(bucket string, values map[string][]byte) error
}

const bucket = "hosts"

// saveGap is the time between two writes. Addresses that change often are not
// worth a write each.
const saveGap = 5 * time.Second

// record is the addresses of a name as they are kept, written when they change.
type record struct {
	V4 keptRecords `json:"v4"`
	V6 keptRecords `json:"v6"`
}

// keptRecords are one family.
type keptRecords struct {
	Addrs    []netip.Addr `json:"addrs"`
	TTL      uint32       `json:"ttl"`      // seconds
	Resolved time.Time    `json:"resolved"` // when they were first seen
}

// sound is whether all addresses are of the family, and can be packed.
func (k *keptRecords) sound(v6 bool) bool {
	return !slices.ContainsFunc(k.Addrs, func(a netip.Addr) bool { return !a.IsValid() || a.Is4() == v6 || a.Zone() != "" })
}

func (r *Resolver) restore() error {
	if r.keeper == nil {
		return nil
	}
	values, err := r.keeper.Load(bucket)
	if err != nil {
		return fmt.Errorf("hosts: restore: %w", err)
	}
	for text, raw := range values {
		var rec record
		// A record that cannot be read is no loss: the next answer replaces it.
		name, err := dnswire.ParseName(text)
		if err == nil && json.Unmarshal(raw, &rec) == nil && rec.V4.sound(false) && rec.V6.sound(true) {
			r.restored[name] = rec
		}
	}
	return nil
}

// recall gives a new host what is kept of it. However old that is, it is better
// than nothing.
func (h *host) recall(rec record, now time.Time) {
	for i, k := range []keptRecords{rec.V4, rec.V6} {
		f := &h.families[i]
		if len(k.Addrs) == 0 {
			continue
		}
		f.ttl = clamp(k.TTL)
		f.expires = now
		f.fact = &fact{
			packed: pack(k.Addrs, f.v6), ttl: min(f.ttl, staleTTL), resolved: k.Resolved,
			reason: "not confirmed since the restart", restored: true,
		}
	}
}

// record is what is to be kept of a host.
func (h *host) record() record {
	of := func(f *family) keptRecords {
		return keptRecords{unpack(f.fact.packed, f.v6), f.ttl, f.fact.resolved}
	}
	return record{of(&h.families[0]), of(&h.families[1])}
}

// keep has a name written as it is when that is done, or deleted.
func (r *Resolver) keep(name dnswire.Name) {
	if r.keeper != nil {
		r.unsaved[name] = struct{}{}
	}
}

// batch takes what is to be written.
func (r *Resolver) batch() map[dnswire.Name][]byte {
	values := make(map[dnswire.Name][]byte, len(r.unsaved))
	for name := range r.unsaved {
		h := r.hosts[name]
		if h == nil || !h.families[0].has() && !h.families[1].has() {
			values[name] = nil
			continue
		}
		raw, err := json.Marshal(h.record())
		if err != nil {
			// A time beyond the year 9999 has no JSON form. It is not tried again.
			r.log.Error("host addresses not kept", "host", name.String(), "error", err)
			continue
		}
		values[name] = raw
	}
	clear(r.unsaved)
	return values
}

// save writes a batch and returns the names that it could not write.
func (r *Resolver) save(batch map[dnswire.Name][]byte) (unwritten []dnswire.Name) {
	if len(batch) == 0 {
		return nil
	}
	values := make(map[string][]byte, len(batch))
	for name, raw := range batch {
		values[name.String()] = raw
	}
	err := r.keeper.Save(bucket, values)
	switch {
	case err != nil && !r.unkept:
		r.log.Error("host addresses not kept: a restart would not know them", "error", err)
	case err == nil && r.unkept:
		r.log.Info("host addresses kept again")
	}
	r.unkept = err != nil
	if err == nil {
		return nil
	}
	for name := range batch {
		unwritten = append(unwritten, name)
	}
	return unwritten
}
