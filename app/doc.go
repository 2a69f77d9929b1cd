// Package app is the process: it wires the rooms together and runs them.
//
//	New     reads the configuration and opens the store; no socket yet
//	Run     binds, probes, answers when the first verdicts are in; stops in order
//	Reload  reads again and puts in force what can be, or changes nothing
//
// All that can fail in a reload (reading, compiling, probes, sockets) happens
// before the first side effect; what follows cannot fail. What Run started it
// has stopped, and waited for, when it returns.
package app
