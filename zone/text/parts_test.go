package text

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// reading is what a client keeps of a file that it read by parts.
type reading struct {
	parts   []Part
	records [][]Record // of each part, with lines from its first, from 0
	fresh   int        // records that were read anew
}

// then reads the file "z" after was, and holds what comes out against ReadFile.
// It is the reading, or was if there is none.
func (was *reading) then(t testing.TB, in files, size int64) (now *reading, errs Errors, ok bool) {
	t.Helper()
	o := Options{Origin: exampleOrg, TTL: 60, Open: in.open}
	var want []Record
	keep := func(r *Record) Record {
		c := *r
		c.Data = bytes.Clone(r.Data)
		return c
	}
	_, wantErrs := ReadFile("z", o, func(r *Record) { want = append(want, keep(r)) })

	now = &reading{}
	var got []Record
	line, used := 0, map[int]bool{}
	now.parts, errs, ok = readParts("z", o, was.parts, Handler{
		Part: func(i, first int) {
			line = first
			now.records = append(now.records, nil)
			if i < 0 {
				return
			}
			if used[i] {
				t.Errorf("part %d is there twice", i)
			}
			used[i] = true
			now.records[len(now.records)-1] = was.records[i]
			for _, r := range was.records[i] {
				r.Pos.Line += int32(first)
				got = append(got, r)
			}
		},
		Record: func(r *Record) {
			now.fresh++
			c := keep(r)
			got = append(got, c)
			c.Pos.Line -= int32(line)
			last := &now.records[len(now.records)-1]
			*last = append(*last, c)
		},
	}, size)
	if ok && errs.Error() != wantErrs.Error() || len(errs) > 0 && now.parts != nil {
		t.Fatalf("%q\nerrors\n%s\nwant\n%s", in["z"], errs, wantErrs)
	}
	if !ok || errs != nil {
		return was, errs, ok
	}
	if len(got) != len(want) {
		t.Fatalf("%q\n%d records, want %d", in["z"], len(got), len(want))
	}
	for i, r := range want {
		if g := got[i]; g.Owner != r.Owner || g.Type != r.Type || g.TTL != r.TTL || g.Pos != r.Pos || !bytes.Equal(g.Data, r.Data) {
			t.Fatalf("%q\ngot  %+v\nwant %+v", in["z"], g, r)
		}
	}
	now.check(t, in["z"])
	return now, nil, true
}

// check holds the parts against the text.
func (now *reading) check(t testing.TB, text string) {
	t.Helper()
	if len(now.parts) != len(now.records) {
		t.Fatalf("%d parts, and %d were begun", len(now.parts), len(now.records))
	}
	size := 0
	for i, p := range now.parts {
		if p.Mark.Size == 0 || p.Mark.Lines == 0 {
			t.Errorf("empty part %+v", p)
		}
		if i > 0 {
			if p.Before != now.parts[i-1].After {
				t.Errorf("part %d begins with %+v, after %+v", i, p.Before, now.parts[i-1].After)
			}
			begin := text[size:]
			if strings.ContainsAny(begin[:1], " \t\r\n;()\"") {
				t.Errorf("%q: a part begins at %q", text, begin)
			}
			lines := strings.Split(text[:size], "\n")
			before := lines[len(lines)-2]
			owner := func(line string) string { return strings.ToLower(strings.SplitN(line, " ", 2)[0]) }
			if o := owner(begin); strings.HasPrefix(o, "h") && o == owner(before) {
				t.Errorf("%q: a part begins at %q", text, begin)
			}
		}
		size += int(p.Mark.Size)
	}
	if size != len(text) {
		t.Errorf("the parts have %d octets of %d", size, len(text))
	}
}

// entriesOf are n entries of a zone, each of some lines, that are right one
// after the other in any order.
func entriesOf(rnd *rand.Rand, n int) []string {
	all := make([]string, n)
	for i := range all {
		h := fmt.Sprintf("h%d", rnd.IntN(40))
		a := rnd.IntN(256)
		all[i] = [...]string{
			fmt.Sprintf("%s A 192.0.2.%d", h, a),
			fmt.Sprintf("%s A 192.0.2.%d\n A 198.51.100.%d\n\n TXT x", h, a, a),
			fmt.Sprintf("%s 5 A 192.0.2.%d", strings.ToUpper(h), a),
			fmt.Sprintf("%s A ( ; comment with )\n 192.0.2.%d\n)", h, a),
			fmt.Sprintf("%s TXT \"( ; %d\" a\\( \\\"\\( b;(", h, a),
			fmt.Sprintf("%s HTTPS 1 x\\032y key667=\"(\" ; (", h),
			"; " + h,
			"",
			fmt.Sprintf("$ORIGIN sub%d.example.org.", a%3),
			fmt.Sprintf("$TTL %d\n A 192.0.2.1", a%3),
			fmt.Sprintf("$GENERATE 1-%d g$ A 192.0.2.$", 1+a%4),
			fmt.Sprintf("%s SOA ns host 1 2 3 4 %d", h, a),
			"$ttl 7\r",
			fmt.Sprintf("%s CNAME other\r", h),
			"\ufeffx A 192.0.2.1",
		}[rnd.IntN(15)]
	}
	return all
}

// TestPartsOfRandomEdits changes a file again and again.
func TestPartsOfRandomEdits(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	good, fresh, all := 0, 0, 0
	for range rounds(40) {
		size := int64(1) << rnd.IntN(10)
		entries := entriesOf(rnd, rnd.IntN(200))
		was := &reading{}
		for i := range 30 {
			text := "@ SOA ns host 1 2 3 4 5\n" + strings.Join(entries, "\n")
			if rnd.IntN(3) > 0 {
				text += "\n"
			}
			if rnd.IntN(20) == 0 {
				text += "\nh A x\n"
			}
			if rnd.IntN(20) == 0 {
				text += "\n$INCLUDE y\n"
			}
			now, errs, ok := was.then(t, files{"z": text, "y": "x A 192.0.2.1\n"}, size)
			if includes := strings.Contains(text, "INCLUDE"); ok == includes && errs == nil {
				t.Fatalf("ok is %v of %q", ok, text)
			}
			if now != was {
				good++
				if i > 0 {
					fresh += now.fresh
					for _, r := range now.records {
						all += len(r)
					}
				}
			}
			was = now
			from := rnd.IntN(len(entries) + 1)
			to := from + rnd.IntN(min(len(entries)-from, 4)+1)
			switch rnd.IntN(4) {
			case 0: // moves
				cut := slices.Clone(entries[from:to])
				entries = slices.Delete(entries, from, to)
				entries = slices.Insert(entries, rnd.IntN(len(entries)+1), cut...)
			case 1:
				entries = slices.Delete(entries, from, to)
			default:
				entries = slices.Insert(entries, from, entriesOf(rnd, rnd.IntN(3))...)
			}
		}
	}
	if !raced && (good < 500 || fresh*2 > all) {
		t.Errorf("%d readings were good, and %d of %d records read anew", good, fresh, all)
	}
}

// large is a zone of n owners with two records each.
func large(n int) []string {
	lines := []string{"$TTL 300", "@ IN SOA ns1 hostmaster ( 1 7200", " 3600 1209600 300 )", "@ IN NS ns1"}
	for i := range n {
		lines = append(lines, fmt.Sprintf("host%d IN A 192.0.2.%d", i, i%256), fmt.Sprintf("host%d IN AAAA 2001:db8::%x", i, i))
	}
	return lines
}

// TestPartsOfOneEdit has one change cost about one part.
func TestPartsOfOneEdit(t *testing.T) {
	lines := large(5000)
	text := func(lines []string) files { return files{"z": strings.Join(lines, "\n") + "\n"} }
	was, _, _ := new(reading).then(t, text(lines), 1024)
	if n := len(was.parts); n < 200 || n > 400 {
		t.Fatalf("%d parts of 10,000 records", n)
	}
	with := func(at int, what ...string) []string { return slices.Concat(lines[:at], what, lines[at:]) }
	for name, c := range map[string]struct {
		lines []string
		most  int // records that are read anew
	}{
		"nothing":            {lines, 0},
		"a data":             {slices.Concat(lines[:4004], []string{"host2000 IN A 198.51.100.1"}, lines[4005:]), 80},
		"a new owner":        {with(4004, "new A 192.0.2.1"), 80},
		"an owner's second":  {with(4005, " TXT x"), 80},
		"one in parentheses": {with(4004, "new TXT ( a", "b", "c )"), 80},
		"one is removed":     {slices.Delete(slices.Clone(lines), 4004, 4006), 80},
		"a serial":           {slices.Concat(lines[:1], []string{"@ IN SOA ns1 hostmaster ( 2 7200"}, lines[2:]), 80},
		"a last one":         {with(len(lines), "new A 192.0.2.1"), 80},
		"another $TTL":       {slices.Concat([]string{"$TTL 301"}, lines[1:]), 10_002},
		"another $ORIGIN":    {with(4004, "$ORIGIN x"), 8100},
		"$TTL from there on": {with(4004, "$TTL 1"), 8100},
	} {
		now, errs, ok := was.then(t, text(c.lines), 1024)
		if now.fresh > c.most || !ok || errs != nil {
			t.Errorf("%s: %d records were read anew, more than %d; ok %v, errors %v", name, now.fresh, c.most, ok, errs)
		}
	}
	// Lines move, and places with them: then checks them.
	if now, _, _ := was.then(t, text(with(0, "; a", "; b")), 1024); now.fresh > 80 {
		t.Errorf("%d records were read anew for a comment", now.fresh)
	}
	// Other options mean other records.
	var fresh int
	h := Handler{Part: func(int, int) {}, Record: func(*Record) { fresh++ }}
	for _, o := range []Options{{Origin: exampleOrg, TTL: 61}, {Origin: "\x03com\x00", TTL: 60}} {
		fresh = 0
		o.Open = text(lines).open
		if _, errs, ok := readParts("z", o, was.parts, h, 1024); fresh != 10_002 || !ok || errs != nil {
			t.Errorf("%d records were read anew with other options; ok %v, errors %v", fresh, ok, errs)
		}
	}
}

// TestPartsWhole is of files that cannot be divided, and of those with errors.
func TestPartsWhole(t *testing.T) {
	if raced {
		t.Skip("one goroutine reads megabytes")
	}
	repeat := strings.Repeat
	for _, c := range []struct {
		name, text string
		ok         bool
		errs       int
	}{
		{"empty", "", true, 0},
		{"a comment", "; nothing", true, 0},
		{"includes", "a 1 A 192.0.2.1\n$Include y\n", false, 0},
		{"includes and errs", "a 1 A x\n$INCLUDE y\n", false, 0},
		{"one owner", repeat("a 1 A 192.0.2.1\n", 300_000), false, 0},
		{"comments", "a 1 A 192.0.2.1\n" + repeat("; comment\n", 600_000) + "b 1 A 192.0.2.1\n", false, 0},
		{"no owner", " 1 A 192.0.2.1\n", true, 1},
		{"an error", repeat("a 1 A 192.0.2.1\nb 1 A 192.0.2.1\n", 10) + "a 1 A x\n" + repeat("b 1 A 192.0.2.1\nc 1 A 192.0.2.1\n", 10) + "a 1 A x\n", true, 2},
		{"many errors", repeat("a 1 A x\nb 1 A x\n", 200), true, 101},
		{"a parenthesis", repeat("a 1 A 192.0.2.1\nb 1 A ( 192.0.2.1\n", 10), true, 10},
		{"a large parenthesis", "b 1 A ( 192.0.2.1\n" + repeat("a 1 A 192.0.2.1\n", 300_000), true, 1},
		{"a quotation mark", repeat("a 1 A 192.0.2.1\nb 1 TXT \"(\n", 10), true, 10},
		{"a long line", "a 1 TXT " + repeat("x ", maxEntry) + "\nb 1 A 192.0.2.1\n", true, 1},
		{"steps", repeat("$GENERATE 1-65536 a$ 1 A x\n", 2), true, 2},
	} {
		_, errs, ok := new(reading).then(t, files{"z": c.text, "y": ""}, 64)
		if ok != c.ok || len(errs) != c.errs {
			t.Errorf("%s: ok %v, errors\n%v", c.name, ok, errs)
		}
	}
	_, errs, ok := readParts("none", Options{Open: files{}.open}, nil, Handler{}, 64)
	if !ok || len(errs) != 1 || errs[0].Line != 0 {
		t.Errorf("a file that is not there: ok %v, errors %v", ok, errs)
	}
}

// TestPartsByteOrderMark has a mark at the start of a file, where it is left
// out, and elsewhere, where it is of an owner.
func TestPartsByteOrderMark(t *testing.T) {
	const (
		a = bom + "a 1 A 192.0.2.1\n"
		b = "$GENERATE 1-1 b A 192.0.2.1\n" // is no owner of what follows
	)
	for _, texts := range [][2]string{{a + b, b + a}, {b + a, a + b}, {a, b + a}, {b + a, a}} {
		was, _, _ := new(reading).then(t, files{"z": texts[0]}, 8)
		if now, _, ok := was.then(t, files{"z": texts[1]}, 8); !ok || now == was {
			t.Errorf("%q after %q is not read", texts[1], texts[0])
		}
	}
}

// TestPartsSteps counts what parts that are as they were have generated.
func TestPartsSteps(t *testing.T) {
	h := Handler{Part: func(int, int) {}, Record: func(*Record) {}}
	read := func(steps int, text string, before []Part) ([]Part, error) {
		d := &divider{r: newReader(Options{Origin: exampleOrg, Open: files{"z": text}.open}, h.Record), f: &file{name: "z", origin: "\x00"}, before: before}
		d.r.steps = steps
		return d.parts(h, 16)
	}
	text := "$GENERATE 1-60 a$ 1 A 192.0.2.1\n$GENERATE 1-60 b$ 1 A 192.0.2.1\n"
	parts, err := read(120, text, nil)
	if err != nil || len(parts) != 2 {
		t.Fatalf("%d parts, error %v", len(parts), err)
	}
	for _, before := range [][]Part{nil, parts} {
		if _, err := read(119, text, before); err == nil {
			t.Errorf("more steps than there may be, after %d parts", len(before))
		}
		if again, err := read(120, text, before); err != nil || !slices.Equal(again, parts) {
			t.Errorf("error %v after %d parts", err, len(before))
		}
	}
}

// FuzzParts reads a text after another.
func FuzzParts(f *testing.F) {
	for i, s := range seeds {
		f.Add(s, seeds[(i+1)%len(seeds)], uint8(10))
		f.Add(s+s, "x A 192.0.2.1\n"+s+s, uint8(10))
		f.Add(s, s+" A 192.0.2.1\n", uint8(100))
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		entries := entriesOf(rnd, 30)
		f.Add(strings.Join(entries, "\n"), strings.Join(slices.Delete(entries, 10, 12), "\n"), uint8(50))
	}
	f.Fuzz(func(t *testing.T, text, then string, size uint8) {
		if strings.Count(strings.ToUpper(text+then), "$GENERATE") > 3 {
			return // is slow, and steps are bounded by maxSteps
		}
		was, _, ok := new(reading).then(t, files{"z": text, "y": ""}, int64(size))
		again, _, _ := was.then(t, files{"z": text, "y": ""}, int64(size))
		if ok && again != was && again.fresh > 0 {
			t.Errorf("%d records of a text that is as it was were read anew", again.fresh)
		}
		was.then(t, files{"z": then, "y": ""}, int64(size))
	})
}

// BenchmarkReadParts reads the zone of BenchmarkReadFile by parts, all of them
// new.
func BenchmarkReadParts(b *testing.B) {
	text := benchZone(100_000)
	path := filepath.Join(b.TempDir(), "zone")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		benchParts(b, path, Options{Origin: exampleOrg, TTL: 60}, nil, 100_000)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/record")
}

// BenchmarkReadUnchanged reads a million records that are as they were.
func BenchmarkReadUnchanged(b *testing.B) { benchAgain(b, func([]byte) {}, 0) }

// BenchmarkReadOneChange reads a million records of which one changed.
func BenchmarkReadOneChange(b *testing.B) {
	benchAgain(b, func(text []byte) { text[bytes.IndexByte(text[len(text)/2:], '\n')+len(text)/2+1] = 'x' }, 1000)
}

func benchAgain(b *testing.B, change func([]byte), most int) {
	text := benchZone(1_000_000)
	path := filepath.Join(b.TempDir(), "zone")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		b.Fatal(err)
	}
	o := Options{Origin: exampleOrg, TTL: 60}
	before := benchParts(b, path, o, nil, len(text))
	change(text)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		benchParts(b, path, o, before, most)
	}
}

func benchParts(b *testing.B, path string, o Options, before []Part, most int) []Part {
	fresh := 0
	parts, errs, ok := ReadParts(path, o, before, Handler{Part: func(int, int) {}, Record: func(*Record) { fresh++ }})
	if errs != nil || !ok || fresh > most+2 {
		b.Fatalf("%d records, errors %v", fresh, errs)
	}
	return parts
}
