package dnswire_test

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
)

func find(t testing.TB, name string) []byte {
	t.Helper()
	for _, p := range packets() {
		if p.name == name {
			return p.msg
		}
	}
	t.Fatalf("no packet %q", name)
	return nil
}

func TestParseStatus(t *testing.T) {
	for _, p := range packets() {
		t.Run(p.name, func(t *testing.T) {
			var q dnswire.Query
			q.Parse(p.msg)
			if q.Status != p.status {
				t.Errorf("Status %d, want %d", q.Status, p.status)
			}
			if end := max(p.end, dnswire.HeaderLen); q.QuestionEnd != end {
				t.Errorf("QuestionEnd %d, want %d", q.QuestionEnd, end)
			}
			if named := len(q.Name()) > 0; named != (p.end > 0) {
				t.Errorf("Name %q", q.Name())
			}
			if wantID := len(p.msg) >= dnswire.HeaderLen; wantID && q.ID != id {
				t.Errorf("ID %#x", q.ID)
			}
		})
	}
}

// Every packet cut short anywhere is an error, because no field is optional.
func TestParseTruncated(t *testing.T) {
	for _, p := range packets() {
		if p.status == dnswire.StatusDrop || p.status == dnswire.StatusFormErr || p.status == dnswire.StatusNotImp {
			continue
		}
		for n := range p.msg {
			want := dnswire.StatusFormErr
			if n < dnswire.HeaderLen {
				want = dnswire.StatusDrop
			}
			var q dnswire.Query
			q.Parse(bytes.Clone(p.msg[:n])) // a clone has no bytes to read behind it
			if q.Status != want {
				t.Errorf("%s cut to %d bytes: Status %d, want %d", p.name, n, q.Status, want)
			}
		}
	}
}

func TestParseName(t *testing.T) {
	tests := []struct {
		packet string
		want   []byte
		labels int
	}{
		{"root", wire(), 0},
		{"one-byte-label", wire("z"), 1},
		{"mixed-case", example, 3},
		{"edns-mixed-case", wire("mail", "example", "org"), 3},
		{"case-borders", wire("@az[`az{\x00\x7f\x80\xc1\xda\xff"), 1},
		{"label-63", wire(strings.Repeat("m", 63)), 1},
		{"name-255-4", bytes.ReplaceAll(longest(4, 0), []byte{'A'}, []byte{'a'}), 4},
		{"name-255-127", longest(127, 0), 127},
	}
	for _, tt := range tests {
		t.Run(tt.packet, func(t *testing.T) {
			var q dnswire.Query
			q.Parse(find(t, tt.packet))
			if !bytes.Equal(q.Name(), tt.want) {
				t.Errorf("Name %q, want %q", q.Name(), tt.want)
			}
			if q.Labels() != tt.labels {
				t.Errorf("Labels %d, want %d", q.Labels(), tt.labels)
			}
			checkSuffixes(t, &q)
		})
	}
}

// checkSuffixes walks the name's labels the slow way beside Suffix.
func checkSuffixes(t *testing.T, q *dnswire.Query) {
	t.Helper()
	rest := q.Name()
	for n := 0; n <= q.Labels(); n++ {
		if got := q.Suffix(n); !bytes.Equal(got, rest) {
			t.Errorf("Suffix(%d) = %q, want %q", n, got, rest)
		}
		rest = rest[min(1+int(rest[0]), len(rest)):]
	}
	if len(rest) != 0 {
		t.Errorf("the last suffix is not the root: %q left", rest)
	}
}

// A name of each length, with and without records behind it, so that the copy
// that takes eight bytes at a time ends at every place it can.
func TestParseNameLengths(t *testing.T) {
	for n := 1; n <= 63; n++ {
		label := strings.Repeat("Zq", 32)[:n]
		for _, tail := range [][]byte{nil, edns} {
			var q dnswire.Query
			q.Parse(cat(head(0, 1, 0, 0, len(tail)/11), question(wire(label, "Y"), 1), tail))
			if want := wire(strings.ToLower(label), "y"); q.Status != dnswire.StatusOK || !bytes.Equal(q.Name(), want) {
				t.Errorf("Status %d, Name %q, want %q", q.Status, q.Name(), want)
			}
		}
	}
}

func TestParseEveryByteInCase(t *testing.T) {
	for c := range 256 {
		name := bytes.Repeat([]byte{byte(c)}, 40)
		var q dnswire.Query
		q.Parse(cat(head(0, 1, 0, 0, 1), question(wire(string(name)), 1), edns))
		want := byte(c)
		if 'A' <= want && want <= 'Z' {
			want += 'a' - 'A'
		}
		if got := q.Name(); !bytes.Equal(got, wire(string(bytes.Repeat([]byte{want}, 40)))) {
			t.Errorf("byte %#x gives %q", c, got)
		}
	}
}

func TestParseFields(t *testing.T) {
	addr := func(b ...byte) (a [16]byte) { copy(a[:], b); return a }
	type fields struct {
		edns, do, nsid, tsig     bool
		version                  uint8
		size                     uint16
		ecs                      dnswire.ECS
		cookie                   string
		padding, zone, keepalive bool
	}
	v4 := func(bits uint8, b ...byte) dnswire.ECS {
		return dnswire.ECS{Present: true, Family: 1, SourceBits: bits, Addr: addr(b...)}
	}
	v6 := func(bits uint8, b ...byte) dnswire.ECS {
		return dnswire.ECS{Present: true, Family: 2, SourceBits: bits, Addr: addr(b...)}
	}
	tests := map[string]fields{
		"plain":                  {},
		"edns":                   {edns: true, size: 1232},
		"edns-do-unknown-flags":  {edns: true, size: 4096, do: true},
		"edns-size-0":            {edns: true},
		"edns-rcode-ignored":     {edns: true, size: 4096},
		"edns-unknown-options":   {edns: true, size: 1232, padding: true},
		"edns-nsid":              {edns: true, size: 1232, nsid: true},
		"edns-nsid-filled":       {edns: true, size: 1232, nsid: true},
		"edns-version-1":         {edns: true, size: 1232, do: true, version: 1},
		"edns-version-1-bad-ecs": {edns: true, size: 1232, version: 1},
		"edns-owner":             {},
		"edns-two":               {edns: true, size: 1232},
		"edns-option-cut":        {edns: true, size: 1232},
		"edns-data-cut":          {},
		"ecs-v4-24":              {edns: true, size: 1232, ecs: v4(24, 192, 0, 2)},
		"ecs-v4-20":              {edns: true, size: 1232, ecs: v4(20, 192, 0, 0xf0)},
		"ecs-v4-0":               {edns: true, size: 1232, ecs: v4(0)},
		"ecs-v6-56":              {edns: true, size: 1232, ecs: v6(56, 0x20, 1, 0xd, 0xb8, 1, 2, 3)},
		"ecs-v6-128":             {edns: true, size: 1232, ecs: v6(128, bytes.Repeat([]byte{0xff}, 16)...)},
		"ecs-family-0":           {edns: true, size: 1232, ecs: dnswire.ECS{Present: true}},
		"ecs-nsid":               {edns: true, size: 1232, do: true, nsid: true, ecs: v4(8, 10)},
		"ecs-scope":              {edns: true, size: 1232},
		"ecs-v4-20-bits":         {edns: true, size: 1232},
		"tsig":                   {edns: true, size: 1232, tsig: true},
		"ixfr-edns-tsig":         {edns: true, size: 1232, tsig: true},
		"additional-name":        {edns: true, size: 1232},
		"qtype-nxname":           {edns: true, size: 1232},
		"qtype-opt":              {edns: true, size: 1232},

		"edns-cookie":             {edns: true, size: 1232, cookie: "clientco"},
		"cookie-24":               {edns: true, size: 1232, cookie: "clientcookie and a serve"},
		"cookie-40":               {edns: true, size: 1232, cookie: string(cookies[:40])},
		"cookie-two":              {edns: true, size: 1232, cookie: "clientco"},
		"cookie-second-malformed": {edns: true, size: 1232, cookie: "clientco"},
		"cookie-first-malformed":  {edns: true, size: 1232},
		"cookie-version-1":        {edns: true, size: 1232, version: 1},
		"cookie-only":             {edns: true, size: 1232, cookie: "clientco"},
		"cookie-only-40":          {edns: true, size: 1232, nsid: true, cookie: string(cookies[:40])},
		"cookie-only-tsig":        {edns: true, size: 1232, tsig: true, cookie: "clientco"},
		"no-question":             {edns: true, size: 1232},
		"padding":                 {edns: true, size: 1232, padding: true},
		"padding-empty":           {edns: true, size: 1232, padding: true},
		"zoneversion":             {edns: true, size: 1232, zone: true},
		"zoneversion-filled":      {edns: true, size: 1232},
		"options-all":             {edns: true, size: 1232, do: true, nsid: true, ecs: v4(8, 10), cookie: "clientco", zone: true, padding: true},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			var q dnswire.Query
			q.Parse(find(t, name))
			got := fields{
				q.EDNS, q.DO, q.NSID, q.TSIG, q.Version, q.UDPSize, q.ECS,
				string(q.Cookie), q.Padding, q.ZoneVersion, q.TCPKeepalive,
			}
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// The option of TCP is no business of a query over UDP, well-formed or not.
func TestParseKeepalive(t *testing.T) {
	tests := []struct {
		packet    string
		transport dnswire.Transport
		status    dnswire.Status
		want      bool
	}{
		{"edns", dnswire.TCP, dnswire.StatusOK, false},
		{"keepalive", dnswire.UDP, dnswire.StatusOK, false},
		{"keepalive", dnswire.TCP, dnswire.StatusOK, true},
		{"keepalive", dnswire.TLS, dnswire.StatusOK, true},
		{"keepalive-filled", dnswire.UDP, dnswire.StatusOK, false},
		{"keepalive-filled", dnswire.TCP, dnswire.StatusFormErr, false},
		{"keepalive-filled", dnswire.TLS, dnswire.StatusFormErr, false},
	}
	for _, tt := range tests {
		q := dnswire.Query{Transport: tt.transport}
		q.Parse(find(t, tt.packet))
		if q.Status != tt.status || q.TCPKeepalive != tt.want {
			t.Errorf("%s over %d: Status %d, TCPKeepalive %v", tt.packet, tt.transport, q.Status, q.TCPKeepalive)
		}
	}
}

func TestParseTypeAndClass(t *testing.T) {
	var q dnswire.Query
	q.Parse(cat(head(0x0130, 1, 0, 0, 0), example, u16(0xff01, 0x0102)))
	if q.Type != 0xff01 || q.Class != 0x0102 || q.Flags != 0x0130 || q.ID != id {
		t.Errorf("type %d, class %d, flags %#x, ID %#x", q.Type, q.Class, q.Flags, q.ID)
	}
}

// state is all that Parse says about a packet.
func state(q *dnswire.Query) []any {
	return []any{
		q.Msg, q.QuestionEnd, q.ID, q.Flags, q.Type, q.Class, q.Status, q.EDNS, q.DO, q.NSID,
		q.Version, q.UDPSize, q.ECS, q.TSIG, string(q.Name()), q.Labels(), string(q.Suffix(1)),
		q.Cookie, q.CookieState, q.TCPKeepalive, q.Padding, q.ZoneVersion,
	}
}

// full is a packet that sets every field of a Query.
var full = cat(head(0x0110, 1, 0, 0, 2), question(longest(127, 0), dnswire.TypeAAAA),
	opt(4096, 0, 0x8000, option(3), ecs(2, 128, 0, bytes.Repeat([]byte{0xff}, 16)...),
		option(10, cookies[:40]...), option(11), option(12, 0), option(19)), tsig)

func TestParseResets(t *testing.T) {
	client := netip.MustParseAddrPort("192.0.2.1:53")
	dirty := [][]byte{full, find(t, "edns-version-1"), find(t, "ecs-nsid")}
	for _, p := range packets() {
		fresh := dnswire.Query{Transport: dnswire.TCP}
		fresh.Parse(p.msg)
		for _, before := range dirty {
			used := dnswire.Query{Transport: dnswire.TCP, Client: client, IdleTimeout: 7}
			used.Parse(before)
			used.CookieState = dnswire.CookieValid
			used.Parse(p.msg)
			if got, want := state(&used), state(&fresh); !reflect.DeepEqual(got, want) {
				t.Errorf("%s in a used Query:\n got %v\nwant %v", p.name, got, want)
			}
			if used.Transport != dnswire.TCP || used.Client != client || used.IdleTimeout != 7 {
				t.Errorf("%s: Transport, Client or IdleTimeout changed", p.name)
			}
		}
	}
}

func TestNoName(t *testing.T) {
	var q dnswire.Query
	q.Parse(nil)
	if len(q.Name()) != 0 || q.Labels() != 0 || len(q.Suffix(0)) != 0 {
		t.Errorf("Name %q, Labels %d, Suffix %q", q.Name(), q.Labels(), q.Suffix(0))
	}
}

func TestAllocations(t *testing.T) {
	ps := packets()
	var q dnswire.Query
	buf := make([]byte, 0, dnswire.MaxUDP)
	agent := dnswire.Name(example)
	if n := testing.AllocsPerRun(100, func() {
		for i := range ps {
			q.Parse(ps[i].msg)
			if q.Status == dnswire.StatusDrop {
				continue
			}
			out := q.AppendReply(buf)
			o := dnswire.OPT{
				RCode: dnswire.BadVers, DO: q.DO, NSID: "site-1", ECS: &q.ECS, Scope: 24, EDE: dnswire.EDEProhibited, EDEText: "no",
				ServerCookie: q.ServerCookie[:], Keepalive: 100, HasKeepalive: true, ReportChannel: agent,
				ZoneVersion: dnswire.ZoneVersion{Present: true, Labels: 2, Serial: 1}, Pad: 300, HasPad: true,
			}
			if q.Cookie != nil {
				o.ClientCookie = q.Cookie[:dnswire.ClientCookieLen]
			}
			if o.Len() <= q.Limit() {
				out = dnswire.AppendOPT(out, &o)
				dnswire.PutHeader(out, q.ReplyFlags()|dnswire.FlagAA, 0, 0, 1)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, bench := range []struct {
		name string
		msg  []byte
	}{
		{"plain", find(b, "plain")},
		{"edns", find(b, "edns")},
		{"ecs", find(b, "ecs-nsid")},
		{"cookie", find(b, "cookie-24")},
		{"255 bytes", find(b, "name-255-4")},
		{"127 labels", find(b, "name-255-127")},
		{"pointer", find(b, "name-pointer")},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var q dnswire.Query
			b.ReportAllocs()
			for b.Loop() {
				q.Parse(bench.msg)
			}
		})
	}
}
