package loop

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The wheel beside a list that is searched.
func TestWheel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var w wheel
	in := map[*Job]bool{}
	now := time.Duration(0)
	for range 200_000 {
		switch k := rnd.IntN(10); {
		case k < 4:
			j := &Job{slot: -1, deadline: now + time.Duration(rnd.Int64N(int64(5*time.Second)))}
			if rnd.IntN(4) == 0 {
				j.deadline = now + time.Duration(rnd.Int64N(int64(2*grain)))
			}
			w.add(j)
			in[j] = true
		case k < 6:
			for j := range in {
				w.remove(j)
				w.remove(j) // it is no longer in
				delete(in, j)
				break
			}
		default:
			first := never
			for j := range in {
				first = min(first, j.deadline)
			}
			next := w.next()
			if len(in) == 0 && next != never || next > first && next-first > grain {
				t.Fatalf("at %v next is %v, and the first deadline %v", now, next, first)
			}
			switch now += time.Duration(rnd.Int64N(int64(20 * time.Millisecond))); rnd.IntN(50) {
			case 0:
				now += 3 * time.Second // more than a turn
			case 1:
				now = max(now, min(next, now+time.Minute))
			}
			w.expire(now, func(j *Job) {
				if !in[j] || j.deadline > now {
					t.Fatalf("at %v ended what is due at %v, there: %v", now, j.deadline, in[j])
				}
				delete(in, j)
			})
			for j := range in {
				if now-j.deadline > grain {
					t.Fatalf("at %v what was due at %v is still there", now, j.deadline)
				}
			}
		}
	}
}
