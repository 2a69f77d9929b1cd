package program

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"
)

const (
	// MaxSaid is what is kept of what a program writes.
	MaxSaid = 1 << 10
	// MaxWritten is what it may write.
	MaxWritten = 1 << 20
	// maxGrace is how long before the end of its time a program is asked to stop, at
	// most: a tenth of its time.
	maxGrace = time.Second
	// patienceWithKernel is how long after its end a program that was killed may take
	// to be gone. One that hangs in the kernel is left to a goroutine that waits.
	patienceWithKernel = time.Second
	// patienceWithPipe is how long after the end of a program its pipes are waited
	// for, which a child that has left its process group may hold open.
	patienceWithPipe = 50 * time.Millisecond
)

// Command is what is to be run.
type Command struct {
	Path  string // absolute
	Args  []string
	Env   []string // all of it, NAME=value
	Dir   string
	Stdin []byte // nil: nothing can be read
}

// Ending is how a program ended.
type Ending struct {
	Status   int    // exit status; -1: by a signal
	Signal   string // its name
	Said     string // the first bytes that it wrote
	Cut      bool   // and not all of them
	Stopped  bool   // because the context ended
	Oversize bool   // because it wrote too much
	Lost     bool   // it did not end
	Err      error  // it could not be started
}

// Grace is how long before the end of the context a program is asked to stop.
func Grace(ctx context.Context) time.Duration {
	deadline, limited := ctx.Deadline()
	if !limited {
		return 0
	}
	return min(time.Until(deadline)/10, maxGrace)
}

// Reason is why a program cannot be started, without its path.
func Reason(err error) string {
	var pe *os.PathError
	if !errors.As(err, &pe) {
		return err.Error()
	}
	_, missing := os.Stat(pe.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && missing == nil:
		// The system says the same of a program that is not there.
		return "the interpreter that its first line names, or the loader that a binary does, is not there"
	case errors.Is(err, noFormat):
		return pe.Err.Error() + ": it is no program, and no script that begins with #!"
	}
	return pe.Err.Error()
}

// Path is the variable PATH that a program is given: that of the node, whose
// environment has secrets besides.
func Path() string {
	if path := os.Getenv("PATH"); path != "" {
		return "PATH=" + path
	}
	return "PATH=/usr/local/bin:/usr/bin:/bin"
}
