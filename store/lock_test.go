package store

import (
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Of nodes that start together on a file that is damaged one has the store, and the
// others are refused: none has the file that was put aside.
func TestDamagedTogether(t *testing.T) {
	dir, path := filled(t)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spoilWith(file, "many-00500")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		const nodes = 4
		var stores [nodes]*Store
		var errs [nodes]error
		var all sync.WaitGroup
		for i := range nodes {
			all.Go(func() { stores[i], errs[i] = Open(dir) })
		}
		all.Wait()
		var won *Store
		for i, s := range stores {
			switch {
			case s == nil && strings.Contains(errs[i].Error(), "in use by another process"):
			case errs[i] != nil || won != nil:
				t.Fatalf("a second one: %v, %v", s, errs[i])
			default:
				won = s
			}
		}
		if won == nil || won.Damage() == nil {
			t.Fatalf("it is open, undamaged: %v", won)
		}
		put(t, won, "few", entry("a", "4"))
		if err := won.Close(); err != nil {
			t.Fatal(err)
		}
		s := opened(t, dir)
		wantAll(t, s, "few", entry("a", "4"), entry("b", "2"), entry("c", "3"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// While one looks at the file no other does, nor puts it aside: it waits, and gives up.
func TestOpenedByAnother(t *testing.T) {
	dir, path := filled(t)
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		unlock, err := lock(path + locking)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := Open(dir); err == nil || !strings.Contains(err.Error(), "in use by another process") {
			t.Fatalf("it is open: %v, %v", s, err)
		}
		if _, err := os.Stat(path + aside); err == nil {
			t.Error("the file was put aside")
		}
		time.AfterFunc(lockWait/2, unlock)
		s := opened(t, dir)
		if s.Damage() == nil {
			t.Error("it was not damaged")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A file that cannot be locked, as on a disk without room for one more, keeps none from
// opening a store that is well, and leaves one that is damaged where it is.
func TestNoLock(t *testing.T) {
	dir, path := filled(t)
	if err := os.Remove(path + locking); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+locking, 0o700); err != nil {
		t.Fatal(err)
	}
	s := opened(t, dir)
	if all, err := s.All("few"); err != nil || len(all) != 3 {
		t.Errorf("few is %v, %v", all, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(dir); err == nil || !strings.Contains(err.Error(), path+locking) {
		t.Errorf("it is open: %v, %v", s, err)
	}
	if st, err := os.Stat(path); err != nil || st.Size() != 100 {
		t.Errorf("the file is another: %v, %v", st, err)
	}
}
