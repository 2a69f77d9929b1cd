package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// fileName is the store's file in a node's data directory.
const fileName = "rhumb.db"

// lockWait is how long another process may take to let go of the file, as it
// does when one node is replaced by the next.
const lockWait = 3 * time.Second

// Store is an open store. It is safe for concurrent use.
type Store struct {
	db     *bolt.DB
	damage *Damage
}

// Open opens the store in dir, which is made when missing. It fails when
// another process has it. A file that is damaged is put aside, and what can be read
// of it is in the one that takes its place: see [Store.Damage].
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	path := filepath.Join(dir, fileName)
	s, err := openAt(path)
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("store: the directory %s is in use by another process: stop that one, or give each a data_dir of its own", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	return s, nil
}

func openAt(path string) (s *Store, err error) {
	unlock, unlocked := lock(path + locking)
	defer unlock()
	if errors.Is(unlocked, berrors.ErrTimeout) {
		return nil, unlocked
	}
	st, err := os.Stat(path)
	emptied := err == nil && st.Size() == 0
	s = &Store{}
	s.db, err = openFile(path, false)
	var d damaged
	switch {
	case errors.As(err, &d):
		// A disk without room for one more file keeps none from opening what is well.
		if unlocked != nil {
			return nil, unlocked
		}
		s.db, s.damage, err = replace(path, d)
	case err == nil && emptied:
		s.damage = &Damage{Why: errors.New("it is empty")}
	}
	return s, err
}

// Close closes the store.
func (s *Store) Close() error { return s.db.Close() }

// Entry is one key and its value. A nil Value in Put deletes the key.
type Entry struct {
	Key   string
	Value []byte
}

// Put writes entries to a bucket, all or none.
func (s *Store) Put(bucket string, entries []Entry) error {
	// In the order of their keys each page is gone to once, and keys that are new are
	// not put between others, which moves all that are behind.
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(x, y Entry) int { return strings.Compare(x.Key, y.Key) })
	err := s.db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Value == nil {
				err = b.Delete([]byte(e.Key))
			} else {
				err = b.Put([]byte(e.Key), e.Value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store: put: %w", err)
	}
	return nil
}

// All reads a whole bucket, in the order of its keys.
func (s *Store) All(bucket string) ([]Entry, error) {
	var all []Entry
	err := s.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			all = append(all, Entry{string(k), append([]byte{}, v...)})
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("store: read %s: %w", bucket, err)
	}
	return all, nil
}
