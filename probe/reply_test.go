package probe

import (
	"bufio"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// spoken is a server that sends pieces and then ends, or is silent.
type spoken struct {
	pieces []string
	silent bool
}

// apart takes a response apart.
func apart(rnd *rand.Rand, response string, most int) (pieces []string) {
	for response != "" {
		n := min(len(response), 1+rnd.IntN(max(most, 1)))
		pieces = append(pieces, response[:n])
		response = response[n:]
	}
	return pieces
}

// listened is what a prober says of a server when it has a goroutine. It is to be
// called in a bubble.
func (s *spoken) listened(t *testing.T, prober Prober) Result {
	t.Helper()
	p := pipes{handle: func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		for _, piece := range s.pieces {
			if _, err := io.WriteString(c, piece); err != nil {
				return
			}
		}
		if s.silent {
			_, _ = c.Read(make([]byte, 1))
		}
	}}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	r := on(t, prober, p.network()).Probe(ctx, somewhere)
	p.peers.Wait()
	return r
}

// heard is the same when it is told the pieces.
func (s *spoken) heard(prober Prober) failure {
	r := prober.(*httpProber).replyTo(somewhere)
	var sofar []byte
	for _, piece := range s.pieces {
		sofar = append(sofar, piece...)
		if r.heard(sofar, nil) {
			return r.verdict
		}
	}
	end := io.EOF
	if s.silent {
		end = os.ErrDeadlineExceeded
	}
	if !r.heard(sofar, end) {
		return fail(ClassError, "nothing decided")
	}
	return r.verdict
}

var hostileResponses = []string{
	ok200, "", "H", "HTTP/1.1 200", "HTTP/1.1 200\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nok", "HTTP/1.1 503 Down\r\n\r\n",
	"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "HTTP/1.1 401 No\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok200,
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nX: y\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut",
	"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nxx", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
	"220 mail.example.com ESMTP\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 000 What\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
	"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\n continued\r\n\r\n", "HTTP/1.1 200 OK\r\nServer: ", "\x15\x03\x01\x00\x02\x02\x0a",
	"HTTP/1.1 200 OK\nA:b\n\nok", "\r\n" + ok200, "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", maxBody) + "more",
	"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHeader), "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", maxHeader/6),
	strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", maxHeader/28+1), strings.Repeat("H", maxHeader+1),
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", maxBody+1),
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;eeeeeeeeeeee\r\nx\r\n", maxBodyWire/18+1),
}

func replyProbers(t testing.TB) []Prober {
	return []Prober{
		must(t, HTTP{}),
		must(t, HTTP{Host: "www.example.com", Method: "HEAD", Status: []Range{{200, 399}}}),
		must(t, HTTP{Host: "www.example.com", Body: regexp.MustCompile(`^(ok|x{1000})`)}),
		must(t, HTTP{Basic: &Login{"a", "b"}, JSON: []Expectation{{Name: "$.a"}}}),
		must(t, HTTP{ResponseHeaders: []Expectation{{Name: "Location"}}}),
	}
}

func sameVerdict(t *testing.T, name string, f failure, want Result) {
	t.Helper()
	if got := f.timed(want.RTT, want.Connect); got != want {
		t.Errorf("%s: %+v, and with a goroutine %+v", name, got, want)
	}
}

// What a response that comes in pieces is judged to be does not depend on whether a
// goroutine waits for them.
func TestReplySaysWhatProbeSays(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for _, prober := range replyProbers(t) {
		for _, response := range hostileResponses {
			for _, most := range []int{1 << 20, 1 << 14, 1 << 10, 30, 1} {
				if len(response)/most > 2000 {
					continue
				}
				for _, silent := range []bool{false, true} {
					synctest.Test(t, func(t *testing.T) {
						s := spoken{apart(rnd, response, most), silent}
						sameVerdict(t, response[:min(len(response), 60)], s.heard(prober), s.listened(t, prober))
					})
				}
			}
		}
	}
}

// A peer that sends one byte after the other does not make the node read all of it
// again for each.
func TestReplyInBytesIsCheap(t *testing.T) {
	r := must(t, HTTP{}).(*httpProber).replyTo(somewhere)
	long := "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", maxHeader/6)
	for i := range len(long) {
		if r.heard([]byte(long[:i+1]), nil) {
			break
		}
	}
	r.heard([]byte(long), os.ErrDeadlineExceeded)
	if most := freely + 12*maxHeader; r.verdict.class != ClassOversize || r.spent > most {
		t.Errorf("%+v after %d bytes were read, want %d at most", r.verdict, r.spent, most)
	}
}

func FuzzReply(f *testing.F) {
	for i, response := range hostileResponses {
		if len(response) < 1000 {
			f.Add([]byte(response), uint64(i), i%2 == 0)
		}
	}
	probers := replyProbers(f)
	f.Fuzz(func(t *testing.T, response []byte, seed uint64, silent bool) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		s := spoken{apart(rnd, string(response), 1+rnd.IntN(40)), silent}
		prober := probers[seed%uint64(len(probers))]
		got := s.heard(prober)
		synctest.Test(t, func(t *testing.T) { sameVerdict(t, string(response), got, s.listened(t, prober)) })
	})
}
