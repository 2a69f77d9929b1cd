package top

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhumb-dns/rhumb/api"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// terminal opens a pair: what is written to ours is typed in theirs.
func terminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	t.Cleanup(func() { _ = theirs.Close() })
	if err := unix.IoctlSetWinsize(int(theirs.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// settings are those of a terminal.
func settings(t *testing.T, f *os.File) *unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRun looks at the screen of a terminal, and at the terminal afterwards.
func TestRun(t *testing.T) {
	for name, end := range map[string]func(ours *os.File, stop func()){
		"q":         func(ours *os.File, _ func()) { _, _ = ours.WriteString("q") },
		"control-C": func(ours *os.File, _ func()) { _, _ = ours.WriteString("\x03") },
		"a signal":  func(_ *os.File, stop func()) { stop() },
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := terminal(t)
			before := settings(t, theirs)
			ctx, stop := context.WithCancel(t.Context())
			n := 0
			ended := make(chan error, 1)
			go func() {
				ended <- Run(ctx, Options{
					In: theirs, Out: theirs, Interval: time.Millisecond,
					Read: func(ctx context.Context, limit int) (*api.Top, error) {
						switch n++; n {
						case 1:
							return busy(), nil
						case 2:
							return nil, errors.New("the node is away")
						case 3:
							back := busy()
							back.Node = "again"
							return back, nil
						}
						<-ctx.Done()
						return nil, ctx.Err()
					},
				})
			}()
			seen := ""
			buf := make([]byte, 64<<10)
			until := func(what string) {
				t.Helper()
				for !strings.Contains(seen, what) {
					k, err := ours.Read(buf)
					if err != nil {
						t.Fatalf("%q did not come: %v\n%q", what, err, seen)
					}
					seen += string(buf[:k])
				}
				_, seen, _ = strings.Cut(seen, what)
			}
			watchdog := time.AfterFunc(patience, func() { _ = theirs.Close() })
			defer watchdog.Stop()
			until(enter)
			until("1 ZONES")
			until("the node is away")
			until("again")
			until(shown)
			if _, err := ours.WriteString("2"); err != nil {
				t.Fatal(err)
			}
			until("SERVICES              ") // that list alone
			if raw := settings(t, theirs); raw.Lflag&unix.ECHO != 0 {
				t.Error("keys are echoed")
			}
			end(ours, stop)
			if err := <-ended; err != nil {
				t.Error(err)
			}
			until(leave)
			if after := settings(t, theirs); !reflect.DeepEqual(before, after) {
				t.Errorf("the terminal is not as it was: %+v, it was %+v", after, before)
			}
		})
	}
}

// TestRunFails leaves the screen alone when there is nothing to show.
func TestRunFails(t *testing.T) {
	ours, theirs := terminal(t)
	away := errors.New("away")
	err := Run(t.Context(), Options{In: theirs, Out: theirs, Read: func(context.Context, int) (*api.Top, error) { return nil, away }})
	if !errors.Is(err, away) {
		t.Errorf("%v", err)
	}
	if _, err := theirs.WriteString("end"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := ours.Read(buf); err != nil || string(buf[:n]) != "end" {
		t.Errorf("%q, %v", buf[:n], err)
	}
}
