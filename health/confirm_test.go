package health

import (
	"context"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// confirmed is check with a time to the next probe after a failure.
func confirmed(name string, confirm time.Duration) *spec.Check {
	return with(check(name), func(c *spec.Check) { c.Confirm = confirm })
}

// detected is when each of n endpoints that break at the same moment is down, from
// then, and from its first failed probe. Their connections take link.
func detected(t *testing.T, c *spec.Check, hangs bool, link time.Duration) (least, most, confirmed time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		const n = 400
		f := newFake()
		r := newRig(t, f, nil)
		var ts []Target
		for i := range n {
			ts = append(ts, target(i, c))
			f.move(at(i), link)
		}
		r.apply(ts...)
		r.run()
		defer r.stop()
		after(3 * c.Interval)
		for i := range n {
			if hangs {
				f.set(f.hung, at(i), true)
			} else {
				f.fail(at(i))
			}
		}
		broke := time.Now()
		after(5 * c.Interval)
		least = time.Hour
		for i := range n {
			d := r.View().Detail(i, nil)
			if d.State != Down {
				t.Fatalf("%s is %v", at(i), d.State)
			}
			took := d.Since.Sub(broke)
			least, most = min(least, took), max(most, took)
			for _, begun := range f.starts(at(i)) {
				if begun.After(broke) {
					confirmed = max(confirmed, d.Since.Sub(begun))
					break
				}
			}
		}
	})
	return least, most, confirmed
}

var figures = regexp.MustCompile("(?m)^\\| [^|]*`interval: (\\d+)s`[^|]*`confirm: (\\d+)s`[^|]* \\| (\\d+) to ([\\d.]+) s \\| (\\d+) to ([\\d.]+) s \\|$")

// TestDetection measures what docs/health.md says of how soon an endpoint is down.
func TestDetection(t *testing.T) {
	doc, err := os.ReadFile("../docs/health.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := figures.FindAllStringSubmatch(string(doc), -1)
	if len(rows) < 3 {
		t.Fatalf("the document has %d rows of figures", len(rows))
	}
	number := func(s string) time.Duration {
		v, _ := strconv.ParseFloat(s, 64)
		return time.Duration(v * float64(time.Second))
	}
	for _, row := range rows {
		c := with(check("web"), func(c *spec.Check) { c.Interval, c.Confirm = number(row[1]), number(row[2]) })
		for i, hangs := range []bool{false, true} {
			least, most, _ := detected(t, c, hangs, 10*time.Millisecond)
			low, high := number(row[3+2*i]), number(row[4+2*i])
			if least < low-200*time.Millisecond || least > low+1500*time.Millisecond || most > high || most < high-2*time.Second {
				t.Errorf("%s\nhangs %t: measured %v to %v", row[0], hangs, least, most)
			}
		}
	}
}

// What refuses connections is down three seconds after it was first seen to, at an
// interval of ten.
func TestConfirmedInThreeSeconds(t *testing.T) {
	if _, _, took := detected(t, confirmed("web", time.Second), false, 0); took > 3*time.Second {
		t.Errorf("down %v after the first failed probe", took)
	}
}

// What falls silent is down three seconds after its first probe failed, which took its
// timeout of two, where connections to it were made in no time; where they took long,
// each probe has its timeout.
func TestSilenceConfirmed(t *testing.T) {
	for link, want := range map[time.Duration]time.Duration{10 * time.Millisecond: 5 * time.Second, 300 * time.Millisecond: 6 * time.Second, 0: 6 * time.Second} {
		if _, _, took := detected(t, confirmed("web", time.Second), true, link); took < want || took > want+time.Millisecond {
			t.Errorf("%v: down %v after the first failed probe was begun, want %v", link, took, want)
		}
	}
	c := Check{Check: check("web")}
	for timeout, want := range map[time.Duration]time.Duration{time.Second: time.Second, 1600 * time.Millisecond: 1500 * time.Millisecond, 2 * time.Second: 1500 * time.Millisecond, 8 * time.Second: 6 * time.Second} {
		c.Check = with(c.Check, func(c *spec.Check) { c.Timeout = timeout })
		if got := c.hasty(); got != want {
			t.Errorf("of %v: %v, want %v", timeout, got, want)
		}
	}
}

// late is a prober that once hears nothing, and after that needs more time for its
// answer than one in haste has.
type late struct {
	mu                sync.Mutex
	runs, silent, cut int
}

func (l *late) Probe(ctx context.Context, _ probe.Target) probe.Result {
	const link = 10 * time.Millisecond
	l.mu.Lock()
	l.runs++
	n, silent := l.runs, l.silent
	l.mu.Unlock()
	if n == silent {
		<-ctx.Done()
		return probe.Result{Class: probe.ClassTimeout, Detail: "silence"}
	}
	took := link
	if silent > 0 && n > silent {
		took = 1700 * time.Millisecond
	}
	select {
	case <-ctx.Done():
		l.mu.Lock()
		l.cut++
		l.mu.Unlock()
		return probe.Result{Class: probe.ClassTimeout, Connect: link, Detail: "late"}
	case <-time.After(took):
		return probe.Result{OK: true, Connect: link, RTT: took}
	}
}

// A probe that had less than its timeout, and found that somebody is there, is no
// failure: it is made again, with all of it.
func TestHasteIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(), nil)
		l := new(late)
		r.Board.prober = func(Check) (probe.Prober, error) { return l, nil }
		r.apply(target(1, with(confirmed("web", time.Second), func(c *spec.Check) { c.Fall = 2 })))
		r.run()
		defer r.stop()
		after(50 * time.Second)
		l.mu.Lock()
		l.silent = l.runs + 1
		l.mu.Unlock()
		after(30 * time.Second)
		r.want(0, Up)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.cut != 1 || l.runs < l.silent+3 {
			t.Errorf("%d probes were cut short, %d made since", l.cut, l.runs-l.silent)
		}
		if n := r.log.count("endpoint down"); n > 0 {
			t.Error("it was down")
		}
	})
}

// A failure that is refuted changes nothing, and probes are as rare as before.
func TestConfirmRefutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		r.apply(target(1, confirmed("web", time.Second)))
		r.run()
		defer r.stop()
		after(30 * time.Second)
		n := f.count(at(1))
		f.fail(at(1))
		for f.count(at(1)) == n {
			after(10 * time.Millisecond)
		}
		f.mend(at(1))
		after(1100 * time.Millisecond)
		if got := f.count(at(1)) - n; got != 2 {
			t.Errorf("%d probes within 1.1 s of the failure, want the failure and its confirmation", got)
		}
		after(9 * time.Second)
		if got := f.count(at(1)) - n; got != 2 {
			t.Errorf("%d probes, want no more until an interval after the confirmation", got)
		}
		after(2 * time.Second)
		if got := f.count(at(1)) - n; got != 3 {
			t.Errorf("%d probes, want one more", got)
		}
		r.want(0, Up)
		if c := r.log.count("endpoint down"); c != 0 {
			t.Errorf("it was down %d times", c)
		}
	})
}

// An endpoint that is down is asked at its interval, also while it comes back: what
// answers for a second proves little.
func TestNoConfirmOfRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.fail(at(1))
		r := newRig(t, f, nil)
		r.apply(target(1, confirmed("web", time.Second)))
		r.run()
		defer r.stop()
		after(25 * time.Second)
		r.want(0, Down)
		n := f.count(at(1))
		f.mend(at(1))
		for f.count(at(1)) == n {
			after(10 * time.Millisecond)
		}
		after(9 * time.Second)
		if got := f.count(at(1)) - n; got != 1 {
			t.Errorf("%d probes within 9 s of the first success", got)
		}
		r.want(0, Down)
		after(2 * time.Second)
		r.want(0, Up)
	})
}

// A check that is confirmed at another pace is another probe.
func TestCadenceHasConfirm(t *testing.T) {
	a, b := Check{Check: confirmed("a", time.Second)}, Check{Check: confirmed("a", 2*time.Second)}
	if a.cadence() == b.cadence() || a.request() != b.request() {
		t.Errorf("%q and %q, %q and %q", a.cadence(), b.cadence(), a.request(), b.request())
	}
	c := Check{Check: with(a.Check, func(c *spec.Check) { c.DegradedAbove = time.Second })}
	if !strings.HasPrefix(c.cadence(), "10s 2s 1s 2 3 ") || c.cadence() == a.cadence() {
		t.Errorf("%q and %q", c.cadence(), a.cadence())
	}
}

// hesitant is a prober that does not get its first answer in time, from somebody who
// is there.
type hesitant struct {
	mu    sync.Mutex
	runs  int
	class probe.Class
}

func (h *hesitant) Probe(context.Context, probe.Target) probe.Result {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runs++; h.runs == 1 {
		return probe.Result{Class: h.class, Connect: time.Millisecond, Detail: "late"}
	}
	return probe.Result{OK: true, Connect: time.Millisecond}
}

// A first probe that runs out of time, after whatever it has heard, decides nothing: a
// lost packet of an answer does that as well. What is said decides.
func TestFirstOutOfTime(t *testing.T) {
	for class, want := range map[probe.Class]int{probe.ClassTimeout: 0, probe.ClassSlow: 0, probe.ClassStatus: 1} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, newFake(), nil)
			h := &hesitant{class: class}
			r.Board.prober = func(Check) (probe.Prober, error) { return h, nil }
			r.apply(target(1, check("web")))
			r.run()
			defer r.stop()
			after(time.Minute)
			r.want(0, Up)
			if n := r.log.count("endpoint down"); n != want {
				t.Errorf("%s: it was down %d times, want %d", class, n, want)
			}
		})
	}
}
