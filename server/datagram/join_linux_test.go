package datagram_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/server/datagram"
)

// joined are three sockets of one address, by their places.
func joined(t *testing.T, addr string) []*datagram.Socket {
	t.Helper()
	var all []*datagram.Socket
	for range 3 {
		s, err := datagram.Join(netip.MustParseAddrPort(addr))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		all = append(all, s)
		addr = s.Addr().String()
	}
	return all
}

// TestSteer has all that comes go to one of several sockets, to two by turns, and by a
// probe to any.
func TestSteer(t *testing.T) {
	all := joined(t, "127.0.0.1:0")
	probe := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	send := func(msg string) {
		write(t, dial(t, all[0].Addr()), "%s", msg)
	}
	const many = 64
	for place, s := range all {
		if err := all[1].Steer([]uint8{uint8(place)}, probe); err != nil {
			t.Fatal(err)
		}
		for range many {
			send("to one")
		}
		for got := 0; got < many; {
			got += turn(t, s)
		}
		for i, other := range all {
			send(string(probe[:]) + string(rune(i)))
			if _, err := other.Receive(0); err != nil {
				t.Fatal(err)
			}
			if msg, _ := other.Message(0); len(msg) != 9 || int(msg[8]) != i {
				t.Errorf("place %d has got %q", i, msg)
			}
		}
	}
	if err := all[0].Steer([]uint8{0, 2}, probe); err != nil {
		t.Fatal(err)
	}
	for range many {
		send("to two")
	}
	a, b := turn(t, all[0]), turn(t, all[2])
	for late := time.Now().Add(patience); a+b < many && time.Now().Before(late); {
		a += all[0].ReceiveRest()
		b += all[2].ReceiveRest()
	}
	if a+b != many || a < many/8 || b < many/8 {
		t.Errorf("%d and %d of %d", a, b, many)
	}
	// A place where nobody is, and none at all: any of them gets it.
	for _, to := range [][]uint8{{9}, {}} {
		if err := all[0].Steer(to, probe); err != nil {
			t.Fatal(err)
		}
		for range many {
			send("to any")
		}
		n := 0
		for late := time.Now().Add(patience); n < many && time.Now().Before(late); {
			for _, s := range all {
				n += s.ReceiveRest()
			}
		}
		if n != many {
			t.Errorf("%d of %d", n, many)
		}
	}
	if err := all[0].Unsteer(); err != nil {
		t.Error(err)
	}
}

// TestWay answers later, and twice, from the address that was asked.
func TestWay(t *testing.T) {
	for _, c := range []struct {
		bind string
		ask  []string
	}{
		{"127.0.0.1:0", []string{"127.0.0.1"}},
		{"[::1]:0", []string{"::1"}},
		{"0.0.0.0:0", []string{"127.0.0.1", "127.0.0.2", "::1"}},
		{"[::]:0", []string{"127.0.0.1", "127.0.0.2", "::1"}},
	} {
		s := joined(t, c.bind)[0]
		if err := s.Steer([]uint8{0}, [8]byte{}); err != nil {
			t.Fatal(err)
		}
		for _, a := range c.ask {
			client := dial(t, netip.AddrPortFrom(netip.MustParseAddr(a), s.Addr().Port()))
			write(t, client, "first")
			if _, err := s.Receive(0); err != nil {
				t.Fatal(err)
			}
			way := s.Way(0)
			_, from := s.Message(0)
			if from.Port() != client.LocalAddr().(*net.UDPAddr).AddrPort().Port() || way.Scope() != 0 {
				t.Errorf("%s at %s: from %v, scope %d", a, c.bind, from, way.Scope())
			}
			write(t, client, "second")
			turn(t, s)
			for range 2 {
				if err := s.SendBack(&way, []byte("late")); err != nil {
					t.Fatal(err)
				}
			}
			if x, y, z := read(t, client), read(t, client), read(t, client); x != "re: second" || y != "late" || z != "late" {
				t.Errorf("%s at %s: %q, %q, %q", a, c.bind, x, y, z)
			}
		}
		way := s.Way(0)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s.SendBack(&way, []byte("too late")) == nil {
			t.Error("a closed socket sends")
		}
	}
}
