package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// filled is a directory with a store of two buckets: few has three entries, many so
// many that they take several pages.
func filled(t *testing.T) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	s := opened(t, dir)
	put(t, s, "few", entry("a", "1"), entry("b", "2"), entry("c", "3"))
	var all []Entry
	for i := range 1000 {
		all = append(all, entry(fmt.Sprintf("many-%05d", i), strings.Repeat("v", 100)))
	}
	put(t, s, "many", all...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(dir, fileName)
}

func opened(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// spoil overwrites the page of a file that an offset is in.
func spoil(file []byte, at int) {
	size := os.Getpagesize()
	copy(file[at/size*size:], bytes.Repeat([]byte{0xa5}, size))
}

// spoilWith spoils every page that has a text, the copies that are free among them.
func spoilWith(file []byte, text string) {
	for {
		at := bytes.Index(file, []byte(text))
		if at < 0 {
			return
		}
		spoil(file, at)
	}
}

func TestDamagedFile(t *testing.T) {
	tests := []struct {
		name      string
		spoil     func(file []byte) []byte
		few, many bool // whether all of it is rescued
	}{
		{"of another program", func([]byte) []byte { return []byte("hello\n") }, false, false},
		{"cut off within its head", func(f []byte) []byte { return f[:100] }, false, false},
		{"cut off behind its first page", func(f []byte) []byte { return f[:os.Getpagesize()+9] }, false, false},
		{"cut off in the middle", func(f []byte) []byte { return f[:len(f)/2] }, false, false},
		{"both heads gone", func(f []byte) []byte { spoil(f, 0); spoil(f, os.Getpagesize()); return f }, false, false},
		{"zeroes behind the heads", func(f []byte) []byte { clear(f[2*os.Getpagesize():]); return f }, false, false},
		{"a page of one bucket gone", func(f []byte) []byte { spoilWith(f, "many-00500"); return f }, true, false},
		{"keys that no store can have", func(f []byte) []byte { lengthen(f, "many-00500"); return f }, true, false},
		{"the free pages gone", func(f []byte) []byte { spoilFree(f); return f }, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, path := filled(t)
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			file = tt.spoil(file)
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path+".new", []byte("of one that died"), 0o600); err != nil {
				t.Fatal(err)
			}

			s := opened(t, dir)
			d := s.Damage()
			if d == nil || d.Why == nil || d.Aside != path+aside {
				t.Fatalf("damage is %+v", d)
			}
			if aside, err := os.ReadFile(d.Aside); err != nil || !bytes.Equal(aside, file) {
				t.Errorf("what was put aside is another file: %d bytes, %v", len(aside), err)
			}
			few, err := s.All("few")
			if err != nil || tt.few && len(few) != 3 {
				t.Errorf("of few there are %d, %v", len(few), err)
			}
			many, err := s.All("many")
			if err != nil || tt.many && len(many) != 1000 {
				t.Errorf("of many there are %d, %v", len(many), err)
			}
			if d.Rescued != len(few)+len(many) {
				t.Errorf("%d are said to be rescued, %d are", d.Rescued, len(few)+len(many))
			}
			put(t, s, "few", entry("a", "4"))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir)
			if s.Damage() != nil {
				t.Errorf("it is damaged still: %v", s.Damage().Why)
			}
			if few, err = s.All("few"); err != nil || string(few[0].Value) != "4" {
				t.Errorf("few is %v, %v", few, err)
			}
		})
	}
}

// lengthen makes the first key longer than a store takes, in every page that has a text,
// and spoils another page.
func lengthen(file []byte, text string) {
	size := os.Getpagesize()
	for from := 0; ; {
		at := bytes.Index(file[from:], []byte(text))
		if at < 0 {
			break
		}
		page := (from + at) / size * size
		binary.NativeEndian.PutUint32(file[page+16+8:], bolt.MaxKeySize+1)
		from = page + size
	}
	spoilWith(file, "many-00900")
}

// spoilFree spoils the list of free pages.
func spoilFree(file []byte) {
	const freelist = 0x10 // flags of the page, at byte 8
	for at := 0; at < len(file); at += os.Getpagesize() {
		if file[at+8] == freelist {
			spoil(file, at)
		}
	}
}

func TestEmptiedFile(t *testing.T) {
	dir, path := filled(t)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	if d := s.Damage(); d == nil || d.Aside != "" {
		t.Errorf("damage is %+v", d)
	}
	wantAll(t, s, "few")
}

// What is well is not taken for damaged: a new file, one that has grown and shrunk,
// and one that another process has.
func TestUndamagedFile(t *testing.T) {
	dir, path := filled(t)
	s := opened(t, dir)
	many, err := s.All("many")
	if err != nil {
		t.Fatal(err)
	}
	for i := range many {
		many[i].Value = nil
	}
	put(t, s, "many", many...)
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("a second process: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if s.Damage() != nil {
		t.Errorf("damage is %+v", s.Damage())
	}
	if fresh := open(t, t.TempDir()); fresh.Damage() != nil {
		t.Errorf("a new one is damaged: %+v", fresh.Damage())
	}
	if _, err := os.Stat(path + aside); err == nil {
		t.Error("a file was put aside")
	}
	if err := s.db.View(func(tx *bolt.Tx) error { return whole(tx) }); err != nil {
		t.Error(err)
	}
}

// What was damaged before is kept, up to a bound; nothing goes where there is a gap, or
// for a start that fails.
func TestDamagedAgain(t *testing.T) {
	dir, path := filled(t)
	again := func(text string, dropped bool) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := opened(t, dir)
		if d := s.Damage(); d == nil || d.Aside != path+aside || d.Dropped != dropped {
			t.Errorf("%s: damage is %+v", text, d)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	want := func(want ...string) {
		t.Helper()
		var got []string
		for _, end := range []string{"", ".1", ".2", ".3", ".4", ".new"} {
			text, err := os.ReadFile(path + aside + end)
			if err == nil {
				got = append(got, end+" "+string(text))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("put aside are %q, want %q", got, want)
		}
	}
	again("first", false)
	again("second", false)
	again("third", false)
	again("fourth", false)
	want(" fourth", ".1 third", ".2 second", ".3 first")
	again("fifth", true)
	want(" fifth", ".1 fourth", ".2 third", ".3 second")

	if err := os.Remove(path + aside + ".1"); err != nil {
		t.Fatal(err)
	}
	again("sixth", false)
	want(" sixth", ".1 fifth", ".2 third", ".3 second")

	if err := os.MkdirAll(filepath.Join(path+".new", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("seventh"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if s, err := Open(dir); err == nil {
			t.Fatalf("it is open: %v", s)
		}
	}
	want(" sixth", ".1 fifth", ".2 third", ".3 second")
}
