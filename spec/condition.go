package spec

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/spec/document"
)

// Condition is what a value must be: an operator (= != < <= > >= ~ !~), and a text,
// a number or a regular expression, as the operator has it.
type Condition struct{ Op, Text string }

// operators, the longer ones first.
var operators = []string{"!=", "<=", ">=", "!~", "=", "<", ">", "~"}

// conditionShape is a condition as the reference has it.
const conditionShape = "condition or list"

// conditionDoc says what may be expected of a text.
const conditionDoc = "`ok` or `= ok` is that text, `!= ok` another one; `< 30`, `<= 30`, `> 30` and `>= 30` compare numbers; `~ ^ok` is a regular expression that is found in it, `!~ ^ok` one that is not. Of a list all must hold. See [Conditions](health.md#conditions)."

// conditions decodes what is expected of a value; numbers says that the value will
// be one. Nil when the key is not stated.
func (d *decoder) conditions(o *object, name string, numbers bool) []Condition {
	e := o.get(name)
	if e == nil {
		return nil
	}
	p := o.path.dot(name)
	if e.val().Kind() != document.Sequence {
		c, _ := d.condition(e.val(), p, numbers)
		return []Condition{c}
	}
	items := d.list(e.val(), p)
	if len(items) == 0 {
		d.fail(e.val(), p, "the list is empty: state at least one condition")
	}
	var out []Condition
	for i, it := range items {
		if c, ok := d.condition(it, p.at(i), numbers); ok {
			out = append(out, c)
		}
	}
	return out
}

func (d *decoder) condition(r document.Node, p *path, numbers bool) (Condition, bool) {
	s, ok := d.text(r, p)
	if !ok {
		return Condition{}, false
	}
	c := Condition{Op: "=", Text: s}
	for _, op := range operators {
		if rest, is := strings.CutPrefix(s, op); is {
			// One space belongs to the operator; a text may begin with more.
			c = Condition{Op: op, Text: strings.TrimPrefix(rest, " ")}
			break
		}
	}
	switch c.Op {
	case "~", "!~":
		if numbers {
			d.fail(r, p, "the value is a number: compare it with =, !=, <, <=, > or >=")
			return c, false
		}
		if _, err := regexp.Compile(c.Text); err != nil {
			d.fail(r, p, "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
			return c, false
		}
	case "=", "!=":
		if !numbers {
			break
		}
		fallthrough
	default:
		c.Text = strings.TrimSpace(c.Text)
		if v, err := strconv.ParseFloat(c.Text, 64); err != nil || math.IsNaN(v) {
			d.fail(r, p, "a number is expected behind %s, not %q: write for example %s 30", c.Op, c.Text, c.Op)
			return c, false
		}
	}
	return c, true
}
