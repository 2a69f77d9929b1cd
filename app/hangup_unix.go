//go:build unix

package app

import (
	"os"
	"os/signal"
	"syscall"
)

// Hangups delivers SIGHUP until stop is called.
func Hangups() (hup <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}
