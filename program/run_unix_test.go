//go:build unix

package program

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
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

// over is a context whose deadline is there as soon as the program is at work, and whose
// end never comes: a program that is asked to stop has all the time that it needs.
type over struct {
	context.Context
	ready func() time.Time
}

func (o over) Deadline() (time.Time, bool) { return o.ready(), true }

// A program is asked before it is killed, and has time to clean up.
func TestAsked(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "asked")
	text := "#!/bin/sh\nexec 2>/dev/null; trap 'echo bye >said; echo was at it; exit 7' TERM; exec 3>ready; echo >&3; while :; do sleep 0.01; done"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "ready")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ready, err := os.OpenFile(fifo, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	heard := sync.OnceValue(func() time.Time {
		_ = ready.SetReadDeadline(time.Now().Add(time.Minute))
		_, _ = ready.Read(make([]byte, 1))
		return time.Now()
	})
	e := Run(over{t.Context(), heard}, Command{Path: path, Dir: dir, Env: []string{Path()}}, func() {})
	if e.Err != nil || !e.Stopped || e.Status != 7 || e.Said != "was at it\n" {
		t.Errorf("%+v", e)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "said")); string(b) != "bye\n" {
		t.Errorf("%q, %v", b, err)
	}
}

// Why a program cannot be started, in words that say what to do.
func TestReason(t *testing.T) {
	dir := t.TempDir()
	const lacks = "the interpreter that its first line names, or the loader that a binary does, is not there"
	type try struct{ text, want string }
	tries := map[string]try{
		"interpreter": {"#!/no/such/interpreter\n", lacks},
		"line":        {"#!/bin/sh\r\necho\r\n", lacks},
		"text":        {"echo yes\n", "exec format error: it is no program, and no script that begins with #!"},
		"absent":      {"", "no such file or directory"},
	}
	if b, err := os.ReadFile("/bin/sh"); err == nil && strings.Contains(string(b), "/ld-linux") {
		tries["loader"] = try{strings.ReplaceAll(string(b), "/ld-linux", "/no-linux"), lacks}
	}
	for name, tc := range tries {
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
