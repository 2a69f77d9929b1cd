package conduct

import (
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

const sec = time.Second

func TestFailoverDelay(t *testing.T) {
	c := whole()
	c.FailoverDelay = 30 * sec

	// A blip moves nobody: the endpoint that was up last is given meanwhile.
	try(t, "u", 1, c).want("+u").say("d").want("+~u").wait(29 * sec).want("+~u").say("u").want("+u").
		wait(time.Hour).want("+u")

	// The delay starts anew with each fall, and ends where it should.
	try(t, "u", 1, c).wait(sec).say("d").wait(20 * sec).say("u").wait(sec).say("d").wait(29 * sec).want("+~u").
		wait(sec).want("-d").wait(time.Hour).want("-d").say("u").want("+u")

	// Endpoints that are left are given alone; those that fell with the last one
	// are given with it, one that fell long before is not.
	try(t, "uuu", 2, c).say("duu").want("+duu").wait(time.Minute).say("ddu").want("+~ddu").wait(4 * sec).
		say("ddd").want("+~duu").wait(25 * sec).want("+~duu").wait(sec).want("-ddd")

	// Of unknown ones nobody knows, which is no reason to give way.
	try(t, "uu", 2, c).say("u?").want("+u?").wait(time.Minute).want("+u?").say("d?").want("+~u?").wait(30 * sec).want("-d?")

	// At the start nothing has stood that could go on standing.
	try(t, "??", 1, c).want("+??").say("d?").want("+d?").say("dd").want("-dd").say("ud").want("+ud").
		say("dd").want("+~ud")
}

func TestFailback(t *testing.T) {
	c := whole()
	c.FailbackDelay = 5 * time.Minute
	try(t, "uu", 2, c).say("ud").want("-ud").wait(time.Hour).want("-ud").
		say("uu").want("-~uu").wait(4 * time.Minute).say("u?").want("-u?").say("uu").want("-~uu").
		wait(5*time.Minute - 1).want("-~uu").wait(1).want("+uu")

	// The first time is no failback.
	try(t, "dd", 1, c).want("-dd").say("du").want("+du")

	c.FailbackManual = true
	k := try(t, "uu", 2, c).say("ud").want("-ud")
	k.say("uu").want("-uu").wait(48 * time.Hour).want("-uu")
	k.c.stand(k.now)
	k.wait(0).want("+uu").say("dd").want("-dd")
}

func TestSlowStart(t *testing.T) {
	c := whole()
	c.SlowStart = 100 * sec
	// Not at the first verdict.
	k := try(t, "??", 1, c).say("u?").want("+u?").say("uu").want("+uu").say("ud").want("+ud").wait(time.Minute)
	k.say("uu").want("+~uu 1:5%").wait(50 * sec).want("+~uu 1:52%").wait(48 * sec).want("+~uu 1:98%").wait(3 * sec).want("+uu")

	// Steps: 50 of 2 s each, at least 1.9% apart, on a beat of a second.
	k.say("ud").wait(time.Minute).say("uu")
	before, views := 0, 0
	for range 200 {
		k.wait(sec / 2)
		share, _ := k.c.share(&k.c.ends[1])
		if int(share) < before {
			t.Fatalf("share %d after %d", share, before)
		}
		if int(share) != before {
			views++
			if before != 0 && share != Whole && int(share)-before < 19 {
				t.Errorf("a step of %d", int(share)-before)
			}
		}
		before = int(share)
	}
	if views != slowSteps+1 || before != Whole {
		t.Errorf("%d views up to %d", views, before)
	}

	// One that is lost again starts anew.
	k.say("ud").say("uu").wait(50 * sec).say("ud").want("+ud").say("uu").want("+~uu 1:5%")
	// Unknown is not down.
	k.wait(50 * sec).say("u?").want("+~u? 1:52%").say("uu").want("+~uu 1:52%").wait(time.Minute).say("u?").say("uu").want("+uu")

	// Held in by the delay it had its traffic all the while.
	c.FailoverDelay = 30 * sec
	try(t, "uu", 1, c).say("dd").want("+~uu").say("uu").want("+uu").
		say("dd").wait(30 * sec).want("-dd").say("uu").want("+~uu 0:5% 1:5%")

	// A pool that stands again brings its endpoints back slowly.
	c.FailbackDelay = 5 * time.Minute
	try(t, "uu", 1, c).say("dd").wait(30 * sec).say("uu").wait(4 * time.Minute).want("-~uu").wait(time.Minute).
		want("+~uu 0:5% 1:5%").wait(101 * sec).want("+uu")

	// A very short one is a step.
	c = whole()
	c.SlowStart = sec / 2
	try(t, "uu", 1, c).say("ud").say("uu").want("+~uu 1:5%").wait(sec).want("+uu")
}

func TestDamping(t *testing.T) {
	c := whole()
	c.Damping = &spec.Damping{Changes: 4, Within: 10 * time.Minute, Hold: time.Minute, Max: 5 * time.Minute}
	flap := func(k *trial) *trial {
		for range 2 {
			k.say("du").wait(10 * sec).say("uu").wait(10 * sec)
		}
		return k
	}
	k := try(t, "uu", 1, c)
	flap(k).want("+~du").wait(49 * sec).want("+~du").wait(sec).want("+uu")
	// Twice as long each time, up to the most.
	for _, hold := range []time.Duration{2, 4, 5, 5} {
		flap(k).want("+~du").wait(hold*time.Minute - 11*sec).want("+~du").wait(sec).want("+uu")
	}
	// Forgotten after a calm time: as long as the window, which is longer.
	k.wait(10 * time.Minute)
	flap(k).want("+~du").wait(49 * sec).want("+~du").wait(sec).want("+uu")
	k.wait(9 * time.Minute)
	flap(k).wait(109 * sec).want("+~du").wait(sec).want("+uu")

	// Who goes on while it is held is held again at once.
	k.wait(time.Hour)
	flap(k).want("+~du")
	flap(k).want("+~du").wait(10 * sec).want("+~du").wait(2*time.Minute - sec).want("+~du").wait(sec).want("+uu")

	// It is what its checks say when the hold ends.
	k.wait(time.Hour)
	flap(k).say("du").wait(time.Minute).want("+du").say("uu").want("+uu")

	// Fewer changes, or in a longer time, are none too many.
	k = try(t, "u", 1, c)
	for range 20 {
		k.say("d").wait(201 * sec).say("u").wait(201 * sec).want("+u")
	}
	// Unknown is no change.
	k = try(t, "u", 1, c)
	for range 20 {
		k.say("?").wait(sec).say("u").wait(sec).want("+u")
	}
}

func TestCap(t *testing.T) {
	c := whole()
	c.MaxEjected = 0.5
	k := try(t, "uuuu", 1, c).say("uudu").wait(sec).want("+uudu").say("dudu").want("+dudu").wait(sec)
	k.say("dudd").want("+~dudu").wait(time.Hour).say("dddd").want("-~dudu")
	// The one that is out comes up, and the first of those held in goes.
	k.say("ddud").want("+~duud")
	// An unknown one is not out.
	k.say("dd?d").want("+~du?d").say("?d?d").want("+?d?d")
	// At once: by position.
	try(t, "uuuu", 1, c).say("dddd").want("-~dduu")

	// At least one, unless it is none.
	c.MaxEjected = 0.1
	try(t, "uuuu", 1, c).say("dddd").want("-~duuu")
	c.MaxEjected = 0
	try(t, "uuuu", 1, c).say("dudu").want("+~uuuu")

	// Those that pass their checks are held in before those that fail.
	c.MaxEjected = 0.3
	c.Damping = &spec.Damping{Changes: 2, Within: time.Minute, Hold: time.Hour, Max: time.Hour}
	try(t, "uuuu", 1, c).say("duuu").say("uuuu").want("+~duuu").wait(sec).say("uduu").want("+~uduu")

	for _, x := range []struct {
		share   float64
		n, want int
	}{{1, 5, 5}, {0.5, 5, 2}, {0.29, 100, 29}, {0.01, 5, 1}, {0, 5, 0}, {0.333, 3, 1}} {
		if got := room(x.share, x.n); got != x.want {
			t.Errorf("%v of %d: %d, want %d", x.share, x.n, got, x.want)
		}
	}
}
