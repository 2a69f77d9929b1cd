package store

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func put(t *testing.T, s *Store, bucket string, entries ...Entry) {
	t.Helper()
	if err := s.Put(bucket, entries); err != nil {
		t.Fatal(err)
	}
}

func wantAll(t *testing.T, s *Store, bucket string, want ...Entry) {
	t.Helper()
	got, err := s.All(bucket)
	if err != nil {
		t.Fatal(err)
	}
	if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Errorf("%s holds %q, want %q", bucket, got, want)
	}
}

func entry(k, v string) Entry { return Entry{k, []byte(v)} }

func TestPutAndAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "when missing")
	s := open(t, dir)
	wantAll(t, s, "none")
	put(t, s, "a", entry("z", "1"), entry("b", "2"), entry("empty", ""))
	put(t, s, "b", entry("z", "of b"))
	wantAll(t, s, "a", entry("b", "2"), entry("empty", ""), entry("z", "1"))

	put(t, s, "a", entry("b", "3"), Entry{Key: "z"}, Entry{Key: "never there"})
	wantAll(t, s, "a", entry("b", "3"), entry("empty", ""))
	wantAll(t, s, "b", entry("z", "of b"))
	put(t, s, "a", entry("twice", "1"), Entry{Key: "twice"}, entry("twice", "2"))
	wantAll(t, s, "a", entry("b", "3"), entry("empty", ""), entry("twice", "2"))

	// What is given out is the reader's own.
	all, err := s.All("a")
	if err != nil {
		t.Fatal(err)
	}
	all[0].Value[0] = 'x'
	wantAll(t, s, "a", entry("b", "3"), entry("empty", ""), entry("twice", "2"))

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	wantAll(t, s, "a", entry("b", "3"), entry("empty", ""), entry("twice", "2"))
	if st, err := os.Stat(filepath.Join(dir, fileName)); err != nil || st.Mode().Perm()&0o077 != 0 {
		t.Errorf("the file is open to others: %v %v", st.Mode(), err)
	}
}

func TestPutIsAllOrNone(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a", entry("k", "1"))
	for _, bad := range []Entry{entry("", "no key"), entry(strings.Repeat("k", 1<<16), "too long a key")} {
		if err := s.Put("a", []Entry{entry("k", "2"), entry("l", "2"), bad}); err == nil || !strings.HasPrefix(err.Error(), "store: put: ") {
			t.Errorf("error %v", err)
		}
	}
	wantAll(t, s, "a", entry("k", "1"))
	if err := s.Put("", []Entry{entry("k", "1")}); err == nil {
		t.Error("a bucket without name")
	}
}

func TestConcurrentUse(t *testing.T) {
	s := open(t, t.TempDir())
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 10 {
				if err := s.Put("a", []Entry{entry(fmt.Sprint(w), fmt.Sprint(i)), entry(fmt.Sprint(w, "'"), fmt.Sprint(i))}); err != nil {
					t.Error(err)
				}
				got, err := s.All("a")
				if err != nil || len(got)%2 != 0 {
					t.Errorf("half a write was read: %v %v", got, err)
				}
			}
		})
	}
	all.Wait()
}

func TestClosed(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Put("a", []Entry{entry("k", "v")}); err == nil {
		t.Error("written after Close")
	}
	if _, err := s.All("a"); err == nil || !strings.HasPrefix(err.Error(), "store: read a: ") {
		t.Errorf("read after Close: %v", err)
	}
}

func TestInUse(t *testing.T) {
	t.Parallel() // it waits for lockWait
	dir := t.TempDir()
	open(t, dir)
	_, err := Open(dir)
	want := "store: the directory " + dir + " is in use by another process: stop that one, or give each a data_dir of its own"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// One node is replaced by the next: the new one waits for the old one to go.
func TestHandover(t *testing.T) {
	dir := t.TempDir()
	old, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	put(t, old, "a", entry("k", "v"))
	opened := make(chan error, 1)
	var next *Store
	go func() {
		var err error
		next, err = Open(dir)
		opened <- err
	}()
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	wantAll(t, next, "a", entry("k", "v"))
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCannotOpen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); err == nil || !strings.HasPrefix(err.Error(), "store: mkdir "+file) {
		t.Errorf("a file as directory: %v", err)
	}
	db := filepath.Join(dir, fileName)
	if err := os.Mkdir(db, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.HasPrefix(err.Error(), "store: open "+db+": ") {
		t.Errorf("a directory as file: %v", err)
	}
}

// crashDir tells this binary, run again by TestCrash, to be the one that crashes.
const crashDir = "RHUMB_STORE_CRASH_DIR"

// What Put has returned from is there after a kill, and of what it has not,
// nothing or all.
func TestCrash(t *testing.T) {
	if dir := os.Getenv(crashDir); dir != "" {
		writeUntilKilled(dir)
	}
	dir := t.TempDir()
	last := -1
	for range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for seen := 0; seen < 20 && lines.Scan(); seen++ {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
			last = n
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it said until it was hit
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				last = n
			}
		}
		_ = cmd.Wait()

		s := open(t, dir)
		all, err := s.All("a")
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != 2 || string(all[0].Value) != string(all[1].Value) {
			t.Fatalf("half a write: %q", all)
		}
		if n, err := strconv.Atoi(string(all[0].Value)); err != nil || n < last || n > last+1 {
			t.Errorf("the store holds %q, and %d had been written", all[0].Value, last)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// writeUntilKilled counts up in two entries, and says every number once it is on disk.
func writeUntilKilled(dir string) {
	s, err := Open(dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	n := 0
	if all, _ := s.All("a"); len(all) > 0 {
		n, _ = strconv.Atoi(string(all[0].Value))
	}
	for {
		n++
		v := strconv.Itoa(n)
		if err := s.Put("a", []Entry{entry("x", v), entry("y", v)}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(n)
	}
}
