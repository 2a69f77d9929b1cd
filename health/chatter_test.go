package health

import (
	"regexp"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

// A thousand endpoints that flap each second are followed, and the log does not grow
// with them: it names some, and counts the others.
func TestFlapping(t *testing.T) {
	const n, seconds = 1000, 60
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		c := with(check("web"), func(c *spec.Check) { c.Interval, c.Timeout, c.Rise, c.Fall = time.Second, time.Second, 1, 1 })
		var all []Target
		for i := range n {
			all = append(all, target(i, c))
		}
		r.apply(all...)
		r.run()
		defer r.stop()
		changes := 0
		for s := range seconds {
			for i := range n {
				f.set(f.bad, at(i), s%2 == 1)
			}
			after(2100 * time.Millisecond)
			want := Up
			if s%2 == 1 {
				want = Down
			}
			for i := range n {
				if got := r.View().State(i); got != want {
					t.Fatalf("second %d: target %d is %v, want %v", s, i, got, want)
				}
			}
			changes += n
		}
		after(2 * chatterTime)
		named := r.log.count("msg=\"endpoint down") + r.log.count("msg=\"endpoint up")
		left, lines := 0, 0
		r.log.mu.Lock()
		for _, m := range regexp.MustCompile(`lines left out of the log.* lines=(\d+)`).FindAllStringSubmatch(r.log.b.String(), -1) {
			k, _ := strconv.Atoi(m[1])
			left += k
			lines++
		}
		r.log.mu.Unlock()
		if named+left != changes {
			t.Errorf("%d lines and %d left out, want %d together", named, left, changes)
		}
		if windows := int(seconds*2100*time.Millisecond/chatterTime) + 1; named > windows*chatterLines || lines > 2*windows {
			t.Errorf("%d lines name endpoints, %d say how many do not: in %d times %v", named, lines, windows, chatterTime)
		}
	})
}

// What was left out when a board ends is said.
func TestFlappingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		var all []Target
		for i := range chatterLines + 50 {
			all = append(all, target(i, check("web")))
		}
		r.apply(all...)
		r.run()
		after(3 * time.Second)
		r.stop()
		if got := r.log.count(`message="endpoint up" lines=50`); got != 1 {
			t.Errorf("said %d times", got)
		}
	})
}

// A probe that can never be made, such as of a script that is not there, is said once,
// and again when it could be made between, however many others can.
func TestLackingIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set(f.local, at(0), true)
		r := newRig(t, f, nil)
		r.apply(target(0, check("web")), target(1, check("web")), target(2, check("web")))
		r.run()
		defer r.stop()
		after(time.Minute)
		if got := r.log.count("probes cannot be made"); got != 1 {
			t.Errorf("said %d times", got)
		}
		f.set(f.local, at(0), false)
		after(time.Minute)
		f.set(f.local, at(0), true)
		after(time.Minute)
		if got := r.log.count("probes cannot be made"); got != 2 {
			t.Errorf("said %d times", got)
		}
	})
}
