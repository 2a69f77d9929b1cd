package lua

import (
	"errors"
	"fmt"
	"strings"

	"github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// MaxSource is the longest script, in bytes.
const MaxSource = 64 << 10

// Program is a script that can be run, by several goroutines at once.
type Program struct {
	proto *lua.FunctionProto
	names map[string]bool
}

// SyntaxError is what is wrong with a script. Line counts from 1; 0 is the end of
// the script, or the script as a whole.
type SyntaxError struct {
	Line int
	Msg  string
}

func (e *SyntaxError) Error() string {
	if e.Line < 1 {
		return e.Msg
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Msg)
}

// chunkName stands before the line in what the interpreter says, and is cut off
// there.
const chunkName = "script"

// Compile makes a program of a script in Lua 5.1, with goto. Every error is a
// *SyntaxError.
func Compile(source string) (p *Program, err error) {
	if len(source) > MaxSource {
		return nil, &SyntaxError{Msg: fmt.Sprintf("the script has %d bytes, and %d at most may be", len(source), MaxSource)}
	}
	// The compiler panics for what it has no words for, such as a function that
	// needs too many registers.
	defer func() {
		if why := recover(); why != nil {
			p, err = nil, &SyntaxError{Msg: fmt.Sprint("the script cannot be compiled: ", why)}
		}
	}()
	chunk, err := parse.Parse(strings.NewReader(source), chunkName)
	if err != nil {
		return nil, syntax(err)
	}
	names := map[string]bool{}
	chunk, err = rewrite(chunk, names)
	if err != nil {
		return nil, err
	}
	proto, err := lua.Compile(chunk, chunkName)
	if err != nil {
		return nil, syntax(err)
	}
	return &Program{proto, names}, nil
}

// Names reports whether a script has the word name where a variable can be, so
// that a script that has not can have no use for the global of that name, but
// by way of _G.
func (p *Program) Names(name string) bool { return p.names[name] }

// syntax is an error of the parser or the compiler in our words.
func syntax(err error) error {
	var (
		at       *parse.Error
		compiled *lua.CompileError
	)
	switch {
	case errors.As(err, &at) && at.Pos.Line == parse.EOF && at.Message == "syntax error":
		return &SyntaxError{Msg: "unexpected end of the script"}
	case errors.As(err, &at) && at.Pos.Line == parse.EOF:
		return &SyntaxError{Msg: "at the end of the script: " + at.Message}
	case errors.As(err, &at):
		return &SyntaxError{Line: at.Pos.Line, Msg: fmt.Sprintf("near %q: %s", at.Token, at.Message)}
	case errors.As(err, &compiled):
		return &SyntaxError{Line: compiled.Line, Msg: compiled.Message}
	}
	return &SyntaxError{Msg: strings.TrimSpace(err.Error())}
}

// maxDepth is how deep expressions and blocks may be in each other: the compiler
// descends into them.
const maxDepth = 200

// position is where a node of ours stands: where the one stood that it is for.
func position[N ast.PositionHolder](n N, like ast.PositionHolder) N {
	n.SetLine(like.Line())
	n.SetLastLine(max(like.Line(), like.LastLine()))
	return n
}
