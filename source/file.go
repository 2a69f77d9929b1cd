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

	"github.com/rhumb-dns/rhumb/spec"
)

// File states what a configuration file says.
type File struct {
	path string
	log  *slog.Logger

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
	f.mu.Lock()
	before := fingerprint(f.watched)
	f.mu.Unlock()

	s, watched, err := spec.Load(f.path, spec.Options{})

	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Equal(watched, f.watched) {
		// What changed while it was read is a change yet to come.
		f.seen = before
	} else {
		f.watched, f.seen = watched, fingerprint(watched)
	}
	select {
	case f.again <- struct{}{}:
	default:
	}
	return s, err
}

// The pauses of Watch. A writer that works in place makes several events, and
// what it has written in between is not yet a configuration; poll finds changes
// on file systems that report none, such as NFS.
const (
	settleTime = 200 * time.Millisecond
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
	settle := time.NewTimer(0) // what changed between Load and now
	defer settle.Stop()
	poll := time.NewTicker(pollTime)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.again:
			if w != nil {
				f.follow(w)
			}
			settle.Reset(settleTime)
		case <-events:
			settle.Reset(settleTime)
		case err := <-problems:
			f.log.Warn("file watch", "error", err)
			settle.Reset(settleTime)
		case <-poll.C:
			settle.Reset(0)
		case <-settle.C:
			f.mu.Lock()
			differs := fingerprint(f.watched) != f.seen
			f.mu.Unlock()
			if differs {
				changed()
			}
		}
	}
}

// follow makes the watcher watch the directories that matter now: those of the
// files, and those of the files that links lead to.
func (f *File) follow(w *fsnotify.Watcher) {
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
		if !slices.Contains(have, d) {
			if err := w.Add(d); err != nil {
				f.log.Warn("directory is polled, because it cannot be watched", "directory", d, "error", err, "every", pollTime)
			}
		}
	}
}

func directories(paths []string) []string {
	var dirs []string
	add := func(p string) {
		d := filepath.Dir(p)
		if st, err := os.Stat(p); err == nil && st.IsDir() {
			d = p
		}
		if !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	for _, p := range paths {
		add(p)
		if real, err := filepath.EvalSymlinks(p); err == nil && real != p {
			add(real)
		}
	}
	return dirs
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
	fmt.Fprintf(b, "%s %s %d %d %o\n", path, real, st.Size(), st.ModTime().UnixNano(), st.Mode())
}
