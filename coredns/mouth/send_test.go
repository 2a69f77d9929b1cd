package mouth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/metrics"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
)

const zones = `
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [p]}
      six: {pools: [six]}
      many: {pools: [many], answers: 0}
pools:
  p: {endpoints: [192.0.2.1]}
  six: {endpoints: ["2001:db8::1"]}
  many: {endpoints: [%s]}
`

func snapshot(t testing.TB) *resolve.Snapshot {
	t.Helper()
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("198.51.100.%d", i+1))
	}
	s, err := spec.Parse("test.yaml", fmt.Appendf(nil, zones, strings.Join(many, ", ")))
	if err != nil {
		t.Fatal(err)
	}
	e, err := rhumb.New(rhumb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.Prepare(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Commit(c); err != nil {
		t.Fatal(err)
	}
	return e.Snapshot()
}

// chain is what is between a plugin and the socket.
type chain struct {
	name   string
	packed bool
	wrap   func(w dns.ResponseWriter, then func(dns.ResponseWriter))
}

// next calls then as CoreDNS calls a plugin.
func next(w dns.ResponseWriter, then func(dns.ResponseWriter)) {
	h := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, _ *dns.Msg) (int, error) {
		then(w)
		return dns.RcodeSuccess, nil
	})
	_, _ = plugin.NextOrFailure("", h, context.Background(), w, nil)
}

var chains = []chain{
	{"nothing", true, func(w dns.ResponseWriter, then func(dns.ResponseWriter)) { then(w) }},
	{"a plugin", true, next},
	{"two plugins", true, func(w dns.ResponseWriter, then func(dns.ResponseWriter)) {
		next(w, func(w dns.ResponseWriter) { next(w, then) })
	}},
	{"prometheus", true, func(w dns.ResponseWriter, then func(dns.ResponseWriter)) { next(metrics.NewRecorder(w), then) }},
	{"log", false, func(w dns.ResponseWriter, then func(dns.ResponseWriter)) { next(dnstest.NewRecorder(w), then) }},
	{"a writer of somebody's", false, func(w dns.ResponseWriter, then func(dns.ResponseWriter)) {
		next(struct{ dns.ResponseWriter }{w}, then)
	}},
}

// TestSend compares the answers over every kind of chain, by UDP and TCP.
func TestSend(t *testing.T) {
	snap := snapshot(t)
	for _, network := range []string{"udp", "tcp"} {
		for _, c := range chains {
			t.Run(network+" "+c.name, func(t *testing.T) {
				var m Mouth
				addr := serve(t, network, dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
					c.wrap(request.NewScrubWriter(r, w), func(w dns.ResponseWriter) {
						if _, _, packed := bottom(w); packed != c.packed {
							t.Errorf("packed %v", packed)
						}
						d := m.Draft(snap, w, r)
						defer d.Done()
						if code, err := d.Send(w); err != nil || code != dns.RcodeSuccess {
							t.Errorf("%d, %v", code, err)
						}
					})
				}))
				for _, q := range []struct {
					name    string
					typ     uint16
					edns    bool
					rcode   int
					answers int
				}{
					{"wWw.X.test.", dns.TypeA, true, dns.RcodeSuccess, 1},
					{"www.x.test.", dns.TypeAAAA, false, dns.RcodeSuccess, 0},
					{"none.x.test.", dns.TypeA, true, dns.RcodeNameError, 0},
					{"many.x.test.", dns.TypeA, true, dns.RcodeSuccess, 100},
					{"elsewhere.test.", dns.TypeA, true, dns.RcodeRefused, 0},
				} {
					r := new(dns.Msg).SetQuestion(q.name, q.typ)
					if q.edns {
						r.SetEdns0(1232, false)
					}
					got, _, err := (&dns.Client{Net: network}).Exchange(r, addr)
					if err != nil {
						t.Fatal(err)
					}
					cut := network == "udp" && q.answers > 50
					if got.Rcode != q.rcode || got.Truncated != cut || !cut && len(got.Answer) != q.answers {
						t.Errorf("%s: %v", q.name, got)
					}
					if got.Question[0].Name != q.name {
						t.Errorf("the question %s went back as %s", q.name, got.Question[0].Name)
					}
					if (got.IsEdns0() != nil) != q.edns {
						t.Errorf("%s: EDNS %v", q.name, got.IsEdns0())
					}
					if q.rcode == dns.RcodeRefused == got.Authoritative {
						t.Errorf("%s: AA %v", q.name, got.Authoritative)
					}
				}
			})
		}
	}
}

// serve serves DNS on loopback until the test ends.
func serve(t testing.TB, network string, h dns.Handler) string {
	t.Helper()
	return serveWith(t, network, h, nil)
}

func serveWith(t testing.TB, network string, h dns.Handler, around dns.DecorateWriter) string {
	t.Helper()
	srv := &dns.Server{Handler: h, DecorateWriter: around}
	var addr net.Addr
	if network == "udp" {
		p, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		srv.PacketConn, addr = p, p.LocalAddr()
	} else {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		srv.Listener, addr = l, l.Addr()
	}
	started, over := make(chan struct{}), make(chan error)
	srv.NotifyStartedFunc = func() { close(started) }
	go func() { over <- srv.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		if err := srv.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return addr.String()
}

// TestRecorder checks what the plugin prometheus learns of an answer in bytes.
func TestRecorder(t *testing.T) {
	snap := snapshot(t)
	var m Mouth
	seen := make(chan *metrics.Recorder, 1)
	addr := serve(t, "udp", dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		rec := metrics.NewRecorder(request.NewScrubWriter(r, w))
		next(rec, func(w dns.ResponseWriter) {
			d := m.Draft(snap, w, r)
			defer d.Done()
			_, _ = d.Send(w)
		})
		seen <- rec
	}))
	got, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion("none.x.test.", dns.TypeA), addr)
	if err != nil {
		t.Fatal(err)
	}
	got.Compress = true
	if rec := <-seen; rec.Rcode != dns.RcodeNameError || rec.Len != got.Len() || rec.Plugin == "" {
		t.Errorf("code %d, %d octets, plugin %q; the answer had %d", rec.Rcode, rec.Len, rec.Plugin, got.Len())
	}
}

// mute is a writer whose client hears nothing.
type mute struct {
	dns.ResponseWriter
	from net.UDPAddr
}

func (m *mute) RemoteAddr() net.Addr        { return &m.from }
func (m *mute) Write(b []byte) (int, error) { return len(b), nil }

// TestAllocs has the whole way allocate nothing of its own.
func TestAllocs(t *testing.T) {
	if raced {
		t.Skip("a sync.Pool forgets at random while races are looked for")
	}
	snap := snapshot(t)
	var m Mouth
	r := new(dns.Msg).SetQuestion("www.x.test.", dns.TypeA)
	r.SetEdns0(1232, true)
	r.IsEdns0().Option = append(r.IsEdns0().Option, &dns.EDNS0_SUBNET{Family: 1, SourceNetmask: 24, Address: net.IPv4(192, 0, 2, 0)})
	w := &mute{from: net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 53}}
	if n := testing.AllocsPerRun(1000, func() {
		d := m.Draft(snap, w, r)
		if d.Answers() != 1 {
			t.Fatal("no answer")
		}
		_, _, _ = bottom(w)
		d.Done()
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestBeyond has the next plugin know something, nothing, say that there is no such
// name, and fail, in its own message or in CoreDNS's.
func TestBeyond(t *testing.T) {
	r := new(dns.Msg).SetQuestion("www.x.test.", dns.TypeTXT)
	txt, err := dns.NewRR("www.x.test. 60 IN TXT there")
	if err != nil {
		t.Fatal(err)
	}
	const success, failure = dns.RcodeSuccess, dns.RcodeServerFailure
	broken := errors.New("the upstream is gone")
	for _, c := range []struct {
		name   string
		answer func(*dns.Msg) // nil: it writes nothing, and returns
		code   int
		err    error
		wantM  bool
		want   int
	}{
		{"records", func(m *dns.Msg) { m.Answer = []dns.RR{txt} }, 0, nil, true, success},
		{"records, too many for the client", func(m *dns.Msg) { m.Truncated = true }, 0, nil, true, success},
		{"no data", func(*dns.Msg) {}, 0, nil, false, success},
		{"no name", func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }, 0, nil, false, success},
		{"refused", func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }, 0, nil, false, success},
		{"failed", func(m *dns.Msg) { m.Rcode = failure }, 0, nil, true, success},
		{"refused, and nothing written", nil, dns.RcodeRefused, nil, false, success},
		{"failed, and nothing written", nil, failure, nil, false, failure},
		{"failed, and why", nil, failure, broken, false, failure},
		{"nobody answers for the zone", nil, failure, nobody(t), false, success},
	} {
		for _, packed := range []bool{false, true} {
			h := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
				if c.answer == nil {
					return c.code, c.err
				}
				m := new(dns.Msg).SetReply(r)
				c.answer(m)
				if !packed {
					return m.Rcode, w.WriteMsg(m)
				}
				b, err := m.Pack()
				if err != nil {
					t.Error(err)
				}
				_, err = w.Write(b)
				return m.Rcode, err
			})
			m, code, err := Beyond(t.Context(), "x", h, &mute{}, r, false)
			if (m != nil) != c.wantM || code != c.want || errors.Is(err, broken) != errors.Is(c.err, broken) {
				t.Errorf("%s: %v, code %d, error %v", c.name, m, code, err)
			}
		}
	}
	// A wildcard of ours is for names that nobody has.
	for rcode, want := range map[int]bool{success: true, dns.RcodeNameError: false, dns.RcodeRefused: false} {
		h := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
			return rcode, w.WriteMsg(new(dns.Msg).SetRcode(r, rcode))
		})
		if m, code, err := Beyond(t.Context(), "x", h, &mute{}, r, true); (m != nil) != want || code != success || err != nil {
			t.Errorf("code %d, and ours is a wildcard: %v, code %d, error %v", rcode, m, code, err)
		}
	}
	if m, code, err := Beyond(t.Context(), "x", nil, &mute{}, r, false); m != nil || code != success || err != nil {
		t.Error("nobody has answered")
	}
}

// TestYield has the next plugin fail, in its own message or in CoreDNS's: the client gets
// one answer, which is CoreDNS's where the code that is returned says so.
func TestYield(t *testing.T) {
	var m Mouth
	r := new(dns.Msg).SetQuestion("www.x.test.", dns.TypeTXT)
	for _, c := range []struct {
		name   string
		writes bool
		code   int
		want   int // what is written
	}{
		{"in its own message", true, dns.RcodeSuccess, dns.RcodeServerFailure},
		{"in its own message, and with its code", true, dns.RcodeServerFailure, dns.RcodeServerFailure},
		{"in CoreDNS's", false, dns.RcodeServerFailure, -1},
		{"to know the zone", false, dns.RcodeRefused, dns.RcodeSuccess},
	} {
		next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
			if !c.writes {
				return c.code, nil
			}
			return c.code, w.WriteMsg(new(dns.Msg).SetRcode(r, dns.RcodeServerFailure))
		})
		w := &written{ResponseWriter: &mute{}}
		d := m.Draft(snapshot(t), w, r)
		yielded, code, err := d.Yield(t.Context(), "x", next, w, r)
		if !yielded {
			code, err = d.Send(w)
		}
		d.Done()
		if !plugin.ClientWrite(code) {
			w.codes = append(w.codes, -1)
		}
		if err != nil || len(w.codes) != 1 || w.codes[0] != c.want {
			t.Errorf("%s: answered with %v, error %v", c.name, w.codes, err)
		}
	}
}

// written notes the codes of the answers.
type written struct {
	dns.ResponseWriter
	codes []int
}

func (w *written) WriteMsg(m *dns.Msg) error {
	w.codes = append(w.codes, m.Rcode)
	return nil
}

// nobody is the error of CoreDNS for a plugin that is the last and has no answer.
func nobody(t *testing.T) error {
	code, err := plugin.NextOrFailure("file", nil, t.Context(), &mute{}, new(dns.Msg))
	if code != dns.RcodeServerFailure || err == nil {
		t.Fatalf("code %d, error %v", code, err)
	}
	return err
}

// TestDecorated has a server whose messages go by a writer of somebody else, as with
// the plugin shed: what is written as bytes would not.
func TestDecorated(t *testing.T) {
	snap := snapshot(t)
	var m Mouth
	passed := make(chan int, 1)
	addr := serveWith(t, "udp", dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		d := m.Draft(snap, w, r)
		defer d.Done()
		_, _ = d.Send(request.NewScrubWriter(r, w))
	}), func(w dns.Writer) dns.Writer { return counting{w, passed} })
	if _, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion("www.x.test.", dns.TypeA), addr); err != nil {
		t.Fatal(err)
	}
	select {
	case <-passed:
	default:
		t.Error("the answer went by it")
	}
}

type counting struct {
	dns.Writer
	passed chan int
}

func (c counting) Write(b []byte) (int, error) {
	c.passed <- len(b)
	return c.Writer.Write(b)
}
