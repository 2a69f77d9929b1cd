package spec

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var whole = readSizes{least: -1}

// stated is all that a Spec has of what is read in runs.
func statedOutline(s *Spec) string {
	var b strings.Builder
	b.WriteString(outline(s))
	for _, z := range s.Zones {
		for svc := range z.Services.All() {
			fmt.Fprintf(&b, "%s %d:%d:%d %s\n", svc.Label, svc.File, svc.Line, svc.Col, svc.Policy.Key)
		}
	}
	return b.String()
}

// amongNeighbours is whether all errors are of services that are wrong beside
// others, which the spec does not look for in runs.
func amongNeighbours(err error) bool {
	var all Errors
	return errors.As(err, &all) && !slices.ContainsFunc(all, func(e Error) bool {
		return !strings.Contains(e.Path, ".services") || !strings.HasPrefix(e.Msg, "stated twice") && !strings.HasPrefix(e.Msg, "the nameserver at") &&
			!strings.HasPrefix(e.Msg, "belongs to the zone") && !strings.HasPrefix(e.Msg, "nobody asks for it here") &&
			!strings.HasPrefix(e.Msg, "it has") && !strings.HasPrefix(e.Msg, "the zone file is signed")
	})
}

// compareReadings loads a file in runs and whole. It returns the Spec read in
// runs, if there is one.
func compareReadings(t *testing.T, file string, kept *Kept, size readSizes) *Spec {
	t.Helper()
	want, wantWatch, wantErr := load(file, Options{Env: testEnv}, whole)
	got, watch, err := load(file, Options{Env: testEnv, Kept: kept}, size)
	switch {
	case wantErr != nil && err == nil && amongNeighbours(wantErr):
		return got
	case (err == nil) != (wantErr == nil), err != nil && err.Error() != wantErr.Error():
		t.Fatalf("in runs: %v\nwhole: %v", err, wantErr)
	case !slices.Equal(watch, wantWatch):
		t.Fatalf("in runs %q is to be watched, whole %q", watch, wantWatch)
	case err != nil:
		return nil
	}
	for _, s := range []*Spec{got, want} { // what only nodes are looked at for
		s.Warnings = slices.DeleteFunc(s.Warnings, func(e Error) bool {
			return strings.Contains(e.Msg, "no longer answer for this name") || strings.Contains(e.Msg, "lets resolvers remember")
		})
	}
	if g, w := statedOutline(got), statedOutline(want); g != w {
		t.Fatalf("in runs:\n%s\nwhole:\n%s", g, w)
	}
	return got
}

// randomService is a service that is plain, or strange, or rarely wrong.
func randomService(r *rand.Rand, i int) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	policy := pick("pools: [eu]", "pools: [eu, us], steer: weighted", "pools: [us, eu], ttl: 5", "pools: [eu], https: {alpn: [h3, h2]}",
		`"pools": [ "eu" ], answers: 1`, "pools: [eu], steer: [weighted, limit: 2]", "pools: [ext]", "pools: [spare]", "pools: [us], all_down: spare",
		"pools: [eu, us], slow_start: 60s", "pools: [eu, us], damping: {hold: 5s}")
	if r.IntN(6) == 0 {
		policy = pick("pools: [eu], txt: [a]", "pools: [ports], srv: true", "pools: [ports], 'srv': {port: 5}", "pools: ['${POOL:-eu}']", "pools: [eu], ttl: 0")
	}
	if r.IntN(300) == 0 {
		policy = pick("pools: [eu], transition_ttl: 5", "pools: [us], failback: manual", "pools: [none]", "pool: [eu]", "pools: []", "", "pools: [eu", "pools: [eu]}, x: {")
	}
	name := pick("n%d", "a.n%d", "N%d", "_x%d", "n%d.b.c", "0%d")
	if r.IntN(12) == 0 {
		name = pick(`"n%d"`, "'n%d'", `"*.n%d"`)
	}
	if r.IntN(300) == 0 {
		name = pick("n%d.", "n..%d", "n%d/", ".n%d", "? n%d", "-n%d", "- n%d", "*n%d", "&a n%d", "n%d "+strings.Repeat("x", 70))
	}
	name = fmt.Sprintf(name, i)
	text := "    " + name + ":" + pick(" ", " ", " ", "   ") + "{" + policy + "}" + pick("", "", "", " ", " # why", "  # {}")
	if r.IntN(4) == 0 {
		text = "    " + name + ":" + pick("", " ", " # why")
		for _, part := range strings.SplitAfter(strings.ReplaceAll(policy, "], ", "]\x00"), "\x00") {
			text += "\n" + pick("", "", "\n", "# what\n", "        # what\n") + "      " + strings.TrimRight(part, ", \x00")
		}
	}
	if r.IntN(300) == 0 {
		text = pick("    n%d:", "    n%d: {pools: [eu]}\n      ttl: 5", "    n%d: {pools: [eu],\n      ttl: 5}", "     n%d: {pools: [eu]}", "   n%d: {pools: [eu]}",
			"    n%d: &a {pools: [eu]}", "    n%d: |\n      x", "    n%d: {pools: [eu]}#", "\tn%d: {pools: [eu]}", "    n%d:\n    - x", "    n%d: {pools: [eu]}\r")
		text = strings.ReplaceAll(text, "n%d", fmt.Sprint("n", i))
	}
	return text + "\n" + pick("", "", "", "", "\n", "# é\n", "   # a comment\n", "  \n")
}

// mangle changes some lines, so that the text is often no longer what it was
// about, and sometimes no YAML.
func mangle(r *rand.Rand, text []byte) []byte {
	lines := slices.Collect(bytes.Lines(text))
	for range 1 + r.IntN(2) {
		i, k := r.IntN(len(lines)), r.IntN(len(lines))
		switch r.IntN(7) {
		case 0:
			lines[i] = append([]byte(strings.Repeat(" ", 1+r.IntN(3))), lines[i]...)
		case 1:
			lines[i] = bytes.TrimPrefix(lines[i], []byte("  "))
		case 2:
			lines = slices.Delete(lines, i, i+1)
		case 3:
			lines = slices.Insert(lines, i, lines[k])
		case 4:
			lines[i], lines[k] = lines[k], lines[i]
		case 5:
			lines[i] = bytes.TrimSuffix(lines[i], []byte("\n"))
		default:
			strange := []string{"- x", "x: {", "}", "services:", "|", "x: |", "x: >-", "'", `x: "`, "? x", "...", "---", "x: &a", "y: *a", "<<: {pools: [eu]}", "x: [", "]", "\t", "#", "x:"}
			line := strings.Repeat(" ", r.IntN(10)) + strange[r.IntN(len(strange))] + "\n"
			lines = slices.Insert(lines, i, []byte(line))
		}
	}
	return bytes.Join(lines, nil)
}

const runPools = `pools:
  eu: {endpoints: [192.0.2.1, 192.0.2.2]}
  us: {endpoints: [192.0.2.3]}
  spare: {endpoints: [192.0.2.4]}
  idle: {endpoints: [192.0.2.5]}
  ports: {endpoints: [{address: 192.0.2.6, port: 5}]}
  ext: {endpoints: [n7.x.test]}
zones:
`

// assemble is a file of two zones.
func assemble(a, b []string, more string) []byte {
	var out bytes.Buffer
	out.WriteString(runPools)
	for i, services := range [][]string{a, b} {
		fmt.Fprintf(&out, "  %s.test:\n    services: # all\n", "xy"[i:i+1])
		for line := range strings.Lines(strings.Join(services, "")) {
			if strings.HasPrefix(line, " ") {
				line = "  " + line
			}
			out.WriteString(line)
		}
		out.WriteString("    nameservers: {ns1: 192.0.2.53}\n")
	}
	out.WriteString(more)
	return out.Bytes()
}

// TestRuns reads random files in runs and whole, and again after random changes.
func TestRuns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yaml")
	loaded, inRuns := 0, 0
	for seed := range rounds(uint64(40)) {
		r := rand.New(rand.NewPCG(seed, 1))
		kept := &Kept{}
		next := 0
		services := func(n int) (out []string) {
			for range n {
				out = append(out, randomService(r, next))
				next++
			}
			return out
		}
		a, b, more := services(40), services(20), ""
		size := readSizes{run: 1 + r.IntN(4), stretch: 50 + r.IntN(400)}
		for range 6 {
			text := assemble(a, b, more)
			if r.IntN(3) == 0 {
				text = mangle(r, text)
			}
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			if s := compareReadings(t, file, kept, size); s != nil {
				loaded++
				if len(kept.texts) > 0 {
					inRuns++
				}
			}
			if t.Failed() {
				t.Fatalf("seed %d:\n%s", seed, text)
			}
			switch i := r.IntN(len(a)); r.IntN(5) {
			case 0:
				a[i] = services(1)[0]
			case 1:
				a = slices.Insert(a, i, services(1+r.IntN(5))...)
			case 2:
				a = slices.Delete(a, i, min(len(a), i+1+r.IntN(4)))
				a = append(a, services(1)...)
			case 3:
				a, b = b, a
			default:
				more = "log: {level: warn}\n"
			}
		}
	}
	if !raced && (loaded < 80 || inRuns < 60) {
		t.Errorf("%d of the files were sound, %d were read in runs", loaded, inRuns)
	}
}

// TestRunsAreKept changes a file of thousands of services: what its text did not
// touch is the same block.
func TestRunsAreKept(t *testing.T) {
	if raced {
		t.Skip("one goroutine reads ten thousand services again and again")
	}
	dir := t.TempDir()
	file, other := filepath.Join(dir, "x.yaml"), filepath.Join(dir, "y.yaml")
	write := func(file string, text []byte) {
		t.Helper()
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const n = 10_000
	first := million(n, oneLine)
	kept := &Kept{}
	var last *Spec
	step := func(what string, text []byte, services, fresh int) {
		t.Helper()
		write(file, text)
		s := compareReadings(t, file, kept, sizes)
		if s == nil || s.Zones[0].Services.Len() != services {
			t.Fatalf("%s: %v", what, s)
		}
		had := map[*Block]bool{}
		keys := map[string]bool{}
		if last != nil {
			for _, st := range last.Zones[0].Services {
				had[st.Block] = true
				keys[st.Policies[0].Key] = true
			}
		}
		got := 0
		for _, st := range s.Zones[0].Services {
			if !had[st.Block] {
				got++
			}
			if fresh == 0 && !keys[st.Policies[0].Key] {
				t.Fatalf("%s: the policy %s is new", what, st.Policies[0].Key)
			}
		}
		if got > fresh || fresh > 0 && got == 0 {
			t.Errorf("%s: %d of %d blocks are new", what, got, len(s.Zones[0].Services))
		}
		last = s
	}
	replace := func(old, new string) []byte { return bytes.Replace(first, []byte(old), []byte(new), 1) }
	const line = "      n0005000: {pools: [eu, us], steer: weighted}\n"
	step("first", first, n, n)
	step("nothing", first, n, 0)
	step("an endpoint", replace("192.0.2.11", "192.0.2.12"), n, 0)
	step("lines before", append([]byte("# a comment\nlog: {level: warn}\n"), first...), n, 0)
	step("a name", replace("n0005000", "m0005000"), n, 2)
	step("back", first, n, 2)
	step("one less", replace(line, ""), n-1, 2)
	step("back", first, n, 2)
	step("one more", replace(line, line+"      zz: {pools: [us]}\n"), n+1, 2)
	step("one more", replace(line, line+"      z: {pools: [us]}\n      y: {pools: [eu]}\n"), n+2, 2)
	step("back", first, n, 2)

	write(file, replace("steer: weighted", "steer: weigthed"))
	if compareReadings(t, file, kept, sizes) != nil {
		t.Fatal("accepted")
	}
	step("after a mistake", first, n, 0)

	write(other, append([]byte("pools: {a: {endpoints: [192.0.2.1]}}\n"), bytes.ReplaceAll(first[bytes.Index(first, []byte("zones")):], []byte("eu, us"), []byte("a"))...))
	step("another file", append(bytes.ReplaceAll(first, []byte("gslb"), []byte("other")), "include: [y.yaml]\n"...), n, n)
	if len(kept.texts) != 2 {
		t.Errorf("%d files are kept", len(kept.texts))
	}
	step("and not", first, n, n)
	if len(kept.texts) != 1 {
		t.Errorf("%d files are kept", len(kept.texts))
	}
}

// FuzzRuns reads any file, and then any other in its place, in runs and whole.
func FuzzRuns(f *testing.F) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 2))
		var a []string
		for i := range 12 {
			a = append(a, randomService(r, i))
		}
		f.Add(assemble(a, a[:6], ""), assemble(slices.Insert(a, 5, randomService(r, 99)), a[:6], ""), byte(seed))
	}
	file := filepath.Join(f.TempDir(), "x.yaml")
	f.Fuzz(func(t *testing.T, a, b []byte, size byte) {
		for _, text := range [][]byte{a, b} {
			for _, word := range []string{"include", "file", "cert", "key", "ca:", "ca\"", "ca'", "\\"} { // what reads other files
				if bytes.Contains(text, []byte(word)) {
					t.Skip()
				}
			}
		}
		kept := &Kept{}
		for _, text := range [][]byte{a, b, a} {
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			compareReadings(t, file, kept, readSizes{run: 1 + int(size&3), stretch: 20 + int(size)})
		}
	})
}

// TestFilesAreKept does not read a file again that nobody has written.
func TestFilesAreKept(t *testing.T) {
	dir := t.TempDir()
	main, many := filepath.Join(dir, "main.yaml"), filepath.Join(dir, "many.yaml")
	old := time.Now().Add(-time.Hour)
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
	// The files' inodes have changed just now; so the clock is an hour ahead.
	kept := &Kept{now: func() time.Time { return time.Now().Add(time.Hour) }}
	text := string(million(3000, oneLine))
	include := "include: [many.yaml]\n"
	step := func(what string, want bool) {
		t.Helper()
		before := kept.texts[many].top
		if compareReadings(t, main, kept, sizes) == nil {
			t.Fatal(what)
		}
		if got := kept.texts[many].top == before; got != want {
			t.Errorf("%s: kept is %t", what, got)
		}
	}
	write(main, include)
	write(many, text)
	step("first", false)
	step("nothing", true)
	write(main, include+"log: {level: warn}\n")
	step("another file", true)
	write(many, strings.Replace(text, "n0000100", "m0000100", 1))
	step("neither the size nor the time, but the content", false)
	step("nothing", true)
	write(filepath.Join(dir, "a.yaml"), "admin: {listen: \"127.0.0.1:8081\"}\n")
	write(main, "include: [a.yaml, many.yaml]\n")
	step("it is the third file and not the second", false)
	step("nothing", true)
	write(many, text)
	written := stampOf(many).changed
	kept.now = func() time.Time { return written }
	step("just written", false)
	kept.now = func() time.Time { return written.Add(time.Hour) }
	step("just written, so that it is not trusted", false)
}

// TestRunsRefused puts one line among services that are read in runs.
func TestRunsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yaml")
	long := strings.Repeat(strings.Repeat("a", 60)+".", 4)
	for _, c := range []struct{ line, want string }{
		{"      z: {pools: [us]}", ""},
		{"      z:\n        pools: [us]", ""},
		{"      z: {pools: ['${TEST_EMPTY:-us}']}", ""},
		{"      " + long + "aa: {pools: [us]}", ""},
		{"      " + long + "aaa: {pools: [us]}", "the whole name is longer than 255 bytes"},
		{"      n7: {pools: [ext]}", "the endpoint n7.x.test of the pool ext is the service itself"},
		{"      N7:\n        pools: [ext]", "the endpoint n7.x.test of the pool ext is the service itself"},
		{"      z: {pools: [us]} # \x01", "control characters are not allowed"},
		{"      # \x01", "control characters are not allowed"},
		{"      # \xff", "invalid leading UTF-8 octet"},
		{"      z:\n        pools: [us]\n        # \x01", "control characters are not allowed"},
		{"      z: {pools: [us]}\n        ttl: 5", "did not find expected key"},
		{"      z: {pools: [us],", "did not find expected"},
		{"      z: [us]", "a map is expected, not a list"},
		{"      z:", "the key \"pools\" is missing"},
		{"      - z", "did not find expected key"},
		{"       z: {pools: [us]}", "did not find expected key"},
		{"     z: {pools: [us]}", "did not find expected key"},
		{"      z: {pools: [us], txt: [a], ttl: 0, ttl: 1}", "stated twice"},
		{"      z: {pools: [us], ttl: 0, ttl: 1}", "stated twice"},
		{"      z: {pools: [us], srv: true}", "has no port"},
	} {
		services := []string{"    a: {pools: [eu, spare]}\n", "    b: {pools: [ports]}\n", "    c: {pools: [idle, eu]}\n", "    d: {pools: [eu]}\n"}
		plain := assemble(services, services, "")
		with := bytes.Replace(plain, []byte("      c"), []byte(c.line+"\n      c"), 1)
		for _, stretch := range []int{1, 300} {
			kept := &Kept{}
			for i, text := range [][]byte{plain, with} {
				if err := os.WriteFile(file, text, 0o600); err != nil {
					t.Fatal(err)
				}
				s := compareReadings(t, file, kept, readSizes{run: 1, stretch: stretch})
				if len(kept.texts) != 1 {
					t.Fatalf("%q: not read in runs: %d %d", c.line, stretch, i)
				}
				if _, _, err := load(file, Options{Env: testEnv}, whole); i == 1 && (c.want == "") != (s != nil) || s == nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("%q: %v", c.line, err)
				}
			}
		}
	}
}

// TestRunsAreCounted refuses what so many services make too many probes of.
func TestRunsAreCounted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yaml")
	for n, sound := range map[int]bool{2000: true, maxProbes: false} {
		text := bytes.Replace(million(n, oneLine), []byte(", host: www.example.com"), []byte(", interval: 1s, timeout: 1s"), 1)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if s := compareReadings(t, file, nil, sizes); (s != nil) != sound {
			t.Errorf("%d services: %v", n, s)
		}
	}
}
