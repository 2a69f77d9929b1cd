package server

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func secret(t testing.TB, s string) [16]byte { return [16]byte(unhex(t, s)) }

// The vector of the paper's appendix A, and those of the authors' own
// implementation for every length of the last block and both of a cookie: the
// key 00 01 .. 0f, and the message 00 01 .. n-1.
func TestSipHash(t *testing.T) {
	key := secret(t, "000102030405060708090a0b0c0d0e0f")
	msg := make([]byte, 64)
	for i := range msg {
		msg[i] = byte(i)
	}
	if got := sipHash(&key, msg[:15]); got != 0xa129ca6149be45e5 {
		t.Errorf("the paper's message: %#x", got)
	}
	for n, want := range map[int]string{
		0: "310e0edd47db6f72", 1: "fd67dc93c539f874", 2: "5a4fa9d909806c0d", 3: "2d7efbd796666785",
		4: "b7877127e09427cf", 5: "8da699cd64557618", 6: "cee3fe586e46c9cb", 7: "37d1018bf50002ab",
		8: "6224939a79f5f593", 15: "e545be4961ca29a1", 16: "db9bc2577fcc2a3f", 20: "98eea21af25cd6be",
		32: "ce7cf2722f512771", 63: "724506eb4c328a95",
	} {
		var got [8]byte
		binary.LittleEndian.PutUint64(got[:], sipHash(&key, msg[:n]))
		if hex.EncodeToString(got[:]) != want {
			t.Errorf("%d bytes: %x, want %s", n, got, want)
		}
	}
}

// cookieQuery is a query with a cookie, in hexadecimal, from a client.
func cookieQuery(t testing.TB, client, cookie string) *dnswire.Query {
	t.Helper()
	return &dnswire.Query{Client: netip.AddrPortFrom(netip.MustParseAddr(client), 53), Cookie: unhex(t, cookie)}
}

// The examples of RFC 9018 appendix A.
func TestCookieVectors(t *testing.T) {
	const first, before, after = "e5e973e5a6b2a43f48e7dc849e37bfcf", "dd3bdf9344b678b185a6f5cb60fca715", "445536bcd2513298075a5d379663c962"
	tests := []struct {
		name    string
		secrets []string
		client  string
		query   string
		now     uint32
		state   dnswire.CookieState
		answer  string // the server cookie
	}{
		{
			"A.1 learning a new one",
			[]string{first},
			"198.51.100.100", "2464c4abcf10c957", 1559731985,
			dnswire.CookieUnverified, "010000005cf79f111f8130c3eee29480",
		},
		{
			"A.2 the same client learning a renewed one",
			[]string{first},
			"198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559734385,
			dnswire.CookieValid, "010000005cf7a871d4a564a1442aca77",
		},
		{
			// The cookie of the example is older than an hour when it comes back.
			"A.3 another client learning a renewed one",
			[]string{first},
			"203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559734700,
			dnswire.CookieUnverified, "010000005cf7a9acf73a7810aca2381e",
		},
		{
			"A.3 while it was good, its reserved bytes being what they are",
			[]string{first},
			"203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559727985 + 1800,
			dnswire.CookieValid, "01abcdef5cf78f71a314227b6679ebf5",
		},
		{
			"A.4 IPv6 with a secret that was rolled over",
			[]string{after, before},
			"2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961,
			dnswire.CookieValid, "010000005cf7c609a6bb79d16625507a",
		},
		{
			"A.4 before it was made the first one",
			[]string{before, after},
			"2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961,
			dnswire.CookieValid, "010000005cf7c57926556bd0934c72f8",
		},
		{
			"A.4 once the old one is gone",
			[]string{after},
			"2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961,
			dnswire.CookieUnverified, "010000005cf7c609a6bb79d16625507a",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var secrets [][16]byte
			for _, s := range tt.secrets {
				secrets = append(secrets, secret(t, s))
			}
			q := cookieQuery(t, tt.client, tt.query)
			newCookies().check(q, secrets, tt.now)
			if got := hex.EncodeToString(q.ServerCookie[:]); q.CookieState != tt.state || got != tt.answer {
				t.Errorf("state %d, cookie %s; want %d, %s", q.CookieState, got, tt.state, tt.answer)
			}
		})
	}
}

// What becomes of the cookie of A.1 when it comes back in this way or that.
func TestCookieCheck(t *testing.T) {
	const (
		issued = uint32(1559731985)
		client = "198.51.100.100"
		good   = "2464c4abcf10c957010000005cf79f111f8130c3eee29480"
	)
	secrets := [][16]byte{secret(t, "e5e973e5a6b2a43f48e7dc849e37bfcf")}
	changed := func(i int) string {
		b := unhex(t, good)
		b[i] ^= 1
		return hex.EncodeToString(b)
	}
	tests := []struct {
		name   string
		client string
		cookie string
		now    uint32
		state  dnswire.CookieState
		same   bool // it goes back as it is
	}{
		{"at once", client, good, issued, dnswire.CookieValid, true},
		{"half an hour old", client, good, issued + 1800, dnswire.CookieValid, true},
		{"older than half an hour", client, good, issued + 1801, dnswire.CookieValid, false},
		{"an hour old", client, good, issued + 3600, dnswire.CookieValid, false},
		{"older than an hour", client, good, issued + 3601, dnswire.CookieUnverified, false},
		{"five minutes ahead", client, good, issued - 300, dnswire.CookieValid, true},
		{"more than five minutes ahead", client, good, issued - 301, dnswire.CookieUnverified, false},
		{"68 years on", client, good, issued + 1<<31, dnswire.CookieUnverified, false},
		{"mapped into IPv6", "::ffff:" + client, good, issued, dnswire.CookieValid, true},
		{"another address", "198.51.100.101", good, issued, dnswire.CookieUnverified, false},
		{"another client cookie", client, changed(0), issued, dnswire.CookieUnverified, false},
		{"another version", client, changed(8), issued, dnswire.CookieUnverified, false},
		{"other reserved bytes", client, changed(9), issued, dnswire.CookieUnverified, false},
		{"another time", client, changed(15), issued, dnswire.CookieUnverified, false},
		{"another hash", client, changed(16), issued, dnswire.CookieUnverified, false},
		{"another hash at its end", client, changed(23), issued, dnswire.CookieUnverified, false},
		{"too short for ours", client, good[:46], issued, dnswire.CookieUnverified, false},
		{"too long for ours", client, good + "00", issued, dnswire.CookieUnverified, false},
		{"none of ours", client, good[:16], issued, dnswire.CookieUnverified, false},
	}
	c := newCookies()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := cookieQuery(t, tt.client, tt.cookie)
			q.CookieState = dnswire.CookieValid
			c.check(q, secrets, tt.now)
			if q.CookieState != tt.state {
				t.Errorf("state %d, want %d", q.CookieState, tt.state)
			}
			if same := strings.HasSuffix(tt.cookie, hex.EncodeToString(q.ServerCookie[:])); same != tt.same {
				t.Errorf("%x goes back", q.ServerCookie)
			}
			// Whatever came, what goes back holds.
			next := &dnswire.Query{Client: q.Client, Cookie: slices.Concat(q.Cookie[:8], q.ServerCookie[:])}
			c.check(next, secrets, tt.now)
			if next.CookieState != dnswire.CookieValid || next.ServerCookie != q.ServerCookie {
				t.Errorf("%x does not hold at once", q.ServerCookie)
			}
		})
	}
}

// Another version is another construction, whatever its hash looks like to us.
func TestCookieOfAnotherVersion(t *testing.T) {
	c := newCookies()
	q := cookieQuery(t, "192.0.2.1", "2464c4abcf10c957")
	for version, want := range map[byte]dnswire.CookieState{1: dnswire.CookieValid, 2: dnswire.CookieUnverified} {
		h := newCookieHash(q)
		var cookie [dnswire.ServerCookieLen]byte
		h.sum(&cookie, &c.own[0], []byte{version, 0, 0, 0, 0, 0, 0, 9})
		back := &dnswire.Query{Client: q.Client, Cookie: slices.Concat(q.Cookie, cookie[:])}
		if c.check(back, nil, 9); back.CookieState != want {
			t.Errorf("version %d: state %d", version, back.CookieState)
		}
	}
}

// A cookie holds while the time in it passes 2^32.
func TestCookieTimeWraps(t *testing.T) {
	c := newCookies()
	q := cookieQuery(t, "2001:db8::1", "2464c4abcf10c957")
	for _, now := range []uint32{1<<32 - 1000, 1<<32 - 1, 0, 799, 1000, 2000} {
		c.check(q, nil, now)
		if first := len(q.Cookie) == 8; first != (q.CookieState == dnswire.CookieUnverified) {
			t.Errorf("at %d: state %d", now, q.CookieState)
		}
		q.Cookie = slices.Concat(q.Cookie[:8], q.ServerCookie[:])
	}
}

// withCookie is a query for www.x.test with a COOKIE option.
func withCookie(t testing.TB, cookie []byte) []byte {
	t.Helper()
	return cookied(query(t, 7, "www.x.test."), cookie)
}

// cookied is msg, a query without options, with a cookie.
func cookied(msg, cookie []byte) []byte {
	b := slices.Clone(msg)
	size := len(b) - 2 // of the options, which are the last of the packet
	binary.BigEndian.PutUint16(b[size:], uint16(4+len(cookie)))
	b = binary.BigEndian.AppendUint16(b, 10)
	b = binary.BigEndian.AppendUint16(b, uint16(len(cookie)))
	return append(b, cookie...)
}

// inject has a worker answer a query from a client.
func inject(t testing.TB, w *worker, cookie []byte) dnswire.CookieState {
	t.Helper()
	w.begin()
	out := w.answer(nil, withCookie(t, cookie), netip.MustParseAddrPort("192.0.2.7:53"))
	if rcode, n := check(t, out, 7); rcode != 0 || n != 1 {
		t.Fatalf("rcode %d, %d answers", rcode, n)
	}
	return w.q.CookieState
}

// TestCookieWorker goes the way of a query through a worker: with the secrets of
// the table at hand, those of the process when it has none, over reloads.
func TestCookieWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := []byte("12345678")
		var snap *resolve.Snapshot
		s := New(Options{Snapshot: func() *resolve.Snapshot { return snap }})
		w := s.newWorker(dnswire.UDP, s.tcpCount)
		load := func(secrets string) {
			text := fmt.Sprintf(oneService, "192.0.2.9")
			if secrets != "" {
				text += "dns: {cookie_secret: " + secrets + "}\n"
			}
			snap = snapshot(t, text)
		}
		ask := func(cookie []byte, want dnswire.CookieState) []byte {
			t.Helper()
			if got := inject(t, w, cookie); got != want {
				t.Errorf("state %d, want %d", got, want)
			}
			return slices.Concat(client, w.q.ServerCookie[:])
		}
		const a, b = "00000000000000000000000000000000", "00000000000000000000000000000001"

		load("")
		own := ask(client, dnswire.CookieUnverified)
		if when := binary.BigEndian.Uint32(own[12:]); when != uint32(time.Now().Unix()) {
			t.Errorf("a cookie of %d", when)
		}
		load("") // a reload
		ask(own, dnswire.CookieValid)
		load(a)
		ask(own, dnswire.CookieUnverified)
		old := ask(client, dnswire.CookieUnverified)
		load("[" + b + ", " + a + "]")
		renewed := ask(old, dnswire.CookieValid)
		load(b)
		ask(old, dnswire.CookieUnverified)
		ask(renewed, dnswire.CookieValid)

		time.Sleep(61 * time.Minute) // of the bubble's clock
		ask(renewed, dnswire.CookieUnverified)
		load("")
		ask(own, dnswire.CookieUnverified)

		other := New(Options{Snapshot: func() *resolve.Snapshot { return snap }})
		fresh := ask(client, dnswire.CookieUnverified)
		if got := inject(t, other.newWorker(dnswire.UDP, other.tcpCount), fresh); got != dnswire.CookieUnverified {
			t.Error("two processes have the same random secret")
		}
		if got := inject(t, s.newWorker(dnswire.TCP, s.tcpCount), fresh); got != dnswire.CookieValid {
			t.Error("the workers of one process differ")
		}
	})
}

func TestCookieAllocations(t *testing.T) {
	snap := snapshot(t, fmt.Sprintf(oneService, "192.0.2.9"))
	s := New(Options{Snapshot: func() *resolve.Snapshot { return snap }})
	w := s.newWorker(dnswire.UDP, s.tcpCount)
	client := []byte("12345678")
	inject(t, w, client)
	buf := make([]byte, 0, dnswire.MaxUDP)
	from := netip.MustParseAddrPort("192.0.2.7:53")
	for _, msg := range [][]byte{withCookie(t, client), withCookie(t, slices.Concat(client, w.q.ServerCookie[:]))} {
		if n := testing.AllocsPerRun(100, func() {
			w.begin()
			w.answer(buf, msg, from)
		}); n != 0 {
			t.Errorf("%v allocations for %x", n, msg)
		}
	}
}

// FuzzCookie holds check to what it promises of any cookie: what goes back
// holds, and what is said to hold has been made with a secret.
func FuzzCookie(f *testing.F) {
	f.Add([]byte("12345678"), []byte{192, 0, 2, 1}, uint32(1), uint32(1))
	f.Add(unhex(f, "2464c4abcf10c957010000005cf79f111f8130c3eee29480"), []byte{198, 51, 100, 100}, uint32(1559731985), uint32(1559731986))
	f.Add(unhex(f, "22681ab97d52c298010000005cf7c57926556bd0934c72f8"), unhex(f, "20010db80220000159ded0f4876982b8"), uint32(1559741961), uint32(0))
	f.Add(make([]byte, 40), make([]byte, 16), uint32(1<<32-1), uint32(3000))
	c := newCookies()
	secrets := [][16]byte{secret(f, "e5e973e5a6b2a43f48e7dc849e37bfcf"), secret(f, "dd3bdf9344b678b185a6f5cb60fca715")}
	f.Fuzz(func(t *testing.T, cookie, client []byte, now, later uint32) {
		addr, ok := netip.AddrFromSlice(client)
		if n := len(cookie); !ok || n != 8 && (n < 16 || n > 40) {
			t.Skip() // Parse lets no other through
		}
		q := &dnswire.Query{Client: netip.AddrPortFrom(addr, 53), Cookie: cookie}
		c.check(q, secrets, now)
		if q.CookieState == dnswire.CookieValid && (len(cookie) != 24 || cookie[8] != 1) || q.CookieState == dnswire.CookieNone {
			t.Errorf("%x has state %d", cookie, q.CookieState)
		}
		made := int32(now - binary.BigEndian.Uint32(q.ServerCookie[4:]))
		if made < -300 || made > 1800 {
			t.Errorf("a cookie goes back that is %d s old", made)
		}
		next := &dnswire.Query{Client: q.Client, Cookie: slices.Concat(cookie[:8], q.ServerCookie[:])}
		c.check(next, secrets, later)
		age := int32(later - binary.BigEndian.Uint32(q.ServerCookie[4:]))
		if holds := age >= -300 && age <= 3600; holds != (next.CookieState == dnswire.CookieValid) {
			t.Errorf("state %d after %d s", next.CookieState, age)
		}
		c.check(next, nil, now) // the process's own secret, which nobody knows
		if next.CookieState != dnswire.CookieUnverified {
			t.Error("a cookie of another secret holds")
		}
	})
}

func BenchmarkCookie(b *testing.B) {
	c := newCookies()
	for _, bench := range []struct{ name, client string }{{"IPv4", "192.0.2.1"}, {"IPv6", "2001:db8::1"}} {
		q := cookieQuery(b, bench.client, "2464c4abcf10c957")
		c.check(q, nil, 1)
		theirs := slices.Concat(q.Cookie, q.ServerCookie[:])
		for _, of := range []struct {
			name   string
			cookie []byte
			now    uint32
		}{{"new", q.Cookie, 1}, {"verified", theirs, 1}, {"renewed", theirs, 3601}} {
			b.Run(bench.name+" "+of.name, func(b *testing.B) {
				q.Cookie = of.cookie
				b.ReportAllocs()
				for b.Loop() {
					c.check(q, nil, of.now)
				}
			})
		}
	}
}

// The cookie comes back over the wire, behind the client's own.
func TestCookieComesBack(t *testing.T) {
	r := start(t, Options{}, "127.0.0.1:0")
	client := []byte("12345678")
	c := dial(t, "udp", r.Addrs()[0])
	if _, err := c.Write(withCookie(t, client)); err != nil {
		t.Fatal(err)
	}
	udp := make([]byte, 4096)
	n, err := c.Read(udp)
	if err != nil {
		t.Fatal(err)
	}
	tc := dial(t, "tcp", r.Addrs()[0])
	send(t, tc, withCookie(t, client))
	for _, msg := range [][]byte{udp[:n], receive(t, tc)} {
		check(t, msg, 7)
		option := slices.Concat([]byte{0, 10, 0, 24}, client, []byte{cookieVersion, 0, 0, 0})
		if !bytes.Contains(msg, option) {
			t.Errorf("no cookie in %x", msg)
		}
	}
}
