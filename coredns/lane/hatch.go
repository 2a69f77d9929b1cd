package lane

import (
	"context"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/server/datagram"
)

const (
	// maxWaiting bounds the datagrams that CoreDNS has not taken yet. It is some
	// milliseconds of its work; more of them are dropped, as the kernel does.
	maxWaiting = 4096
	// grace is how long queries that CoreDNS has have for their answers at the end,
	// which is what it gives those of its own socket.
	grace = 5 * time.Second
)

// hatch is a net.PacketConn by which CoreDNS gets the datagrams that are not answered
// on the lane, and sends its answers to them. WriteTo takes only addresses that
// ReadFrom has returned.
type hatch struct {
	sock    *datagram.Socket
	local   *net.UDPAddr
	waiting chan *parcel
	server  *dns.Server
	serving sync.WaitGroup

	empty   func() // the last parcel has been taken
	drained chan struct{}
	end     func() // there is nothing to wait for any more
	over    chan struct{}
}

// parcel is a datagram on its way to CoreDNS.
type parcel struct {
	scope int
	addr  net.UDPAddr
	// mem is what addr.IP lies in, and behind it the way back: who answers has
	// nothing but the address.
	mem [net.IPv6len + len(datagram.Way{})]byte
	n   int
	buf [maxQuery]byte
}

// coredns is the hatch of a server, as dnsserver.Server has its own socket.
func coredns(sock *datagram.Socket, s *dnsserver.Server) *hatch {
	return newHatch(sock, s.TsigSecret, func(w dns.ResponseWriter, r *dns.Msg) {
		ctx := context.WithValue(context.Background(), dnsserver.Key{}, s)
		ctx = context.WithValue(ctx, dnsserver.LoopKey{}, 0)
		s.ServeDNS(ctx, w, r)
	})
}

func newHatch(sock *datagram.Socket, secrets map[string]string, serve dns.HandlerFunc) *hatch {
	h := &hatch{
		sock: sock, local: net.UDPAddrFromAddrPort(sock.Addr()),
		waiting: make(chan *parcel, maxWaiting), drained: make(chan struct{}), over: make(chan struct{}),
	}
	h.empty = sync.OnceFunc(func() { close(h.drained) })
	h.end = sync.OnceFunc(func() { close(h.over) })
	started := make(chan struct{})
	h.server = &dns.Server{
		PacketConn: h, Net: "udp", TsigSecret: secrets, Handler: serve,
		NotifyStartedFunc: func() { close(started) },
	}
	h.serving.Go(func() { _ = h.server.ActivateAndServe() }) // ends without an error, when it is told to
	<-started
	return h
}

// hand hands the i-th datagram of a batch over. It is false when too many are waiting.
func (h *hatch) hand(i int, msg []byte, client netip.AddrPort) bool {
	if len(h.waiting) == cap(h.waiting) {
		return false // who hands over is the only one
	}
	p := &parcel{}
	p.n = copy(p.buf[:], msg)
	way := h.sock.Way(i)
	p.scope = way.Scope()
	// As package net has it: four bytes from a socket of IPv4, sixteen from others.
	ip := p.mem[:0]
	if a := client.Addr(); a.Is4() {
		b := a.As4()
		ip = append(ip, b[:]...)
	} else {
		b := a.As16()
		ip = append(ip, b[:]...)
	}
	copy(p.mem[net.IPv6len:], way[:])
	p.addr = net.UDPAddr{IP: ip, Port: int(client.Port())}
	h.waiting <- p
	return true
}

// finish ends it when CoreDNS has answered all that it got, after the last hand.
func (h *hatch) finish() {
	close(h.waiting)
	<-h.drained
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	_ = h.server.ShutdownContext(ctx) // who is late has no client any more
	h.serving.Wait()
}

// ReadFrom implements net.PacketConn.
func (h *hatch) ReadFrom(b []byte) (int, net.Addr, error) {
	p, ok := <-h.waiting
	if !ok {
		h.empty()
		<-h.over
		return 0, nil, os.ErrDeadlineExceeded
	}
	if p.scope > 0 {
		if i, err := net.InterfaceByIndex(p.scope); err == nil {
			p.addr.Zone = i.Name
		}
	}
	return copy(b, p.buf[:p.n]), &p.addr, nil
}

// WriteTo implements net.PacketConn.
func (h *hatch) WriteTo(b []byte, to net.Addr) (int, error) {
	a, ok := to.(*net.UDPAddr)
	if !ok || cap(a.IP) != len(parcel{}.mem) {
		return 0, &net.AddrError{Err: "nothing has come from there", Addr: to.String()}
	}
	way := datagram.Way(a.IP[net.IPv6len:cap(a.IP)])
	if err := h.sock.SendBack(&way, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close implements net.PacketConn. The socket is the lane's.
func (h *hatch) Close() error { return nil }

// LocalAddr implements net.PacketConn.
func (h *hatch) LocalAddr() net.Addr { return h.local }

// SetDeadline implements net.PacketConn.
func (h *hatch) SetDeadline(t time.Time) error { return h.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn: of deadlines only the one counts that the
// DNS library ends a read with, long ago.
func (h *hatch) SetReadDeadline(t time.Time) error {
	if !t.IsZero() && t.Unix() <= 1 {
		h.end()
	}
	return nil
}

// SetWriteDeadline implements net.PacketConn.
func (h *hatch) SetWriteDeadline(time.Time) error { return nil }
