package resolve_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// world makes random configurations, health and questions.
type world struct {
	*rand.Rand
	endpoints []string
	names     []string
}

func (w *world) one(of ...string) string { return of[w.IntN(len(of))] }

func (w *world) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, "dns: {ecs: %t, nsid: %q}\nchecks: {c: {type: tcp, port: 1}}\npools:\n", w.IntN(2) == 0, w.one("", "n", strings.Repeat("id", 60)))
	address := func(pool int) string {
		n := 1 + w.IntN(9)
		if w.IntN(3) == 0 {
			return fmt.Sprintf("2001:db8:%d::%d", pool/2, n) // pools have some in common
		}
		return fmt.Sprintf("192.0.%d.%d", pool/2, n)
	}
	for p := range 5 {
		var all []string
		for range 1 + w.IntN(8) {
			if a := address(p); !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
		if p == 3 { // the reserve, which must have a family of every service's
			all = append(all, "192.0.99.1", "2001:db8:99::1")
		}
		if p == 4 { // larger than some clients take
			for i := range 20 + w.IntN(60) {
				all = append(all, fmt.Sprintf("203.0.113.%d", i))
			}
		}
		fmt.Fprintf(&b, "  p%d:\n    checks: [c]\n    min_healthy: %d\n    endpoints:\n", p, 1+w.IntN(min(3, len(all))))
		w.endpoints = append(w.endpoints, all...)
		four, six := false, false
		for _, a := range all {
			weight, tags := w.IntN(4)*50, w.one("[]", "[a]", "[a, b]", "[b]")
			// The first of each family makes sure that something can be answered.
			if first := &four; !*first && !strings.Contains(a, ":") {
				weight, tags, *first = 100, "[a, b]", true
			} else if first := &six; !*first && strings.Contains(a, ":") {
				weight, tags, *first = 100, "[a, b]", true
			}
			fmt.Fprintf(&b, "      - {address: %q, weight: %d, priority: %d, tags: %s}\n", a, weight, w.IntN(2), tags)
		}
	}
	hosts := []string{"s0.x.test", "s1.x.test", "s2.y.test", "any.w.y.test", "nope.x.test", "cdn.example", "y.test", "sub.y.test"}
	for i, h := range hosts {
		fmt.Fprintf(&b, "  h%d: {checks: [c], endpoints: [%s, cdn%d.example]}\n", i, h, i)
		w.endpoints = append(w.endpoints, h, fmt.Sprintf("cdn%d.example", i))
	}
	b.WriteString("zones:\n")
	for _, z := range []string{"x.test", "y.test", "sub.y.test"} {
		fmt.Fprintf(&b, "  %s:\n    nameservers: {ns1: [192.0.2.53, \"2001:db8::53\"], deep.down.ns2: 192.0.2.54, ns.example.: []}\n    soa: {serial: 1}\n    services:\n", z)
		w.names = append(w.names, z, "ns1."+z, "deep.down.ns2."+z, "ns2."+z, "nope."+z)
		for i := range 7 {
			label := fmt.Sprintf("s%d", i)
			switch {
			case i == 4:
				label = `"*.w"`
				w.names = append(w.names, "any.w."+z, "w."+z)
			case i == 5:
				label = "a.b.c"
				w.names = append(w.names, "a.b.c."+z, "b.c."+z)
			case i == 6:
				label = `"@"`
			default:
				w.names = append(w.names, label+"."+z)
			}
			if i < 6 && w.IntN(4) == 0 {
				h := w.IntN(len(hosts))
				if hosts[h] != label+"."+z {
					fmt.Fprintf(&b, "      %s: {pools: [h%d], steer: %s, all_down: %s, ttl: %d}\n", label, h, w.one("round-robin", "weighted", "random"), w.one("serve-all", "nodata", "servfail"), i)
					continue
				}
			}
			fmt.Fprintf(&b, "      %s: {pools: [%s], steer: %s, answers: %d, all_down: %s, panic: %v, ttl: %d}\n", label,
				w.one("p0", "p1", "p0, p2", "p2, p1, p0", "p4", "p4", "p3, p4"),
				w.one("round-robin", "random", "weighted", "failover", "[tier, weighted]", "[tags: [a], rotate]", "[rotate, tags: [b], limit: 3]", "[weighted, tier, shuffle]", "[shuffle, limit: 2, rotate]"),
				w.IntN(6)%4, w.one("serve-all", "serve-every", "last-healthy", "nodata", "servfail", "p3"), w.one("0", "0.3", "0.9"), i)
		}
	}
	return b.String()
}

func (w *world) health(t *testing.T, tab *table.Table) *health.View {
	st := states{}
	up := w.one("mostly", "rarely", "half")
	for _, e := range w.endpoints {
		n := map[string]int{"mostly": 8, "rarely": 1, "half": 4}[up]
		if w.IntN(8) >= n {
			st[e] = health.Detail{State: []health.State{health.Down, health.Down, health.Unknown}[w.IntN(3)], Authority: health.Validation}
		}
	}
	if w.IntN(4) > 0 {
		return st.view(tab)
	}
	var words []health.Overriding
	tab.EachService(func(n *table.Node, p *table.Plan) bool {
		for f := range p.Members {
			for i, e := range p.Members[f].Endpoints {
				if at := tab.Locate(tab.Name(n), e.String()); slices.Contains(at, int(p.Members[f].Targets[i])) && w.IntN(3) == 0 {
					words = append(words, health.Overriding{Service: tab.Name(n).String(), Endpoint: e.String(), Healthy: w.IntN(2) == 0})
				}
			}
		}
		return true
	})
	return st.overridden(t, tab, words)
}

func (w *world) query(t *testing.T) *dnswire.Query {
	name := []byte(w.one(w.names...))
	if w.IntN(4) == 0 {
		name = []byte(w.one("www.example", "below."+string(name), "x"+string(name), "test"))
	}
	for i := range name {
		if w.IntN(3) == 0 && name[i] >= 'a' {
			name[i] -= 'a' - 'A'
		}
	}
	words := []string{string(name), w.one("A", "A", "A", "AAAA", "AAAA", "NS", "SOA", "DS", "ANY", "CNAME", "MX", "AXFR")}
	for range w.IntN(4) {
		words = append(words, w.one("tcp", "do", "rd", "cd", "nsid", "ecs=203.0.113.0/24", "ecs=2001:db8::/32", "version=1", "class=CH", "tsig",
			fmt.Sprintf("edns=%d", 400+w.IntN(1000)), "edns=4096"))
	}
	seen := map[string]bool{}
	kept := words[:2]
	for _, word := range words[2:] {
		key, _, _ := strings.Cut(word, "=")
		if !seen[key] {
			kept = append(kept, word)
		}
		seen[key] = true
	}
	return asked(t, kept)
}

// TestExplainAgrees plays random questions to random nodes. What holds of every
// answer is checked, and Explain gives the answer that Append gives with the
// same seeds and turn, and takes no turn itself.
func TestExplainAgrees(t *testing.T) {
	codes, ways := map[string]int{}, map[string]int{}
	for seed := range rounds(uint64(100)) {
		w := &world{Rand: rand.New(rand.NewPCG(seed, 5))}
		text := w.config()
		s, err := spec.Parse("random.yaml", []byte(text))
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		tab, err := table.Compile(nil, s)
		if err != nil {
			t.Fatal(err)
		}
		snap := &resolve.Snapshot{Table: tab, Health: w.health(t, tab)}
		prefix := []byte("octets before the message")
		for range 100 {
			q := w.query(t)
			a, b := w.Uint64(), w.Uint64()
			trace := snap.Explain(q, a, b)
			again := snap.Explain(q, a, b)
			c := resolve.NewScratch(a, b)
			out := snap.Append(prefix, q, c)
			if string(out[:len(prefix)]) != string(prefix) {
				t.Fatalf("seed %d: what was before the message is gone", seed)
			}
			out = out[len(prefix):]
			if string(out) != string(trace.Message) || string(again.Message) != string(trace.Message) {
				t.Fatalf("seed %d: %s %s:\nappend  %x\nexplain %x\nagain   %x\n%s", seed, trace.Name, trace.Type, out, trace.Message, again.Message, text)
			}
			m := sound(t, q, out)
			if trace.RCode != c.Outcome.RCode.String() || len(trace.Answers) != len(m.Answer) {
				t.Fatalf("seed %d: trace says %s and %v, the message is\n%s", seed, trace.RCode, trace.Answers, m)
			}
			for i, rr := range m.Answer {
				f := strings.Fields(rr.String())
				text := strings.Join(f[3:], " ")
				if rr.Header().Name != m.Question[0].Name {
					text = f[0] + " " + text
				}
				if text != trace.Answers[i] {
					t.Fatalf("seed %d: trace says %q, the message %q", seed, trace.Answers[i], text)
				}
			}
			for _, rr := range append(m.Answer, m.Ns...) {
				if rr.Header().Ttl < trace.TTL {
					t.Fatalf("seed %d: trace says TTL %d:\n%s", seed, trace.TTL, m)
				}
			}
			codes[trace.RCode]++
			for _, step := range trace.Steps {
				ways[step.What]++
			}
		}
	}
	if raced {
		return
	}
	for _, c := range []string{"NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED", "NOTAUTH", "BADVERS"} {
		if codes[c] < 20 {
			t.Errorf("only %d times %s", codes[c], c)
		}
	}
	for _, c := range []string{"zone", "name", "static", "any", "family", "service", "health", "panic", "min_healthy", "all_down", "answers", "truncated", "negative", "rotate", "tier", "weighted", "shuffle", "limit: 2", "tags: [b]"} {
		if ways[c] < 5 {
			t.Errorf("only %d times %s", ways[c], c)
		}
	}
}

// TestSizes gives large answers to clients of all sizes.
func TestSizes(t *testing.T) {
	s := compile(t, "dns: {nsid: node}\npools: {p: {endpoints: ["+addresses(100)+"]}}\n"+`
zones:
  x.test:
    nameservers: {ns1: [192.0.2.53, "2001:db8::53"], ns2: [192.0.2.54, "2001:db8::54"], ns3: 192.0.2.55}
    services:
      www: {pools: [p], answers: 0}
      "*": {pools: [p], answers: 25}
`)
	c := resolve.NewScratch(1, 2)
	r := rand.New(rand.NewPCG(1, 2))
	long := strings.Repeat("n", 63)
	for _, name := range []string{"www.x.test A", "x.test NS", "mid.x.test A", long + "." + long + "." + long + ".x.test A", long + "." + long + "." + long + ".x.test AAAA"} {
		for range rounds(200) {
			size := r.IntN(1500)
			for _, more := range []string{"", " nsid ecs=2001:db8:1:2:3:4:5:6/128"} {
				q := asked(t, strings.Fields(fmt.Sprintf("%s edns=%d%s", name, size, more)))
				m := sound(t, q, s.Append(nil, q, c))
				whole := *q
				whole.Transport = dnswire.TCP
				full := sound(t, &whole, s.Append(nil, &whole, c))
				if !m.Truncated && (len(m.Answer) != len(full.Answer) || len(m.Ns) != len(full.Ns)) {
					t.Fatalf("%s, size %d: %d records of %d, and no TC", name, size, len(m.Answer), len(full.Answer))
				}
				if full.Truncated {
					t.Fatalf("%s is truncated over TCP", name)
				}
			}
		}
	}
}

// TestClientIsNoMatter: the same subnet option, another client.
func TestClientIsNoMatter(t *testing.T) {
	s := compile(t, pools(8, "random"))
	q := asked(t, []string{"www.x.test", "A", "ecs=203.0.113.0/24"})
	q.Client = netip.MustParseAddrPort("192.0.2.77:5353")
	trace := s.Explain(q, 1, 2)
	if trace.Client != "192.0.2.77" || trace.ECSScope != 0 {
		t.Errorf("client %s, scope %d", trace.Client, trace.ECSScope)
	}
	q.Client = netip.MustParseAddrPort("[2001:db8::1]:53")
	if other := s.Explain(q, 1, 2); string(other.Message) != string(trace.Message) {
		t.Error("the answer depends on who asks, and says that it does not")
	}
}
