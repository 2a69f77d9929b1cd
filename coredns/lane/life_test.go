package lane

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coredns/coredns/plugin/metrics"
	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/coredns/rig"
	"github.com/rhumb-dns/rhumb/server/datagram"
)

// tallyOf counts for the zones of a plugin prometheus that nobody asks.
func tallyOf(zones ...string) *tally {
	m := metrics.New("127.0.0.1:0")
	for _, z := range zones {
		m.AddZone(z)
	}
	return &tally{metrics: m, server: "dns://test", plugin: "spot"}
}

// load asks until it is told to stop: a query after the other by each of some clients,
// each of which must be answered.
type load struct {
	t     *testing.T
	asked atomic.Int64
	over  atomic.Bool
	all   sync.WaitGroup
}

func (i *instance) load(t *testing.T, clients int) *load {
	l := &load{t: t}
	for k := range clients {
		name := "www.x.test."
		if k%3 == 2 {
			name = "who.test." // which is handed over
		}
		msg, err := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
		if err != nil {
			t.Fatal(err)
		}
		c := dial(t, i.addr(0))
		l.all.Go(func() {
			b := make([]byte, 1024)
			for id := uint16(0); !l.over.Load(); id++ {
				binary.BigEndian.PutUint16(msg, id)
				if _, err := c.Write(msg); err != nil {
					t.Error(err)
					return
				}
				if n, err := c.Read(b); err != nil || n < 12 || binary.BigEndian.Uint16(b) != id {
					t.Errorf("query %d has no answer: %v", id, err)
					return
				}
				l.asked.Add(1)
			}
		})
	}
	return l
}

// more waits until some more have been answered.
func (l *load) more() {
	l.t.Helper()
	n := l.asked.Load() + 200
	rig.Until(l.t, "nothing is answered any more", func() bool { return l.t.Failed() || l.asked.Load() >= n })
}

func (l *load) stop() {
	l.over.Store(true)
	l.all.Wait()
}

// TestReload reloads CoreDNS while it is asked, to Corefiles with a lane, with more of
// them, and with none. Not one query may be lost.
func TestReload(t *testing.T) {
	text := func(spot string, sockets int) string {
		return fmt.Sprintf("x.test:0 {\n bind 127.0.0.1\n multisocket %d\n spot %s\n}\nwho.test:0 {\n bind 127.0.0.1\n multisocket %[1]d\n whoami\n}\n", sockets, spot)
	}
	i := start(t, 1, text("on", 1))
	l := i.load(t, 6)
	defer l.stop()
	for _, c := range []struct {
		spot  string
		lanes int
	}{{"on", 1}, {"off", 0}, {"on", 1}, {"on", 1}} {
		l.more()
		i.reload(c.lanes, text(c.spot, 1))
		if c.lanes > 0 {
			before, _ := sum()
			rig.Until(t, "the lane gets nothing", func() bool { now, _ := sum(); return t.Failed() || now > before+100 })
		}
	}
	l.more()
	l.stop()
}

// TestMultisocket has several sockets, and a lane for each of them, all of which get
// something, also after a reload.
func TestMultisocket(t *testing.T) {
	text := fmt.Sprintf("x.test:%d {\n bind 127.0.0.1\n multisocket 3\n spot\n}\nwho.test:%[1]d {\n bind 127.0.0.1\n multisocket 3\n whoami\n}\n", freePort(t))
	i := start(t, 3, text)
	l := i.load(t, 6)
	defer l.stop()
	for range 2 {
		groups.Lock()
		for _, g := range groups.of {
			g.mu.Lock()
			places := map[int]bool{}
			for _, l := range g.lanes {
				places[l.place] = true
			}
			if len(places) != 3 || places[0] || places[1] || places[2] {
				t.Errorf("the lanes are at %v", places)
			}
			g.mu.Unlock()
		}
		groups.Unlock()
		_, handed := sum()
		l.more()
		if _, now := sum(); now == handed {
			t.Error("nothing has been handed over")
		}
		i.reload(3, text)
	}
	l.stop()
}

// TestEnd sends many queries and ends CoreDNS at once, as a signal does. All of them are
// answered.
func TestEnd(t *testing.T) {
	i := start(t, 1, "x.test:0 {\n bind 127.0.0.1\n spot\n}\nwho.test:0 {\n bind 127.0.0.1\n whoami\n}\n")
	const clients, each = 10, 100
	var queries [each][]byte
	for id := range queries {
		name := "who.test."
		if id%4 == 0 {
			name = "www.x.test."
		}
		m := new(dns.Msg).SetQuestion(name, dns.TypeA)
		m.Id = uint16(id)
		var err error
		if queries[id], err = m.Pack(); err != nil {
			t.Fatal(err)
		}
	}
	var all []*net.UDPConn
	for range clients {
		all = append(all, dial(t, i.addr(0)))
	}
	for _, c := range all {
		for _, q := range queries {
			if _, err := c.Write(q); err != nil {
				t.Fatal(err)
			}
		}
	}
	i.Stop()
	for k, c := range all {
		seen := map[uint16]bool{}
		b := make([]byte, 1024)
		for range each {
			if _, err := c.Read(b); err != nil {
				t.Fatalf("client %d has %d of %d: %v", k, len(seen), each, err)
			}
			seen[binary.BigEndian.Uint16(b)] = true
		}
		if len(seen) != each {
			t.Errorf("client %d has %d answers", k, len(seen))
		}
	}
}

// TestPlaces has sockets of somebody else at the same address come and go. The lane's
// place is another one then, and it is found again.
func TestPlaces(t *testing.T) {
	i := start(t, 1, "x.test:0 {\n bind 127.0.0.1\n spot\n}\n")
	var others []*datagram.Socket
	for range 2 {
		s, err := datagram.Join(i.addr(0))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close() //nolint:errcheck // a test's
		others = append(others, s)
	}
	groups.Lock()
	g := groups.of[i.addr(0)]
	l := g.lanes[0]
	groups.Unlock()
	place := func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return l.place
	}
	if p := place(); p != 1 {
		t.Fatalf("it is at place %d", p)
	}
	// The next one takes the place of the lane that was there: the last one moves.
	second, err := datagram.Join(i.addr(0))
	if err != nil {
		t.Fatal(err)
	}
	l2 := begin(l.survey, l.generation+1, second)
	if err := enter(l2); err != nil {
		t.Fatal(err)
	}
	defer func() { leave(l2)(); l2.end() }()
	_ = others[0].Close()
	g.mu.Lock()
	err = g.steer()
	at := l2.place
	g.mu.Unlock()
	if err != nil || at != 2 {
		t.Errorf("it is at place %d: %v", at, err)
	}
	counting(t, 20, 0, func() {
		for range 20 {
			ask(t, i.addr(0), "www.x.test.", dns.TypeA)
		}
	})
}

// TestFinish ends a hatch while many datagrams wait, and their answers take time: it ends
// when the last one has been given.
func TestFinish(t *testing.T) {
	sock, err := datagram.Join(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close() //nolint:errcheck // a test's
	msg, err := new(dns.Msg).SetQuestion("x.test.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, sock.Addr()).Write(msg); err != nil {
		t.Fatal(err)
	}
	if _, err := sock.Receive(0); err != nil {
		t.Fatal(err)
	}
	var served atomic.Int64
	h := newHatch(sock, nil, func(dns.ResponseWriter, *dns.Msg) {
		for range 10 {
			runtime.Gosched()
		}
		served.Add(1)
	})
	const many = 2000
	_, from := sock.Message(0)
	for range many {
		if !h.hand(0, msg, from) {
			t.Fatal("too many are waiting")
		}
	}
	h.finish()
	if n := served.Load(); n != many {
		t.Errorf("%d of %d have been served", n, many)
	}
	full := &hatch{waiting: make(chan *parcel)}
	if full.hand(0, msg, from) {
		t.Error("one waits where nobody may")
	}
}

// TestHatch has nothing but addresses that it has returned take an answer.
func TestHatch(t *testing.T) {
	h := &hatch{local: &net.UDPAddr{}}
	for _, a := range []net.Addr{&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 53}, &net.TCPAddr{}} {
		if _, err := h.WriteTo([]byte{0}, a); err == nil {
			t.Errorf("an answer has gone to %v", a)
		}
	}
}
