package mouth

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// same compares what two parsed packets ask for, as far as an answer depends on it.
func same(t *testing.T, packet []byte, got, want *dnswire.Query) {
	t.Helper()
	const asked = 0xf<<opcodeShift | flagRD | flagAD | flagCD
	switch {
	case got.Status != want.Status, got.ID != want.ID, got.Flags != want.Flags&asked,
		got.Type != want.Type, got.Class != want.Class, !bytes.Equal(got.Name(), want.Name()),
		got.EDNS != want.EDNS, got.DO != want.DO, got.Version != want.Version, got.UDPSize != want.UDPSize,
		got.ECS != want.ECS, got.Padding != want.Padding, got.ZoneVersion != want.ZoneVersion:
		t.Errorf("%x:\n got %+v\nwant %+v", packet, got, want)
	}
	if g, w := got.Msg[dnswire.HeaderLen:got.QuestionEnd], want.Msg[dnswire.HeaderLen:want.QuestionEnd]; !bytes.Equal(g, w) {
		t.Errorf("%x: the question is %x and was %x", packet, g, w)
	}
}

// again parses a packet, and what is left of it after CoreDNS has taken it apart. It
// is false for what CoreDNS does not hand to plugins.
func again(packet []byte) (got, want *dnswire.Query, ok bool) {
	r := new(dns.Msg)
	if err := r.Unpack(packet); err != nil || len(r.Question) != 1 || r.Response || r.Opcode != dns.OpcodeQuery {
		return nil, nil, false
	}
	got, want = new(dnswire.Query), new(dnswire.Query)
	want.Parse(packet)
	got.Parse(appendQuery(nil, r))
	return got, want, true
}

// TestQuery asks in many ways.
func TestQuery(t *testing.T) {
	name := func(n string) *dns.Msg { return new(dns.Msg).SetQuestion(n, dns.TypeA) }
	subnet := func(family uint16, bits uint8, addr string) *dns.EDNS0_SUBNET {
		return &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: family, SourceNetmask: bits, Address: net.ParseIP(addr)}
	}
	edns := func(m *dns.Msg, size uint16, do bool, options ...dns.EDNS0) *dns.Msg {
		m.SetEdns0(size, do)
		m.IsEdns0().Option = options
		return m
	}
	checking := name("x.test.")
	checking.CheckingDisabled, checking.AuthenticatedData, checking.RecursionDesired = true, true, false
	for _, m := range []*dns.Msg{
		name("www.example.org."),
		name("WwW.eXample.ORG."),
		name("."),
		name(`a\.b.x\\y.test.`),
		name(`\000\255\032.test.`),
		name(`*._tcp.test.`),
		name(strings.Repeat("a", 63) + ".test."),
		name(strings.Repeat(strings.Repeat("b", 49)+".", 5)),
		name(strings.Repeat("c.", 127)),
		checking,
		edns(name("x.test."), 1232, false),
		edns(name("x.test."), 4096, true),
		edns(name("x.test."), 0, true),
		edns(name("x.test."), 1232, true, subnet(1, 24, "192.0.2.0")),
		edns(name("x.test."), 1232, true, subnet(1, 0, "0.0.0.0")),
		edns(name("x.test."), 1232, true, subnet(1, 19, "192.0.0.0")),
		edns(name("x.test."), 1232, true, subnet(2, 56, "2001:db8:1:200::")),
		edns(name("x.test."), 1232, true, subnet(2, 128, "2001:db8::1")),
		edns(name("x.test."), 1232, true, &dns.EDNS0_PADDING{Padding: make([]byte, 9)}, subnet(1, 32, "192.0.2.1")),
		edns(name("x.test."), 1232, false, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}),
	} {
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		got, want, ok := again(packet)
		if !ok {
			t.Fatalf("%x is not handed on", packet)
		}
		same(t, packet, got, want)
	}
}

// TestQueryRandom does the same with names of any octets.
func TestQueryRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		packet := []byte{byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32() & 1), 0, 0, 1, 0, 0, 0, 0, 0, 0}
		for size := 0; random.IntN(5) > 0; {
			n := 1 + random.IntN(63)
			if size += n + 1; size > 254 {
				break
			}
			packet = append(packet, byte(n))
			for range n {
				packet = append(packet, byte(random.Uint32()))
			}
		}
		packet = append(packet, 0, 0, 1, 0, 1)
		got, want, ok := again(packet)
		if !ok {
			t.Fatalf("%x is not handed on", packet)
		}
		same(t, packet, got, want)
	}
}

// FuzzQuery does the same with any packet: what differs is what dnswire refuses and
// the DNS library takes, or the other way round, and then it is an error in both or
// an answer to a part of what was asked.
func FuzzQuery(f *testing.F) {
	for _, m := range []*dns.Msg{new(dns.Msg).SetQuestion("www.example.org.", dns.TypeA), new(dns.Msg).SetQuestion(`a\.b.`, dns.TypeAAAA).SetEdns0(1232, true)} {
		if b, err := m.Pack(); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		got, want, ok := again(packet)
		if !ok || want.Status != dnswire.StatusOK {
			return
		}
		if got.Status != dnswire.StatusOK || got.Type != want.Type || !bytes.Equal(got.Name(), want.Name()) || got.ECS != want.ECS || got.DO != want.DO {
			t.Errorf("%x:\n got %+v\nwant %+v", packet, got, want)
		}
	})
}

// TestNoName has names that have no wire form, as a plugin before us may make them.
func TestNoName(t *testing.T) {
	for _, n := range []string{"", "a..b.", ".a.", strings.Repeat("a", 64) + ".", strings.Repeat("a.", 128), `\`, `a\25`, `\999.`} {
		m := &dns.Msg{Question: []dns.Question{{Name: n, Qtype: dns.TypeA, Qclass: dns.ClassINET}}}
		if b := appendQuery(nil, m); len(b) > 0 && n != "" && n != `a\25` {
			t.Errorf("%q became %x", n, b)
		}
	}
}

// TestWhence has the addresses that CoreDNS's transports have.
func TestWhence(t *testing.T) {
	ip, port := net.IPv4(192, 0, 2, 1), 5353
	for _, c := range []struct {
		addr      net.Addr
		transport dnswire.Transport
		client    string
	}{
		{&net.UDPAddr{IP: ip, Port: port}, dnswire.UDP, "192.0.2.1"},
		{&net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: port}, dnswire.TCP, "2001:db8::1"},
		{wrapped{&net.TCPAddr{IP: ip, Port: port}}, dnswire.TCP, "192.0.2.1"},
		{&net.UnixAddr{}, dnswire.UDP, ""},
	} {
		q := dnswire.Query{Client: netip.MustParseAddrPort("203.0.113.9:1")}
		whence(&q, c.addr)
		got := ""
		if a := q.Client.Addr(); a.IsValid() {
			got = a.Unmap().String()
		}
		if q.Transport != c.transport || got != c.client {
			t.Errorf("%v: %v from %q", c.addr, q.Transport, got)
		}
	}
}

type wrapped struct{ net.Addr }

func (w wrapped) Unwrap() net.Addr { return w.Addr }
