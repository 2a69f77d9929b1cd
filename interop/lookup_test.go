package interop

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

var (
	oracleSeed   = flag.Uint64("oracle.seed", 1, "the first world that the lookup is compared over")
	oracleWorlds = flag.Int("oracle.worlds", 300, "over how many worlds the lookup is compared with the oracle")
)

// configuration writes the zones of a world and a configuration that has them.
func configuration(t testing.TB, dir string, zones []*authority) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("zones:\n")
	for i, z := range zones {
		file := filepath.Join(dir, fmt.Sprintf("%s.%d.zone", z.origin, i))
		if err := os.WriteFile(file, []byte(z.text()), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "  %q: {file: %q}\n", z.origin, file)
	}
	path := filepath.Join(dir, zones[0].origin+"yaml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// snapshot is what answers for a configuration.
func snapshot(path string) (*resolve.Snapshot, error) {
	s, _, err := spec.Load(path, spec.Options{})
	if err != nil {
		return nil, err
	}
	tab, err := table.Compile(nil, s)
	if err != nil {
		return nil, err
	}
	return &resolve.Snapshot{Table: tab, Health: health.Fixed(len(tab.Targets), nil)}, nil
}

// client asks a snapshot.
type client struct {
	snapshot *resolve.Snapshot
	scratch  *resolve.Scratch
	query    dnswire.Query
	buf      []byte
}

func newClient(s *resolve.Snapshot) *client {
	return &client{snapshot: s, scratch: resolve.NewScratch(1, 2)}
}

// ask asks over a transport, with an EDNS size if it is not 0.
func (c *client) ask(q question, transport dnswire.Transport, size uint16) (*dns.Msg, []byte, error) {
	m := &dns.Msg{Question: []dns.Question{{Name: q.name, Qtype: q.qtype, Qclass: dns.ClassINET}}}
	if size > 0 {
		m.SetEdns0(size, q.do)
	}
	wire, err := m.Pack()
	if err != nil {
		return nil, nil, err
	}
	c.query.Parse(wire)
	c.query.Transport = transport
	c.query.Client = netip.MustParseAddrPort("192.0.2.1:53")
	c.buf = c.snapshot.Append(c.buf[:0], &c.query, c.scratch)
	answer := new(dns.Msg)
	if err := answer.Unpack(c.buf); err != nil {
		return nil, nil, fmt.Errorf("the answer cannot be read: %w", err)
	}
	return answer, c.buf, nil
}

// TestLookup compares the lookup with the oracle over many worlds.
func TestLookup(t *testing.T) {
	var mu sync.Mutex
	rules, kinds := map[string]int{}, map[string]int{}
	wrong, total := 0, 0
	seeds := make(chan uint64)
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := range seeds {
				faults, asked, applied := examine(t, dir, makeWorld(seed))
				mu.Lock()
				for _, f := range faults {
					wrong++
					if kinds[f.kind]++; kinds[f.kind] == 1 && len(kinds) <= 20 {
						t.Errorf("world %d: %s", seed, f.text)
					}
				}
				total += asked
				for r, n := range applied {
					rules[r] += n
				}
				mu.Unlock()
			}
		})
	}
	for i := range *oracleWorlds {
		seeds <- *oracleSeed + uint64(i)
	}
	close(seeds)
	wg.Wait()
	t.Logf("%d questions, %d wrong answers", total, wrong)
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		t.Logf("%8d wrong: %s", kinds[k], k)
	}
	for _, r := range slices.Sorted(maps.Keys(rules)) {
		t.Logf("%8d %s", rules[r], r)
	}
}

// fault is a wrong answer; those of a kind are wrong in the same sections after
// the same rules.
type fault struct{ kind, text string }

// examine asks about one world and says what is wrong.
func examine(t testing.TB, dir string, w *world) (faults []fault, asked int, rules map[string]int) {
	rules = map[string]int{}
	// Every other world is signed; its questions are made before.
	questions := w.questions(120)
	if w.seed%2 == 0 {
		for i, z := range w.zones {
			if i += int(w.seed/2) % 4; i%4 > 0 {
				z.seal(seals[i%4-1])
			}
		}
		r := rand.New(rand.NewPCG(w.seed, 4035))
		for i := range questions {
			questions[i].do = i%4 > 0
			if i%20 == 0 {
				questions[i].qtype = pick(r, signedTypes)
			}
		}
	}
	s, err := snapshot(configuration(t, dir, w.zones))
	if err != nil {
		return []fault{{"refused", fmt.Sprintf("%v\n%s", err, w)}}, 0, rules
	}
	c := newClient(s)
	wrong := func(q question, want *verdict, sections []string, format string, args ...any) {
		applied := strings.Join(slices.Compact(slices.Clone(want.rules)), ", ")
		faults = append(faults, fault{
			strings.Join(sections, "+") + " after " + applied,
			fmt.Sprintf("%s (%s): ", q, applied) + fmt.Sprintf(format, args...),
		})
	}
	for _, q := range questions {
		want := ask(w.zones, q, habits{})
		asked++
		for _, r := range want.rules {
			rules[r]++
		}
		limit, edns := dns.MinMsgSize, uint16(0)
		if q.do {
			limit, edns = 1232, 1232
		}
		whole, wire, err := c.ask(q, dnswire.TCP, edns)
		if err != nil {
			wrong(q, want, []string{"packet"}, "%v", err)
			continue
		}
		if sections, details := compare(want, whole); len(details) > 0 {
			wrong(q, want, sections, "\n%s", strings.Join(details, "\n"))
			continue
		}
		required := requiredLen(wire, whole, want)
		// What does not fit is left out whole, and TC says so if it was required.
		short, wire, err := c.ask(q, dnswire.UDP, edns)
		if err != nil {
			wrong(q, want, []string{"UDP packet"}, "over UDP: %v", err)
			continue
		}
		if short.Truncated {
			rules["truncated over UDP"]++
		}
		switch fits := required <= limit; {
		case len(wire) > limit:
			wrong(q, want, []string{"UDP size"}, "over UDP: %d octets", len(wire))
		case short.Truncated == fits:
			wrong(q, want, []string{"UDP TC"}, "over UDP: TC is %v, and what is required has %d octets", short.Truncated, required)
		case fits:
			if sections, details := compare(want, short); len(details) > 0 {
				wrong(q, want, append([]string{"UDP"}, sections...), "over UDP:\n%s", strings.Join(details, "\n"))
			}
		}
	}
	return faults, asked, rules
}

// requiredLen is the length of an answer up to the last record that must be there,
// and of its OPT record.
func requiredLen(wire []byte, answer *dns.Msg, want *verdict) int {
	glue := texts(want.required)
	at := 12
	for range answer.Question {
		_, at, _ = dns.UnpackDomainName(wire, at)
		at += 4
	}
	length, opt := at, 0
	for i := range len(answer.Answer) + len(answer.Ns) + len(answer.Extra) {
		rr, next, err := dns.UnpackRR(wire, at)
		if err != nil {
			panic(err) // it could be unpacked before
		}
		if rr.Header().Rrtype == dns.TypeOPT {
			opt = next - at
		}
		at = next
		if i < len(answer.Answer)+len(answer.Ns) || slices.Contains(glue, texts([]dns.RR{rr})[0]) {
			length = at
		}
	}
	return length + opt
}
