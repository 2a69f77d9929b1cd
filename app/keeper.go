package app

import "github.com/rhumb-dns/rhumb/store"

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
