package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocument runs the commands that docs/simulate.md shows, with the files that
// it shows, and compares what they print. With -update it writes that there.
func TestDocument(t *testing.T) {
	if raced {
		t.Skip("one goroutine asks a million times for each")
	}
	const document = "../../docs/simulate.md"
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	parts := strings.Split(string(text), "```")
	ran := 0
	for i := 1; i < len(parts); i += 2 {
		kind, body, _ := strings.Cut(parts[i], "\n")
		switch kind {
		case "yaml":
			write(t, filepath.Join(dir, "rhumb.yaml"), body)
		case "csv":
			name, _, _ := strings.Cut(strings.TrimPrefix(body, "# "), "\n")
			write(t, filepath.Join(dir, name), body)
		case "text":
			line, want, _ := strings.Cut(body, "\n")
			command, is := strings.CutPrefix(line, "$ ")
			if !is {
				continue
			}
			cmd := exec.Command("sh", "-c", command)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+filepath.Dir(lookPath(t))+":"+os.Getenv("PATH"))
			got, err := cmd.CombinedOutput()
			var failed *exec.ExitError
			if err != nil && !errors.As(err, &failed) {
				t.Fatal(err)
			}
			ran++
			if *update {
				parts[i] = kind + "\n" + line + "\n" + string(got)
			} else if string(got) != want {
				t.Errorf("%s prints\n%s", command, got)
			}
		}
	}
	if ran == 0 {
		t.Fatal("the document shows no command")
	}
	if *update {
		write(t, document, strings.Join(parts, "```"))
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
