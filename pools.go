package rhumb

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rhumb-dns/rhumb/conduct"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// PoolStatus is how one pool stands for the services that want the same of it.
type PoolStatus struct {
	Pool *spec.Pool
	// Conduct is what they want; nil: all changes at once.
	Conduct *spec.Conduct
	// Service is the service it is judged for, when its checks ask for the
	// service's host; empty when it is judged for all alike.
	Service   string
	Stands    bool
	Moving    bool      // something about it is in transition
	Since     time.Time // it stands or does not; zero: as long as is known
	Why       string
	Endpoints []PoolEndpoint // in the order of Pool.Endpoints
}

// PoolEndpoint is one endpoint of a PoolStatus.
type PoolEndpoint struct {
	State  health.State // that answers go by, overrides not considered
	Judged health.State // by its checks
	Share  float64      // of its usual traffic: 0 to 1
	Why    string       // one line
}

// Pools lists the pools that services use, by name: one with conduct once for
// each different conduct, then the name in its checks.
func (e *Engine) Pools() []PoolStatus {
	s := e.Snapshot()
	if s == nil {
		return nil
	}
	v, all := s.Conduct, []PoolStatus(nil)
	if v != nil {
		for i := range v.Len() {
			all = append(all, conducted(s, v, i))
		}
	}
	all = append(all, others(s)...)
	slices.SortStableFunc(all, func(a, b PoolStatus) int {
		return cmp.Or(cmp.Compare(a.Pool.Name, b.Pool.Name), cmp.Compare(a.Service, b.Service))
	})
	return all
}

// conducted is the status of a course.
func conducted(s *resolve.Snapshot, v *conduct.View, i int) PoolStatus {
	of, is := v.Of(i), v.Course(i)
	service := of.Host
	if service != "" {
		service += "." // a host to ask for has no final dot, a name of the table has
	}
	st := PoolStatus{
		Pool: of.Pool, Conduct: of.Conduct, Service: service, Stands: is.Stands, Moving: is.Moving, Since: v.Since(i), Why: v.Why(i),
	}
	for slot, state := range is.States {
		d := s.Health.Judged(int(of.Targets[slot]))
		e := PoolEndpoint{State: state, Judged: d.State, Share: 1, Why: cmp.Or(v.EndpointWhy(i, slot), d.Reason)}
		switch {
		case state == health.Down:
			e.Share = 0
		case is.Shares != nil:
			e.Share = float64(is.Shares[slot]) / conduct.Whole
		}
		if d.Cause != health.NotDegraded {
			e.Share = min(e.Share, float64(d.Share)/health.Whole)
		}
		st.Endpoints = append(st.Endpoints, e)
	}
	return st
}

// others are the pools without conduct.
func others(s *resolve.Snapshot) []PoolStatus {
	type id struct {
		pool  *spec.Pool
		first int32 // target of its first endpoint
	}
	seen := map[id]bool{}
	plans := make([]bool, len(s.Table.Plans)) // a million services may share a few
	var all []PoolStatus
	s.Table.EachService(func(n *table.Node, p *table.Plan) bool {
		if plans[n.Plan] {
			return true
		}
		plans[n.Plan] = true
		seats := seated(p)
		for at, pool := range p.Policy.Pools {
			targets := targetsOf(pool, at, seats)
			key := id{pool, targets[0]}
			if seen[key] || p.Courses != nil && p.Courses[at] >= 0 {
				continue
			}
			seen[key] = true
			service := ""
			for _, target := range targets {
				if borrowsHost(&s.Table.Targets[target]) {
					service = s.Table.Name(n).String()
				}
			}
			all = append(all, judged(s, pool, targets, service))
		}
		return true
	})
	return all
}

// seat is an address or host name at a position in a plan's list of pools.
type seat struct {
	at   int
	text string
}

// seated are the targets of a plan's members. An address may be in several pools
// of what is nested at one position, and a host name in both address families.
func seated(p *table.Plan) map[seat][]int32 {
	all := map[seat][]int32{}
	for f := range p.Members {
		ms := &p.Members[f]
		for i, e := range ms.Endpoints {
			at := seat{int(ms.Candidates[i].Pool), e.String()}
			all[at] = append(all[at], ms.Targets[i])
		}
	}
	return all
}

// targetsOf are the targets of a pool's endpoints, in their order. Those of what
// is nested are copies of its pools' endpoints, in the order of the members.
func targetsOf(pool *spec.Pool, at int, seats map[seat][]int32) []int32 {
	targets, taken := make([]int32, len(pool.Endpoints)), map[string]int{}
	for i := range pool.Endpoints {
		text := pool.Endpoints[i].String()
		targets[i] = seats[seat{at, text}][taken[text]]
		taken[text]++
	}
	return targets
}

// judged is the status of a pool without conduct: it stands while min_healthy
// endpoints are up.
func judged(s *resolve.Snapshot, pool *spec.Pool, targets []int32, service string) PoolStatus {
	st := PoolStatus{Pool: pool, Service: service}
	up := 0
	for i := range pool.Endpoints {
		d := s.Health.Judged(int(targets[i]))
		e := PoolEndpoint{State: d.State, Judged: d.State, Share: 1, Why: d.Reason}
		switch d.State {
		case health.Up:
			up++
			if d.Cause != health.NotDegraded {
				e.Share = float64(d.Share) / health.Whole
			}
		case health.Down:
			e.Share = 0
		}
		st.Endpoints = append(st.Endpoints, e)
	}
	st.Stands = up >= pool.MinHealthy
	word := "is below min_healthy with"
	if st.Stands {
		word = "stands with"
	}
	st.Why = fmt.Sprintf("pool %s %s %d of %d endpoints up (min_healthy %d)", pool.Name, word, up, len(pool.Endpoints), pool.MinHealthy)
	return st
}

// The errors of Failback.
var (
	ErrNoPool = errors.New("no such pool is in use")
	ErrTooFew = conduct.ErrTooFew
	ErrSteady = errors.New("it stands whenever it can: neither failback nor another key of conduct is stated for it")
)

// Failback has a pool that gave way stand again, for all services. It is false
// for one that stands. When it returns, Snapshot has it. The error is an
// ErrNoPool, ErrSteady for a pool without conduct, or ErrTooFew.
func (e *Engine) Failback(pool string) (done bool, err error) {
	done, err = e.conduct.Failback(pool)
	switch {
	case errors.Is(err, conduct.ErrNoPool):
		for _, st := range e.Pools() {
			if st.Pool.Name == pool {
				return false, fmt.Errorf("pool %s: %w", pool, ErrSteady)
			}
		}
		return false, fmt.Errorf("pool %s: %w", pool, ErrNoPool)
	case err != nil:
		return false, err
	}
	e.follow()
	return done, nil
}
