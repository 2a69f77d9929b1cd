package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

func served(state, reason string) *api.Servers {
	return &api.Servers{
		Servers: []api.Server{
			{Pool: "eu", Address: "192.0.2.1", State: "up", Authority: "no check"},
			{Pool: "eu", Address: "192.0.2.2", State: state, Authority: "probe", Reason: reason},
		},
		Total: 2, GeneratedAt: time.Now(),
	}
}

// Where there is no terminal, a line is printed when it has changed and no sooner,
// and a node that goes away is complained of once.
func TestWatchChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, said bytes.Buffer
		c := &cli{out: page{w: &out}, err: &said, now: time.Now}
		ctx, stop := context.WithCancel(t.Context())
		reads := 0
		w := watching{interval: time.Second, show: (&changes{c: c}).show, read: func(context.Context) (*api.Servers, error) {
			switch reads++; reads {
			case 1, 2:
				return served("up", ""), nil
			case 3:
				return served("down", "check web: no\x1b answer"), nil
			case 4, 5:
				return nil, errors.New("connection refused")
			case 6:
				return &api.Servers{GeneratedAt: time.Now()}, nil
			}
			stop()
			return nil, ctx.Err()
		}}
		if err := w.follow(ctx, served("up", "")); err != nil {
			t.Fatal(err)
		}
		const want = `2000-01-01T00:00:00Z eu 192.0.2.1 up by no check
2000-01-01T00:00:00Z eu 192.0.2.2 up by probe
2000-01-01T00:00:03Z eu 192.0.2.2 down by probe: check web: no` + "�" + ` answer
2000-01-01T00:00:06Z eu 192.0.2.1 is not there any more
2000-01-01T00:00:06Z eu 192.0.2.2 is not there any more
`
		if out.String() != want {
			t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
		}
		if said.String() != "rhumb: connection refused\n" {
			t.Errorf("said %q", said.String())
		}
	})
}

// In a terminal only lines that changed are drawn, and no more than fit.
func TestWatchScreen(t *testing.T) {
	var out bytes.Buffer
	columns, rows := 0, 4
	s := &screen{w: &out, size: func() (int, int) { return columns, rows }}
	for _, c := range []struct {
		lines []string
		rows  int
		want  string
	}{
		{[]string{"a", "b", "c"}, 4, "\x1b[2J\x1b[1;1Ha\x1b[K\x1b[2;1Hb\x1b[K\x1b[3;1Hc\x1b[K"},
		{[]string{"a", "b", "c"}, 4, ""},
		{[]string{"a", "B", "c"}, 4, "\x1b[2;1HB\x1b[K"},
		{[]string{"a"}, 4, "\x1b[2;1H\x1b[K\x1b[3;1H\x1b[K"},
		{[]string{"a", "b", "c", "d", "e"}, 4, "\x1b[2;1Hb\x1b[K\x1b[3;1Hc\x1b[K\x1b[4;1H... and 2 lines more\x1b[K"},
		{[]string{"a", "b"}, 2, "\x1b[2J\x1b[1;1Ha\x1b[K\x1b[2;1Hb\x1b[K"},
		{[]string{"a", "b"}, 2, ""},
		{[]string{"a", "b"}, 102, "\x1b[2J\x1b[1;1Ha\x1b[K\x1b[2;1Hb\x1b[K"}, // wider
		{[]string{"a", "b"}, 102, ""},
	} {
		columns, rows = c.rows/100, c.rows%100
		out.Reset()
		if err := s.draw(c.lines); err != nil || out.String() != c.want {
			t.Errorf("%q: %v, drew %q, want %q", c.lines, err, out.String(), c.want)
		}
	}
}

func TestWatchFrame(t *testing.T) {
	c := &cli{now: time.Now}
	lines := c.frame(served("down", "check web: no answer"), errors.New("no\nanswer"))
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "2 endpoints at ") || !strings.HasSuffix(lines[0], "  no answer") ||
		!strings.Contains(lines[3], "check web: no answer") {
		t.Errorf("%q", lines)
	}
	if lines = c.frame(&api.Servers{}, nil); len(lines) != 2 || lines[1] != "rhumb: no endpoint matches" {
		t.Errorf("%q", lines)
	}
}

// TestWatch runs the command as a pipe has it: it goes on until it is interrupted,
// and that is no failure.
func TestWatch(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no interrupt to send")
	}
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all := served("up", "")
		if asked.Add(1) > 2 {
			all = served("down", "check web: no answer")
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(all)
	}))
	defer srv.Close()
	cmd := exec.Command(filepath.Join(filepath.Dir(lookPath(t)), "rhumb"), "servers", "--watch", "--interval", "100ms", "--api", srv.URL)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasSuffix(lines.Text(), " eu 192.0.2.2 down by probe: check web: no answer") {
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	if err := cmd.Wait(); err != nil || asked.Load() < 3 {
		t.Errorf("%v, after %d answers", err, asked.Load())
	}
}
