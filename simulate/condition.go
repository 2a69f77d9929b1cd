package simulate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Condition is a condition on a result, and what came of it.
type Condition struct {
	Text  string `json:"condition"`
	Holds bool   `json:"holds"`
}

// Fault is what is wrong with a condition, and where.
type Fault struct {
	Text string // the condition
	At   int    // offset in bytes
	Why  string
}

func (f *Fault) Error() string {
	return fmt.Sprintf("%q: column %d: %s", f.Text, utf8.RuneCountInString(f.Text[:f.At])+1, f.Why)
}

// Caret is the condition, and a line that points at the fault.
func (f *Fault) Caret() string {
	line := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, f.Text)
	return line + "\n" + strings.Repeat(" ", utf8.RuneCountInString(f.Text[:f.At])) + "^"
}

// Expression is a condition that has been read:
//
//	or         = and { "or" and }
//	and        = not { "and" not }
//	not        = "not" not | "(" or ")" | value operator value
//	operator   = ">" | ">=" | "<" | "<=" | "==" | "!="
//	value      = [ "-" ] number [ "%" ] | measure
//	measure    = word { "." ( word | string ) }
//
// The measures are those of Result; see measures.
type Expression struct {
	text string
	root node
}

// node is a part of an expression.
type node interface {
	holds(e *evaluation) (bool, error)
}

type evaluation struct {
	text   string
	result *Result
}

func (e *evaluation) fault(at int, format string, args ...any) error {
	return &Fault{e.text, at, fmt.Sprintf(format, args...)}
}

type both struct{ a, b node }

func (n both) holds(e *evaluation) (bool, error) {
	a, err := n.a.holds(e)
	if err != nil {
		return false, err
	}
	b, err := n.b.holds(e) // also when a decides: what is wrong with it is to be seen
	return a && b, err
}

type either struct{ a, b node }

func (n either) holds(e *evaluation) (bool, error) {
	a, err := n.a.holds(e)
	if err != nil {
		return false, err
	}
	b, err := n.b.holds(e)
	return a || b, err
}

type no struct{ of node }

func (n no) holds(e *evaluation) (bool, error) {
	v, err := n.of.holds(e)
	return !v, err
}

type comparison struct {
	a, b value
	op   string
}

func (n comparison) holds(e *evaluation) (bool, error) {
	a, err := n.a.of(e)
	if err != nil {
		return false, err
	}
	b, err := n.b.of(e)
	if err != nil {
		return false, err
	}
	switch n.op {
	case ">":
		return a > b, nil
	case ">=":
		return a >= b, nil
	case "<":
		return a < b, nil
	case "<=":
		return a <= b, nil
	case "==":
		return a == b, nil
	}
	return a != b, nil
}

// value is a number, or a measure with its words and where they stand.
type value struct {
	number float64
	words  []word
}

type word struct {
	text string
	at   int
}

// ParseCondition reads a condition. The error is a *Fault.
func ParseCondition(text string) (*Expression, error) {
	p := parser{text: text}
	p.next()
	root := p.or()
	if p.fault == nil && p.token != "" {
		p.fail(`"and", "or" or the end is expected, not %q`, p.token)
	}
	if p.fault != nil {
		return nil, p.fault
	}
	return &Expression{text, root}, nil
}

// Check says whether the condition holds for a result, and notes it there. The
// error is a *Fault, of names and measures that the result does not have.
func (x *Expression) Check(r *Result) (bool, error) {
	holds, err := x.root.holds(&evaluation{x.text, r})
	if err != nil {
		return false, err
	}
	r.Conditions = append(r.Conditions, Condition{x.text, holds})
	return holds, nil
}

// parser reads an expression. With a fault it has come to its end.
type parser struct {
	text  string
	at    int    // of the token
	end   int    // behind it
	token string // "" at the end
	depth int
	fault *Fault
}

func (p *parser) fail(format string, args ...any) {
	if p.fault == nil {
		p.fault = &Fault{p.text, min(p.at, len(p.text)), fmt.Sprintf(format, args...)}
	}
	p.token, p.end = "", len(p.text)
}

// next reads the next token: a word, a number, a string in quotes as it stands, or
// an operator.
func (p *parser) next() {
	rest := strings.TrimLeft(p.text[p.end:], " \t")
	p.at = len(p.text) - len(rest)
	if rest == "" {
		p.token, p.end = "", len(p.text)
		return
	}
	size := 0
	switch c := rest[0]; {
	case letter(c):
		for size < len(rest) && (letter(rest[size]) || digit(rest[size]) || rest[size] == '-') {
			size++
		}
	case digit(c), c == '-' && len(rest) > 1 && digit(rest[1]):
		size = 1
		for size < len(rest) && (digit(rest[size]) || rest[size] == '.') {
			size++
		}
	case c == '"':
		end := strings.IndexByte(rest[1:], '"')
		if end < 0 {
			p.fail("the string has no end")
			return
		}
		size = end + 2
	case strings.IndexByte("<>=!", c) >= 0:
		size = 1
		if len(rest) > 1 && rest[1] == '=' {
			size = 2
		}
	default:
		_, size = utf8.DecodeRuneInString(rest)
	}
	p.token, p.end = rest[:size], p.at+size
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }
func digit(c byte) bool  { return c >= '0' && c <= '9' }

// maxDepth is how deep an expression may be nested.
const maxDepth = 100

func (p *parser) or() node {
	n := p.and()
	for p.token == "or" {
		p.next()
		n = either{n, p.and()}
	}
	return n
}

func (p *parser) and() node {
	n := p.not()
	for p.token == "and" {
		p.next()
		n = both{n, p.not()}
	}
	return n
}

func (p *parser) not() node {
	if p.depth++; p.depth > maxDepth {
		p.fail("it is nested too deep")
	}
	defer func() { p.depth-- }()
	switch p.token {
	case "not":
		p.next()
		return no{p.not()}
	case "(":
		p.next()
		n := p.or()
		if p.token != ")" {
			p.fail(`")" is expected`)
		}
		p.next()
		return n
	}
	a := p.value()
	op := p.token
	switch op {
	case ">", ">=", "<", "<=", "==", "!=":
		p.next()
	case "=":
		p.fail(`"==" is expected for what is to be equal`)
	default:
		p.fail("a comparison is expected: >, >=, <, <=, == or !=")
	}
	return comparison{a, p.value(), op}
}

func (p *parser) value() (v value) {
	switch {
	case p.token != "" && digit(p.token[len(p.token)-1]) && !letter(p.token[0]):
		var err error
		if v.number, err = strconv.ParseFloat(p.token, 64); err != nil {
			p.fail("%q is no number", p.token)
		}
		p.next()
		if p.token == "%" {
			v.number /= 100
			p.next()
		}
	case p.token != "" && letter(p.token[0]) && !slices.Contains(keywords, p.token):
		v.words = p.measure()
	default:
		p.fail("a number such as 0.6 or 60%% is expected, or a measure: %s", known)
	}
	return v
}

var keywords = []string{"and", "or", "not"}

// measure reads words with dots between them.
func (p *parser) measure() (words []word) {
	for {
		w := word{p.token, p.at}
		switch {
		case p.token != "" && p.token[0] == '"':
			w.text = p.token[1 : len(p.token)-1]
		case p.token == "" || !letter(p.token[0]):
			p.fail(`a name is expected; one with other characters than letters, digits, "-" and "_" stands in quotes`)
			return words
		}
		words = append(words, w)
		if len(words) == 1 && measures[w.text] == nil && named[w.text] == nil {
			p.fail("there is no measure %q: they are %s", w.text, known)
			return words
		}
		p.next()
		if p.token != "." {
			return words
		}
		p.next()
	}
}
