package lua

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/yuin/gopher-lua"
)

// Function is one that a script may call. Arguments and results are nil, bool,
// float64 or string; an argument that is something else comes as nil. It ends
// when the context does, which is that of the run.
type Function func(ctx context.Context, args []any) []any

// World is what a script has besides the libraries.
type World struct {
	// Values are its variables: nil, bool, float64, string, or a table of such by
	// name as map[string]any.
	Values    map[string]any
	Functions map[string]Function
}

// Error is how a script failed.
type Error struct {
	// Line counts from 1; 0 is not known.
	Line int
	// Msg is what the script, or the interpreter, says: the script's words.
	Msg string
	// Stopped is why it was stopped: ErrSteps, ErrMemory or the error of the
	// context. Nil: it failed by itself.
	Stopped error
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d: %s", e.Line, e.Msg)
	}
	return e.Msg
}

func (e *Error) Unwrap() error { return e.Stopped }

// Run runs the program with a state of its own. Results are what the script
// returned: nil, bool, float64, string, or for anything else the empty struct.
// Every error is an *Error.
func (p *Program) Run(ctx context.Context, w World) (results []any, err error) {
	m := newMeter(ctx)
	if m.look(); m.why != nil {
		return nil, &Error{Msg: m.why.Error(), Stopped: m.why}
	}
	l := lua.NewState(lua.Options{
		CallStackSize: maxCalls, MinimizeStackMemory: true,
		RegistrySize: stackSize, RegistryGrowStep: stackStep, RegistryMaxSize: maxStack,
		SkipOpenLibs: true,
	})
	defer l.Close()
	open(l, m)
	for name, v := range w.Values {
		l.SetGlobal(name, m.value(l, v))
	}
	for name, f := range w.Functions {
		l.SetGlobal(name, l.NewFunction(m.function(f)))
	}
	l.SetContext(m)

	l.Push(l.NewFunctionFromProto(p.proto))
	for _, f := range m.hooks() {
		l.Push(l.NewFunction(f))
	}
	if err := l.PCall(len(hooks), lua.MultRet, nil); err != nil {
		return nil, m.failed(err)
	}
	if m.why != nil {
		return nil, &Error{Msg: m.why.Error(), Stopped: m.why}
	}
	for i := 1; i <= min(l.GetTop(), maxResults); i++ {
		v, ok := plain(l.Get(i))
		if !ok {
			v = struct{}{}
		}
		results = append(results, v)
	}
	return results, nil
}

// maxResults is more than anybody looks at.
const maxResults = 4

// failed is an error of the interpreter in our words.
func (m *meter) failed(err error) error {
	msg := "an error that is no text"
	var at *lua.ApiError
	if errors.As(err, &at) {
		switch o := at.Object.(type) {
		case lua.LString:
			msg = string(o)
		case lua.LNumber:
			msg = o.String()
		}
	}
	e := &Error{Msg: msg, Stopped: m.why}
	// The place stands in front: "script:3: what happened".
	if rest, found := strings.CutPrefix(msg, chunkName+":"); found {
		if line, said, found := strings.Cut(rest, ": "); found {
			if n, err := strconv.Atoi(line); err == nil {
				e.Line, e.Msg = n, said
			}
		}
	}
	if m.why != nil {
		e.Msg = m.why.Error()
	}
	return e
}

// function is one of ours as the interpreter has them.
func (m *meter) function(f Function) lua.LGFunction {
	return func(l *lua.LState) int {
		args := make([]any, min(l.GetTop(), maxArgs))
		for i := range args {
			args[i], _ = plain(l.Get(i + 1))
		}
		results := f(m.ctx, args)
		// It may have used up the time.
		m.look()
		m.check(l)
		for _, r := range results {
			if s, is := r.(string); is {
				m.fits(l, len(s))
			}
			l.Push(m.value(l, r))
		}
		return len(results)
	}
}

const maxArgs = 16

// plain is a value of the interpreter as one of ours.
func plain(v lua.LValue) (any, bool) {
	switch v := v.(type) {
	case *lua.LNilType:
		return nil, true
	case lua.LBool:
		return bool(v), true
	case lua.LNumber:
		return float64(v), true
	case lua.LString:
		return string(v), true
	}
	return nil, false
}

// value is one of ours as the interpreter has it.
func (m *meter) value(l *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case bool:
		return lua.LBool(v)
	case float64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	case map[string]any:
		t := l.NewTable()
		for name, v := range v {
			t.RawSetString(name, m.value(l, v))
		}
		return t
	}
	return lua.LNil
}

// hooks are the functions in the order of the names hooks.
func (m *meter) hooks() []lua.LGFunction {
	return []lua.LGFunction{m.concat, m.table, m.spread, m.set, m.made, m.rest, m.length}
}

func (m *meter) concat(l *lua.LState) int {
	n := l.GetTop()
	right := l.Get(n)
	for i := n - 1; i >= 1; {
		left := l.Get(i)
		if !lua.LVCanConvToString(left) || !lua.LVCanConvToString(right) {
			right = m.concatMeta(l, left, right)
			i--
			continue
		}
		// All that are texts, at once.
		parts, size := []string{lua.LVAsString(right)}, 0
		for ; i >= 1 && lua.LVCanConvToString(l.Get(i)); i-- {
			parts = append(parts, lua.LVAsString(l.Get(i)))
		}
		for _, s := range parts {
			size += len(s)
		}
		m.fits(l, size)
		var b strings.Builder
		b.Grow(size)
		for k := len(parts) - 1; k >= 0; k-- {
			b.WriteString(parts[k])
		}
		right = lua.LString(b.String())
	}
	l.Push(right)
	return 1
}

// concatMeta is left .. right by the metamethod of one of them.
func (m *meter) concatMeta(l *lua.LState, left, right lua.LValue) lua.LValue {
	op := l.GetMetaField(left, "__concat")
	if op == lua.LNil {
		op = l.GetMetaField(right, "__concat")
	}
	if op == lua.LNil {
		bad := left
		if lua.LVCanConvToString(left) {
			bad = right
		}
		l.RaiseError("attempt to concatenate a %s value", bad.Type())
	}
	l.Push(op)
	l.Push(left)
	l.Push(right)
	l.Call(2, 1)
	v := l.Get(-1)
	l.Pop(1)
	return v
}

func (m *meter) table(l *lua.LState) int {
	t, n := l.CheckTable(1), l.CheckInt(2)
	m.take(l, n)
	for i := 3; i < l.GetTop(); i += 2 {
		m.put(l, t, l.Get(i), l.Get(i+1))
	}
	l.SetTop(1)
	return 1
}

func (m *meter) spread(l *lua.LState) int {
	t, n := l.CheckTable(1), l.CheckInt(2)
	m.take(l, indexBytes*(l.GetTop()-2))
	for i := 3; i <= l.GetTop(); i++ {
		if v := l.Get(i); v != lua.LNil {
			t.RawSetInt(n+i-2, v)
		}
	}
	l.SetTop(1)
	return 1
}

func (m *meter) set(l *lua.LState) int {
	obj, key, value := l.Get(1), l.Get(2), l.Get(3)
	if t, is := obj.(*lua.LTable); is && t.Metatable == lua.LNil {
		m.put(l, t, key, value)
		return 0
	}
	if t, is := obj.(*lua.LTable); is {
		m.room(l, t, key, value)
		if n, number := key.(lua.LNumber); number && value == lua.LNil && n < lua.LNumber(lua.MaxArrayIndex) {
			m.far = max(m.far, int(n)) // __newindex may lead to any table
		}
	}
	l.SetTable(obj, key, value)
	return 0
}

// put sets what is at a key of a table, without metamethods.
func (m *meter) put(l *lua.LState, t *lua.LTable, key, value lua.LValue) {
	m.room(l, t, key, value)
	t.RawSet(key, value)
}

// room charges what a table takes more when something is set at a key.
func (m *meter) room(l *lua.LState, t *lua.LTable, key, value lua.LValue) {
	n, number := key.(lua.LNumber)
	switch {
	case key == lua.LNil:
		l.RaiseError("table index is nil")
	case number && n != n:
		l.RaiseError("table index is NaN")
	case !number || n < 1 || n >= lua.LNumber(lua.MaxArrayIndex) || n != lua.LNumber(int(n)):
		m.take(l, fieldBytes)
	default:
		// An array has room up to the greatest key: what is between them is filled.
		have := m.size(l, t)
		if int(n) > have {
			m.take(l, indexBytes*(int(n)-have))
		}
		if value == lua.LNil {
			m.emptied(l, t, max(int(n), have))
		}
	}
}

func (m *meter) length(l *lua.LState) int {
	v := l.Get(1)
	if s, is := v.(lua.LString); is {
		l.Push(lua.LNumber(len(s)))
		return 1
	}
	if op := l.GetMetaField(v, "__len"); op != lua.LNil {
		l.Push(op)
		l.Push(v)
		l.Call(1, 1)
		return 1
	}
	t, is := v.(*lua.LTable)
	if !is {
		l.RaiseError("attempt to get length of a %s value", v.Type())
	}
	l.Push(lua.LNumber(m.size(l, t)))
	return 1
}

// closureBytes is a function with a few variables of those around it.
const closureBytes = 256

func (m *meter) made(l *lua.LState) int {
	m.take(l, closureBytes)
	return l.GetTop()
}

func (m *meter) rest(l *lua.LState) int {
	m.take(l, 16*l.GetTop())
	return 0
}
