package lua

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/yuin/gopher-lua"
)

// strings is the library "string", but for dump.
func (m *meter) strings() []entry {
	return []entry{
		{"byte", stringByte, nil},
		{"char", m.stringChar, nil},
		{"format", m.stringFormat, nil},
		{"len", stringLen, nil},
		{"lower", m.mapped(bytes.ToLower), nil},
		{"upper", m.mapped(bytes.ToUpper), nil},
		{"reverse", m.mapped(reversed), nil},
		{"rep", m.stringRep, nil},
		{"sub", stringSub, nil},
		{"find", m.stringFind, nil},
		{"match", m.stringMatch, nil},
		{"gmatch", m.stringGmatch, nil},
		{"gfind", m.stringGmatch, nil},
		{"gsub", m.stringGsub, nil},
	}
}

// bounds are the first byte, from 0, and the one after the last of s[i..j] as Lua
// counts: from 1, and from the end when negative.
func bounds(size, i, j int) (from, to int) {
	if i < 0 {
		i = max(size+i+1, 1)
	}
	if j < 0 {
		j = size + j + 1
	}
	i, j = max(i, 1), min(j, size)
	if i > j {
		return 0, 0
	}
	return i - 1, j
}

func stringByte(l *lua.LState) int {
	s := l.CheckString(1)
	i := l.OptInt(2, 1)
	from, to := bounds(len(s), i, l.OptInt(3, i))
	for k := from; k < to; k++ {
		l.Push(lua.LNumber(s[k]))
	}
	return to - from
}

func stringLen(l *lua.LState) int {
	l.Push(lua.LNumber(len(l.CheckString(1))))
	return 1
}

func stringSub(l *lua.LState) int {
	s := l.CheckString(1)
	from, to := bounds(len(s), l.CheckInt(2), l.OptInt(3, -1))
	l.Push(lua.LString(s[from:to]))
	return 1
}

func (m *meter) stringChar(l *lua.LState) int {
	b := make([]byte, l.GetTop())
	for i := range b {
		c := l.CheckInt(i + 1)
		if c < 0 || c > 255 {
			l.ArgError(i+1, "invalid value")
		}
		b[i] = byte(c)
	}
	m.text(l, string(b))
	return 1
}

func reversed(s []byte) []byte {
	for i, j := 0, len(s)-1; i < j; i, j = i+1, j-1 {
		s[i], s[j] = s[j], s[i]
	}
	return s
}

func (m *meter) mapped(f func([]byte) []byte) lua.LGFunction {
	return func(l *lua.LState) int {
		s := l.CheckString(1)
		m.fits(l, len(s))
		l.Push(lua.LString(f([]byte(s))))
		return 1
	}
}

func (m *meter) stringRep(l *lua.LState) int {
	s, n := l.CheckString(1), max(l.CheckInt(2), 0)
	if len(s) > 0 && n > maxString/len(s) {
		n = maxString/len(s) + 1
	}
	if s == "" {
		n = 0
	}
	m.fits(l, n*len(s))
	l.Push(lua.LString(strings.Repeat(s, n)))
	return 1
}

// maxWidth is of a field, as in the original: two digits.
const maxWidth = 99

func (m *meter) stringFormat(l *lua.LState) int {
	f := l.CheckString(1)
	var b strings.Builder
	arg := 1
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			b.WriteByte(f[i])
			continue
		}
		if i++; i < len(f) && f[i] == '%' {
			b.WriteByte('%')
			continue
		}
		from := i
		for i < len(f) && strings.IndexByte("-+ #0", f[i]) >= 0 {
			i++
		}
		flags := f[from:i]
		width, next := digits(f, i)
		precision := -1
		if i = next; i < len(f) && f[i] == '.' {
			precision, i = digits(f, i+1)
			precision = max(precision, 0)
		}
		if i >= len(f) || len(flags) > 5 || width > maxWidth || precision > maxWidth {
			l.RaiseError("invalid conversion in the format")
		}
		arg++
		m.work(l, 1)
		s := m.conversion(l, arg, directive{flags, width, precision, f[i]})
		if b.Len()+len(s) > maxString {
			m.fits(l, maxString+1)
		}
		b.WriteString(s)
	}
	m.text(l, b.String())
	return 1
}

// digits is the number at f[i:] and where it ends; -1 for none.
func digits(f string, i int) (n, next int) {
	from := i
	for i < len(f) && f[i] >= '0' && f[i] <= '9' && i-from < 3 {
		i++
	}
	n, err := strconv.Atoi(f[from:i])
	if err != nil {
		return -1, i
	}
	return n, i
}

// directive is one of a format: %-5.3d.
type directive struct {
	flags            string
	width, precision int // -1: not stated
	verb             byte
}

// of is the directive for Go's fmt, with another verb.
func (d directive) of(verb string) string {
	s := "%" + d.flags
	if d.width >= 0 {
		s += strconv.Itoa(d.width)
	}
	if d.precision >= 0 {
		s += "." + strconv.Itoa(d.precision)
	}
	return s + verb
}

func (m *meter) conversion(l *lua.LState, arg int, d directive) string {
	switch d.verb {
	case 'c':
		return string([]byte{byte(l.CheckInt(arg))})
	case 'd', 'i':
		return fmt.Sprintf(d.of("d"), whole(l, arg))
	case 'u':
		return fmt.Sprintf(d.of("d"), uint64(whole(l, arg)))
	case 'o', 'x', 'X':
		return fmt.Sprintf(d.of(string(d.verb)), uint64(whole(l, arg)))
	case 'e', 'E', 'f', 'F', 'g', 'G':
		if d.precision < 0 {
			d.precision = 6
		}
		return fmt.Sprintf(d.of(string(d.verb)), float64(l.CheckNumber(arg)))
	case 's':
		v := l.CheckAny(arg)
		s, is := v.(lua.LString)
		if !is {
			l.Push(l.NewFunction(m.tostring))
			l.Push(v)
			l.Call(1, 1)
			s = lua.LString(lua.LVAsString(l.Get(-1)))
			l.Pop(1)
		}
		m.work(l, len(s)/64)
		return fmt.Sprintf(d.of("s"), string(s))
	case 'q':
		s := l.CheckString(arg)
		m.work(l, len(s)/64)
		return quoted(s)
	}
	l.RaiseError("invalid conversion in the format")
	return ""
}

// whole is a number without its fraction, as C converts it where it fits.
func whole(l *lua.LState, arg int) int64 {
	n := float64(l.CheckNumber(arg))
	switch {
	case n != n:
		return 0
	case n >= math.MaxInt64:
		return math.MaxInt64
	case n <= math.MinInt64:
		return math.MinInt64
	}
	return int64(n)
}

// quoted is s as the interpreter could read it.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\', '\n':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\r':
			b.WriteString(`\r`)
		case 0:
			b.WriteString(`\000`)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
