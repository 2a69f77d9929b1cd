package mouth

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	clog "github.com/coredns/coredns/plugin/pkg/log"
)

// Logger writes to CoreDNS's log in the name of a plugin: "plugin/name: message
// key=value". Its debug messages are there when CoreDNS's plugin debug is.
func Logger(plugin string) *slog.Logger {
	return slog.New(&handler{to: clog.NewWithPlugin(plugin)})
}

// handler is a slog.Handler that writes to CoreDNS's log.
type handler struct {
	to     clog.P
	fields string // of With, each with a space before it
	group  string // with a dot behind it
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(_ context.Context, l slog.Level) bool {
	return l > slog.LevelDebug || clog.D.Value()
}

// Handle implements slog.Handler.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(h.fields)
	r.Attrs(func(a slog.Attr) bool {
		field(&b, h.group, a)
		return true
	})
	switch line := b.String(); {
	case r.Level >= slog.LevelError:
		h.to.Error(line)
	case r.Level >= slog.LevelWarn:
		h.to.Warning(line)
	case r.Level >= slog.LevelInfo:
		h.to.Info(line)
	default:
		h.to.Debug(line)
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	for _, a := range attrs {
		field(&b, h.group, a)
	}
	return &handler{h.to, h.fields + b.String(), h.group}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &handler{h.to, h.fields, h.group + name + "."}
}

func field(b *strings.Builder, group string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		for _, in := range v.Group() {
			field(b, group+a.Key+".", in)
		}
		return
	}
	text := v.String()
	if text == "" || strings.ContainsFunc(text, odd) {
		text = strconv.Quote(text)
	}
	fmt.Fprintf(b, " %s%s=%s", group, a.Key, text)
}

// odd is whether a character would make a value look like more than one, or is one
// that a terminal acts upon: a value may be a stranger's.
func odd(r rune) bool {
	return r == '"' || r == '=' || r == utf8.RuneError || !unicode.IsGraphic(r) || unicode.IsSpace(r)
}
