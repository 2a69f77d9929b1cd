package health

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

// fakeGate is a gateway that answers while it is there.
type fakeGate struct {
	there   bool
	says    bool // it refuses knocks while it is
	last    time.Time
	knocks  int
	leaving string // what gone says while it is not there
	left    bool   // nobody waits for its answer any more
}

func (g *fakeGate) knock(now time.Time, _ bool) {
	g.knocks++
	g.left = false
	if g.there {
		g.last = now
	}
}

func (g *fakeGate) answered() time.Time { return g.last }

func (g *fakeGate) leave() { g.left = true }

func (g *fakeGate) answers() bool { return g.says }

func (g *fakeGate) gone(_ netip.Addr, near bool) string {
	if g.there || !near {
		return ""
	}
	return g.leaving
}

// TestOwnSegment: endpoints in the network that this node is in itself fall silent
// together, and what becomes of that is a matter of the gateway.
func TestOwnSegment(t *testing.T) {
	const cut = "the gateway 10.0.0.254 does not answer"
	for name, c := range map[string]struct {
		sites []int
		net   string
		gate  *fakeGate
		// goes is that the gateway is no longer there, with the endpoints.
		goes  bool
		after time.Duration
		want  State
		cut   string
	}{
		"it answers":          {sites: []int{3}, net: "10.0.0.0/8", gate: &fakeGate{there: true}, after: 20 * time.Second, want: Down},
		"it does not":         {sites: []int{3}, net: "10.0.0.0/8", gate: &fakeGate{}, after: time.Minute, want: Up},
		"for long":            {sites: []int{3}, net: "10.0.0.0/8", gate: &fakeGate{}, after: 6 * time.Minute, want: Down},
		"it went":             {sites: []int{3}, net: "10.0.0.0/8", gate: &fakeGate{there: true, leaving: cut}, goes: true, after: time.Hour, want: Up, cut: cut},
		"it went, of one":     {sites: []int{1}, net: "10.0.0.0/8", gate: &fakeGate{there: true, leaving: cut}, goes: true, after: time.Hour, want: Up, cut: cut},
		"one that refused":    {sites: []int{1}, net: "10.0.0.0/8", gate: &fakeGate{there: true, says: true}, goes: true, after: time.Minute, want: Up},
		"one that refuses":    {sites: []int{1}, net: "10.0.0.0/8", gate: &fakeGate{there: true, says: true}, after: 20 * time.Second, want: Down},
		"nobody knows of any": {sites: []int{3}, net: "10.0.0.0/8", after: time.Minute, want: Up},
		"of one endpoint":     {sites: []int{1}, net: "10.0.0.0/8", gate: &fakeGate{}, after: 20 * time.Second, want: Down},
		"elsewhere":           {sites: []int{3}, net: "192.168.0.0/16", gate: &fakeGate{}, after: 20 * time.Second, want: Down},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newFake(), nil)
				r.aware.own = network{
					road: func(netip.Addr) error { return nil },
					list: func() (map[netip.Addr]bool, []netip.Prefix) {
						return nil, []netip.Prefix{netip.MustParsePrefix(c.net)}
					},
				}
				if c.gate != nil {
					r.aware.own.gate = c.gate
				}
				check := with(check("web"), func(c *spec.Check) { c.Confirm = time.Second })
				targets, pools, of := sites(c.sites, check)
				r.applyAware(doubting, pools, targets...)
				r.run()
				defer func() {
					if r.stop(); c.gate != nil && !c.gate.left {
						t.Error("the gateway's answer is still waited for")
					}
				}()
				after(time.Minute)
				r.mu.Lock()
				if c.gate != nil {
					if (c.gate.knocks > 0) != (c.net == "10.0.0.0/8") {
						t.Errorf("%d knocks in the beginning", c.gate.knocks)
					}
					c.gate.there = c.gate.there && !c.goes
				}
				r.mu.Unlock()
				r.fake.hang(true, of...)
				after(c.after)
				r.wantAll(len(targets), c.want)
				if a := r.Awareness(); a.Cut != c.cut {
					t.Errorf("%+v", a)
				}
			})
		})
	}
}
