package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// DNS is the check that a name server answers one question as expected.
type DNS struct {
	// Name is what is asked about, with or without the final dot.
	Name string
	// Type is of what type; 0 is A.
	Type uint16
	// TCP asks over TCP. Otherwise it is UDP, and a truncated answer is asked for
	// again over TCP within the same time, as every client does (RFC 7766 section 5).
	TCP bool
	// RCode is the code that is expected; 0 is NOERROR.
	RCode int
	// Expect, if not nil, must match the data of at least one record of the type
	// among the answers, as a zone file has it.
	Expect *regexp.Regexp
}

const (
	// maxDatagram is the size of answers over UDP that the query allows: one that
	// is not fragmented anywhere (RFC 9715).
	maxDatagram = 1232
	// maxData bounds the data of records as text that an answer is searched in. Names
	// are compressed, and a message of 64 KiB can stand for a hundred times as much.
	maxData = 64 << 10
	// maxStray is how many datagrams that are no answer to the question are
	// overheard.
	maxStray = 64
	// asks is how often a query is sent over UDP: a probe must not fail for one
	// packet that was lost on the way.
	asks = 3
)

const (
	asking   stage = "while sending the query"
	replying stage = "while waiting for the answer"
)

// NewDNS makes the prober of a DNS check. It fails, naming the field, when the
// question cannot be asked.
func NewDNS(o DNS) (Prober, error) {
	p := &dnsProber{tcp: &system, udp: &datagrams, stream: o.TCP, rcode: o.RCode, expect: o.Expect, qtype: dns.TypeA}
	if _, ok := dns.IsDomainName(o.Name); !ok || o.Name == "" {
		return nil, fmt.Errorf("name: %q is not a domain name", o.Name)
	}
	switch {
	case o.Type == dns.TypeAXFR || o.Type == dns.TypeIXFR || o.Type == dns.TypeOPT:
		return nil, fmt.Errorf("record: %s is no question of one answer", dns.TypeToString[o.Type])
	case o.Type != 0:
		p.qtype = o.Type
	}
	m := new(dns.Msg).SetQuestion(dns.Fqdn(o.Name), p.qtype)
	m.SetEdns0(maxDatagram, false)
	p.question = m.Question[0]
	var err error
	if p.query, err = m.Pack(); err != nil {
		return nil, fmt.Errorf("name: %w", err)
	}
	return p, nil
}

type dnsProber struct {
	tcp, udp *network
	stream   bool
	query    []byte // whose id is replaced
	question dns.Question
	qtype    uint16
	rcode    int
	expect   *regexp.Regexp
}

func (p *dnsProber) Probe(ctx context.Context, t Target) Result {
	start := time.Now()
	query := append([]byte{}, p.query...)
	binary.BigEndian.PutUint16(query, uint16(rand.Uint32()))
	if p.stream {
		m, took, f := p.overTCP(ctx, t, query)
		if !f.failed() {
			f = p.judge(m)
		}
		return f.result(start, took)
	}
	m, f := p.overUDP(ctx, t, query)
	if !f.failed() && m.Truncated {
		if m, _, f = p.overTCP(ctx, t, query); f.failed() {
			f.detail = "over TCP, after a truncated answer: " + f.detail
		}
	}
	if !f.failed() {
		f = p.judge(m)
	}
	// An answer over UDP took the server's time as well as the network's, so it
	// is no measure of the way.
	return f.result(start, 0)
}

// overUDP asks over UDP, again where an answer is late.
func (p *dnsProber) overUDP(ctx context.Context, t Target, query []byte) (*dns.Msg, failure) {
	l, f := p.udp.connect(ctx, t)
	if f.failed() {
		return nil, f
	}
	defer l.release()
	wait := time.Second
	if deadline, ok := ctx.Deadline(); ok {
		wait = time.Until(deadline) / (asks + 1)
	}
	buf := make([]byte, 4<<10)
	stray := 0
	for try := range asks {
		if _, err := l.Write(query); err != nil {
			return nil, classify(ctx, err, asking)
		}
		if try < asks-1 {
			_ = l.SetReadDeadline(time.Now().Add(wait))
		} else {
			_ = l.SetReadDeadline(time.Time{})
		}
		for {
			// The context takes all time away when it ends, and this may just have
			// given some back.
			if ctx.Err() != nil {
				_ = l.SetDeadline(longAgo)
			}
			n, err := l.Read(buf)
			if err != nil {
				f := classify(ctx, err, replying)
				if f.class == ClassTimeout && ctx.Err() == nil && try < asks-1 {
					break
				}
				if f.class == ClassTimeout && stray > 0 {
					f = fail(ClassProtocol, "what came back answers another question, or none")
				}
				return nil, f
			}
			m, ok, f := p.answer(buf[:n], query)
			if ok || f.failed() {
				return m, f
			}
			if stray++; stray > maxStray {
				return nil, fail(ClassProtocol, "more than %d datagrams that are no answer to the question", maxStray)
			}
		}
	}
	return nil, fail(ClassTimeout, "timeout %s", replying)
}

// overTCP asks over a connection, which took that long.
func (p *dnsProber) overTCP(ctx context.Context, t Target, query []byte) (*dns.Msg, time.Duration, failure) {
	l, f := p.tcp.connect(ctx, t)
	if f.failed() {
		return nil, 0, f
	}
	defer l.release()
	m, f := p.exchange(ctx, l.Conn, query)
	return m, l.took, f
}

func (p *dnsProber) exchange(ctx context.Context, conn net.Conn, query []byte) (*dns.Msg, failure) {
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
		return nil, classify(ctx, err, asking)
	}
	var head [2]byte
	if n, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, late(classify(ctx, err, replying), n > 0)
	}
	size := int64(binary.BigEndian.Uint16(head[:]))
	var from io.Reader = conn
	if speaksTLS(head[:]) {
		// It is the length of an honest answer as well.
		var id [2]byte
		if _, err := io.ReadFull(conn, id[:]); err != nil {
			return nil, late(classify(ctx, err, replying), true)
		}
		if id != [2]byte(query) {
			return nil, fail(ClassProtocol, "the server speaks TLS, not plain DNS")
		}
		from = io.MultiReader(bytes.NewReader(id[:]), conn)
	}
	// Not all at once: a length is easily said.
	body, err := io.ReadAll(io.LimitReader(from, size))
	if err == nil && int64(len(body)) < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, late(classify(ctx, err, replying), true)
	}
	m, ok, f := p.answer(body, query)
	switch {
	case f.failed():
	case !ok:
		f = fail(ClassProtocol, "what came back answers another question, or none")
	case m.Truncated:
		// What is missing is to be had nowhere.
		f = fail(ClassProtocol, "the answer over TCP is truncated")
	}
	return m, f
}

// answer reads a message, which need not be the answer to the query. A name server
// may write the name in another case than we did. Of one that was cut where it cannot
// be read nothing is known but that it is truncated.
func (p *dnsProber) answer(b, query []byte) (m *dns.Msg, ok bool, f failure) {
	if len(b) < 12 || b[0] != query[0] || b[1] != query[1] || b[2]&0x80 == 0 {
		return nil, false, failure{}
	}
	m = new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		if b[2]&0x02 != 0 { // TC: cut anywhere, by some
			return &dns.Msg{MsgHdr: dns.MsgHdr{Truncated: true}}, true, failure{}
		}
		return nil, false, fail(ClassProtocol, "the answer is malformed")
	}
	switch {
	case len(m.Question) == 0 && m.Rcode != dns.RcodeSuccess: // of a server that did not look at it
	case len(m.Question) != 1 || m.Question[0].Qtype != p.question.Qtype || m.Question[0].Qclass != p.question.Qclass,
		!strings.EqualFold(m.Question[0].Name, p.question.Name):
		return nil, false, failure{}
	}
	return m, true, failure{}
}

func (p *dnsProber) judge(m *dns.Msg) failure {
	if m.Rcode != p.rcode {
		return fail(ClassStatus, "the answer is %s, expected %s", rcodeName(m.Rcode), rcodeName(p.rcode))
	}
	if p.expect == nil {
		return failure{}
	}
	records, left := 0, maxData
	for _, rr := range m.Answer {
		h := rr.Header()
		if h.Rrtype != p.qtype && p.qtype != dns.TypeANY {
			continue
		}
		records++
		data := recordData(rr)
		if left -= len(data); left < 0 {
			return fail(ClassOversize, "the answer's records are longer than %d KiB as text", maxData>>10)
		}
		if p.expect.MatchString(data) {
			return failure{}
		}
	}
	kind := dns.Type(p.qtype).String()
	if records == 0 {
		return fail(ClassValue, "the answer has no %s record", kind)
	}
	return fail(ClassValue, "none of %d %s records matches %s", records, kind, oneLine(p.expect.String(), 80))
}

// recordData is the data of a record as a zone file has it; of a type that the
// library does not know as RFC 3597 section 5 has it.
func recordData(rr dns.RR) string {
	if u, ok := rr.(*dns.RFC3597); ok {
		return fmt.Sprintf(`\# %d %s`, len(u.Rdata)/2, u.Rdata)
	}
	return strings.TrimPrefix(rr.String(), rr.Header().String())
}

func rcodeName(code int) string {
	if s, ok := dns.RcodeToString[code]; ok {
		return s
	}
	return fmt.Sprintf("RCODE%d", code)
}
