package lua

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/yuin/gopher-lua"
)

// Whatever a script is, it compiles or not, and ends.
func FuzzRun(f *testing.F) {
	for _, s := range []string{
		`return true`, `local t = {1, [2] = 3, x = ...}; t[1], t.y = t.x, "a" .. 1 .. t[2]; return t`,
		`for k, v in pairs({a = 1}) do x = (x or "") .. k .. v end return x:gsub("%w", "%0%0")`,
		`function a.b:c(...) goto x ::x:: return function() return ... end end`,
		`repeat local a = -#"x" ^ 2 until not a == nil or a ~= 1`, "return '\\065' .. [[\n]] --[[x]]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		p, err := Compile(source)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_, err = p.Run(ctx, World{})
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Error(err)
		}
	})
}

// A match is that of gopher-lua's own matcher, which knows no bound, where both
// take the pattern.
func FuzzPattern(f *testing.F) {
	for _, p := range []string{
		"a", "^a.-b$", "(%w+)=(%d*)", "[^a-c%]]+", "%b()", "(a)(b?)%1", "()%s*", "[]x]", "a-", "%%", "[%a_][%w_]*", "-", "x$y", "[a-]",
	} {
		f.Add("a=1 (b(c)) xaay]", p)
	}
	f.Fuzz(func(t *testing.T, text, pattern string) {
		// Frontiers are of Lua 5.2, and what a range with a class is, nobody says.
		ranges := strings.Contains(pattern, "[") && strings.Contains(pattern, "-") && strings.Contains(pattern, "%")
		if len(text) > 32 || len(pattern) > 16 || strings.Contains(pattern, "%f") || ranges {
			return
		}
		find := func(f lua.LGFunction, l *lua.LState) (string, bool) {
			l.Push(l.NewFunction(f))
			l.Push(lua.LString(text))
			l.Push(lua.LString(pattern))
			if err := l.PCall(2, lua.MultRet, nil); err != nil {
				return "", false
			}
			var out []string
			for i := 1; i <= l.GetTop(); i++ {
				out = append(out, l.Get(i).String())
			}
			return strings.Join(out, "|"), true
		}
		ours := lua.NewState(lua.Options{SkipOpenLibs: true})
		defer ours.Close()
		m := newMeter(t.Context())
		got, ok := find(m.stringFind, ours)
		theirs := lua.NewState()
		defer theirs.Close()
		want, fine := find(theirs.GetField(theirs.GetGlobal("string"), "find").(*lua.LFunction).GFunction, theirs)
		if ok && fine && got != want {
			t.Errorf("%q in %q: %s, want %s", pattern, text, got, want)
		}
	})
}
