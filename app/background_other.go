//go:build !linux

package app

// background runs f; threads have no priority of their own here.
func background(f func()) { f() }
