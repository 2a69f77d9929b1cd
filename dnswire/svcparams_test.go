package dnswire

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// packedByLibrary is the parameters as miekg/dns packs them.
func packedByLibrary(t *testing.T, p *SVCParams) []byte {
	t.Helper()
	rr := &dns.HTTPS{SVCB: dns.SVCB{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeHTTPS, Class: dns.ClassINET}, Priority: 1, Target: "."}}
	if len(p.V6) > 0 { // the library puts them in order
		hint := &dns.SVCBIPv6Hint{}
		for a := range slices.Chunk(p.V6, 16) {
			hint.Hint = append(hint.Hint, net.IP(a))
		}
		rr.Value = append(rr.Value, hint)
	}
	if len(p.V4) > 0 {
		hint := &dns.SVCBIPv4Hint{}
		for a := range slices.Chunk(p.V4, 4) {
			hint.Hint = append(hint.Hint, net.IP(a))
		}
		rr.Value = append(rr.Value, hint)
	}
	if len(p.ECH) > 0 {
		rr.Value = append(rr.Value, &dns.SVCBECHConfig{ECH: p.ECH})
	}
	if p.Port != 0 {
		rr.Value = append(rr.Value, &dns.SVCBPort{Port: p.Port})
	}
	if p.NoDefaultALPN {
		rr.Value = append(rr.Value, &dns.SVCBNoDefaultAlpn{})
	}
	if len(p.ALPN) > 0 {
		rr.Value = append(rr.Value, &dns.SVCBAlpn{Alpn: p.ALPN})
	}
	if len(p.Mandatory) > 0 {
		m := &dns.SVCBMandatory{}
		for _, key := range p.Mandatory {
			m.Code = append(m.Code, dns.SVCBKey(key))
		}
		rr.Value = append(rr.Value, m)
	}
	buf := make([]byte, 70000)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return buf[1+rrFixed+2+1 : end] // after the owner, the fixed part, priority and target
}

func TestSVCParamsAsLibrary(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9460, 1))
	octets := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return b
	}
	v6 := func(n int) []byte {
		b := octets(16 * n)
		for i := range n {
			b[16*i] = 0x20 // the library packs no IPv4 address written as IPv6
		}
		return b
	}
	for i := range 2000 {
		var p SVCParams
		for key := SVCALPN; key <= SVCIPv6Hint; key++ {
			if rnd.IntN(3) == 0 {
				p.Mandatory = append(p.Mandatory, key)
			}
		}
		for range rnd.IntN(4) {
			p.ALPN = append(p.ALPN, string(octets(1+rnd.IntN(255))))
		}
		p.NoDefaultALPN = rnd.IntN(2) == 0
		if rnd.IntN(2) == 0 {
			p.Port = uint16(rnd.Uint32())
		}
		p.V4, p.V6, p.ECH = octets(4*rnd.IntN(4)), v6(rnd.IntN(4)), octets(rnd.IntN(300))
		want := packedByLibrary(t, &p)
		dst := []byte("before")
		got, found := bytes.CutPrefix(AppendSVCParams(dst, p), dst)
		if !found || !bytes.Equal(got, want) {
			t.Fatalf("%d: %+v\ngot  %x\nwant %x", i, p, got, want)
		}
		if p.Len() != len(got) {
			t.Fatalf("%d: %+v: Len is %d, not %d", i, p, p.Len(), len(got))
		}
	}
}

// The vectors are those of RFC 9460 appendix D.2 that have parameters of ours,
// after priority and target.
func TestSVCParamsOfRFC(t *testing.T) {
	hint6 := func(texts ...string) (out []byte) {
		for _, s := range texts {
			out = append(out, net.ParseIP(s)...)
		}
		return out
	}
	for _, c := range []struct {
		figure string
		p      SVCParams
		want   string
	}{
		{"3", SVCParams{}, ""},
		{"4", SVCParams{Port: 53}, "0003 0002 0035"},
		{"7", SVCParams{V6: hint6("2001:db8::1", "2001:db8::53:1")}, "0006 0020 20010db8000000000000000000000001 20010db8000000000000000000530001"},
		{"8", SVCParams{V6: hint6("2001:db8:122:344::192.0.2.33")}, "0006 0010 20010db80122034400000000c0000221"},
		{
			"9",
			SVCParams{Mandatory: []uint16{SVCALPN, SVCIPv4Hint}, ALPN: []string{"h2", "h3-19"}, V4: []byte{192, 0, 2, 1}},
			"0000 0004 0001 0004  0001 0009 02 6832 05 68332d3139  0004 0004 c0000201",
		},
		{"10", SVCParams{ALPN: []string{`f\oo,bar`, "h2"}}, "0001 000c 08 665c6f6f2c626172 02 6832"},
	} {
		want, err := hex.DecodeString(strings.ReplaceAll(c.want, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := AppendSVCParams(nil, c.p); !bytes.Equal(got, want) {
			t.Errorf("figure %s:\ngot  %x\nwant %x", c.figure, got, want)
		}
	}
}

func TestSVCParamsAllocateNothing(t *testing.T) {
	p := SVCParams{
		Mandatory: []uint16{SVCALPN}, ALPN: []string{"h3", "h2"}, NoDefaultALPN: true, Port: 8443,
		V4: make([]byte, 8), ECH: make([]byte, 70), V6: make([]byte, 32),
	}
	dst := make([]byte, 0, p.Len())
	if n := testing.AllocsPerRun(100, func() { dst = AppendSVCParams(dst[:0], p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
