package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
)

const (
	floodPort = 5353
	// floodSilent is how many silent connections the attacker keeps.
	floodSilent = 400
	// floodLost is when an answer counts as lost.
	floodLost = 2 * time.Second
)

var (
	floodServer = netip.MustParseAddrPort("10.77.0.1:5353") // as the attacker sees it
	floodHonest = netip.MustParseAddrPort("10.77.1.1:5353") // as the honest see it
)

// floodLacks is what there must be for floods; empty when all is there.
func floodLacks() string {
	if os.Geteuid() != 0 {
		return "It needs root, for network namespaces and forged sources: sudo env PATH=$PATH go run ./bench -only flood"
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return "It needs the program ip (iproute2)."
	}
	return ""
}

// apart gives a process a network namespace of its own.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET} }

// floodCommand is the process in the namespace. It prints what became of the
// honest in each flood.
func floodCommand(args []string) error {
	var o floodOrder
	if len(args) != 1 {
		return errors.New("flood is for the benchmark itself: go run ./bench -only flood")
	}
	if err := json.Unmarshal([]byte(args[0]), &o); err != nil {
		return err
	}
	hosts, err := floodHosts()
	if err != nil {
		return err
	}
	p, err := floodPeer(&o)
	if err != nil {
		return err
	}
	defer p.end()
	var all []flooded
	for i, what := range floods {
		f, err := floodRounds(&o, hosts, i)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		f.Flood, f.Memory = what, resident(p.pid())
		all = append(all, *f)
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

// floodPeer starts the server.
func floodPeer(o *floodOrder) (*peer, error) {
	p := &peer{name: "rhumb", dir: filepath.Join(o.Dir, "flood"), addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), floodPort)}
	path, err := p.write("rhumb.yaml", fmt.Sprintf(`dns:
  listen: ["0.0.0.0:%d"]
  rate_limit: {responses_per_second: 20, slip: 2, accounts: 1024}
  tcp: {max_connections: 100, max_per_client: 20, connections_per_second: 0}
admin: {listen: "127.0.0.1:0"}
log: {level: error}
`, floodPort)+rhumbServices(steerOne, 1))
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(o.Rhumb, "serve", "-c", path)
	return p.launch(1)
}

// there runs a function on another host, on a thread in a namespace of its own.
type there func(func())

// floodHosts lays wires to two hosts: the attacker, to whom 10.78.0.0/16 belongs
// and 10.79.0.0/16 does not, and the honest.
func floodHosts() (hosts [2]there, err error) {
	var errs []error
	ip := func(commands ...string) {
		for _, c := range commands {
			if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
				errs = append(errs, fmt.Errorf("ip %s: %w: %s", c, err, out))
			}
		}
	}
	ip("link set lo up")
	for i := range hosts {
		tasks, tid := make(chan func()), make(chan int, 1)
		go func() {
			runtime.LockOSThread() // for good: the thread ends with the process
			if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
				errs = append(errs, fmt.Errorf("unshare: %w", err))
			}
			tid <- syscall.Gettid()
			for f := range tasks {
				f()
			}
		}()
		hosts[i] = func(f func()) {
			done := make(chan struct{})
			tasks <- func() {
				defer close(done)
				f()
			}
			<-done
		}
		thread := <-tid
		ip(
			fmt.Sprintf("link add near%d type veth peer name far%d", i, i),
			fmt.Sprintf("link set far%d netns %d", i, thread),
			fmt.Sprintf("addr add 10.77.%d.1/24 dev near%d", i, i),
			fmt.Sprintf("link set near%d up", i))
		hosts[i](func() {
			ip("link set lo up",
				fmt.Sprintf("addr add 10.77.%d.9/24 dev far%d", i, i),
				fmt.Sprintf("link set far%d up", i),
				fmt.Sprintf("route add default via 10.77.%d.1", i))
		})
	}
	hosts[0](func() { ip("route add local 10.78.0.0/16 dev lo") })
	ip("route add 10.78.0.0/15 via 10.77.0.9")
	return hosts, errors.Join(errs...)
}

// floodRounds has the honest ask one question of each kind for each ten of the
// attacker's, of one of the floods.
func floodRounds(o *floodOrder, hosts [2]there, flood int) (*flooded, error) {
	a := &attacker{on: hosts[0], rng: rand.New(rand.NewPCG(uint64(flood), 2))}
	h := &honest{on: hosts[1]}
	defer a.close()
	defer h.close()
	if err := errors.Join(a.open(), h.open()); err != nil {
		return nil, err
	}
	f := &flooded{}
	begin := time.Now()
	for id := range o.Rounds {
		for range floodTimes {
			if err := a.send(flood); err != nil {
				return nil, err
			}
		}
		for kind := range honestKinds {
			asked := time.Now()
			f.Asked[kind]++
			if h.ask(kind, uint16(id)) {
				f.Answered[kind]++
				f.Worst = max(f.Worst, time.Since(asked))
			}
		}
	}
	f.Took, f.Packets, f.Opened = time.Since(begin), a.packets, a.opened
	return f, nil
}

func floodQuery(id uint16, name string, option []byte) ([]byte, error) {
	n, err := dnswire.ParseName(name)
	if err != nil {
		return nil, err
	}
	q := dnswire.AppendQuery(nil, n, dnswire.TypeA, netip.Prefix{})
	q = q[:dnswire.HeaderLen+len(n)+4] // without an OPT record, of which there is ours or none
	binary.BigEndian.PutUint16(q, id)
	binary.BigEndian.PutUint16(q[10:], 0)
	if option != nil {
		q[11] = 1
		q = append(q, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, byte(4+len(option)), 0, 10, 0, byte(len(option)))
		q = append(q, option...)
	}
	return q, nil
}

// attacker floods.
type attacker struct {
	on              there
	rng             *rand.Rand
	udp             *net.UDPConn
	raw             int
	conns           []net.Conn // the last ones, silent
	packets, opened int
}

func (a *attacker) open() (err error) {
	a.raw = -1
	a.on(func() {
		if a.udp, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(floodServer)); err == nil {
			// RAW implies that the IP header is ours (raw(7)).
			a.raw, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_RAW)
		}
	})
	return err
}

func (a *attacker) close() {
	if a.udp != nil {
		_ = a.udp.Close()
	}
	if a.raw >= 0 {
		_ = syscall.Close(a.raw)
	}
	for _, c := range a.conns {
		_ = c.Close()
	}
}

// send sends one of a flood, or of each when it is the last one.
func (a *attacker) send(flood int) error {
	all := flood == len(floods)-1
	if all || flood == 1 {
		q, err := floodQuery(1, fmt.Sprintf("r%d.%s.", a.rng.Uint64(), zoneName), nil)
		if err != nil {
			return err
		}
		a.packets++
		_, _ = a.udp.Write(q) // what the kernel says of an earlier one is no matter
	}
	if all || flood == 2 {
		q, err := floodQuery(2, serviceName(0), nil)
		if err != nil {
			return err
		}
		a.packets++
		if err := a.forge(q); err != nil {
			return err
		}
	}
	if all || flood == 3 {
		b := make([]byte, a.rng.IntN(80))
		for i := range b {
			b[i] = byte(a.rng.Uint32())
		}
		a.packets++
		_, _ = a.udp.Write(b)
	}
	if all || flood == 4 {
		a.connect()
	}
	return nil
}

// forge sends from an address that is nobody's. The kernel fills in the length
// and the checksum of the IP header; that of UDP may be left out.
func (a *attacker) forge(msg []byte) error {
	b := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, syscall.IPPROTO_UDP, 0, 0, 10, 79, byte(a.rng.Uint32()), byte(a.rng.Uint32())}
	to := floodServer.Addr().As4()
	b = append(b, to[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(1024+a.rng.IntN(60000)))
	b = binary.BigEndian.AppendUint16(b, floodPort)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(msg)))
	b = append(b, 0, 0)
	err := syscall.Sendto(a.raw, append(b, msg...), 0, &syscall.SockaddrInet4{Addr: to})
	if errors.Is(err, syscall.ENOBUFS) {
		return nil
	}
	return err
}

// connect opens a connection from one of the attacker's many addresses.
func (a *attacker) connect() {
	from := net.IPv4(10, 78, byte(a.rng.Uint32()), byte(a.rng.Uint32()))
	a.on(func() {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Timeout: floodLost}
		if c, err := d.Dial("tcp4", floodServer.String()); err == nil {
			a.conns = append(a.conns, c)
			a.opened++
		}
	})
	if len(a.conns) > floodSilent {
		_ = a.conns[0].Close()
		a.conns = slices.Delete(a.conns, 0, 1)
	}
}

// honest has a client of each kind.
type honest struct {
	on     there
	udp    net.Conn
	cookie []byte
	tcp    net.Conn
}

func (h *honest) dial(network string) (c net.Conn, err error) {
	h.on(func() { c, err = net.DialTimeout(network, floodHonest.String(), floodLost) })
	return c, err
}

func (h *honest) open() (err error) {
	if h.udp, err = h.dial("udp4"); err != nil {
		return err
	}
	if h.tcp, err = h.dial("tcp4"); err != nil {
		return err
	}
	h.cookie = []byte("12345678")
	for range 10 { // the account of this network may be in use up by the flood before
		if h.ask(0, 0xffff) && len(h.cookie) == 24 {
			return nil
		}
	}
	return errors.New("no cookie")
}

func (h *honest) close() {
	for _, c := range []net.Conn{h.udp, h.tcp} {
		if c != nil {
			_ = c.Close()
		}
	}
}

// ask is whether a query of a kind has its answer in time.
func (h *honest) ask(kind int, id uint16) bool {
	option := h.cookie
	if kind > 0 {
		option = nil
	}
	msg, err := floodQuery(id, serviceName(0), option)
	if err != nil {
		return false
	}
	if kind == 0 {
		return h.datagram(msg, id)
	}
	msg = append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
	if kind == 1 {
		if h.tcp == nil || askOnce(h.tcp, msg, floodLost) != nil {
			if h.tcp != nil {
				_ = h.tcp.Close()
			}
			h.tcp, _ = h.dial("tcp4")
			return false
		}
		return true
	}
	c, err := h.dial("tcp4")
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	return askOnce(c, msg, floodLost) == nil
}

// datagram asks over UDP, and learns the cookie.
func (h *honest) datagram(msg []byte, id uint16) bool {
	if err := h.udp.SetDeadline(time.Now().Add(floodLost)); err != nil {
		return false
	}
	if _, err := h.udp.Write(msg); err != nil {
		return false
	}
	b := make([]byte, 4096)
	for { // the answer to an earlier one may be late
		n, err := h.udp.Read(b)
		if err != nil {
			return false
		}
		if n < dnswire.HeaderLen || binary.BigEndian.Uint16(b) != id {
			continue
		}
		if len(h.cookie) == 8 && n > 24 {
			h.cookie = slices.Clone(b[n-24 : n])
		}
		return b[3]&15 == 0 && b[7] == 1
	}
}
