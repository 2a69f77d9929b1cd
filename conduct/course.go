package conduct

import (
	"math"
	"time"

	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
)

// Whole is the share of an endpoint that takes all of its usual traffic.
const Whole = 1 << 10

// Course is a pool with the conduct that services want of it. It is immutable.
type Course struct {
	Key     string // no other course of a table has it
	Pool    *spec.Pool
	Conduct *spec.Conduct
	// Host is the service's host that the pool's checks are made for; empty when
	// they are the same for all services.
	Host string
	// Targets are the indexes of the pool's endpoints among health's targets, in
	// their order.
	Targets []int32
}

// KeyOf is the Key of a course.
func KeyOf(pool *spec.Pool, c *spec.Conduct, host string) string {
	return pool.Name + " " + host + " " + c.String()
}

// State is what answers go by. It is immutable.
type State struct {
	Stands bool // the pool does; when no pool of a service stands, all of them do
	Moving bool // something changes before long, or is held as it is not
	// States are those of the endpoints, and Shares how much of their usual traffic
	// they are to have, of Whole, both by position in Pool.Endpoints. Shares is nil
	// when all are Whole.
	States []health.State
	Shares []uint16
}

// instant is a time in nanoseconds on the clock of a Director, which goes on
// evenly whatever is done to the clock on the wall. 0 is no time.
type instant int64

const never instant = math.MaxInt64

// after is the instant so much later.
func (t instant) after(d time.Duration) instant { return t + instant(d) }

// since is how long before t the other one was.
func (t instant) since(o instant) time.Duration { return time.Duration(t - o) }

// course is the state of a Course: of the pool as a whole, and of its endpoints.
type course struct {
	*Course
	need int // endpoints that must be up
	room int // endpoints that may be out
	// together is how far apart the ends of one event may be seen: the longest
	// interval of the pool's checks.
	together time.Duration

	at     instant // to which all below is brought
	stands bool
	proven bool    // it has had enough endpoints up
	since  instant // of the last change of stands; 0: as long as is known
	below  instant // since when it stands with too few up
	enough instant // since when enough are up, while it does not stand
	up     int
	blank  int // endpoints of which nothing is known
	ends   []end

	next   instant // at which something changes by itself
	moving bool
	events []event // since they were last taken

	index int // among the courses
	queue int // in the queue of deadlines; -1: not there
	seen  uint64
	shown *entry // as published last
}

// end is the state of one endpoint. It is comparable; what damping points to is
// never changed.
type end struct {
	raw   health.State // as health says
	own   health.State // the same, down while it is damped
	known health.State // own when it was last known
	eff   health.State // what answers go by
	held  holding      // why eff is Up although own is not
	fresh bool         // it was up before it fell
	fell  instant      // when it was first known to be down
	slow  instant      // when its slow start began; 0: it has its whole share
	damp  *damped      // nil: it never changed, or is not damped
}

// holding is why an endpoint that is down is given all the same.
type holding uint8

const (
	notHeld holding = iota
	byDelay         // the pool goes on standing, and it was up last
	byCap           // too many are out already
)

// damped is what damping knows of an endpoint.
type damped struct {
	last    health.State // up or down, as health said last
	changes []instant    // the last ones, at most as many as are too many
	until   instant      // held down until then; 0: it is not
	ended   instant      // when the last hold ends or ended
	hold    time.Duration
}

// kind is a kind of event.
type kind uint8

const (
	fellShort kind = iota // below min_healthy, with a delay
	recovered             // within the delay
	gaveWay
	waits // enough are up again
	stood
	flapped
	released
	heldIn
	letOut
	startedSlowly
	kinds
)

var kindNames = [kinds]string{
	"below_min_healthy", "recovered", "gave_way", "failback_waits", "stands",
	"damped", "released", "held_in", "let_out", "slow_start",
}

// event is something that is worth a line in the log.
type event struct {
	kind kind
	slot int // of the endpoint; -1: of the pool
}

func (c *course) note(k kind, slot int) { c.events = append(c.events, event{k, slot}) }

// newCourse is a course of which nothing is known yet: the pool stands.
func newCourse(of *Course, now instant) *course {
	c := &course{Course: of, at: now, stands: true, queue: -1, ends: make([]end, len(of.Pool.Endpoints))}
	c.need = of.Pool.MinHealthy
	c.room = room(of.Conduct.MaxEjected, len(c.ends))
	for i := range of.Pool.Endpoints {
		for _, check := range of.Pool.Endpoints[i].Checks {
			c.together = max(c.together, check.Interval)
		}
	}
	return c
}

// room is how many of n endpoints may be out: the share rounded down, and at
// least one, since a check that can take nothing out is none. A share of 0 is
// taken at its word.
func room(share float64, n int) int {
	if share <= 0 {
		return 0
	}
	const exact = 1e-9 // 0.29 * 100 is a little less than 29
	return max(int(share*float64(n)+exact), 1)
}

// inherit takes over what another course of the same pool has gone through.
// Endpoints are told by their address.
func (c *course) inherit(was *course) {
	c.at = max(c.at, was.at)
	c.stands, c.proven, c.since, c.below, c.enough = was.stands, was.proven, was.since, was.below, was.enough
	var by map[string]int // positions by address, once one is not where it was
	for i := range c.ends {
		own, at := &c.Pool.Endpoints[i], i
		if i >= len(was.ends) || own.Address != was.Pool.Endpoints[i].Address || own.Host != was.Pool.Endpoints[i].Host {
			if by == nil {
				by = make(map[string]int, len(was.ends))
				for k := range was.ends {
					by[was.Pool.Endpoints[k].String()] = k
				}
			}
			k, had := by[own.String()]
			if !had {
				continue
			}
			at = k
		}
		e := &c.ends[i]
		*e = was.ends[at]
		// Endpoints whose checks are others now may begin as unknown, which is no
		// change of theirs: what was known is still there in known.
		switch limit := c.Conduct.Damping; {
		case limit == nil:
			e.damp = nil
		case e.damp != nil && e.damp.until > c.at.after(limit.Max):
			d := *e.damp
			d.until = c.at.after(limit.Max)
			d.ended, d.hold = d.until, limit.Max
			e.damp = &d
		}
		if c.Conduct.SlowStart == 0 {
			e.slow = 0
		}
	}
}
