package gslb

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/rhumb-dns/rhumb/coredns/mouth"
	"github.com/rhumb-dns/rhumb/store"
)

// words are what operators have said of backends by the API. They count until the
// opposite is said, over reloads and, with a directory, restarts; the user's files are
// never touched.
type words struct {
	mu     sync.RWMutex
	on     map[string]bool // by record and address
	keeper *keeper         // nil: memory only
	letGo  func() error
}

// bucket is the name of the words in the store.
const bucket = "gslb-backends"

func key(record, address string) string { return record + " " + address }

// stores are the open ones, by directory: a reload may overlap, and several blocks may
// share one.
var stores = mouth.Shared[*store.Store, struct{}]{Apply: func(*store.Store, []struct{}) error { return nil }}

func openWords(dir string) (*words, error) {
	w := &words{on: map[string]bool{}, letGo: func() error { return nil }}
	if dir == "" {
		return w, nil
	}
	hold, err := stores.Take(dir, &mouth.Instance{}, struct{}{}, func() (*store.Store, func(), error) {
		s, err := store.Open(dir)
		if err != nil {
			return nil, nil, err
		}
		if d := s.Damage(); d != nil {
			log.Error("the store was damaged: what backends are on may be forgotten", "directory", dir, "error", d.Why, "rescued", d.Rescued, "file", d.Aside, "oldest_deleted", d.Dropped)
		}
		return s, func() {
			if err := s.Close(); err != nil {
				log.Error("the store is not closed", "directory", dir, "error", err)
			}
		}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	w.keeper, w.letGo = &keeper{hold.Thing}, hold.LetGo
	kept, err := w.keeper.Load(bucket)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("data_dir: %w", err), hold.LetGo())
	}
	for k, v := range kept {
		w.on[k] = string(v) == "on"
	}
	return w, nil
}

func (w *words) close() error { return w.letGo() }

// said is what was last said of a backend.
func (w *words) said(record, address string) (on, stated bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	on, stated = w.on[key(record, address)]
	return on, stated
}

// say says it of all backends, or of none when it cannot be kept.
func (w *words) say(all []named, on bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	values := make(map[string][]byte, len(all))
	for _, b := range all {
		word := "off"
		if on {
			word = "on"
		}
		values[key(b.Record, b.Address)] = []byte(word)
	}
	if w.keeper != nil {
		if err := w.keeper.Save(bucket, values); err != nil {
			return err
		}
	}
	for k := range values {
		w.on[k] = on
	}
	return nil
}

// keeper lets the engine remember verdicts in the store.
type keeper struct{ store *store.Store }

// Load implements health.Keeper, conduct.Keeper and hosts.Keeper.
func (k *keeper) Load(bucket string) (map[string][]byte, error) {
	all, err := k.store.All(bucket)
	if err != nil {
		return nil, err
	}
	values := make(map[string][]byte, len(all))
	for _, e := range all {
		values[strings.Clone(e.Key)] = e.Value
	}
	return values, nil
}

// Save implements health.Keeper, conduct.Keeper and hosts.Keeper.
func (k *keeper) Save(bucket string, values map[string][]byte) error {
	entries := make([]store.Entry, 0, len(values))
	for key, v := range values {
		entries = append(entries, store.Entry{Key: key, Value: v})
	}
	return k.store.Put(bucket, entries)
}
