//go:build unix

package probe

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const canRunScripts = true

// run starts the script and waits for its end, which comes at the end of the
// context. release is called once it is gone.
//
//	       asked to stop   killed
//	start ------|------------|---- end of the context
//	             SIGTERM      SIGKILL, to the whole process group
func (p *scriptProber) run(ctx context.Context, args, env []string, release func()) ending {
	read, write, err := os.Pipe()
	if err != nil {
		release()
		return ending{err: err}
	}
	cmd := exec.Command(p.script.Command, args...)
	cmd.Dir, cmd.Env = p.script.Dir, env
	cmd.Stdout, cmd.Stderr = write, write
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	_ = write.Close()
	if err != nil {
		_ = read.Close()
		release()
		return ending{err: err}
	}
	// A script may have left its own process group, for that of this node even.
	kill := func(s syscall.Signal) {
		_ = syscall.Kill(-cmd.Process.Pid, s)
		_ = cmd.Process.Signal(s)
	}

	heard := &heard{full: make(chan struct{}), done: make(chan struct{})}
	go heard.listen(read)
	gone := make(chan error, 1)
	go func() {
		defer release()
		gone <- reap(cmd)
	}()

	e := ending{}
	soft := time.NewTimer(time.Hour)
	defer soft.Stop()
	if deadline, limited := ctx.Deadline(); limited {
		soft.Reset(time.Until(deadline) - grace(ctx))
	}
	full, end := heard.full, ctx.Done()
	var hard <-chan time.Time
	for over := false; !over; {
		select {
		case err = <-gone:
			over = true
		case <-soft.C:
			if _, limited := ctx.Deadline(); limited {
				e.stopped = true
				kill(syscall.SIGTERM)
			}
		case <-full:
			full, e.oversize = nil, true
			kill(syscall.SIGKILL)
		case <-end:
			end, e.stopped = nil, true
			kill(syscall.SIGKILL)
			limit := time.NewTimer(patienceWithKernel)
			defer limit.Stop()
			hard = limit.C
		case <-hard:
			e.lost, over = true, true
		}
	}
	_ = read.SetReadDeadline(time.Now().Add(patienceWithPipe))
	<-heard.done
	_ = read.Close()
	e.said, e.cut = string(heard.kept), heard.total > len(heard.kept)
	e.oversize = e.oversize || heard.total > maxWritten
	if !e.lost {
		e.end(err)
	}
	return e
}

// end takes how the process ended.
func (e *ending) end(err error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		e.status = exit.ExitCode()
		if ws, is := exit.Sys().(syscall.WaitStatus); is && ws.Signaled() {
			e.signal = ws.Signal().String()
		}
	default:
		e.status, e.signal = -1, "an error of the system"
	}
}

// heard is what a script has written.
type heard struct {
	kept  []byte
	total int
	full  chan struct{} // closed when it is more than maxWritten
	done  chan struct{} // closed when there is no more
}

// listen reads until the end of the pipe or its deadline.
func (h *heard) listen(from *os.File) {
	defer close(h.done)
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		h.kept = append(h.kept, buf[:min(n, maxSaid-len(h.kept))]...)
		before := h.total
		if h.total += n; h.total > maxWritten && before <= maxWritten {
			close(h.full)
		}
		if err != nil || h.total > 2*maxWritten {
			return
		}
	}
}
