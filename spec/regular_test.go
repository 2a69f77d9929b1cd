//go:build unix

package spec

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe among the files is refused at once, not waited for.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe.yaml")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	if _, _, err := Load(path, Options{}); err == nil || !strings.Contains(err.Error(), notRegular) {
		t.Errorf("a pipe: %v", err)
	}
}
