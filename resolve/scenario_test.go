package resolve_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/hosts"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// TestScenarios plays the files in testdata. Each is a configuration, a line
// "---", and then lines of these kinds:
//
//	# text                         a remark
//	all up                         what was said of endpoints so far is forgotten
//	down ADDRESS...                the endpoints are down
//	unknown ADDRESS...             nothing is known of them
//	last ADDRESS SECONDS           it is down, and was up so many seconds after the first was
//	override NAME ADDRESS up|down  an operator says so, for that service
//	host NAME [ADDRESS...]         these are the addresses of a host name, for 10 s
//	> NAME TYPE [OPTION...]        a query, see asked
//
// What follows a query until an empty line is the answer, as render writes it.
// -update writes it into the file.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { play(t, f) })
	}
}

func play(t *testing.T, file string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	config, script, ok := strings.Cut(string(raw), "\n---\n")
	if !ok {
		t.Fatal("no line ---")
	}
	s, err := spec.Parse(file, []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	tab, err := table.Compile(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	st, words := states{}, []health.Overriding(nil)
	details := make([]hosts.Detail, len(tab.Hosts))
	for i, n := range tab.Hosts {
		details[i].Name = n
	}
	snap := &resolve.Snapshot{Table: tab, Health: st.view(tab), Hosts: hosts.Fixed(details...)}
	scratch := resolve.NewScratch(1, 2)

	lines := strings.Split(strings.TrimRight(script, "\n"), "\n")
	out := config + "\n---\n"
	at := strings.Count(config, "\n") + 2
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		out += line + "\n"
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		if f[0] == ">" {
			var expected []string
			for i+1 < len(lines) && lines[i+1] != "" {
				i++
				expected = append(expected, lines[i])
			}
			q := asked(t, f[1:])
			got := render(t, q, snap.Append(nil, q, scratch))
			if want := strings.Join(expected, "\n"); got != want && !*update {
				t.Errorf("%s:%d: %s\ngot:\n%s\nwant:\n%s", file, at+i-len(expected)+1, line, got, want)
			}
			out += got + "\n"
			continue
		}
		switch {
		case line == "all up":
			st, words = states{}, nil
		case f[0] == "down" || f[0] == "unknown":
			for _, a := range f[1:] {
				d := health.Detail{State: health.Down, Authority: health.Validation}
				if f[0] == "unknown" {
					d = health.Detail{}
				}
				known(t, tab, a)
				st[a] = d
			}
		case f[0] == "last" && len(f) == 3:
			s, err := strconv.ParseFloat(f[2], 64)
			if err != nil {
				t.Fatal(err)
			}
			known(t, tab, f[1])
			was := time.Unix(1_700_000_000, 0).Add(time.Duration(s * float64(time.Second)))
			st[f[1]] = health.Detail{State: health.Down, Authority: health.Validation, LastUp: was}
		case f[0] == "host" && len(f) > 1:
			resolved(t, tab, details, f[1], f[2:])
		case f[0] == "override" && len(f) == 4:
			words = append(words, health.Overriding{Service: f[1], Endpoint: f[2], Healthy: f[3] == "up", Reason: "test"})
		default:
			t.Fatalf("%s:%d: %q is not understood", file, at+i, line)
		}
		v := st.view(tab)
		if words != nil {
			v = st.overridden(t, tab, words)
		}
		snap = &resolve.Snapshot{Table: tab, Health: v, Hosts: hosts.Fixed(details...)}
	}
	if *update && out != string(raw) {
		if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// resolved sets the addresses of a host name.
func resolved(t *testing.T, tab *table.Table, details []hosts.Detail, name string, addrs []string) {
	t.Helper()
	n, err := dnswire.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.Index(tab.Hosts, n)
	if at < 0 {
		t.Fatalf("no host %s", name)
	}
	d := hosts.Detail{Name: n, V4: hosts.Records{TTL: 10 * time.Second}, V6: hosts.Records{TTL: 10 * time.Second}}
	for _, a := range addrs {
		ip := netip.MustParseAddr(a)
		if ip.Is4() {
			d.V4.Addrs = append(d.V4.Addrs, ip)
		} else {
			d.V6.Addrs = append(d.V6.Addrs, ip)
		}
	}
	details[at] = d
}

// known fails for an endpoint that the table does not have: a slip of the pen.
func known(t *testing.T, tab *table.Table, endpoint string) {
	t.Helper()
	for i := range tab.Targets {
		if tab.Targets[i].String() == endpoint {
			return
		}
	}
	t.Fatalf("no endpoint %s", endpoint)
}

// asked is the query of a line: a name and type, then any of
//
//	tcp tls edns edns=SIZE do nsid rd cd ad z tsig zoneversion padding keepalive
//	cookie cookie=valid cookie=HEX idle=N
//	version=N class=NAME opcode=N questions=N ecs=PREFIX option=CODE:HEX
//
// A cookie is that of the client, and behind it what the client takes for the
// server's: nothing, the right one, or other octets. idle is how long, in 100
// ms, the server lets a connection be idle.
func asked(t testing.TB, words []string) *dnswire.Query {
	t.Helper()
	typ, ok := dns.StringToType[words[1]]
	if !ok {
		n, err := strconv.ParseUint(strings.TrimPrefix(words[1], "TYPE"), 10, 16)
		if err != nil {
			t.Fatalf("type %s", words[1])
		}
		typ = uint16(n)
	}
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(words[0]), typ)
	m.Id, m.RecursionDesired = 0x1234, false
	opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	opt.SetUDPSize(1232)
	transport, plain, questions := dnswire.UDP, true, 1
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	local := func(code uint16, data []byte) {
		opt.Option = append(opt.Option, &dns.EDNS0_LOCAL{Code: code, Data: data})
	}
	idle := 0
	for _, w := range words[2:] {
		key, val, _ := strings.Cut(w, "=")
		ofEDNS := true
		switch key {
		case "edns":
			if val != "" {
				opt.SetUDPSize(uint16(number(val)))
			}
		case "do":
			opt.SetDo()
		case "version":
			opt.SetVersion(uint8(number(val)))
		case "nsid":
			opt.Option = append(opt.Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID})
		case "ecs":
			p := netip.MustParsePrefix(val)
			e := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(p.Bits()), Address: p.Addr().AsSlice()}
			if p.Addr().Is6() {
				e.Family = 2
			}
			opt.Option = append(opt.Option, e)
		case "zoneversion":
			local(dns.EDNS0ZONEVERSION, nil)
		case "padding":
			local(dns.EDNS0PADDING, make([]byte, 5))
		case "keepalive":
			local(dns.EDNS0TCPKEEPALIVE, nil)
		case "cookie":
			b := []byte("clientsc")
			if val == "valid" {
				b = append(b, serverCookie[:]...)
			} else if val != "" {
				theirs, err := hex.DecodeString(val)
				if err != nil {
					t.Fatal(err)
				}
				b = append(b, theirs...)
			}
			local(dns.EDNS0COOKIE, b)
		case "option":
			code, data, _ := strings.Cut(val, ":")
			b, err := hex.DecodeString(data)
			if err != nil {
				t.Fatal(err)
			}
			local(uint16(number(code)), b)
		default:
			ofEDNS = false
		}
		plain = plain && !ofEDNS
		switch key {
		case "tcp":
			transport = dnswire.TCP
		case "tls":
			transport = dnswire.TLS
		case "idle":
			idle = number(val)
		case "rd":
			m.RecursionDesired = true
		case "cd":
			m.CheckingDisabled = true
		case "ad":
			m.AuthenticatedData = true
		case "z":
			m.Zero = true
		case "class":
			m.Question[0].Qclass = dns.StringToClass[val]
		case "opcode":
			m.Opcode = number(val)
		case "questions":
			questions = number(val)
		case "tsig":
		default:
			if !ofEDNS {
				t.Fatalf("option %s", w)
			}
		}
	}
	if !plain {
		m.Extra = append(m.Extra, opt)
	}
	for _, w := range words[2:] {
		if w == "tsig" { // which has to be the last record
			m.SetTsig("key.example.", dns.HmacSHA256, 300, 1_700_000_000)
		}
	}
	switch questions {
	case 0:
		m.Question = nil
	case 2:
		m.Question = append(m.Question, m.Question[0])
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	q := parsed(b, transport)
	q.IdleTimeout = uint16(idle)
	if len(q.Cookie) > 0 { // as the server does
		q.CookieState, q.ServerCookie = dnswire.CookieUnverified, serverCookie
		if string(q.Cookie[dnswire.ClientCookieLen:]) == string(serverCookie[:]) {
			q.CookieState = dnswire.CookieValid
		}
	}
	return q
}

// serverCookie is the one that holds.
var serverCookie = [dnswire.ServerCookieLen]byte([]byte("the right cookie"))

// render is an answer as a few lines of text.
func render(t *testing.T, q *dnswire.Query, msg []byte) string {
	t.Helper()
	if len(msg) == 0 {
		return "silence"
	}
	m := sound(t, q, msg)
	rcode := int(msg[3] & 0xf)
	opt := m.IsEdns0()
	if opt != nil {
		rcode |= int(opt.Hdr.Ttl>>24) << 4
	}
	first := dnswire.RCode(rcode).String()
	for i, f := range []string{"qr", "aa", "tc", "rd", "ra", "z", "ad", "cd"} {
		// The flags begin at the highest bit, with the opcode after QR.
		bit := uint16(1) << (15 - i)
		if i > 0 {
			bit = uint16(1) << (11 - i)
		}
		if binary.BigEndian.Uint16(msg[2:])&bit != 0 {
			first += " " + f
		}
	}
	out := []string{first}
	for _, section := range []struct {
		name string
		rrs  []dns.RR
	}{{"answer", m.Answer}, {"authority", m.Ns}, {"additional", m.Extra}} {
		for _, rr := range section.rrs {
			if rr.Header().Rrtype != dns.TypeOPT {
				out = append(out, section.name+"  "+strings.Join(strings.Fields(rr.String()), " "))
			}
		}
	}
	if opt != nil {
		line := fmt.Sprintf("edns  %d", opt.UDPSize())
		if opt.Do() {
			line += " do"
		}
		for _, o := range opt.Option {
			switch o := o.(type) {
			case *dns.EDNS0_EDE:
				line += fmt.Sprintf(" ede=%d %q", o.InfoCode, o.ExtraText)
			case *dns.EDNS0_SUBNET:
				line += fmt.Sprintf(" ecs=%s/%d scope %d", o.Address, o.SourceNetmask, o.SourceScope)
			case *dns.EDNS0_NSID:
				b, err := hex.DecodeString(o.Nsid)
				if err != nil {
					t.Fatal(err)
				}
				line += fmt.Sprintf(" nsid=%s", b)
			case *dns.EDNS0_COOKIE:
				b, err := hex.DecodeString(o.Cookie)
				if err != nil {
					t.Fatal(err)
				}
				line += fmt.Sprintf(" cookie=%s", b)
			case *dns.EDNS0_TCP_KEEPALIVE:
				line += fmt.Sprintf(" keepalive=%d", o.Timeout)
			case *dns.EDNS0_PADDING:
				line += fmt.Sprintf(" padded to %d", len(msg))
			case *dns.EDNS0_REPORTING:
				line += fmt.Sprintf(" report=%s", o.AgentDomain)
			case *dns.EDNS0_ZONEVERSION:
				line += fmt.Sprintf(" version of %d labels, type %d: %d", o.LabelCount, o.Type, binary.BigEndian.Uint32([]byte(o.Version)))
			default:
				line += fmt.Sprintf(" option %d", o.Option())
			}
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}
