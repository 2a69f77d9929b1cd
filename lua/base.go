package lua

import (
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/yuin/gopher-lua"
)

// The functions of gopher-lua's own libraries that a script has. They end at once
// and take nothing that grows. What is not here, it has not.
var (
	baseNames = []string{
		"_VERSION", "getmetatable", "next", "rawequal", "rawget", "setmetatable", "type", "pcall", "xpcall",
		"select", "unpack",
	}
	mathNames = []string{
		"abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "deg", "exp", "floor", "fmod", "frexp",
		"huge", "ldexp", "log", "log10", "max", "min", "mod", "modf", "pi", "pow", "rad", "sin", "sinh", "sqrt",
		"tan", "tanh", "random",
	}
)

// entry is one of a library: a function, or a value.
type entry struct {
	name string
	f    lua.LGFunction
	v    lua.LValue
}

// borrowed are those of baseNames and mathNames. They are taken once: to open the
// libraries in each state would cost more than the run of a short script.
var borrowed = sync.OnceValues(func() (base, mathematics []entry) {
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	for _, lib := range []lua.LGFunction{lua.OpenBase, lua.OpenMath} {
		l.Push(l.NewFunction(lib))
		l.Call(0, 0)
	}
	globals := l.Get(lua.GlobalsIndex).(*lua.LTable)
	return entries(globals, baseNames), entries(globals.RawGetString("math").(*lua.LTable), mathNames)
})

func entries(t *lua.LTable, names []string) []entry {
	var out []entry
	for _, name := range names {
		e := entry{name: name, v: t.RawGetString(name)}
		if f, is := e.v.(*lua.LFunction); is {
			e.f, e.v = f.GFunction, nil
		}
		out = append(out, e)
	}
	return out
}

// library puts entries in a table.
func library(l *lua.LState, t *lua.LTable, all []entry) *lua.LTable {
	for _, e := range all {
		v := e.v
		if e.f != nil {
			v = l.NewFunction(e.f)
		}
		t.RawSetString(e.name, v)
	}
	return t
}

// open gives a state its libraries.
func open(l *lua.LState, m *meter) {
	base, mathematics := borrowed()
	globals := l.Get(lua.GlobalsIndex).(*lua.LTable)
	for _, e := range base {
		switch e.name {
		case "pcall", "xpcall":
			e.f = m.caught(e.f)
		case "next":
			e.f = m.next(e.f)
		case "unpack":
			e.f = m.unpack(e.f)
		}
		library(l, globals, []entry{e})
	}
	next := globals.RawGetString("next")
	library(l, globals, []entry{
		{"_G", nil, globals},
		{"math", nil, library(l, l.CreateTable(0, len(mathematics)), mathematics)},
		{"table", nil, library(l, l.CreateTable(0, 8), m.tables())},
		{"assert", m.assert, nil},
		{"error", m.raise, nil},
		{"rawset", m.rawset, nil},
		{"tonumber", tonumber, nil},
		{"tostring", m.tostring, nil},
		{"json_decode", m.jsonDecode, nil},
		// There is nowhere to print to; a script that was written elsewhere may.
		{"print", func(*lua.LState) int { return 0 }, nil},
		{"pairs", func(l *lua.LState) int {
			t := l.CheckTable(1)
			l.Push(next)
			l.Push(t)
			l.Push(lua.LNil)
			return 3
		}, nil},
	})
	item := l.NewFunction(nextItem)
	library(l, globals, []entry{{"ipairs", func(l *lua.LState) int {
		t := l.CheckTable(1)
		l.Push(item)
		l.Push(t)
		l.Push(lua.LNumber(0))
		return 3
	}, nil}})
	texts := library(l, l.CreateTable(0, 16), m.strings())
	texts.RawSetString("__index", texts)
	l.SetMetatable(lua.LString(""), texts)
	globals.RawSetString("string", texts)
}

// nextItem is what ipairs goes on by.
func nextItem(l *lua.LState) int {
	t, i := l.CheckTable(1), l.CheckInt(2)+1
	v := t.RawGetInt(i)
	if v == lua.LNil {
		return 0
	}
	l.Push(lua.LNumber(i))
	l.Push(v)
	return 2
}

// next counts what a step through a table passes over.
func (m *meter) next(f lua.LGFunction) lua.LGFunction {
	return func(l *lua.LState) int {
		from, numbered := 0, true
		if l.GetTop() > 1 && l.Get(2) != lua.LNil {
			var key lua.LNumber
			key, numbered = l.Get(2).(lua.LNumber)
			from = int(key)
		}
		n := f(l)
		if t := l.CheckTable(1); numbered {
			to := m.end(t)
			if key, is := l.Get(-n).(lua.LNumber); is {
				to = min(to, int(key))
			}
			m.pass(l, to-from)
		}
		// Of names that are not there any more nobody knows how many were passed.
		m.look()
		m.check(l)
		return n
	}
}

// unpack counts what it takes to find the end of an array.
func (m *meter) unpack(f lua.LGFunction) lua.LGFunction {
	return func(l *lua.LState) int {
		m.size(l, l.CheckTable(1))
		return f(l)
	}
}

// errorSteps are what an error costs: the interpreter writes down where it was.
const errorSteps = 200

// caught is pcall or xpcall, whose message is a new text.
func (m *meter) caught(f lua.LGFunction) lua.LGFunction {
	return func(l *lua.LState) int {
		n := f(l)
		m.check(l)
		if n == 2 && l.Get(-2) == lua.LFalse {
			m.work(l, errorSteps)
			if s, is := l.Get(-1).(lua.LString); is {
				m.take(l, len(s)+textBytes)
			}
		}
		return n
	}
}

func (m *meter) assert(l *lua.LState) int {
	if l.ToBool(1) {
		return l.GetTop()
	}
	msg := l.OptString(2, "assertion failed!")
	m.take(l, len(msg))
	l.RaiseError("%s", msg)
	return 0
}

func (m *meter) raise(l *lua.LState) int {
	v := l.Get(1)
	if s, is := v.(lua.LString); is {
		m.take(l, len(s))
	}
	l.Error(v, l.OptInt(2, 1))
	return 0
}

func (m *meter) rawset(l *lua.LState) int {
	t := l.CheckTable(1)
	m.put(l, t, l.CheckAny(2), l.CheckAny(3))
	l.SetTop(1)
	return 1
}

func (m *meter) tostring(l *lua.LState) int {
	switch v := l.CheckAny(1).(type) {
	case lua.LString:
		l.Push(v)
	case *lua.LTable, *lua.LFunction, *lua.LUserData:
		if l.GetMetaField(v, "__tostring") != lua.LNil {
			l.Push(l.ToStringMeta(v))
			break
		}
		// The interpreter would say where it is in memory.
		l.Push(lua.LString(v.Type().String()))
	default:
		m.text(l, v.String())
	}
	return 1
}

// tonumber is that of Lua 5.1: decimal and hexadecimal, or in a base from 2 to 36.
func tonumber(l *lua.LState) int {
	base := l.OptInt(2, 10)
	if base < 2 || base > 36 {
		l.ArgError(2, "base out of range")
	}
	out := lua.LValue(lua.LNil)
	switch v := l.CheckAny(1).(type) {
	case lua.LNumber:
		out = v
	case lua.LString:
		if n, ok := number(string(v), base); ok {
			out = lua.LNumber(n)
		}
	}
	l.Push(out)
	return 1
}

// maxDigits is longer than any number that is meant.
const maxDigits = 1000

func number(s string, base int) (float64, bool) {
	s = strings.Trim(s, " \t\n\v\f\r")
	if s == "" || len(s) > maxDigits || strings.Contains(s, "_") {
		return 0, false
	}
	sign := 1.0
	digits := s
	if rest, minus := strings.CutPrefix(s, "-"); minus {
		sign, digits = -1, rest
	}
	hex := strings.HasPrefix(digits, "0x") || strings.HasPrefix(digits, "0X")
	if hex && (base == 10 || base == 16) {
		digits, base = digits[2:], 16
	}
	if base != 10 {
		n, err := strconv.ParseUint(digits, base, 64)
		return sign * float64(n), err == nil
	}
	// Go knows words and hexadecimal fractions besides.
	if strings.ContainsAny(s, "xXpPiInN") {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil || math.IsInf(n, 0)
}
