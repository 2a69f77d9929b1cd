package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// hunter is the password of every login here.
const hunter = "hunter2-correct-horse"

var upMetric = Prometheus{Metric: "up", Expect: []Condition{{"=", "1"}}, Headers: map[string]string{"Authorization": "Bearer " + hunter}}

// dialogue is what a server says: each turn once it has heard something, the first
// at once where it greets. It cannot see what it hears.
type dialogue struct {
	greets bool
	turns  []string
}

// play holds the conversation on c; say is how it talks.
func (s dialogue) play(c net.Conn, say func(io.Writer, string) error) {
	buf := make([]byte, 1<<16)
	for i, turn := range s.turns {
		if i > 0 || !s.greets {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
		if say(c, turn) != nil {
			return
		}
	}
	_, _ = io.Copy(io.Discard, c)
}

func fluently(w io.Writer, s string) error {
	if s == "" {
		return nil // a pipe would wait until somebody reads it
	}
	_, err := io.WriteString(w, s)
	return err
}

// talker is a prober and a conversation that satisfies it.
type talker struct {
	name   string
	probe  any
	script dialogue
	// endless is the beginning of an answer without an end, as the last turn, and
	// what it goes on with; class is what comes of it.
	endless, more string
	class         Class
}

func myPacket(seq byte, payload string) string {
	n := len(payload)
	return string([]byte{byte(n), byte(n >> 8), byte(n >> 16), seq}) + payload
}

func myGreeting(version, plugin string) string {
	caps := uint32(capLongPassword | capWithDB | capProtocol41 | capSSL | capTransactions | capSecure | capPluginAuth)
	low, high := make([]byte, 2), make([]byte, 2)
	binary.LittleEndian.PutUint16(low, uint16(caps))
	binary.LittleEndian.PutUint16(high, uint16(caps>>16))
	return "\x0a" + version + "\x00" + "\x01\x00\x00\x00" + "01234567" + "\x00" + string(low) + "\x2d" + "\x02\x00" +
		string(high) + "\x15" + strings.Repeat("\x00", 10) + "89abcdefghij\x00" + plugin + "\x00"
}

const (
	myOK  = "\x00\x00\x00\x02\x00\x00\x00"
	myEOF = "\xfe\x00\x00\x02\x00"
)

// myRows is a result of one column.
func myRows(values ...string) string {
	b := myPacket(1, "\x01") + myPacket(2, myColumn("v")) + myPacket(3, myEOF)
	seq := byte(4)
	for _, v := range values {
		b += myPacket(seq, string([]byte{byte(len(v))})+v)
		seq++
	}
	return b + myPacket(seq, myEOF)
}

func myColumn(name string) string {
	return "\x03def\x00\x00\x00" + string([]byte{byte(len(name))}) + name + "\x00\x0c\x2d\x00\x01\x00\x00\x00\xfd\x00\x00\x00\x00\x00"
}

func pgMessage(kind byte, payload string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(payload)))) + payload
}

func pgAuth(request uint32, payload string) string {
	return pgMessage('R', string(binary.BigEndian.AppendUint32(nil, request))+payload)
}

func pgErr(code string) string {
	return pgMessage('E', "SFATAL\x00VFATAL\x00C"+code+"\x00Mpassword "+hunter+" of rhumb\x00\x00")
}

var pgReady = pgMessage('Z', "I")

func pgRow(value string) string {
	b := binary.BigEndian.AppendUint16(nil, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return pgMessage('D', string(b)+value)
}

func pgRows(values ...string) string {
	b := pgMessage('T', "\x00\x01v\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x19\xff\xff\xff\xff\xff\xff\x00\x00")
	for _, v := range values {
		b += pgRow(v)
	}
	return b + pgMessage('C', "SELECT 1\x00") + pgReady
}

const okMetrics = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\r\n"

var (
	myIn   = []string{myPacket(0, myGreeting("8.4.0", nativePassword)), myPacket(2, myOK)}
	pgIn   = []string{pgAuth(pgAuthMD5, "salt"), pgAuth(pgAuthOK, "") + pgMessage('S', "TimeZone\x00UTC\x00") + pgMessage('K', "12345678") + pgReady}
	myTurn = func(more ...string) dialogue { return dialogue{true, append(append([]string{}, myIn...), more...)} }
	pgTurn = func(more ...string) dialogue { return dialogue{false, append(append([]string{}, pgIn...), more...)} }
)

var talkers = []talker{
	{
		"mysql",
		MySQL{User: "u", Password: hunter, Query: "SELECT 1", Expect: []Condition{{"=", "1"}}},
		myTurn(myPacket(1, myOK), myRows("1")),
		myPacket(1, "\x01") + myPacket(2, myColumn("v")) + myPacket(3, myEOF), "", ClassOversize,
	},
	{
		"postgres",
		Postgres{User: "u", Password: hunter, Query: "SELECT 1", Expect: []Condition{{"=", "1"}}},
		pgTurn(pgRows("1")),
		pgMessage('T', "\x00\x00"), pgRow("1") + pgMessage('N', "SNOTICE\x00\x00"), ClassOversize,
	},
	{
		"redis",
		Redis{Password: hunter, Command: []string{"GET", "x"}, Expect: []Condition{{"=", "1"}}},
		dialogue{false, []string{"+OK\r\n", "$1\r\n1\r\n"}},
		"*65000\r\n", "$10\r\n0123456789\r\n", ClassOversize,
	},
	{
		"prometheus", upMetric,
		dialogue{false, []string{"HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n# TYPE up gauge\nup 1\n"}},
		okMetrics, "other{label=\"value\"} 1\n", ClassOversize,
	},
}

// hear probes a conversation in a bubble, with two seconds, and says how long it took.
func hear(t *testing.T, o any, handle func(net.Conn)) (r Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := pipes{handle: handle}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		r = on(t, must(t, o), p.network()).Probe(ctx, somewhere)
		if n := p.open.Load(); n != 0 {
			t.Errorf("%d connections open after the probe", n)
		}
		p.peers.Wait()
	})
	if strings.Contains(r.Detail, hunter) || len(r.Detail) > maxDetail || r.OK != (r.Class == ClassNone) {
		t.Errorf("%+v", r)
	}
	return r
}

func said(s dialogue) func(net.Conn) {
	return func(c net.Conn) { s.play(c, fluently) }
}

func TestTalkersAreContent(t *testing.T) {
	for _, k := range talkers {
		check(t, hear(t, k.probe, said(k.script)), ClassNone, "")
	}
}

// A server that stops talking at any byte of its conversation, and holds the line.
func TestServerFallsSilent(t *testing.T) {
	for _, k := range talkers {
		t.Run(k.name, func(t *testing.T) {
			for turn, text := range k.script.turns {
				for n := range len(text) {
					s := k.script
					s.turns = append(append([]string{}, s.turns[:turn]...), text[:n])
					r := hear(t, k.probe, said(s))
					want := ClassSlow
					if n == 0 {
						want = ClassTimeout
					}
					if r.Class != want && (r.Class != ClassTimeout || n > 0) || r.RTT != 2*time.Second {
						t.Errorf("after %d bytes of turn %d: %+v, want %s", n, turn, r, want)
					}
				}
			}
		})
	}
}

// A server that hangs up, or is cut off, at any byte of its conversation.
func TestServerHangsUp(t *testing.T) {
	for _, k := range talkers {
		t.Run(k.name, func(t *testing.T) {
			for turn, text := range k.script.turns {
				for n := range len(text) {
					r := hear(t, k.probe, func(c net.Conn) {
						s := k.script
						s.turns = append(append([]string{}, s.turns[:turn]...), text[:n])
						last := 0
						s.play(c, func(w io.Writer, text string) error {
							err := fluently(w, text)
							if last++; last == len(s.turns) {
								return io.EOF
							}
							return err
						})
					})
					if r.Class != ClassReset {
						t.Errorf("after %d bytes of turn %d: %+v", n, turn, r)
					}
				}
			}
		})
	}
}

// A byte a second is slow: the deadline ends it.
func TestServerTrickles(t *testing.T) {
	for _, k := range talkers {
		r := hear(t, k.probe, func(c net.Conn) {
			k.script.play(c, func(w io.Writer, s string) error {
				for i := range len(s) {
					time.Sleep(time.Second)
					if err := fluently(w, s[i:i+1]); err != nil {
						return err
					}
				}
				return nil
			})
		})
		check(t, r, ClassSlow, "the answer had begun")
		if r.RTT != 2*time.Second {
			t.Errorf("%s took %v", k.name, r.RTT)
		}
	}
}

// An answer without an end has a bounded cost.
func TestServerDoesNotEnd(t *testing.T) {
	for _, k := range talkers {
		var sent int
		r := hear(t, k.probe, func(c net.Conn) {
			s := k.script
			s.turns = append(append([]string{}, s.turns[:len(s.turns)-1]...), k.endless)
			s.play(c, func(w io.Writer, text string) error {
				if err := fluently(w, text); err != nil || text != k.endless {
					return err
				}
				go func() { _, _ = io.Copy(io.Discard, c) }()
				for seq := byte(4); ; seq++ {
					more := k.more
					if more == "" { // rows of MySQL are numbered
						more = myPacket(seq, "\x051,2,3")
					}
					if err := fluently(w, more); err != nil {
						return err
					}
					sent += len(more)
				}
			})
		})
		check(t, r, k.class, "")
		if sent > maxExposition+4<<10 || k.name != "prometheus" && sent > maxConversation+4<<10 {
			t.Errorf("%s took %d bytes", k.name, sent)
		}
	}
}

// What is no answer of the protocol is told from it, whatever it is, at every turn.
func TestServerTalksNonsense(t *testing.T) {
	for name, text := range map[string]string{
		"http":    "HTTP/1.1 400 Bad Request\r\nX: " + hunter + "\r\n\r\n",
		"ssh":     "SSH-2.0-OpenSSH_9.2 " + hunter + "\r\n",
		"smtp":    "220 mail.example.com ESMTP " + hunter + "\r\n",
		"alert":   "\x15\x03\x03\x00\x02\x02\x28",
		"zeros":   strings.Repeat("\x00", 5000),
		"ones":    strings.Repeat("\xff", 5000),
		"text":    strings.Repeat("A", 5000) + "\r\n",
		"endless": strings.Repeat("7", 100<<10),
		"mysql":   myPacket(0, myGreeting("8.4.0", nativePassword)),
		"pg":      pgErr("28P01"),
		"redis":   "-ERR " + hunter + "\r\n",
		"html":    okMetrics + "<!DOCTYPE html>\n<html>" + hunter + "</html>\n",
		"json":    okMetrics + `{"status": "` + hunter + "\"}\n",
	} {
		for _, k := range talkers {
			for turn := range k.script.turns {
				own := name == "mysql" && k.name == "mysql" || name == "pg" && k.name != "prometheus" || name == "redis" && k.name == "redis"
				if own {
					continue
				}
				r := hear(t, k.probe, func(c net.Conn) {
					s := k.script
					s.turns = append(append([]string{}, s.turns[:turn]...), text)
					heard := 0
					s.play(c, func(w io.Writer, text string) error {
						err := fluently(w, text)
						if heard++; heard == len(s.turns) {
							return io.EOF
						}
						return err
					})
				})
				switch r.Class {
				case ClassProtocol, ClassOversize:
				case ClassReset, ClassError, ClassStatus:
					// A message of which a part came, or an answer that says no.
				default:
					t.Errorf("%s says %s in turn %d: %+v", k.name, name, turn, r)
				}
				if turn == 0 && r.Class != ClassProtocol && r.Class != ClassOversize && (k.name != "prometheus" || name != "http") {
					t.Errorf("%s begins with %s: %+v", k.name, name, r)
				}
				if bytes.Contains([]byte(r.Detail), []byte("OpenSSH")) {
					t.Errorf("the peer's words: %q", r.Detail)
				}
			}
		}
	}
}

// TLS is asked for of a server that is plain, and the other way round.
func TestTLSAgainstPlain(t *testing.T) {
	sec := &TLSConfig{SkipVerify: true}
	plain := dialogue{false, []string{"HTTP/1.1 400 Bad Request\r\n\r\n"}}
	for _, c := range []struct {
		o      any
		s      dialogue
		class  Class
		detail string
	}{
		{Redis{TLS: sec}, plain, ClassTLS, "plain http, not TLS"},
		{Prometheus{Metric: "up", Expect: upMetric.Expect, TLS: sec}, plain, ClassTLS, "plain http, not TLS"},
		{Postgres{TLS: sec}, dialogue{false, []string{"N"}}, ClassTLS, "offers no TLS"},
		{Postgres{TLS: sec}, dialogue{false, []string{"E"}}, ClassProtocol, "not of the protocol"},
		{Postgres{TLS: sec}, dialogue{false, []string{"S" + pgAuth(0, "") + pgReady}}, ClassTLS, "sent more before the TLS handshake"},
		{Postgres{TLS: sec}, dialogue{false, []string{"S", "plain text"}}, ClassTLS, "does not speak TLS"},
		{MySQL{TLS: sec}, dialogue{true, []string{myPacket(0, strings.Replace(myGreeting("8", ""), "\x09\xaa", "\x09\xa2", 1))}}, ClassTLS, "offers no TLS"},
		{MySQL{TLS: sec}, dialogue{true, []string{myPacket(0, myGreeting("8", "")) + myPacket(1, myOK)}}, ClassTLS, "sent more before the TLS handshake"},
		{MySQL{TLS: sec}, dialogue{true, []string{myPacket(0, myGreeting("8", "")), "", "plain text"}}, ClassTLS, "does not speak TLS"},
	} {
		check(t, hear(t, c.o, said(c.s)), c.class, c.detail)
	}
	// What a TLS server answers to words in the clear: an alert.
	for _, o := range []any{Redis{}, upMetric, Postgres{}} {
		check(t, hear(t, o, said(dialogue{false, []string{"\x15\x03\x03\x00\x02\x02\x28"}})), ClassProtocol, "the server speaks TLS")
	}
	check(t, hear(t, MySQL{}, said(dialogue{true, []string{"\x15\x03\x03\x00\x02\x02\x28"}})), ClassProtocol, "the server speaks TLS")
}

// A server that resets the connection in the middle of the login, for real.
func TestResetInLogin(t *testing.T) {
	for _, k := range talkers {
		target := serve(t, "127.0.0.1", func(c net.Conn) {
			if k.script.greets {
				_ = fluently(c, k.script.turns[0])
			}
			_, _ = c.Read(make([]byte, 1))
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		})
		check(t, must(t, k.probe).Probe(ctxFor(t, patience), target), ClassReset, "connection ")
	}
}
