//go:build !linux

package server

// pins is whether this system can pin a thread.
const pins = false

// pinThread is never called.
func pinThread(int) error { return nil }
