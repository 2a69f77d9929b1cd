package resolve_test

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

var update = flag.Bool("update", false, "write what comes out as what is expected")

// compile makes a snapshot of a configuration with the stated addresses down.
func compile(t testing.TB, text string, down ...string) *resolve.Snapshot {
	t.Helper()
	s, err := spec.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	tab, err := table.Compile(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	st := states{}
	for _, d := range down {
		st[d] = health.Detail{State: health.Down, Authority: health.Validation}
	}
	return &resolve.Snapshot{Table: tab, Health: st.view(tab)}
}

// states are those of endpoints, by address or host name. The others are up.
type states map[string]health.Detail

func (s states) view(tab *table.Table) *health.View {
	byTarget := map[int]health.Detail{}
	for i := range tab.Targets {
		if d, ok := s[tab.Targets[i].String()]; ok {
			byTarget[i] = d
		}
	}
	return health.Fixed(len(tab.Targets), byTarget)
}

// overridden is a view with operators' words in it, which only a board makes.
// Its probes find what s says; endpoints that s has must have a check.
func (s states) overridden(t *testing.T, tab *table.Table, words []health.Overriding) (v *health.View) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, err := health.New(health.Options{Prober: func(health.Check) (probe.Prober, error) { return s, nil }})
		if err != nil {
			t.Fatal(err)
		}
		plan, err := b.Prepare(tab.Targets, tab.Locate)
		if err != nil {
			t.Fatal(err)
		}
		b.Apply(plan)
		for _, o := range words {
			o.Since = time.Now()
			if err := b.SetOverride(o); err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan error)
		go func() { over <- b.Run(ctx) }()
		for v = b.View(); !s.shown(tab, v); v = b.View() {
			<-b.Changed()
		}
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return v
}

// Probe implements probe.Prober.
func (s states) Probe(ctx context.Context, t probe.Target) probe.Result {
	name := t.Host
	if t.Addr.IsValid() {
		name = t.Addr.String()
	}
	switch d, ok := s[name]; {
	case ok && d.State == health.Unknown:
		<-ctx.Done()
		return probe.Result{Class: probe.ClassCanceled}
	case ok && d.State == health.Down:
		return probe.Result{Class: probe.ClassRefused, Detail: "connection refused"}
	}
	return probe.Result{OK: true}
}

func (s states) shown(tab *table.Table, v *health.View) bool {
	for i := range tab.Targets {
		d, ok := s[tab.Targets[i].String()]
		if !ok {
			d.State = health.Up
		}
		if v.State(i) != d.State {
			return false
		}
	}
	return true
}

// query is a packet as a resolver sends it.
func query(t testing.TB, name string, typ uint16, with ...func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), typ)
	for _, f := range with {
		f(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func edns(size uint16) func(*dns.Msg) {
	return func(m *dns.Msg) { m.SetEdns0(size, false) }
}

// parsed is a query as a server has it.
func parsed(msg []byte, tr dnswire.Transport) *dnswire.Query {
	q := &dnswire.Query{Transport: tr}
	q.Parse(msg)
	return q
}

// sound checks what holds of every answer, and unpacks it.
func sound(t testing.TB, q *dnswire.Query, answer []byte) *dns.Msg {
	t.Helper()
	var m dns.Msg
	if err := m.Unpack(answer); err != nil {
		t.Fatalf("%x: %v", answer, err)
	}
	again, err := m.Pack()
	if err != nil {
		t.Fatalf("%v\n%s", err, &m)
	}
	var repacked dns.Msg
	if err := repacked.Unpack(again); err != nil || repacked.String() != m.String() {
		t.Fatalf("does not survive packing: %v\n%s\n%s", err, &m, &repacked)
	}
	if len(answer) > q.Limit() {
		t.Fatalf("%d octets, but the client takes %d", len(answer), q.Limit())
	}
	if m.Id != q.ID || !m.Response || m.RecursionAvailable || m.AuthenticatedData || m.Zero {
		t.Fatalf("header of\n%s", &m)
	}
	if m.RecursionDesired != (q.Flags&dnswire.FlagRD != 0) || m.CheckingDisabled != (q.Flags&dnswire.FlagCD != 0) {
		t.Fatalf("RD and CD of\n%s", &m)
	}
	if question := q.Msg[dnswire.HeaderLen:q.QuestionEnd]; string(answer[dnswire.HeaderLen:][:len(question)]) != string(question) ||
		len(m.Question) > 0 != (len(question) > 0) {
		t.Fatalf("the question does not come back:\n%s", &m)
	}
	if (m.IsEdns0() != nil) != q.EDNS {
		t.Fatalf("EDNS is asked for: %t\n%s", q.EDNS, &m)
	}
	if m.Truncated && len(m.Answer)+len(m.Ns) > 0 {
		t.Fatalf("truncated, and has records:\n%s", &m)
	}
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		ttl, seen := map[string]uint32{}, map[string]bool{}
		for _, rr := range section {
			h := rr.Header()
			set := fmt.Sprintf("%s %d", strings.ToLower(h.Name), h.Rrtype)
			if sig, ok := rr.(*dns.RRSIG); ok { // whose TTL is that of what it covers
				set += fmt.Sprintf(" %d", sig.TypeCovered)
			}
			if first, ok := ttl[set]; ok && first != h.Ttl {
				t.Fatalf("two TTLs in a record set (RFC 2181 section 5.2):\n%s", &m)
			} else if ok && h.Rrtype == dns.TypeCNAME {
				t.Fatalf("two CNAME records of a name:\n%s", &m)
			}
			ttl[set] = h.Ttl
			if text := strings.ToLower(rr.String()); seen[text] {
				t.Fatalf("the same record twice:\n%s", &m)
			} else {
				seen[text] = true
			}
		}
	}
	referral := len(m.Answer) == 0 && len(m.Ns) > 0 && m.Ns[0].Header().Rrtype == dns.TypeNS
	if len(m.Answer) > 0 || len(m.Ns) > 0 || m.Rcode == dns.RcodeNameError {
		if m.Authoritative == referral {
			t.Fatalf("AA in a referral, or data without AA:\n%s", &m)
		}
	}
	return &m
}
