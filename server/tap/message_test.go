package tap

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func randomExchange(r *rand.Rand) *Exchange {
	some := func(most int) []byte {
		b := make([]byte, r.IntN(most))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	addr := func(six bool) netip.AddrPort {
		// Ports and lengths of every size that a varint has.
		port := uint16(r.Uint32() >> (16 + r.IntN(16)))
		if !six {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(r.Uint32())}), port)
		}
		a := [16]byte{0x20, 1, 0xd, 0xb8, 15: byte(r.Uint32())}
		return netip.AddrPortFrom(netip.AddrFrom16(a), port)
	}
	six := r.IntN(2) == 0
	asked := time.Unix(r.Int64N(1<<33), r.Int64N(1e9))
	most := []int{2, 100, 200, 65536}[r.IntN(4)]
	x := &Exchange{
		Protocol: Protocol(1 + r.IntN(3)),
		Client:   addr(six), Server: addr(six),
		Zone:  string(some(255)),
		Query: some(most), Answer: some(most),
		Asked: asked, Answered: asked.Add(time.Duration(r.Int64N(1e9))),
	}
	if r.IntN(4) == 0 {
		x.Server = netip.AddrPortFrom(netip.Addr{}, x.Server.Port())
	}
	return x
}

// TestMessage reads what is encoded by the schema of dnstap.
func TestMessage(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	for range 3000 {
		x := randomExchange(r)
		identity, version := strings.Repeat("i", r.IntN(200)), strings.Repeat("v", r.IntN(200))
		about := aboutNode(identity, version)
		for _, response := range []bool{false, true} {
			f := frameOf(x, response)
			b := f.append(nil, about)
			if len(b) != f.whole(about) || int(binary.BigEndian.Uint32(b)) != len(b)-4 {
				t.Fatalf("%d bytes, announced %d, measured %d", len(b), binary.BigEndian.Uint32(b), f.whole(about))
			}
			m, err := decode(b[4:])
			if err != nil {
				t.Fatalf("%v: %x", err, b)
			}
			family := uint64(1)
			if x.Client.Addr().Is6() {
				family = 2
			}
			if m.identity != identity || m.version != version || m.protocol != uint64(x.Protocol) || m.family != family {
				t.Fatalf("%+v of %+v", m, x)
			}
			if m.from != x.Client.Addr() || m.to != x.Server.Addr() || m.fromPort != uint64(x.Client.Port()) || m.toPort != uint64(x.Server.Port()) {
				t.Fatalf("%v %d %v %d of %+v", m.from, m.fromPort, m.to, m.toPort, x)
			}
			if !m.asked.Equal(x.Asked) || m.hasAnswered != response || response && !m.answered.Equal(x.Answered) {
				t.Fatalf("%v %v of %+v", m.asked, m.answered, x)
			}
			if response {
				if m.kind != authResponse || m.query != nil || string(m.zone) != x.Zone || !bytes.Equal(m.response, x.Answer) || m.response == nil {
					t.Fatalf("%+v of %+v", m, x)
				}
			} else if m.kind != authQuery || m.response != nil || m.zone != nil || !bytes.Equal(m.query, x.Query) || m.query == nil {
				t.Fatalf("%+v of %+v", m, x)
			}
		}
	}
}

// open is a Recorder whose rings take records, and nobody takes them out.
func open(t testing.TB, c Config) (*Tap, *Recorder) {
	t.Helper()
	tap := New(nil)
	tap.Configure(&c)
	for _, r := range tap.stream.rings {
		r.open()
	}
	return tap, tap.Recorder()
}

func ordinary() *Exchange {
	return &Exchange{
		Protocol: UDP,
		Client:   netip.MustParseAddrPort("[2001:db8::1]:40000"), Server: netip.MustParseAddrPort("[2001:db8::53]:53"),
		Zone:  "\x04gslb\x07example\x03com\x00",
		Query: make([]byte, 50), Answer: make([]byte, 100),
		Asked: time.Unix(1.7e9, 1), Answered: time.Unix(1.7e9, 2),
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	tap, r := open(t, Config{Queries: true, Responses: true, Sample: 0.9, Buffer: MinBuffer})
	x := ordinary()
	out := make([]byte, 0, bundle)
	lane := tap.Lane()
	if n := testing.AllocsPerRun(10_000, func() {
		if r.Sampled() {
			r.Record(lane, x)
		}
		out, _ = r.rings[lane].take(out[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	// It is no different when nothing is taken out.
	if n := testing.AllocsPerRun(10_000, func() { r.Record(lane, x) }); n != 0 {
		t.Errorf("%v allocations when full", n)
	}
	if _, full, away := tap.counts(); full == 0 || away != 0 {
		t.Errorf("dropped %d full, %d away", full, away)
	}
}

// TestWhatIsRecorded chooses messages.
func TestWhatIsRecorded(t *testing.T) {
	for _, c := range []struct {
		queries, responses, answered bool
		want                         []uint64
	}{
		{true, true, true, []uint64{authQuery, authResponse}},
		{true, true, false, []uint64{authQuery}},
		{true, false, true, []uint64{authQuery}},
		{false, true, true, []uint64{authResponse}},
		{false, true, false, nil},
	} {
		_, r := open(t, Config{Queries: c.queries, Responses: c.responses, Sample: 1, Buffer: MinBuffer})
		x := ordinary()
		if !c.answered {
			x.Answer = nil
		}
		r.Record(0, x)
		b, frames := r.rings[0].take(make([]byte, 0, bundle))
		var got []uint64
		for len(b) > 0 {
			n := binary.BigEndian.Uint32(b)
			m, err := decode(b[4 : 4+n])
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, m.kind)
			b = b[4+n:]
		}
		if len(got) != frames || !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, %d frames", c, got, frames)
		}
	}
}

func TestSampled(t *testing.T) {
	const draws = 100_000
	for _, share := range []float64{0, 0.01, 0.5, 1} {
		r := newRecorder(&Config{Sample: share}, nil)
		n := 0
		for range draws {
			if r.Sampled() {
				n++
			}
		}
		// Ten standard deviations of the widest: chance alone does not get there.
		if got := float64(n) / draws; got < share-0.016 || got > share+0.016 || share == 1 && n != draws || share == 0 && n != 0 {
			t.Errorf("%v of the queries, want %v", got, share)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	tap, r := open(b, Config{Queries: true, Responses: true, Sample: 1, Buffer: MinBuffer})
	x := ordinary()
	out := make([]byte, 0, bundle)
	lane := tap.Lane()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Record(lane, x)
		if i%500 == 0 {
			b.StopTimer()
			for _, ring := range r.rings {
				for n := 1; n > 0; {
					_, n = ring.take(out)
				}
			}
			b.StartTimer()
		}
	}
	if _, full, _ := tap.counts(); full > 0 {
		b.Errorf("%d dropped", full)
	}
}
