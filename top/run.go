package top

import (
	"context"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/rhumb-dns/rhumb/api"
)

// Options are what Run needs.
type Options struct {
	In, Out  *os.File // Out is a terminal; keys are taken when In is one
	Color    bool
	Interval time.Duration // between two tries after a failure
	// Read makes a reading with lists of so many entries. It takes as long as what
	// it measures.
	Read func(ctx context.Context, limit int) (*api.Top, error)
}

// What the terminal is told. The other screen keeps what was on this one.
const (
	enter         = "\x1b[?1049h\x1b[?25l" // the other screen, no cursor
	leave         = "\x1b[?25h\x1b[?1049l"
	home          = "\x1b[H"
	erase         = "\x1b[K"                     // to the end of the line
	below         = "\x1b[0J"                    // to the end of the screen
	nl            = "\r\n"                       // a raw terminal does not return by itself
	atOnce, shown = "\x1b[?2026h", "\x1b[?2026l" // draw what is between as one; others ignore it
)

// reading is what came of one.
type reading struct {
	top *api.Top
	err error
}

// Run shows readings until ctx ends or a key asks it to. The error is that of the
// first reading, or of the terminal: a node that goes away later is waited for.
func Run(ctx context.Context, o Options) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	v := &View{Color: o.Color, Live: true}

	// The first one before the screen changes, so that what is wrong stays
	// visible.
	last, err := o.Read(ctx, v.limit(o.Out))
	if err != nil {
		if ctx.Err() != nil {
			return nil // it was asked to end
		}
		return err
	}
	keys := make(chan []byte)
	if in := int(o.In.Fd()); term.IsTerminal(in) {
		before, err := term.MakeRaw(in)
		if err != nil {
			return err
		}
		defer func() { _ = term.Restore(in, before) }() // nothing is left to be done about it
		go listen(ctx, o.In, keys)
	}
	if _, err := io.WriteString(o.Out, enter); err != nil {
		return err
	}
	defer func() { _, _ = io.WriteString(o.Out, leave) }() // as above

	readings := make(chan reading)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		o.readAll(ctx, v.limit, readings)
	}()
	defer func() { stop(); <-ended }()
	for {
		if err := v.draw(o.Out, last); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case pressed := <-keys:
			if v.Press(pressed) {
				return nil
			}
		case r := <-readings:
			v.Trouble = ""
			if r.err != nil {
				v.Trouble = r.err.Error()
			} else if !v.Paused {
				last = r.top
			}
		}
	}
}

// readAll makes one reading after the other.
func (o *Options) readAll(ctx context.Context, limit func(*os.File) int, out chan<- reading) {
	for {
		t, err := o.Read(ctx, limit(o.Out))
		select {
		case out <- reading{t, err}:
		case <-ctx.Done():
			return
		}
		if err == nil {
			continue
		}
		again := time.NewTimer(o.Interval)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
	}
}

// listen passes on what is typed. A read of a terminal cannot be ended, so the
// last one ends with the process.
func listen(ctx context.Context, in io.Reader, keys chan<- []byte) {
	for {
		b := make([]byte, 64)
		n, err := in.Read(b)
		if err != nil {
			return
		}
		select {
		case keys <- b[:n]:
		case <-ctx.Done():
			return
		}
	}
}

// limit is how many entries of a list can be seen.
func (*View) limit(out *os.File) int {
	_, height := size(out)
	return min(max(height, 20), 1000)
}

// size is that of the terminal, or a usual one when it will not say.
func size(out *os.File) (width, height int) {
	width, height, err := term.GetSize(int(out.Fd()))
	if err != nil || width < 1 || height < 1 {
		return 80, 24
	}
	return width, height
}

// draw shows a frame over the one before. The size is asked for each time, so
// that a terminal that changes is followed with the next frame.
func (v *View) draw(out *os.File, t *api.Top) error {
	v.Width, v.Height = size(out)
	var b strings.Builder
	b.WriteString(atOnce + home)
	for i, line := range v.Frame(t) {
		if i > 0 {
			b.WriteString(nl)
		}
		b.WriteString(line + erase)
	}
	b.WriteString(below + shown)
	_, err := io.WriteString(out, b.String())
	return err
}

// Press takes what was typed. It is true when that asks for the end.
func (v *View) Press(typed []byte) (quit bool) {
	for text := string(typed); text != ""; {
		key := text[:1]
		for _, long := range []string{"\x1b[C", "\x1b[D", "\x1bOC", "\x1bOD", "\x1b[A", "\x1b[B", "\x1bOA", "\x1bOB"} {
			if strings.HasPrefix(text, long) {
				key = long
			}
		}
		text = text[len(key):]
		switch key {
		case "q", "Q", "\x03", "\x04": // Control-C and Control-D, which a raw terminal leaves to us
			return true
		case "0", "\x1b":
			v.Section = 0
		case "1", "2", "3", "4", "5", "6", "7", "8", "9":
			if n := int(key[0] - '0'); n <= len(sections) {
				v.Section = n
			}
		case "\t", "\x1b[C", "\x1bOC", "\x1b[B", "\x1bOB":
			v.Section = (v.Section + 1) % (len(sections) + 1)
		case "\x1b[D", "\x1bOD", "\x1b[A", "\x1bOA":
			v.Section = (v.Section + len(sections)) % (len(sections) + 1)
		case "s", "S":
			v.Order = (v.Order + 1) % orders
		case " ", "p", "P":
			v.Paused = !v.Paused
		}
	}
	return false
}
