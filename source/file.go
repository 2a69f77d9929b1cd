package source

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
)

// File states what a configuration file says.
type File struct {
	// Beside is of spec.Options. It is set before the first Load.
	Beside func(func())

	path string
	log  *slog.Logger

	loading sync.Mutex // of Load, which uses kept
	kept    spec.Kept

	mu      sync.Mutex
	watched []string      // files and directories that made the last statement, or failed to
	seen    string        // their fingerprint before they were read
	again   chan struct{} // one token: watched changed
}

// NewFile makes the source of a file. The logger may be nil.
func NewFile(path string, log *slog.Logger) *File {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return &File{path: path, log: log, watched: []string{path}, again: make(chan struct{}, 1)}
}

// Path is the file's absolute path.
func (f *File) Path() string { return f.path }

// Load reads the file and all that it includes. The error is a spec.Errors.
func (f *File) Load() (*spec.Spec, error) {
	f.loading.Lock()
	defer f.loading.Unlock()
	f.mu.Lock()
	before := fingerprint(f.watched)
	f.seen = before // so that Watch does not ask for what is under way
	f.mu.Unlock()
	begun := time.Now()

	s, watched, err := spec.Load(f.path, spec.Options{Kept: &f.kept, Beside: f.Beside})

	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case slices.Equal(watched, f.watched):
		// What changed while it was read is a change yet to come.
		f.seen = before
	case changedSince(watched, begun):
		f.watched, f.seen = watched, ""
	default:
		f.watched, f.seen = watched, fingerprint(watched)
	}
	select {
	case f.again <- struct{}{}:
	default:
	}
	return s, err
}

// Whole has the file of a zone read as a whole from the next Load on.
func (f *File) Whole(zone dnswire.Name) {
	f.loading.Lock()
	defer f.loading.Unlock()
	f.kept.Whole(zone)
}

// clockStep is how far the time that a file system gives a change may be behind:
// it comes from a clock that moves on with the kernel's timer, at 100 Hz or more.
const clockStep = 10 * time.Millisecond

// changedSince is whether one of the paths, of which there is no earlier
// fingerprint, or a directory that leads to one, has been written since then. A
// file put beside them counts as well: to read once more for nothing is better
// than to miss a change.
func changedSince(paths []string, then time.Time) bool {
	for _, p := range slices.Concat(paths, directories(paths)) {
		if st, err := os.Stat(p); err == nil && !st.ModTime().Before(then.Add(-clockStep)) {
			return true
		}
	}
	return false
}

// The pauses of Watch. A writer that works in place makes several events, and
// what it has written in between is not yet a configuration, so a change is
// believed after a quiet settleTime; but not later than settleMost, since
// something else may write into the same directory without end. Behind an event
// nobody listens for deafTime: meanwhile the system makes one of many that are
// equal, and a large file is written in ten thousand steps. Poll finds changes on
// file systems that report none, such as NFS.
const (
	settleTime = 200 * time.Millisecond
	deafTime   = 50 * time.Millisecond
	settleMost = 2 * time.Second
	pollTime   = 15 * time.Second
)

// Watch calls changed whenever the files of the last Load have become others:
// written in place, replaced by a rename, or reached through a symbolic link
// that was turned to another directory, as Kubernetes does with a ConfigMap. It
// watches the directories, since a watch on a file ends with the file. It
// returns nil when ctx ends.
func (f *File) Watch(ctx context.Context, changed func()) error {
	var events chan fsnotify.Event
	var problems chan error
	w, err := fsnotify.NewWatcher()
	if err != nil {
		f.log.Warn("files are polled, because the system will not report changes", "error", err, "every", pollTime)
	} else {
		defer func() { _ = w.Close() }()
		events, problems = w.Events, w.Errors
	}
	poll := time.NewTicker(pollTime)
	defer poll.Stop()
	settle := time.NewTimer(0) // what changed between Load and now
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
		case <-f.again:
			stir()
		case <-listened:
			stir()
			listened = nil
			deaf.Reset(deafTime)
		case <-deaf.C:
			listened = events
		case err := <-problems:
			f.log.Warn("file watch", "error", err)
			stir()
		case <-poll.C:
			stir()
		case <-settle.C:
			since = time.Time{}
			// First the watches, then the look: what changes after the look is an event.
			if w != nil {
				f.follow(w, refused)
			}
			f.mu.Lock()
			differs := fingerprint(f.watched) != f.seen
			f.mu.Unlock()
			if differs {
				changed()
			}
		}
	}
}

// follow makes the watcher watch the directories that matter now. Refused are
// those that could not be watched, which is said once.
func (f *File) follow(w *fsnotify.Watcher, refused map[string]bool) {
	f.mu.Lock()
	want := directories(f.watched)
	f.mu.Unlock()
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
			f.log.Warn("directory is polled, because it cannot be watched", "directory", d, "error", err, "every", pollTime)
		}
		refused[d] = err != nil
	}
}

// directories are those in which a change can make one of the paths another
// file: the one it is in, and the one of every symbolic link on the way to it.
// In place of a directory that does not exist stands the one in which it, or
// what leads to it, would appear.
func directories(paths []string) []string {
	var dirs []string
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
	for _, p := range paths {
		// The kernel gives up after 40 links too.
		for range 40 {
			if st, err := os.Stat(p); err == nil && st.IsDir() {
				add(p)
			} else {
				add(filepath.Dir(p))
			}
			link, to, found := firstLink(p)
			if !found {
				break
			}
			add(filepath.Dir(link))
			p = to
		}
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

// fingerprint changes when a file among paths does, or the list of files of a
// directory among them.
func fingerprint(paths []string) string {
	var b strings.Builder
	for _, p := range paths {
		st, err := os.Stat(p)
		if err != nil {
			fmt.Fprintf(&b, "%s missing\n", p)
			continue
		}
		real, _ := filepath.EvalSymlinks(p)
		if !st.IsDir() {
			mark(&b, p, real, st)
			continue
		}
		entries, _ := os.ReadDir(p)
		for _, e := range entries {
			fmt.Fprintf(&b, "%s/%s\n", real, e.Name())
		}
	}
	return b.String()
}

func mark(b *strings.Builder, path, real string, st fs.FileInfo) {
	fmt.Fprintf(b, "%s %s %s %o\n", path, real, spec.Stamp(path), st.Mode())
}
