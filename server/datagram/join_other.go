//go:build !linux

package datagram

import (
	"errors"
	"net/netip"
)

// Way is how an answer gets back to whom a datagram came from: only Linux has it.
type Way [2]byte

// Join is not there: who joins takes all that comes, and only Linux can be told so.
func Join(netip.AddrPort) (*Socket, error) { return nil, errors.ErrUnsupported }

// Way is nothing here.
func (s *Socket) Way(int) (w Way) { return w }

// Scope is nothing here.
func (w *Way) Scope() int { return 0 }

// SendBack is not there.
func (s *Socket) SendBack(*Way, []byte) error { return errors.ErrUnsupported }

// Steer is not there.
func (s *Socket) Steer([]uint8, [8]byte) error { return errors.ErrUnsupported }

// Unsteer is not there.
func (s *Socket) Unsteer() error { return errors.ErrUnsupported }
