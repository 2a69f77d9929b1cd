package chunk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// book is a client of the reader, of a made-up kind of file. A line that begins
// with a blank belongs to the one before it, "!" begins a stretch, "=x" makes x
// the context of the lines after it, and what a line means is its context and
// itself.
type book struct {
	parts   []part
	context string
	was     []part
	parsed  int      // octets
	told    []string // lines of new text, behind the last stretch
}

type part struct {
	mark          Mark
	before, after string
	lines         []string // meanings
}

func cutOf(line []byte) Cut {
	switch {
	case len(line) == 0:
		return May
	case line[0] == ' ':
		return Never
	case line[0] == '!':
		return Must
	}
	return May
}

func (b *book) Line(line []byte) Cut {
	b.told = append(b.told, string(line))
	return cutOf(line)
}

func (b *book) Fits(i int, behind []byte) Cut {
	switch {
	case b.was[i].before != b.context:
		return Never
	case behind == nil:
		return May
	}
	return cutOf(behind)
}

// skipping is a book without "!".
type skipping struct{ *book }

func (b skipping) Skip(lines []byte, n int) {
	if n != countLines(lines) || n == 0 || lines[len(lines)-1] != '\n' {
		panic(fmt.Sprintf("%q are not %d lines", lines, n))
	}
	b.told = append(b.told, strings.Split(strings.TrimSuffix(string(lines), "\n"), "\n")...)
}

func (b *book) Seen(i int) { b.context, b.told = b.was[i].after, nil }

// mean reads a text line by line.
func mean(context, text string) (after string, lines []string) {
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		if strings.HasPrefix(l, "=") {
			context = l
		}
		lines = append(lines, context+"|"+l)
	}
	return context, lines
}

// read reads a text of which was is the last reading, and checks everything
// that holds whatever the text is.
func read(t *testing.T, text string, in io.Reader, was []part, size Sizes) (*book, error) {
	t.Helper()
	b := &book{was: was}
	marks := make([]Mark, len(was))
	for i := range was {
		marks[i] = was[i].mark
	}
	var d Divider = b
	if !strings.Contains(text, "!") {
		d = skipping{b}
	}
	var r *Reader
	if f, ok := in.(File); ok {
		r = NewFileReader(f, marks, d, size)
		defer r.Close()
	} else {
		r = NewReader(in, marks, d, size)
	}
	used := map[int]bool{}
	var all strings.Builder
	var means []string
	line := 1
	for {
		context := b.context
		s, err := r.Next()
		if err != nil {
			if _, again := r.Next(); !errors.Is(again, err) {
				t.Errorf("error %v, then %v", err, again)
			}
			if !errors.Is(err, io.EOF) {
				return b, err
			}
			break
		}
		text, err := r.Text()
		if err != nil {
			return b, err
		}
		if s.Line != line {
			t.Errorf("a stretch at line %d, want %d", s.Line, line)
		}
		if n := countLines(text); int(s.Mark.Lines) != n || int(s.Mark.Size) != len(text) || n == 0 {
			t.Errorf("mark %+v of %d octets in %d lines", s.Mark, len(text), n)
		}
		if size.Most > 0 && len(text) > size.Most {
			t.Errorf("a stretch of %d octets, more than %d", len(text), size.Most)
		}
		line += int(s.Mark.Lines)
		all.Write(text)
		p := part{mark: s.Mark, before: context}
		p.after, p.lines = mean(context, string(text))
		if s.Was >= 0 {
			old := was[s.Was]
			if used[s.Was] || s.Mark != old.mark || !slices.Equal(p.lines, old.lines) {
				t.Errorf("stretch %d taken for what it is not", s.Was)
			}
			used[s.Was] = true
			p = old
		} else {
			b.parsed += len(text)
			n := int(s.Mark.Lines)
			if len(b.told) < n || len(b.told) > n+1 || strings.Join(b.told[:n], "\n") != strings.TrimSuffix(string(text), "\n") {
				t.Fatalf("told the lines %q of %q", b.told, brief(string(text)))
			}
			b.told = slices.Clone(b.told[n:])
			b.context = p.after
		}
		if b.context != p.after {
			t.Errorf("context %q after a stretch, want %q", b.context, p.after)
		}
		means = append(means, p.lines...)
		b.parts = append(b.parts, p)
	}
	if all.String() != text {
		t.Fatalf("the stretches are not the text: %q, want %q", brief(all.String()), brief(text))
	}
	if _, want := mean("", text); !slices.Equal(means, want) {
		t.Fatalf("%q\nwant\n%q", means, want)
	}
	for i, p := range b.parts[:max(len(b.parts)-1, 0)] {
		behind, _, _ := strings.Cut(b.parts[i+1].lines[0], "\n")
		_, behind, _ = strings.Cut(behind, "|")
		switch cut := cutOf([]byte(behind)); {
		case cut == Never:
			t.Errorf("a stretch begins at %q", brief(behind))
		case slices.ContainsFunc(p.lines[1:], func(l string) bool { return strings.Contains(l, "|!") }):
			t.Errorf("a stretch has a line that begins one: %q", p.lines)
		}
	}
	return b, nil
}

func countLines(text []byte) int {
	n := bytes.Count(text, []byte("\n"))
	if len(text) > 0 && text[len(text)-1] != '\n' {
		n++
	}
	return n
}

func brief(s string) string { return s[:min(len(s), 300)] }

func must(t *testing.T, text string, was []part, size Sizes) *book {
	t.Helper()
	b, err := read(t, text, strings.NewReader(text), was, size)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// numbered is n lines of which no two are alike.
func numbered(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("line %d of some length", i)
	}
	return lines
}

func join(lines []string) string { return strings.Join(lines, "\n") + "\n" }

// TestUnchanged has a file that is as it was recognised as a whole.
func TestUnchanged(t *testing.T) {
	text := join(numbered(10_000))
	size := Sizes{Wished: 1024}
	b := must(t, text, nil, size)
	if n := len(b.parts); n < 200 || n > 260 {
		t.Errorf("%d stretches of %d octets", n, len(text))
	}
	if again := must(t, text, b.parts, size); again.parsed != 0 {
		t.Errorf("parsed %d octets of a file that is as it was", again.parsed)
	}
	// One octet at a time, and the data together with the end.
	for _, in := range []io.Reader{iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
		again, err := read(t, text, in, b.parts, size)
		if err != nil || again.parsed != 0 {
			t.Errorf("parsed %d octets, error %v", again.parsed, err)
		}
	}
}

// TestEdits has one edit cost about one stretch.
func TestEdits(t *testing.T) {
	lines := numbered(10_000)
	size := Sizes{Wished: 1024}
	first := must(t, join(lines), nil, size)
	with := func(at int, what ...string) []string { return slices.Concat(lines[:at], what, lines[at:]) }
	for name, c := range map[string]struct {
		lines []string
		most  int // octets parsed
	}{
		"a line changes":     {slices.Concat(lines[:5000], []string{"x"}, lines[5001:]), 1100},
		"the first line":     {with(0, "x"), 100},
		"the last line":      {with(10_000, "x"), 1100},
		"a line is added":    {with(5000, "x"), 1100},
		"a line is removed":  {slices.Concat(lines[:5000], lines[5001:]), 1100},
		"a continued line":   {with(5000, " x"), 1100},
		"two lines change":   {slices.Concat(lines[:100], []string{"x"}, lines[101:9000], []string{"y"}, lines[9001:]), 2200},
		"many are removed":   {slices.Concat(lines[:2000], lines[8000:]), 2200},
		"many are added":     {slices.Concat(lines[:2000], numbered(2040)[2000:], lines[2000:]), 2200},
		"blocks change ends": {slices.Concat(lines[5000:], lines[:5000]), 2200},
		"the file is halved": {lines[:5000], 1100},
		"nothing is left":    {[]string{"x"}, 100},
	} {
		if b := must(t, join(c.lines), first.parts, size); b.parsed > c.most {
			t.Errorf("%s: parsed %d octets, more than %d", name, b.parsed, c.most)
		}
	}
	// A new context has all that depends on it parsed anew, and no more.
	was := must(t, join(slices.Concat(lines[:100], []string{"=a"}, lines[100:5000], []string{"=b"}, lines[5000:])), nil, size)
	now := slices.Concat(lines[:100], []string{"=c"}, lines[100:5000], []string{"=b"}, lines[5000:])
	n := len(join(lines[100:5000]))
	if b := must(t, join(now), was.parts, size); b.parsed < n || b.parsed > n+2200 {
		t.Errorf("a new context: parsed %d octets, want about %d", b.parsed, n)
	}
}

// TestAppended has a file that gets one line after the other.
func TestAppended(t *testing.T) {
	size := Sizes{Wished: 1024}
	var was []part
	text, parsed := "", 0
	for _, l := range numbered(600) {
		text += l + "\n"
		b := must(t, text, was, size)
		was = b.parts
		parsed += b.parsed
	}
	if least := len(text) / len(was); least < 400 {
		t.Errorf("stretches have %d octets", least)
	}
	if parsed > 600*600 {
		t.Errorf("parsed %d octets for 600 lines", parsed)
	}
	// The same, always at the same place within the file.
	lines := numbered(400)
	was = must(t, join(lines), nil, size).parts
	n := len(was)
	for i := range 400 {
		lines = slices.Insert(lines, 200, fmt.Sprintf("new line %d of some length", i))
		was = must(t, join(lines), was, size).parts
	}
	if len(was) > 4*n {
		t.Errorf("%d stretches, and %d of half the file", len(was), n)
	}
	// And removed again.
	for range 400 {
		lines = slices.Delete(lines, 200, 201)
		was = must(t, join(lines), was, size).parts
	}
	if len(was) > n+4 {
		t.Errorf("%d stretches, and %d of the same file at first", len(was), n)
	}
}

// TestRepeated has a file of few lines that are there again and again, whose
// hashes say nothing: the work stays in bounds, and what stands where it stood
// is recognised.
func TestRepeated(t *testing.T) {
	size := Sizes{Wished: 256}
	text := strings.Repeat("a\n", 50_000)
	b := must(t, text, nil, size)
	if again := must(t, text, b.parts, size); again.parsed != 0 {
		t.Errorf("parsed %d octets", again.parsed)
	}
	if again := must(t, "x\n"+text, b.parts, size); again.parsed > 600 {
		t.Errorf("parsed %d octets with a line before", again.parsed)
	}
	must(t, strings.Repeat("a\n", 100)+strings.Repeat("b\na\n", 20_000), b.parts, size)
	mixed := strings.Repeat(strings.Repeat("a\n", 100)+"b\n", 500)
	b = must(t, mixed, nil, size)
	must(t, strings.Repeat(strings.Repeat("a\n", 101)+"c\n", 500), b.parts, size)
}

// TestShapes reads texts of unusual shape, each after each of them.
func TestShapes(t *testing.T) {
	long := strings.Repeat("x", 270_000)
	shapes := []string{
		"", "\n", "\n\n\n", "a", "a\n", "a\nb", "a\nb\n", "a\r\nb\r\n", "a\r\nb", " a\n b\n", "!a\n!b\n!c", "!a\n!b\n!c\n", "\r", "\x00\n\x00",
		long, "a\n" + long + "\nb\n", strings.Repeat("a\n b\n", 1000), long + "\n " + long + "\n" + long,
		strings.Repeat("!a\n", 3), "=a\nx\n=b\nx\n", "=b\nx\n=a\nx\n",
	}
	for _, size := range []Sizes{{}, {Wished: 1}, {Wished: 64}} {
		for _, text := range shapes {
			b := must(t, text, nil, size)
			for _, then := range shapes {
				must(t, then, b.parts, size)
			}
			if again := must(t, text, b.parts, size); again.parsed != 0 {
				t.Errorf("%q in stretches of %d: parsed %d octets again", brief(text), size.Wished, again.parsed)
			}
		}
	}
}

// TestMost bounds a stretch, and with it the buffer.
func TestMost(t *testing.T) {
	size := Sizes{Wished: 64, Most: 100}
	for _, c := range []struct{ text, want string }{
		{strings.Repeat("x", 99) + "\n" + strings.Repeat("y", 100) + "\nz", "line 2: too long to be read as one stretch (100 octets)"},
		{strings.Repeat("x", 99) + "\n" + strings.Repeat("y", 99) + "\nz", ""},
		{"a\nb\n" + strings.Repeat(" x\n", 40), "line 1: too long to be read as one stretch (100 octets)"},
		{"a\n" + strings.Repeat("x", 10_000_000), "line 2: too long to be read as one stretch (100 octets)"},
		{strings.Repeat("x", 60) + "\n" + strings.Repeat("y", 60) + "\n" + strings.Repeat("z", 100), ""},
	} {
		b, err := read(t, c.text, strings.NewReader(c.text), nil, size)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want || (err != nil) != errors.Is(err, ErrLong) {
			t.Errorf("%q: %s, want %s", brief(c.text), got, c.want)
		}
		_, err = read(t, c.text, strings.NewReader(c.text), b.parts, size)
		if (err != nil) != (c.want != "") {
			t.Errorf("%q: then %v", brief(c.text), err)
		}
	}
	r := NewReader(strings.NewReader(strings.Repeat("x", 10_000_000)), nil, &book{}, size)
	if _, err := r.Next(); !errors.Is(err, ErrLong) || len(r.buf) > minBuffer {
		t.Errorf("error %v with a buffer of %d octets", err, len(r.buf))
	}
}

// TestSkip divides as it would without a Skip, for which "!" at the end stands.
func TestSkip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		lines := numbered(rnd.IntN(50))
		for i := range lines {
			lines[i] = lines[i][rnd.IntN(len(lines[i])+1):]
		}
		size := Sizes{Wished: 1 + rnd.IntN(300)}
		with := must(t, join(lines)+"x", nil, size).parts
		without := must(t, join(lines)+"!", nil, size).parts
		for i, p := range with[:len(with)-1] {
			if p.mark != without[i].mark {
				t.Fatalf("stretch %d of %q in %d: %+v, want %+v", i, lines, size.Wished, p.mark, without[i].mark)
			}
		}
	}
}

// TestErrors is the file's own.
func TestErrors(t *testing.T) {
	broken := errors.New("broken")
	text := join(numbered(100))
	b := must(t, text, nil, Sizes{Wished: 64})
	for n := 0; n < len(text); n += 7 {
		in := io.MultiReader(strings.NewReader(text[:n]), iotest.ErrReader(broken))
		if _, err := read(t, text, in, b.parts, Sizes{Wished: 64}); !errors.Is(err, broken) {
			t.Fatalf("after %d octets: %v", n, err)
		}
	}
	r := NewReader(mute{}, nil, &book{}, Sizes{})
	if _, err := r.Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a file that gives nothing: %v", err)
	}
}

type mute struct{}

func (mute) Read([]byte) (int, error) { return 0, nil }

// TestRandomEdits changes a file again and again.
func TestRandomEdits(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		switch rnd.IntN(12) {
		case 0:
			return fmt.Sprintf("=%d", rnd.IntN(2))
		case 1:
			return fmt.Sprintf(" and %d", rnd.IntN(5))
		case 2:
			return []string{"", "!x", "same", "\r"}[rnd.IntN(4)]
		}
		return fmt.Sprintf("line %d", rnd.IntN(100_000))
	}
	for range 30 {
		size := Sizes{Wished: 1 << rnd.IntN(9)}
		lines := make([]string, rnd.IntN(300))
		for i := range lines {
			lines[i] = word()
		}
		var was []part
		for range 40 {
			text := strings.Join(lines, "\n")
			if rnd.IntN(3) > 0 {
				text += "\n"
			}
			was = must(t, text, was, size).parts
			from := rnd.IntN(len(lines) + 1)
			to := from + rnd.IntN(min(len(lines)-from, 8)+1)
			switch rnd.IntN(6) {
			case 0: // moves
				cut := slices.Clone(lines[from:to])
				lines = slices.Delete(lines, from, to)
				lines = slices.Insert(lines, rnd.IntN(len(lines)+1), cut...)
			case 1: // doubles
				lines = slices.Insert(lines, rnd.IntN(len(lines)+1), slices.Clone(lines[from:to])...)
			case 2:
				lines = slices.Delete(lines, from, to)
			case 3:
				if from < to {
					lines[from] = word()
				}
			default:
				lines = slices.Insert(lines, from, word())
			}
		}
	}
}

// FuzzReader reads a text after another.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"", "a", "a\nb\n", "=a\nx\n=b\nx\n", " a\n!b\n\r\n", "aaaa\nbbbb\ncccc\n dddd\n"} {
		for _, then := range []string{"", "a", "b\na\n", "=b\nx\n=a\nx\n", "!b\n!b", "x\naaaa\nbbbb\ncccc\n dddd\n"} {
			f.Add(s, then, uint8(4), uint8(0))
		}
	}
	f.Fuzz(func(t *testing.T, text, then string, wished, most uint8) {
		size := Sizes{Wished: int(wished), Most: int(most)}
		b, err := read(t, text, strings.NewReader(text), nil, size)
		if err != nil && (most == 0 || !errors.Is(err, ErrLong)) {
			t.Fatal(err)
		}
		if err == nil {
			again, err := read(t, text, strings.NewReader(text), b.parts, size)
			if err != nil || again.parsed != 0 {
				t.Fatalf("again: error %v, %d octets parsed", err, again.parsed)
			}
		}
		if _, err = read(t, then, strings.NewReader(then), b.parts, size); err != nil && (most == 0 || !errors.Is(err, ErrLong)) {
			t.Fatal(err)
		}
	})
}

// still is a Divider that lets everything stand.
type still struct{}

func (still) Line([]byte) Cut      { return May }
func (still) Fits(int, []byte) Cut { return May }
func (still) Seen(int)             {}

func marksOf(b *testing.B, text []byte) (marks []Mark) {
	r := NewReader(bytes.NewReader(text), nil, still{}, Sizes{})
	for {
		s, err := r.Next()
		if errors.Is(err, io.EOF) {
			return marks
		}
		if err != nil {
			b.Fatal(err)
		}
		marks = append(marks, s.Mark)
	}
}

func benchmark(b *testing.B, text []byte, before []Mark, want int) {
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(bytes.NewReader(text), before, still{}, Sizes{})
		fresh := 0
		for {
			s, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			if s.Was < 0 {
				fresh += int(s.Mark.Size)
			}
		}
		if fresh > want {
			b.Fatalf("%d octets are new", fresh)
		}
	}
}

// BenchmarkUnchanged reads 30 MB that are as they were.
func BenchmarkUnchanged(b *testing.B) {
	text := []byte(join(numbered(1_150_000)))
	benchmark(b, text, marksOf(b, text), 0)
}

// BenchmarkOneLine reads 30 MB of which one line is new.
func BenchmarkOneLine(b *testing.B) {
	text := []byte(join(numbered(1_150_000)))
	before := marksOf(b, text)
	copy(text[len(text)/2:], "x")
	benchmark(b, text, before, 20<<10)
}

// BenchmarkNew reads 30 MB of new text.
func BenchmarkNew(b *testing.B) {
	text := []byte(join(numbered(1_150_000)))
	benchmark(b, text, nil, len(text))
}
