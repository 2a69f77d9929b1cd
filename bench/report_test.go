package main

import (
	"strings"
	"testing"
)

func TestReplaceBlocks(t *testing.T) {
	b := block{Name: "plain", Command: "go run ./bench -only plain", Tables: []table{{
		Title: "Plain A", Head: []string{"server", "CPU"}, Rows: [][]string{{"rhumb", "2.0"}}, Notes: []string{"A note."},
	}}}
	text := "# P\n" + blockBegin("other") + "old\n" + blockEnd + blockBegin("plain") + "old\n" + blockEnd + "tail\n"
	got, err := replaceBlocks(text, []block{b}, "a machine")
	if err != nil {
		t.Fatal(err)
	}
	want := "# P\n" + blockBegin("other") + "old\n" + blockEnd + blockBegin("plain") +
		"`go run ./bench -only plain` on a machine:\n\nPlain A:\n\n| server | CPU |\n|---|---|\n| rhumb | 2.0 |\n\nA note.\n" + blockEnd + "tail\n"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if again, err := replaceBlocks(got, []block{b}, "a machine"); err != nil || again != got {
		t.Errorf("a second time it is: %v\n%s", err, again)
	}
	b.Name = "unknown"
	if _, err := replaceBlocks(text, []block{b}, ""); err == nil || !strings.Contains(err.Error(), "unknown") {
		t.Errorf("a block without a place: %v", err)
	}
}
