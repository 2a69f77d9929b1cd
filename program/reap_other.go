//go:build unix && !linux

package program

import (
	"os/exec"
	"syscall"
)

// reap waits for the end of a program and ends what it has left behind in its
// process group. Where nothing is left, the number may be another's by then, but
// numbers are given out in a row.
func reap(cmd *exec.Cmd) error {
	err := cmd.Wait()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	return err
}
