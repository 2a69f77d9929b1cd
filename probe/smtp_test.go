package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// mailServer answers each command by its verb, after a greeting; QUIT ends it.
// Commands that it has no answer for get 250.
func mailServer(c net.Conn, greeting string, answers map[string]string, heard *[]string) {
	in := bufio.NewReader(c)
	_, _ = io.WriteString(c, greeting)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		*heard = append(*heard, line)
		verb, _, _ := strings.Cut(line, " ")
		answer, ok := answers[verb]
		if !ok {
			answer = "250 ok\r\n"
		}
		if verb == "QUIT" {
			answer = "221 bye\r\n"
		}
		_, _ = io.WriteString(c, answer)
		if verb == "QUIT" || verb == "STARTTLS" && strings.HasPrefix(answer, "220") {
			return
		}
	}
}

func TestSMTP(t *testing.T) {
	const hi = "220 mx ESMTP\r\n"
	for _, tc := range []struct {
		name     string
		o        SMTP
		greeting string
		answers  map[string]string
		class    Class
		detail   string
		heard    []string
	}{
		{"plain", SMTP{}, hi, nil, ClassNone, "", []string{"EHLO localhost", "QUIT"}},
		{"hello", SMTP{Hello: "probe.example.net"}, hi, nil, ClassNone, "", []string{"EHLO probe.example.net", "QUIT"}},
		{"long greeting", SMTP{}, "220-mx\r\n220-no spam\r\n220\r\n", nil, ClassNone, "", []string{"EHLO localhost", "QUIT"}},
		{"bare line feeds", SMTP{}, "220-mx\n220 ok\n", nil, ClassNone, "", []string{"EHLO localhost", "QUIT"}},
		{
			"a delivery that ends before its data",
			SMTP{MailFrom: "<>", RcptTo: "postmaster@example.com"},
			hi,
			map[string]string{"RCPT": "252 will try\r\n"},
			ClassNone, "",
			[]string{"EHLO localhost", "MAIL FROM:<>", "RCPT TO:<postmaster@example.com>", "QUIT"},
		},
		{"not now", SMTP{}, "421 busy\r\n", nil, ClassStatus, "the greeting is 421, expected 220", nil},
		{"not here", SMTP{}, "554-no\r\n554 service\r\n", nil, ClassStatus, "the greeting is 554, expected 220", nil},
		{"no EHLO", SMTP{}, hi, map[string]string{"EHLO": "502 what?\r\n"}, ClassStatus, "the reply to EHLO is 502, expected 250", []string{"EHLO localhost"}},
		{
			"sender refused",
			SMTP{MailFrom: "a@example.com"},
			hi,
			map[string]string{"MAIL": "451 no\r\n"},
			ClassStatus, "the reply to MAIL is 451, expected 250",
			[]string{"EHLO localhost", "MAIL FROM:<a@example.com>", "QUIT"},
		},
		{
			"recipient unknown",
			SMTP{MailFrom: "<a@example.com>", RcptTo: "<b@example.com>"},
			hi,
			map[string]string{"RCPT": "550 5.1.1 who?\r\n"},
			ClassStatus, "the reply to RCPT is 550, expected 250",
			[]string{"EHLO localhost", "MAIL FROM:<a@example.com>", "RCPT TO:<b@example.com>", "QUIT"},
		},
		{
			"login wanted",
			SMTP{MailFrom: "a@example.com"},
			hi,
			map[string]string{"MAIL": "530 5.7.0 log in\r\n"},
			ClassAuth, "the reply to MAIL is 530: the server wants a login",
			[]string{"EHLO localhost", "MAIL FROM:<a@example.com>", "QUIT"},
		},
		{"as many lines as there may be", SMTP{}, strings.Repeat("220-x\r\n", maxReplyLines-1) + "220 x\r\n", nil, ClassNone, "", []string{"EHLO localhost", "QUIT"}},
		{"one more", SMTP{}, strings.Repeat("220-x\r\n", maxReplyLines) + "220 x\r\n", nil, ClassOversize, "the greeting is too long", nil},
		{"codes that differ", SMTP{}, "220-mx\r\n250 mx\r\n", nil, ClassProtocol, "the greeting is not of SMTP", nil},
		{"another protocol", SMTP{}, "SSH-2.0-x\r\n", nil, ClassProtocol, "the greeting is not of SMTP", nil},
		{"a code of none", SMTP{}, "020 mx\r\n", nil, ClassProtocol, "the greeting is not of SMTP", nil},
		{"no STARTTLS", SMTP{TLS: &TLSConfig{}, StartTLS: true}, hi, map[string]string{"EHLO": "250-mx\r\n250 STARTTLSX\r\n"}, ClassTLS, "the server does not offer STARTTLS", []string{"EHLO localhost"}},
		{
			"STARTTLS not now",
			SMTP{TLS: &TLSConfig{}, StartTLS: true},
			hi,
			map[string]string{"EHLO": "250-mx\r\n250-starttls\r\n250 8BITMIME\r\n", "STARTTLS": "454 later\r\n"},
			ClassStatus, "the reply to STARTTLS is 454, expected 220",
			[]string{"EHLO localhost", "STARTTLS"},
		},
		{
			"more behind STARTTLS",
			SMTP{TLS: &TLSConfig{}, StartTLS: true},
			hi,
			map[string]string{"EHLO": "250 STARTTLS\r\n", "STARTTLS": "220 go\r\n250 injected\r\n"},
			ClassProtocol, "the server went on in plain text after STARTTLS",
			[]string{"EHLO localhost", "STARTTLS"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard []string
				p := pipes{handle: func(c net.Conn) { mailServer(c, tc.greeting, tc.answers, &heard) }}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				r := on(t, must(t, tc.o), p.network()).Probe(ctx, somewhere)
				check(t, r, tc.class, tc.detail)
				p.peers.Wait()
				if !slices.Equal(heard, tc.heard) {
					t.Errorf("the server heard %q", heard)
				}
			})
		})
	}
}

// A server that does not answer QUIT has said all that counts before.
func TestSMTPQuitIsNoVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipes{handle: func(c net.Conn) {
			_, _ = io.WriteString(c, "220 mx\r\n")
			_, _ = c.Read(make([]byte, 64))
			_, _ = io.WriteString(c, "250 mx\r\n")
			drain(c)
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		check(t, on(t, must(t, SMTP{}), p.network()).Probe(ctx, somewhere), ClassNone, "")
		p.peers.Wait()
	})
}

func TestSMTPOverTLS(t *testing.T) {
	ca := newAuthority(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil, "mx.example.com")}}
	seen := make(chan []string, 2)
	start := serve(t, "127.0.0.1", func(c net.Conn) {
		var heard []string
		mailServer(c, "220 mx\r\n", map[string]string{"EHLO": "250-mx\r\n250 STARTTLS\r\n", "STARTTLS": "220 go\r\n"}, &heard)
		s := tls.Server(c, cfg)
		if s.Handshake() != nil {
			return
		}
		mailServer(s, "", nil, &heard) // it greets once
		seen <- heard
	})
	whole := serve(t, "127.0.0.1", func(c net.Conn) {
		s := tls.Server(c, cfg)
		if s.Handshake() == nil {
			mailServer(s, "220 mx\r\n", nil, new([]string))
		}
	})
	good := TLSConfig{SNI: "mx.example.com", Roots: ca.roots}
	bad := TLSConfig{SNI: "other.example.com", Roots: ca.roots}
	check(t, must(t, SMTP{TLS: &good, StartTLS: true, MailFrom: "<>"}).Probe(ctxFor(t, patience), start), ClassNone, "")
	if got := <-seen; !slices.Equal(got, []string{"EHLO localhost", "STARTTLS", "EHLO localhost", "MAIL FROM:<>", "QUIT"}) {
		t.Errorf("the server heard %q", got)
	}
	check(t, must(t, SMTP{TLS: &bad, StartTLS: true}).Probe(ctxFor(t, patience), start), ClassTLS, "certificate is not for other.example.com but for mx.example.com")
	check(t, must(t, SMTP{TLS: &good}).Probe(ctxFor(t, patience), whole), ClassNone, "")
	check(t, must(t, SMTP{TLS: &bad}).Probe(ctxFor(t, patience), whole), ClassTLS, "certificate is not for other.example.com but for mx.example.com")
}

// scripted is a connection whose peer has said everything already.
type scripted struct {
	net.Conn
	in io.Reader
}

func (s scripted) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s scripted) Write(b []byte) (int, error) { return len(b), nil }

func FuzzSMTPReply(f *testing.F) {
	for _, s := range []string{"220 mx\r\n", "250-mx\r\n250-SIZE 1\r\n250 STARTTLS\r\n", "250", "999 x\r\n", "25x\r\n", "220-\n220\n", strings.Repeat("250-x\r\n", 200)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &mail{ctx: t.Context()}
		defer m.done()
		m.over(scripted{in: strings.NewReader(string(b))})
		code, fail := m.reply("the reply")
		if fail.failed() {
			if strings.ContainsAny(fail.detail, "\r\n") || fail.class == ClassNone {
				t.Errorf("%+v", fail)
			}
			return
		}
		if code < 200 || code > 599 || !strings.Contains(string(b), "\n") {
			t.Errorf("code %d of %q", code, b)
		}
		// An oracle that reads the text as a whole.
		for i, line := range strings.Split(string(b), "\n") {
			line = strings.TrimRight(line, "\r")
			if !strings.HasPrefix(line, string([]byte{byte('0' + code/100), byte('0' + code/10%10), byte('0' + code%10)})) {
				t.Fatalf("line %d of %q is taken as %d", i, b, code)
			}
			if len(line) == 3 || line[3] == ' ' {
				return
			}
		}
		t.Fatalf("%q has no last line", b)
	})
}
