package lua

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func run(t testing.TB, source string) ([]any, error) {
	t.Helper()
	p, err := Compile(source)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, source)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return p.Run(ctx, World{
		Values: map[string]any{"backend": map[string]any{"address": "192.0.2.1", "priority": 3.0}},
		Functions: map[string]Function{
			"twice": func(_ context.Context, args []any) []any { return append(args, args...) },
		},
	})
}

// What scripts mean is what Lua 5.1 says, although they are rewritten.
func TestMeaning(t *testing.T) {
	for _, c := range []struct {
		source string
		want   []any
	}{
		{`return`, nil},
		{`return true, "why"`, []any{true, "why"}},
		{`return nil, 1.5, {}, 4, 5`, []any{nil, 1.5, struct{}{}, 4.0}},
		{`return backend.address .. ":" .. 80 .. "/" .. backend.priority`, []any{"192.0.2.1:80/3"}},
		{`return twice("a", false)`, []any{"a", false, "a", false}},
		{`return twice({})`, []any{nil, nil}},

		{`local function f() return 1, 2 end; return "a" .. f(), "b" .. (f())`, []any{"a1", "b1"}},
		{`local function f(...) return "<" .. ... .. ">" end; return f("x", "y")`, []any{"<x>"}},
		{`local function f(...) return "<" .. ... end; return f("x", "y")`, []any{"<x"}},
		{`return ("a" .. "b") .. ("c" .. "d")`, []any{"abcd"}},
		{`local t = setmetatable({}, {__concat = function(a, b) return (type(a) == "table" and "T" or a) .. (type(b) == "table" and "T" or b) end})
		  return "a" .. t .. "b" .. "c", t .. "x", t .. t`, []any{"aTbc", "Tx", "TT"}},

		{`local t = {1, 2, x = 3, ["y"] = 4, [5] = 6, 7}; return #t, t.x + t.y, t[5], t[3]`, []any{5.0, 7.0, 6.0, 7.0}},
		{`local function f() return 1, 2, 3 end; return #{f()}, #{f(), f()}, #{f(), [9] = f()}, #{(f())}`, []any{3.0, 4.0, 9.0, 1.0}},
		{`local function f(...) return {...}, {0, ...}, select("#", ...) end; local a, b, n = f(1, nil, 3); return #a, b[4], n`, []any{3.0, 3.0, 3.0}},
		{`local function f() return end; return #{f()}, #{1, f()}`, []any{0.0, 1.0}},
		{`local t = {}; for i = 1, 150 do t[i] = i end; local u = {unpack(t)}; return #u, u[150]`, []any{150.0, 150.0}},
		{`local t = {[1]="a",[2]="b",[3]="c",[4.5]="d",[true]="e"}; return t[1] .. t[2] .. t[3] .. t[4.5] .. t[true]`, []any{"abcde"}},
		{`local codes = {` + ranged(1, 150, "[%d]=true,") + `}; return codes[1] and codes[150] and codes[151]`, []any{nil}},

		{`local t = {}; t[1], t[2], t.x = 1, 2; return t[1], t[2], t.x`, []any{1.0, 2.0, nil}},
		{`local t = {1, 2}; t[1], t[2] = t[2], t[1]; return t[1], t[2]`, []any{2.0, 1.0}},
		{`local i, t = 1, {}; i, t[i] = i + 1, 20; return i, t[1], t[2]`, []any{2.0, 20.0, nil}},
		{`local function f() return 7, 8, 9 end; local t, x = {}, 0; t[1], x, t[3] = f(); return t[1], x, t[3]`, []any{7.0, 8.0, 9.0}},
		{`local t = {}; t[twice("k", "l")] = twice("v", "w"); return t.k, t.l`, []any{"v", nil}},
		{`local log = {}; local t = setmetatable({}, {__newindex = function(t, k, v) rawset(t, k, v .. "!") end}); t[1] = "a"; t["b"] = "c"; return t[1], t.b`, []any{"a!", "c!"}},
		{`x = 1; _G["y"] = 2; return x + y`, []any{3.0}},

		{`local function fact(n) if n < 2 then return 1 end return n * fact(n - 1) end; return fact(10)`, []any{3628800.0}},
		{`local fib; fib = function(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end; return fib(15)`, []any{610.0}},
		{`local t = {}; function t.a(x) return x end; function t:b(x) return self.a(x) + 1 end; return t:b(1)`, []any{2.0}},
		{`local n = 0; for k, v in pairs({1, 2, a = 3}) do n = n + v end; for i, v in ipairs({4, 5}) do n = n + i * v end; return n`, []any{20.0}},
		{`local n = 0; repeat local done = n > 3; n = n + 1 until done; while true do n = n + 1; if n > 10 then break end end; return n`, []any{11.0}},
		{`for i = 1, 3 do for j = 1, 3 do if j == 2 then goto next end; x = (x or "") .. i .. j end ::next:: end; return x`, []any{"112131"}},
		{`local ok, why = pcall(function() error("no") end); local ok2, t = pcall(error, {1}); return ok, why, type(t)`, []any{false, "script:1: no", "table"}},
		{`return pcall(function(...) return select("#", ...) end, 1, 2)`, []any{true, 2.0}},
		{`return xpcall(function() local x = nil; return x.y end, function(e) return "handled" end)`, []any{false, "handled"}},
		{`return select(2, pcall(assert, false, "broken"))`, []any{"script:1: broken"}},
		{`return assert(1, 2)`, []any{1.0, 2.0}},
		{`return arg, (function(...) return arg end)(1)`, []any{nil, nil}},
		{`print("x", {}); return (...)`, []any{nil}},

		{`return tonumber("0x10"), tonumber(" 1e3 "), tonumber("ff", 16), tonumber("z")`, []any{16.0, 1000.0, 255.0, nil}},
		{`return tonumber("-7"), tonumber("1_0"), tonumber("inf"), tonumber("")`, []any{-7.0, nil, nil, nil}},
		{`return tostring(nil), tostring(true), tostring(1.5), tostring({})`, []any{"nil", "true", "1.5", "table"}},
		{`return tostring(setmetatable({}, {__tostring = function() return "T" end}))`, []any{"T"}},
		{`return math.floor(2.7), math.max(1, 3, 2), math.huge > 1, math.randomseed`, []any{2.0, 3.0, true, nil}},

		{`return ("abc"):upper(), ("ABC"):lower(), ("abc"):reverse(), ("abc"):len()`, []any{"ABC", "abc", "cba", 3.0}},
		{`return ("abc"):sub(2), ("abc"):sub(-2, -2), ("abc"):sub(0), ("abc"):sub(5)`, []any{"bc", "b", "abc", ""}},
		{`return ("abc"):byte(), ("abc"):byte(-1), string.char(72, 105), ("x"):rep(3)`, []any{97.0, 99.0, "Hi", "xxx"}},
		{`return select("#", ("abc"):byte(1, -1)), select("#", ("abc"):byte(9)), ("x"):rep(-1), (""):rep(1e9)`, []any{3.0, 0.0, "", ""}},
		{`return ("%d %5.2f|%-4s|%x"):format(42, 3.14159, "ab", 255), ("%s %s"):format(nil, {}), ("%q"):format('a"b'), ("%%%c"):format(65)`, []any{"42  3.14|ab  |ff", "nil table", `"a\"b"`, "%A"}},
		{`return ("%g %g %g"):format(0.1, 1e20, 100000), ("%i"):format(3.9), ("%05d"):format(42), ("%.3s"):format("abcdef")`, []any{"0.1 1e+20 100000", "3", "00042", "abc"}},

		{`return ("key=value"):match("^(%w+)=(%w+)$")`, []any{"key", "value"}},
		{`return ("  trim  "):match("^%s*(.-)%s*$")`, []any{"trim"}},
		{`return ("hello"):find("l"), ("hello"):find("l", 1, true), ("a.b"):find(".", 2, true), ("hello"):find("xyz")`, []any{3.0, 3.0, 2.0, nil}},
		{`return ("hello"):find("(l)(l)")`, []any{3.0, 4.0, "l", "l"}},
		{`return ("abc"):find("", 10), ("abc"):find("", 4), ("abc"):match("()c"), ("f(a(b)c)d"):match("%b()")`, []any{nil, 4.0, 3.0, "(a(b)c)"}},
		{`return ("THE (quick) fox"):find("%f[%a]%a+%f[%A]"), ("abcabc"):match("(abc)%1"), ("x-y"):match("[a-]-y"), ("]"):match("[]]")`, []any{1.0, "abc", "-y", "]"}},
		{`return ("hello world"):gsub("o", "0")`, []any{"hell0 w0rld", 2.0}},
		{`return ("abc"):gsub("%w", "%0%0", 2)`, []any{"aabbc", 2.0}},
		{`return ("$name is $age"):gsub("%$(%w+)", {name = "Bob", age = 42})`, []any{"Bob is 42", 2.0}},
		{`return ("abc"):gsub("", "-")`, []any{"-a-b-c-", 4.0}},
		{`return ("abc"):gsub("b", function(c) return c == "b" and nil end), ("abc"):gsub("^a", "x")`, []any{"abc", "xbc", 1.0}},
		{`local t = {}; for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do t[#t + 1] = k .. v end; return table.concat(t, ";")`, []any{"a1;b2"}},
		{`local n = 0; for _ in ("abc"):gmatch("") do n = n + 1 end; return n`, []any{4.0}},

		{`local t = {3, 1, 2}; table.sort(t); local s = table.concat(t, ","); table.sort(t, function(a, b) return a > b end); return s, table.concat(t)`, []any{"1,2,3", "321"}},
		{`local t = {1, 2}; table.insert(t, 3); table.insert(t, 1, 0); return table.concat(t), table.remove(t), table.remove(t, 1), #t`, []any{"0123", 3.0, 0.0, 2.0}},
		{`return table.concat({}), table.concat({1, 2, 3}, "-", 2, 3), table.remove({}), table.maxn({1, 2})`, []any{"", "2-3", nil, 2.0}},

		{`local j = json_decode('{"status":"green","n":3,"ok":true,"nested":{"a":[1,{"b":"c"}]},"none":null}')
		  return j.status, j.n, j.ok and j.none == nil, j.nested.a[2].b`, []any{"green", 3.0, true, "c"}},
		{`return json_decode("[1,2]")[2], json_decode("nope"), json_decode("{} x"), json_decode(nil)`, []any{2.0, nil, nil, nil}},
		{`return json_decode('"x"'), json_decode('{"a"'), json_decode(""), json_decode("12")`, []any{"x", nil, nil, 12.0}},
	} {
		got, err := run(t, c.source)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s\n got %#v, %v\nwant %#v", c.source, got, err, c.want)
		}
	}
}

func ranged(from, to int, format string) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestFailure(t *testing.T) {
	for _, c := range []struct {
		source, want string
	}{
		{"local x\nreturn x.y", "line 2: attempt to index"},
		{`error("no")`, "line 1: no"},
		{`error("no", 0)`, "no"},
		{`error({})`, "an error that is no text"},
		{`error(7)`, "7"},
		{`assert(false)`, "line 1: assertion failed!"},
		{`return "a" .. {}`, "line 1: attempt to concatenate a table value"},
		{`return nil .. "a"`, "line 1: attempt to concatenate a nil value"},
		{`local t = {}; t[nil] = 1`, "line 1: table index is nil"},
		{`local t = {}; t[0/0] = 1`, "line 1: table index is NaN"},
		{`local x; x[1] = 2`, "line 1: attempt to index"},
		{`return ("x"):match("(")`, "line 1: invalid capture in the pattern"},
		{`return ("x"):match("%")`, "line 1: malformed pattern"},
		{`return ("x"):match("[a")`, "line 1: malformed pattern"},
		{`return ("x"):find("%f")`, "line 1: malformed pattern"},
		{`return ("x"):find("%b")`, "line 1: malformed pattern"},
		{`return ("x"):find("%1")`, "line 1: invalid capture in the pattern"},
		{`return ("x"):gsub("x", "%2")`, "line 1: invalid capture in the pattern"},
		{`return ("x"):gsub("x", true)`, "line 1: bad argument #3"},
		{`return ("%100d"):format(1)`, "line 1: invalid conversion in the format"},
		{`return ("%"):format(1)`, "line 1: invalid conversion in the format"},
		{`return ("%y"):format(1)`, "line 1: invalid conversion in the format"},
		{`local function f() return f() + 1 end; return f()`, "stack overflow"},
		{`local t = {}; for i = 1, 40000 do t[i] = i end; return unpack(t)`, "registry overflow"},
	} {
		_, err := run(t, c.source)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || e.Stopped != nil {
			t.Errorf("%s: %v, want %s", c.source, err, c.want)
		}
	}
}

// A script has what is in the document and nothing else.
func TestNothingElse(t *testing.T) {
	got, err := run(t, `
		local names = {}
		local function list(t, prefix)
			for k, v in pairs(t) do
				if v ~= _G and k ~= "__index" then
					names[#names + 1] = prefix .. tostring(k)
					if type(v) == "table" then list(v, prefix .. k .. ".") end
				end
			end
		end
		list(_G, "")
		list(getmetatable(""), "meta.")
		table.sort(names)
		return table.concat(names, " ")`)
	want := "_G _VERSION assert backend backend.address backend.priority error getmetatable ipairs json_decode math" +
		" math.abs math.acos math.asin math.atan math.atan2 math.ceil math.cos math.cosh math.deg math.exp math.floor math.fmod math.frexp" +
		" math.huge math.ldexp math.log math.log10 math.max math.min math.mod math.modf math.pi math.pow math.rad math.random math.sin math.sinh math.sqrt math.tan math.tanh" +
		" meta.byte meta.char meta.find meta.format meta.gfind meta.gmatch meta.gsub meta.len meta.lower meta.match meta.rep meta.reverse meta.sub meta.upper" +
		" next pairs pcall print rawequal rawget rawset select setmetatable" +
		" string string.byte string.char string.find string.format string.gfind string.gmatch string.gsub string.len string.lower string.match string.rep string.reverse string.sub string.upper" +
		" table table.concat table.getn table.insert table.maxn table.remove table.sort tonumber tostring twice type unpack xpcall"
	if err != nil || len(got) != 1 || got[0] != strings.Replace(want, "_G ", "", 1) {
		t.Errorf("%v, %v\nwant %s", got, err, want)
	}
}

// Runs do not see each other, at the same time or one after the other.
func TestFresh(t *testing.T) {
	p, err := Compile(`
		local was = leaked or string.leaked or getmetatable("").leaked
		leaked, string.leaked, getmetatable("").leaked = 1, 1, 1
		string.rep = nil
		return was`)
	if err != nil {
		t.Fatal(err)
	}
	var runs sync.WaitGroup
	for range 4 {
		runs.Go(func() {
			for range 2 {
				got, err := p.Run(t.Context(), World{})
				if err != nil || len(got) != 1 || got[0] != nil {
					t.Error(got, err)
				}
			}
		})
	}
	runs.Wait()
}

// Scripts that would run or grow for ever. Each ends by its budget: there is no
// time limit here that would be reached first.
func TestBombs(t *testing.T) {
	if raced {
		t.Skip("one goroutine takes all its steps")
	}
	for name, c := range map[string]struct {
		source string
		want   error // nil: by itself, with the text
		text   string
	}{
		"loop":                    {`while true do end`, ErrSteps, ""},
		"empty for":               {`for i = 1, 1e18 do end`, ErrSteps, ""},
		"goto":                    {`::a:: goto a`, ErrSteps, ""},
		"loop that is caught":     {`while true do pcall(function() while true do end end) end`, ErrSteps, ""},
		"handler that loops":      {`xpcall(function() while true do end end, function() while true do end end); while true do end`, ErrSteps, ""},
		"caught at the end":       {`return pcall(function() while true do end end)`, ErrSteps, ""},
		"tail calls":              {`local function f() return f() end; return f()`, ErrSteps, ""},
		"recursion":               {`local function f() return 1 + f() end; return f()`, nil, "stack overflow"},
		"recursion by pcall":      {`local function f() return (pcall(f)) end; f(); error("back")`, nil, "back"},
		"recursion by metatable":  {`local t = {}; setmetatable(t, {__index = function(t, k) return t[k] end}); return t.x`, nil, "stack overflow"},
		"recursion by tostring":   {`local t; t = setmetatable({}, {__tostring = function(t) return tostring(t) end}); return tostring(t)`, nil, "stack overflow"},
		"recursion by gsub":       {`local function f() return (("x"):gsub("x", f)) end; return f()`, nil, "stack overflow"},
		"recursion by sort":       {`local function f() table.sort({1, 2, 3}, f) end; f()`, nil, "stack overflow"},
		"index that never ends":   {`local a, b = {}, {}; setmetatable(a, {__index = b}); setmetatable(b, {__index = a}); return a.x`, nil, "too many recursions"},
		"doubling":                {`local s = "x"; while true do s = s .. s end`, nil, "a text of more than"},
		"doubling that is kept":   {`local t, s = {}, ("x"):rep(1e6); while true do t[#t + 1] = s .. #t end`, ErrMemory, ""},
		"doubling, caught":        {`local s = ("x"):rep(1e6); while true do pcall(function() local t = s .. s end) end`, ErrSteps, ""},
		"rep":                     {`return ("x"):rep(1e9)`, nil, "a text of more than"},
		"rep of rep":              {`return ("x"):rep(1e6):rep(1e6)`, nil, "a text of more than"},
		"rep without end":         {`while true do ("x"):rep(1e6) end`, ErrMemory, ""},
		"sparse table":            {`local t = {}; t[67108863] = 1`, ErrMemory, ""},
		"sparse constructor":      {`local t = {[67108863] = 1}`, ErrMemory, ""},
		"sparse rawset":           {`rawset({}, 67108863, 1)`, ErrMemory, ""},
		"sparse insert":           {`table.insert({}, 67108863, 1)`, nil, "position out of bounds"},
		"sparse by several":       {`local t = {}; t[67108863], t[1] = 1, 2`, ErrMemory, ""},
		"sparse by metatable":     {`local t = setmetatable({}, {}); t[67108863] = 1`, ErrMemory, ""},
		"sparse again and again":  {`while true do local t = {}; t[100000] = 1 end`, ErrMemory, ""},
		"nils":                    {`local t = {}; for i = 1, 1e9 do t[#t + i] = nil end`, ErrMemory, ""},
		"tables":                  {`local t = {}; while true do t = {t} end`, ErrMemory, ""},
		"tables in a row":         {`local t = {}; while true do t[#t + 1] = {} end`, ErrMemory, ""},
		"tables by insert":        {`local t = {}; while true do table.insert(t, 1) end`, ErrSteps, ""},
		"keys":                    {`local t, i = {}, 0; while true do i = i + 1; t["k" .. i] = i end`, ErrMemory, ""},
		"NaN keys":                {`local t, i = {}, 0.5; while true do i = i + 1; t[i] = i end`, ErrMemory, ""},
		"closures":                {`local f; while true do local g = f; f = function() return g end end`, ErrMemory, ""},
		"local functions":         {`local k; while true do local j = k; local function f() return j end; k = f end`, ErrMemory, ""},
		"methods":                 {`local k = {}; while true do local j = k; k = {}; function k.f() return j end end`, ErrMemory, ""},
		"varargs":                 {`local keep = {}; local function f(...) local g = f2; keep = function() return keep end; return ... end; while true do keep = {keep, f(1, 2, 3)} end`, ErrMemory, ""},
		"arg tables":              {`local t, last = {}, nil; for i = 1, 200 do t[i] = i end; local function f(...) last = {last, arg} end; while true do f(unpack(t)) end`, ErrMemory, ""},
		"spread":                  {`local t, last = {}, nil; for i = 1, 30000 do t[i] = i end; while true do last = {last, unpack(t)} end`, ErrMemory, ""},
		"unpack":                  {`return unpack({}, 1, 1e9)`, nil, "registry overflow"},
		"select":                  {`local function f(...) return f(1, ...) end; return f()`, ErrMemory, ""},
		"concat of a table":       {`local t, s = {}, ("x"):rep(1e5); for i = 1, 100 do t[i] = s end; return table.concat(t)`, nil, "a text of more than"},
		"concat from afar":        {`return table.concat({}, "", -1e15, -1)`, nil, "invalid value"},
		"format":                  {`return (("%99d"):rep(1e4)):format(unpack({1}, 1, 1e4))`, nil, "bad argument"},
		"format of long texts":    {`local s = ("x"):rep(1e6); return ("%s%s"):format(s, s)`, nil, "a text of more than"},
		"gsub that grows":         {`local s = ("x"):rep(1e4); return s:gsub("x", s)`, nil, "a text of more than"},
		"gsub that grows by %0":   {`local s = ("x"):rep(1e5); return s:gsub(".*", ("%0"):rep(1000))`, nil, "a text of more than"},
		"gsub without end":        {`while true do ("x"):rep(1e5):gsub("x", "y") end`, ErrSteps, ""},
		"pattern":                 {`return ("a"):rep(1e5):find((".-"):rep(20) .. "b")`, ErrSteps, ""},
		"pattern, greedy":         {`return ("a"):rep(1e5):match(("a*"):rep(20) .. "b")`, ErrSteps, ""},
		"pattern, gmatch":         {`for _ in ("a"):rep(1e5):gmatch((".-"):rep(20) .. "b") do end`, ErrSteps, ""},
		"pattern, gsub":           {`return ("a"):rep(1e5):gsub((".-"):rep(20) .. "b", "")`, ErrSteps, ""},
		"pattern, caught":         {`while true do pcall(string.find, ("a"):rep(1e5), (".-"):rep(20) .. "b") end`, ErrSteps, ""},
		"pattern, balanced":       {`while true do (("("):rep(1e5)):find("%b()x") end`, ErrSteps, ""},
		"pattern that is nested":  {`return ("a"):rep(1e4):match(("(a"):rep(30) .. (")"):rep(30) .. (".-"):rep(300))`, nil, "pattern too complex"},
		"pattern with captures":   {`return ("a"):match(("()"):rep(40))`, nil, "too many captures"},
		"sort":                    {`local t = {}; for i = 1, 1e5 do t[i] = -i end; while true do table.sort(t) end`, ErrSteps, ""},
		"sort without an order":   {`local t = {}; for i = 1, 1000 do t[i] = i end; while true do table.sort(t, function() return true end) end`, ErrSteps, ""},
		"sort of long texts":      {`local t, a, b = {}, ("x"):rep(1e6) .. 1, ("x"):rep(1e6) .. 2; for i = 1, 1e4 do t[i] = i % 2 == 0 and a or b end; table.sort(t)`, ErrSteps, ""},
		"JSON":                    {`local s = "[" .. ("{},"):rep(3e5) .. "1]"; return json_decode(s)`, ErrMemory, ""},
		"JSON that is deep":       {`return error(tostring(json_decode(("["):rep(1e6))))`, nil, "nil"},
		"error that is long":      {`local s = ("x"):rep(1e6); local t = {}; while true do t[#t + 1] = select(2, pcall(error, s)) end`, ErrMemory, ""},
		"message that is long":    {`local s, x = ("x"):rep(1e6); local t = {}; while true do t[#t + 1] = select(2, pcall(function() return x[s] end)) end`, ErrMemory, ""},
		"assert that is long":     {`local s = ("x"):rep(1e6); local t = {}; while true do t[#t + 1] = select(2, pcall(assert, false, s)) end`, ErrMemory, ""},
		"hooks that are replaced": {`for k in pairs(_G) do if k:byte() == 0 then _G[k] = nil end end; local s = "x"; while true do s = s .. s end`, nil, "a text of more than"},
		"strings that are gone":   {`string.rep, getmetatable("").__index = nil, nil; local s = "x"; while true do s = s .. s end`, nil, "a text of more than"},
		"functions that call":     {`while true do twice(1) end`, ErrSteps, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := run(t, c.source)
			var e *Error
			if !errors.As(err, &e) || !errors.Is(e.Stopped, c.want) || !strings.Contains(e.Msg, c.text) {
				t.Errorf("%v, want %v %q", err, c.want, c.text)
			}
		})
	}
}

// The end of the context ends any script, caught or not.
func TestContext(t *testing.T) {
	for _, source := range []string{
		`while true do end`,
		`while true do pcall(function() while true do end end) end`,
		`return ("a"):rep(1e5):find((".-"):rep(20) .. "b")`,
		`wait()`,
		`pcall(wait)`,
		`while true do pcall(wait) end`,
		`local t = {}; for i = 1, 1e5 do t[i] = i end; table.sort(t, function(a, b) wait() return a < b end)`,
		`("x"):gsub("x", wait)`,
	} {
		p, err := Compile(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, cause := range []error{context.DeadlineExceeded, context.Canceled} {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			if errors.Is(cause, context.Canceled) {
				ctx, cancel = context.WithCancel(context.Background())
				defer context.AfterFunc(ctx, func() {})()
				defer time.AfterFunc(20*time.Millisecond, cancel).Stop()
			}
			_, err = p.Run(ctx, World{Functions: map[string]Function{
				"wait": func(ctx context.Context, _ []any) []any { <-ctx.Done(); return nil },
			}})
			var e *Error
			if !errors.Is(err, cause) || !errors.As(err, &e) || !errors.Is(e.Stopped, cause) {
				t.Errorf("%s: %v, want %v", source, err, cause)
			}
		}
	}
	p, err := Compile(`return true`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Run(ctx, World{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSyntax(t *testing.T) {
	for _, c := range []struct {
		source, want string
		line         int
	}{
		{"return (", "unexpected end of the script", 0},
		{"local x =\nlocal y", `line 2: near "local": syntax error`, 2},
		{"x = 'abc", "at the end of the script: unterminated string", 0},
		{"goto nowhere", "no visible label", 1},
		{"local function f() return ... end", "cannot use '...' outside a vararg function", 1},
		{"break", "no loop to break", 1},
		{"return " + strings.Repeat("(", 300) + "1" + strings.Repeat(")", 300), "", 0},
		{"return " + strings.Repeat("not ", 300) + "1", "line 1: more than 200 expressions", 1},
		{strings.Repeat("do ", 300) + strings.Repeat("end ", 300), "more than 200 expressions", 1},
		{"return 1" + strings.Repeat("^1", 300), "more than 200 expressions", 1},
		{strings.Repeat("-", MaxSource+1), "and 65536 at most may be", 0},
		{"local " + ranged(1, 300, "a%d,") + "b", "", 0},
		{"return f(" + ranged(1, 300, "%d,") + "1)", "", 0},
	} {
		_, err := Compile(c.source)
		var e *SyntaxError
		if c.want == "" && err == nil {
			continue
		}
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || c.want != "" && e.Line != c.line {
			t.Errorf("%.60s: %v, want %s", c.source, err, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	p, err := Compile(`local f = ssh_exec; return function() return string.rep(metric_get(a.b)) end`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"ssh_exec": true, "metric_get": true, "a": true, "b": false, "http_get": false, "string": true} {
		if p.Names(name) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	for name, source := range map[string]string{
		"empty": `return true`,
		"json":  `local j = json_decode('{"status":"green","number_of_nodes":3}'); return j.status == "green" and j.number_of_nodes >= 3`,
	} {
		b.Run(name, func(b *testing.B) {
			p, err := Compile(source)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if got, err := p.Run(b.Context(), World{}); err != nil || got[0] != true {
					b.Fatal(got, err)
				}
			}
		})
	}
}

// What an instruction, or a function of a library, passes over counts as well: scripts
// whose few steps take long each are out of steps long before they are out of time.
func TestLongSteps(t *testing.T) {
	if raced {
		t.Skip("one goroutine takes all its steps")
	}
	for name, source := range map[string]string{
		"a long set":                 `return string.rep("b", 1000000):find("[" .. string.rep("a", 300000) .. "b]*")`,
		"a long set, lazily":         `return string.rep("b", 1000000):find("[" .. string.rep("a", 300000) .. "b]-x")`,
		"a long set behind a letter": `return string.rep("x", 1000000):find("x[" .. string.rep("a", 300000) .. "]")`,
		"a long frontier":            `return string.rep("x", 1000000):find("%f[" .. string.rep("a", 300000) .. "]")`,
		"the length of nothing":      `local t = {}; t[1900000] = 1; t[1900000] = nil; while true do local n = #t end`,
		"the length by a function":   `local t = {}; t[1900000] = 1; t[1900000] = nil; while true do table.getn(t) end`,
		"the greatest index":         `local t = {}; t[1900000] = 1; t[1900000] = nil; while true do table.maxn(t) end`,
		"the first of nothing":       `local t = {}; t[1900000] = 1; t[1900000] = nil; while true do next(t) end`,
		"the next of nothing":        `local t = {1}; t[1900000] = 1; t[1900000] = nil; while true do next(t, 1) end`,
		"the last of nothing":        `local t = {}; t[1900000] = 1; t[1900000] = nil; while true do table.remove(t) end`,
		"all of nothing":             `local t = {}; t[1900000] = 1; t[1900000] = nil; while true do unpack(t) end`,
		"a joint of nothing":         `local t = {}; t[1900000] = 1; t[1900000] = nil; while true do table.concat(t) end`,
		"what was in another table":  `local t = {}; local u = setmetatable({}, {__newindex = t}); t[900000] = 1; u[900000] = nil; while true do local n = #t end`,
		"what was in JSON":           `local t = json_decode("[" .. ("1,"):rep(400000) .. "1]"); for i = 1, #t do t[i] = nil end; while true do local n = #t end`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := run(t, source); !errors.Is(err, ErrSteps) {
				t.Errorf("%v, want %v", err, ErrSteps)
			}
		})
	}
}

func TestLength(t *testing.T) {
	got, err := run(t, `local own = setmetatable({1, 2}, {__len = function(t) return 7, 8 end})
		local function f() return {1, 2, 3}, {} end
		return #"abc" + #own, #{#f()}, #f(), select(2, pcall(function() return #nil end))`)
	if want := []any{10.0, 1.0, 3.0, "script:3: attempt to get length of a nil value"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v, want %v", got, err, want)
	}
}

// What is passed over in one array is not counted for another.
func TestShortSteps(t *testing.T) {
	const source = `local big = json_decode("[" .. ("1,"):rep(100000) .. "1]")
		local t = {}
		for i = 1, 20000 do t[#t + 1] = big[i] end
		for i, v in ipairs(t) do big[i] = v end
		return #t, #big, next(t), table.maxn(t)`
	if got, err := run(t, source); err != nil || !reflect.DeepEqual(got, []any{20000.0, 100001.0, 1.0, 20000.0}) {
		t.Errorf("%v %v", got, err)
	}
}
