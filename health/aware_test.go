package health

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

var doubting = spec.Health{SuspectShare: .8, SuspectMin: 3, SuspectFor: 5 * time.Minute}

// sites are pools of endpoints, so many in each, of which pool k is at 10.k.
func sites(sizes []int, checks ...*spec.Check) (all []Target, pools map[string]*spec.Pool, of [][]string) {
	pools = map[string]*spec.Pool{}
	for k, size := range sizes {
		p := &spec.Pool{Name: fmt.Sprintf("site%d", k), Place: spec.Place{Region: fmt.Sprintf("region%d", k)}}
		var names []string
		for i := range size {
			t := target(k<<16|i+1, checks...)
			all = append(all, t)
			names = append(names, t.String())
			p.Endpoints = append(p.Endpoints, spec.Endpoint{Address: t.Addr})
		}
		pools[p.Name] = p
		of = append(of, names)
	}
	return all, pools, of
}

func (r *rig) applyAware(h spec.Health, pools map[string]*spec.Pool, targets ...Target) {
	r.t.Helper()
	p, err := r.Prepare(targets, locator(targets))
	if err != nil {
		r.t.Fatal(err)
	}
	p.Health, p.Pools = h, pools
	r.Apply(p)
}

func (f *fake) hang(yes bool, all ...[]string) {
	for _, names := range all {
		for _, n := range names {
			f.set(f.hung, n, yes)
		}
	}
}

func (r *rig) wantAll(n int, s State) {
	r.t.Helper()
	for i := range n {
		if got := r.View().State(i); got != s {
			r.t.Fatalf("at %s target %d is %v, want %v (%+v)", clock(), i, got, s, r.View().Detail(i, nil))
		}
	}
}

// bubble runs a board on sites that are all up.
func bubble(t *testing.T, h spec.Health, sizes []int, c *spec.Check, do func(r *rig, of [][]string, n int)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(), newDisk())
		targets, pools, of := sites(sizes, c)
		r.applyAware(h, pools, targets...)
		r.run()
		defer r.stop()
		after(time.Minute)
		r.wantAll(len(targets), Up)
		do(r, of, len(targets))
	})
}

func TestOwnTroubleIsNoVerdict(t *testing.T) {
	for _, sizes := range [][]int{{1, 2}, {2, 2}, {1, 1, 1}, {10, 10, 10}, {2000, 1}} {
		for _, fall := range []int{1, 2, 3} {
			t.Run(fmt.Sprint(sizes, fall), func(t *testing.T) {
				c := with(check("web"), func(c *spec.Check) { c.Fall, c.Confirm = fall, time.Second })
				bubble(t, doubting, sizes, c, func(r *rig, of [][]string, n int) {
					r.fake.hang(true, of...)
					for range 40 {
						after(2 * time.Second)
						r.wantAll(n, Up)
					}
					a := r.Awareness()
					if !a.Suspect || a.Held != n || a.Share != 1 || a.Silent < 3 {
						t.Errorf("%+v", a)
					}
					d := r.View().Detail(0, nil)
					if !d.Suspect || d.Reason != "check web: no answer; held, since this node seems to be cut off itself" {
						t.Errorf("%+v", d)
					}
					before := r.fake.total()
					r.fake.hang(false, of...)
					after(4 * time.Second)
					r.wantAll(n, Up)
					if a := r.Awareness(); a.Suspect || a.Held != 0 {
						t.Errorf("%+v", a)
					}
					after(2 * time.Second)
					if r.View().Detail(0, nil).Suspect {
						t.Error("still marked")
					}
					if got := r.fake.total() - before; got < n || got > 3*n+100 {
						t.Errorf("%d probes of %d endpoints when it ended", got, n)
					}
					if b, e := r.log.count("verdicts are held"), r.log.count("judged anew"); b != 1 || e != 1 {
						t.Errorf("said %d and %d times", b, e)
					}
				})
			})
		}
	}
}

// TestOneSiteOfTwo takes down what is not this node, however large it is: within the
// time that it takes without any doubt.
func TestOneSiteOfTwo(t *testing.T) {
	for _, sizes := range [][]int{{1, 1}, {9, 1}, {500, 2}, {3, 3, 3}} {
		for _, fall := range []int{1, 3} {
			t.Run(fmt.Sprint(sizes, fall), func(t *testing.T) {
				c := with(check("web"), func(c *spec.Check) { c.Fall, c.Confirm = fall, time.Second })
				bubble(t, doubting, sizes, c, func(r *rig, of [][]string, n int) {
					r.fake.hang(true, of[0])
					// An interval, the timeouts, and nothing else.
					after(10500*time.Millisecond + time.Duration(fall)*2*time.Second + 100*time.Millisecond)
					for i := range n {
						want := Up
						if i < sizes[0] {
							want = Down
						}
						r.want(i, want)
					}
					if a := r.Awareness(); a.Suspect || r.log.count("verdicts are held") > 0 {
						t.Errorf("%+v", a)
					}
				})
			})
		}
	}
}

// TestSiteAlone takes down the only site there is: in one network, and in several at
// one place. Where places are not stated, several networks may be several sites.
func TestSiteAlone(t *testing.T) {
	c := with(check("web"), func(c *spec.Check) { c.Confirm = time.Second })
	bubble(t, doubting, []int{20}, c, func(r *rig, of [][]string, n int) {
		r.fake.hang(true, of...)
		after(14 * time.Second)
		r.wantAll(n, Down)
	})
	for place, want := range map[string]State{"here": Down, "": Up} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, newFake(), nil)
			targets, pools, of := sites([]int{3, 3}, c)
			for _, p := range pools {
				p.Place = spec.Place{Region: place}
				for i := range p.Endpoints {
					p.Endpoints[i].Checks = []*spec.Check{c}
				}
			}
			r.applyAware(doubting, pools, targets...)
			r.run()
			defer r.stop()
			after(time.Minute)
			r.fake.hang(true, of...)
			after(30 * time.Second)
			r.wantAll(len(targets), want)
		})
	}
}

func TestRefusalIsBelieved(t *testing.T) {
	bubble(t, doubting, []int{5, 5}, with(check("web"), func(c *spec.Check) { c.Confirm = time.Second }), func(r *rig, of [][]string, n int) {
		for _, names := range of {
			for _, at := range names {
				r.fake.fail(at)
			}
		}
		after(13 * time.Second)
		r.wantAll(n, Down)
	})
}

// TestHeldForSoLong believes at last, and does not begin again before somebody has
// answered.
func TestHeldForSoLong(t *testing.T) {
	bubble(t, doubting, []int{4, 4}, with(check("web"), func(c *spec.Check) { c.Confirm = time.Second }), func(r *rig, of [][]string, n int) {
		r.fake.hang(true, of...)
		after(5 * time.Minute)
		r.wantAll(n, Up)
		after(30 * time.Second)
		r.wantAll(n, Down)
		if r.log.count("verdicts are believed") != 1 || r.Awareness().Suspect {
			t.Error("not said")
		}
		r.fake.hang(false, of...)
		after(30 * time.Second)
		r.wantAll(n, Up)
		r.fake.hang(true, of...)
		after(30 * time.Second)
		r.wantAll(n, Up)
	})
}

// TestOwnLink holds verdicts on a single endpoint, and for as long as it takes, while
// this node sees that its own link is gone.
func TestOwnLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(), nil)
		cut := errors.New("interface eth0 has no carrier")
		r.aware.own = network{road: func(netip.Addr) error { return cut }}
		targets, pools, of := sites([]int{1}, check("web"))
		r.applyAware(doubting, pools, targets...)
		r.run()
		defer r.stop()
		after(time.Minute)
		r.fake.hang(true, of...)
		after(time.Hour)
		r.want(0, Up)
		if a := r.Awareness(); !a.Suspect || a.Cut != cut.Error() {
			t.Errorf("%+v", a)
		}
		r.mu.Lock()
		cut = nil // it is back, and the endpoint is not
		r.mu.Unlock()
		after(4 * time.Minute)
		r.want(0, Up)
		after(2 * time.Minute)
		r.want(0, Down)
	})
}

// TestOwnAddresses: what this machine answers itself says nothing of its network.
func TestOwnAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(), nil)
		own := map[netip.Addr]bool{}
		targets, pools, of := sites([]int{2, 1, 5}, check("web"))
		for _, t := range targets[3:] {
			own[t.Addr] = true
		}
		r.aware.own = network{list: func() (map[netip.Addr]bool, []netip.Prefix) { return own, nil }}
		r.applyAware(doubting, pools, targets...)
		r.run()
		defer r.stop()
		after(time.Minute)
		r.fake.hang(true, of[:2]...)
		after(time.Minute)
		r.wantAll(len(targets), Up)
		if a := r.Awareness(); a.Silent != 3 || a.Asked != 3 {
			t.Errorf("%+v", a)
		}
	})
}

// TestDoubtOff: a share of all of them is never exceeded.
func TestDoubtOff(t *testing.T) {
	off := doubting
	off.SuspectShare = 1
	bubble(t, off, []int{4, 4}, check("web"), func(r *rig, of [][]string, n int) {
		r.fake.hang(true, of...)
		after(40 * time.Second)
		r.wantAll(n, Down)
	})
}

// TestHeldOverReload keeps what is held, and what is calculated from it.
func TestHeldOverReload(t *testing.T) {
	bubble(t, doubting, []int{2, 2}, check("web"), func(r *rig, of [][]string, n int) {
		r.fake.hang(true, of...)
		after(time.Minute)
		r.wantAll(n, Up)
		targets, pools, _ := sites([]int{2, 2}, with(check("web"), func(c *spec.Check) { c.Interval = 5 * time.Second }))
		r.applyAware(doubting, pools, targets...)
		after(time.Minute)
		r.wantAll(n, Up)
		for key, rec := range r.keeper.(*disk).records() {
			if !strings.Contains(rec, `"state":1`) {
				t.Errorf("kept %s: %s", key, rec)
			}
		}
	})
}

// TestRound is bounded: one site of many does not have all others asked again and
// again.
func TestRound(t *testing.T) {
	bubble(t, doubting, []int{300, 300}, check("web"), func(r *rig, of [][]string, n int) {
		r.fake.hang(true, of[0])
		before := 0
		for _, at := range of[1] {
			before += r.fake.count(at)
		}
		after(time.Minute)
		got := -before
		for _, at := range of[1] {
			got += r.fake.count(at)
		}
		if usual := 6 * 300; got > usual+60*3*opinions {
			t.Errorf("%d probes of those that are well, %d as usual", got, usual)
		}
	})
}

// TestSilence is what may be this node's own fault.
func TestSilence(t *testing.T) {
	r := &runner{asking: &asking{check: Check{Check: check("web")}}}
	for class, want := range map[probe.Class]bool{
		probe.ClassTimeout: true, probe.ClassUnreachable: true, probe.ClassDNS: true, probe.ClassError: true,
		probe.ClassRefused: false, probe.ClassReset: false, probe.ClassStatus: false, probe.ClassTLS: false,
		probe.ClassSlow: false, probe.ClassBody: false, probe.ClassAuth: false, probe.ClassProtocol: false,
	} {
		if got := silent(r, probe.Result{Class: class}); got != want {
			t.Errorf("%s: %t", class, got)
		}
		if silent(r, probe.Result{Class: class, Connect: time.Millisecond}) {
			t.Errorf("%s after a connection", class)
		}
	}
	s := &runner{asking: &asking{check: Check{Check: &spec.Check{Type: spec.CheckScript}}}}
	if !silent(s, probe.Result{Class: probe.ClassStatus}) || silent(s, probe.Result{OK: true}) {
		t.Error("a script")
	}
}

// TestFewAreNoShare: two that fall silent together may stand in one rack.
func TestFewAreNoShare(t *testing.T) {
	bubble(t, doubting, []int{1, 1}, check("web"), func(r *rig, of [][]string, n int) {
		r.fake.hang(true, of...)
		after(40 * time.Second)
		r.wantAll(n, Down)
	})
}

// TestBegunBefore: silence of a probe that was begun before the trouble was over does
// not count, and that of the next one does.
func TestBegunBefore(t *testing.T) {
	c := with(check("web"), func(c *spec.Check) { c.Fall, c.Confirm = 1, time.Second })
	bubble(t, doubting, []int{1, 1}, c, func(r *rig, of [][]string, n int) {
		r.fake.hang(true, of[0])
		for before := r.fake.count(of[0][0]); r.fake.count(of[0][0]) == before; {
			after(100 * time.Millisecond)
		}
		r.mu.Lock()
		r.aware.over = r.Board.due.at(time.Now()) + 1 // it may have begun just now
		r.mu.Unlock()
		after(2500 * time.Millisecond)
		r.want(0, Up)
		after(4 * time.Second)
		r.want(0, Down)
		r.want(1, Up)
	})
}
