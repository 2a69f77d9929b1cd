package server

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
)

// laborious is a configuration with what makes an answer costly: many records,
// chains as long as they are followed, names of as many labels as there can be,
// delegations with many name servers.
func laborious() string {
	var many []string
	for i := range 250 {
		many = append(many, fmt.Sprintf("10.0.0.%d", i))
	}
	lines := []string{"*.wild A 192.0.2.9", "old DNAME old.new", "deep.new A 192.0.2.1", "self DNAME x.self"}
	for i := range 20 {
		lines = append(lines, fmt.Sprintf("c%d CNAME c%d", i, i+1), fmt.Sprintf("*.w%d CNAME a.w%d", i, i+1), fmt.Sprintf("d%d DNAME d%d", i, i+1))
	}
	lines = append(lines, "c20 A 192.0.2.2", "*.w20 A 192.0.2.2", "a.d20 A 192.0.2.2")
	for i := range 30 {
		lines = append(lines, fmt.Sprintf("sub NS n%d.sub", i), fmt.Sprintf("n%d.sub A 192.0.2.%d", i, i), fmt.Sprintf("n%d.sub AAAA 2001:db8::%d", i, i),
			fmt.Sprintf("mx MX 1 m%d", i), fmt.Sprintf("m%d A 192.0.2.%d", i, i), fmt.Sprintf("txt TXT %s%d", strings.Repeat("t", 200), i))
	}
	return "pools: {many: {endpoints: [" + strings.Join(many, ", ") + "]}}\nzones: {x.test: {nameservers: {ns1: 192.0.2.53}, services: {big: {pools: [many], answers: 0}, one: {pools: [many], steer: weighted}}, records: ['" +
		strings.Join(lines, "', '") + "']}}\n"
}

// costly are packets that cost as much as one can.
func costly(t testing.TB) map[string][]byte {
	t.Helper()
	labels := func(n int, end string) string { return strings.Repeat("a.", n) + end }
	out := map[string][]byte{}
	for _, name := range []string{
		"one.x.test.", "big.x.test.", "c0.x.test.", "a.w0.x.test.", "a.d0.x.test.", "a.self.x.test.", labels(118, "self.x.test."), labels(120, "x.test."),
		labels(117, "wild.x.test."), labels(118, "old.x.test."), labels(118, "sub.x.test."), labels(126, "a."), "mx.x.test.", "txt.x.test.",
	} {
		for _, qtype := range []dnswire.Type{dnswire.TypeA, dnswire.TypeMX, dnswire.TypeTXT, dnswire.TypeANY} {
			out[fmt.Sprintf("%.30s %d octets %s", name, len(name), qtype)] = asking(t, name, qtype)
		}
	}
	head := []byte{0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1}
	out["a pointer at itself"] = append(bytes.Clone(head), 0xc0, 12, 0, 1, 0, 1)
	plain := asking(t, "one.x.test.", dnswire.TypeA)
	options := func(n int, option []byte) []byte {
		b := bytes.Clone(plain)
		opts := bytes.Repeat(option, n)
		b[len(b)-2], b[len(b)-1] = byte(len(opts)>>8), byte(len(opts))
		return append(b, opts...)
	}
	out["16,000 unknown options"] = options(16000, []byte{0xff, 0, 0, 0})
	out["an option of 65,000 octets"] = options(1, append([]byte{0xff, 0, 0xfd, 0xe8}, make([]byte, 65000)...))
	out["12,000 NSID options"] = options(12000, []byte{0, 3, 0, 0})
	records := bytes.Clone(plain[:len(plain)-dnswire.PlainOPT])
	records[10], records[11] = 0x15, 0x7c // 5,500 additional records
	out["5,500 records"] = append(records, bytes.Repeat([]byte{0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0}, 5500)...)
	return out
}

func BenchmarkCostly(b *testing.B) {
	snap := snapshot(b, laborious())
	s := New(Options{Snapshot: func() *resolve.Snapshot { return snap }})
	for name, msg := range costly(b) {
		b.Run(name, func(b *testing.B) {
			w := s.newWorker(dnswire.UDP, s.tcpCount)
			buf := make([]byte, 0, dnswire.MaxUDP)
			from := netip.MustParseAddrPort("192.0.2.1:53")
			b.ReportAllocs()
			for b.Loop() {
				w.begin()
				w.answer(buf, msg, from)
			}
		})
	}
}

// TestCostly holds the work for any packet to bounds that can be counted: it
// takes no memory but that of the answer, the answer is no longer than the
// client takes, and a chain ends after 16 steps, each with two records at most.
func TestCostly(t *testing.T) {
	snap := snapshot(t, laborious())
	for _, transport := range []dnswire.Transport{dnswire.UDP, dnswire.TCP} {
		s := New(Options{Snapshot: func() *resolve.Snapshot { return snap }})
		s.configure(&Setup{RateLimit: &RateLimit{Answers: 1, NXDomains: 1, Errors: 1, Referrals: 1, NoData: 1, Slip: 2, DryRun: true}})
		w := s.newWorker(transport, s.tcpCount)
		buf := make([]byte, 0, dnswire.MaxTCP)
		from := netip.MustParseAddrPort("192.0.2.1:53")
		for name, msg := range costly(t) {
			var out []byte
			answer := func() {
				w.begin()
				out = w.answer(buf, msg, from)
			}
			// Each endpoint has a counter, made by the first query that it answers.
			for seen, since := 0, 0; since < 500; since++ {
				if answer(); len(w.count.endpoints) > seen {
					seen, since = len(w.count.endpoints), 0
				}
			}
			if n := testing.AllocsPerRun(20, answer); n != 0 {
				t.Errorf("%s over %d: %v allocations", name, transport, n)
			}
			if len(out) == 0 || len(out) > w.q.Limit() {
				t.Errorf("%s over %d: %d octets; the client takes %d", name, transport, len(out), w.q.Limit())
				continue
			}
			if n := binary.BigEndian.Uint16(out[6:]); n > 2*16 && !strings.HasPrefix(name, "big") {
				t.Errorf("%s over %d: %d records", name, transport, n)
			}
		}
	}
}

// FuzzAnswer takes whatever packet along the whole road of a query over UDP,
// with and without limits. Nothing is sent that is larger than what may be sent
// to a forged source, nor anything to what is no query, and what is beyond a
// limit goes out no longer than the query and a cookie.
func FuzzAnswer(f *testing.F) {
	snap := snapshot(f, laborious())
	for _, msg := range costly(f) {
		if len(msg) < 1024 {
			f.Add(msg)
		}
	}
	f.Add(cookied(asking(f, "one.x.test.", dnswire.TypeA), []byte("12345678")))
	f.Add(cookied(asking(f, "none.x.test.", dnswire.TypeA), []byte("1234567812345678")))
	const size = 600
	workers := map[string]*worker{}
	for name, setup := range map[string]*Setup{
		"free":    {NoCookieSize: size},
		"limited": {NoCookieSize: size, RateLimit: &RateLimit{Answers: 1, NoData: 1, NXDomains: 1, Referrals: 1, Errors: 1, All: 1, Slip: 1}},
		"denied":  {Access: Access{Deny: loopback}},
	} {
		s := New(Options{Snapshot: func() *resolve.Snapshot { return snap }})
		s.configure(setup)
		workers[name] = s.newWorker(dnswire.UDP, s.tcpCount)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		for name, w := range workers {
			before := []byte("before")
			w.begin()
			for range 3 { // the second and third are beyond every limit
				out := w.answer(before, msg, netip.MustParseAddrPort("127.0.0.1:53"))
				if string(out[:len(before)]) != "before" {
					t.Fatal("what was in the buffer has changed")
				}
				out = out[len(before):]
				query := len(msg) >= dnswire.HeaderLen && msg[2]&0x80 == 0
				if query != (len(out) > 0) {
					t.Fatalf("%s: %d octets to %x", name, len(out), msg)
				}
				if !query {
					continue
				}
				if out[2]&0x80 == 0 || out[0] != msg[0] || out[1] != msg[1] {
					t.Fatalf("%s: %x is no answer to %x", name, out, msg)
				}
				if len(out) > size && w.q.CookieState != dnswire.CookieValid {
					t.Fatalf("%s: %d octets", name, len(out))
				}
			}
			// Options of the query, such as NSID, are not in what is beyond a limit.
			out := w.answer(nil, msg, netip.MustParseAddrPort("127.0.0.1:53"))
			if name == "limited" && len(out) > len(msg)+dnswire.ServerCookieLen && w.q.QuestionEnd > dnswire.HeaderLen {
				t.Fatalf("%d octets to %d beyond the limit: %x", len(out), len(msg), out)
			}
		}
	})
}
