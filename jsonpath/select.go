package jsonpath

import (
	"encoding/json"
	"errors"
	"strconv"
)

// ErrCost is that a search looked at more values than it was allowed to.
var ErrCost = errors.New("path: looks at too many values")

// Select gives the values that the path finds in root, in the order of the RFC as far
// as it has one: members of an object come in any order. root is what encoding/json
// makes of a document with UseNumber: map[string]any, []any, string, json.Number, bool
// or nil. Select fails with ErrCost after it looked at cost values.
func (p *Path) Select(root any, cost int) ([]any, error) {
	s := &search{root: root, left: cost}
	found := s.find(&p.query, root)
	if s.left < 0 {
		return nil, ErrCost
	}
	return found, nil
}

// search is one search. Once left is below zero it does nothing any more.
type search struct {
	root any
	left int
}

// spend counts a value that is looked at.
func (s *search) spend() bool {
	s.left--
	return s.left >= 0
}

func (s *search) find(q *query, current any) []any {
	at := []any{s.root}
	if q.relative {
		at[0] = current
	}
	for i := range q.segments {
		seg := &q.segments[i]
		var next []any
		for _, v := range at {
			if seg.descendant {
				next = s.descend(next, seg, v)
			} else {
				next = s.children(next, seg, v)
			}
		}
		if len(next) == 0 {
			return nil
		}
		at = next
	}
	return at
}

// descend selects from v and from everything below it.
func (s *search) descend(out []any, seg *segment, v any) []any {
	if !s.spend() {
		return nil
	}
	out = s.children(out, seg, v)
	for child := range s.each(v) {
		out = s.descend(out, seg, child)
	}
	return out
}

// each yields the elements of an array or the members' values of an object.
func (s *search) each(v any) func(yield func(any) bool) {
	return func(yield func(any) bool) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				if !s.spend() || !yield(e) {
					return
				}
			}
		case map[string]any:
			for _, e := range v {
				if !s.spend() || !yield(e) {
					return
				}
			}
		}
	}
}

// children appends what the selectors of seg take from v itself.
func (s *search) children(out []any, seg *segment, v any) []any {
	for i := range seg.selectors {
		if !s.spend() {
			return nil
		}
		sel := &seg.selectors[i]
		array, _ := v.([]any)
		switch sel.kind {
		case byName:
			if object, ok := v.(map[string]any); ok {
				if child, ok := object[sel.name]; ok {
					out = append(out, child)
				}
			}
		case byIndex:
			n := sel.index
			if n < 0 {
				n += int64(len(array))
			}
			if n >= 0 && n < int64(len(array)) {
				out = append(out, array[n])
			}
		case everything:
			for child := range s.each(v) {
				out = append(out, child)
			}
		case bySlice:
			out = s.slice(out, sel, array)
		case byFilter:
			for child := range s.each(v) {
				if sel.filter.holds(s, child) {
					out = append(out, child)
				}
			}
		}
	}
	return out
}

// slice is RFC 9535 section 2.3.4.2.
func (s *search) slice(out []any, sel *selector, array []any) []any {
	n := int64(len(array))
	if sel.step == 0 || n == 0 {
		return out
	}
	// bound is a stated bound, from the end where it is negative, within lo and hi.
	bound := func(stated *int64, def, lo, hi int64) int64 {
		if stated == nil {
			return def
		}
		b := *stated
		if b < 0 {
			b += n
		}
		return max(lo, min(b, hi))
	}
	if sel.step > 0 {
		for i, end := bound(sel.start, 0, 0, n), bound(sel.end, n, 0, n); i < end && s.spend(); i += sel.step {
			out = append(out, array[i])
		}
		return out
	}
	for i, end := bound(sel.start, n-1, -1, n-1), bound(sel.end, -1, -1, n-1); i > end && s.spend(); i += sel.step {
		out = append(out, array[i])
	}
	return out
}

// expression is what stands in a filter.
type expression interface {
	holds(s *search, current any) bool
}

type (
	anyOf  []expression
	allOf  []expression
	not    struct{ expression }
	exists struct{ *query }

	comparison struct {
		op          string
		left, right operand
	}

	// operand is a path, or a literal where there is none.
	operand struct {
		query   *query
		literal any
	}
)

func (es anyOf) holds(s *search, current any) bool {
	for _, e := range es {
		if e.holds(s, current) {
			return true
		}
	}
	return false
}

func (es allOf) holds(s *search, current any) bool {
	for _, e := range es {
		if !e.holds(s, current) {
			return false
		}
	}
	return true
}

func (n not) holds(s *search, current any) bool { return !n.expression.holds(s, current) }

func (e *exists) holds(s *search, current any) bool { return len(s.find(e.query, current)) > 0 }

func (c *comparison) holds(s *search, current any) bool {
	a, isA := c.left.value(s, current)
	b, isB := c.right.value(s, current)
	same := func() bool { return isA == isB && (!isA || s.equal(a, b)) }
	switch c.op {
	case "==":
		return same()
	case "!=":
		return !same()
	case "<":
		return isA && isB && less(a, b)
	case "<=":
		return isA && isB && less(a, b) || same()
	case ">":
		return isA && isB && less(b, a)
	}
	return isA && isB && less(b, a) || same()
}

func (o *operand) value(s *search, current any) (v any, is bool) {
	if o.query == nil {
		return o.literal, true
	}
	found := s.find(o.query, current)
	if len(found) != 1 {
		return nil, false
	}
	return found[0], true
}

// equal is whether two values are the same by RFC 9535 section 2.3.5.2.2.
func (s *search) equal(a, b any) bool {
	if !s.spend() {
		return false
	}
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && number(a) == number(b)
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !s.equal(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if w, ok := b[k]; !ok || !s.equal(v, w) {
				return false
			}
		}
		return true
	}
	switch b.(type) {
	case []any, map[string]any:
		return false // not comparable by Go's operator
	}
	return a == b
}

// less orders numbers and texts; nothing else has an order.
func less(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && number(a) < number(b)
	case string:
		b, ok := b.(string)
		return ok && a < b
	}
	return false
}

// number is the value of a number, infinite where it is too great for float64.
func number(n json.Number) float64 {
	f, _ := strconv.ParseFloat(string(n), 64)
	return f
}
