package geo

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/rhumb-dns/rhumb/watch"
)

// settleMost is when a change is looked into at the latest. A database is larger
// than a configuration, and takes longer to write.
const settleMost = 5 * time.Second

// Run renews the view whenever a database's file becomes another, as package watch
// sees it. A file that cannot be used changes nothing but the status, the metrics
// and, once, the log; it is read again when it changes or after a while. It returns
// nil when ctx ends.
func (a *Atlas) Run(ctx context.Context) error {
	return watch.Run(ctx, watch.Options{
		Logger: a.log, What: "geo databases", Again: a.again, Latest: settleMost,
		Paths: func() (paths []string) {
			a.mu.Lock()
			defer a.mu.Unlock()
			for _, l := range a.set.loaded {
				if l.path != BuiltIn {
					paths = append(paths, l.path)
				}
			}
			return paths
		},
		Look: func(ctx context.Context) {
			a.tidy()
			a.renew(ctx)
		},
	})
}

// tidy gives the memory of what was replaced, and of what it took to read its
// successor, back to the system, when that is much. It comes one look later: now
// nobody has the view before.
func (a *Atlas) tidy() {
	a.mu.Lock()
	due := a.littered
	a.littered = false
	a.mu.Unlock()
	if due {
		debug.FreeOSMemory()
	}
}
