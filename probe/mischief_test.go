package probe

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// within runs f and fails when it takes more than so many bytes of memory.
func within(t *testing.T, most uint64, f func()) {
	t.Helper()
	var before, behind runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&behind)
	if took := behind.TotalAlloc - before.TotalAlloc; took > most {
		t.Errorf("took %d bytes of memory, want %d at most", took, most)
	}
}

// A packet of MySQL and a message of DNS whose lengths begin like an alert of TLS are
// what they are.
func TestLengthsThatLookLikeTLS(t *testing.T) {
	value := strings.Repeat("v", 0x315-3)
	row := myPacket(1, "\x01") + myPacket(2, myColumn("v")) + myPacket(3, myEOF) +
		myPacket(4, "\xfc\x12\x03"+value) + myPacket(5, myEOF)
	o := MySQL{User: "u", Password: hunter, Query: "SELECT v", Expect: []Condition{{"=", value}}}
	check(t, hear(t, o, said(myTurn(myPacket(1, myOK), row))), ClassNone, "")

	const size = 0x1503
	answer := func(q *dns.Msg, _ int) [][]byte {
		m := reply(q, 0)
		filler := &dns.RFC3597{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: 65280, Class: dns.ClassINET}}
		m.Answer = []dns.RR{filler}
		filler.Rdata = strings.Repeat("00", size-m.Len())
		if got := len(packed(m)); got != size {
			t.Errorf("an answer of %d bytes, want %d", got, size)
		}
		return one(m)
	}
	p := pipes{handle: func(c net.Conn) { nameServer(c, true, answer) }}
	probe := on(t, must(t, DNS{Name: "www.example.com", Type: dns.TypeTXT, TCP: true}), p.network())
	check(t, probe.Probe(ctxFor(t, patience), somewhere), ClassNone, "")
	p.peers.Wait()
}

// Names are compressed: 64 KiB of an answer stand for a megabyte of text, which no
// expression is held against.
func TestDNSBomb(t *testing.T) {
	name := strings.Repeat(strings.Repeat("\\200", 63)+".", 3) + strings.Repeat("\\200", 50) + "."
	p := pipes{handle: func(c net.Conn) {
		nameServer(c, true, func(q *dns.Msg, _ int) [][]byte {
			m := reply(q, 0)
			m.Compress = true
			for range 4000 {
				m.Answer = append(m.Answer, &dns.NS{
					Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeNS, Class: dns.ClassINET}, Ns: name,
				})
			}
			return one(m)
		})
	}}
	probe := on(t, must(t, DNS{Name: "example.com", Type: dns.TypeNS, TCP: true, Expect: regexp.MustCompile(`^ns[12]\.example\.com\.$`)}), p.network())
	within(t, 64<<20, func() {
		check(t, probe.Probe(ctxFor(t, patience), somewhere), ClassOversize, "the answer's records are longer than 64 KiB as text")
	})
	p.peers.Wait()
}

// A server that asks for a proof again and again has it a few times.
func TestPostgresLoginWithoutEnd(t *testing.T) {
	turns := 0
	r := hear(t, Postgres{User: "u", Password: hunter}, func(c net.Conn) {
		for b := make([]byte, 1<<10); ; turns++ {
			if _, err := c.Read(b); err != nil {
				return
			}
			if fluently(c, pgAuth(pgAuthMD5, "salt")) != nil {
				return
			}
		}
	})
	check(t, r, ClassProtocol, "the login does not come to an end")
	if turns > maxLoginTurns+1 {
		t.Errorf("%d turns", turns)
	}
}

// How long a server takes for its farewell is not how long it takes to answer.
func TestSMTPFarewell(t *testing.T) {
	r := hear(t, SMTP{}, func(c net.Conn) {
		_ = fluently(c, "220 mx\r\n")
		_, _ = c.Read(make([]byte, 64))
		_ = fluently(c, "250 mx\r\n")
		drain(c)
	})
	check(t, r, ClassNone, "")
	if r.RTT != 0 {
		t.Errorf("took %v", r.RTT)
	}
}

// Of a name with a thousand addresses a few are tried, each for its share of the time.
func TestThousandAddresses(t *testing.T) {
	var many []netip.Addr
	for i := range 1000 {
		many = append(many, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	synctest.Test(t, func(t *testing.T) {
		p := pipes{handle: drain, hosts: map[string][]netip.Addr{"www.example.com": many}}
		n := p.network()
		var tried []time.Duration
		n.dial = func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
			start := time.Now()
			<-ctx.Done()
			tried = append(tried, time.Since(start))
			return nil, ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1600*time.Millisecond)
		defer cancel()
		r := on(t, must(t, TCP{}), n).Probe(ctx, Target{Host: "www.example.com", Port: 80})
		check(t, r, ClassTimeout, "timeout while connecting (10.0.0.0, first of 1000 addresses)")
		if len(tried) != maxAddresses || tried[0] != 100*time.Millisecond || r.RTT != 1600*time.Millisecond {
			t.Errorf("tried %v, took %v", tried, r.RTT)
		}
	})
}

// A script's request is over when it has what it asked for: what a server still has to
// say is not waited for.
func TestLuaDoesNotWaitForTheRest(t *testing.T) {
	metrics := serve(t, "127.0.0.1", func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nup 1\n"+strings.Repeat("x 1\n", 2000))
	})
	circle := serve(t, "127.0.0.1", func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = fmt.Fprintf(c, "HTTP/1.1 302 Found\r\nLocation: http://%s/\r\nContent-Length: 100000000\r\n\r\nelsewhere", metrics)
	})
	for _, source := range []string{
		fmt.Sprintf(`return metric_get("http://%s/", "up", %d) == 1`, metrics, 2*int(patience.Seconds())),
		fmt.Sprintf(`return metric_get("http://%s/", "up", %d) == 1`, circle, 2*int(patience.Seconds())),
	} {
		r := newLua(t, Lua{Source: source}).Probe(ctxFor(t, patience), endpointOfLua)
		check(t, r, ClassNone, "")
		if r.RTT > patience/2 {
			t.Errorf("took %v", r.RTT)
		}
	}
}

// What servers of databases can do beside what talkers do.
func TestDatabasesMischief(t *testing.T) {
	greeting := func(plugin string) string { return myPacket(0, myGreeting("8.4.0", plugin)) }
	long := func(n uint32) string { return string(binary.BigEndian.AppendUint32([]byte{'R'}, n)) }
	in, role := MySQL{User: "u", Password: hunter}, Redis{Role: RolePrimary}
	query := MySQL{User: "u", Password: hunter, Query: "SELECT 1"}
	pg, pgQuery := Postgres{User: "u", Password: hunter}, Postgres{User: "u", Password: hunter, Query: "SELECT 1"}
	for name, c := range map[string]struct {
		o     any
		s     dialogue
		class Class
	}{
		"mysql packet of 16 MiB":             {in, dialogue{true, []string{"\xff\xff\xff\x00" + strings.Repeat("x", 1<<10)}}, ClassOversize},
		"mysql greets in plain as cleartext": {in, dialogue{true, []string{greeting(clearPassword), myPacket(2, "\xfe"+clearPassword+"\x00")}}, ClassAuth},
		"mysql wants sha256 in plain":        {in, dialogue{true, []string{greeting(""), myPacket(2, "\xfe"+sha256Password+"\x00"+strings.Repeat("n", 20)+"\x00")}}, ClassAuth},
		"mysql wants the old method":         {in, dialogue{true, []string{greeting(""), myPacket(2, "\xfe")}}, ClassAuth},
		"mysql has a method of its own":      {in, dialogue{true, []string{greeting(""), myPacket(2, "\xfe"+hunter+"\x00")}}, ClassAuth},
		"mysql asks for a file":              {query, myTurn(myPacket(1, myOK), myPacket(1, "\xfb/etc/passwd")), ClassProtocol},
		"mysql has a column too many":        {query, myTurn(myPacket(1, myOK), myPacket(1, "\xfc\x01\x10")), ClassProtocol},
		"mysql has 2^63 columns":             {query, myTurn(myPacket(1, myOK), myPacket(1, "\xfe\xff\xff\xff\xff\xff\xff\xff\x7f")), ClassProtocol},
		"mysql has a row that lies":          {query, myTurn(myPacket(1, myOK), myPacket(1, "\x01")+myPacket(2, myColumn("v"))+myPacket(3, myEOF)+myPacket(4, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff")), ClassProtocol},
		"mysql echoes the password":          {query, myTurn(myPacket(1, myOK), myPacket(1, "\xff\x28\x04#42000You said "+hunter)), ClassError},
		"pg message of 2 GiB":                {pg, dialogue{false, []string{long(1<<31 - 1)}}, ClassProtocol},
		"pg message of less than nothing":    {pg, dialogue{false, []string{long(0)}}, ClassProtocol},
		"pg wants the password in plain":     {pg, dialogue{false, []string{pgAuth(pgAuthClear, "")}}, ClassAuth},
		"pg asks for a billion rounds":       {pg, dialogue{false, []string{pgAuth(pgAuthSASL, scramMethod+"\x00\x00"), pgAuth(pgAuthContinue, "r=x,s=AAAA,i=1000000000")}}, ClassProtocol},
		"pg asks for a method of its own":    {pg, dialogue{false, []string{pgAuth(pgAuthSASL, hunter+"\x00\x00")}}, ClassAuth},
		"pg status without end":              {pg, dialogue{false, []string{pgAuth(0, "") + strings.Repeat(pgMessage('S', "TimeZone\x00UTC\x00"), 100_000)}}, ClassOversize},
		"pg notices without end":             {pg, dialogue{false, []string{strings.Repeat(pgMessage('N', "SNOTICE\x00\x00"), 100_000)}}, ClassOversize},
		"pg copies out":                      {pgQuery, pgTurn(pgMessage('H', "\x00\x00\x00") + pgMessage('d', hunter)), ClassError},
		"pg copies in":                       {pgQuery, pgTurn(pgMessage('G', "\x00\x00\x00")), ClassError},
		"pg row that lies":                   {pgQuery, pgTurn(pgMessage('D', "\x00\x01\x7f\xff\xff\xffx")), ClassProtocol},
		"pg code of its own words":           {pg, dialogue{false, []string{pgMessage('E', "C"+hunter+"\x00\x00")}}, ClassError},
		"redis nests":                        {role, dialogue{false, []string{strings.Repeat("*1\r\n", 100_000)}}, ClassOversize},
		"redis array of 2^31":                {role, dialogue{false, []string{"*2147483647\r\n"}}, ClassOversize},
		"redis array of less than nothing":   {role, dialogue{false, []string{"*-2147483648\r\n"}}, ClassProtocol},
		"redis text of 2^63":                 {role, dialogue{false, []string{"$9223372036854775808\r\n"}}, ClassProtocol},
		"redis arrays of nothing":            {role, dialogue{false, []string{"*65000\r\n" + strings.Repeat("*0\r\n", 300_000)}}, ClassProtocol},
		"redis in a dialect":                 {role, dialogue{false, []string{"%1\r\n+a\r\n+b\r\n"}}, ClassProtocol},
		"redis has another role":             {role, dialogue{false, []string{"*1\r\n$21\r\n" + hunter + "\r\n"}}, ClassProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, 24<<20, func() { check(t, hear(t, c.o, said(c.s)), c.class, "") })
		})
	}
}
