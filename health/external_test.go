package health

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

// external is a check whose results count for a minute.
func external(name string, staleDown bool) *spec.Check {
	return &spec.Check{
		Name: name, Type: spec.CheckExternal, Interval: time.Minute, DegradedShare: 0.5,
		Ask: &spec.ExternalCheck{TTL: time.Minute, StaleDown: staleDown},
	}
}

// report takes a report in, which must be taken.
func (r *rig) report(rep Report) Report {
	r.t.Helper()
	rep.At = time.Now()
	rep, err := r.SetReport(rep)
	if err != nil {
		r.t.Fatal(err)
	}
	soon()
	return rep
}

func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		r.apply(target(1, external("ext", false)), target(2, external("ext", false), check("web")), target(3, external("ext", true)))
		r.run()
		defer r.stop()
		<-r.Settled() // nobody waits for reports
		r.want(0, Unknown)
		if d := r.View().Detail(0, nil); d.Reason != "check ext: no result was reported yet" || d.Authority != NoAuthority {
			t.Errorf("before any report: %+v", d)
		}
		if all := r.Reports(); len(all) != 0 {
			t.Errorf("reports %+v", all)
		}

		rep := r.report(Report{Check: "ext", Endpoint: at(1), OK: true, Source: "me"})
		if rep.Until.Sub(rep.At) != time.Minute || rep.For != time.Minute {
			t.Errorf("taken as %+v", rep)
		}
		r.want(0, Up)
		if d := r.View().Detail(0, nil); d.Authority != Reported || d.Reason != "check ext passed" {
			t.Errorf("reported: %+v", d)
		}
		r.report(Report{Check: "ext", Endpoint: at(2), OK: true})
		r.want(1, Up)

		after(time.Second)
		r.report(Report{Check: "ext", Endpoint: at(1), OK: true, Degraded: true, Detail: "behind"})
		if d := r.View().Detail(0, nil); d.Share != Whole/2 || d.Reason != "degraded to 50%: check ext: behind" {
			t.Errorf("degraded: %+v", d)
		}
		after(time.Second)
		r.report(Report{Check: "ext", Endpoint: at(1), Detail: "lost", For: 10 * time.Second})
		r.want(0, Down)
		if d := r.View().Detail(0, nil); d.Authority != Reported || d.Reason != "check ext: lost" {
			t.Errorf("failed: %+v", d)
		}
		all := r.Reports()
		if len(all) != 2 || all[0].Endpoint != at(1) || all[0].OK || all[0].Detail != "lost" || all[1].Endpoint != at(2) || !all[1].OK {
			t.Errorf("reports %+v", all)
		}
		after(9 * time.Second)
		r.want(0, Down)
		after(2 * time.Second)
		r.want(0, Unknown)
		if d := r.View().Detail(0, nil); !strings.Contains(d.Reason, "counts no longer") {
			t.Errorf("lapsed: %+v", d)
		}
		// The first report is waited for as long as a report counts.
		r.want(2, Unknown)
		after(45 * time.Second)
		r.want(2, Unknown)
		after(5 * time.Second)
		r.want(2, Down)
		if d := r.View().Detail(2, nil); d.Reason != "check ext: no result was reported for 1m0s" {
			t.Errorf("never reported: %+v", d)
		}
		r.report(Report{Check: "ext", Endpoint: at(3), OK: true})
		r.want(2, Up)
		after(59 * time.Second)
		r.want(2, Up)
		after(2 * time.Second)
		r.want(2, Down)
		r.want(1, Unknown)
		if all := r.Reports(); len(all) != 0 {
			t.Errorf("reports %+v", all)
		}
		if n := f.count(at(1)) + f.count(at(3)); n != 0 {
			t.Errorf("%d probes of external checks", n)
		}
	})
}

func TestReportsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(), nil)
		r.apply(target(1, external("ext", false), check("web")))
		for _, c := range []struct {
			rep  Report
			want error
		}{
			{Report{Check: "ext", Endpoint: at(2)}, ErrNotFound},
			{Report{Check: "none", Endpoint: at(1)}, ErrNotFound},
			{Report{Check: "web", Endpoint: at(1)}, ErrNotExternal},
			{Report{Check: "ext", Endpoint: at(1), For: 61 * time.Second}, ErrTooLong},
			{Report{Check: "ext", Endpoint: at(1), For: -time.Second}, ErrTooLong},
		} {
			c.rep.At = time.Now()
			if _, err := r.SetReport(c.rep); !errors.Is(err, c.want) {
				t.Errorf("%+v: %v, want %v", c.rep, err, c.want)
			}
		}
		if err := r.ClearReport("ext", at(1)); !errors.Is(err, ErrNotFound) {
			t.Errorf("clearing nothing: %v", err)
		}
		r.report(Report{Check: "ext", Endpoint: at(1), OK: true})
		if err := r.ClearReport("ext", at(1)); err != nil {
			t.Error(err)
		}
		after(3 * publishGap)
		if err := r.ClearReport("ext", at(1)); !errors.Is(err, ErrNotFound) {
			t.Errorf("clearing again: %v", err)
		}
		r.want(0, Unknown)
	})
}

// A report counts over reloads and restarts for as long as it was to count, and not
// longer.
func TestReportsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newDisk()
		r := newRig(t, newFake(), disk)
		short := with(external("ext", true), func(c *spec.Check) {
			c.Interval, c.Variant, c.Ask = 5*time.Second, "v", &spec.ExternalCheck{TTL: 5 * time.Second, StaleDown: true}
		})
		all := []Target{target(1, external("ext", true)), target(2, external("ext", true)), target(3, external("ext", false))}
		r.apply(all...)
		r.run()
		for _, to := range []string{at(1), at(2)} {
			r.report(Report{Check: "ext", Endpoint: to, OK: true, Degraded: true, Source: "me", Detail: "behind"})
		}
		after(time.Second) // what there was is written, and the next time is far
		r.report(Report{Check: "ext", Endpoint: at(3), OK: true})
		if n := len(disk.records()); n != 3 {
			t.Errorf("%d records at once after a verdict", n)
		}
		for _, to := range []string{at(1), at(2)} {
			r.report(Report{Check: "ext", Endpoint: to, OK: true, Degraded: true, Source: "me", Detail: "behind"})
		}
		if err := r.ClearReport("ext", at(3)); err != nil {
			t.Error(err)
		}
		after(time.Second)
		r.apply(target(2, external("ext", true)), target(1, short))
		r.want(0, Up)
		r.want(1, Up)
		after(6 * time.Second)
		r.want(0, Up)
		r.want(1, Down) // what counts for five seconds there
		r.apply(all...)
		r.want(1, Up)
		after(10 * time.Second)
		r.stop()

		after(20 * time.Second)
		again := newRig(t, newFake(), disk)
		again.apply(all...)
		again.want(1, Up)
		if d := again.View().Detail(1, nil); d.Authority != Reported || d.Share != Whole/2 || d.Reason != "degraded to 50%: check ext: behind" {
			t.Errorf("after the restart: %+v", d)
		}
		if reps := again.Reports(); len(reps) == 0 || reps[len(reps)-1].Source != "me" || reps[len(reps)-1].Endpoint != at(2) || !reps[len(reps)-1].Degraded {
			t.Errorf("after the restart: %+v", reps)
		}
		again.want(2, Unknown)
		again.run()
		after(20 * time.Second)
		again.want(1, Up)
		after(5 * time.Second)
		again.want(1, Down)
		again.stop()

		// A restart long after: who reports may have done so in vain, so the next
		// report is waited for.
		after(time.Hour)
		late := newRig(t, newFake(), disk)
		late.apply(all...)
		late.want(1, Unknown)
		if late.View().LastUp(1) == 0 {
			t.Error("when it was last up is forgotten")
		}
		late.run()
		defer late.stop()
		after(59 * time.Second)
		late.want(1, Unknown)
		after(2 * time.Second)
		late.want(1, Down)
	})
}

// TestManyReports has reports of many endpoints come and lapse at all times.
func TestManyReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 500
		r := newRig(t, newFake(), nil)
		var ts []Target
		for i := range n {
			ts = append(ts, target(i, external("ext", i%2 == 0)))
		}
		r.apply(ts...)
		r.run()
		defer r.stop()
		for i := range n {
			rep := Report{Check: "ext", Endpoint: at(i), OK: true, At: time.Now(), For: time.Duration(1+i%60) * time.Second}
			if _, err := r.SetReport(rep); err != nil {
				t.Fatal(err)
			}
		}
		for sec := 1; sec <= 60; sec++ {
			after(time.Second)
			soon()
			for i := range n {
				want := Up
				if 1+i%60 <= sec {
					want = Unknown
					if i%2 == 0 {
						want = Down
					}
				}
				if got := r.View().State(i); got != want {
					t.Fatalf("after %d s %d is %v, want %v", sec, i, got, want)
				}
			}
		}
		r.apply(ts[:10]...)
		if len(r.lapsing) != 0 {
			t.Errorf("%d reports lapse of none that count", len(r.lapsing))
		}
	})
}
