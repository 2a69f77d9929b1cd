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
