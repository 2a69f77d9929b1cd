package lua

import (
	"strings"

	"github.com/yuin/gopher-lua"
)

// matching readies a search for a pattern, the second argument.
func (m *meter) matching(l *lua.LState) *match {
	return &match{m: m, text: l.CheckString(1), pattern: l.CheckString(2)}
}

// check raises what a search has failed with.
func (s *match) check(l *lua.LState) {
	if s.err != nil {
		s.m.check(l)
		l.RaiseError("%s", s.err)
	}
}

// captured is capture k, of a match without captures all of it.
func (s *match) captured(l *lua.LState, k, begin, end int) lua.LValue {
	if k == 0 && s.level == 0 {
		return lua.LString(s.text[begin:end])
	}
	if k >= s.level || s.captures[k].size == unfinished {
		l.RaiseError("%s", errCapture)
	}
	c := s.captures[k]
	if c.size == placeOnly {
		return lua.LNumber(c.at + 1)
	}
	return lua.LString(s.text[c.at : c.at+c.size])
}

// push pushes all captures.
func (s *match) push(l *lua.LState, begin, end int) int {
	n := max(s.level, 1)
	s.m.take(l, n*textBytes)
	for k := range n {
		l.Push(s.captured(l, k, begin, end))
	}
	return n
}

// start is the first byte to search from, from 0; past the end there is nothing.
func start(l *lua.LState, text string) int {
	i := l.OptInt(3, 1)
	if i < 0 {
		i = max(len(text)+i+1, 1)
	}
	return max(i, 1) - 1
}

func (m *meter) stringFind(l *lua.LState) int {
	s := m.matching(l)
	i := start(l, s.text)
	if i > len(s.text) {
		l.Push(lua.LNil)
		return 1
	}
	if l.ToBool(4) || !strings.ContainsAny(s.pattern, "^$*+?.([%-") {
		m.work(l, (len(s.text)-i)/16)
		at := strings.Index(s.text[i:], s.pattern)
		if at < 0 {
			l.Push(lua.LNil)
			return 1
		}
		l.Push(lua.LNumber(i + at + 1))
		l.Push(lua.LNumber(i + at + len(s.pattern)))
		return 2
	}
	begin, end := s.from(i)
	s.check(l)
	if begin < 0 {
		l.Push(lua.LNil)
		return 1
	}
	l.Push(lua.LNumber(begin + 1))
	l.Push(lua.LNumber(end))
	if s.level == 0 {
		return 2
	}
	return 2 + s.push(l, begin, end)
}

func (m *meter) stringMatch(l *lua.LState) int {
	s := m.matching(l)
	i := start(l, s.text)
	if i > len(s.text) {
		l.Push(lua.LNil)
		return 1
	}
	begin, end := s.from(i)
	s.check(l)
	if begin < 0 {
		l.Push(lua.LNil)
		return 1
	}
	return s.push(l, begin, end)
}

func (m *meter) stringGmatch(l *lua.LState) int {
	s := m.matching(l)
	m.take(l, closureBytes+maxCaptures*16)
	i := 0
	l.Push(l.NewFunction(func(l *lua.LState) int {
		if i > len(s.text) {
			return 0
		}
		begin, end := s.from(i)
		s.check(l)
		if begin < 0 {
			i = len(s.text) + 1
			return 0
		}
		if i = end; begin == end {
			i++
		}
		return s.push(l, begin, end)
	}))
	return 1
}

func (m *meter) stringGsub(l *lua.LState) int {
	s := m.matching(l)
	by := l.CheckAny(3)
	switch by.(type) {
	case lua.LString, lua.LNumber, *lua.LTable, *lua.LFunction:
	default:
		l.ArgError(3, "string/function/table expected")
	}
	most := l.OptInt(4, len(s.text)+1)
	anchored := strings.HasPrefix(s.pattern, "^")
	p := 0
	if anchored {
		p = 1
	}
	var b strings.Builder
	n, i := 0, 0
	for n < most {
		s.level = 0
		end := s.at(i, p)
		s.check(l)
		if end >= 0 {
			n++
			m.replace(l, &b, s, by, i, end)
		}
		switch {
		case end > i:
			i = end
		case i < len(s.text):
			b.WriteByte(s.text[i])
			i++
		default:
			i++
		}
		if i > len(s.text) || anchored {
			break
		}
	}
	if i < len(s.text) {
		b.WriteString(s.text[i:])
	}
	m.text(l, b.String())
	l.Push(lua.LNumber(n))
	return 2
}

// replace appends what stands for a match.
func (m *meter) replace(l *lua.LState, b *strings.Builder, s *match, by lua.LValue, begin, end int) {
	var v lua.LValue
	switch by := by.(type) {
	case *lua.LTable:
		v = l.GetTable(by, s.captured(l, 0, begin, end))
	case *lua.LFunction:
		l.Push(by)
		n := s.push(l, begin, end)
		l.Call(n, 1)
		v = l.Get(-1)
		l.Pop(1)
	default:
		v = lua.LString(s.expand(l, lua.LVAsString(by), begin, end, maxString-b.Len()))
	}
	text := s.text[begin:end]
	switch {
	case lua.LVCanConvToString(v):
		text = lua.LVAsString(v)
	case lua.LVAsBool(v):
		l.RaiseError("invalid replacement value (a %s)", v.Type())
	}
	if b.Len()+len(text) > maxString {
		m.fits(l, maxString+1)
	}
	m.work(l, 1+len(text)/64)
	b.WriteString(text)
}

// expand is a replacement with its %0 to %9, in at most so many bytes.
func (s *match) expand(l *lua.LState, by string, begin, end, most int) string {
	if !strings.Contains(by, "%") {
		return by
	}
	var b strings.Builder
	for i := 0; i < len(by); i++ {
		c := by[i]
		if c == '%' && i+1 < len(by) {
			i++
			switch c = by[i]; {
			case c == '0':
				b.WriteString(s.text[begin:end])
			case digit(c):
				b.WriteString(lua.LVAsString(s.captured(l, int(c-'1'), begin, end)))
			default:
				b.WriteByte(c)
			}
		} else {
			b.WriteByte(c)
		}
		if b.Len() > most {
			s.m.fits(l, maxString+1)
		}
	}
	s.m.work(l, b.Len()/64)
	return b.String()
}
