package lane

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestWho has several server blocks at one address: what is answered on the lane, what
// CoreDNS gets, and that the answers are right in either case.
func TestWho(t *testing.T) {
	i := start(t, 1, `
x.test:0 {
	bind 127.0.0.1
	errors
	any
	spot
	whoami
}
deep.x.test:0 off.test:0 {
	bind 127.0.0.1
	whoami
}
`)
	at := i.addr(0)
	for _, c := range []struct {
		name string
		typ  uint16
		want string
		lane bool
		with func(*dns.Msg)
	}{
		{"www.x.test.", dns.TypeA, "NOERROR 192.0.2.1", true, nil},
		{"wWw.X.test.", dns.TypeA, "NOERROR 192.0.2.1", true, nil},
		{"www.x.test.", dns.TypeMX, "NOERROR", true, nil},
		{"none.x.test.", dns.TypeA, "NXDOMAIN", true, nil},
		{"x.test.", dns.TypeA, "NOERROR", true, nil},
		{"www.x.test.", dns.TypeA, "NOERROR 192.0.2.1", true, func(m *dns.Msg) { m.SetEdns0(1232, true) }},
		// Of another block, of none, and of the one above.
		{"www.deep.x.test.", dns.TypeA, "NOERROR", false, nil},
		{"deep.x.test.", dns.TypeA, "NOERROR", false, nil},
		{"www.off.test.", dns.TypeA, "NOERROR", false, nil},
		{"test.", dns.TypeA, "REFUSED", false, nil},
		{".", dns.TypeA, "REFUSED", false, nil},
		{"ax.test.", dns.TypeA, "REFUSED", false, nil},
		// Of types that others have a say in.
		{"www.x.test.", dns.TypeTXT, "NOERROR", false, nil},
		{"www.x.test.", dns.TypeDS, "NOERROR", false, nil},
		{"www.x.test.", dns.TypeANY, `NOERROR "ANY obsoleted" "See RFC 8482"`, false, nil},
		// Of other kinds.
		{"www.x.test.", dns.TypeA, "REFUSED", false, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }},
		{"www.x.test.", dns.TypeA, "NOTIMP", false, func(m *dns.Msg) { m.Opcode = dns.OpcodeStatus }},
		{"www.x.test.", dns.TypeA, "BADVERS", false, func(m *dns.Msg) { m.SetEdns0(1232, true); m.IsEdns0().SetVersion(1) }},
	} {
		if c.with == nil {
			c.with = func(*dns.Msg) {}
		}
		answered, handed := uint64(1), uint64(0)
		if !c.lane {
			answered, handed = 0, 1
		}
		counting(t, answered, handed, func() {
			got := ask(t, at, c.name, c.typ, c.with)
			if s := short(got); s != c.want && !(c.want == "BADVERS" && strings.HasPrefix(s, "BAD")) {
				t.Errorf("%s %s: %s, want %s", c.name, dns.TypeToString[c.typ], s, c.want)
			}
		})
	}
}

// TestHandedOver looks at what CoreDNS sees of a query that is handed over: whoami says
// who asks. A signed one is verified, and so is its answer.
func TestHandedOver(t *testing.T) {
	const key, secret = "k.test.", "bWFkZSB1cCBmb3IgdGhpcyB0ZXN0"
	i := start(t, 1, `
x.test:0 {
	bind 127.0.0.1
	spot
}
who.test:0 {
	bind 127.0.0.1
	tsig {
		secret k.test. `+secret+`
	}
	whoami
}
`)
	c := &dns.Client{TsigSecret: map[string]string{key: secret}}
	m := new(dns.Msg).SetQuestion("me.who.test.", dns.TypeA)
	m.SetTsig(key, dns.HmacSHA256, 300, 0)
	m.Extra[0].(*dns.TSIG).TimeSigned = uint64(time.Now().Unix())
	conn, err := c.Dial(i.addr(0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // a test's
	counting(t, 0, 1, func() {
		got, _, err := c.ExchangeWithConn(m, conn)
		if err != nil {
			t.Fatal(err)
		}
		if got.IsTsig() == nil || got.IsTsig().Error != 0 {
			t.Errorf("not signed: %v", got)
		}
		who := conn.LocalAddr().(*net.UDPAddr).AddrPort()
		port, ip := false, false
		for _, rr := range got.Extra {
			switch rr := rr.(type) {
			case *dns.A:
				ip = rr.A.String() == who.Addr().String()
			case *dns.SRV:
				port = rr.Port == who.Port() && strings.HasPrefix(rr.Hdr.Name, "_udp.")
			}
		}
		if !port || !ip {
			t.Errorf("CoreDNS sees %v, and it is %v", got.Extra, who)
		}
	})
}

// TestAddresses asks at each address of sockets of both families, and of wildcard ones:
// DialUDP takes answers from the address only that was asked.
func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		bind string
		ask  []string
	}{
		{"bind 127.0.0.1", []string{"127.0.0.1"}},
		{"bind ::1", []string{"::1"}},
		{"", []string{"127.0.0.1", "127.0.0.2", "::1"}},
		{"bind 0.0.0.0", []string{"127.0.0.1", "127.0.0.2", "::1"}},
	} {
		t.Run(c.bind, func(t *testing.T) {
			i := start(t, 1, "x.test:0 {\n"+c.bind+"\nspot\n}\nwho.test:0 {\n"+c.bind+"\nwhoami\n}\n")
			for _, a := range c.ask {
				at := netip.AddrPortFrom(netip.MustParseAddr(a), i.addr(0).Port())
				counting(t, 1, 1, func() {
					if s := short(ask(t, at, "www.x.test.", dns.TypeA)); s != "NOERROR 192.0.2.1" {
						t.Errorf("%s: %s", a, s)
					}
					if got := ask(t, at, "who.test.", dns.TypeA); len(got.Extra) != 2 || at.Addr().Is4() != (got.Extra[0].Header().Rrtype == dns.TypeA) {
						t.Errorf("%s: %v", a, got)
					}
				})
			}
		})
	}
}

// TestWithout are the reasons why there is no lane. Everything is answered.
func TestWithout(t *testing.T) {
	const other = "\nother.test:0 {\n bind 127.0.0.1\n whoami\n}\n"
	for name, text := range map[string]string{
		"off":        "x.test:0 {\n bind 127.0.0.1\n spot off\n}\n",
		"log":        "x.test:0 {\n bind 127.0.0.1\n log\n spot\n}\n",
		"cache":      "x.test:0 {\n bind 127.0.0.1\n cache\n spot\n}\n",
		"tsig":       "x.test:0 {\n bind 127.0.0.1\n tsig {\n  secret k.test. bWFkZQ==\n }\n spot\n}\n",
		"view":       "x.test:0 {\n bind 127.0.0.1\n view v {\n  expr true\n }\n spot\n}\n",
		"shed":       "x.test:0 {\n bind 127.0.0.1\n shed\n spot\n}\n",
		"shed there": "x.test:0 {\n bind 127.0.0.1\n spot\n}\ny.test:0 {\n bind 127.0.0.1\n shed\n whoami\n}\n",
		"shed here":  "y.test:0 {\n bind 127.0.0.1\n shed\n whoami\n}\nx.test:0 {\n bind 127.0.0.1\n spot\n}\n",
	} {
		t.Run(name, func(t *testing.T) {
			i := start(t, 0, text+other)
			for range 2 {
				counting(t, 0, 0, func() {
					if s := short(ask(t, i.addr(0), "www.x.test.", dns.TypeA)); s != "NOERROR 192.0.2.1" {
						t.Error(s)
					}
				})
				// Where it serves, it has been decided to open a lane.
				k := keeping.Load()
				k.mu.Lock()
				ended := k.ended
				k.mu.Unlock()
				if ended {
					t.Fatal("it has ended")
				}
				k.opening.Wait()
			}
			if n := open(); n != 0 {
				t.Errorf("%d lanes are open", n)
			}
		})
	}
}

// TestDecorators has somebody else decorate the writers of an address, in a block before
// ours, in one behind it, and in ours: it is asked as if we were not there.
func TestDecorators(t *testing.T) {
	const spot, other = "x.test:0 {\n bind 127.0.0.1\n spot\n}\n", "y.test:0 {\n bind 127.0.0.1\n frame\n whoami\n}\n"
	for _, text := range []string{spot + other, other + spot, strings.Replace(spot, " spot", " frame\n spot", 1)} {
		before := framed.Load()
		i := start(t, 0, text)
		counting(t, 0, 0, func() { ask(t, i.addr(0), "www.x.test.", dns.TypeA) })
		if framed.Load() == before {
			t.Errorf("nothing has been written by the frame:\n%s", text)
		}
		i.Stop()
	}
}

// TestPanic has a query panic on the lane alone, and in CoreDNS too.
func TestPanic(t *testing.T) {
	i := start(t, 1, "x.test:0 {\n bind 127.0.0.1\n spot\n}\n")
	for _, c := range []struct {
		panics int64
		want   int
	}{{1, dns.RcodeNameError}, {2, dns.RcodeServerFailure}} {
		panicking.Load().Store(c.panics)
		counting(t, 0, 1, func() {
			if got := ask(t, i.addr(0), "panic.x.test.", dns.TypeA); got.Rcode != c.want {
				t.Errorf("%d panics: %v", c.panics, got)
			}
		})
	}
	counting(t, 1, 0, func() { ask(t, i.addr(0), "www.x.test.", dns.TypeA) })
}
