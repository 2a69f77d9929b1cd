package text

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// TestFilesOnDisk reads real files: paths are relative to the file that names
// them, and the list of files has those that are not there.
func TestFilesOnDisk(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.MkdirAll("zones/sub", 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		"zones/main": "a 1 A 192.0.2.1\n$INCLUDE sub/one\n$INCLUDE sub\n$INCLUDE none\n$INCLUDE sub/one\n$INCLUDE " +
			`"` + filepath.ToSlash(filepath.Join(dir, "zones", "abs")) + "\"\n",
		"zones/sub/one": "b 1 A 192.0.2.1\n$INCLUDE ../two\n",
		"zones/two":     "c 1 A 192.0.2.1\n",
		"zones/abs":     "d 1 A 192.0.2.1",
	} {
		if err := os.WriteFile(filepath.FromSlash(path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	main := filepath.Join("zones", "main")
	var got []Pos
	read, errs := ReadFile(main, Options{Origin: exampleOrg}, func(r *Record) { got = append(got, r.Pos) })

	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, path := range []string{"main", "sub/one", "two", "sub", "none", "abs"} {
		want = append(want, filepath.Join(here, "zones", filepath.FromSlash(path)))
	}
	want[5] = filepath.Join(dir, "zones", "abs")
	if !slices.Equal(read, want) {
		t.Errorf("files\n%s\nwant\n%s", strings.Join(read, "\n"), strings.Join(want, "\n"))
	}
	if want := []Pos{{0, 1}, {1, 1}, {2, 1}, {1, 1}, {2, 1}, {5, 1}}; !slices.Equal(got, want) {
		t.Errorf("places %v, want %v", got, want)
	}
	if len(errs) != 2 || errs[0].Error() != main+`:3: $INCLUDE: "sub": not a regular file` ||
		!strings.HasPrefix(errs[1].Error(), main+`:4: $INCLUDE: "none": `) || strings.Contains(errs[1].Msg, "open") {
		t.Errorf("errors\n%v", errs)
	}

	for _, path := range []string{"none", "zones"} {
		read, errs = ReadFile(path, Options{Origin: exampleOrg}, func(*Record) { t.Error("emitted") })
		if len(read) != 1 || len(errs) != 1 || errs[0].File != path || errs[0].Line != 0 {
			t.Errorf("%s: files %q, errors %v", path, read, errs)
		}
	}
}

func TestReadRecord(t *testing.T) {
	o := Options{Origin: exampleOrg, TTL: 60, Open: func(path string) (io.ReadCloser, int64, error) {
		t.Errorf("open %s", path)
		return nil, 0, fs.ErrNotExist
	}}
	for _, c := range []struct{ text, want string }{
		{"@ A 192.0.2.1", "example.org. 60 A"},
		{"www 5 IN A 192.0.2.1 ; comment\r\n", "www.example.org. 5 A"},
		{"other.example. MX ( 10\n mail )", "other.example. 60 MX"},
		{"@ SOA a b 1 2 3 4 5", "example.org. 5 SOA"},
		{"", "no record"},
		{"; nothing", "no record"},
		{" A 192.0.2.1", "begins with white space: a record on its own states its owner, @ for the zone"},
		{"$TTL 5", "$TTL: a record on its own takes no directives"},
		{"$INCLUDE x", "$INCLUDE: a record on its own takes no directives"},
		{"$GENERATE 1-2 a A 192.0.2.$", "$GENERATE: a record on its own takes no directives"},
		{"a A 192.0.2.1\nb A 192.0.2.1", "more than one record"},
		{"a A 192.0.2.1\n)", "more than one record"},
		{"a A x", `A: "x" is not an IPv4 address`},
		{"a..b A x", `owner: name "a..b": an empty label`},
		{"a TXT \"x", `syntax: " is not closed on its line`},
		{"a A ( 192.0.2.1", "syntax: ( is not closed"},
		{strings.Repeat("x", 100) + "\\", `syntax: \ at the end of the line`},
		{"a " + strings.Repeat("x", 100) + " A 192.0.2.1", `"` + strings.Repeat("x", 80) + `..." is no TTL, class or type`},
	} {
		got := ""
		err := ReadRecord(c.text, o, func(r *Record) {
			_, data, _ := strings.Cut(unpack(t, r).String(), "\tIN\t")
			typ, _, _ := strings.Cut(data, "\t")
			got += strings.Join([]string{r.Owner.String(), strings.Fields(unpack(t, r).String())[1], typ}, " ")
		})
		if err != nil {
			got += err.Error()
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.text, got, c.want)
		}
	}
}

// TestOriginIsTheRoot is for the root zone, stated or not.
func TestOriginIsTheRoot(t *testing.T) {
	for _, origin := range []dnswire.Name{"", dnswire.Root} {
		err := ReadRecord("a SRV 1 2 3 b", Options{Origin: origin}, func(r *Record) {
			if r.Owner != "\x01a\x00" || string(r.Data[6:]) != "\x01b\x00" {
				t.Errorf("origin %q: %q %q", origin, r.Owner, r.Data)
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestBounds is what ends the work that text asks for.
func TestBounds(t *testing.T) {
	big := strings.Repeat("x ", maxEntry)
	for _, c := range []struct {
		name         string
		in           files
		steps, reads int // done before
		want         string
	}{
		{"steps", files{"z": "$GENERATE 1-9 a$ 1 A 192.0.2.1\n$GENERATE 1-9 a$ 1 A 192.0.2.1\n"}, maxTotal - 17, 0, "z:2: $GENERATE: more than 16777216 steps in all"},
		{"files", files{"z": "$INCLUDE y\n$INCLUDE y\n", "y": ""}, 0, maxReads - 2, `z:2: $INCLUDE: "y": more than 10000 files are included`},
		{"a line", files{"z": "a 1 TXT " + big + "\na 1 A x"}, 0, 0, "z:1: syntax: the line is longer than 1 MiB\nz:2: A: \"x\" is not an IPv4 address"},
		{"an entry", files{"z": "a 1 TXT (\n" + big + "\nb 1 A x\n)"}, 0, 0, "z:1: syntax: ( is not closed\nz:2: syntax: the line is longer than 1 MiB\nz:3: A: \"x\" is not an IPv4 address\nz:4: syntax: ) without a ( before it"},
	} {
		r := newReader(Options{Origin: exampleOrg, Open: c.in.open}, func(*Record) {})
		r.steps -= c.steps
		r.reads += c.reads
		r.readAll("z")
		if got := r.errors().Error(); got != c.want {
			t.Errorf("%s: got\n%.500s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// entries are the first entries of s in a form to compare.
func (s *scanner) entries() (all []string) {
	for e := s.next(); e != nil && len(all) < 100; e = s.next() {
		all = append(all, fmt.Sprintf("%d %v %d %+v", e.line, e.blank, len(e.tokens), e.tokens[:min(len(e.tokens), 100)]))
		if e.err != nil {
			all = append(all, fmt.Sprintf("%d %v", e.err.line, e.err.err))
		}
	}
	return all
}

// FuzzStream scans a text as a file of which no more is in memory than n octets
// and the entry at hand, and finds what there is in the whole text.
func FuzzStream(f *testing.F) {
	for _, s := range seeds {
		for _, n := range []uint8{0, 1, 7, 100} {
			f.Add(s, n)
			f.Add(s+s+s, n)
		}
	}
	f.Fuzz(func(t *testing.T, text string, n uint8) {
		s := &scanner{line: 1, in: strings.NewReader(text), buf: make([]byte, 1+int(n))}
		got, want := s.entries(), (&scanner{text: text, line: 1}).entries()
		if !slices.Equal(got, want) {
			t.Errorf("%q\ngot  %q\nwant %q", text, got, want)
		}
	})
}

// TestStreamBounds scans entries that are too long, and what is after them, in
// windows smaller than they are.
func TestStreamBounds(t *testing.T) {
	if raced {
		t.Skip("one goroutine reads megabytes")
	}
	big := strings.Repeat("x ", maxEntry)
	for i, text := range []string{
		big + "\na b\n", "a (\n" + big + "\nb c\n(", strings.Repeat("a (\nb\n", maxEntry/4), "a\n" + strings.Repeat("\n", 3*window) + "b", big + big,
		strings.Repeat("0123456789abcde\n", window/4),
	} {
		got, want := newStream(strings.NewReader(text), int64(len(text))).entries(), newScanner(text).entries()
		if !slices.Equal(got, want) {
			t.Errorf("text %d: %d entries, want %d", i, len(got), len(want))
		}
	}
	if got := newStream(strings.NewReader(bom+"a"), 4).entries(); len(got) != 1 || !strings.Contains(got[0], "text:a ") {
		t.Errorf("with a byte order mark: %q", got)
	}
}

// TestReadError has a file that breaks off.
func TestReadError(t *testing.T) {
	broken := func(path string) (io.ReadCloser, int64, error) {
		text := strings.NewReader("a 1 A 192.0.2.1\n" + map[string]string{"z": "$INCLUDE y\nb 1 A x\n", "y": "c 1 A 19"}[path])
		if path == "z" {
			return io.NopCloser(text), text.Size(), nil
		}
		why := &fs.PathError{Op: "read", Path: path, Err: errors.New("input/output error")}
		return io.NopCloser(io.MultiReader(text, iotest.ErrReader(why))), 100, nil
	}
	_, errs := ReadFile("z", Options{Origin: exampleOrg, Open: broken}, func(*Record) {})
	if want := "z:3: A: \"x\" is not an IPv4 address\ny: input/output error"; errs.Error() != want {
		t.Errorf("got\n%s\nwant\n%s", errs, want)
	}
}
