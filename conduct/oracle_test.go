package conduct

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
)

// oracle is a course, second by second, from the whole history: the rules of
// docs/conduct.md one after the other, without any deadline.
type oracle struct {
	c         *spec.Conduct
	n, need   int
	second    int
	raw       []string // what health said in each second, by endpoint
	stands    bool
	proven    bool
	below     int // -1: not
	enough    int
	slow      []int // when it began; -1: not
	held      []int // held down until that second
	holds     []int // seconds of the last hold
	counted   []int // changes before that second do not count any more
	own, eff  []string
	everKnown []string
	fell      []int
	fresh     []bool
}

func newOracle(c *spec.Conduct, n, need int) *oracle {
	o := &oracle{c: c, n: n, need: need, stands: true, below: -1, enough: -1, raw: make([]string, n)}
	for range n {
		o.slow, o.held, o.holds, o.counted = append(o.slow, -1), append(o.held, -1), append(o.holds, 0), append(o.counted, 0)
		o.own, o.eff, o.everKnown = append(o.own, "?"), append(o.eff, "?"), append(o.everKnown, "?")
		o.fell, o.fresh = append(o.fell, -1), append(o.fresh, false)
	}
	return o
}

func seconds(d time.Duration) int { return int(d / time.Second) }

// changes are the seconds at which health changed its mind about an endpoint.
func (o *oracle) changes(i int) []int {
	var at []int
	last := byte('?')
	for s := range len(o.raw[i]) {
		if now := o.raw[i][s]; now != '?' {
			if last != '?' && last != now {
				at = append(at, s)
			}
			last = now
		}
	}
	return at
}

// tooMany is whether the last changes that count by a second were too many.
func (o *oracle) tooMany(i, by int) bool {
	var counted []int
	for _, at := range o.changes(i) {
		if at >= o.counted[i] && at <= by {
			counted = append(counted, at)
		}
	}
	d := o.c.Damping
	n := len(counted) - d.Changes
	return n >= 0 && by-counted[n] <= seconds(d.Within)
}

// next is one second of which health says this.
func (o *oracle) next(says string) {
	t := o.second
	up, unknown := 0, 0
	for i := range o.n {
		o.raw[i] += says[i : i+1]
		free := o.held[i] < t && slices.Contains(o.changes(i), t)
		if o.c.Damping != nil && (free || o.held[i] == t) && o.tooMany(i, t) {
			o.hold(i, t)
		}
		own := says[i : i+1]
		if o.held[i] > t {
			own = "d"
		}
		if own == "d" && o.everKnown[i] != "d" {
			o.fell[i], o.fresh[i], o.slow[i] = t, o.everKnown[i] == "u", -1
		}
		if own == "u" && o.everKnown[i] == "d" && o.eff[i] != "u" && o.c.SlowStart > 0 {
			o.slow[i] = t
		}
		if o.own[i] = own; own != "?" {
			o.everKnown[i] = own
		}
		switch own {
		case "u":
			up++
		case "?":
			unknown++
		}
	}
	o.pool(t, up, unknown)
	o.effective(up)
	for i := range o.n {
		if o.slow[i] >= 0 && t-o.slow[i] >= seconds(o.c.SlowStart) {
			o.slow[i] = -1
		}
	}
	o.second++
}

func (o *oracle) hold(i, t int) {
	d := o.c.Damping
	length := seconds(d.Hold)
	if o.holds[i] > 0 && t-o.held[i] < max(seconds(d.Within), o.holds[i]) {
		length = min(2*o.holds[i], seconds(d.Max))
	}
	o.holds[i], o.held[i], o.counted[i] = length, t+length, t+1
}

func (o *oracle) pool(t, up, unknown int) {
	if o.stands {
		if up+unknown >= o.need {
			o.below = -1
			o.proven = o.proven || up >= o.need
		} else {
			if o.below < 0 {
				o.below = t
			}
			if !o.proven || t-o.below >= seconds(o.c.FailoverDelay) {
				o.stands, o.below = false, -1
			}
		}
	}
	if o.stands {
		return
	}
	if up < o.need {
		o.enough = -1
		return
	}
	if o.enough < 0 {
		o.enough = t
	}
	if !o.proven || !o.c.FailbackManual && t-o.enough >= seconds(o.c.FailbackDelay) {
		for i := range o.n {
			if o.proven && o.own[i] == "u" && o.c.SlowStart > 0 && (o.c.FailbackDelay > 0 || o.c.FailbackManual) {
				o.slow[i] = t
			}
		}
		o.stands, o.proven, o.enough = true, true, -1
	}
}

func (o *oracle) effective(up int) {
	copy(o.eff, o.own)
	last := -1
	for i := range o.n {
		if o.own[i] == "d" && o.fresh[i] {
			last = max(last, o.fell[i])
		}
	}
	var down []int
	for i := range o.n {
		switch {
		case o.own[i] != "d":
		case o.stands && o.below >= 0 && up == 0 && o.fresh[i] && last-o.fell[i] <= 5:
			o.eff[i] = "u"
		default:
			down = append(down, i)
		}
	}
	may := 0
	if o.c.MaxEjected > 0 {
		may = max(1, int(o.c.MaxEjected*float64(o.n)+1e-9))
	}
	for len(down) > may { // who is to be held in next?
		in := 0
		for k := 1; k < len(down); k++ {
			passes := func(i int) bool { return o.raw[i][len(o.raw[i])-1] == 'u' }
			a, b := down[in], down[k]
			switch {
			case passes(a) != passes(b):
				if passes(b) {
					in = k
				}
			case o.fell[b] >= o.fell[a]:
				in = k
			}
		}
		o.eff[down[in]] = "u"
		down = slices.Delete(down, in, in+1)
	}
}

// shareOf is the share of an endpoint.
func (o *oracle) shareOf(i int) int {
	total := seconds(o.c.SlowStart)
	if o.slow[i] < 0 || total == 0 {
		return Whole
	}
	step := max(1, float64(total)/50)
	all := int((float64(total) + step - 1e-9) / step)
	if float64(all)*step < float64(total)-1e-9 {
		all++
	}
	return 51 + (Whole-51)*int((float64(o.second-1-o.slow[i])+1e-9)/step)/all
}

func (o *oracle) String() string {
	s := "-"
	if o.stands {
		s = "+"
	}
	return s + strings.Join(o.eff, "")
}

func randomConduct(r *rand.Rand) spec.Conduct {
	some := func(of ...time.Duration) time.Duration { return of[r.IntN(len(of))] * time.Second }
	c := spec.Conduct{
		FailoverDelay: some(0, 0, 3, 30), FailbackDelay: some(0, 0, 7, 60), FailbackManual: r.IntN(8) == 0,
		SlowStart: some(0, 5, 40, 100), MaxEjected: []float64{1, 1, 0.5, 0.34, 0}[r.IntN(5)],
	}
	if r.IntN(2) == 0 {
		c.Damping = &spec.Damping{Changes: 2 + r.IntN(4), Within: some(10, 60), Hold: some(5, 20), Max: some(20, 60)}
	}
	return c
}

// TestRandom compares courses with the oracle under random events, one course
// woken when it wants to be, another one much more often, and checks what must
// hold of every state.
func TestRandom(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 5))
		n := 1 + r.IntN(5)
		need := 1 + r.IntN(n)
		c := randomConduct(r)
		of := courseOf(poolOf("eu", n, need), c, 0)
		lazy, eager, o := newCourse(&of, 1), newCourse(&of, 1), newOracle(&c, n, need)
		says := strings.Repeat("?", n)
		calm := 1 + r.IntN(20)
		lazy.step(1, statesOf(says))
		for s := range 400 {
			if r.IntN(calm) == 0 {
				b := []byte(says)
				b[r.IntN(n)] = "uuudddu?"[r.IntN(8)]
				if r.IntN(6) == 0 {
					b = []byte(strings.Repeat("ud"[r.IntN(2):][:1], n))
				}
				says = string(b)
			}
			now := instant(s+1) * instant(time.Second) // on the beat, so that shares are exact
			if states := statesOf(says); !slices.Equal(states, rawOf(lazy)) || lazy.next <= now || s == 0 {
				lazy.step(now, states)
			}
			for at := now - instant(r.Int64N(int64(time.Second))); s > 0 && r.IntN(3) == 0 && at < now; at += instant(time.Second / 3) {
				eager.step(at, rawOf(eager))
			}
			eager.step(now, statesOf(says))
			o.next(says)

			where := fmt.Sprintf("seed %d, second %d, %d of %d, %s: health says %s", seed, s, need, n, &c, says)
			l, e := &lazy.entry().State, &eager.entry().State
			if got := seen(l)[:1] + word(l.States); got != o.String() {
				t.Fatalf("%s: got %s, want %s", where, got, o)
			}
			if l.Stands != e.Stands || l.Moving != e.Moving || !slices.Equal(l.States, e.States) {
				t.Fatalf("%s: %s, and looked at more often %s", where, seen(l), seen(e))
			}
			for i := range n {
				if got, often := shareIn(l, i), shareIn(e, i); got != o.shareOf(i) || often != got {
					t.Fatalf("%s: share %d of %d, and looked at more often %d, want %d", where, got, i, often, o.shareOf(i))
				}
			}
			invariants(t, where, lazy, l)
			if lazy.next < never && lazy.next <= now {
				t.Fatalf("%s: wants to be woken in the past", where)
			}
		}
	}
}

func shareIn(s *State, i int) int {
	if s.Shares == nil {
		return Whole
	}
	return int(s.Shares[i])
}

func rawOf(c *course) []health.State {
	var out []health.State
	for i := range c.ends {
		out = append(out, c.ends[i].raw)
	}
	return out
}

// invariants are what holds of every state, whatever led to it.
func invariants(t *testing.T, where string, c *course, s *State) {
	t.Helper()
	out := 0
	for i := range c.ends {
		e := &c.ends[i]
		switch {
		case s.States[i] == health.Down:
			out++
			if e.raw == health.Unknown && (e.damp == nil || e.damp.until == 0) {
				t.Fatalf("%s: endpoint %d is unknown and taken out", where, i)
			}
		case s.States[i] == health.Unknown && e.raw != health.Unknown:
			t.Fatalf("%s: endpoint %d is known and given as unknown", where, i)
		}
		if e.raw == health.Up && s.States[i] != health.Up && (e.damp == nil || e.damp.until == 0) {
			t.Fatalf("%s: endpoint %d is up and out", where, i)
		}
		if share := shareIn(s, i); share < slowest || share > Whole || share < Whole && !s.Moving {
			t.Fatalf("%s: share %d of %d", where, share, i)
		}
	}
	if out > c.room {
		t.Fatalf("%s: %d are out, of at most %d", where, out, c.room)
	}
	if !s.Moving && c.next != never {
		t.Fatalf("%s: something will change and nothing moves", where)
	}
}
