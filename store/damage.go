package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// aside is what the name of a damaged file has behind it. Of those that were damaged
// before, the last has .1 behind that, the one before it .2, up to asides.
const (
	aside  = ".damaged"
	asides = 3
)

// Damage is what was wrong with the file of a store, and what became of it.
type Damage struct {
	Why     error
	Aside   string // where the file is now; empty when there was nothing in it
	Dropped bool   // whether the oldest of those that were put aside before had to go for it
	Rescued int    // how many entries could be read of it
}

// Damage says what was wrong with the file when it was opened; nil when nothing was.
func (s *Store) Damage() *Damage { return s.damage }

// damaged is the error of a file that is not what was written to it.
type damaged struct{ error }

// guard runs f, of which a damaged file makes a panic: pages that are not what they
// should be, and those that a file which has been cut off does not have.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch why := recover().(type) {
		case nil:
		case runtime.Error:
			err = damaged{errors.New("a part of it is not there")}
		default:
			err = damaged{fmt.Errorf("%.200v", why)}
		}
	}()
	return f()
}

// openFile opens a file and reads all of it once, since what is wrong would else be found
// when the node runs.
func openFile(path string, readOnly bool) (db *bolt.DB, err error) {
	var f *os.File
	err = guard(func() error {
		var err error
		db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout: lockWait, FreelistType: bolt.FreelistMapType, ReadOnly: readOnly,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				var err error
				f, err = os.OpenFile(name, flag, mode)
				return f, err
			},
		})
		if errors.Is(err, berrors.ErrInvalid) || errors.Is(err, berrors.ErrChecksum) {
			return damaged{err}
		}
		if err != nil || readOnly {
			return err
		}
		return db.View(whole)
	})
	if err == nil {
		return db, nil
	}
	var d damaged
	if st, no := os.Stat(path); no == nil && !errors.As(err, &d) && st.Size() < int64(2*os.Getpagesize()) && !errors.Is(err, berrors.ErrTimeout) {
		err = damaged{err} // shorter than any store is
	}
	switch {
	case db != nil:
		_ = db.Close()
	case f != nil:
		_ = f.Close()
	}
	return nil, err
}

// whole reads everything there is.
func whole(tx *bolt.Tx) error {
	if st, err := os.Stat(tx.DB().Path()); err == nil && st.Size() < tx.Size() {
		return damaged{fmt.Errorf("it is cut off: %d of %d bytes are there", st.Size(), tx.Size())}
	}
	var sum byte
	defer func() { runtime.KeepAlive(sum) }() // else nothing would be read
	return tx.ForEach(func(_ []byte, b *bolt.Bucket) error {
		return b.ForEach(func(_, v []byte) error {
			if n := len(v); n > 0 {
				sum += v[n-1]
			}
			return nil
		})
	})
}

// replace puts a new file with what can be read of a damaged one in its place, and
// opens that. What was put aside before is not touched until all that needs room on
// the disk is done: a start that fails is tried again and again.
func replace(path string, why damaged) (*bolt.DB, *Damage, error) {
	d := &Damage{Why: why.error, Aside: path + aside}
	spoiled, next := d.Aside+".new", path+".new"
	err := d.salvage(next, spoiled, path)
	if err == nil {
		d.Dropped, err = makeRoom(d.Aside)
	}
	if err == nil {
		err = os.Rename(spoiled, d.Aside)
	}
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return nil, nil, errors.Join(err, remove(spoiled), remove(next))
	}
	db, err := openFile(path, false)
	return db, d, err
}

// salvage makes a copy of a damaged file, and a new one with what can be read of it.
func (d *Damage) salvage(next, spoiled, path string) error {
	// A copy: the file itself may still be locked by the try to open it, which did not
	// end.
	if err := errors.Join(copyFile(spoiled, path), remove(next)); err != nil {
		return err
	}
	db, err := openFile(next, false)
	if err != nil {
		return err
	}
	s := &Store{db: db}
	for bucket, all := range rescue(spoiled) {
		if err := s.Put(bucket, all); err != nil {
			return errors.Join(err, db.Close())
		}
		d.Rescued += len(all)
	}
	return db.Close()
}

// makeRoom lets a file be put aside: those that were before it move on, and the oldest
// is dropped when there are too many.
func makeRoom(path string) (dropped bool, err error) {
	name := func(n int) string {
		if n == 0 {
			return path
		}
		return path + "." + strconv.Itoa(n)
	}
	// Up to the first name that is free they stay: nothing is dropped for a gap.
	free := 0
	for free <= asides {
		if _, err := os.Lstat(name(free)); errors.Is(err, fs.ErrNotExist) {
			break
		}
		free++
	}
	if dropped = free > asides; dropped {
		free = asides
	}
	for n := free; n > 0; n-- {
		if err := os.Rename(name(n-1), name(n)); err != nil {
			return false, err
		}
	}
	return dropped, nil
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// copyFile makes a copy that is on disk.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// rescue is what can be read of a damaged file, by bucket. Keys that no store can have
// are not what was written: with them the new file would be refused, and the node would
// never start.
func rescue(path string) map[string][]Entry {
	all := map[string][]Entry{}
	db, err := openFile(path, true)
	if err != nil {
		return all
	}
	defer db.Close()
	_ = guard(func() error {
		return db.View(func(tx *bolt.Tx) error {
			return tx.ForEach(func(name []byte, _ *bolt.Bucket) error {
				if n := len(name); n > 0 && n <= bolt.MaxKeySize {
					all[string(name)] = nil
				}
				return nil
			})
		})
	})
	for name := range all {
		_ = guard(func() error {
			return db.View(func(tx *bolt.Tx) error {
				return tx.Bucket([]byte(name)).ForEach(func(k, v []byte) error {
					if n := len(k); n > 0 && n <= bolt.MaxKeySize && v != nil {
						all[name] = append(all[name], Entry{string(k), append([]byte{}, v...)})
					}
					return nil
				})
			})
		})
	}
	return all
}
