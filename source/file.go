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

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/watch"
)

// File states what a configuration file says.
type File struct {
	// Beside is of spec.Options. It is set before the first Load.
	Beside func(func())
	// Enabled is likewise.
	Enabled func(record, address string) (enabled, stated bool)

	path string
	text func() []byte // of the first document, which is in no file; nil: it is at path
	log  *slog.Logger

	loading sync.Mutex // of Load, which uses kept
	kept    spec.Kept

	mu      sync.Mutex
	watched []string      // files and patterns that made the last statement, or failed to
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

// NewText is NewFile for a statement that is in no file, but for those that it
// includes: text gives it for each Load, and messages call it by name.
func NewText(name string, text func() []byte, log *slog.Logger) *File {
	f := NewFile(name, log)
	f.path, f.text, f.watched = name, text, nil
	return f
}

// Path is the file's absolute path, or the name of what is in no file.
func (f *File) Path() string { return f.path }

// Load reads the file and all that it includes. The error is a spec.Errors.
func (f *File) Load() (*spec.Spec, error) {
	f.loading.Lock()
	defer f.loading.Unlock()
	for again := true; ; again = false {
		s, sure, err := f.load()
		if !sure && again {
			continue // what has just been written is read once more now, and no reload follows for it
		}
		select {
		case f.again <- struct{}{}:
		default:
		}
		return s, err
	}
}

// load reads the files once. It is sure when what they have become since will be seen.
func (f *File) load() (s *spec.Spec, sure bool, err error) {
	f.mu.Lock()
	before := fingerprint(f.watched)
	f.seen = before // so that Watch does not ask for what is under way
	f.mu.Unlock()
	begun := time.Now()

	o := spec.Options{Kept: &f.kept, Beside: f.Beside, Enabled: f.Enabled}
	if f.text != nil {
		o.Text = f.text()
	}
	s, watched, err := spec.Load(f.path, o)

	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case slices.Equal(watched, f.watched):
		// What changed while it was read is a change yet to come.
		f.seen = before
	case changedSince(watched, begun):
		f.watched, f.seen = watched, ""
		return s, false, err
	default:
		f.watched, f.seen = watched, fingerprint(watched)
	}
	return s, true, err
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
	for _, p := range slices.Concat(paths, watch.Directories(paths)) {
		if st, err := os.Stat(p); err == nil && !st.ModTime().Before(then.Add(-clockStep)) {
			return true
		}
	}
	return false
}

// settleMost is when a change is looked into at the latest.
const settleMost = 2 * time.Second

// Watch calls changed whenever the files of the last Load have become others, as
// package watch sees it. It returns nil when ctx ends.
func (f *File) Watch(ctx context.Context, changed func()) error {
	return watch.Run(ctx, watch.Options{
		Logger: f.log, What: "files of the configuration", Again: f.again, Latest: settleMost,
		Paths: func() []string {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.watched
		},
		Look: func(context.Context) {
			f.mu.Lock()
			differs := fingerprint(f.watched) != f.seen
			f.mu.Unlock()
			if differs {
				changed()
			}
		},
	})
}

// fingerprint changes when a file among paths does, or the list of those that a
// pattern among them matches. What else is in their directories does not matter: a
// node may have its data or its log there.
func fingerprint(paths []string) string {
	var b strings.Builder
	for _, p := range paths {
		if strings.ContainsAny(p, "*?[") {
			names, _ := filepath.Glob(p)
			fmt.Fprintf(&b, "%s %q\n", p, names)
		}
		st, err := os.Stat(p)
		if err != nil {
			fmt.Fprintf(&b, "%s missing\n", p)
			continue
		}
		real, _ := filepath.EvalSymlinks(p)
		mark(&b, p, real, st)
	}
	return b.String()
}

func mark(b *strings.Builder, path, real string, st fs.FileInfo) {
	fmt.Fprintf(b, "%s %s %s %o\n", path, real, spec.Stamp(path), st.Mode())
}
