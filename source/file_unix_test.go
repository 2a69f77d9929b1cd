//go:build unix

package source

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A file that is written after it has been read and before Load is done is a
// change yet to come. The last include is a pipe, so that the test knows when
// the files before it have been read and says when Load goes on.
func TestChangeDuringLoad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		loads int // before the one that is disturbed
	}{{"the first", 0}, {"a later one", 1}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, pipe := filepath.Join(dir, "rhumb.yaml"), filepath.Join(dir, "pipe")
			do(t, syscall.Mkfifo(pipe, 0o600))
			include := "include: [pipe]\n"
			write(t, path, include+minimal("192.0.2.1"))
			f := NewFile(path, nil)
			// feed serves the pipe to one load, after something has been done.
			feed := func(meanwhile func()) (fed chan struct{}) {
				fed = make(chan struct{})
				go func() {
					defer close(fed)
					p, err := os.OpenFile(pipe, os.O_WRONLY, 0) // returns when Load opens its end
					if err != nil {
						t.Error(err)
						return
					}
					meanwhile()
					_, err = p.WriteString("log: {level: info}\n")
					if err := errors.Join(err, p.Close()); err != nil {
						t.Error(err)
					}
				}()
				return fed
			}
			for i := range c.loads + 1 {
				fed := feed(func() {
					if i == c.loads {
						write(t, path, include+minimal("192.0.2.22"))
					}
				})
				_, err := f.Load()
				do(t, err)
				<-fed
			}
			fed := feed(func() {}) // for the load that Watch asks for
			w := watch(t, f)
			w.want("192.0.2.22")
			<-fed
		})
	}
}
