// Package document reads YAML into a tree whose every value knows its place.
//
//	text -> fast.go, flow.go, scalar.go -> tree -> Node
//	   \--> library.go ----------------/   tree.go  node.go, variables.go
//
// Two parsers make the same tree: a fast one for the part of YAML that
// configurations are written in, and the YAML library for everything else. What
// YAML means is decided by the library alone, and so is every syntax error: the
// fast one gives up, without an error, at whatever it does not know.
//
// A document is a value, a list or a map whose keys are scalars. Lines and
// columns are those of the text, in characters, also behind aliases and merge
// keys, which are expanded as far as a bound. A scalar is text until somebody
// asks what it means; ${NAME} in it stands for an environment variable wherever
// it stands, also where YAML by itself would end the scalar at a brace. A
// million lines are a few slices without pointers.
//
// It knows no keys and nothing of DNS, opens no file and reads no environment:
// it takes a text and a function that looks variables up.
package document
