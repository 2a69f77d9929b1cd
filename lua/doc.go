// Package lua runs scripts that it does not trust to end, in a sandbox:
//
//	source --Compile--> Program --Run--> values, or an Error
//	  parse, rewrite, compile     a state of its own, made and let go
//
// The interpreter is gopher-lua, which can stop between two instructions and
// knows no bound of memory. What one instruction could do without end is
// therefore rewritten before it is compiled (rewrite.go): concatenation, table
// constructors, assignments to computed keys, varargs and closures go through
// functions of ours that charge a budget first. The libraries that could run
// long or take much within one call are our own: string with its patterns,
// table, and those of the basic functions that copy.
//
// What it guarantees:
//
//   - A script stops within a moment of the end of its context, wherever it is,
//     and after a fixed number of instructions, and before it has taken more
//     than a fixed number of bytes. pcall does not catch that.
//   - It can reach nothing but what Run gives it: no os, io, debug, package or
//     coroutine, no load, loadstring, dofile, loadfile, require, module, getfenv,
//     setfenv, collectgarbage. Nothing remains from one run to the next.
//   - It starts no goroutine.
//
// What it never does: open a connection or a file. Whoever runs a script gives it
// functions for that, which keep to the context themselves.
package lua
