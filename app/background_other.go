//go:build !linux

package app

// background runs f; threads have no priority of their own here.
func background(f func()) { f() }

// beside runs f on another goroutine.
func beside(f func()) { go f() }
