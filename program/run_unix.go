//go:build unix

package program

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// noFormat is of a file that the system does not know how to run.
const noFormat = syscall.ENOEXEC

// Supported is whether programs can be run on this system.
const Supported = true

// Run starts a program and waits for its end, which comes at the end of the context.
// release is called once it is gone.
func Run(ctx context.Context, c Command, release func()) Ending {
	read, write, err := os.Pipe()
	if err != nil {
		release()
		return Ending{Err: err}
	}
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Dir, cmd.Env = c.Dir, c.Env
	cmd.Stdout, cmd.Stderr = write, write
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	told := make(chan struct{})
	var hears, tell *os.File
	if c.Stdin != nil {
		if hears, tell, err = os.Pipe(); err == nil {
			cmd.Stdin = hears
		}
	}
	if err == nil {
		err = cmd.Start()
	}
	_ = write.Close()
	_ = hears.Close() // of nil an error, like every other
	if err != nil {
		_ = read.Close()
		_ = tell.Close()
		release()
		return Ending{Err: err}
	}
	// A program may have left its own process group, for that of this node even.
	kill := func(s syscall.Signal) {
		_ = syscall.Kill(-cmd.Process.Pid, s)
		_ = cmd.Process.Signal(s)
	}
	go func() {
		defer close(told)
		if tell != nil {
			_, _ = tell.Write(c.Stdin) // what it does not read is its own affair
			_ = tell.Close()
		}
	}()

	heard := &heard{full: make(chan struct{}), done: make(chan struct{})}
	go heard.listen(read)
	gone := make(chan error, 1)
	go func() {
		defer release()
		gone <- reap(cmd)
	}()

	e := Ending{}
	soft := time.NewTimer(time.Hour)
	defer soft.Stop()
	if deadline, limited := ctx.Deadline(); limited {
		soft.Reset(time.Until(deadline) - Grace(ctx))
	}
	full, end := heard.full, ctx.Done()
	var hard <-chan time.Time
	for over := false; !over; {
		select {
		case err = <-gone:
			over = true
		case <-soft.C:
			if _, limited := ctx.Deadline(); limited {
				e.Stopped = true
				kill(syscall.SIGTERM)
			}
		case <-full:
			full, e.Oversize = nil, true
			kill(syscall.SIGKILL)
		case <-end:
			end, e.Stopped = nil, true
			kill(syscall.SIGKILL)
			limit := time.NewTimer(patienceWithKernel)
			defer limit.Stop()
			hard = limit.C
		case <-hard:
			e.Lost, over = true, true
		}
	}
	_ = read.SetReadDeadline(time.Now().Add(patienceWithPipe))
	if tell != nil {
		_ = tell.SetWriteDeadline(time.Now().Add(patienceWithPipe))
	}
	<-heard.done
	<-told
	_ = read.Close()
	e.Said, e.Cut = string(heard.kept), heard.total > len(heard.kept)
	e.Oversize = e.Oversize || heard.total > MaxWritten
	if !e.Lost {
		e.end(err)
	}
	return e
}

// end takes how the process ended.
func (e *Ending) end(err error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		e.Status = exit.ExitCode()
		if ws, is := exit.Sys().(syscall.WaitStatus); is && ws.Signaled() {
			e.Signal = ws.Signal().String()
		}
	default:
		e.Status, e.Signal = -1, "an error of the system"
	}
}

// heard is what a program has written.
type heard struct {
	kept  []byte
	total int
	full  chan struct{} // closed when it is more than MaxWritten
	done  chan struct{} // closed when there is no more
}

// listen reads until the end of the pipe or its deadline.
func (h *heard) listen(from *os.File) {
	defer close(h.done)
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		h.kept = append(h.kept, buf[:min(n, MaxSaid-len(h.kept))]...)
		before := h.total
		if h.total += n; h.total > MaxWritten && before <= MaxWritten {
			close(h.full)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			h.rest(from)
		}
		if err != nil || h.total > 2*MaxWritten {
			return
		}
	}
}

// rest takes what is in the pipe when its time is over: a read that begins then fails
// whatever there is, and on a busy machine none may have begun before.
func (h *heard) rest(from *os.File) {
	_ = from.SetReadDeadline(time.Time{})
	raw, err := from.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, MaxSaid)
	_ = raw.Read(func(fd uintptr) bool {
		n, err := syscall.Read(int(fd), buf) // which does not wait: the pipe is not blocking
		if err == nil && n > 0 {
			h.kept = append(h.kept, buf[:min(n, MaxSaid-len(h.kept))]...)
			h.total += n
		}
		return true
	})
}
