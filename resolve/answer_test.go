package resolve_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/resolve"
)

// TestOptionsTruncateNothing: the server's name, where to report errors, and the
// text of an error are never a reason to truncate.
func TestOptionsTruncateNothing(t *testing.T) {
	const zones = `
checks: {c: {type: tcp, port: 1}}
pools: {p: {checks: [c], endpoints: [%s]}}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    records: [%s]
    services: {www: {pools: [p], answers: 0}}
`
	var down, mx []string
	for i := range 29 {
		down = append(down, fmt.Sprintf("192.0.2.%d", i+1))
		mx = append(mx, fmt.Sprintf("m MX %d mail%d", i, i), fmt.Sprintf("mail%d A 192.0.2.1", i))
	}
	config := fmt.Sprintf(zones, strings.Join(down, ", "), strings.Join(mx, ", "))
	bare := compile(t, config)
	full := compile(t, "dns: {nsid: "+strings.Repeat("n", 100)+", report_channel: "+strings.Repeat("agent.", 30)+"example}\n"+config, down...)
	scratch := resolve.NewScratch(1, 2)
	short := 0
	step := 1
	if raced {
		step = 7
	}
	for size := 500; size < 1232; size += step {
		for _, name := range []string{"www A", "m MX", "nope A", "m TXT"} {
			name, typ, _ := strings.Cut(name, " ")
			words := []string{name + ".x.test", typ, fmt.Sprintf("edns=%d", size)}
			if size%2 == 0 {
				words = append(words, "zoneversion")
			}
			plain := asked(t, words)
			less := sound(t, plain, bare.Append(nil, plain, scratch))
			q := asked(t, append(words[:len(words):len(words)], "nsid"))
			more := sound(t, q, full.Append(nil, q, scratch))
			if more.Truncated != less.Truncated || len(more.Answer) != len(less.Answer) {
				t.Fatalf("%s %s in %d octets: truncated %t, without options %t", name, typ, size, more.Truncated, less.Truncated)
			}
			if opt := more.IsEdns0(); len(opt.Option) == 1-size%2 {
				short++
			}
		}
	}
	if short == 0 {
		t.Error("there was room for every option")
	}
}

// TestPadding pads answers of all lengths to the multiple of a block.
func TestPadding(t *testing.T) {
	s := compile(t, "pools: {p: {endpoints: ["+addresses(200)+`]}}
zones: {x.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [p], answers: 0}, few: {pools: [p]}}, records: ['big TXT `+strings.Repeat(`"`+strings.Repeat("x", 250)+`" `, 259)+`']}}
`)
	scratch := resolve.NewScratch(1, 2)
	seen := map[int]bool{}
	for n := range 60 {
		for _, name := range []string{"few", "www", "nope"} {
			q := asked(t, []string{strings.Repeat("a", n+1) + "." + name + ".x.test", "A", "tls", "padding", "do"})
			out := s.Append(nil, q, scratch)
			sound(t, q, out)
			if len(out)%468 != 0 {
				t.Errorf("%d octets", len(out))
			}
			seen[len(out)/468] = true
		}
		q := asked(t, []string{"www.x.test", "A", "tls", "padding"})
		if out := s.Append(nil, q, scratch); len(out)%468 != 0 || len(out) < 3000 {
			t.Errorf("%d octets", len(out))
		}
	}
	// Near the largest message there is less room, or none, for padding.
	q := asked(t, []string{"big.x.test", "TXT", "tls", "padding"})
	if out := s.Append(nil, q, scratch); len(out) <= 65_000 || len(out) > dns.MaxMsgSize {
		t.Errorf("%d octets", len(out))
	} else {
		sound(t, q, out)
	}
}
