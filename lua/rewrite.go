package lua

import (
	"fmt"
	"strconv"

	"github.com/yuin/gopher-lua/ast"
)

// The functions that a script calls without having said so, in the order in which
// Run gives them. They are local variables around the script, and their names
// are none that a script could write.
const (
	hookConcat = "\x00concat" // (a, b, ...) a .. b .. ...
	hookTable  = "\x00table"  // (t, bytes, k1, v1, ...) t with v1 at k1 and so on
	hookSpread = "\x00spread" // (t, n, ...) t with the values at n+1, n+2, ...
	hookSet    = "\x00set"    // (t, k, v) t[k] = v
	hookMade   = "\x00made"   // (f) f, a closure that has just been made
	hookRest   = "\x00rest"   // (...) the varargs of a function that begins
	hookLength = "\x00length" // (v) #v
)

var hooks = []string{hookConcat, hookTable, hookSpread, hookSet, hookMade, hookRest, hookLength}

// rewriter puts calls of the hooks in place of what takes memory, or time, that no
// instruction count bounds.
type rewriter struct {
	names map[string]bool // of all identifiers
	depth int
}

// tooDeep ends a rewriting.
type tooDeep struct{ line int }

// rewrite gives the chunk that stands for a script:
//
//	local <hooks> = ...
//	return (function(...) <script> end)()
func rewrite(script []ast.Stmt, names map[string]bool) (chunk []ast.Stmt, err error) {
	defer func() {
		switch why := recover().(type) {
		case nil:
		case tooDeep:
			err = &SyntaxError{why.line, fmt.Sprintf("more than %d expressions or blocks in each other", maxDepth)}
		default:
			panic(why)
		}
	}()
	w := &rewriter{names: names}
	at := &ast.NilExpr{}
	at.SetLine(1)
	last := 1
	if n := len(script); n > 0 {
		last = max(script[n-1].Line(), script[n-1].LastLine())
	}
	at.SetLastLine(last)

	body := position(&ast.FunctionExpr{ParList: &ast.ParList{HasVargs: true, Names: []string{}}, Stmts: script}, at)
	w.function(body)
	given := position(&ast.LocalAssignStmt{Names: hooks, Exprs: []ast.Expr{position(&ast.Comma3Expr{}, at)}}, at)
	run := position(&ast.FuncCallExpr{Func: body}, at)
	return []ast.Stmt{given, position(&ast.ReturnStmt{Exprs: []ast.Expr{run}}, at)}, nil
}

// deeper counts one level down; what it gives counts it up again.
func (w *rewriter) deeper(at ast.PositionHolder) func() {
	if w.depth++; w.depth > maxDepth {
		panic(tooDeep{at.Line()})
	}
	return func() { w.depth-- }
}

func (w *rewriter) function(f *ast.FunctionExpr) {
	defer w.deeper(f)()
	f.Stmts = w.block(f.Stmts)
	if f.ParList.HasVargs {
		// That it speaks of "..." also keeps the interpreter from making the table
		// "arg" of Lua 5.0.
		rest := call(f, hookRest, position(&ast.Comma3Expr{}, f))
		f.Stmts = append([]ast.Stmt{position(&ast.FuncCallStmt{Expr: rest}, f)}, f.Stmts...)
	}
}

func (w *rewriter) block(in []ast.Stmt) []ast.Stmt {
	out := make([]ast.Stmt, 0, len(in))
	for _, s := range in {
		out = w.statement(out, s)
	}
	return out
}

// statement appends what stands for s.
func (w *rewriter) statement(out []ast.Stmt, s ast.Stmt) []ast.Stmt {
	defer w.deeper(s)()
	made := func() ast.Stmt { return position(&ast.FuncCallStmt{Expr: call(s, hookMade)}, s) }
	switch s := s.(type) {
	case *ast.AssignStmt:
		return append(out, w.assignment(s))
	case *ast.LocalAssignStmt:
		// A local function knows itself by its name only while it stands there bare.
		if f, bare := s.Exprs, len(s.Names) == 1 && len(s.Exprs) == 1; bare {
			if f, is := f[0].(*ast.FunctionExpr); is {
				w.function(f)
				return append(out, s, made())
			}
		}
		w.all(s.Exprs)
	case *ast.FuncDefStmt:
		w.one(&s.Name.Func)
		w.one(&s.Name.Receiver)
		w.function(s.Func)
		return append(out, s, made())
	case *ast.FuncCallStmt:
		w.one(&s.Expr)
	case *ast.DoBlockStmt:
		s.Stmts = w.block(s.Stmts)
	case *ast.WhileStmt:
		w.one(&s.Condition)
		s.Stmts = w.block(s.Stmts)
	case *ast.RepeatStmt:
		w.one(&s.Condition)
		s.Stmts = w.block(s.Stmts)
	case *ast.IfStmt:
		w.one(&s.Condition)
		s.Then, s.Else = w.block(s.Then), w.block(s.Else)
	case *ast.NumberForStmt:
		w.one(&s.Init)
		w.one(&s.Limit)
		w.one(&s.Step)
		s.Stmts = w.block(s.Stmts)
	case *ast.GenericForStmt:
		w.all(s.Exprs)
		s.Stmts = w.block(s.Stmts)
	case *ast.ReturnStmt:
		w.all(s.Exprs)
	}
	return append(out, s)
}

// computed is the left side of an assignment whose key is not written there as a
// name or a text, so that it may be a number: gopher-lua fills an array up to it.
func computed(lhs ast.Expr) (*ast.AttrGetExpr, bool) {
	at, is := lhs.(*ast.AttrGetExpr)
	if !is {
		return nil, false
	}
	_, text := at.Key.(*ast.StringExpr)
	return at, !text
}

func (w *rewriter) assignment(s *ast.AssignStmt) ast.Stmt {
	w.all(s.Lhs)
	w.all(s.Rhs)
	any := false
	for _, lhs := range s.Lhs {
		_, is := computed(lhs)
		any = any || is
	}
	if !any {
		return s
	}
	if len(s.Lhs) == 1 && len(s.Rhs) == 1 {
		to, _ := computed(s.Lhs[0])
		return position(&ast.FuncCallStmt{Expr: call(s, hookSet, to.Object, to.Key, single(s.Rhs[0]))}, s)
	}
	// Several at once: tables and keys first, then the values, then all of them are
	// put where they belong.
	var places, keys, values []string
	local := func(names *[]string, what string, i int) *ast.IdentExpr {
		name := "\x00" + what + strconv.Itoa(i)
		*names = append(*names, name)
		return position(&ast.IdentExpr{Value: name}, s)
	}
	var from []ast.Expr
	var sets []ast.Stmt
	for i, lhs := range s.Lhs {
		value := local(&values, "v", i)
		to, is := lhs.(*ast.AttrGetExpr)
		if !is {
			sets = append(sets, position(&ast.AssignStmt{Lhs: []ast.Expr{lhs}, Rhs: []ast.Expr{value}}, s))
			continue
		}
		table, key := local(&places, "t", i), local(&keys, "k", i)
		from = append(from, single(to.Object), single(to.Key))
		sets = append(sets, position(&ast.FuncCallStmt{Expr: call(s, hookSet, table, key, value)}, s))
	}
	var to []string
	for i := range places {
		to = append(to, places[i], keys[i])
	}
	stmts := []ast.Stmt{
		position(&ast.LocalAssignStmt{Names: to, Exprs: from}, s),
		position(&ast.LocalAssignStmt{Names: values, Exprs: s.Rhs}, s),
	}
	return position(&ast.DoBlockStmt{Stmts: append(stmts, sets...)}, s)
}

func (w *rewriter) all(in []ast.Expr) {
	for i := range in {
		w.one(&in[i])
	}
}

// one rewrites an expression in its place.
func (w *rewriter) one(at *ast.Expr) {
	if *at == nil {
		return
	}
	defer w.deeper(*at)()
	switch e := (*at).(type) {
	case *ast.IdentExpr:
		w.names[e.Value] = true
	case *ast.AttrGetExpr:
		w.one(&e.Object)
		w.one(&e.Key)
	case *ast.TableExpr:
		*at = w.table(e)
	case *ast.FuncCallExpr:
		w.one(&e.Func)
		w.one(&e.Receiver)
		w.all(e.Args)
	case *ast.LogicalOpExpr:
		w.one(&e.Lhs)
		w.one(&e.Rhs)
	case *ast.RelationalOpExpr:
		w.one(&e.Lhs)
		w.one(&e.Rhs)
	case *ast.StringConcatOpExpr:
		*at = w.concat(e)
	case *ast.ArithmeticOpExpr:
		w.one(&e.Lhs)
		w.one(&e.Rhs)
	case *ast.UnaryMinusOpExpr:
		w.one(&e.Expr)
	case *ast.UnaryNotOpExpr:
		w.one(&e.Expr)
	case *ast.UnaryLenOpExpr:
		w.one(&e.Expr)
		*at = single(call(e, hookLength, single(e.Expr)))
	case *ast.FunctionExpr:
		w.function(e)
		*at = call(e, hookMade, e)
	}
}

// concat makes one call of a .. b .. c, which the parser has as a .. (b .. c).
func (w *rewriter) concat(e *ast.StringConcatOpExpr) ast.Expr {
	var parts []ast.Expr
	var rest ast.Expr = e
	for {
		next, is := rest.(*ast.StringConcatOpExpr)
		if !is {
			break
		}
		parts = append(parts, next.Lhs)
		rest = next.Rhs
	}
	parts = append(parts, rest)
	w.all(parts)
	last := len(parts) - 1
	parts[last] = single(parts[last])
	return call(e, hookConcat, parts...)
}

// What the parts of a table take at most, in bytes. The first string key makes
// maps with room for 32.
const (
	tableBytes = 2048
	fieldBytes = 192 // of a hash table that keeps the order of its keys
	indexBytes = 32  // of an array that grows by doubling
)

// table charges what a constructor takes and sets what it has at computed keys.
func (w *rewriter) table(e *ast.TableExpr) ast.Expr {
	var pairs []ast.Expr
	var spread ast.Expr
	fields := e.Fields[:0]
	items := 0
	for i, f := range e.Fields {
		w.one(&f.Key)
		w.one(&f.Value)
		_, text := f.Key.(*ast.StringExpr)
		switch {
		case f.Key == nil && i == len(e.Fields)-1 && many(f.Value):
			spread = f.Value
		case f.Key == nil:
			items++
			// It may have become the last one, of which all values would count.
			f.Value = single(f.Value)
			fields = append(fields, f)
		case text:
			fields = append(fields, f)
		default:
			pairs = append(pairs, f.Key, single(f.Value))
		}
	}
	e.Fields = fields
	size := position(&ast.NumberExpr{Value: strconv.Itoa(tableBytes + fieldBytes*len(fields))}, e)
	// Arguments are in registers, of which a function has few.
	var out ast.Expr = call(e, hookTable, e, size)
	const most = 64
	for len(pairs) > 0 {
		n := min(most, len(pairs))
		none := position(&ast.NumberExpr{Value: "0"}, e)
		out = call(e, hookTable, append([]ast.Expr{out, none}, pairs[:n]...)...)
		pairs = pairs[n:]
	}
	if spread != nil {
		n := position(&ast.NumberExpr{Value: strconv.Itoa(items)}, e)
		out = call(e, hookSpread, out, n, spread)
	}
	return out
}

// many is whether an expression may have several values.
func many(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.FuncCallExpr:
		return !e.AdjustRet
	case *ast.Comma3Expr:
		return !e.AdjustRet
	}
	return false
}

// single is an expression with its first value alone.
func single(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.FuncCallExpr:
		e.AdjustRet = true
	case *ast.Comma3Expr:
		e.AdjustRet = true
	}
	return e
}

func call(at ast.PositionHolder, hook string, args ...ast.Expr) *ast.FuncCallExpr {
	name := position(&ast.IdentExpr{Value: hook}, at)
	return position(&ast.FuncCallExpr{Func: name, Args: args}, at)
}
