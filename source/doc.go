// Package source is who may state intent. A source says the whole of what it
// wants each time, never a change to what it wanted before.
//
//	File  the configuration file and all that it includes
//
// A source never puts anything in force: it hands over a statement, or the
// reason why there is none, and says when to ask again.
package source
