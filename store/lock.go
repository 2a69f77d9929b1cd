package store

import (
	"os"
	"time"

	berrors "go.etcd.io/bbolt/errors"
)

// locking is what the name of the file that is locked has behind it.
const locking = ".lock"

// lockStep is how long to wait until the next try to lock a file.
const lockStep = 20 * time.Millisecond

// lock keeps others from opening a store until unlock is called, or this process has
// ended. Who has it open bbolt knows, by a lock on the file itself; but that says nothing
// while another file takes the place of one that is damaged. The locked file stays: if
// it were removed, one could have the lock of the old one and another that of a new one.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return func() {}, err
	}
	unlock = func() { _ = f.Close() }
	for late := time.Now().Add(lockWait); ; time.Sleep(lockStep) {
		locked, err := tryLock(f)
		if err == nil && !locked && time.Now().After(late) {
			err = berrors.ErrTimeout
		}
		if locked || err != nil {
			return unlock, err
		}
	}
}
