package simulate_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/simulate"
)

// some is a result with a figure of every kind.
func some() *simulate.Result {
	return &simulate.Result{
		Pools: []simulate.Pool{
			{Name: "eu", Share: simulate.Change{Before: 0.7, After: 0.25}, Endpoints: []simulate.Endpoint{
				{Name: "192.0.2.10", Share: simulate.Change{Before: 0.5, After: 0.125}, Over: "soft"},
				{Name: "2001:db8::1", Share: simulate.Change{Before: 0.2, After: 0.125}},
			}},
			{Name: "us east", Share: simulate.Change{Before: 0.3, After: 0.75}, Endpoints: []simulate.Endpoint{
				{Name: "www.example.net", Share: simulate.Change{Before: 0.2, After: 0.5}, Over: "hard"},
				{Name: "192.0.2.10", Share: simulate.Change{Before: 0.1, After: 0.25}},
			}},
		},
		Moved: 0.45, Unanswered: simulate.Change{After: 0.01}, ToDown: simulate.Change{Before: 0.1, After: 0.2},
		Distance:  &simulate.Change{Before: 1000, After: 2500},
		Countries: []simulate.Country{{Code: "DE", Share: 0.2, Moved: 0.1}},
	}
}

func TestConditions(t *testing.T) {
	for text, want := range map[string]bool{
		"1 > 0":                                 true,
		"1 < 0":                                 false,
		"60% == 0.6":                            true,
		"-10% > -0.2 and pool.eu.change < -40%": true,
		"max_share == 0.5 and max_share.before == 50%":         true,
		"max_pool_share >= 0.75 and max_pool_share.before>0.6": true,
		"moved != 0.45":                        false,
		"moved <= 0.45":                        true,
		"unanswered > 0.5% and to_down == 0.2": true,
		"km_mean > 2000":                       true,
		"km_mean.change == 1500":               true,
		"over_soft == 2 and over_hard == 1":    true,
		"pool.eu == 0.25":                      true,
		`pool."us east".change > 0.4`:          true,
		`endpoint."192.0.2.10" == 0.375`:       true, // in both pools
		`endpoint."192.0.2.10".before == 0.6`:  true,
		`endpoint."2001:DB8:0::1" == 0.125`:    true,
		`endpoint."www.example.net" == 0.5`:    true,
		"country.DE == 50%":                    true,
		"0 > 1 or 1 > 0 and 1 > 0":             true,
		"(0 > 1 or 1 > 0) and 0 > 1":           false,
		"0 > 1 and 1 > 0 or 1 > 0":             true,
		"not moved > 0.5":                      true,
		"not (moved > 0.5 or moved < 0.4)":     true,
		"not not 1>0":                          true,
		"pool.eu.after<pool.eu.before":         true,
	} {
		x, err := simulate.ParseCondition(text)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		r := some()
		if got, err := x.Check(r); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
		if !reflect.DeepEqual(r.Conditions, []simulate.Condition{{Text: text, Holds: want}}) {
			t.Errorf("%s: noted as %+v", text, r.Conditions)
		}
	}
}

const measures = "moved, unanswered, to_down, max_share, max_pool_share, km_mean, over_soft, over_hard, pool.NAME, endpoint.NAME, country.CODE"

// TestConditionErrors holds what is said of conditions that mean nothing, and
// where.
func TestConditionErrors(t *testing.T) {
	for _, c := range []struct{ text, caret, why string }{
		{"", "^", "a number such as 0.6 or 60% is expected, or a measure: " + measures},
		{"max_shar > 0.6", "^", `there is no measure "max_shar": they are ` + measures},
		{"max_share", "         ^", "a comparison is expected: >, >=, <, <=, == or !="},
		{"max_share = 1", "          ^", `"==" is expected for what is to be equal`},
		{"max_share > ", "            ^", "a number such as 0.6 or 60% is expected, or a measure: " + measures},
		{"moved > 1 moved", "          ^", `"and", "or" or the end is expected, not "moved"`},
		{"moved > .6", "        ^", "a number such as 0.6 or 60% is expected, or a measure: " + measures},
		{"moved > -", "        ^", "a number such as 0.6 or 60% is expected, or a measure: " + measures},
		{"moved > 1.2.3", "        ^", `"1.2.3" is no number`},
		{"(moved > 1", "          ^", `")" is expected`},
		{"moved > 1 and", "             ^", "a number such as 0.6 or 60% is expected, or a measure: " + measures},
		{"moved > 1 && 1 > 0", "          ^", `"and", "or" or the end is expected, not "&"`},
		{`pool."eu > 1`, "     ^", "the string has no end"},
		{"pool. > 1", "      ^", `a name is expected; one with other characters than letters, digits, "-" and "_" stands in quotes`},
		{"é > 1", "^", "a number such as 0.6 or 60% is expected, or a measure: " + measures},
		{strings.Repeat("(", 101), strings.Repeat(" ", 100) + "^", "it is nested too deep"},
		// Only a result shows these.
		{"pool > 1", "^", "pool.NAME is expected"},
		{"pool.asia > 1", "     ^", "there is no pool asia among those that were asked for"},
		{"1 > 0 or pool.asia > 1", "              ^", "there is no pool asia among those that were asked for"},
		{`endpoint."192.0.2.99" > 1`, "         ^", "there is no endpoint 192.0.2.99 among those that were asked for"},
		{"country.FR > 1", "        ^", "there is no country FR among those that were asked for"},
		{"moved.now > 1", "      ^", "after, before, change is expected behind a measure, or nothing"},
		{"pool.eu.before.after > 1", "        ^", "after, before, change is expected behind a measure, or nothing"},
	} {
		x, err := simulate.ParseCondition(c.text)
		if err == nil {
			_, err = x.Check(some())
		}
		var fault *simulate.Fault
		if !errors.As(err, &fault) {
			t.Errorf("%s: the error is %v", c.text, err)
			continue
		}
		if fault.Why != c.why || fault.Caret() != c.text+"\n"+c.caret {
			t.Errorf("%s: the fault is\n%s %s", c.text, fault.Caret(), fault.Why)
		}
	}
	x, err := simulate.ParseCondition("km_mean > 1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Check(&simulate.Result{}); err == nil || !strings.Contains(err.Error(), "column 1: it is not known") {
		t.Errorf("a distance that is not known: %v", err)
	}
}

func TestLoads(t *testing.T) {
	for text, want := range map[string]simulate.Load{
		"20000":      {20000, ""},
		"20k/s":      {20000, "/s"},
		"1.5M req/s": {1.5e6, "req/s"},
		"3Gbit/s":    {3e9, "bit/s"},
		"7 users":    {7, "users"},
	} {
		if got, err := simulate.ParseLoad(text); err != nil || math.Abs(got.Amount-want.Amount) > 1e-6 || got.Unit != want.Unit {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "x", "k", "1.2.3"} {
		if got, err := simulate.ParseLoad(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// FuzzCondition reads what is no condition, or nearly one: a fault lies within it,
// and what is taken can be checked.
func FuzzCondition(f *testing.F) {
	for _, s := range []string{"max_share > 0.6", `not (pool."a".change >= 1% or 1 != 2) and country.DE<1`, "\x80\xff", "((", `"`, "1 > 0 and"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		x, err := simulate.ParseCondition(text)
		if err == nil {
			_, err = x.Check(some())
		}
		var fault *simulate.Fault
		if err == nil {
			return
		}
		if !errors.As(err, &fault) || fault.At < 0 || fault.At > len(text) || fault.Why == "" || fault.Caret() == "" || fault.Error() == "" {
			t.Errorf("%q: %#v", text, err)
		}
	})
}
