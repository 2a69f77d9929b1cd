package app_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestDefenceReload turns on what keeps clients away, one after the other, and
// off again.
func TestDefenceReload(t *testing.T) {
	config := filepath.Join(t.TempDir(), "rhumb.yaml")
	plain := header + fmt.Sprintf(staticZone, "192.0.2.1")
	write(t, config, plain)
	n := start(t, config)
	reload := func(keys string) {
		t.Helper()
		write(t, config, strings.Replace(plain, "dns: {", "dns: {"+keys, 1))
		if err := n.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(network string) *dns.Msg {
		t.Helper()
		m := new(dns.Msg)
		m.SetQuestion("www.app.test.", dns.TypeA)
		r, _, err := (&dns.Client{Net: network, Timeout: patience}).Exchange(m, n.DNSAddrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	// truncated is how many of 20 answers over UDP are.
	truncated := func() (tc int) {
		for range 20 {
			if ask("udp").Truncated {
				tc++
			}
		}
		return tc
	}

	if tc := truncated(); tc != 0 {
		t.Errorf("without limits %d of 20 are truncated", tc)
	}
	reload("rate_limit: {responses_per_second: 1, slip: 1}, ")
	begun := time.Now()
	if tc := truncated(); tc < 19-int(time.Since(begun)/time.Second) {
		t.Errorf("with a limit of one a second, %d of 20 are truncated", tc)
	}
	if r := ask("tcp"); len(r.Answer) != 1 {
		t.Errorf("over TCP: %v", r)
	}
	reload("rate_limit: {responses_per_second: 1, exempt: [127.0.0.0/8]}, ")
	if tc := truncated(); tc != 0 {
		t.Errorf("with an exemption %d of 20 are truncated", tc)
	}
	reload("access: {deny: [127.0.0.0/8]}, ")
	for _, network := range []string{"udp", "tcp"} {
		if r := ask(network); r.Rcode != dns.RcodeRefused {
			t.Errorf("denied over %s: %v", network, r)
		}
	}
	reload("access: {deny: [127.0.0.0/8], allow: [127.0.0.1/32]}, tcp: {connections_per_second: 0}, ")
	if r := ask("udp"); len(r.Answer) != 1 {
		t.Errorf("allowed: %v", r)
	}
	reload("")
	if tc := truncated(); tc != 0 {
		t.Errorf("without limits again %d of 20 are truncated", tc)
	}
}
