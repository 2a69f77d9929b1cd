package chunk

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// narrow has windows show a few pages at a time for a test.
func narrow(t *testing.T, pages int64) {
	size, from := windowSize, besideFrom
	windowSize, besideFrom = pages*int64(os.Getpagesize()), 1
	t.Cleanup(func() { windowSize, besideFrom = size, from })
}

func written(t testing.TB, text string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// atOnce has what could be done beside be done before.
func atOnce(f func()) { f() }

// meanwhile has it done on another goroutine.
func meanwhile(f func()) { go f() }

// TestWindows changes a file again and again, and finds in it through windows of
// a page what reading it finds, alone and with another.
func TestWindows(t *testing.T) {
	narrow(t, 1)
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 10 {
		size := Sizes{Wished: 1 << rnd.IntN(13)}
		lines := numbered(500 + rnd.IntN(1000))
		for i := range lines {
			switch rnd.IntN(40) {
			case 0:
				lines[i] = "=" + lines[i][:6]
			case 1:
				lines[i] = " " + lines[i]
			case 2:
				lines[i] = strings.Repeat("long ", rnd.IntN(2000))
			}
		}
		var was []part
		for range 12 {
			text := strings.Join(lines, "\n")
			if rnd.IntN(3) > 0 {
				text += "\n"
			}
			want := must(t, text, was, size)
			for _, beside := range []func(func()){nil, atOnce, meanwhile} {
				got, err := read(t, text, File{written(t, text), beside}, was, size)
				if err != nil {
					t.Fatal(err)
				}
				same := func(x, y part) bool { return x.mark == y.mark && slices.Equal(x.lines, y.lines) }
				if got.parsed != want.parsed || !slices.EqualFunc(got.parts, want.parts, same) {
					t.Fatalf("parsed %d octets in %d stretches, want %d in %d", got.parsed, len(got.parts), want.parsed, len(want.parts))
				}
			}
			was = want.parts
			for range rnd.IntN(4) {
				from := rnd.IntN(len(lines))
				to := min(from+rnd.IntN(20), len(lines))
				cut := slices.Clone(lines[from:to])
				switch rnd.IntN(4) {
				case 0:
					lines = slices.Insert(slices.Delete(lines, from, to), rnd.IntN(len(lines)-len(cut)+1), cut...)
				case 1:
					lines = slices.Insert(lines, rnd.IntN(len(lines)+1), cut...)
				case 2:
					lines = slices.Delete(lines, from, to)
				default:
					lines[from] = "changed " + lines[from]
				}
			}
		}
	}
}

// inTheMidst is a Reader on a file, and has found its first stretch as it was.
func inTheMidst(t *testing.T, lines []string) (*Reader, *os.File) {
	t.Helper()
	size := Sizes{Wished: 1024}
	was := must(t, join(lines), nil, size).parts
	marks := make([]Mark, len(was))
	for i := range was {
		marks[i] = was[i].mark
	}
	f := written(t, join(lines))
	r := NewFileReader(File{File: f}, marks, &book{was: was}, size)
	t.Cleanup(r.Close)
	if s, err := r.Next(); r.win == nil || err != nil || s.Was != 0 {
		t.Fatalf("stretch %+v, error %v", s, err)
	}
	return r, f
}

// toEnd reads what is left.
func toEnd(r *Reader) error {
	for {
		if _, err := r.Next(); err != nil {
			return err
		}
		if _, err := r.Text(); err != nil {
			return err
		}
	}
}

// TestMeanwhile changes files while they are looked at.
func TestMeanwhile(t *testing.T) {
	narrow(t, 64)
	lines := numbered(10_000)
	for name, change := range map[string]func(f *os.File) error{
		"emptied":           func(f *os.File) error { return f.Truncate(0) },
		"cut short":         func(f *os.File) error { return f.Truncate(50_000) },
		"cut within a page": func(f *os.File) error { return f.Truncate(int64(len(join(lines)) - 1)) },
		"longer":            func(f *os.File) error { _, err := f.WriteAt([]byte("x\n"), int64(len(join(lines)))); return err },
	} {
		r, f := inTheMidst(t, lines)
		if err := change(f); err != nil {
			t.Fatal(err)
		}
		if err := toEnd(r); !errors.Is(err, ErrAgain) {
			t.Errorf("%s: error %v", name, err)
		}
		if _, err := r.Next(); !errors.Is(err, ErrAgain) {
			t.Errorf("%s: then %v", name, err)
		}
	}

	// What was found as it was may be other text by the time it is asked for.
	r, f := inTheMidst(t, lines)
	if _, err := f.WriteAt([]byte("X"), 10); err != nil {
		t.Fatal(err)
	}
	if text, err := r.Text(); !errors.Is(err, ErrAgain) {
		t.Errorf("%.30q, error %v", text, err)
	}

	// What has been read is as it was read.
	r, f = inTheMidst(t, slices.Concat(lines[:5], []string{"!"}, lines[5:]))
	at := int64(len(join(lines[:5])))
	if _, err := f.WriteAt([]byte("new"), at+20); err != nil {
		t.Fatal(err)
	}
	if s, err := r.Next(); err != nil || s.Was >= 0 {
		t.Fatalf("%+v, error %v", s, err)
	}
	if _, err := f.WriteAt([]byte("late"), at+20); err != nil {
		t.Fatal(err)
	}
	if text, err := r.Text(); err != nil || !strings.Contains(string(text), "new") || hash(text) != r.last.Mark.sum {
		t.Errorf("%.60q, error %v", text, err)
	}
}

// TestBeside has all that is as it was found by the other.
func TestBeside(t *testing.T) {
	narrow(t, 4)
	lines := numbered(10_000)
	size := Sizes{Wished: 1024}
	was := must(t, join(lines), nil, size).parts
	marks := make([]Mark, len(was))
	for i := range was {
		marks[i] = was[i].mark
	}
	for name, now := range map[string][]string{
		"as it was":            lines,
		"a line of its length": slices.Concat(lines[:5000], []string{strings.ToUpper(lines[5000])}, lines[5001:]),
		"a line more":          slices.Concat(lines[:5000], []string{"x"}, lines[5000:]),
		"a line less":          slices.Concat(lines[:5000], lines[5001:]),
		"the last line":        slices.Concat(lines[:9999], []string{"x"}),
		"the first line":       slices.Concat([]string{"x"}, lines[1:]),
	} {
		r := NewFileReader(File{written(t, join(now)), atOnce}, marks, &book{was: was}, size)
		missing := 0
		for i := 1; i < len(marks); i++ { // the first is left to the reader
			if r.beside.seen[i].Load() == 0 {
				missing++
			}
		}
		if missing > 1 {
			t.Errorf("%s: %d of %d stretches are not found", name, missing, len(marks))
		}
		r.Close()
	}
	// It ends with the reader, wherever that is, and at a file that is cut short.
	for range 20 {
		f := written(t, join(lines))
		r := NewFileReader(File{f, meanwhile}, marks, &book{was: was}, size)
		if err := f.Truncate(100); err != nil {
			t.Fatal(err)
		}
		r.Close()
		if r.beside == nil {
			t.Fatal("nobody looked")
		}
		<-r.beside.done
	}
}

// angry is a Divider with a fault of its own.
type angry struct{ still }

func (angry) Fits(int, []byte) Cut { panic("angry") }

// TestFaultElsewhere has the fault of another be its own.
func TestFaultElsewhere(t *testing.T) {
	narrow(t, 4)
	r, _ := inTheMidst(t, numbered(2000))
	r.d = angry{}
	defer func() {
		if v := recover(); v != "angry" {
			t.Errorf("%v", v)
		}
	}()
	err := toEnd(r)
	t.Errorf("no panic, but %v", err)
}

// TestClosed lets go of the file.
func TestClosed(t *testing.T) {
	narrow(t, 4)
	r, _ := inTheMidst(t, numbered(2000))
	r.Close()
	r.Close()
	if _, err := r.Next(); !errors.Is(err, os.ErrClosed) || r.win.text != nil {
		t.Errorf("error %v, a window of %d octets", err, len(r.win.text))
	}
	r, _ = inTheMidst(t, numbered(2000))
	if err := toEnd(r); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// BenchmarkFile looks at 30 MB of a file that are as they were.
func BenchmarkFile(b *testing.B) {
	text := join(numbered(1_150_000))
	before := marksOf(b, []byte(text))
	f := written(b, text)
	for name, reader := range map[string]func() *Reader{
		"windows": func() *Reader { return NewFileReader(File{File: f}, before, still{}, Sizes{}) },
		"two":     func() *Reader { return NewFileReader(File{f, func(g func()) { go g() }}, before, still{}, Sizes{}) },
		"read":    func() *Reader { return NewReader(f, before, still{}, Sizes{}) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Seek(0, io.SeekStart); err != nil {
					b.Fatal(err)
				}
				r := reader()
				for {
					s, err := r.Next()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil || s.Was < 0 {
						b.Fatalf("%+v, error %v", s, err)
					}
				}
				r.Close()
			}
		})
	}
}
