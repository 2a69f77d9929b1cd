//go:build unix

package probe

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/program"
)

// script writes an executable and gives its path.
func script(t testing.TB, body string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "check")
	if !strings.HasPrefix(body, "#!") {
		body = "#!/bin/sh\n" + body
	}
	// A program that some process has open for writing cannot be started, and a fork
	// of this one has what is open here.
	syscall.ForkLock.RLock()
	err := os.WriteFile(file, []byte(body), 0o600)
	if err == nil {
		err = os.Chmod(file, 0o700)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func newScript(t testing.TB, o Script) *scriptProber {
	t.Helper()
	p, err := NewScript(o)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*scriptProber)
}

var endpoint = Target{Addr: netip.MustParseAddr("192.0.2.1"), Port: 8080, Priority: 7}

func TestScriptVerdicts(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for name, c := range map[string]struct {
		body     string
		edit     func(*Script)
		class    Class
		detail   string
		degraded bool
	}{
		"success":               {`exit 0`, nil, ClassNone, "", false},
		"success with words":    {`echo fine`, nil, ClassNone, "", false},
		"failure":               {`echo down; exit 1`, nil, ClassValue, "exit status 1: down", false},
		"failure to errors":     {`echo broken >&2; exit 3`, nil, ClassValue, "exit status 3: broken", false},
		"failure without":       {`exit 9`, nil, ClassValue, "exit status 9", false},
		"first line":            {`printf '\n  \n one \ntwo\n'; exit 2`, nil, ClassValue, "exit status 2: one", false},
		"figures":               {`echo 'LOAD CRITICAL | load=9'; exit 2`, nil, ClassValue, "exit status 2: LOAD CRITICAL", false},
		"warning":               {`echo 'LOAD WARNING | load=5'; exit 1`, func(s *Script) { s.Nagios = true }, ClassNone, "warning: LOAD WARNING", true},
		"critical":              {`exit 2`, func(s *Script) { s.Nagios = true }, ClassValue, "exit status 2", false},
		"unknown":               {`exit 3`, func(s *Script) { s.Nagios = true }, ClassValue, "exit status 3", false},
		"escape sequences":      {`printf 'a\033[31mb\001'; exit 1`, nil, ClassValue, "a?[31mb?", false},
		"long":                  {`echo ` + long + `; exit 1`, nil, ClassValue, "exit status 1: xxx", false},
		"killed":                {`echo so; kill -KILL $$`, nil, ClassScript, "the script was ended by killed: so", false},
		"no such interpreter":   {"#!/no/such/shell\n", nil, ClassLocal, "the script cannot be started: the interpreter", false},
		"directory that is not": {`exit 0`, func(s *Script) { s.Dir = "/no/such" }, ClassLocal, "the script cannot be started", false},
		"writes too much":       {`while :; do echo ` + long + `; done`, nil, ClassOversize, "more than 1048576 bytes", false},
		"arguments": {
			`[ "$#" = 6 ] && [ "$1" = -H192.0.2.1 ] && [ "$2" = 8080 ] && [ "$3" = 'a b;$HOME{x}' ] && [ "$4" = "web/7" ] && [ -z "$5" ] && [ "$6" = '*' ] || { echo "$@"; exit 1; }`,
			func(s *Script) {
				s.Args = []string{"-H{address}", "{port}", "a b;$HOME{x}", "{check}/{priority}", "{host}", "*"}
			}, ClassNone, "", false,
		},
		"environment": {
			`[ "$RHUMB_ADDRESS" = 192.0.2.1 ] && [ "$RHUMB_PORT" = 8080 ] && [ "$RHUMB_CHECK" = web ] && [ "$RHUMB_PRIORITY" = 7 ] && [ -z "$RHUMB_HOST" ] && [ "$LC_ALL" = C ] && [ "$KEY" = 'v w' ] && [ -z "$NODE_SECRET" ] && [ -n "$PATH" ] && [ -n "$RHUMB_TIMEOUT" ] || { env; exit 1; }`,
			func(s *Script) { s.Env = map[string]string{"KEY": "v w"} }, ClassNone, "", false,
		},
		"input":                 {`read x && exit 1; exit 0`, nil, ClassNone, "", false},
		"directory":             {`[ "$(pwd -P)" = / ]`, func(s *Script) { s.Dir = "/" }, ClassNone, "", false},
		"directory by standard": {`[ -x ./check ]`, nil, ClassNone, "", false},
		"secret":                {`echo "login with $KEY failed"; exit 1`, func(s *Script) { s.Env, s.Secrets = map[string]string{"KEY": "hunter22"}, []string{"KEY"} }, ClassValue, "exit status 1: login with *** failed", false},
		"secret that is cut":    {`printf '%1018s%s'  ' ' "$KEY"; exit 1`, func(s *Script) { s.Env, s.Secrets = map[string]string{"KEY": "hunter22"}, []string{"KEY"} }, ClassValue, "exit status 1", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Script{Command: script(t, c.body), Name: "web"}
			if c.edit != nil {
				c.edit(&o)
			}
			got := newScript(t, o).Probe(ctxFor(t, patience), endpoint)
			if got.Degraded != c.degraded {
				t.Errorf("degraded %t", got.Degraded)
			}
			if got.Degraded {
				if !got.OK || got.Detail != c.detail {
					t.Errorf("got %+v, want %q", got, c.detail)
				}
				return
			}
			check(t, got, c.class, c.detail)
			if strings.Contains(got.Detail, "hunt") {
				t.Errorf("the secret is in the detail: %q", got.Detail)
			}
		})
	}
}

func TestScriptKeepsTheNodesEnvironment(t *testing.T) {
	t.Setenv("NODE_SECRET", "1")
	p := newScript(t, Script{Command: script(t, `[ -z "$NODE_SECRET" ]`)})
	check(t, p.Probe(ctxFor(t, patience), endpoint), ClassNone, "")
}

// alive is whether there is a process with the number that a script has written.
func alive(t *testing.T, file string) bool {
	t.Helper()
	raw, err := os.ReadFile(file)
	pid, notYet := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || notYet != nil {
		return false // it was ended before it had begun
	}
	if err := syscall.Kill(pid, 0); err != nil {
		return false
	}
	// One that has ended and that its new parent has not waited for yet is there
	// as well.
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

// eventually waits for something that the system does in its own time.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !is() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal(what)
		}
	}
}

// Scripts that do not want to end. Each probe ends at its deadline, and nothing of
// the script is left, but for one that has left its process group.
func TestScriptsThatStay(t *testing.T) {
	for name, c := range map[string]struct {
		body  string
		class Class
		stays bool // what has written child is another session's
	}{
		"sleeps":                      {`echo $$ >child; exec sleep 600`, ClassTimeout, false},
		"loops":                       {`echo $$ >child; while :; do :; done`, ClassTimeout, false},
		"does not want to be stopped": {`trap '' TERM INT HUP; echo $$ >child; while :; do sleep 600; done`, ClassTimeout, false},
		"forks and hangs":             {`sleep 600 & echo $! >child; wait`, ClassTimeout, false},
		"forks and ends":              {`sleep 600 & echo $! >child; exit 0`, ClassNone, false},
		"forks twice and ends":        {`(sleep 600 & echo $! >child) & wait $!; exit 1`, ClassValue, false},
		"forks and is killed":         {`sleep 600 & echo $! >child; kill -SEGV $$`, ClassScript, false},
		"writes slowly":               {`echo $$ >child; while :; do echo x; sleep 0.01; done`, ClassTimeout, false},
		"stops itself":                {`echo $$ >child; kill -STOP $$`, ClassTimeout, false},
		"daemon with the pipe":        {`setsid sh -c 'echo $$ >child; exec sleep 600' & while [ ! -s child ]; do :; done; exit 0`, ClassNone, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := script(t, c.body)
			timeout := patience
			if c.class == ClassTimeout {
				timeout = 700 * time.Millisecond
			}
			p := newScript(t, Script{Command: file})
			begun := time.Now()
			got := p.Probe(ctxFor(t, timeout), endpoint)
			check(t, got, c.class, "")
			if took := time.Since(begun); took > timeout+patience/2 {
				t.Errorf("took %v", took)
			}
			child := filepath.Join(filepath.Dir(file), "child")
			if c.stays {
				if !alive(t, child) {
					t.Error("the daemon is gone")
				}
				raw, _ := os.ReadFile(child)
				pid, _ := strconv.Atoi(strings.TrimSpace(string(raw)))
				_ = syscall.Kill(pid, syscall.SIGKILL)
				return
			}
			eventually(t, "a process is left", func() bool { return !alive(t, child) })
		})
	}
}

// A script that was asked to end, and did, says what it was at.
func TestScriptIsAsked(t *testing.T) {
	p := newScript(t, Script{Command: script(t, "")})
	f, degraded := p.judge(t.Context(), program.Ending{Stopped: true, Said: "was at it\nand more\n"})
	if f.class != ClassTimeout || f.detail != "timeout of the script: was at it" || degraded {
		t.Errorf("%+v", f)
	}
}

func TestScriptCanceled(t *testing.T) {
	file := script(t, `echo $$ >child; exec sleep 600`)
	ctx, cancel := context.WithCancel(t.Context())
	child := filepath.Join(filepath.Dir(file), "child")
	done := make(chan Result)
	go func() { done <- newScript(t, Script{Command: file}).Probe(ctx, endpoint) }()
	eventually(t, "not started", func() bool { b, err := os.ReadFile(child); return err == nil && len(b) > 0 })
	cancel()
	check(t, <-done, ClassCanceled, "canceled while the script ran")
	eventually(t, "a process is left", func() bool { return !alive(t, child) })

	check(t, newScript(t, Script{Command: file}).Probe(ctx, endpoint), ClassCanceled, "")
}

// More runs than there may be wait, and give no verdict where that takes too long.
func TestScriptParallel(t *testing.T) {
	file := script(t, `while [ ! -e go ]; do sleep 0.01; done`)
	dir := filepath.Dir(file)
	p := newScript(t, Script{Command: file, Parallel: 2})
	done := make(chan Result)
	for range 2 {
		go func() { done <- p.Probe(ctxFor(t, patience), endpoint) }()
	}
	eventually(t, "not started", func() bool { return len(p.slots.own) == 2 })
	check(t, p.Probe(ctxFor(t, 50*time.Millisecond), endpoint), ClassLocal, "not run: 2 runs of this check are under way already")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	check(t, p.Probe(ctx, endpoint), ClassCanceled, "waiting for other runs")
	go func() { done <- p.Probe(ctxFor(t, patience), endpoint) }()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		check(t, <-done, ClassNone, "")
	}
	// A slot is free when nothing of its script is left, which may be after its result.
	eventually(t, "slots are taken", func() bool { return len(p.slots.own) == 0 })
}

// Probes leave no descriptor, goroutine or process.
func TestScriptLeavesNothing(t *testing.T) {
	p := newScript(t, Script{Command: script(t, `sleep 600 & [ "$RHUMB_PORT" = 8080 ]`)})
	file := script(t, `: >begun; sleep 600`)
	hangs, begun := newScript(t, Script{Command: file}), filepath.Join(filepath.Dir(file), "begun")
	descriptors := func() int {
		all, err := os.ReadDir("/dev/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(all)
	}
	check(t, p.Probe(ctxFor(t, patience), endpoint), ClassNone, "")
	goroutines, open := runtime.NumGoroutine(), descriptors()
	for range 20 {
		check(t, p.Probe(ctxFor(t, patience), endpoint), ClassNone, "")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan Result)
		go func() { done <- hangs.Probe(ctx, endpoint) }()
		eventually(t, "it does not begin", func() bool { return os.Remove(begun) == nil })
		cancel()
		check(t, <-done, ClassCanceled, "")
	}
	eventually(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "descriptors are left", func() bool { return descriptors() <= open })
	var ws syscall.WaitStatus
	if pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil); err == nil {
		t.Errorf("a child is left: %d", pid)
	}
}

func TestNewScriptRefuses(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"/no/such", plain, t.TempDir()} {
		if _, err := NewScript(Script{Command: file}); err == nil || !strings.HasPrefix(err.Error(), "command: ") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestRedact(t *testing.T) {
	for _, c := range []struct {
		s    string
		cut  bool
		want string
	}{
		{"a secret1 and secret1", false, "a *** and ***"},
		{"ends in secr", false, "ends in secr"},
		{"ends in secr", true, "ends in "},
		{"abc", false, "abc"},
	} {
		if got := redact(c.s, []string{"secret1", "abc", ""}, c.cut); got != c.want {
			t.Errorf("%q: %q, want %q", c.s, got, c.want)
		}
	}
}

// A timeout of a run that had to wait for its turn says nothing of the endpoint.
func TestLate(t *testing.T) {
	start := time.Now()
	ctx, cancel := context.WithDeadline(t.Context(), start.Add(time.Hour))
	defer cancel()
	for _, c := range []struct {
		had    Class
		waited time.Duration
		want   Class
	}{
		{ClassTimeout, 0, ClassTimeout},
		{ClassTimeout, 6 * time.Minute, ClassTimeout},
		{ClassTimeout, 7 * time.Minute, ClassLocal},
		{ClassValue, 7 * time.Minute, ClassValue},
		{ClassNone, 7 * time.Minute, ClassNone},
	} {
		if got := lateness(ctx, failure{class: c.had}, start, c.waited); got.class != c.want {
			t.Errorf("%q after %v: %q, want %q", c.had, c.waited, got.class, c.want)
		}
	}
	if got := lateness(ctx, failure{class: ClassTimeout}, start.Add(2*time.Hour), 0); got.class != ClassLocal {
		t.Errorf("begun too late: %q", got.class)
	}
	if got := lateness(t.Context(), failure{class: ClassTimeout}, start, time.Hour); got.class != ClassTimeout {
		t.Errorf("without a deadline: %q", got.class)
	}
}

func BenchmarkScript(b *testing.B) {
	p := newScript(b, Script{Command: script(b, `exit 0`)})
	b.ReportAllocs()
	for b.Loop() {
		if r := p.Probe(b.Context(), endpoint); !r.OK {
			b.Fatal(r)
		}
	}
}
