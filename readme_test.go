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

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/spec"
)

// documents are the files for people that stand in the repository.
func documents(t *testing.T) []string {
	t.Helper()
	files := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
	for _, pattern := range []string{"docs/*.md", "docs/adr/*.md", "examples/*/*.md"} {
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

// TestSnippets loads every YAML snippet of the documents as a node would.
func TestSnippets(t *testing.T) {
	loaded := 0
	for _, file := range documents(t) {
		for _, f := range fences(t, file) {
			if f.kind != "yaml" {
				continue
			}
			config := filepath.Join(t.TempDir(), "snippet.yaml")
			if err := os.WriteFile(config, []byte(f.text), 0o600); err != nil {
				t.Fatal(err)
			}
			s, _, err := spec.Load(config, spec.Options{})
			if err != nil {
				t.Errorf("%s:%d: the snippet is no configuration:\n%v", file, f.line, err)
				continue
			}
			e, err := rhumb.New(rhumb.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.Prepare(s); err != nil {
				t.Errorf("%s:%d: the snippet cannot be put in force: %v", file, f.line, err)
			}
			loaded++
		}
	}
	if loaded == 0 {
		t.Fatal("no document has a snippet")
	}
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
