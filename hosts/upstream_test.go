package hosts

import (
	"container/heap"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// serversOf are the servers of asks, in order, by the first octet.
func serversOf(asks []ask) string {
	var b strings.Builder
	for _, a := range asks {
		first, _, _ := strings.Cut(a.server, ".")
		b.WriteString(first + " ")
	}
	return strings.TrimSpace(b.String())
}

func TestFailOver(t *testing.T) {
	good := reply{records: []string{"h.test. 3600 A 203.0.113.1"}}
	for _, c := range []struct {
		what    string
		first   reply
		second  reply
		servers string // asked, in order
		took    time.Duration
		addrs   string
		reason  string
	}{
		{what: "the first answers", first: good, second: servfail, servers: "192", addrs: "203.0.113.1"},
		{what: "SERVFAIL", first: servfail, second: good, servers: "192 198", addrs: "203.0.113.1"},
		{what: "REFUSED", first: reply{rcode: dns.RcodeRefused}, second: good, servers: "192 198", addrs: "203.0.113.1"},
		{what: "silent", first: reply{silent: true}, second: good, servers: "192 198", took: askTimeout, addrs: "203.0.113.1"},
		{what: "garbage", first: reply{records: []string{"x.test. 60 A 192.0.2.1"}}, second: good, servers: "192 198", addrs: "203.0.113.1"},
		{what: "panic", first: reply{upset: true}, second: good, servers: "192 198", addrs: "203.0.113.1"},
		{what: "no such name is an answer", first: reply{rcode: dns.RcodeNameError}, second: good, servers: "192", reason: server1 + ": no such name (NXDOMAIN)"},
		{what: "both fail", first: servfail, second: reply{rcode: dns.RcodeRefused}, servers: "192 198", reason: server1 + ": SERVFAIL; " + server2 + ": REFUSED"},
		{what: "silence is tried again", first: reply{silent: true}, second: servfail, servers: "192 198 192", took: 2 * askTimeout, reason: server1 + ": no answer in time; " + server2 + ": SERVFAIL"},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.set(server1+" h.test. A", c.first)
				w.set(server2+" h.test. A", c.second)
				a := asker{w.exchange, newMeters(nil)}
				began := time.Now()
				r, ended := a.ask(t.Context(), newUpstream(ports(server1, server2)), named("h.test"), false, 0)
				if ended {
					t.Error("an outage has ended that there was not")
				}
				if got := serversOf(w.asks("")); got != c.servers || time.Since(began) != c.took {
					t.Errorf("asked %s in %v, want %s in %v", got, time.Since(began), c.servers, c.took)
				}
				if text(unpack(r.packed, false)) != c.addrs || r.reason != c.reason {
					t.Errorf("%+v", r)
				}
			})
		})
	}
}

// Whatever is silent, a try ends.
func TestTryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.set("h.test. A", reply{silent: true})
		a := asker{w.exchange, newMeters(nil)}
		u := newUpstream(ports(server1, server2, "203.0.113.53:53"))
		u.timeout, u.attempts = 7*time.Second, 5
		began := time.Now()
		r, _ := a.ask(t.Context(), u, named("h.test"), false, 0)
		if d := time.Since(began); d != tryTimeout || r.verdict != failed {
			t.Errorf("%+v after %v", r, d)
		}
		if u.state[0].silent != 1 || u.state[2].silent != 0 {
			t.Errorf("%+v: a server that was not given its time was not silent", u.state)
		}
	})
}

func TestEDNSAndTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			what  string
			reply reply
			asks  string // e: with EDNS, t: over TCP
			found bool
		}{
			{"plain", reply{records: []string{"h.test. 60 A 192.0.2.1"}}, "e", true},
			{"truncated", reply{tc: true, records: []string{"h.test. 60 A 192.0.2.1"}}, "e et", true},
			{"never understood", reply{rcode: dns.RcodeFormatError}, "e -", false},
		} {
			w := newWorld()
			w.set("h.test. A", c.reply)
			r, _ := (&asker{w.exchange, newMeters(nil)}).ask(t.Context(), newUpstream(ports(server1)), named("h.test"), false, 0)
			var got []string
			for _, a := range w.asks("") {
				s := ""
				if a.edns {
					s += "e"
				}
				if a.tcp {
					s += "t"
				}
				if s == "" {
					s = "-"
				}
				got = append(got, s)
			}
			if strings.Join(got, " ") != c.asks || (r.verdict == found) != c.found {
				t.Errorf("%s: asked %q, %+v", c.what, got, r)
			}
		}
	})
}

func TestSilentServersAreAskedLast(t *testing.T) {
	now := time.Unix(1e9, 0)
	u := newUpstream(ports(server1, server2, "203.0.113.53:53"))
	order := func(want ...int) {
		t.Helper()
		if got := u.order(now, 0); !slices.Equal(got, want) {
			t.Errorf("order %v, want %v", got, want)
		}
	}
	order(0, 1, 2)
	if got := u.order(now, 4); !slices.Equal(got, []int{1, 2, 0}) {
		t.Errorf("order %v after 4", got)
	}
	u.note(0, true, now)
	u.note(0, true, now)
	order(0, 1, 2)
	u.note(0, false, now)
	u.note(0, true, now)
	u.note(0, true, now)
	order(0, 1, 2)
	u.note(0, true, now)
	order(1, 2, 0)
	now = now.Add(penalty)
	order(0, 1, 2) // a single try
	order(1, 2, 0)
	u.note(0, true, now)
	order(1, 2, 0)
	for range maxSilent {
		u.note(1, true, now)
		u.note(2, true, now)
	}
	order(0, 1, 2)
	if !u.note(1, false, now) {
		t.Error("the outage has not ended")
	}
	if u.note(2, false, now) {
		t.Error("the outage has ended twice")
	}
	order(1, 2, 0)
}

// When all servers were silent and one is there again, names that failed do not
// wait for their turn.
func TestOutageEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		var names []string
		for i := range 300 {
			names = append(names, "h"+strings.Repeat("x", i%50)+string(rune('a'+i/50))+".test")
			r.world.addrs(names[i]+". A", "60", "192.0.2.1")
			r.world.addrs(names[i]+". AAAA", "60", "2001:db8::1")
		}
		r.names(strings.Join(names, " "), server1, server2)
		r.run()
		defer r.stop()
		soon()
		r.gauges(0, 0)
		r.world.fell(server1, true)
		r.world.fell(server2, true)
		after(3 * time.Minute)
		r.gauges(300, 0)
		r.world.fell(server2, false)
		after(tryTimeout + quietGap)
		r.gauges(0, 0)
		// Server 1 is still silent, so the others are asked first.
		asks := r.world.asks("")
		last := serversOf(asks[len(asks)-200:])
		if n := strings.Count(last, "192"); n > 5 {
			t.Errorf("of the last 200 queries %d went to the silent server", n)
		}
	})
}

// Nor does what was under way when the outage ended, and came too early.
func TestOutageEndsMeanwhile(t *testing.T) {
	r := newRig(t, nil)
	r.names("h.test")
	l := newLoop(r.Resolver)
	a, b := heap.Pop(&r.due[0]).(*family), heap.Pop(&r.due[0]).(*family)
	now := time.Now()
	l.inFlight[0] = 3
	l.collect(outcome{f: a, begun: now, reading: reading{verdict: nodata}, ended: true}, now.Add(time.Second))
	l.collect(outcome{f: b, begun: now, reading: reading{reason: "silence"}}, now.Add(2*time.Second))
	if !b.due.Equal(now.Add(2 * time.Second)) {
		t.Errorf("due %v after it failed, want at once", b.due.Sub(now)-2*time.Second)
	}
	b = heap.Pop(&r.due[1]).(*family)
	l.collect(outcome{f: b, lane: 0, begun: now.Add(2 * time.Second), reading: reading{reason: "silence"}}, now.Add(2*time.Second))
	if !b.due.After(now.Add(3 * time.Second)) {
		t.Errorf("due %v after it failed, want the back-off", b.due.Sub(now)-2*time.Second)
	}
}

// Other servers are asked at once for what the ones before did not know.
func TestServersChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.world.set(server1+" h.test. A", servfail)
		r.world.set(server2+" h.test. A", reply{records: []string{"h.test. 60 A 192.0.2.1"}})
		r.world.addrs("g.test. A", "60", "192.0.2.2")
		r.names("h.test g.test")
		r.run()
		defer r.stop()
		after(5*time.Minute + 100*time.Millisecond)
		n, g := len(r.world.asks("h.test. A")), len(r.world.asks("g.test. A"))
		r.names("h.test g.test")
		after(0)
		if len(r.world.asks("h.test. A")) != n {
			t.Error("the same servers are asked out of turn")
		}
		r.names("h.test g.test", server2, server1)
		after(urgentGap)
		r.want(0, "192.0.2.1", "")
		if len(r.world.asks("g.test. A")) > g+1 {
			t.Error("what is well is asked for out of turn")
		}
	})
}
