package server

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/rhumb-dns/rhumb/server/datagram"
)

// sockets are the UDP sockets of one address, opened and stopped together. A
// TLS listener has none.
type sockets struct {
	all []*datagram.Socket
	pin bool
	// ended is done when their workers have ended.
	ended sync.WaitGroup
}

// openSockets opens the sockets of addr as u says; port 0 lets the system choose
// one for all of them. What it has opened it closes when it fails.
func openSockets(addr netip.AddrPort, u UDP, shared bool) (*sockets, error) {
	o := &sockets{pin: u.Pin}
	for range u.Workers {
		// The first one has the port to itself, so that a second server by
		// mistake is told instead of getting half of the queries.
		sock, err := datagram.Listen(addr, shared)
		if err != nil {
			o.close()
			return nil, err
		}
		if u.ReceiveBuffer > 0 {
			sock.SetReceiveBuffer(u.ReceiveBuffer)
		}
		o.all = append(o.all, sock)
		addr, shared = sock.Addr(), true
	}
	return o, nil
}

// serveSockets starts the workers of o. The caller holds s.mu.
func (s *Server) serveSockets(o *sockets) {
	for i, sock := range o.all {
		o.ended.Add(1)
		s.wg.Go(func() {
			defer o.ended.Done()
			if o.pin {
				if err := pinThread(i); err != nil {
					s.log.Warn("udp worker not pinned", "address", sock.Addr().String(), "error", err)
				}
			}
			s.serveUDP(sock)
		})
	}
}

// stop makes the workers answer what has been received, close and end.
func (o *sockets) stop() {
	for _, sock := range o.all {
		sock.Stop()
	}
}

// close closes the sockets at once.
func (o *sockets) close() {
	for _, sock := range o.all {
		_ = sock.Close() // nothing is left to be done about it
	}
}

// drain answers what sockets without workers have received, and closes them.
func (s *Server) drain(o *sockets) {
	for _, sock := range o.all {
		sock.Stop()
		o.ended.Go(func() { s.serveUDP(sock) })
	}
	o.ended.Wait()
}

// layout is u with its defaults, or why this system cannot have it.
func (s *Server) layout(u UDP) (UDP, error) {
	if u.Workers <= 0 {
		u.Workers = s.o.Workers
	}
	var errs []error
	if u.Workers > 1 && !datagram.SharesLoad {
		errs = append(errs, errors.New("dns.udp.workers: this system gives all datagrams of a port to one socket: state 1, or remove the key"))
	}
	if u.Pin && !pins {
		errs = append(errs, errors.New("dns.udp.pin: this system does not pin threads: remove the key"))
	}
	return u, errors.Join(errs...)
}

// tellBuffer warns of a receive buffer that is smaller than stated.
func (s *Server) tellBuffer(u UDP, o *sockets) {
	if len(o.all) == 0 || u.ReceiveBuffer <= 0 {
		return
	}
	if got := o.all[0].SetReceiveBuffer(u.ReceiveBuffer); got < u.ReceiveBuffer {
		s.log.Warn(fmt.Sprintf("dns.udp.receive_buffer: the system gives %d bytes of %d: raise net.core.rmem_max, or give the process CAP_NET_ADMIN", got, u.ReceiveBuffer),
			"address", o.all[0].Addr().String())
	}
}
