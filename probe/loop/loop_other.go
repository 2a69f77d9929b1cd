//go:build !linux

package loop

import (
	"context"
	"errors"
)

// Loop makes connections. There is none on this system.
type Loop struct{}

// New says that there is none on this system: errors.ErrUnsupported.
func New(func([]*Job)) (*Loop, error) { return nil, errors.ErrUnsupported }

// Run is never reached.
func (l *Loop) Run(context.Context) error { return errors.ErrUnsupported }

// Start is never reached.
func (l *Loop) Start([]*Job) {}
