// Package program runs a program of the operator's within bounds: without a shell, in
// a process group of its own that ends with it, for as long as the context allows, with
// as much output as it is allowed to write.
//
//	       asked to stop   killed
//	start ------|------------|---- end of the context
//	             SIGTERM      SIGKILL, to the whole process group
//
// What the program has started and left behind is ended as well. It knows nothing of
// what programs are for.
package program
