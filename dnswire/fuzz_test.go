package dnswire_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/rhumb-dns/rhumb/dnswire"
)

// FuzzParse compares Parse with miekg/dns in both directions: what Parse takes,
// miekg/dns reads alike; what miekg/dns reads and is a query without fault,
// Parse takes.
func FuzzParse(f *testing.F) {
	for _, p := range packets() {
		f.Add(p.msg)
	}
	f.Add(full)
	f.Fuzz(func(t *testing.T, msg []byte) {
		if len(msg) > dnswire.MaxTCP {
			t.Skip()
		}
		for _, transport := range []dnswire.Transport{dnswire.UDP, dnswire.TCP} {
			q := dnswire.Query{Transport: transport}
			q.Parse(msg)
			used := q
			used.Parse(full)
			used.Parse(msg)
			if got, want := state(&used), state(&q); !reflect.DeepEqual(got, want) {
				t.Errorf("in a used Query:\n got %v\nwant %v", got, want)
			}
			if q.Status != dnswire.StatusDrop {
				checkReply(t, &q)
			}
			switch {
			case q.Status == dnswire.StatusOK:
				checkAgreed(t, &q)
			case q.Status == dnswire.StatusCookieOnly:
				checkOPT(t, &q)
				if q.Cookie == nil {
					t.Error("a request for a cookie has none")
				}
			case faultless(msg, transport):
				t.Errorf("Status %d for a query without fault", q.Status)
			}
		}
	})
}

// checkAgreed compares a query that Parse took with what miekg/dns makes of it.
func checkAgreed(t *testing.T, q *dnswire.Query) {
	t.Helper()
	// miekg/dns reads the data of the records behind the question as well, and
	// Parse does not; so the question is compared on its own.
	alone := cat(q.Msg[:8], u16(0, 0), q.Msg[dnswire.HeaderLen:q.QuestionEnd])
	var m dns.Msg
	if err := m.Unpack(alone); err != nil || len(m.Question) != 1 {
		t.Fatalf("miekg/dns on the question: %v", err)
	}
	asked := m.Question[0]
	name := strings.ToLower(asked.Name)
	if packed := packName(t, name); !bytes.Equal(packed, q.Name()) {
		t.Errorf("Name %q, miekg/dns has %q", q.Name(), packed)
	}
	if s := dnswire.Name(q.Name()).String(); s != name {
		t.Errorf("String %q, miekg/dns has %q", s, name)
	}
	if asked.Qtype != uint16(q.Type) || asked.Qclass != uint16(q.Class) || m.Id != q.ID {
		t.Errorf("type %d, class %d, ID %d; miekg/dns has %+v", q.Type, q.Class, q.ID, m)
	}
	if n := dns.CountLabel(name); n != q.Labels() {
		t.Errorf("Labels %d, miekg/dns has %d", q.Labels(), n)
	}
	checkSuffixes(t, q)
	checkOPT(t, q)
}

// checkOPT compares what Parse says of the records behind the question.
func checkOPT(t *testing.T, q *dnswire.Query) {
	t.Helper()
	msg, versions := zoneVersions(q.Msg)
	if q.ZoneVersion != (len(versions) == 1) || q.ZoneVersion && versions[0] != 0 {
		t.Errorf("ZoneVersion %v, there are options of lengths %v", q.ZoneVersion, versions)
	}
	var m dns.Msg
	if m.Unpack(msg) != nil {
		return // in data that Parse does not read
	}
	tsig := false
	for _, rr := range m.Extra {
		tsig = tsig || rr.Header().Rrtype == dns.TypeTSIG
	}
	if tsig != q.TSIG {
		t.Errorf("TSIG %v, miekg/dns has %v", q.TSIG, tsig)
	}
	edns := m.IsEdns0()
	if (edns != nil) != q.EDNS {
		t.Fatalf("EDNS %v, miekg/dns has %v", q.EDNS, edns)
	}
	if edns == nil {
		return
	}
	if edns.UDPSize() != q.UDPSize || edns.Do() != q.DO || edns.Version() != q.Version {
		t.Errorf("EDNS size %d, DO %v, version %d; miekg/dns has %v", q.UDPSize, q.DO, q.Version, edns)
	}
	nsid, padding, keepalive, subnets := false, false, false, 0
	var cookie []string
	for _, option := range edns.Option {
		switch o := option.(type) {
		case *dns.EDNS0_NSID:
			nsid = true
		case *dns.EDNS0_SUBNET:
			subnets++
			checkECS(t, q, o, 0)
		case *dns.EDNS0_COOKIE:
			cookie = append(cookie, o.Cookie)
		case *dns.EDNS0_PADDING:
			padding = true
		case *dns.EDNS0_TCP_KEEPALIVE:
			keepalive = q.Transport != dnswire.UDP
		}
	}
	if padding != q.Padding || keepalive != q.TCPKeepalive {
		t.Errorf("Padding %v, TCPKeepalive %v; miekg/dns has %v, %v", q.Padding, q.TCPKeepalive, padding, keepalive)
	}
	if (len(cookie) > 0) != (q.Cookie != nil) || len(cookie) > 0 && cookie[0] != hex.EncodeToString(q.Cookie) {
		t.Errorf("Cookie %x, miekg/dns has %v", q.Cookie, cookie)
	}
	if nsid != q.NSID || subnets > 1 || (subnets == 1) != q.ECS.Present {
		t.Errorf("NSID %v, ECS %v; miekg/dns has %v, %d", q.NSID, q.ECS.Present, nsid, subnets)
	}
}

// zoneVersions finds the ZONEVERSION options of msg, of which it returns the
// lengths, and makes a copy of msg in which they have a code for local use:
// miekg/dns does not read them when they are empty, which they are in a query.
func zoneVersions(msg []byte) (masked []byte, lengths []int) {
	const local = 65280
	if len(msg) < dnswire.HeaderLen {
		return msg, nil
	}
	masked = bytes.Clone(msg)
	off := dnswire.HeaderLen
	for range binary.BigEndian.Uint16(msg[4:]) {
		_, end, err := dns.UnpackDomainName(msg, off)
		if err != nil {
			return masked, lengths
		}
		off = end + 4
	}
	for off < len(msg) {
		_, data, err := dns.UnpackDomainName(msg, off)
		if data += 10; err != nil || data > len(msg) {
			break
		}
		off = data + int(binary.BigEndian.Uint16(msg[data-2:]))
		if off > len(msg) || binary.BigEndian.Uint16(msg[data-10:]) != dns.TypeOPT {
			continue
		}
		for data+4 <= off {
			if binary.BigEndian.Uint16(msg[data:]) == dns.EDNS0ZONEVERSION {
				binary.BigEndian.PutUint16(masked[data:], local)
				lengths = append(lengths, int(binary.BigEndian.Uint16(msg[data+2:])))
			}
			data += 4 + int(binary.BigEndian.Uint16(msg[data+2:]))
		}
	}
	return masked, lengths
}

// faultless is whether miekg/dns reads msg in full as a query, and it has none
// of the faults that miekg/dns lets pass.
func faultless(msg []byte, transport dnswire.Transport) bool {
	msg, versions := zoneVersions(msg)
	if len(versions) > 1 || len(versions) == 1 && versions[0] != 0 {
		return false
	}
	var m dns.Msg
	if m.Unpack(msg) != nil || m.Response || m.Opcode != dns.OpcodeQuery || len(m.Question) != 1 {
		return false
	}
	if counts := u16(1, 0, 0, len(m.Extra)); !bytes.Equal(msg[4:dnswire.HeaderLen], counts) {
		return false
	}
	asked := m.Question[0]
	if asked.Qtype == dns.TypeOPT || asked.Qtype == dns.TypeNXNAME {
		return false
	}
	_, off, err := dns.UnpackDomainName(msg, dnswire.HeaderLen)
	if err != nil || off+4 > len(msg) {
		return false
	}
	plain := make([]byte, 256)
	if n, err := dns.PackDomainName(asked.Name, plain, 0, nil, false); err != nil || n != off-dnswire.HeaderLen {
		return false // compressed
	}
	off += 4
	seen := false
	for range m.Extra {
		rr, end, err := dns.UnpackRR(msg, off)
		if err != nil {
			return false
		}
		if edns, ok := rr.(*dns.OPT); ok {
			if seen || !faultlessOPT(edns, msg[off:end], transport) {
				return false
			}
			seen = true
		}
		off = end
	}
	return off == len(msg)
}

// faultlessOPT is whether raw, which miekg/dns read as edns, is as miekg/dns
// would write it, and has what a query may have.
func faultlessOPT(edns *dns.OPT, raw []byte, transport dnswire.Transport) bool {
	again := make([]byte, len(raw)+64)
	n, err := dns.PackRR(edns, again, 0, nil, false)
	if err != nil || !bytes.Equal(again[:n], raw) || edns.Hdr.Name != "." || edns.Version() != 0 {
		return false
	}
	subnets, cookies := 0, 0
	for _, option := range edns.Option {
		switch o := option.(type) {
		case *dns.EDNS0_SUBNET:
			subnets++
			if o.SourceScope != 0 {
				return false
			}
		case *dns.EDNS0_COOKIE:
			cookies++
			if n := len(o.Cookie) / 2; cookies == 1 && n != 8 && (n < 16 || n > 40) {
				return false
			}
		case *dns.EDNS0_TCP_KEEPALIVE:
			if transport != dnswire.UDP && o.Timeout != 0 {
				return false
			}
		}
	}
	return subnets <= 1
}

// packName is a name that miekg/dns holds good, in wire form.
func packName(t *testing.T, s string) []byte {
	t.Helper()
	b := make([]byte, 300)
	n, err := dns.PackDomainName(s, b, 0, nil, false)
	if err != nil {
		t.Fatalf("PackDomainName(%q): %v", s, err)
	}
	return b[:n]
}

// The seeds must reach both directions, or the fuzzer compares nothing.
func TestFaultless(t *testing.T) {
	n := 0
	for _, p := range packets() {
		if !faultless(p.msg, dnswire.UDP) {
			continue
		}
		n++
		if p.status != dnswire.StatusOK {
			t.Errorf("%s holds for faultless", p.name)
		}
	}
	if n < 30 {
		t.Errorf("only %d packets are faultless", n)
	}
}

// FuzzName compares ParseName and String with miekg/dns, and holds every Name
// to the rules that its methods keep.
func FuzzName(f *testing.F) {
	for _, s := range []string{
		"", ".", "..", "com", "com.", "WWW.Example.com.", "a..b", ".a", `a\.b.c`, `\..`, `\.`, `\\`, `\`, `a\`,
		`\065.`, `\255\000`, `\256`, `\1`, `\12`, `\1a2`, `a.\`, "*.x", "_a._b", "ü", " '@;()\"", "\x00\x7f\xff",
		strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat(`\097`, 63), strings.Repeat("x.", 127),
		strings.Repeat("x.", 128), strings.Repeat("x.", 126) + "xx", strings.Repeat(strings.Repeat("y", 63)+".", 4), `x\003com`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := dnswire.ParseName(s)
		if err != nil {
			if n != "" {
				t.Errorf("ParseName(%q) gives %q beside %v", s, string(n), err)
			}
			if ascii(s) && miekgTakes(s) {
				t.Errorf("ParseName(%q): %v", s, err)
			}
			return
		}
		checkName(t, n)
		if !ascii(s) {
			s = n.String()
		}
		labels, ok := dns.IsDomainName(s)
		if !ok || labels != n.Labels() && !n.IsRoot() {
			t.Errorf("%q has %d labels, miekg/dns has %d, %v", s, n.Labels(), labels, ok)
		}
		if packed := packName(t, dns.Fqdn(s)); string(lowerASCII(packed)) != string(n) {
			t.Errorf("ParseName(%q) = %q, miekg/dns has %q", s, string(n), packed)
		}
		if text, _, err := dns.UnpackDomainName([]byte(n), 0); err != nil || text != n.String() {
			t.Errorf("String %q, miekg/dns has %q, %v", n, text, err)
		}
	})
}

// ascii is whether miekg/dns can be asked about s: its IsFqdn miscounts the
// backslashes before a final dot when they follow a character of several bytes.
func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

// miekgTakes is whether miekg/dns reads s as a name, and it has none of the
// escapes that only miekg/dns lets pass.
func miekgTakes(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		i++
		if i == len(s) {
			return false
		}
		if s[i] < '0' || s[i] > '9' {
			continue
		}
		if len(s) < i+3 || s[i:i+3] > "255" || strings.Trim(s[i:i+3], "0123456789") != "" {
			return false
		}
		i += 2
	}
	// Neither IsDomainName nor PackDomainName keeps to 255 bytes by itself.
	n, err := dns.PackDomainName(dns.Fqdn(s), make([]byte, 300), 0, nil, false)
	return s != "" && err == nil && n <= 255
}

// lowerASCII is a name in wire form in lower case; its length bytes are below 'A'.
func lowerASCII(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}

// checkName takes n apart and puts it together again.
func checkName(t *testing.T, n dnswire.Name) {
	t.Helper()
	if len(n) > 255 || n[len(n)-1] != 0 {
		t.Fatalf("%q is not in wire form", string(n))
	}
	if again, err := dnswire.ParseName(n.String()); err != nil || again != n {
		t.Errorf("%q reads back as %q, %v", n, string(again), err)
	}
	labels := n.Labels()
	if !n.Within(n) || !n.Within(dnswire.Root) || n.IsRoot() != (labels == 0) {
		t.Errorf("%q is not within itself", n)
	}
	if n.IsRoot() {
		return
	}
	parent := n.Parent()
	if parent.Labels() != labels-1 || !n.Within(parent) || parent.Within(n) {
		t.Errorf("%q and its parent %q", n, parent)
	}
	if again, err := parent.Prepend(n.First()); err != nil || again != n {
		t.Errorf("%q put together is %q, %v", n, again, err)
	}
	if again, err := n.Join(dnswire.Root); err != nil || again != n {
		t.Errorf("%q below the root is %q, %v", n, again, err)
	}
}
