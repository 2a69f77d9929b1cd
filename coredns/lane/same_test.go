package lane

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/rhumb-dns/rhumb/coredns/mouth"
)

// query makes a query that a client may send, or nearly one. CoreDNS answers each of
// them, one way or another.
func query(r *rand.Rand) []byte {
	names := []string{"www.x.test.", "six.x.test.", "many.x.test.", "far.x.test.", "x.test.", "none.x.test.", "a.b.c.none.x.test.", "ns1.x.test.", "y.test.", "x.test.y.test.", ".", "test.", "deep.x.test.", "w\\.w.x.test.", "\\000\\255.x.test."}
	types := []uint16{dns.TypeA, dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeCNAME, dns.TypeSOA, dns.TypeNS, dns.TypeDS, dns.TypeMX, dns.TypeHTTPS, dns.TypeRRSIG, 65000}
	pick := func(n int) bool { return r.IntN(n) == 0 }
	m := new(dns.Msg).SetQuestion(names[r.IntN(len(names))], types[r.IntN(len(types))])
	m.RecursionDesired, m.CheckingDisabled, m.AuthenticatedData = pick(2), pick(4), pick(4)
	if pick(30) {
		m.Question[0].Qclass = uint16(r.IntN(5))
	}
	if pick(40) {
		m.Opcode = r.IntN(6)
	}
	m.Authoritative, m.Zero = pick(50), pick(50)
	if !pick(4) {
		m.SetEdns0([]uint16{0, 512, 1232, 1232, 1232, 4096, 65535}[r.IntN(7)], pick(2))
		o := m.IsEdns0()
		if pick(40) {
			o.SetVersion(1)
		}
		if pick(3) {
			o.Option = append(o.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"})
		}
		if pick(8) {
			nsid := &dns.EDNS0_NSID{Code: dns.EDNS0NSID}
			if pick(4) { // which makes it longer than what CoreDNS reads
				nsid.Nsid = strings.Repeat("00", 600)
			}
			o.Option = append(o.Option, nsid)
		}
		for range 2 {
			switch {
			case pick(3):
				o.Option = append(o.Option, &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(r.IntN(33)), Address: net.IPv4(78, 16, byte(r.IntN(256)), byte(r.IntN(256)))})
			case pick(8):
				o.Option = append(o.Option, &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 2, SourceNetmask: uint8(r.IntN(129)), Address: net.ParseIP("2a01:e0a:1:2:3:4:5:6"), SourceScope: uint8(r.IntN(20) / 19)})
			}
		}
		if pick(10) {
			o.Option = append(o.Option, &dns.EDNS0_LOCAL{Code: uint16(r.IntN(30)), Data: make([]byte, r.IntN(9))})
		}
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	if pick(20) { // what nobody sends
		switch r.IntN(3) {
		case 0:
			b = b[:12+r.IntN(len(b)-12)]
		case 1:
			b = append(b, make([]byte, r.IntN(600))...)
		default:
			b[2+r.IntN(len(b)-2)] = byte(r.Uint32())
		}
		b[2] &^= 0x80 // a response is not answered
	}
	return b
}

// TestSame sends queries to a server with a lane and to one without, and compares the
// answers byte by byte.
func TestSame(t *testing.T) {
	const text = `
x.test:0 {
	bind 127.0.0.1
	errors
	spot %s
	whoami
}
deep.x.test:0 {
	bind 127.0.0.1
	whoami
}
`
	off := start(t, 0, fmt.Sprintf(text, "off"))
	on := start(t, 1, fmt.Sprintf(text, "on"))
	a, b := dial(t, on.addr(0)), dial(t, off.addr(0))
	r := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	before, _ := sum()
	for range 4000 {
		q := query(r)
		got, want := exchange(t, a, q), exchange(t, b, q)
		// whoami says at which port somebody asks.
		if m := new(dns.Msg); m.Unpack(got) == nil && len(m.Extra) > 1 {
			continue
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("query %x:\non the lane %x\nby CoreDNS %x", q, got, want)
		}
	}
	after, _ := sum()
	if after-before < 1000 {
		t.Errorf("the lane has answered %d", after-before)
	}
}

// counted are the metrics of requests that a gathering has, by name and labels. The
// name of the server is left out.
func counted(t *testing.T, server string) map[string]string {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key, mine := f.GetName(), false
			for _, l := range m.GetLabel() {
				if l.GetName() == "server" {
					mine = l.GetValue() == server
				} else {
					key += " " + l.GetName() + "=" + l.GetValue()
				}
			}
			if mine && f.GetName() != "coredns_lane_datagrams_total" && f.GetName() != "coredns_lane_sockets" && f.GetName() != "coredns_plugin_enabled" {
				out[key] = value(f.GetType(), m)
			}
		}
	}
	return out
}

// value is all that a metric says but how long requests took.
func value(kind dto.MetricType, m *dto.Metric) string {
	if kind != dto.MetricType_HISTOGRAM {
		return fmt.Sprint(m.GetCounter().GetValue())
	}
	h := m.GetHistogram()
	s := fmt.Sprint(h.GetSampleCount())
	if len(m.GetLabel()) == 4 { // sizes have the protocol
		s += fmt.Sprint(" ", h.GetSampleSum(), h.GetBucket())
	}
	return s
}

// TestPrometheus has the same queries come by a lane and without one. The plugin
// prometheus must count the same.
func TestPrometheus(t *testing.T) {
	const text = `
x.test:%d ten.x.test:%[1]d {
	bind 127.0.0.1
	prometheus 127.0.0.1:0
	errors
	spot %s
	whoami
}
`
	r := rand.New(rand.NewPCG(2, uint64(time.Now().UnixNano())))
	var queries [][]byte
	for range 1000 { // of which about one in five is answered on a lane
		queries = append(queries, query(r))
	}
	var got [2]map[string]string
	for k, with := range []string{"off", "on"} {
		// The server's name is a label: it must have its port.
		port := freePort(t)
		i := start(t, k, fmt.Sprintf(text, port, with))
		c := dial(t, i.addr(0))
		for _, q := range queries {
			exchange(t, c, q)
		}
		answered, handed := sum()
		if k == 1 && (answered < 100 || handed < 100) {
			t.Errorf("%d answered on lanes, %d handed over", answered, handed)
		}
		i.Stop() // the last of them have been counted then
		got[k] = counted(t, fmt.Sprintf("dns://127.0.0.1:%d", port))
	}
	if len(got[0]) < 20 {
		t.Errorf("there are %d metrics", len(got[0]))
	}
	for key, want := range got[0] {
		if got[1][key] != want {
			t.Errorf("%s: %s on the lane, %s without", key, got[1][key], want)
		}
		delete(got[1], key)
	}
	for key := range got[1] {
		t.Errorf("%s is there on the lane only", key)
	}
}

// freePort is a port of loopback that is free for UDP and TCP, and never the same one
// twice: what is counted of a server goes by its port.
func freePort(t *testing.T) uint16 {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		// CoreDNS shares sockets of UDP with whoever else does: somebody else's would
		// get a part of the queries, or all of them.
		c, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			_ = c.Close()
		}
		_ = l.Close()
		port := l.Addr().(*net.TCPAddr).AddrPort().Port()
		if err == nil && !given[port] {
			given[port] = true
			return port
		}
	}
}

// given are the ports of freePort.
var given = map[uint16]bool{}

// alone is a lane that has no socket, for what it answers.
func alone() *lane {
	v := &survey{}
	v.blocks.put("\x01x\x04test\x00", &block{answerer: &spot{}})
	v.blocks.put("\x04deep\x01x\x04test\x00", nil)
	return &lane{survey: v, draft: mouth.OwnDraft()}
}

// deaf is a writer of nobody's.
type deaf struct {
	dns.ResponseWriter
	from net.UDPAddr
}

func (d *deaf) RemoteAddr() net.Addr { return &d.from }

// FuzzAnswer has any datagrams come to a lane. What it answers must be what CoreDNS
// would, had its library taken the query apart.
func FuzzAnswer(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		f.Add(query(r))
	}
	l, m, from := alone(), mouth.Mouth{}, netip.MustParseAddrPort("127.0.0.1:5353")
	v6 := netip.MustParseAddrPort("[::ffff:127.0.0.1]:5353")
	w := &deaf{from: *net.UDPAddrFromAddrPort(from)}
	room := make([]byte, 0, 1<<17)
	f.Fuzz(func(t *testing.T, msg []byte) {
		was := bytes.Clone(msg)
		got := l.answer(room, msg, v6)
		if !bytes.Equal(msg, was) {
			t.Fatal("the datagram is another one now")
		}
		if len(got) == 0 {
			return
		}
		r := new(dns.Msg)
		if err := r.Unpack(msg); err != nil || len(r.Question) != 1 || r.Question[0].Qclass != dns.ClassINET || len(msg) > dns.MinMsgSize {
			t.Fatalf("CoreDNS would not answer %v: %v", r, err)
		}
		if n := r.Len(); n != len(msg) {
			t.Fatalf("CoreDNS counts a size of %d, and not %d", n, len(msg))
		}
		d := m.Draft(snap, w, r)
		defer d.Done()
		if !bytes.Equal(got, d.Bytes()) {
			t.Fatalf("on the lane %x\nby CoreDNS %x", got, d.Bytes())
		}
	})
}

// TestAllocs has the lane allocate nothing, also while it counts.
func TestAllocs(t *testing.T) {
	l, room := alone(), make([]byte, 0, 1<<17)
	from := netip.MustParseAddrPort("127.0.0.1:5353")
	m := new(dns.Msg).SetQuestion("www.x.test.", dns.TypeA)
	m.SetEdns0(1232, true)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"})
	msg, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, counts := range []bool{false, true} {
		if counts {
			b := l.blocks.of["\x01x\x04test\x00"]
			b.tally = tallyOf("x.test.")
			b.tally.refresh()
		}
		if n := testing.AllocsPerRun(1000, func() {
			if len(l.answer(room, msg, from)) == 0 {
				t.Fatal("no answer")
			}
		}); n > 0 {
			t.Errorf("counting %v: %v allocations", counts, n)
		}
	}
}
