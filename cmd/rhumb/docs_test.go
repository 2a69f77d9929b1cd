package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// draws is how often a command is run to see what a document shows: a choice that
// comes in one of two runs fails once in a million times.
const draws = 20

// TestConsole runs what the documents show as typed into a terminal: in blocks of
// the kind "console" a line that begins with "$ " is a command, and what follows
// is what it prints. The block of YAML before it is rhumb.yaml. A line "..." stands
// for any number of lines. What chance decides may be shown as it came once: of a
// few runs one is like it. With -update the output is written there, whole.
func TestConsole(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	program := filepath.Join(filepath.Dir(lookPath(t)), "rhumb")
	ran := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		parts := strings.Split(string(b), "\n```")
		for i, part := range parts {
			kind, text, _ := strings.Cut(part, "\n")
			switch kind {
			case "yaml":
				if err := os.WriteFile(filepath.Join(dir, "rhumb.yaml"), []byte(text+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			case "console":
				ran++
				command, want, _ := strings.Cut(text, "\n")
				words := strings.Fields(strings.TrimPrefix(command, "$ rhumb "))
				var got string
				shown := false
				for try := 0; try < draws && !shown && (try == 0 || !*update); try++ {
					cmd := exec.Command(program, words...)
					cmd.Dir = dir
					out, err := cmd.CombinedOutput()
					if err != nil {
						t.Errorf("%s: %s: %v\n%s", file, command, err, out)
						break
					}
					got = strings.TrimSuffix(string(out), "\n")
					shown = elided(got, want)
				}
				if shown || got == "" {
					continue
				}
				if !*update {
					t.Errorf("%s: %s prints\n%s", file, command, got)
				}
				parts[i] = "console\n" + command + "\n" + got
			}
		}
		if now := strings.Join(parts, "\n```"); *update && now != string(b) {
			if err := os.WriteFile(file, []byte(now), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if ran == 0 {
		t.Fatal("no document shows a terminal")
	}
}

// elided is whether got is what want says, each line "..." of which is any number
// of lines.
func elided(got, want string) bool {
	shown := strings.Split("\n"+want+"\n", "\n...\n")
	got = "\n" + got + "\n"
	if len(shown) == 1 {
		return got == shown[0]
	}
	first, last := shown[0]+"\n", "\n"+shown[len(shown)-1]
	if !strings.HasPrefix(got, first) || !strings.HasSuffix(got, last) || len(got) < len(first)+len(last)-1 {
		return false
	}
	got = got[len(first)-1:]
	for _, s := range shown[1 : len(shown)-1] {
		at := strings.Index(got, "\n"+s+"\n")
		if at < 0 {
			return false
		}
		got = got[at+len(s)+1:]
	}
	return true
}
