package source

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What is written while Load reads is a change yet to come; of files that it had
// not looked at before, their times say so.
func TestChangedSince(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rhumb.yaml")
	write(t, path, "log: {level: info}\n")
	begun := time.Now()
	at := func(file, folder time.Time) {
		t.Helper()
		do(t, os.Chtimes(path, file, file))
		do(t, os.Chtimes(dir, folder, folder))
	}
	long := begun.Add(-time.Hour)
	for _, c := range []struct {
		name         string
		file, folder time.Time
		want         bool
	}{
		{"both before", long, long, false},
		{"written in place", begun.Add(time.Second), long, true},
		{"renamed over", long, begun.Add(time.Second), true},
		{"within a step of the clock", begun.Add(-clockStep / 2), long, true},
	} {
		at(c.file, c.folder)
		if got := changedSince([]string{path}, begun); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
	if changedSince([]string{filepath.Join(dir, "absent", "x.yaml")}, begun) {
		t.Error("a file that is not there has not been written")
	}
}
