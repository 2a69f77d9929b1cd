package simulate

import (
	"slices"
	"strings"
)

// measures are the measures of a condition that stand alone.
var measures = map[string]func(*Result) (c Change, known bool){
	"moved":      func(r *Result) (Change, bool) { return Change{0, r.Moved}, true },
	"unanswered": func(r *Result) (Change, bool) { return r.Unanswered, true },
	"to_down":    func(r *Result) (Change, bool) { return r.ToDown, true },
	"max_share": func(r *Result) (Change, bool) {
		return most(r, func(p *Pool, each func(Change)) {
			for i := range p.Endpoints {
				each(p.Endpoints[i].Share)
			}
		}), true
	},
	"max_pool_share": func(r *Result) (Change, bool) {
		return most(r, func(p *Pool, each func(Change)) { each(p.Share) }), true
	},
	"km_mean": func(r *Result) (Change, bool) {
		if r.Distance == nil {
			return Change{}, false
		}
		return *r.Distance, true
	},
	"over_soft": func(r *Result) (Change, bool) { return Change{0, over(r, "soft") + over(r, "hard")}, true },
	"over_hard": func(r *Result) (Change, bool) { return Change{0, over(r, "hard")}, true },
}

// named are the measures that have a name behind them, by what it is the name of.
var named = map[string]func(r *Result, name string) (Change, bool){
	"pool": func(r *Result, name string) (Change, bool) {
		i := slices.IndexFunc(r.Pools, func(p Pool) bool { return p.Name == name })
		if i < 0 {
			return Change{}, false
		}
		return r.Pools[i].Share, true
	},
	"endpoint": func(r *Result, name string) (c Change, found bool) {
		name = canonical(name)
		for i := range r.Pools { // it may be in several
			for _, e := range r.Pools[i].Endpoints {
				if e.Name == name {
					c.add(e.Share)
					found = true
				}
			}
		}
		return c, found
	},
	// The part of a country's clients that moves.
	"country": func(r *Result, name string) (Change, bool) {
		for _, c := range r.Countries {
			if c.Code == name && c.Share > 0 {
				return Change{0, c.Moved / c.Share}, true
			}
		}
		return Change{}, false
	},
}

// known is the measures for messages.
const known = "moved, unanswered, to_down, max_share, max_pool_share, km_mean, over_soft, over_hard, pool.NAME, endpoint.NAME, country.CODE"

// sides are what may stand behind a measure: which of its figures is meant.
var sides = []string{"after", "before", "change"}

// most is the greatest share of any.
func most(r *Result, shares func(*Pool, func(Change))) (c Change) {
	for i := range r.Pools {
		shares(&r.Pools[i], func(s Change) {
			c.Before, c.After = max(c.Before, s.Before), max(c.After, s.After)
		})
	}
	return c
}

// over is how many endpoints are over a limit.
func over(r *Result, limit string) (n float64) {
	for i := range r.Pools {
		for _, e := range r.Pools[i].Endpoints {
			if e.Over == limit {
				n++
			}
		}
	}
	return n
}

// of is the value for a result.
func (v value) of(e *evaluation) (float64, error) {
	if v.words == nil {
		return v.number, nil
	}
	first, rest := v.words[0], v.words[1:]
	var c Change
	var ok bool
	if measure := measures[first.text]; measure != nil {
		if c, ok = measure(e.result); !ok {
			return 0, e.fault(first.at, "it is not known: there is no answer of which both the client's place and the pool's are known")
		}
	} else {
		if len(rest) == 0 {
			return 0, e.fault(first.at, "%s.NAME is expected", first.text)
		}
		if c, ok = named[first.text](e.result, rest[0].text); !ok {
			return 0, e.fault(rest[0].at, "there is no %s %s among those that were asked for", first.text, rest[0].text)
		}
		rest = rest[1:]
	}
	switch {
	case len(rest) == 0:
		return c.After, nil
	case len(rest) > 1 || !slices.Contains(sides, rest[0].text):
		return 0, e.fault(rest[0].at, "%s is expected behind a measure, or nothing", strings.Join(sides, ", "))
	case rest[0].text == "before":
		return c.Before, nil
	case rest[0].text == "change":
		return c.After - c.Before, nil
	}
	return c.After, nil
}
