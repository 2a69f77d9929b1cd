package watch

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// The pauses of Run. A writer that works in place makes many events, and what it
// has written in between is not yet what it means, so there is a look after a quiet
// SettleTime. Behind an event nobody listens for deafTime: meanwhile the system
// makes one of many that are equal, and a large file is written in ten thousand
// steps.
const (
	SettleTime = 200 * time.Millisecond
	PollTime   = 15 * time.Second
	deafTime   = 50 * time.Millisecond
)

// Options are what is watched.
type Options struct {
	Logger *slog.Logger
	// What is what the files are, for the log: "geo databases".
	What string
	// Paths are the files, and directories whose lists of files matter. It is called
	// before each Look.
	Paths func() []string
	// Look is called when something has changed beside a path, every PollTime, and
	// once in the beginning.
	Look func(ctx context.Context)
	// Again gets a token when Paths have become others.
	Again <-chan struct{}
	// Latest is after what time there is a look though it does not become quiet:
	// something else may write into the same directory without end.
	Latest time.Duration
}

// Run watches until ctx ends, and then returns nil.
func Run(ctx context.Context, o Options) error {
	var events chan fsnotify.Event
	var problems chan error
	w, err := fsnotify.NewWatcher()
	if err != nil {
		o.Logger.Warn(o.What+" are polled, because the system will not report changes", "error", err, "every", PollTime)
	} else {
		defer func() { _ = w.Close() }()
		events, problems = w.Events, w.Errors
	}
	poll := time.NewTicker(PollTime)
	defer poll.Stop()
	settle := time.NewTimer(0) // what changed before Run
	defer settle.Stop()
	deaf := time.NewTimer(deafTime)
	defer deaf.Stop()
	listened := events
	var since time.Time // of the first event that has not been looked into; zero: none
	stir := func() {
		if since.IsZero() {
			since = time.Now()
		}
		settle.Reset(max(min(SettleTime, time.Until(since.Add(o.Latest))), 0))
	}
	refused := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.Again:
			stir()
		case <-listened:
			stir()
			listened = nil
			deaf.Reset(deafTime)
		case <-deaf.C:
			listened = events
		case err := <-problems:
			o.Logger.Warn("watch of "+o.What, "error", err)
			stir()
		case <-poll.C:
			stir()
		case <-settle.C:
			since = time.Time{}
			// First the watches, then the look: what changes after the look is an event.
			if w != nil {
				o.follow(w, refused)
			}
			o.Look(ctx)
		}
	}
}

// follow makes the watcher watch the directories that matter now. Refused are
// those that could not be watched, which is said once.
func (o *Options) follow(w *fsnotify.Watcher, refused map[string]bool) {
	want := Directories(o.Paths())
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
			o.Logger.Warn("directory is polled, because it cannot be watched", "directory", d, "error", err, "every", PollTime)
		}
		refused[d] = err != nil
	}
}
