package health

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// NoLoad is the load in a View of a target of which none is known.
const NoLoad = ^uint32(0)

// LoadUnit is what a load of 1 is in a View.
const LoadUnit = 1000

// MaxLoad is the highest load that can be told from others.
const MaxLoad = 4_000_000

// Load is what somebody reported of how busy an endpoint is. It counts for every
// service that uses the endpoint, and only until it is too old. It is not kept
// over a restart: who reports does so again.
type Load struct {
	Endpoint string    // address or host name, as the pool states it
	Load     float64   // 0 to MaxLoad, in the unit of the limits it is compared with
	Source   string    // who or what reported it
	At       time.Time // when it was reported
	Until    time.Time // from then on the load is not known
}

// LoadUnits is a load as a View has it: in thousandths, rounded.
func LoadUnits(load float64) uint32 {
	return uint32(math.Round(min(max(load, 0), MaxLoad) * LoadUnit))
}

// SetLoads takes reports in, each in place of what was reported of its endpoint
// before. It leaves out those of endpoints that no service has, and gives their
// names. A view that has the others follows within figureGap.
func (b *Board) SetLoads(reports []Load) (unknown []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range reports {
		l.Endpoint = canonical(l.Endpoint)
		if len(b.at(l.Endpoint)) == 0 {
			unknown = append(unknown, l.Endpoint)
			continue
		}
		was, had := b.loads[l.Endpoint]
		b.loads[l.Endpoint] = l
		b.meters.reported(true)
		if !had || LoadUnits(was.Load) != LoadUnits(l.Load) {
			b.loadMoved = b.uses.Load
		}
		b.loadLapses = earlier(b.loadLapses, l.Until)
	}
	for range unknown {
		b.meters.reported(false)
	}
	notify(b.wake)
	return unknown
}

// ClearLoad forgets what was reported of an endpoint.
func (b *Board) ClearLoad(endpoint string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	endpoint = canonical(endpoint)
	if l, ok := b.loads[endpoint]; !ok || !l.Until.After(time.Now()) {
		return fmt.Errorf("%w: no load of %s is known", ErrNotFound, endpoint)
	}
	delete(b.loads, endpoint)
	b.loadMoved = b.uses.Load
	notify(b.wake)
	return nil
}

// Loads lists the reports that count, by endpoint, also those of endpoints that
// the configuration does not have at present.
func (b *Board) Loads() []Load {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	all := make([]Load, 0, len(b.loads))
	for _, l := range b.loads {
		if l.Until.After(now) {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(x, y Load) int { return strings.Compare(x.Endpoint, y.Endpoint) })
	return all
}

// dropLoads forgets the reports that are too old, when there may be one.
func (b *Board) dropLoads(now time.Time) {
	if b.loadLapses.IsZero() || b.loadLapses.After(now) {
		return
	}
	b.loadLapses = time.Time{}
	for endpoint, l := range b.loads {
		if l.Until.After(now) {
			b.loadLapses = earlier(b.loadLapses, l.Until)
			continue
		}
		delete(b.loads, endpoint)
		b.loadMoved = b.uses.Load
	}
}

// earlier is the earlier of two times, of which the first may be none.
func earlier(t, u time.Time) time.Time {
	if t.IsZero() || !u.IsZero() && u.Before(t) {
		return u
	}
	return t
}

// loadView is the loads by target as a View has them: up to the last target of
// which one is known; nil when nobody goes by them.
func (b *Board) loadView(now time.Time) []uint32 {
	b.dropLoads(now)
	b.loadMoved = false
	if !b.uses.Load {
		return nil
	}
	n := 0
	for endpoint := range b.loads {
		if at := b.at(endpoint); len(at) > 0 {
			n = max(n, int(at[len(at)-1])+1)
		}
	}
	all := make([]uint32, n)
	for i := range all {
		all[i] = NoLoad
	}
	for endpoint, l := range b.loads {
		for _, i := range b.at(endpoint) {
			all[i] = LoadUnits(l.Load)
		}
	}
	return all
}

// at is the targets of an endpoint, in their order. The first call after a change
// of targets sorts them all, which is for those who report loads to pay.
func (b *Board) at(endpoint string) []int32 {
	if b.byEndpoint == nil {
		b.byEndpoint = make([]int32, len(b.targets))
		for i := range b.byEndpoint {
			b.byEndpoint[i] = int32(i)
		}
		slices.SortFunc(b.byEndpoint, func(x, y int32) int {
			return cmp.Or(b.targets[x].compare(&b.targets[y]), cmp.Compare(x, y))
		})
	}
	want := Target{Host: endpoint}
	if a, err := netip.ParseAddr(endpoint); err == nil {
		want = Target{Addr: a}
	}
	from, _ := slices.BinarySearchFunc(b.byEndpoint, &want, func(i int32, t *Target) int { return b.targets[i].compare(t) })
	to := from
	for to < len(b.byEndpoint) && b.targets[b.byEndpoint[to]].compare(&want) == 0 {
		to++
	}
	return b.byEndpoint[from:to]
}

// compare orders targets by endpoint.
func (t *Target) compare(other *Target) int {
	if c := t.Addr.Compare(other.Addr); c != 0 || t.Addr.IsValid() {
		return c
	}
	return strings.Compare(t.Host, other.Host)
}
