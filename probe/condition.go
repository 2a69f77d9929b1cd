package probe

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Condition is what a value must be: an operator and what stands to its right.
//
//	=  !=          the same text; where values are numbers, the same number
//	<  <=  >  >=   a number that is less, or more
//	~  !~          text in which a regular expression is found, or not
//
// A value that is missing, NULL or NaN fulfils no condition, not even one that
// begins with "!".
type Condition struct {
	Op   string
	Text string
}

// String gives "< 30".
func (c Condition) String() string { return c.Op + " " + c.Text }

// conditions must all hold.
type conditions []condition

type condition struct {
	Condition
	limit float64        // of an order, and of numbers
	re    *regexp.Regexp // of ~ and !~
}

// newConditions compiles what was asked for. numbers says that every value will
// be a number.
func newConditions(asked []Condition, numbers bool) (conditions, error) {
	var out conditions
	for _, a := range asked {
		c := condition{Condition: a}
		var err error
		switch a.Op {
		case "=", "!=":
			if numbers {
				c.limit, err = limit(a.Text)
			}
		case "<", "<=", ">", ">=":
			c.limit, err = limit(a.Text)
		case "~", "!~":
			if numbers {
				return nil, fmt.Errorf("condition: %s is for text, and the value is a number", a.Op)
			}
			c.re, err = regexp.Compile(a.Text)
		default:
			return nil, fmt.Errorf("condition: %q is not one of =, !=, <, <=, >, >=, ~, !~", a.Op)
		}
		if err != nil {
			return nil, fmt.Errorf("condition: %w", err)
		}
		out = append(out, c)
	}
	return out, nil
}

// limit is a number that a value can be compared with.
func limit(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return v, nil
}

// judge holds a text against the conditions. Of what the text says nothing gets
// into a failure but a number that is one.
func (cs conditions) judge(s string) failure {
	for i := range cs {
		c := &cs[i]
		var ok bool
		switch c.Op {
		case "=":
			ok = s == c.Text
		case "!=":
			ok = s != c.Text
		case "~":
			ok = c.re.MatchString(s)
		case "!~":
			ok = !c.re.MatchString(s)
		default:
			v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
			if err != nil || math.IsNaN(v) {
				return fail(ClassValue, "the value (%d bytes) is not a number, expected %s", len(s), c.brief())
			}
			if !c.holds(v) {
				return fail(ClassValue, "the value is %s, expected %s", figure(v), c.brief())
			}
			continue
		}
		if !ok {
			return fail(ClassValue, "the value (%d bytes) is not as expected: %s", len(s), c.brief())
		}
	}
	return failure{}
}

// hold says whether a number fulfils all conditions, and the first that it does
// not.
func (cs conditions) hold(v float64) (unfulfilled *condition, ok bool) {
	for i := range cs {
		if !cs[i].holds(v) {
			return &cs[i], false
		}
	}
	return nil, true
}

func (c *condition) holds(v float64) bool {
	if math.IsNaN(v) {
		return false
	}
	switch c.Op {
	case "=":
		return v == c.limit
	case "!=":
		return v != c.limit
	case "<":
		return v < c.limit
	case "<=":
		return v <= c.limit
	case ">":
		return v > c.limit
	case ">=":
		return v >= c.limit
	}
	return false
}

// brief is the condition in a Detail.
func (c *condition) brief() string { return oneLine(c.String(), 80) }

// figure is a number in a Detail: at most 24 bytes.
func figure(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// value is what a query or a command gave.
type value struct {
	text string
	null bool // there is a value, and it is NULL
	none bool // there is no value
}

func (cs conditions) judgeAnswer(a value) failure {
	switch {
	case len(cs) == 0:
		return failure{}
	case a.none:
		return fail(ClassValue, "the query gave no row, expected %s", cs[0].brief())
	case a.null:
		return fail(ClassValue, "the value is NULL, expected %s", cs[0].brief())
	}
	return cs.judge(a.text)
}

// Role is which part a server plays among its replicas.
type Role string

// The roles; the zero value is RoleAny.
const (
	RoleAny     Role = "any"
	RolePrimary Role = "primary"
	RoleReplica Role = "replica"
)

// asked is whether a role is to be judged; it fails for a word that is none.
func (r Role) asked() (bool, error) {
	switch r {
	case "", RoleAny:
		return false, nil
	case RolePrimary, RoleReplica:
		return true, nil
	}
	return false, fmt.Errorf("role: %q is not one of primary, replica, any", string(r))
}

// judge compares the role with what the server is.
func (r Role) judge(is Role) failure {
	if r == is || r == "" || r == RoleAny {
		return failure{}
	}
	return fail(ClassValue, "the server is a %s, expected a %s", is, r)
}
