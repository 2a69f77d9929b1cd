package audit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func open(t *testing.T, dir string) (l *Log, skipped int) {
	t.Helper()
	l, skipped, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, skipped
}

func add(t *testing.T, l *Log, entries ...Entry) {
	t.Helper()
	for _, e := range entries {
		if err := l.Append(e); err != nil {
			t.Fatal(err)
		}
	}
}

// ons is what entries are on, in order.
func ons(entries []Entry, _ bool) string {
	var all []string
	for _, e := range entries {
		all = append(all, e.On)
	}
	return strings.Join(all, " ")
}

func TestAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l, _ := open(t, dir)
		by := By{Who: "ops", From: "192.0.2.1", Stated: "alice", Why: "new disk"}
		add(t, l, by.Entry(DrainSet, "a", "over 10m0s"))
		time.Sleep(time.Minute)
		later := time.Now()
		add(t, l, Entry{Who: Node, What: OverrideLapsed, On: "b"}, Entry{On: "c"})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l, skipped := open(t, dir)
		all, more := l.Read(Query{})
		if skipped != 0 || more || len(all) != 3 {
			t.Fatalf("%d skipped, more %t, %+v", skipped, more, all)
		}
		want := Entry{
			ID: 1, At: later.Add(-time.Minute).UTC(), Who: "ops", From: "192.0.2.1", Stated: "alice",
			What: "drain set", On: "a", How: "over 10m0s", Why: "new disk",
		}
		if all[0] != want {
			t.Errorf("%+v, want %+v", all[0], want)
		}
		add(t, l, Entry{On: "d"})
		for _, c := range []struct {
			q    Query
			want string
			more bool
		}{
			{Query{}, "a b c d", false},
			{Query{Limit: 2}, "c d", true},
			{Query{After: 1, Limit: 2}, "b c", true},
			{Query{After: 3}, "d", false},
			{Query{After: 4}, "", false},
			{Query{Since: later}, "b c d", false},
			{Query{Since: later, Limit: 1}, "b", true},
			{Query{Since: later.Add(time.Second)}, "", false},
		} {
			if got := ons(l.Read(c.q)); got != c.want {
				t.Errorf("%+v: %s, want %s", c.q, got, c.want)
			}
			if _, more := l.Read(c.q); more != c.more {
				t.Errorf("%+v: more %t", c.q, more)
			}
		}
	})
}

// A line that a crash cut, or that somebody wrote, costs that line alone.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	text := `{"id":7,"on":"a"}` + "\n\nnonsense\n" + strings.Repeat("x", 3*maxLine) + "\n" + `{"id":8,"on":"b"}` + "\n" + `{"id":9,"on":`
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, skipped := open(t, dir)
	if skipped != 3 || ons(l.Read(Query{})) != "a b" {
		t.Errorf("%d skipped of %s", skipped, ons(l.Read(Query{})))
	}
	add(t, l, Entry{On: "c"})
	l, skipped = open(t, dir)
	if skipped != 3 || ons(l.Read(Query{After: 7})) != "b c" {
		t.Errorf("then %d skipped of %s", skipped, ons(l.Read(Query{})))
	}
}

// A disk without room keeps nobody from opening a log that a crash has cut: the line is
// ended with the next entry.
func TestTorn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	const text = `{"id":7,"on":"a"}` + "\n" + `{"id":8,"on":`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, _ := open(t, dir)
	if b, err := os.ReadFile(path); err != nil || string(b) != text {
		t.Errorf("to open has written: %q, %v", b, err)
	}
	add(t, l, Entry{On: "b"}, Entry{On: "c"})
	if l, skipped := open(t, dir); skipped != 1 || ons(l.Read(Query{})) != "a b c" {
		t.Errorf("%d skipped of %s", skipped, ons(l.Read(Query{})))
	}
}

// The files and the memory are bounded, and no entry is lost at the turn.
func TestBounded(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	long := strings.Repeat("y", maxLine/2)
	const n = 6 * maxFile / (maxLine / 2)
	for range n {
		if err := l.Append(Entry{Why: long}); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1+olds {
		t.Fatalf("%v: %v", files, err)
	}
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || st.Size() > maxFile+maxLine {
			t.Errorf("%s: %d bytes, %v", f, st.Size(), err)
		}
	}
	if all, _ := l.Read(Query{}); len(all) != Recent || all[Recent-1].ID != n || all[0].ID != n-Recent+1 {
		t.Errorf("%d entries, %d to %d", len(all), all[0].ID, all[len(all)-1].ID)
	}
	last, _ := open(t, dir)
	if all, _ := last.Read(Query{}); all[len(all)-1].ID != n || uint64(len(all)) != all[len(all)-1].ID-all[0].ID+1 {
		t.Errorf("opened again: %d entries, %d to %d", len(all), all[0].ID, all[len(all)-1].ID)
	}
}

// An entry that cannot be written is nowhere.
func TestUnwritten(t *testing.T) {
	l, _ := open(t, t.TempDir())
	add(t, l, Entry{On: "a"})
	if err := l.file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(Entry{On: "b"}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v", err)
	}
	if got := ons(l.Read(Query{})); got != "a" {
		t.Error(got)
	}
	if _, _, err := Open(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a directory that is not there was opened")
	}
}

func TestMemoryOnly(t *testing.T) {
	l, _ := open(t, "")
	for range Recent + 5 {
		add(t, l, Entry{})
	}
	if all, _ := l.Read(Query{}); len(all) != Recent || all[0].ID != 6 {
		t.Errorf("%d from %d", len(all), all[0].ID)
	}
	var none *Log
	if err := errors.Join(none.Append(Entry{}), none.Close()); err != nil {
		t.Error(err)
	}
	if all, _ := none.Read(Query{}); all != nil {
		t.Error(all)
	}
}
