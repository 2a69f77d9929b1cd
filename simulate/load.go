package simulate

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/spec"
)

// Load is all that clients ask of all endpoints together, in the unit in which
// endpoints state their limits. An endpoint's part of it is its share of the
// answers.
type Load struct {
	Amount float64 `json:"amount"`
	Unit   string  `json:"unit"` // as it was written; for people
}

// ParseLoad reads an amount with a unit behind it: "20000", "20000/s", "20k req/s".
// A k, M or G right behind the number are thousands, millions and thousands of
// millions.
func ParseLoad(text string) (Load, error) {
	v, unit, err := amount(text)
	if err != nil || !(v > 0) || v > maxWeight {
		return Load{}, fmt.Errorf("%q is no load: an amount above 0 is expected, such as 20000, 20k or 20000/s", text)
	}
	return Load{v, unit}, nil
}

// amount reads a number with a unit behind it, of which a k, M or G is taken.
func amount(text string) (v float64, unit string, err error) {
	at := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	number := text
	if at >= 0 {
		number, unit = text[:at], text[at:]
	}
	v, err = strconv.ParseFloat(number, 64)
	if unit != "" {
		times := map[byte]float64{'k': 1e3, 'M': 1e6, 'G': 1e9}[unit[0]]
		if times > 0 {
			v, unit = v*times, unit[1:]
		}
	}
	return v, strings.TrimSpace(unit), err
}

// weigh says what load an endpoint has, and whether it is too much.
func (l Load) weigh(e *Endpoint, stated *spec.Endpoint) {
	e.SoftLimit, e.HardLimit = limits(stated)
	if l.Amount == 0 {
		return
	}
	e.Load = Change{e.Share.Before * l.Amount, e.Share.After * l.Amount}
	switch {
	case e.HardLimit > 0 && e.Load.After > e.HardLimit:
		e.Over = "hard"
	case e.SoftLimit > 0 && e.Load.After > e.SoftLimit:
		e.Over = "soft"
	}
}

// limits are the limits of an endpoint; 0 is none.
func limits(e *spec.Endpoint) (soft, hard float64) { return e.SoftLimit, e.HardLimit }
