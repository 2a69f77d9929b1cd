package probe

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"net"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
)

// forger writes records of TLS 1.3 as a server that has finished its handshake could,
// and this one does not: RFC 8446 sections 5.2 and 7.
type forger struct {
	t      *testing.T
	conn   net.Conn
	suite  uint16
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

func (f *forger) expand(label string, n int) []byte {
	full := "tls13 " + label
	out, err := hkdf.Expand(sha256.New, f.secret, string([]byte{byte(n >> 8), byte(n), byte(len(full))})+full+"\x00", n)
	if err != nil {
		f.t.Error(err)
	}
	return out
}

func (f *forger) rekey() {
	var err error
	if f.suite == tls.TLS_CHACHA20_POLY1305_SHA256 {
		f.aead, err = chacha20poly1305.New(f.expand("key", 32))
	} else {
		var block cipher.Block
		if block, err = aes.NewCipher(f.expand("key", 16)); err == nil {
			f.aead, err = cipher.NewGCM(block)
		}
	}
	if err != nil {
		f.t.Error(err)
	}
	f.iv, f.seq = f.expand("iv", 12), 0
}

// say writes a record of a type.
func (f *forger) say(kind byte, content string) bool {
	inner := append([]byte(content), kind)
	head := []byte{23, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(head[3:], uint16(len(inner)+f.aead.Overhead()))
	nonce := bytes.Clone(f.iv)
	for i := range 8 {
		nonce[11-i] ^= byte(f.seq >> (8 * i))
	}
	f.seq++
	_, err := f.conn.Write(f.aead.Seal(head, nonce, inner, head))
	return err == nil
}

const (
	alertRecord, handshakeRecord, dataRecord = 21, 22, 23
)

// forge runs a server that makes an honest handshake and then plays.
func forge(t *testing.T, cert tls.Certificate, play func(*forger)) Target {
	return serve(t, "127.0.0.1", func(c net.Conn) {
		var keys bytes.Buffer
		cfg := &tls.Config{
			Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13,
			SessionTicketsDisabled: true, KeyLogWriter: &keys, NextProtos: []string{"http/1.1"},
		}
		s := tls.Server(c, cfg)
		if err := s.Handshake(); err != nil {
			t.Error(err)
			return
		}
		if _, err := s.Read(make([]byte, 4096)); err != nil {
			return
		}
		f := &forger{t: t, conn: c, suite: s.ConnectionState().CipherSuite}
		for line := range strings.Lines(keys.String()) {
			if words := strings.Fields(line); words[0] == "SERVER_TRAFFIC_SECRET_0" {
				f.secret, _ = hex.DecodeString(words[2])
			}
		}
		if len(f.secret) != sha256.Size {
			t.Skip("SKIPPED: another suite: ", tls.CipherSuiteName(f.suite))
		}
		f.rekey()
		play(f)
	})
}

// What a server may do behind the handshake ends the probe before its time, as a
// failure of TLS.
func TestTLSMischief(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, nil, "127.0.0.1")
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	flood := func(kind byte, content string, after func(*forger)) func(*forger) {
		return func(f *forger) {
			for f.say(kind, content) {
				if after != nil {
					after(f)
				}
			}
		}
	}
	update := func(f *forger) {
		f.secret = f.expand("traffic upd", 32)
		f.rekey()
	}
	ticket := "\x04\x00\x00\x15" + "\x00\x00\x0e\x10" + "\x00\x00\x00\x00" + "\x01n" + "\x00\x08ticketti" + "\x00\x00"
	for _, tc := range []struct {
		name  string
		play  func(*forger)
		class Class
	}{
		{"honest", func(f *forger) { f.say(dataRecord, ok) }, ClassNone},
		{"byte by byte", func(f *forger) {
			for i := range ok {
				f.say(dataRecord, ok[i:i+1])
			}
		}, ClassNone},
		{"a new key and the answer", func(f *forger) {
			f.say(handshakeRecord, "\x18\x00\x00\x01\x00")
			update(f)
			f.say(dataRecord, ok)
		}, ClassNone},
		{"new keys without end", flood(handshakeRecord, "\x18\x00\x00\x01\x00", update), ClassTLS},
		{"asks for new keys without end", flood(handshakeRecord, "\x18\x00\x00\x01\x01", update), ClassTLS},
		{"empty records without end", flood(dataRecord, "", nil), ClassTLS},
		{"tickets without end", flood(handshakeRecord, ticket, nil), ClassTLS},
		{"a message without end", flood(handshakeRecord, "\x04\xff\xff\xff"+strings.Repeat("x", 1000), nil), ClassTLS},
		{"begins the handshake anew", func(f *forger) { f.say(handshakeRecord, "\x00\x00\x00\x00") }, ClassTLS},
		{"warnings without end", flood(alertRecord, "\x01\x5a", nil), ClassTLS},
		{"an alert", func(f *forger) { f.say(alertRecord, "\x02\x50") }, ClassTLS},
		{"an unknown record", func(f *forger) { f.say(99, "x") }, ClassTLS},
		{"a record that was changed", func(f *forger) {
			f.seq = 7
			f.say(dataRecord, ok)
		}, ClassTLS},
		{"plain text", func(f *forger) { _, _ = io.WriteString(f.conn, ok) }, ClassTLS},
		{"a record too long", func(f *forger) { _, _ = f.conn.Write(append([]byte{23, 3, 3, 0xff, 0xff}, make([]byte, 1000)...)) }, ClassTLS},
		{"a farewell", func(f *forger) { f.say(alertRecord, "\x01\x00") }, ClassReset},
		{"half an answer and a farewell", func(f *forger) {
			f.say(dataRecord, ok[:len(ok)-1])
			f.say(alertRecord, "\x01\x00")
		}, ClassReset},
		{"an answer and no farewell", func(f *forger) {
			f.say(dataRecord, "HTTP/1.0 200 OK\r\n\r\nok")
			_ = f.conn.(*net.TCPConn).CloseWrite()
		}, ClassNone},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, to := must(t, HTTP{TLS: &TLSConfig{Roots: ca.roots}, Body: regexp.MustCompile(`^ok$`)}), forge(t, cert, tc.play)
			within(t, 24<<20, func() { // of both sides
				check(t, p.Probe(ctxFor(t, patience), to), tc.class, "")
			})
		})
	}
}

// Servers that break the handshake itself.
func TestTLSHandshakeMischief(t *testing.T) {
	record := func(kind byte, content string) string {
		return string([]byte{kind, 3, 3, byte(len(content) >> 8), byte(len(content))}) + content
	}
	for name, says := range map[string]string{
		"a message beyond all bounds": record(handshakeRecord, "\x02\xff\xff\xff"+strings.Repeat("x", 1000)),
		"messages without end":        strings.Repeat(record(handshakeRecord, "\x00\x00\x00\x00"), 10_000),
		"changes of ciphers":          strings.Repeat(record(20, "\x01"), 10_000),
		"warnings":                    strings.Repeat(record(alertRecord, "\x01\x5a"), 10_000),
		"empty records":               strings.Repeat(record(handshakeRecord, ""), 10_000),
		"an alert":                    record(alertRecord, "\x02\x28"),
		"a farewell":                  record(alertRecord, "\x01\x00"),
		"data at once":                record(dataRecord, "hello"),
		"zeros":                       strings.Repeat("\x00", 1000),
		"SSL 2":                       "\x80\x2e\x04\x01\x00\x02" + strings.Repeat("\x00", 100),
	} {
		t.Run(name, func(t *testing.T) {
			to := serve(t, "127.0.0.1", func(c net.Conn) {
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, says)
				_ = c.(*net.TCPConn).CloseWrite()
			})
			for _, o := range []any{TLS{}, HTTP{TLS: &TLSConfig{}}, GRPC{TLS: &TLSConfig{}}, Redis{TLS: &TLSConfig{}}} {
				within(t, 2<<20, func() {
					r := must(t, o).Probe(ctxFor(t, patience), to)
					if name == "a farewell" && r.Class == ClassReset {
						return
					}
					check(t, r, ClassTLS, "")
				})
			}
		})
	}
}

// Certificates that are as large as they may be.
func TestTLSLargeCertificates(t *testing.T) {
	ca := newAuthority(t)
	var names []string
	for i := range 8000 {
		names = append(names, fmt.Sprintf("*.host%d.example", i))
	}
	many := ca.issue(t, nil, append(names, "127.0.0.1")...)
	other := ca.issue(t, nil, names...)
	// A chain in which each certificate might have signed the others.
	chain := ca.issue(t, nil, "127.0.0.1")
	for i := range 150 {
		own := newAuthority(t)
		own.cert.SerialNumber = big.NewInt(int64(i))
		chain.Certificate = append(chain.Certificate, own.cert.Raw)
	}
	stranger := newAuthority(t)
	for _, tc := range []struct {
		name   string
		cert   tls.Certificate
		roots  *x509.CertPool
		class  Class
		detail string
	}{
		{"many names", many, ca.roots, ClassNone, ""},
		{"many other names", other, ca.roots, ClassTLS, "certificate is not for 127.0.0.1 but for *.host0.example, *.host1.example, *.host2.example, ..."},
		{"a long chain", chain, ca.roots, ClassNone, ""},
		{"a long chain of strangers", chain, stranger.roots, ClassTLS, "certificate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to := tlsServer(t, "127.0.0.1", tlsOf(tc.cert), nil, nil)
			r := must(t, TLS{TLSConfig: TLSConfig{Roots: tc.roots}}).Probe(ctxFor(t, patience), to)
			check(t, r, tc.class, tc.detail)
			if r.RTT > patience/3 {
				t.Errorf("took %v", r.RTT)
			}
		})
	}
}
