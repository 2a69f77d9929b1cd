package geo

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// The pauses of Run. A file that is written in place makes many events, and is
// no database before the last of them, so it is read after a quiet settleTime;
// but not later than settleMost, since something else may write beside it without
// end. Behind an event nobody listens for deafTime: meanwhile the system makes one
// of many that are equal. Poll finds changes on file systems that report none,
// such as NFS.
const (
	settleTime = 200 * time.Millisecond
	deafTime   = 50 * time.Millisecond
	settleMost = 5 * time.Second
	pollTime   = 15 * time.Second
)

// Run renews the view whenever a database's file becomes another: replaced by a
// rename, written in place, or reached through a symbolic link that was turned,
// as Kubernetes does with a ConfigMap. A file that cannot be used changes nothing
// but the status, the metrics and, once, the log; it is read again when it changes
// or after a while. It returns nil when ctx ends.
func (a *Atlas) Run(ctx context.Context) error {
	var events chan fsnotify.Event
	var problems chan error
	w, err := fsnotify.NewWatcher()
	if err != nil {
		a.log.Warn("geo databases are polled, because the system will not report changes", "error", err, "every", pollTime)
	} else {
		defer func() { _ = w.Close() }()
		events, problems = w.Events, w.Errors
	}
	poll := time.NewTicker(pollTime)
	defer poll.Stop()
	settle := time.NewTimer(0) // what changed between Apply and now
	defer settle.Stop()
	deaf := time.NewTimer(deafTime)
	defer deaf.Stop()
	listened := events
	var since time.Time // of the first event that has not been looked into; zero: none
	stir := func() {
		if since.IsZero() {
			since = time.Now()
		}
		settle.Reset(max(min(settleTime, time.Until(since.Add(settleMost))), 0))
	}
	refused := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.again:
			stir()
		case <-listened:
			stir()
			listened = nil
			deaf.Reset(deafTime)
		case <-deaf.C:
			listened = events
		case err := <-problems:
			a.log.Warn("geo: file watch", "error", err)
			stir()
		case <-poll.C:
			stir()
		case <-settle.C:
			since = time.Time{}
			// First the watches, then the look: what changes after the look is an event.
			if w != nil {
				a.follow(w, refused)
			}
			a.renew(ctx)
		}
	}
}

// follow makes the watcher watch the directories that matter now. Refused are
// those that could not be watched, which is said once.
func (a *Atlas) follow(w *fsnotify.Watcher, refused map[string]bool) {
	var want []string
	a.mu.Lock()
	for _, l := range a.set.loaded {
		if l.path != BuiltIn {
			want = directories(want, l.path)
		}
	}
	a.mu.Unlock()
	have := w.WatchList()
	for _, d := range have {
		if !slices.Contains(want, d) {
			_ = w.Remove(d)
		}
	}
	for _, d := range want {
		if slices.Contains(have, d) {
			continue
		}
		err := w.Add(d)
		if err != nil && !refused[d] {
			a.log.Warn("directory is polled, because it cannot be watched", "directory", d, "error", err, "every", pollTime)
		}
		refused[d] = err != nil
	}
}

// directories adds to dirs those in which a change can make path another file:
// the one it is in, and the one of each symbolic link on the way to it. In place
// of one that does not exist stands the one in which it would appear.
func directories(dirs []string, path string) []string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	add := func(d string) {
		for {
			if st, err := os.Stat(d); err == nil && st.IsDir() || d == filepath.Dir(d) {
				break
			}
			d = filepath.Dir(d)
		}
		if !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	// The kernel gives up after 40 links too.
	for range 40 {
		add(filepath.Dir(path))
		link, to, found := firstLink(path)
		if !found {
			break
		}
		add(filepath.Dir(link))
		path = to
	}
	return dirs
}

// firstLink is the symbolic link on the way to a path that comes first, and the
// path with that link followed.
func firstLink(path string) (link, to string, found bool) {
	for i := 1; i <= len(path); i++ {
		if i < len(path) && !os.IsPathSeparator(path[i]) {
			continue
		}
		link = path[:i]
		target, err := os.Readlink(link)
		if err != nil {
			continue
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(link), target)
		}
		return link, filepath.Join(target, path[i:]), true
	}
	return "", "", false
}
