package mouth

import (
	"crypto/tls"
	"errors"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin"
)

// Life is that of a plugin's block in one instance of CoreDNS:
//
//	setup, Attach -> begin: the block takes what is shared, and opens doors
//	              -> End, or Reclaim when the next instance could not be started
type Life struct {
	block *Block
	taken []taken // the last one leans on those before it
}

// taken is a thing that is shared with other instances.
type taken interface {
	LetGo() error
	Reclaim() error
}

// Attach has the block of a plugin begin when all of the Corefile has been read.
func (l *Life) Attach(c *caddy.Controller, name string, begin func() error) {
	l.block = BlockOf(c)
	c.OnStartup(func() error { return l.start(name, begin) })
	c.OnShutdown(l.End)
	c.OnRestartFailed(l.Reclaim)
}

func (l *Life) start(name string, begin func() error) error {
	if err := begin(); err != nil {
		return plugin.Error(name, errors.Join(err, l.End()))
	}
	return nil
}

// End lets go of what the block has taken: when the instance stops, which may be long
// after the next one began, or when the block could not begin. Done a second time it does
// nothing.
func (l *Life) End() error {
	var errs []error
	for i := len(l.taken) - 1; i >= 0; i-- {
		errs = append(errs, l.taken[i].LetGo())
	}
	return errors.Join(errs...)
}

// Reclaim takes it back from an instance that could not be started.
func (l *Life) Reclaim() error {
	var errs []error
	for _, t := range l.taken {
		errs = append(errs, t.Reclaim())
	}
	return errors.Join(errs...)
}

// Live takes, for the life of a block, the thing that its server block has, or the one that
// the word beside it tells apart.
func (s *Shared[Thing, Want]) Live(l *Life, beside string, want Want, begin func() (Thing, func(), error)) (thing Thing, err error) {
	h, err := s.Take(l.block.Key()+beside, l.block.by, want, begin)
	if err != nil {
		return thing, err
	}
	l.taken = append(l.taken, h)
	return h.Thing, nil
}

// Open opens, for the life of a block, a listener at an address, or takes the one that is
// open there, and puts what answers behind it. Without TLS it is plain HTTP.
func (d *Doors[T]) Open(l *Life, address string, what T, config *tls.Config) error {
	h, err := d.shared.Take(address, l.block.by, inside[T]{what, config}, func() (*Door, func(), error) { return listen(address, d.log) })
	if err == nil {
		l.taken = append(l.taken, h)
	}
	return err
}
