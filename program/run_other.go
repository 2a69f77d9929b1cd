//go:build !unix

package program

import (
	"context"
	"errors"
)

// Supported is false: there are no process groups with which to end what a program
// has started.
const Supported = false

var noFormat = errors.ErrUnsupported

// Run runs nothing.
func Run(_ context.Context, _ Command, release func()) Ending {
	release()
	return Ending{Err: errors.ErrUnsupported}
}
