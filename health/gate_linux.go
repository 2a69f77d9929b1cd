package health

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ownGate is the default gateway of this machine, as the kernel knows it.
type ownGate struct {
	at   hop
	conn *net.UDPConn // of the last knock
	sent time.Time
	last time.Time // of the last knock that was answered
	was  uint16    // the state of its entry among the neighbours at the last knock
	met  hop       // the one that was last seen to be there
	says hop       // the one that last refused a knock
}

// hop is the next host on the way to somewhere. Zero is none: the way ends in one of
// this machine's own networks, or there is none.
type hop struct {
	addr netip.Addr
	link int32
}

func newOwnGate() gate { return new(ownGate) }

// knockPort is one that nobody listens on, so that a host that is there says so: the
// first one of traceroute.
const knockPort = 33434

// The states of an entry among the neighbours (rtnetlink(7)): in those of alive its
// address is known, in those of dead it was asked for and nobody answered yet.
const (
	neighbourAlive = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE | unix.NUD_PERMANENT | unix.NUD_NOARP
	neighbourDead  = unix.NUD_INCOMPLETE | unix.NUD_FAILED
)

func (g *ownGate) knock(now time.Time, v6 bool) {
	g.answered()
	g.leave()
	if g.at = wayTo(beyond(v6)); g.at == (hop{}) {
		return
	}
	if g.was = g.at.state(); g.was&neighbourAlive != 0 {
		g.met = g.at
	}
	to := g.at.addr
	if to.IsLinkLocalUnicast() && to.Is6() {
		to = to.WithZone(strconv.Itoa(int(g.at.link)))
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, knockPort)))
	if err != nil {
		return
	}
	_, _ = c.Write([]byte{0})
	g.conn, g.sent = c, now
}

func (g *ownGate) answered() time.Time {
	if g.conn == nil {
		return g.last
	}
	said := false
	if raw, err := g.conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			no, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
			if said = err == nil && syscall.Errno(no) == unix.ECONNREFUSED; said {
				g.says = g.at
			}
		})
	}
	if !said && g.was&unix.NUD_REACHABLE == 0 {
		said = g.at.state()&unix.NUD_REACHABLE != 0
	}
	if said {
		g.last, g.met = g.sent, g.at
	}
	return g.last
}

func (g *ownGate) leave() {
	if g.conn != nil {
		_ = g.conn.Close()
		g.conn = nil
	}
}

func (g *ownGate) answers() bool { return g.at != (hop{}) && g.says == g.at }

func (g *ownGate) gone(to netip.Addr, near bool) string {
	out := wayTo(beyond(to.Is6()))
	switch {
	case out == (hop{}), near && g.met != out, !near && wayTo(to) != out, out.state()&neighbourDead == 0:
		return ""
	}
	return "the gateway " + out.addr.String() + " does not answer"
}

// beyond is an address that no network of this machine is likely to have, of those for
// documentation (RFC 5737, RFC 3849): the way there is the default one.
func beyond(v6 bool) netip.Addr {
	if v6 {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1})
	}
	return netip.AddrFrom4([4]byte{192, 0, 2, 1})
}

func familyOf(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// wayTo is the gateway that leads to an address.
func wayTo(to netip.Addr) (h hop) {
	to = to.Unmap().WithZone("")
	// struct rtmsg, of which only family and length count.
	m, err := askKernel(unix.RTM_GETROUTE, append([]byte{familyOf(to), byte(to.BitLen()), 11: 0}, attribute(unix.RTA_DST, to)...))
	if err != nil {
		return hop{}
	}
	attrs, err := syscall.ParseNetlinkRouteAttr(m)
	if err != nil {
		return hop{}
	}
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.RTA_GATEWAY:
			h.addr, _ = netip.AddrFromSlice(a.Value)
		case unix.RTA_OIF:
			if len(a.Value) == 4 {
				h.link = int32(binary.NativeEndian.Uint32(a.Value))
			}
		}
	}
	if !h.addr.IsValid() {
		return hop{}
	}
	return h
}

// state is that of the host's entry among the neighbours; 0 when there is none.
func (h hop) state() uint16 {
	if !h.addr.IsValid() {
		return 0
	}
	// struct ndmsg, of which only family and interface count.
	ask := binary.NativeEndian.AppendUint32([]byte{familyOf(h.addr), 3: 0}, uint32(h.link))
	m, err := askKernel(unix.RTM_GETNEIGH, append(append(ask, 0, 0, 0, 0), attribute(unix.NDA_DST, h.addr)...))
	if err != nil || len(m.Data) < 12 {
		return 0
	}
	return binary.NativeEndian.Uint16(m.Data[8:])
}

// attribute is an address as an attribute of a message.
func attribute(kind uint16, a netip.Addr) []byte {
	v := a.AsSlice()
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofRtAttr+len(v)))
	return append(binary.NativeEndian.AppendUint16(b, kind), v...)
}

var errNoAnswer = errors.New("netlink: no answer")

// askKernel asks for one object over rtnetlink(7), which answers within the call.
func askKernel(kind uint16, body []byte) (*syscall.NetlinkMessage, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST)
	b = append(append(b, 0, 0, 0, 1, 0, 0, 0, 0), body...)
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	room := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, room, 0)
	if err != nil {
		return nil, err
	}
	all, err := syscall.ParseNetlinkMessage(room[:n])
	if err != nil || len(all) == 0 || all[0].Header.Type == unix.NLMSG_ERROR {
		return nil, errNoAnswer
	}
	return &all[0], nil
}
