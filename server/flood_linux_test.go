package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFlood has three hosts: ours, one with honest clients, and one that floods
// us with ten times as much of each: random names, forged sources, garbage and
// connections. Clients with a cookie and over TCP get nine tenths of their
// answers at least, and the memory stays as it was.
func TestFlood(t *testing.T) {
	if alone(t, "what becomes of honest clients in a flood") {
		flood(t)
	}
}

const (
	floodRounds = 300
	floodTimes  = 10 // as much as the honest load
	floodConns  = 400
	// lossTimeout is how long an answer may take before it counts as lost. Nothing
	// waits for as long while all is well.
	lossTimeout = 2 * time.Second
	// floodGrowth is what the memory in use may grow by, of noise.
	floodGrowth = 4 << 20
)

func flood(t *testing.T) {
	if out, err := exec.Command("ip", "link", "add", "near0", "type", "veth", "peer", "name", "far0").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: what becomes of honest clients in a flood: the kernel has no veth: %s", out)
	}
	ip(t, "link add near1 type veth peer name far1")
	ip(t, "link set lo up")
	var on [2]func(func())
	for i := range on {
		thread, there := host(t)
		on[i] = there
		ip(t, fmt.Sprintf("link set far%d netns %d", i, thread))
		ip(t, fmt.Sprintf("addr add 10.77.%d.1/24 dev near%d", i, i))
		ip(t, fmt.Sprintf("link set near%d up", i))
		there(func() {
			ip(t, "link set lo up")
			ip(t, fmt.Sprintf("addr add 10.77.%d.9/24 dev far%d", i, i))
			ip(t, fmt.Sprintf("link set far%d up", i))
			ip(t, fmt.Sprintf("route add default via 10.77.%d.1", i))
		})
	}
	attackers, honest := on[0], on[1]
	// All of 10.78.0.0/16 are the attacker's own, 10.79.0.0/16 he only pretends.
	attackers(func() { ip(t, "route add local 10.78.0.0/16 dev lo") })
	ip(t, "route add 10.78.0.0/15 via 10.77.0.9")
	if t.Failed() {
		return
	}

	const perSecond, maxConns = 20, 100
	r := startSetup(t, Options{}, Setup{
		Listen: addresses("0.0.0.0:0"),
		Limits: Limits{MaxConns: maxConns, MaxPerClient: 20, PerSecond: -1},
		RateLimit: &RateLimit{
			Answers: perSecond, NoData: perSecond, NXDomains: perSecond, Referrals: perSecond, Errors: perSecond, Slip: 2, Accounts: 1024,
		},
	})
	port := r.Addrs()[0].Port()
	a := &attack{t: t, on: attackers, to: netip.AddrPortFrom(netip.MustParseAddr("10.77.0.1"), port), rng: rand.New(rand.NewPCG(1, 2))}
	a.open()
	defer a.close()
	h := &honestHost{t: t, on: honest, to: netip.AddrPortFrom(netip.MustParseAddr("10.77.1.1"), port).String()}
	h.open()
	defer h.close()

	var before uint64
	for round := range floodRounds {
		a.round()
		h.round(round)
		if 10*h.lost > floodRounds {
			t.Fatalf("%d answers are lost in %d rounds", h.lost, round+1)
		}
		if round == floodRounds/5 {
			before = memoryInUse()
		}
	}
	if after := memoryInUse(); after > before+floodGrowth {
		t.Errorf("%d bytes in use, %d in the beginning", after, before)
	}
	for series, least := range map[string]float64{
		`rhumb_dns_rate_limited_total{action="dropped",kind="nxdomain"}`: floodRounds,
		`rhumb_dns_rate_limited_total{action="slipped",kind="nxdomain"}`: floodRounds,
		`rhumb_dns_dropped_total{reason="not_a_query"}`:                  1,
		`rhumb_tcp_closed_total{reason="idle_for_new"}`:                  floodRounds,
	} {
		if got := r.metric(t, series); got < least {
			t.Errorf("%s is %v, want %v at least: was there a flood?", series, got, least)
		}
	}
	t.Logf("%d of %d answers lost, %d packets and %d connections of the attacker", h.lost, 3*floodRounds, a.packets, a.opened)
}

// memoryInUse is the memory of the heap and the stacks that is in use.
func memoryInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// attack is who floods.
type attack struct {
	t       *testing.T
	on      func(func())
	to      netip.AddrPort
	rng     *rand.Rand
	udp     *net.UDPConn
	raw     int
	conns   []net.Conn // the last ones, silent
	packets int
	opened  int
}

func (a *attack) open() {
	a.on(func() {
		var err error
		if a.udp, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(a.to)); err != nil {
			a.t.Error(err)
		}
		// RAW implies that the IP header is ours (raw(7)).
		if a.raw, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_RAW); err != nil {
			a.t.Error(err)
		}
	})
	if a.t.Failed() {
		a.t.FailNow()
	}
}

func (a *attack) close() {
	_ = a.udp.Close()
	_ = syscall.Close(a.raw)
	for _, c := range a.conns {
		_ = c.Close()
	}
}

// round floods once, ten times as much as a round of the honest.
func (a *attack) round() {
	for range floodTimes {
		a.send(query(a.t, 1, fmt.Sprintf("r%d.x.test.", a.rng.Uint64())))
		a.forge(query(a.t, 2, "www.x.test."))
		garbage := make([]byte, a.rng.IntN(80))
		for i := range garbage {
			garbage[i] = byte(a.rng.Uint32())
		}
		a.send(garbage)
		a.connect()
	}
}

// send sends a packet from the attacker's own address. The kernel may report
// what became of one before.
func (a *attack) send(msg []byte) {
	a.packets++
	if _, err := a.udp.Write(msg); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
		a.t.Error(err)
	}
}

// forge sends a packet from an address that is nobody's. The kernel fills in the
// length and the checksum of the IP header; the checksum of UDP may be left out.
func (a *attack) forge(msg []byte) {
	a.packets++
	b := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, syscall.IPPROTO_UDP, 0, 0, 10, 79, byte(a.rng.Uint32()), byte(a.rng.Uint32())}
	to := a.to.Addr().As4()
	b = append(b, to[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(1024+a.rng.IntN(60000)))
	b = binary.BigEndian.AppendUint16(b, a.to.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(msg)))
	b = append(append(b, 0, 0), msg...)
	if err := syscall.Sendto(a.raw, b, 0, &syscall.SockaddrInet4{Addr: to}); err != nil && !errors.Is(err, syscall.ENOBUFS) {
		a.t.Error(err)
	}
}

// connect opens a connection, half of them from one address and half from any
// of 65,536, and leaves it silent or with half a query.
func (a *attack) connect() {
	d := net.Dialer{Timeout: lossTimeout}
	if a.opened++; a.opened%2 == 0 {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(10, 78, byte(a.rng.Uint32()), byte(1+a.rng.IntN(250)))}
	}
	var c net.Conn
	var err error
	a.on(func() { c, err = d.Dial("tcp4", a.to.String()) })
	if err != nil {
		a.t.Error(err) // the kernel takes it in, whatever we do then
		return
	}
	if a.opened%3 == 0 {
		_, _ = c.Write([]byte{0, 40, 1, 2}) // it may be closed already
	}
	if a.conns = append(a.conns, c); len(a.conns) > floodConns {
		_ = a.conns[0].Close()
		a.conns = slices.Delete(a.conns, 0, 1)
	}
}

// honestHost has a client with a cookie, one with a connection that stays, and
// one that opens a connection for each query.
type honestHost struct {
	t      *testing.T
	on     func(func())
	to     string
	udp    net.Conn
	cookie []byte
	tcp    net.Conn
	lost   int
}

func (h *honestHost) dial(network string) net.Conn {
	var c net.Conn
	var err error
	h.on(func() { c, err = net.DialTimeout(network, h.to, lossTimeout) })
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *honestHost) open() {
	h.udp, h.tcp = h.dial("udp4"), h.dial("tcp4")
	h.cookie = []byte("12345678")
	if !h.exchange(h.udp, cookied(query(h.t, 0xffff, "www.x.test."), h.cookie), 0xffff) || len(h.cookie) != 24 {
		h.t.Fatalf("the cookie is %x", h.cookie)
	}
}

func (h *honestHost) close() {
	_ = h.udp.Close()
	_ = h.tcp.Close()
}

// round asks one question each.
func (h *honestHost) round(id int) {
	if !h.exchange(h.udp, cookied(query(h.t, uint16(id), "www.x.test."), h.cookie), uint16(id)) {
		h.lost++
	}
	msg := frame(query(h.t, uint16(id), "www.x.test."))
	if !h.exchange(h.tcp, msg, uint16(id)) {
		h.lost++
		_ = h.tcp.Close()
		h.tcp = h.dial("tcp4")
	}
	c := h.dial("tcp4")
	defer c.Close() //nolint:errcheck // a test's
	if !h.exchange(c, msg, uint16(id)) {
		h.lost++
	}
}

// exchange is whether a query has its answer in time. It learns the cookie.
func (h *honestHost) exchange(c net.Conn, msg []byte, id uint16) bool {
	if err := c.SetDeadline(time.Now().Add(lossTimeout)); err != nil {
		h.t.Fatal(err)
	}
	if _, err := c.Write(msg); err != nil {
		return false
	}
	stream := strings.HasPrefix(c.LocalAddr().Network(), "tcp")
	buf := make([]byte, 4096)
	for { // the answer to an earlier one may be late
		n, err := c.Read(buf)
		if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) && !stream {
				h.t.Log(err)
			}
			return false
		}
		out := buf[:n]
		if stream {
			out = out[min(2, n):]
		}
		if len(out) < 12 || binary.BigEndian.Uint16(out) != id {
			continue
		}
		if len(h.cookie) == 8 && !stream {
			h.cookie = slices.Clone(out[len(out)-24:])
		}
		return out[3]&15 == 0 && binary.BigEndian.Uint16(out[6:]) == 1
	}
}
