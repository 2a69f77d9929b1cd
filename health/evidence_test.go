package health

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/rhumb-dns/rhumb/probe"
)

// What is kept of the last results is small, and there is none of endpoints that
// are well.
func TestRingIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(ring{}); size > 200 {
		t.Errorf("%d bytes for each probe", size)
	}
}

// TestRingByOracle compares the ring with a list.
func TestRingByOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	classes := []probe.Class{probe.ClassRefused, probe.ClassTimeout, probe.ClassReset, probe.ClassTLS}
	b, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		r := &runner{asking: &asking{check: Check{Check: limited("web", 0.5)}}}
		var all []Past
		bad := false
		now := time.Unix(1e9, 0)
		for range rng.IntN(40) {
			now = now.Add(time.Duration(rng.IntN(1e9)))
			res := probe.Result{OK: rng.IntN(3) > 0, RTT: time.Duration(rng.IntN(400_000)) * time.Microsecond}
			if !res.OK {
				res.Class = classes[rng.IntN(len(classes))]
				res.Detail = fmt.Sprint("why ", rng.IntN(5))
			}
			p := Past{At: now, OK: res.OK, Degraded: res.OK && res.RTT > 300*time.Millisecond, Class: string(res.Class), Detail: res.Detail, RTT: res.RTT}
			was := bad
			bad = bad || !p.OK || p.Degraded
			if !was {
				all = nil // of what is well only the last one is known
				if r.runs > 0 {
					all = []Past{{At: r.verdict.seen, OK: r.last.ok(), Class: string(b.result(&r.last).Class), Detail: r.last.detail, RTT: time.Duration(r.last.rtt) * time.Microsecond}}
				}
				if !bad {
					all = nil
				}
			}
			all = append([]Past{p}, all...)
			all = all[:min(len(all), pastLen)]
			b.note(r, res, now)
			r.last, r.verdict.seen = b.after(&r.last, res), now
			r.runs++
			if got := b.pasts(r); !slices.Equal(got, all) {
				t.Fatalf("got\n%+v\nwant\n%+v", got, all)
			}
		}
		if (r.past != nil) != bad {
			t.Fatalf("kept %t, although bad is %t", r.past != nil, bad)
		}
	}
}

// How many results in a row were like the last one is counted on when the verdict has
// long been made, and costs no room: there may be a hundred thousand probes.
func TestRow(t *testing.T) {
	if size := unsafe.Sizeof(runner{}); size > 288 && unsafe.Sizeof(size) == 8 {
		t.Errorf("%d bytes for each probe", size)
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		web := limited("web", 0.5)
		r.apply(target(1, web))
		r.run()
		defer r.stop()
		of := func() Probed { return r.Probed(r.View().Generation(), 0)[0] }
		soon()
		after(10 * time.Minute)
		if p := of(); !p.OK || p.Row != p.Runs || p.Row < 50 {
			t.Errorf("%d of %d results in a row", p.Row, p.Runs)
		}
		well := of().Runs
		f.set(f.bad, at(1), true)
		after(10 * time.Minute)
		if p := of(); p.OK || p.State != Down || p.Row != p.Runs-well || p.Row < 50 {
			t.Errorf("%d of %d results in a row failed", p.Row, p.Runs-well)
		}
		r.apply(target(1, web))
		if p := of(); p.Row != p.Runs-well {
			t.Errorf("after a reload: %d of %d", p.Row, p.Runs-well)
		}
		f.set(f.bad, at(1), false)
		for range 100 {
			if after(time.Second); of().OK {
				break
			}
		}
		if p := of(); p.Row != 1 {
			t.Errorf("when it passes again: %+v", p)
		}
	})
	b, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var last lately
	for _, ok := range []bool{true, false} {
		for range 1 << 16 {
			if last = b.after(&last, probe.Result{OK: ok}); last.ok() != ok {
				t.Fatalf("%t is taken for %t in a row of %d", ok, !ok, last.row)
			}
		}
		if row := max(last.row, -last.row); row != math.MaxInt16 {
			t.Errorf("%d results in a row", row)
		}
	}
}

func TestEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		web := limited("web", 0.5)
		r.apply(target(1, web), target(2, web), target(3))
		r.run()
		defer r.stop()
		of := func(i int) []Past {
			ps := r.Evidence(r.View().Generation(), i)
			if len(ps) != 1 {
				t.Fatalf("%d checks", len(ps))
			}
			return ps[0].Results
		}
		soon()
		if p := of(0); len(p) != 1 || !p[0].OK || p[0].At.IsZero() {
			t.Errorf("after one probe: %+v", p)
		}
		f.delay(at(1), 400*time.Millisecond)
		after(12 * time.Second)
		f.set(f.hung, at(1), true)
		after(16 * time.Second) // a slow one may be under way, and the next one's timeout has to pass
		p := of(0)
		last := p[len(p)-1]
		if len(p) < 3 || p[0].Class != "timeout" || p[0].Detail != "no answer" || p[0].OK || last.Degraded || !last.OK || last.RTT != 0 {
			t.Errorf("well, slow, hung: %+v", p)
		}
		if i := slices.IndexFunc(p, func(p Past) bool { return p.Degraded }); i < 0 || !p[i].OK || p[i].RTT != 400*time.Millisecond || p[i].Class != "" {
			t.Errorf("the slow one: %+v", p)
		}
		if p := of(1); len(p) != 1 {
			t.Errorf("of one that is well: %+v", p)
		}
		if ps := r.Evidence(r.View().Generation(), 2); ps != nil {
			t.Errorf("of one that nobody judges: %+v", ps)
		}
		for _, p := range r.Probed(r.View().Generation(), 0) {
			if p.Results != nil {
				t.Errorf("results that were not asked for: %+v", p)
			}
		}
		after(5 * time.Minute)
		if p := of(0); len(p) != pastLen || p[0].At.Before(p[7].At) {
			t.Errorf("%+v", p)
		}
		r.apply(target(1, web))
		if p := of(0); len(p) != pastLen {
			t.Errorf("after a reload: %+v", p)
		}
	})
}
