package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTalk(t *testing.T) {
	long := strings.Repeat("x", maxTalk)
	for _, tc := range []struct {
		name   string
		talk   Talk
		says   []string // one after the other, a second apart, and then nothing
		hangs  bool     // the connection stays open
		class  Class
		detail string
		took   time.Duration
	}{
		{"found", Talk{Expect: regexp.MustCompile("^SSH-2")}, []string{"SSH-2.0-x\r\n"}, true, ClassNone, "", 0},
		{"found in pieces", Talk{Expect: regexp.MustCompile(`pong$`)}, []string{"po", "ng"}, true, ClassNone, "", time.Second},
		{"found at the end", Talk{Expect: regexp.MustCompile(`g$`)}, []string{"pong"}, false, ClassNone, "", 0},
		{"found at the limit", Talk{Expect: regexp.MustCompile(`xy$`)}, []string{long[:maxTalk-1] + "y"}, true, ClassNone, "", 0},
		{"beyond the limit", Talk{Expect: regexp.MustCompile(`y`)}, []string{long + "y"}, true, ClassOversize, "the first 64 KiB of the answer do not match y", 0},
		{"not found", Talk{Expect: regexp.MustCompile("^SSH-2")}, []string{"SSH-1.5\r\n"}, false, ClassValue, "the answer (9 bytes) does not match ^SSH-2", 0},
		{"not found and open", Talk{Expect: regexp.MustCompile("^SSH-2")}, []string{"SSH-1.5\r\n"}, true, ClassSlow, "timeout while waiting for what is expected: what came until then does not match ^SSH-2", 5 * time.Second},
		{"nothing", Talk{Expect: regexp.MustCompile("^SSH-2")}, nil, false, ClassReset, "connection closed while waiting for what is expected", 0},
		{"sent alone", Talk{Send: []byte("QUIT\r\n")}, nil, true, ClassNone, "", 0},
		{"no UTF-8", Talk{Expect: regexp.MustCompile(`^\x{FFFD}\x00`)}, []string{"\xff\x00"}, true, ClassNone, "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				heard := make(chan string, 1)
				p := pipes{handle: func(c net.Conn) {
					b := make([]byte, 64)
					if len(tc.talk.Send) > 0 {
						n, _ := c.Read(b)
						heard <- string(b[:n])
					}
					for i, s := range tc.says {
						if i > 0 {
							time.Sleep(time.Second)
						}
						_, _ = io.WriteString(c, s)
					}
					if tc.hangs {
						_, _ = c.Read(b)
					}
				}}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				r := on(t, must(t, TCP{tc.talk}), p.network()).Probe(ctx, somewhere)
				check(t, r, tc.class, tc.detail)
				if r.RTT != tc.took {
					t.Errorf("took %v, want %v", r.RTT, tc.took)
				}
				if len(tc.talk.Send) > 0 {
					if got := <-heard; got != string(tc.talk.Send) {
						t.Errorf("the peer heard %q", got)
					}
				}
				p.peers.Wait()
			})
		})
	}
}

// A peer that sends an answer of 64 KiB byte by byte does not have all of it
// searched for each byte, and what is expected is found all the same.
func TestTalkByteByByte(t *testing.T) {
	for _, c := range []struct {
		says  string
		class Class
	}{
		{strings.Repeat("x", maxTalk), ClassOversize},
		{strings.Repeat("x", 1000) + "y", ClassNone}, // found at the end, though it has hardly grown
	} {
		synctest.Test(t, func(t *testing.T) {
			p := pipes{handle: func(conn net.Conn) {
				for i := range c.says {
					if _, err := io.WriteString(conn, c.says[i:i+1]); err != nil {
						return
					}
				}
				_, _ = conn.Read(make([]byte, 1))
			}}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			r := on(t, must(t, TCP{Talk{Expect: regexp.MustCompile(`(x+x+)+y`)}}), p.network()).Probe(ctx, somewhere)
			check(t, r, c.class, "")
			p.peers.Wait()
		})
	}
}

func TestCertificateDays(t *testing.T) {
	ca := newAuthority(t)
	ends := func(d int) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.NotAfter = time.Now().Add(days(d) + time.Hour) }
	}
	inter := func(d int) tls.Certificate {
		key := newKey(t)
		c := &x509.Certificate{
			SerialNumber: ca.cert.SerialNumber, Subject: ca.cert.Subject, NotBefore: time.Now().Add(-year),
			NotAfter: time.Now().Add(days(d) + time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}
		c.Subject.CommonName = "between"
		mid := &authority{cert: sign(t, c, ca.cert, key, ca.key), key: key}
		leaf := mid.issue(t, ends(300), "127.0.0.1")
		leaf.Certificate = append(leaf.Certificate, mid.cert.Raw)
		return leaf
	}
	for _, c := range []struct {
		name       string
		cert       tls.Certificate
		min, warn  int
		unverified bool
		class      Class
		degraded   bool
		detail     string
	}{
		{"no limits", ca.issue(t, ends(1), "127.0.0.1"), 0, 0, false, ClassNone, false, ""},
		{"long enough", ca.issue(t, ends(30), "127.0.0.1"), 7, 30, false, ClassNone, false, ""},
		{"to be renewed", ca.issue(t, ends(29), "127.0.0.1"), 7, 30, false, ClassNone, true, "certificate ends in 29 days, on 2"},
		{"too short", ca.issue(t, ends(6), "127.0.0.1"), 7, 30, false, ClassTLS, false, "certificate ends in 6 days, on 2"},
		{"what it hangs on", inter(5), 7, 0, false, ClassTLS, false, "certificate ends in 5 days"},
		{"the certificate alone", inter(5), 7, 0, true, ClassNone, false, ""},
		{"ended, unverified", ca.issue(t, ends(-2), "127.0.0.1"), 1, 0, true, ClassTLS, false, "certificate expired on 2"},
		{"unverified", ca.issue(t, ends(6), "127.0.0.1"), 7, 30, true, ClassTLS, false, "certificate ends in 6 days"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := tlsServer(t, "127.0.0.1", &tls.Config{Certificates: []tls.Certificate{c.cert}}, nil, nil)
			p := must(t, TLS{TLSConfig: TLSConfig{Roots: ca.roots, SkipVerify: c.unverified}, MinDays: c.min, WarnDays: c.warn})
			r := p.Probe(ctxFor(t, patience), target)
			check(t, r, c.class, c.detail)
			if r.Degraded != c.degraded {
				t.Errorf("%+v", r)
			}
		})
	}
}

// The conversation of a tls check is held over TLS.
func TestTalkOverTLS(t *testing.T) {
	ca := newAuthority(t)
	target := tlsServer(t, "127.0.0.1", &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil, "127.0.0.1")}}, nil, func(c net.Conn) {
		b := make([]byte, 64)
		n, _ := c.Read(b)
		_, _ = io.WriteString(c, "you said "+string(b[:n]))
		_ = c.(*tls.Conn).CloseWrite()
	})
	for expect, class := range map[string]Class{"^you said hi$": ClassNone, "^no$": ClassValue} {
		p := must(t, TLS{TLSConfig: TLSConfig{Roots: ca.roots}, Talk: Talk{Send: []byte("hi"), Expect: regexp.MustCompile(expect)}})
		check(t, p.Probe(ctxFor(t, patience), target), class, "")
	}
}
