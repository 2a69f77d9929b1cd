package rhumb

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// spans are windows from one time to another, in order.
type spans [][2]time.Time

func (s spans) Open(t time.Time) (open bool, until time.Time) {
	for _, span := range s {
		switch {
		case t.Before(span[0]):
			return false, span[0]
		case t.Before(span[1]):
			return true, span[1]
		}
	}
	return false, time.Time{}
}

// stuck is a schedule whose edge never comes.
type stuck struct{ asked int }

func (s *stuck) Open(t time.Time) (bool, time.Time) {
	s.asked++
	return true, t
}

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		from := func(a, b time.Duration) [2]time.Time {
			return [2]time.Time{began.Add(a).Round(0), began.Add(b).Round(0)}
		}
		c := newClock()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}()
		if got := c.Apply([]Schedule{
			spans{from(0, time.Hour)},
			spans{from(10*time.Minute, 20*time.Minute), from(3*time.Hour, 4*time.Hour)},
			spans{},
		}); !slices.Equal(got, []bool{true, false, false}) {
			t.Fatalf("at first: %v", got)
		}
		at := func(when time.Duration, told bool, want ...bool) {
			t.Helper()
			time.Sleep(time.Until(began.Add(when)))
			synctest.Wait()
			if got := c.Open(); !slices.Equal(got, want) {
				t.Errorf("after %v: %v, want %v", when, got, want)
			}
			select {
			case <-c.Changed():
				if !told {
					t.Errorf("after %v: told of nothing", when)
				}
			default:
				if told {
					t.Errorf("after %v: nobody was told", when)
				}
			}
		}
		at(10*time.Minute-1, false, true, false, false)
		before := c.Open()
		at(10*time.Minute, true, true, true, false)
		if !slices.Equal(before, []bool{true, false, false}) {
			t.Error("what was given has changed")
		}
		at(20*time.Minute, true, true, false, false)
		at(time.Hour-time.Second, false, true, false, false)
		at(time.Hour, true, false, false, false)
		at(3*time.Hour+30*time.Minute, true, false, true, false)
		at(time.Hour*1000, true, false, false, false)

		// A reload while it sleeps.
		now := time.Since(began)
		if got := c.Apply([]Schedule{spans{from(now+5*time.Second, now+time.Hour)}}); !slices.Equal(got, []bool{false}) {
			t.Fatalf("another: %v", got)
		}
		at(now+5*time.Second, true, true)

		// A schedule that is wrong costs no more than a look each millisecond.
		s := &stuck{}
		c.Apply([]Schedule{s})
		time.Sleep(time.Second)
		synctest.Wait()
		if s.asked > 1010 {
			t.Errorf("asked %d times in a second", s.asked)
		}
		c.Apply(nil)
	})
}
