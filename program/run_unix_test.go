//go:build unix

package program

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What a program wrote is heard although the time was over before anybody read it, and
// whoever holds the pipe open is not waited for.
func TestHeardTooLate(t *testing.T) {
	for _, tc := range []struct {
		name, wrote string
		open        bool
		want        string
	}{
		{"ended", "seven\n", false, "seven\n"},
		{"nothing", "", false, ""},
		{"held open", "seven\n", true, "seven\n"},
		{"held open, nothing", "", true, ""},
		{"more than is kept", strings.Repeat("x", 2*MaxSaid), true, strings.Repeat("x", MaxSaid)},
	} {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := write.WriteString(tc.wrote); err != nil {
			t.Fatal(err)
		}
		if !tc.open {
			_ = write.Close()
		}
		_ = read.SetReadDeadline(time.Unix(1, 0))
		h := &heard{full: make(chan struct{}), done: make(chan struct{})}
		h.listen(read)
		if got := string(h.kept); got != tc.want {
			t.Errorf("%s: %q", tc.name, got)
		}
		_ = write.Close()
		_ = read.Close()
	}
}

// Why a program cannot be started, in words that say what to do.
func TestReason(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct{ text, want string }{
		"interpreter": {"#!/no/such/interpreter\n", "the interpreter that its first line names is not there"},
		"line":        {"#!/bin/sh\r\necho\r\n", "the interpreter that its first line names is not there"},
		"text":        {"echo yes\n", "exec format error: it is no program, and no script that begins with #!"},
		"absent":      {"", "no such file or directory"},
	} {
		path := filepath.Join(dir, name)
		if tc.text != "" {
			if err := os.WriteFile(path, []byte(tc.text), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		e := Run(t.Context(), Command{Path: path}, func() {})
		if e.Err == nil || Reason(e.Err) != tc.want {
			t.Errorf("%s: %v", name, e.Err)
		}
	}
}
