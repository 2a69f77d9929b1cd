//go:build unix

package interop

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// quick is a question, and the network that asks it: that of a client subnet
// option, or not valid for none.
type quick struct {
	name   string
	typ    dnswire.Type
	client netip.Prefix
}

// wire is the question as a client of a resolver puts it.
func (q *quick) wire(t testing.TB, buf []byte) []byte {
	name, err := dnswire.ParseName(q.name)
	if err != nil {
		t.Fatal(err)
	}
	buf = dnswire.AppendQuery(buf, name, q.typ, q.client)
	buf[2] |= 1 // it wants recursion
	return buf
}

const (
	// atOnce is how many questions may be on the way: a socket holds them all.
	atOnce = 50
	// rounds is how often what is lost is asked again, each time after patience.
	rounds = 10
)

// flood asks many questions over one socket, so many at once, and gives see each
// answer with the number of its question. Those of one time come in any order.
func flood(t testing.TB, conn net.Conn, asked []quick, atOnce int, see func(i int, msg []byte)) {
	t.Helper()
	buf := make([]byte, 8192)
	for from := 0; from < len(asked); from += atOnce {
		some := asked[from:min(from+atOnce, len(asked))]
		seen, left := make([]bool, len(some)), len(some)
		for round := 0; left > 0; round++ {
			if round == rounds {
				t.Fatalf("%d of the questions from number %d on have no answer", left, from)
			}
			for i := range some {
				if seen[i] {
					continue
				}
				q := some[i].wire(t, buf[:0])
				binary.BigEndian.PutUint16(q, uint16(from+i))
				if _, err := conn.Write(q); err != nil {
					t.Fatal(err)
				}
			}
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			for left > 0 {
				n, err := conn.Read(buf)
				if errors.Is(err, os.ErrDeadlineExceeded) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				// What was asked twice may be answered twice.
				i := int(binary.BigEndian.Uint16(buf) - uint16(from))
				if n > 12 && i < len(some) && !seen[i] {
					seen[i] = true
					left--
					see(from+i, buf[:n])
				}
			}
		}
	}
}

// dial is a socket to a server on a port.
func dial(t testing.TB, port string) net.Conn {
	t.Helper()
	conn, err := net.Dial("udp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// outcome is an answer in short, the last part of each address in the order of the
// records: "11+12"; the data of a record of another type, or NOERROR where there is
// none.
func outcome(t testing.TB, msg []byte) string {
	var all []string
	at := 12 + strings.IndexByte(string(msg[12:]), 0) + 5
	for range msg[7] {
		switch r := msg[at:]; {
		case r[0] == 0xc0 && r[3] == byte(dns.TypeA):
			all = append(all, strconv.Itoa(int(r[15])))
			at += 16
		case r[0] == 0xc0 && r[3] == byte(dns.TypeAAAA):
			all = append(all, strconv.FormatUint(uint64(binary.BigEndian.Uint16(r[26:])), 16))
			at += 28
		default: // a host name, or a binding
			var m dns.Msg
			if err := m.Unpack(msg); err != nil {
				t.Fatal(err)
			}
			return strings.TrimPrefix(m.Answer[0].String(), m.Answer[0].Header().String())
		}
	}
	if len(all) == 0 {
		return dns.RcodeToString[int(msg[3]&15)]
	}
	return strings.Join(all, "+")
}

// outcomes asks, and gives the outcome of each question.
func outcomes(t testing.TB, conn net.Conn, asked []quick) []string {
	t.Helper()
	all := make([]string, len(asked))
	flood(t, conn, asked, atOnce, func(i int, msg []byte) { all[i] = outcome(t, msg) })
	return all
}

func count(outcomes []string) map[string]int {
	counts := map[string]int{}
	for _, o := range outcomes {
		counts[o]++
	}
	return counts
}
