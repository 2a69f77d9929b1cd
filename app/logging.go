package app

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/rhumb-dns/rhumb/spec"
)

// logging is the log handler of the process. Its level and format follow the
// configuration; loggers made from it with attributes keep the format that was
// in force when they were made.
type logging struct {
	out     io.Writer
	level   slog.LevelVar
	handler atomic.Pointer[slog.Handler]
}

func newLogging(out io.Writer) *logging {
	l := &logging{out: out}
	l.set(spec.Log{Level: "info", Format: "text"})
	return l
}

func (l *logging) set(s spec.Log) {
	var level slog.Level
	if level.UnmarshalText([]byte(s.Level)) == nil {
		l.level.Set(level)
	}
	o := &slog.HandlerOptions{Level: &l.level}
	var h slog.Handler = slog.NewTextHandler(l.out, o)
	if s.Format == "json" {
		h = slog.NewJSONHandler(l.out, o)
	}
	l.handler.Store(&h)
}

func (l *logging) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level.Level() }

func (l *logging) Handle(ctx context.Context, r slog.Record) error {
	return (*l.handler.Load()).Handle(ctx, r)
}

func (l *logging) WithAttrs(as []slog.Attr) slog.Handler {
	return (*l.handler.Load()).WithAttrs(as)
}

func (l *logging) WithGroup(name string) slog.Handler { return (*l.handler.Load()).WithGroup(name) }
