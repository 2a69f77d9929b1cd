package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// nameServer answers queries on a pipe: datagrams, or with stream messages behind
// their lengths.
func nameServer(c net.Conn, stream bool, answer func(q *dns.Msg, n int) [][]byte) {
	b := make([]byte, 4096)
	for n := 0; ; n++ {
		got, err := c.Read(b)
		if err != nil {
			return
		}
		msg := b[:got]
		if stream {
			msg = msg[2:]
		}
		q := new(dns.Msg)
		if q.Unpack(msg) != nil {
			return
		}
		for _, m := range answer(q, n) {
			if stream {
				m = append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)
			}
			if _, err := c.Write(m); err != nil {
				return
			}
		}
	}
}

// reply is an answer with records.
func reply(q *dns.Msg, rcode int, records ...string) *dns.Msg {
	m := new(dns.Msg).SetRcode(q, rcode)
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			panic(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	return m
}

func packed(m *dns.Msg) []byte {
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

func one(m *dns.Msg) [][]byte { return [][]byte{packed(m)} }

func TestDNS(t *testing.T) {
	const a = "www.example.com. 60 IN A 192.0.2.7"
	well := func(q *dns.Msg, _ int) [][]byte { return one(reply(q, dns.RcodeSuccess, a)) }
	truncated := func(q *dns.Msg, _ int) [][]byte {
		m := reply(q, dns.RcodeSuccess)
		m.Truncated = true
		return one(m)
	}
	cut := func(q *dns.Msg, _ int) [][]byte {
		m := reply(q, dns.RcodeSuccess, a)
		m.Truncated = true
		return [][]byte{packed(m)[:40]}
	}
	re := regexp.MustCompile
	for _, c := range []struct {
		name   string
		o      DNS
		udp    func(q *dns.Msg, n int) [][]byte
		tcp    func(q *dns.Msg, n int) [][]byte
		class  Class
		detail string
		took   time.Duration
	}{
		{"any answer", DNS{}, well, nil, ClassNone, "", 0},
		{"over TCP", DNS{TCP: true}, nil, well, ClassNone, "", 0},
		{"data", DNS{Expect: re(`^192\.0\.2\.7$`)}, well, nil, ClassNone, "", 0},
		{"one of several", DNS{Expect: re(`\.8$`)}, func(q *dns.Msg, _ int) [][]byte {
			return one(reply(q, 0, a, "www.example.com. 60 IN A 192.0.2.8"))
		}, nil, ClassNone, "", 0},
		{"other data", DNS{Expect: re(`^192\.0\.2\.9$`)}, well, nil, ClassValue, `none of 1 A records matches ^192\.0\.2\.9$`, 0},
		{"other types", DNS{Type: dns.TypeAAAA, Expect: re(`.`)}, well, nil, ClassValue, "the answer has no AAAA record", 0},
		{"texts", DNS{Type: dns.TypeTXT, Expect: re(`^"all" "is well"$`)}, func(q *dns.Msg, _ int) [][]byte {
			return one(reply(q, 0, `www.example.com. 60 IN TXT "all" "is well"`))
		}, nil, ClassNone, "", 0},
		{"types that are not known", DNS{Type: 65400, Expect: re(`(?i)^\\# 2 cafe$`)}, func(q *dns.Msg, _ int) [][]byte {
			return one(reply(q, 0, `www.example.com. 60 IN TYPE65400 \# 2 CAFE`))
		}, nil, ClassNone, "", 0},
		{"code", DNS{}, func(q *dns.Msg, _ int) [][]byte { return one(reply(q, dns.RcodeServerFailure)) }, nil, ClassStatus, "the answer is SERVFAIL, expected NOERROR", 0},
		{"expected code", DNS{RCode: dns.RcodeNameError}, func(q *dns.Msg, _ int) [][]byte { return one(reply(q, dns.RcodeNameError)) }, nil, ClassNone, "", 0},
		{"refused without a question", DNS{}, func(q *dns.Msg, _ int) [][]byte {
			m := reply(q, dns.RcodeFormatError)
			m.Question = nil
			return one(m)
		}, nil, ClassStatus, "the answer is FORMERR, expected NOERROR", 0},
		{"in another case", DNS{}, func(q *dns.Msg, _ int) [][]byte {
			m := reply(q, 0, a)
			m.Question[0].Name = strings.ToUpper(m.Question[0].Name)
			return one(m)
		}, nil, ClassNone, "", 0},
		{"datagrams of others before", DNS{}, func(q *dns.Msg, _ int) [][]byte {
			other, id, query := reply(q, 0), reply(q, 0), q.Copy()
			other.Question[0].Name = "other.example.com."
			id.Id++
			return [][]byte{{1}, packed(id), packed(query), packed(other), packed(reply(q, 0, a))}
		}, nil, ClassNone, "", 0},
		{"datagrams of others alone", DNS{}, func(q *dns.Msg, _ int) [][]byte {
			m := reply(q, 0)
			m.Id++
			return one(m)
		}, nil, ClassProtocol, "what came back answers another question, or none", 4 * time.Second},
		{"many datagrams", DNS{}, func(q *dns.Msg, _ int) [][]byte {
			m := reply(q, 0)
			m.Id++
			many := make([][]byte, maxStray+1)
			for i := range many {
				many[i] = packed(m)
			}
			return many
		}, nil, ClassProtocol, "more than 64 datagrams that are no answer", 0},
		{"malformed", DNS{}, func(q *dns.Msg, _ int) [][]byte { return [][]byte{packed(reply(q, 0, a))[:40]} }, nil, ClassProtocol, "the answer is malformed", 0},
		{"the first is lost", DNS{}, func(q *dns.Msg, n int) [][]byte {
			if n == 0 {
				return nil
			}
			return well(q, n)
		}, nil, ClassNone, "", time.Second},
		{"two are lost", DNS{}, func(q *dns.Msg, n int) [][]byte {
			if n < 2 {
				return nil
			}
			return well(q, n)
		}, nil, ClassNone, "", 2 * time.Second},
		{"all are lost", DNS{}, func(*dns.Msg, int) [][]byte { return nil }, nil, ClassTimeout, "timeout while waiting for the answer", 4 * time.Second},
		{"truncated", DNS{Expect: re("7$")}, truncated, well, ClassNone, "", 0},
		{"cut anywhere", DNS{Expect: re("7$")}, cut, well, ClassNone, "", 0},
		{"truncated, and no TCP", DNS{}, truncated, nil, ClassRefused, "over TCP, after a truncated answer: connection refused", 0},
		{"another question over TCP", DNS{TCP: true}, nil, func(q *dns.Msg, _ int) [][]byte {
			m := reply(q, 0)
			m.Question[0].Qtype = dns.TypeMX
			return one(m)
		}, ClassProtocol, "what came back answers another question, or none", 0},
		{"truncated over TCP", DNS{TCP: true}, nil, truncated, ClassProtocol, "the answer over TCP is truncated", 0},
		{"truncated over both", DNS{}, truncated, truncated, ClassProtocol, "over TCP, after a truncated answer: the answer over TCP is truncated", 0},
		{"cut anywhere over both", DNS{}, cut, cut, ClassProtocol, "over TCP, after a truncated answer: the answer over TCP is truncated", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ways := map[bool]*pipes{}
				way := func(stream bool, answer func(*dns.Msg, int) [][]byte) *network {
					p := &pipes{handle: func(conn net.Conn) { nameServer(conn, stream, answer) }}
					ways[stream] = p
					n := p.network()
					if answer == nil {
						n.dial = func(context.Context, netip.AddrPort) (net.Conn, error) {
							return nil, os.NewSyscallError("connect", errnoRefused[0])
						}
					}
					return n
				}
				c.o.Name = "www.example.com"
				p := must(t, c.o).(*dnsProber)
				p.udp, p.tcp = way(false, c.udp), way(true, c.tcp)
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
				defer cancel()
				r := p.Probe(ctx, somewhere)
				check(t, r, c.class, c.detail)
				if r.RTT != c.took {
					t.Errorf("took %v, want %v", r.RTT, c.took)
				}
				for _, p := range ways {
					if n := p.open.Load(); n != 0 {
						t.Errorf("%d sockets open", n)
					}
					p.peers.Wait()
				}
			})
		})
	}
}

// The end of the context ends the waiting between two attempts as well.
func TestDNSCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipes{handle: drain}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(1500*time.Millisecond, cancel)
		r := on(t, must(t, DNS{Name: "example.com"}), p.network()).Probe(ctx, somewhere)
		check(t, r, ClassCanceled, "canceled while waiting for the answer")
		if r.RTT != 1500*time.Millisecond {
			t.Errorf("took %v", r.RTT)
		}
		p.peers.Wait()
	})
}

// Over real sockets: ids are not told beforehand, and a port that nobody listens on
// refuses.
func TestDNSOverUDP(t *testing.T) {
	for _, addr := range families(t) {
		pc, err := net.ListenPacket("udp", net.JoinHostPort(addr, "0"))
		if err != nil {
			t.Fatal(err)
		}
		ap := pc.LocalAddr().(*net.UDPAddr).AddrPort()
		target := Target{Addr: ap.Addr(), Port: ap.Port()}
		ids := map[uint16]bool{}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b := make([]byte, 512)
			for {
				n, from, err := pc.ReadFrom(b)
				if err != nil {
					return
				}
				q := new(dns.Msg)
				if q.Unpack(b[:n]) == nil {
					ids[q.Id] = true
					_, _ = pc.WriteTo(packed(reply(q, 0, "example.com. 1 IN A 192.0.2.1")), from)
				}
			}
		}()
		for range 20 {
			check(t, must(t, DNS{Name: "example.com", Expect: regexp.MustCompile(`^192\.0\.2\.1$`)}).Probe(ctxFor(t, patience), target), ClassNone, "")
		}
		_ = pc.Close()
		<-ended
		if len(ids) < 15 {
			t.Errorf("20 queries had %d ids", len(ids))
		}
		check(t, must(t, DNS{Name: "example.com"}).Probe(ctxFor(t, patience), target), ClassRefused, "connection refused")
	}
}

func FuzzDNSAnswer(f *testing.F) {
	p, err := NewDNS(DNS{Name: "example.com", Expect: regexp.MustCompile(`^192\.0\.2\.1$`)})
	if err != nil {
		f.Fatal(err)
	}
	pr := p.(*dnsProber)
	q := new(dns.Msg)
	if err := q.Unpack(pr.query); err != nil {
		f.Fatal(err)
	}
	f.Add(packed(reply(q, 0, "example.com. 60 IN A 192.0.2.1")))
	f.Add(packed(reply(q, 3)))
	f.Add(append(packed(reply(q, 0))[:2], 0x82))
	f.Add([]byte(strings.Repeat("\xc0\x0c", 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 2 { // the id is not to be found
			b = bytes.Clone(b)
			copy(b, pr.query[:2])
			b[2] |= 0x80
		}
		m, ok, fl := pr.answer(b, pr.query)
		if ok && fl.failed() || ok && m == nil {
			t.Fatalf("%v %v %+v", m, ok, fl)
		}
		if !ok || m.Truncated {
			return
		}
		if f := pr.judge(m); !f.failed() && !bytes.Contains(b, []byte{192, 0, 2, 1}) {
			t.Errorf("%x is what was expected", b)
		} else if strings.ContainsAny(f.detail, "\r\n\x1b") {
			t.Errorf("%q", f.detail)
		}
	})
}
