package hosts

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
)

var servfail = reply{rcode: dns.RcodeServerFailure}

func TestAddressesAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.world.addrs("h.test. A", "60", "192.0.2.2", "192.0.2.1")
		r.world.addrs("h.test. AAAA", "300", "2001:db8::1")
		v := r.names("h.test g.test h.test")
		if v != r.View() || v.Len() != 3 || v.Generation() != 1 {
			t.Errorf("Apply gives a view of %d names, generation %d", v.Len(), v.Generation())
		}
		r.run()
		defer r.stop()
		<-r.Settled()
		<-r.Changed()
		r.want(0, "192.0.2.1 192.0.2.2", "2001:db8::1")
		r.want(1, "", "")
		r.want(2, "192.0.2.1 192.0.2.2", "2001:db8::1")
		if packed, ttl := r.View().Addrs(2, false); string(packed) != "\xc0\x00\x02\x01\xc0\x00\x02\x02" || ttl != 60 {
			t.Errorf("%v, TTL %d", packed, ttl)
		}
		if packed, ttl := r.View().Addrs(2, true); len(packed) != 16 || ttl != 300 {
			t.Errorf("%v, TTL %d", packed, ttl)
		}
		if packed, ttl := r.View().Addrs(1, true); packed != nil || ttl != 0 {
			t.Errorf("%v, TTL %d", packed, ttl)
		}
		if v.Detail(0).V4.Addrs != nil {
			t.Error("a view has changed")
		}
		r.gauges(0, 1)
		d := r.View().Detail(0)
		if d.Name != named("h.test") || d.V4.TTL != time.Minute || !d.V4.Resolved.Equal(time.Now()) || d.V4.Error != "" || d.V4.Stale || d.V4.Restored {
			t.Errorf("%+v", d)
		}
		if wait := time.Until(d.V4.Next); wait < time.Minute || wait > 63*time.Second {
			t.Errorf("next in %v", wait)
		}
		if n := len(r.world.asks("h.test. A")); n != 1 {
			t.Errorf("asked %d times for a name that is there twice", n)
		}

		// The families are asked for each at its time.
		r.world.addrs("h.test. A", "60", "192.0.2.3")
		r.world.addrs("h.test. AAAA", "300", "2001:db8::2")
		after(70 * time.Second)
		r.want(0, "192.0.2.3", "2001:db8::1")
		r.want(2, "192.0.2.3", "2001:db8::1")
		after(270 * time.Second)
		r.want(0, "192.0.2.3", "2001:db8::2")
		for _, line := range []string{
			`msg="host addresses changed" host=h.test. type=A addresses="[192.0.2.1 192.0.2.2]" was=[]`,
			`msg="host addresses changed" host=h.test. type=A addresses=[192.0.2.3] was="[192.0.2.1 192.0.2.2]"`,
			`msg="host addresses changed" host=h.test. type=AAAA addresses=[2001:db8::2] was=[2001:db8::1]`,
			`msg="host has no addresses of either family" host=g.test.`,
		} {
			if r.log.count(line) != 1 {
				t.Errorf("not logged once: %s\n%s", line, r.log)
			}
		}
		if n := r.log.count("\n"); n != 5 {
			t.Errorf("%d lines:\n%s", n, r.log)
		}
		if r.counted("ok") == 0 || r.counted("nxdomain") == 0 {
			t.Error("queries are not counted")
		}
	})
}

func TestTTLBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.world.addrs("short.test. A", "0", "192.0.2.1")
		r.world.addrs("long.test. A", "604800", "192.0.2.1")
		r.names("short.test long.test")
		r.run()
		defer r.stop()
		after(time.Hour)
		n := len(r.world.asks("short.test. A"))
		if n < 3600/6 || n > 3600/5+1 {
			t.Errorf("TTL 0 is asked for %d times in an hour", n)
		}
		// Spread: not all gaps are the same.
		gaps := map[time.Duration]bool{}
		asks := r.world.asks("short.test. A")
		for i := range asks[1:] {
			gap := asks[i+1].at.Sub(asks[i].at)
			gaps[gap] = true
			if gap < minTTL || gap > minTTL*21/20+tick {
				t.Fatalf("asked again after %v", gap)
			}
		}
		if len(gaps) < n/2 {
			t.Errorf("%d different gaps of %d", len(gaps), n)
		}
		after(7 * time.Minute)
		if n := len(r.world.asks("long.test. A")); n != 2 {
			t.Errorf("a week is asked for %d times in an hour and a tenth, want 2", n)
		}
	})
}

func TestLastGoodIsKept(t *testing.T) {
	for what, bad := range map[string]reply{
		"servfail":  servfail,
		"refused":   {rcode: dns.RcodeRefused},
		"timeout":   {silent: true},
		"network":   {err: errors.New("network is unreachable")},
		"malformed": {upset: true},
		"loop":      {records: []string{"h.test. 60 CNAME h.test."}},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.world.addrs("h.test. A", "300", "192.0.2.1")
				r.names("h.test")
				r.run()
				defer r.stop()
				soon()
				r.world.set("h.test. A", bad)
				for len(r.world.asks("h.test. A")) == 1 {
					after(time.Second)
				}
				after(tryTimeout)
				// Stale from the first failure on, which is at the end of the TTL.
				d := r.View().Detail(0).V4
				if !d.Stale || d.TTL != 30*time.Second || !strings.HasPrefix(d.Error, server1+": ") {
					t.Errorf("%+v", d)
				}
				resolved := d.Resolved
				n := len(r.world.asks("h.test. A"))
				after(3 * time.Hour)
				r.want(0, "192.0.2.1", "")
				r.gauges(1, 0)
				if d := r.View().Detail(0).V4; !d.Stale || !d.Resolved.Equal(resolved) {
					t.Errorf("%+v", d)
				}
				n = len(r.world.asks("h.test. A")) - n
				if n < 3*60 || n > 3*60*6 {
					t.Errorf("asked %d times in 3 hours, want between one and six a minute", n)
				}
				if r.log.count("its last addresses stay") != 1 {
					t.Errorf("not said once:\n%s", r.log)
				}
				label := what
				if what == "loop" {
					label = "malformed"
				}
				if r.counted(label) == 0 {
					t.Errorf("%s is not counted", label)
				}
				r.world.addrs("h.test. A", "300", "192.0.2.1")
				after(time.Minute)
				if d := r.View().Detail(0).V4; d.Stale || d.Error != "" || d.TTL != 300*time.Second {
					t.Errorf("%+v", d)
				}
				r.gauges(0, 0)
				if r.log.count("host resolves again") != 1 {
					t.Errorf("not said once:\n%s", r.log)
				}
			})
		})
	}
}

func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.world.set("bad.test. A", servfail)
		r.names("bad.test none.test")
		r.run()
		defer r.stop()
		after(10 * time.Minute)
		for question, want := range map[string][]time.Duration{
			"bad.test. A":     {1, 2, 4, 8, 16, 30, 30, 30},
			"none.test. A":    {1, 2, 4, 8, 16, 32, 60, 60},
			"none.test. AAAA": {1, 2, 4, 8, 16, 32, 60, 60},
		} {
			asks := r.world.asks(question)
			for i, w := range want {
				w *= time.Second
				if gap := asks[i+1].at.Sub(asks[i].at); gap < w || gap > w*21/20+tick {
					t.Errorf("%s: the gap %d is %v, want %v", question, i, gap, w)
				}
			}
		}
		d := r.View().Detail(1)
		if d.V4.Error != server1+": no such name (NXDOMAIN)" || d.V4.Stale {
			t.Errorf("%+v", d)
		}
		r.gauges(0, 2)
		// A host that comes into being is there within a minute.
		r.world.addrs("none.test. AAAA", "60", "2001:db8::1")
		after(66 * time.Second)
		r.want(1, "", "2001:db8::1")
		r.gauges(0, 1)
	})
}

// A family that is said to be gone is asked for again before it is believed.
func TestGoneIsConfirmed(t *testing.T) {
	for _, gone := range []reply{{}, {rcode: dns.RcodeNameError}} {
		t.Run(dns.RcodeToString[gone.rcode], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.world.addrs("h.test. A", "60", "192.0.2.1")
				r.world.addrs("h.test. AAAA", "3600", "2001:db8::1")
				r.names("h.test", server1, server2)
				r.run()
				defer r.stop()
				soon()
				r.world.set("h.test. A", gone)
				for len(r.world.asks("h.test. A")) < 2 {
					after(tick)
				}
				first := time.Now()
				for text(r.View().Detail(0).V4.Addrs) != "" {
					after(100 * time.Millisecond)
					if time.Since(first) > time.Minute {
						t.Fatal("it is never believed")
					}
				}
				if d := time.Since(first); d < confirmSpan || d > confirmSpan*12/10 {
					t.Errorf("believed after %v", d)
				}
				r.want(0, "", "2001:db8::1")
				asks := r.world.asks("h.test. A")
				if len(asks) != 4 || asks[1].server != server1 || asks[2].server != server2 || asks[3].server != server1 {
					t.Errorf("asked %+v; want three times, each time the next server", asks[1:])
				}
				if n := len(r.world.asks("h.test. AAAA")); n != 2 {
					t.Errorf("the other family was asked for %d times, want once more", n)
				}
				for _, line := range []string{
					"host should have no addresses; they stay until that is certain",
					`msg="host addresses changed" host=h.test. type=A addresses=[] was=[192.0.2.1] reason="` + server1,
				} {
					if r.log.count(line) != 1 {
						t.Errorf("not logged once: %s\n%s", line, r.log)
					}
				}
				soon()
				r.gauges(0, 0)
				// And it may come back.
				r.world.addrs("h.test. A", "60", "192.0.2.7")
				after(66 * time.Second)
				r.want(0, "192.0.2.7", "2001:db8::1")
			})
		})
	}
}

func TestGoneIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.world.addrs("h.test. A", "60", "192.0.2.1")
		r.world.addrs("h.test. AAAA", "60", "2001:db8::1")
		r.names("h.test")
		r.run()
		defer r.stop()
		soon()
		for range 5 {
			r.world.set("h.test. A", reply{})
			for n := len(r.world.asks("h.test. A")) + 2; len(r.world.asks("h.test. A")) < n; {
				after(time.Second)
			}
			r.want(0, "192.0.2.1", "2001:db8::1")
			r.world.addrs("h.test. A", "60", "192.0.2.1")
			after(confirmGap + quietGap + time.Second)
			if d := r.View().Detail(0).V4; d.Stale || d.Error != "" {
				t.Errorf("%+v", d)
			}
		}
		if r.log.count(`host should have`) != 5 || r.log.count("host resolves again") != 5 {
			t.Errorf("\n%s", r.log)
		}
	})
}

// Nothing takes away the last addresses of a host.
func TestLastAddressesStay(t *testing.T) {
	for _, c := range []struct {
		what         string
		a, aaaa      string // at first
		nextA, next6 reply
	}{
		{"gone altogether", "192.0.2.1", "2001:db8::1", reply{rcode: dns.RcodeNameError}, reply{rcode: dns.RcodeNameError}},
		{"emptied", "192.0.2.1", "2001:db8::1", reply{}, reply{}},
		{"one family alone", "192.0.2.1", "", reply{}, reply{}},
		{"the other family alone", "", "2001:db8::1", reply{}, reply{rcode: dns.RcodeNameError}},
		{"the other family fails", "192.0.2.1", "2001:db8::1", reply{}, servfail},
		{"the other family is silent", "192.0.2.1", "2001:db8::1", reply{}, reply{silent: true}},
		{"the other family fails first", "192.0.2.1", "2001:db8::1", servfail, reply{rcode: dns.RcodeNameError}},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.world.set("h.test. A", reply{})
				r.world.set("h.test. AAAA", reply{})
				if c.a != "" {
					r.world.addrs("h.test. A", "60", c.a)
				}
				if c.aaaa != "" {
					r.world.addrs("h.test. AAAA", "60", c.aaaa)
				}
				r.names("h.test")
				r.run()
				defer r.stop()
				soon()
				r.world.set("h.test. A", c.nextA)
				r.world.set("h.test. AAAA", c.next6)
				for range 2 * 60 {
					after(time.Minute)
					r.want(0, c.a, c.aaaa)
					if t.Failed() {
						t.Fatalf("\n%s", r.log)
					}
				}
				r.gauges(1, 0)
				kept := r.log.count("host has no addresses any more")
				if kept == 0 || kept > 2 || r.log.count("\n") > 8 {
					t.Errorf("said %d times:\n%s", kept, r.log)
				}
			})
		})
	}
}

// What failures lie between the answers that there is nothing does not matter.
func TestFailuresDoNotConfirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.world.addrs("h.test. A", "60", "192.0.2.1")
		r.world.addrs("h.test. AAAA", "3600", "2001:db8::1")
		r.names("h.test")
		r.run()
		defer r.stop()
		soon()
		r.world.set("h.test. A", reply{})
		after(66 * time.Second)
		r.world.set("h.test. A", servfail)
		after(10 * time.Minute)
		r.want(0, "192.0.2.1", "2001:db8::1")
		if n := r.log.count("\n"); n != 3 {
			t.Errorf("%d lines, want two addresses and one doubt:\n%s", n, r.log)
		}
		r.world.set("h.test. A", reply{})
		n := len(r.world.asks("h.test. A"))
		for len(r.world.asks("h.test. A")) == n {
			after(time.Second)
		}
		r.want(0, "192.0.2.1", "2001:db8::1")
		after(confirmGap * 11 / 10)
		r.want(0, "", "2001:db8::1")
	})
}

// Servers that are changed again and again do not make it certain sooner.
func TestDoubtTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.world.addrs("h.test. A", "60", "192.0.2.1")
		r.world.addrs("h.test. AAAA", "3600", "2001:db8::1")
		r.names("h.test")
		r.run()
		defer r.stop()
		soon()
		r.world.set("h.test. A", reply{})
		for len(r.world.asks("h.test. A")) < 2 {
			after(time.Second)
		}
		for i := range 25 {
			r.names("h.test", []string{server1, server2}[i%2])
			after(time.Second)
			r.want(0, "192.0.2.1", "2001:db8::1")
		}
		if n := len(r.world.asks("h.test. A")); n < 2+confirmations {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestVouches(t *testing.T) {
	since := time.Unix(1e9, 0)
	for _, c := range []struct {
		what string
		f    family
		fact fact
		want bool
	}{
		{"confirmed since", family{}, fact{packed: loopback.v4, resolved: since}, true},
		{"confirmed before", family{}, fact{packed: loopback.v4, resolved: since.Add(-1)}, false},
		{"failing now", family{failures: 1}, fact{packed: loopback.v4, resolved: since}, false},
		{"in doubt now", family{absences: 1}, fact{packed: loopback.v4, resolved: since}, false},
		{"from before the restart", family{}, fact{packed: loopback.v4, resolved: since, restored: true}, false},
		{"nothing there", family{}, fact{resolved: since}, false},
	} {
		c.f.fact = &c.fact
		if got := c.f.vouches(since); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

func TestApplyKeepsWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for i := range 300 {
			r.world.addrs(fmt.Sprintf("h%d.test. A", i), "600", fmt.Sprintf("192.0.2.%d", i%256))
		}
		list := func(from, to int) string {
			var b strings.Builder
			for i := from; i < to; i++ {
				fmt.Fprintf(&b, "h%d.test ", i)
			}
			return b.String()
		}
		r.names(list(0, 200))
		r.run()
		defer r.stop()
		soon()
		v := r.names(list(100, 300))
		for i := range 100 {
			if got := text(v.Detail(i).V4.Addrs); got != fmt.Sprintf("192.0.2.%d", 100+i) {
				t.Fatalf("name %d of the new ones has %q at once", i, got)
			}
		}
		if v.Detail(100).V4.Addrs != nil {
			t.Error("a new name has addresses")
		}
		soon()
		for i := range 200 {
			r.want(i, fmt.Sprintf("192.0.2.%d", (100+i)%256), "")
		}
		for i := range 300 {
			if n := len(r.world.asks(fmt.Sprintf("h%d.test. A", i))); n != 1 {
				t.Fatalf("name %d was asked for %d times", i, n)
			}
		}
		// Names whose turn has not come stay as they are in the views of those whose has.
		for range 70 {
			after(10 * time.Second)
			for i := range 200 {
				r.want(i, fmt.Sprintf("192.0.2.%d", (100+i)%256), "")
			}
		}
		r.names("")
		if r.View().Len() != 0 || r.View().Generation() != 3 {
			t.Errorf("%d names", r.View().Len())
		}
		r.gauges(0, 0)
		n := len(r.world.asks(""))
		after(time.Hour)
		if len(r.world.asks("")) != n {
			t.Error("names are asked for that nobody wants")
		}
	})
}

// A name that goes while it is asked for does no harm, nor does it when it comes
// back.
func TestNameGoesWhileAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.world.set("h.test. A", reply{records: []string{"h.test. 60 A 192.0.2.1"}, took: time.Second})
		r.names("h.test")
		r.run()
		defer r.stop()
		after(500 * time.Millisecond)
		r.names("g.test")
		after(100 * time.Millisecond)
		r.names("h.test g.test")
		after(600 * time.Millisecond)
		r.want(0, "", "")
		after(time.Second)
		r.want(0, "192.0.2.1", "")
		r.gauges(0, 1)
		r.mu.Lock()
		defer r.mu.Unlock()
		if n := r.due[0].Len() + r.due[1].Len(); n != 4 {
			t.Errorf("%d families are on schedule, want A and AAAA of two names", n)
		}
	})
}

func TestSettled(t *testing.T) {
	t.Run("no names", func(t *testing.T) {
		r := newRig(t, nil)
		select {
		case <-r.Settled():
			t.Fatal("settled before there are names")
		default:
		}
		r.names("")
		<-r.Settled()
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.world.set("h.test. A", reply{records: []string{"h.test. 60 A 192.0.2.1"}, took: time.Second})
		r.world.set("h.test. AAAA", servfail)
		began := time.Now()
		r.names("h.test g.test")
		r.run()
		defer r.stop()
		<-r.Settled()
		if d := time.Since(began); d != time.Second {
			t.Errorf("settled after %v", d)
		}
		r.want(0, "192.0.2.1", "")
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.world.set("h.test. A", reply{silent: true})
		r.world.addrs("g.test. A", "60", "192.0.2.1")
		began := time.Now()
		r.names("h.test g.test")
		r.run()
		defer r.stop()
		<-r.Settled()
		if d := time.Since(began); d > settleWithin {
			t.Errorf("settled after %v", d)
		}
		r.want(1, "192.0.2.1", "")
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.world.fell(server1, true)
		var names []string
		for i := range 2000 {
			names = append(names, fmt.Sprintf("h%d.test", i))
		}
		began := time.Now()
		r.names(strings.Join(names, " "))
		r.run()
		defer r.stop()
		<-r.Settled()
		if d := time.Since(began); d != settleWithin {
			t.Errorf("settled after %v without any server", d)
		}
	})
}

// Other addresses are published at once, what else there is together with more.
func TestPublishing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		var names []string
		for i := range 100 {
			names = append(names, fmt.Sprintf("h%d.test", i))
			r.world.addrs(names[i]+". A", "5", "192.0.2.1")
		}
		r.names(strings.Join(names, " "))
		r.run()
		defer r.stop()
		soon()
		views, last := 0, r.View()
		for range 1000 {
			after(10 * time.Millisecond)
			if v := r.View(); v != last {
				views, last = views+1, v
			}
		}
		if views < 5 || views > 11 {
			t.Errorf("%d views in 10 seconds without other addresses", views)
		}
		r.world.addrs("h7.test. A", "5", "192.0.2.7")
		n := len(r.world.asks("h7.test. A"))
		for len(r.world.asks("h7.test. A")) == n {
			after(time.Millisecond)
		}
		after(urgentGap)
		r.want(7, "192.0.2.7", "")
		select {
		case <-r.Changed():
		default:
			t.Error("Changed says nothing")
		}
	})
}

func TestBoundedAndAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		var names []string
		for i := range 2000 {
			names = append(names, fmt.Sprintf("h%d.test", i))
			for _, family := range []string{"A", "AAAA"} {
				r.world.set(names[i]+". "+family, reply{took: 100 * time.Millisecond})
			}
		}
		r.names(strings.Join(names, " "))
		r.run()
		defer r.stop()
		<-r.Settled()
		if n := r.world.peak(); n != parallel {
			t.Errorf("%d queries at once, want %d", n, parallel)
		}
	})
}

// Names whose servers are silent do not hold up the others.
func TestSilentNamesDoNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		var names []string
		for i := range 700 {
			names = append(names, fmt.Sprintf("h%d.test", i))
			if i%2 == 0 {
				r.world.set(names[i]+". A", reply{silent: true})
				r.world.set(names[i]+". AAAA", reply{silent: true})
				continue
			}
			r.world.addrs(names[i]+". A", "60", "192.0.2.1")
			r.world.addrs(names[i]+". AAAA", "60", "2001:db8::1")
		}
		r.names(strings.Join(names, " "))
		r.run()
		defer r.stop()
		after(time.Minute)
		from := len(r.world.asks("h1.test. A"))
		after(3 * time.Minute)
		if n := len(r.world.asks("h1.test. A")) - from; n < 2 {
			t.Errorf("asked for %d times in 3 minutes with TTL 60", n)
		}
		r.gauges(0, 350)
	})
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.world.set("h.test. A", reply{silent: true})
		r.world.addrs("g.test. A", "60", "192.0.2.1")
		r.names("h.test g.test")
		r.run()
		after(100 * time.Millisecond)
		began := time.Now()
		r.stop()
		if d := time.Since(began); d != 0 {
			t.Errorf("it took %v to stop", d)
		}
		if d := r.View().Detail(0).V4; d.Error != "" {
			t.Errorf("that it was stopped is held against the host: %+v", d)
		}
		r.want(1, "192.0.2.1", "")
		// It may be run again.
		r.world.addrs("h.test. A", "60", "192.0.2.2")
		r.run()
		defer r.stop()
		soon()
		r.want(0, "192.0.2.2", "")
	})
}

func TestFixed(t *testing.T) {
	d := Detail{Name: named("h.test")}
	d.V4 = Records{Addrs: addrs("192.0.2.2 192.0.2.1 192.0.2.2"), TTL: time.Minute}
	d.V6 = Records{Addrs: addrs("2001:db8::1"), TTL: 5 * time.Second, Stale: true, Error: "x"}
	var all []Detail
	for range pageLen {
		all = append(all, Detail{Name: dnswire.Root})
	}
	v := Fixed(append(all, d)...)
	if v.Len() != pageLen+1 {
		t.Errorf("%d names", v.Len())
	}
	if packed, ttl := v.Addrs(pageLen, false); string(packed) != "\xc0\x00\x02\x01\xc0\x00\x02\x02" || ttl != 60 {
		t.Errorf("%v, TTL %d", packed, ttl)
	}
	if got := v.Detail(pageLen); text(got.V6.Addrs) != "2001:db8::1" || !got.V6.Stale || got.V6.Error != "x" || got.Name != d.Name {
		t.Errorf("%+v", got)
	}
	if packed, ttl := v.Addrs(0, true); packed != nil || ttl != 0 {
		t.Errorf("%v, TTL %d", packed, ttl)
	}
	if n := testing.AllocsPerRun(100, func() { v.Addrs(pageLen, true) }); n != 0 {
		t.Errorf("Addrs allocates %v times", n)
	}
}
