package rhumb_test

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
)

// documents are the files for people that stand in the repository.
func documents(t *testing.T) []string {
	t.Helper()
	files := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
	for _, pattern := range []string{"docs/*.md", "docs/adr/*.md", "examples/*/*.md", "coredns/*.md", "coredns/*/*.md"} {
		more, err := filepath.Glob(pattern)
		if err != nil || len(more) == 0 {
			t.Fatalf("no document matches %s", pattern)
		}
		files = append(files, more...)
	}
	return files
}

// fence is a block of text between two lines of three backquotes.
type fence struct {
	file, kind, text string
	line             int // of its first line of text
}

func fences(t *testing.T, file string) []fence {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []fence
	var open *fence
	n := 0
	for l := range strings.Lines(string(b)) {
		n++
		kind, isFence := strings.CutPrefix(strings.TrimRight(l, "\n"), "```")
		switch {
		case isFence && open == nil:
			open = &fence{file: file, kind: kind, line: n + 1}
		case isFence:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += l
		}
	}
	if open != nil {
		t.Errorf("%s:%d: this block has no end", file, open.line)
	}
	return all
}

// TestSnippets loads every YAML snippet of the documents as a node would. What
// else a document may show of one:
//
//	zone      before it: a zone file, whose first line is "; NAME"
//	gslb      before it: a file of CoreDNS-GSLB, whose first line is "# NAME"
//	sh, lua   before it: a program or a script, if a first line is "# NAME" or "-- NAME",
//	          for a program behind the line with its interpreter
//	errors    behind it: what `rhumb check -c rhumb.yaml` says
//	warnings  behind it: the same, of a file that is taken
//	answers   behind it: a question, its answer in sections
func TestSnippets(t *testing.T) {
	all := map[string][]fence{}
	for _, file := range documents(t) {
		all[file] = fences(t, file)
	}
	besides := map[string][]byte{"known_hosts": nil}
	for name, of := range map[string]string{"GeoLite2-Country.mmdb": "city.mmdb", "GeoLite2-City.mmdb": "city.mmdb", "GeoLite2-ASN.mmdb": "asn.mmdb"} {
		b, err := os.ReadFile(filepath.Join("geo", "testdata", of))
		if err != nil {
			t.Fatal(err)
		}
		besides[name] = b
	}
	loaded := 0
	for file, snippets := range all {
		t.Run(file, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for name, b := range besides {
				write(t, name, string(b))
			}
			t.Setenv("OPS_TOKEN", "0123456789-operator")
			t.Setenv("PROMETHEUS_TOKEN", "0123456789-viewer")
			t.Setenv("CONTROLLER_SECRET", "0123456789-shared")
			var s *spec.Spec
			var e *rhumb.Engine
			for i, f := range snippets {
				next := fence{}
				if i+1 < len(snippets) {
					next = snippets[i+1]
				}
				switch f.kind {
				case "zone":
					name, _, _ := strings.Cut(strings.TrimPrefix(f.text, "; "), "\n")
					write(t, name, f.text)
				case "gslb":
					name, _, _ := strings.Cut(strings.TrimPrefix(f.text, "# "), "\n")
					write(t, name, f.text)
				case "sh", "lua":
					script(t, f.text)
				case "yaml":
					s, e = snippet(t, f, next.kind == "errors")
					loaded++
				case "warnings":
					if got := withoutDataDir(s.Warnings); got != f.text {
						t.Errorf("%s:%d: the warnings are\n%s", file, f.line, got)
					}
				case "answers":
					asked(t, f, e.Snapshot())
				case "errors":
					_, _, err := spec.Load("rhumb.yaml", spec.Options{})
					if err == nil || err.Error()+"\n" != f.text {
						t.Errorf("%s:%d: the errors are\n%v", file, f.line, err)
					}
				}
			}
		})
	}
	if loaded == 0 {
		t.Fatal("no document has a snippet")
	}
}

// installed is where databases of places are in documents. Tests have small ones
// of these names.
const installed = "/var/lib/GeoIP/"

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// script writes a block that says what file it is of.
func script(t *testing.T, text string) {
	t.Helper()
	first, rest, _ := strings.Cut(text, "\n")
	if strings.HasPrefix(first, "#!") {
		first, _, _ = strings.Cut(rest, "\n")
		first = strings.TrimPrefix(first, "# ")
	} else if name, found := strings.CutPrefix(first, "-- "); found {
		first = name
	} else {
		return
	}
	write(t, first, text)
	if err := os.Chmod(first, 0o700); err != nil {
		t.Fatal(err)
	}
}

// snippet puts a snippet in force, unless it is wrong and meant to be.
func snippet(t *testing.T, f fence, wrong bool) (*spec.Spec, *rhumb.Engine) {
	t.Helper()
	write(t, "rhumb.yaml", strings.ReplaceAll(f.text, installed, ""))
	if wrong {
		return nil, nil
	}
	s, _, err := spec.Load("rhumb.yaml", spec.Options{})
	if err != nil {
		t.Fatalf("%s:%d: the snippet is no configuration:\n%v", f.file, f.line, err)
	}
	e, err := rhumb.New(rhumb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	change, err := e.Prepare(s)
	if err != nil {
		t.Fatalf("%s:%d: the snippet cannot be put in force: %v", f.file, f.line, err)
	}
	if err := e.Commit(change); err != nil {
		t.Fatal(err)
	}
	return s, e
}

// withoutDataDir is the warnings, a line for each, but for the one that every
// snippet would have.
func withoutDataDir(warnings []spec.Error) string {
	var b strings.Builder
	for _, w := range warnings {
		if line := w.Error(); !strings.Contains(line, "node.data_dir") {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// asked compares answers with those of a document. There, a line without white
// space before it is a name, a type, the code and the flag aa if it is set; each
// line behind it is a section and a record without its TTL and class.
func asked(t *testing.T, f fence, s *resolve.Snapshot) {
	t.Helper()
	var want, got []string
	for line := range strings.Lines(f.text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		want = append(want, strings.Join(words, " "))
		if line[0] != ' ' {
			got = append(got, answers(t, s, words[0], words[1])...)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s:%d: the answers are\n%s", f.file, f.line, strings.Join(got, "\n"))
	}
}

func answers(t *testing.T, s *resolve.Snapshot, name, qtype string) []string {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), dns.StringToType[qtype])
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var q dnswire.Query
	q.Parse(packet)
	if err := m.Unpack(s.Append(nil, &q, resolve.NewScratch(1, 2))); err != nil {
		t.Fatal(err)
	}
	head := name + " " + qtype + " " + dns.RcodeToString[m.Rcode]
	if m.Authoritative {
		head += " aa"
	}
	lines := []string{head}
	for i, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			h := rr.Header()
			data := strings.TrimPrefix(rr.String(), h.String())
			lines = append(lines, strings.Join(strings.Fields(strings.Join([]string{
				[]string{"answer", "authority", "additional"}[i], h.Name, dns.TypeToString[h.Rrtype], data,
			}, " ")), " "))
		}
	}
	return lines
}

// TestCommands checks every rhumb and make command of the documents: the command
// and its flags are there, as `--help` behind them proves without running them.
func TestCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	bin := filepath.Join(t.TempDir(), "rhumb")
	if runtime.GOOS == "windows" {
		bin += ".exe"
	}
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", bin, "./cmd/rhumb").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, file := range documents(t) {
		for _, line := range commands(t, file) {
			words := strings.Fields(line)
			if seen[line] || len(words) < 2 {
				continue
			}
			seen[line] = true
			if words[0] == "make" {
				for _, target := range words[1:] {
					if !strings.Contains(string(makefile), "\n"+target+":") {
						t.Errorf("%s: %q: the Makefile has no target %s", file, line, target)
					}
				}
				continue
			}
			args := append(words[1:], "--help")
			out, err := exec.Command(bin, args...).CombinedOutput()
			if err != nil {
				t.Errorf("%s: %q: %v\n%s", file, line, err, out)
			} else if !strings.Contains(string(out), "rhumb "+words[1]) {
				t.Errorf("%s: %q: rhumb has no such command", file, line)
			}
		}
	}
	if len(seen) == 0 {
		t.Fatal("no document has a command")
	}
}

var (
	inline   = regexp.MustCompile("`([^`\n]+)`")
	optional = regexp.MustCompile(`[\[\]]`) // explain NAME [TYPE]
)

// commands are the lines of a document that call make or rhumb, in blocks and in
// running text.
func commands(t *testing.T, file string) []string {
	t.Helper()
	var all []string
	add := func(line string) {
		line, _, _ = strings.Cut(line, "#")
		line, _, _ = strings.Cut(line, "&&")
		line = optional.ReplaceAllString(strings.TrimSpace(line), "")
		line = strings.TrimPrefix(line, "bin/")
		if strings.HasPrefix(line, "make ") || strings.HasPrefix(line, "rhumb ") && !strings.HasPrefix(line, "rhumb -") {
			all = append(all, line)
		}
	}
	for _, f := range fences(t, file) {
		if f.kind == "sh" {
			for l := range strings.Lines(f.text) {
				add(l)
			}
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range inline.FindAllStringSubmatch(string(b), -1) {
		add(m[1])
	}
	return all
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestDocuments checks that what a document links to is there, headings included.
func TestDocuments(t *testing.T) {
	for _, file := range documents(t) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			to, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, "://") {
				continue
			}
			target := file
			if to != "" {
				target = path.Join(path.Dir(filepath.ToSlash(file)), to)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", file, m[1])
			} else if anchor != "" && !slices.Contains(anchors(t, target), anchor) {
				t.Errorf("%s links to %s: there is no such heading", file, m[1])
			}
		}
	}
}

var noAnchor = regexp.MustCompile(`[^a-z0-9 _-]`)

// anchors are the headings of a document as links name them.
func anchors(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for l := range strings.Lines(string(b)) {
		if h := strings.TrimLeft(l, "#"); h != l {
			h = noAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(h)), "")
			all = append(all, strings.ReplaceAll(h, " ", "-"))
		}
	}
	return all
}
