package lua

import (
	"sort"
	"strings"

	"github.com/yuin/gopher-lua"
)

// tables is the library "table".
func (m *meter) tables() []entry {
	return []entry{
		{"concat", m.tableConcat, nil},
		{"insert", m.tableInsert, nil},
		{"remove", m.tableRemove, nil},
		{"sort", m.tableSort, nil},
		{"getn", m.tableLen, nil},
		{"maxn", m.tableMax, nil},
	}
}

func (m *meter) tableLen(l *lua.LState) int {
	l.Push(lua.LNumber(m.size(l, l.CheckTable(1))))
	return 1
}

func (m *meter) tableMax(l *lua.LState) int {
	t := l.CheckTable(1)
	n := t.MaxN()
	m.pass(l, m.end(t)-n)
	l.Push(lua.LNumber(n))
	return 1
}

func (m *meter) tableConcat(l *lua.LState) int {
	t, sep := l.CheckTable(1), l.OptString(2, "")
	from, to := l.OptInt(3, 1), l.OptInt(4, m.size(l, t))
	var b strings.Builder
	for i := from; i <= to; i++ {
		m.work(l, 1)
		v := t.RawGetInt(i)
		if !lua.LVCanConvToString(v) {
			l.RaiseError("invalid value (%s) at index %d in table for concat", v.Type(), i)
		}
		s := lua.LVAsString(v)
		m.fits(l, len(s)+len(sep))
		if b.Len()+len(s)+len(sep) > maxString {
			m.fits(l, maxString+1)
		}
		b.WriteString(s)
		if i < to {
			b.WriteString(sep)
		}
	}
	l.Push(lua.LString(b.String()))
	return 1
}

func (m *meter) tableInsert(l *lua.LState) int {
	t := l.CheckTable(1)
	n := m.size(l, t)
	pos, v := n+1, l.Get(2)
	switch l.GetTop() {
	case 2:
	case 3:
		pos, v = l.CheckInt(2), l.Get(3)
		if pos < 1 || pos > n+1 {
			l.ArgError(2, "position out of bounds")
		}
	default:
		l.RaiseError("wrong number of arguments to 'insert'")
	}
	m.take(l, indexBytes)
	m.work(l, (n-pos)/16)
	if v == lua.LNil {
		m.emptied(l, t, n+1)
	}
	if pos > n {
		// Behind the last value there may be an array of nothing.
		t.RawSetInt(pos, v)
		return 0
	}
	t.Insert(pos, v)
	return 0
}

func (m *meter) tableRemove(l *lua.LState) int {
	t := l.CheckTable(1)
	n := m.size(l, t)
	pos := l.OptInt(2, n)
	if n == 0 || pos < 1 || pos > n {
		l.Push(lua.LNil)
		return 1
	}
	m.work(l, (n-pos)/16)
	l.Push(t.Remove(pos))
	return 1
}

// sorter sorts the values of an array. The interpreter stops it by a panic of its
// own where the script is to stop.
type sorter struct {
	m    *meter
	l    *lua.LState
	t    *lua.LTable
	less *lua.LFunction // nil: by their own order
	n    int
}

func (s *sorter) Len() int { return s.n }

func (s *sorter) Swap(i, j int) {
	a, b := s.t.RawGetInt(i+1), s.t.RawGetInt(j+1)
	s.t.RawSetInt(i+1, b)
	s.t.RawSetInt(j+1, a)
}

func (s *sorter) Less(i, j int) bool {
	a, b := s.t.RawGetInt(i+1), s.t.RawGetInt(j+1)
	if s.less != nil {
		s.m.work(s.l, 1)
		s.l.Push(s.less)
		s.l.Push(a)
		s.l.Push(b)
		s.l.Call(2, 1)
		v := lua.LVAsBool(s.l.Get(-1))
		s.l.Pop(1)
		return v
	}
	if x, is := a.(lua.LString); is {
		if y, is := b.(lua.LString); is {
			s.m.work(s.l, 1+min(len(x), len(y))/64)
			return x < y
		}
	}
	s.m.work(s.l, 1)
	return s.l.LessThan(a, b)
}

func (m *meter) tableSort(l *lua.LState) int {
	s := &sorter{m: m, l: l, t: l.CheckTable(1)}
	if l.GetTop() > 1 {
		s.less = l.CheckFunction(2)
	}
	s.n = m.size(l, s.t)
	sort.Sort(s)
	return 0
}
