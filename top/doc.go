// Package top is the live view of what a node is asked, for a terminal.
//
//	readings --+
//	keys ------+-> View -> Frame -> terminal
//
// A Frame depends on the View and the reading alone. It fits the terminal,
// whatever its size, and nothing in a name reaches the terminal as a command to it.
// Run leaves the terminal as it was, however it ends.
package top
