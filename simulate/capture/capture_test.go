package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// got is what a file holds, a line for each message.
func got(t testing.TB, file []byte) (string, Counts, error) {
	t.Helper()
	var b strings.Builder
	counts, err := Read(bytes.NewReader(file), func(source netip.Addr, message []byte) error {
		fmt.Fprintf(&b, "%s %s\n", source, message)
		return nil
	})
	return b.String(), counts, err
}

func udp4(payload string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(28+len(payload)))
	b = append(b, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 53)
	return append(b, datagramOf(payload)...)
}

// tcp4 is a segment of TCP to a port, whose header says that it is so long.
func tcp4(port uint16, header int, payload string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(40+len(payload)))
	b = append(b, 0, 0, 0x40, 0, 64, protoTCP, 0, 0, 192, 0, 2, 1, 192, 0, 2, 53)
	b = binary.BigEndian.AppendUint16(append(b, 0x30, 0x39), port)
	b = append(b, make([]byte, 8)...)
	b = append(b, byte(header/4)<<4, 0x18, 1, 0, 0, 0, 0, 0)
	return append(b, payload...)
}

// framed is a message as it goes over TCP.
func framed(message string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(len(message)))) + message
}

func datagramOf(payload string) []byte {
	b := []byte{0x30, 0x39, 0, 53}
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

func ip6(next byte, rest []byte) []byte {
	b := []byte{0x60, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(len(rest)))
	b = append(b, next, 64)
	b = append(b, netip.MustParseAddr("2001:db8::1").AsSlice()...)
	b = append(b, netip.MustParseAddr("2001:db8::53").AsSlice()...)
	return append(b, rest...)
}

// behind is b with extension headers before it that lead to UDP.
func behind(b []byte) (first byte, all []byte) {
	destination := append([]byte{protoUDP, 1}, make([]byte, 14)...)
	fragment := append([]byte{protoDestination, 0, 0, 0, 0, 0, 0, 1}, destination...) // the only one
	hop := append([]byte{protoFragment, 0, 0, 0, 0, 0, 0, 0}, fragment...)
	return protoHopByHop, append(hop, b...)
}

func ether(kind uint16, b []byte, tags ...uint16) []byte {
	out := make([]byte, 12)
	for _, tag := range tags {
		out = append(binary.BigEndian.AppendUint16(out, tag), 0, 7)
	}
	return append(binary.BigEndian.AppendUint16(out, kind), b...)
}

// pcapOf is a file of libpcap.
func pcapOf(order binary.AppendByteOrder, magic, link uint32, packets ...[]byte) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(order.AppendUint16(b, 2), 4)
	b = append(b, make([]byte, 8)...)
	b = order.AppendUint32(order.AppendUint32(b, 1<<18), link)
	for _, p := range packets {
		b = append(b, make([]byte, 8)...)
		b = order.AppendUint32(order.AppendUint32(b, uint32(len(p))), uint32(len(p)))
		b = append(b, p...)
	}
	return b
}

func block(order binary.AppendByteOrder, kind uint32, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	size := uint32(len(body) + 12)
	b := order.AppendUint32(order.AppendUint32(nil, kind), size)
	return order.AppendUint32(append(b, body...), size)
}

// pcapngOf is a section with an interface of each link, and a packet of each, as
// the three kinds of blocks in turn; the last kind is of the first interface.
func pcapngOf(order binary.AppendByteOrder, links []uint32, packets ...[]byte) []byte {
	head := order.AppendUint32(nil, orderMagic)
	head = order.AppendUint16(order.AppendUint16(head, 1), 0)
	b := block(order, blockSection, append(head, 255, 255, 255, 255, 255, 255, 255, 255))
	for _, l := range links {
		b = append(b, block(order, blockInterface, append(order.AppendUint16(order.AppendUint16(nil, uint16(l)), 0), 0, 0, 0, 0))...)
	}
	b = append(b, block(order, 5, make([]byte, 12))...) // statistics
	for i, p := range packets {
		size := order.AppendUint32(nil, uint32(len(p)))
		switch i % 3 {
		case 0:
			h := append(order.AppendUint32(nil, uint32(i%len(links))), make([]byte, 8)...)
			b = append(b, block(order, blockEnhanced, append(append(append(h, size...), size...), p...))...)
		case 1:
			h := append(order.AppendUint16(nil, uint16(i%len(links))), make([]byte, 10)...)
			b = append(b, block(order, blockPacket, append(append(append(h, size...), size...), p...))...)
		case 2:
			b = append(b, block(order, blockSimple, append(size, p...))...)
		}
	}
	return b
}

// dnstapOf is a Frame Stream of such frames.
func dnstapOf(content string, frames ...[]byte) []byte {
	be := binary.BigEndian
	start := be.AppendUint32(be.AppendUint32(be.AppendUint32(nil, controlStart), fieldType), uint32(len(content)))
	start = append(start, content...)
	b := append(be.AppendUint32(make([]byte, 4), uint32(len(start))), start...)
	for _, f := range frames {
		b = append(be.AppendUint32(b, uint32(len(f))), f...)
	}
	b = be.AppendUint32(be.AppendUint32(b, 0), 4)
	return be.AppendUint32(b, controlStop)
}

// tapped is a dnstap message.
func tapped(kind uint64, source string, query string) []byte {
	var m []byte
	m = protowire.AppendVarint(protowire.AppendTag(m, numType, protowire.VarintType), kind)
	m = protowire.AppendBytes(protowire.AppendTag(m, numQueryAddress, protowire.BytesType), netip.MustParseAddr(source).AsSlice())
	m = protowire.AppendFixed32(protowire.AppendTag(m, 9, protowire.Fixed32Type), 7)
	m = protowire.AppendBytes(protowire.AppendTag(m, numQuery, protowire.BytesType), []byte(query))
	var b []byte
	b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), []byte("ns1"))
	b = protowire.AppendBytes(protowire.AppendTag(b, numMessage, protowire.BytesType), m)
	return protowire.AppendVarint(protowire.AppendTag(b, 15, protowire.VarintType), 1)
}

// files are whole files of every kind, each with what it holds.
func files() map[string]struct {
	file []byte
	want string
} {
	le, be := binary.LittleEndian, binary.BigEndian
	const four, six = "192.0.2.1 hello\n", "2001:db8::1 hello\n"
	v4, v6 := udp4("hello"), ip6(protoUDP, datagramOf("hello"))
	cooked := append(make([]byte, 14), 8, 0)
	cooked2 := append([]byte{0x86, 0xdd}, make([]byte, 18)...)
	type f = struct {
		file []byte
		want string
	}
	return map[string]f{
		"ethernet":       {pcapOf(le, magicMicro, linkEthernet, ether(etherIPv4, v4), ether(etherIPv6, v6)), four + six},
		"big endian":     {pcapOf(be, magicMicro, linkEthernet, ether(etherIPv4, v4)), four},
		"nanoseconds":    {pcapOf(le, magicNano, linkEthernet, ether(etherIPv4, v4)), four},
		"big nano":       {pcapOf(be, magicNano, linkEthernet, ether(etherIPv4, v4)), four},
		"checksummed":    {pcapOf(le, magicMicro, 0x24000000|linkEthernet, ether(etherIPv4, v4)), four},
		"vlan":           {pcapOf(le, magicMicro, linkEthernet, ether(etherIPv4, v4, etherVLAN), ether(etherIPv6, v6, etherQinQ, etherVLAN)), four + six},
		"padded":         {pcapOf(le, magicMicro, linkEthernet, ether(etherIPv4, append(bytes.Clone(v4), 0, 0, 0, 0))), four},
		"raw":            {pcapOf(le, magicMicro, linkRaw, v4, v6), four + six},
		"raw ipv4":       {pcapOf(le, magicMicro, linkIPv4, v4), four},
		"raw ipv6":       {pcapOf(le, magicMicro, linkIPv6, v6), six},
		"null":           {pcapOf(le, magicMicro, linkNull, append([]byte{2, 0, 0, 0}, v4...), append([]byte{30, 0, 0, 0}, v6...)), four + six},
		"loop":           {pcapOf(be, magicMicro, linkLoop, append([]byte{0, 0, 0, 2}, v4...)), four},
		"linux cooked":   {pcapOf(le, magicMicro, linkCooked, append(cooked, v4...)), four},
		"linux cooked 2": {pcapOf(le, magicMicro, linkCooked2, append(cooked2, v6...)), six},
		"options":        {pcapOf(le, magicMicro, linkRaw, withOptions(v4)), four},
		"extensions":     {pcapOf(le, magicMicro, linkRaw, ip6(behind(datagramOf("hello")))), six},
		"empty":          {pcapOf(le, magicMicro, linkRaw), ""},
		"tcp":            {pcapOf(le, magicMicro, linkRaw, tcp4(53, 20, framed("hello, world!"))), "192.0.2.1 hello, world!\n"},
		"tcp, several": {
			pcapOf(le, magicMicro, linkRaw, tcp4(5353, 20, framed("hello, world!")+framed("and once more"))),
			"192.0.2.1 hello, world!\n192.0.2.1 and once more\n",
		},
		"pcapng":       {pcapngOf(le, []uint32{linkRaw, linkRaw}, v4, v6, v4), four + six + four},
		"pcapng big":   {pcapngOf(be, []uint32{linkRaw}, v4, v6, v4), four + six + four},
		"two sections": {append(pcapngOf(be, []uint32{linkRaw}, v4), pcapngOf(le, []uint32{linkEthernet}, ether(etherIPv6, v6))...), four + six},
		"dnstap":       {dnstapOf(contentType, tapped(authQuery, "192.0.2.1", "hello"), tapped(clientQuery, "2001:db8::1", "hello")), four + six},
	}
}

func withOptions(v4 []byte) []byte {
	b := append(bytes.Clone(v4[:20]), 1, 1, 1, 0)
	b = append(b, v4[20:]...)
	b[0] = 0x46
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

func TestRead(t *testing.T) {
	for name, f := range files() {
		t.Run(name, func(t *testing.T) {
			have, counts, err := got(t, f.file)
			if err != nil || have != f.want || counts.Other != 0 || counts.Cut || counts.Messages != strings.Count(f.want, "\n") {
				t.Errorf("%q, %+v, %v; expected %q", have, counts, err, f.want)
			}
		})
	}
}

// TestCut ends every file after each of its bytes: what is whole is read, and
// nothing else is.
func TestCut(t *testing.T) {
	for name, f := range files() {
		for n := MagicLen; n < len(f.file); n++ {
			have, counts, err := got(t, f.file[:n])
			if err != nil || !strings.HasPrefix(f.want, have) || len(have) > 0 && !strings.HasSuffix(have, "\n") {
				t.Errorf("%s cut after %d bytes: %q, %+v, %v", name, n, have, counts, err)
			}
		}
		if _, counts, _ := got(t, f.file[:len(f.file)-1]); f.want != "" && !counts.Cut {
			t.Errorf("%s without its last byte does not count as cut", name)
		}
	}
}

// TestOther holds what is left out: it counts, and the rest is read.
func TestOther(t *testing.T) {
	v4, v6 := udp4("hello"), ip6(protoUDP, datagramOf("hello"))
	change := func(b []byte, at int, v ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], v)
		return b
	}
	for name, b := range map[string][]byte{
		"nothing":        {},
		"arp":            {0x15},
		"icmp":           change(v4, 9, 1),
		"icmp over ipv6": change(v6, 6, 58),
		"tcp, short":     change(v4, 9, 6),
		"tcp, no offset": tcp4(53, 16, framed("hello, world!")),
		"tcp, too long":  tcp4(53, 60, framed("hello, world!")),
		"tcp, nothing":   tcp4(53, 20, ""),
		"tcp, an answer": tcp4(4711, 20, framed("hello, world!")[:9]),
		"more fragments": change(v4, 6, 0x20),
		"last fragment":  change(v4, 7, 1),
		"ipv6 fragment":  ip6(protoFragment, append([]byte{protoUDP, 0, 0, 1, 0, 0, 0, 1}, datagramOf("hello")...)),
		"short header":   change(v4, 0, 0x44),
		"snapped":        v4[:len(v4)-1],
		"snapped ipv6":   v6[:len(v6)-1],
		"long datagram":  change(v4, 24, 0xff, 0xff),
		"short datagram": change(v4, 24, 0, 7),
	} {
		have, counts, err := got(t, pcapOf(binary.LittleEndian, magicMicro, linkRaw, b, v4))
		if have != "192.0.2.1 hello\n" || counts.Other != 1 || err != nil {
			t.Errorf("%s: %q, %+v, %v", name, have, counts, err)
		}
	}
	for name, b := range map[string][]byte{
		"resolver":   tapped(3, "192.0.2.1", "hello"),
		"no message": {0x78, 1},
		"malformed":  {0xff},
	} {
		file := dnstapOf(contentType, b, tapped(authQuery, "192.0.2.1", "hello"))
		have, counts, err := got(t, file)
		if have != "192.0.2.1 hello\n" || counts.Other != 1 || err != nil {
			t.Errorf("dnstap, %s: %q, %+v, %v", name, have, counts, err)
		}
	}
	// A packet of an interface that nobody knows is none of the others.
	have, counts, err := got(t, pcapngOf(binary.LittleEndian, []uint32{147, linkRaw}, v4, v6))
	if have != "2001:db8::1 hello\n" || counts.Other != 1 || err != nil {
		t.Errorf("unknown interface: %q, %+v, %v", have, counts, err)
	}
}

// TestCounted holds what is left out and counts for itself.
func TestCounted(t *testing.T) {
	long := framed("a message that is longer than one segment")
	for name, c := range map[string]struct {
		file []byte
		want Counts
	}{
		"parts":      {pcapOf(binary.LittleEndian, magicMicro, linkRaw, tcp4(53, 20, long[:20]), tcp4(53, 20, long[20:]), tcp4(53, 20, long)), Counts{Messages: 1, Parts: 2}},
		"length":     {pcapOf(binary.LittleEndian, magicMicro, linkRaw, tcp4(53, 20, long[:2]), tcp4(53, 20, long[2:])), Counts{Parts: 2}},
		"one over":   {pcapOf(binary.LittleEndian, magicMicro, linkRaw, tcp4(53, 20, long+"x")), Counts{Parts: 1}},
		"too little": {pcapOf(binary.LittleEndian, magicMicro, linkRaw, tcp4(53, 20, framed("hello"))), Counts{Parts: 1}},
		"answers":    {dnstapOf(contentType, tapped(authResponse, "192.0.2.1", "hello"), tapped(clientResponse, "192.0.2.1", "hello")), Counts{Answers: 2}},
	} {
		if _, counts, err := got(t, c.file); counts != c.want || err != nil {
			t.Errorf("%s: %+v, %v", name, counts, err)
		}
	}
}

func TestDamaged(t *testing.T) {
	le := binary.LittleEndian
	long := pcapOf(le, magicMicro, linkRaw, udp4("hello"))
	le.PutUint32(long[pcapHeader+8:], 1<<30)
	ng := pcapngOf(le, []uint32{linkRaw}, udp4("hello"))
	bad := func(at int, v uint32) []byte {
		b := bytes.Clone(ng)
		le.PutUint32(b[at:], v)
		return b
	}
	const section, iface = 28, 20
	for _, c := range []struct {
		file []byte
		want string
	}{
		{[]byte("192.0.2.0/24,10"), "capture: neither pcap nor pcapng nor dnstap"},
		{nil, "capture: neither pcap nor pcapng nor dnstap"},
		{pcapOf(le, magicMicro, 147), "capture: frame 0: link type 147 is not known: capture on Ethernet, loopback, a tunnel of IP, or any interface of Linux"},
		{long, "capture: frame 1: its length is 1073741824, more than 1048576: the file is damaged"},
		{bad(8, 5), "capture: frame 1: a section without its byte order: the file is damaged"},
		{bad(section+4, 3), "capture: frame 2: a block of 3 bytes: the file is damaged"},
		{bad(section+iface+24+8, 9), "capture: frame 4: a packet of interface 9, which is not described: the file is damaged"},
		{bad(section+iface+24+20, 9999), "capture: frame 4: a packet longer than its block: the file is damaged"},
		{dnstapOf("protobuf:other.Thing"), `capture: frame 1: it holds "protobuf:other.Thing", not protobuf:dnstap.Dnstap`},
	} {
		if _, _, err := got(t, c.file); err == nil || err.Error() != c.want {
			t.Errorf("the error is %v, not %s", err, c.want)
		}
	}
	stop := errors.New("stop")
	if _, err := Read(bytes.NewReader(long[:0:0]), nil); !errors.Is(err, ErrFormat) {
		t.Errorf("an empty file: %v", err)
	}
	if _, err := Read(bytes.NewReader(pcapOf(le, magicMicro, linkRaw, udp4("x"))), func(netip.Addr, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the error of the caller became %v", err)
	}
}

// FuzzRead reads what is no capture, or nearly one: it ends, and no message is
// longer than what there is.
func FuzzRead(f *testing.F) {
	for _, c := range files() {
		f.Add(c.file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		messages := 0
		counts, err := Read(bytes.NewReader(file), func(source netip.Addr, message []byte) error {
			messages++
			if len(message) > len(file) || !source.IsValid() {
				t.Errorf("a message of %d bytes from %v in a file of %d", len(message), source, len(file))
			}
			return nil
		})
		if messages != counts.Messages {
			t.Errorf("%d messages, %d counted", messages, counts.Messages)
		}
		if err == nil && Detect(file[:min(len(file), MagicLen)]) == Unknown {
			t.Error("a file of no known format was read")
		}
	})
}
