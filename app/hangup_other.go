//go:build !unix

package app

import "os"

// Hangups delivers nothing: there is no SIGHUP here. POST /api/v1/reload and the
// watch on the files remain.
func Hangups() (hup <-chan os.Signal, stop func()) { return nil, func() {} }
