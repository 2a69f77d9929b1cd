//go:build unix

package probe

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const deserter = "RHUMB_TEST_DESERTER"

// The test is its own script: one that leaves its process group for that of whoever
// started it.
func init() {
	file := os.Getenv(deserter)
	if file == "" {
		return
	}
	group, err := syscall.Getpgid(os.Getppid())
	if err == nil {
		err = syscall.Setpgid(0, group)
	}
	if err != nil {
		os.Exit(3)
	}
	_ = os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0o600)
	<-time.After(time.Hour)
}

// A script that has left its process group is ended all the same.
func TestScriptDeserts(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "child")
	p := newScript(t, Script{Command: self, Env: map[string]string{deserter: file}})
	check(t, p.Probe(ctxFor(t, time.Second), endpoint), ClassTimeout, "timeout of the script")
	if _, err := os.Stat(file); err != nil {
		t.Fatal("it did not come to desert: ", err)
	}
	eventually(t, "a process is left", func() bool { return !alive(t, file) })
}
