package probe

import (
	"math"
	"testing"
)

func TestConditions(t *testing.T) {
	for _, c := range []struct {
		op, text, value string
		want            bool
	}{
		{"=", "1", "1", true},
		{"=", "1.10", "1.1", false}, // text is text
		{"=", "", "", true},
		{"=", "a", " a", false},
		{"!=", "a", "b", true},
		{"!=", "a", "a", false},
		{"<", "30", "29.9", true},
		{"<", "30", "30", false},
		{"<=", "30", "30", true},
		{">", "-1", "0", true},
		{">", "1e3", "1001", true},
		{">=", "30", "29", false},
		{"<", "30", " 7 \n", true},
		{"<", "30", "", false},
		{"<", "30", "seven", false},
		{"<", "30", "NaN", false},
		{"<", "30", "-Inf", true},
		{"<", "30", "1e999", false},
		{"~", "^o", "ok", true},
		{"~", "k$", "kk ", false},
		{"!~", "^o", "ok", false},
		{"!~", "^o", "no", true},
	} {
		cs, err := newConditions([]Condition{{c.op, c.text}}, false)
		if err != nil {
			t.Fatal(err)
		}
		f := cs.judgeAnswer(value{text: c.value})
		if f.failed() == c.want || f.failed() && f.class != ClassValue {
			t.Errorf("%q %s %q: %+v", c.value, c.op, c.text, f)
		}
		for _, a := range []value{{null: true}, {none: true}} {
			if f := cs.judgeAnswer(a); f.class != ClassValue {
				t.Errorf("%+v %s %q: %+v", a, c.op, c.text, f)
			}
		}
	}
	both, err := newConditions([]Condition{{">", "1"}, {"<", "3"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	for value, ok := range map[string]bool{"1": false, "2": true, "3": false} {
		if both.judge(value).failed() == ok {
			t.Errorf("1 < %s < 3: want %v", value, ok)
		}
	}
	if f := conditions(nil).judgeAnswer(value{none: true}); f.failed() {
		t.Errorf("nothing is expected: %+v", f)
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		op, text string
		value    float64
		want     bool
	}{
		{"=", "1", 1, true},
		{"=", "1.0", 1, true},
		{"!=", "1", 2, true},
		{"!=", "1", math.NaN(), false},
		{"=", "NaN", 1, false},
		{"<", "+Inf", 1, true},
		{">", "5", math.Inf(1), true},
	} {
		cs, err := newConditions([]Condition{{c.op, c.text}}, true)
		if c.text == "NaN" {
			if err == nil {
				t.Error("NaN is a limit")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := cs.hold(c.value); ok != c.want {
			t.Errorf("%v %s %s: %v", c.value, c.op, c.text, ok)
		}
	}
}
