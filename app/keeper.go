package app

import (
	"fmt"

	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/store"
)

// openAudit opens the audit log, in memory alone without a data directory.
func (a *App) openAudit(dir string) error {
	log, skipped, err := audit.Open(dir)
	if err != nil {
		return fmt.Errorf("node.data_dir: %w", err)
	}
	if skipped > 0 {
		a.log.Warn("lines of the audit log not understood", "file", audit.FileName, "lines", skipped)
	}
	a.audit = log
	return nil
}

// openStore opens the store. One that is damaged keeps no node from starting.
func (a *App) openStore(dir string) (err error) {
	if a.store, err = store.Open(dir); err != nil {
		return fmt.Errorf("node.data_dir: %w", err)
	}
	for _, w := range a.damage() {
		a.log.Error(w)
	}
	return nil
}

// damage is what an operator is told of a store that was damaged when it was opened.
func (a *App) damage() []string {
	if a.store == nil || a.store.Damage() == nil {
		return nil
	}
	d := a.store.Damage()
	said := fmt.Sprintf("node.data_dir: the store was damaged (%s); %d entries of it could be read", d.Why, d.Rescued)
	if d.Aside != "" {
		said += ", and it is now " + d.Aside
	}
	if d.Dropped {
		said += ", for which the oldest of those before it was deleted"
	}
	return []string{said + ": compare `rhumb overrides` and `rhumb maintenance` with `rhumb audit`"}
}

// closeStore closes what New has opened in the data directory.
func (a *App) closeStore() {
	if err := a.audit.Close(); err != nil {
		a.log.Error("audit log not closed", "error", err)
	}
	if a.store != nil {
		if err := a.store.Close(); err != nil {
			a.log.Error("store not closed", "error", err)
		}
	}
}

// keeper lets health, conduct and hosts remember in the store.
type keeper struct{ store *store.Store }

// Load implements health.Keeper, conduct.Keeper and hosts.Keeper.
func (k keeper) Load(bucket string) (map[string][]byte, error) {
	all, err := k.store.All(bucket)
	if err != nil {
		return nil, err
	}
	values := make(map[string][]byte, len(all))
	for _, e := range all {
		values[e.Key] = e.Value
	}
	return values, nil
}

// Save implements health.Keeper, conduct.Keeper and hosts.Keeper.
func (k keeper) Save(bucket string, values map[string][]byte) error {
	entries := make([]store.Entry, 0, len(values))
	for key, v := range values {
		entries = append(entries, store.Entry{Key: key, Value: v})
	}
	return k.store.Put(bucket, entries)
}
