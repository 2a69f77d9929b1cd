package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/program"
)

// Script is the check that a program judges. It is started without a shell, with
// an environment of its own, in a process group of its own, and ends by its exit
// status: 0 is success, all else a failure, or as Nagios has it.
//
// Its arguments may hold {address}, {host}, {port}, {priority}, {check} and
// {timeout}, and its environment has the same as RHUMB_ADDRESS and so on. The
// address is the host name where the endpoint has no address, and host is empty
// where it has no host name.
//
// The detail is the first line that it writes, at most 200 bytes of it and without
// the secrets of the environment.
type Script struct {
	// Command is the absolute path of the program.
	Command string
	Args    []string
	// Env is the environment, besides PATH and LC_ALL=C. Its values may be secrets.
	Env map[string]string
	// Secrets are the names of those of Env that are, which no detail shows.
	Secrets []string
	// Dir is where it runs; empty: where Command is.
	Dir string
	// Name is {check}.
	Name string
	// Nagios says that 1 is a warning, with which the endpoint serves, and not well.
	Nagios bool
	// Parallel is how many runs there may be at once; 0: 8.
	Parallel int
}

// Placeholders are what may stand in braces in an argument.
var Placeholders = []string{"address", "host", "port", "priority", "check", "timeout"}

// NewScript makes the prober of a script. It fails where Command is no program, and
// on systems without process groups.
func NewScript(o Script) (Prober, error) {
	if !program.Supported {
		return nil, errors.New("scripts cannot be run on this system")
	}
	st, err := os.Stat(o.Command)
	switch {
	case err != nil:
		return nil, fmt.Errorf("command: %w", err)
	case !st.Mode().IsRegular() || st.Mode()&0o111 == 0:
		return nil, fmt.Errorf("command: %s is not an executable file", o.Command)
	}
	p := &scriptProber{script: o, slots: newSlots(o.Parallel, 8, scriptSlots)}
	if p.script.Dir == "" {
		p.script.Dir = filepath.Dir(o.Command)
	}
	// The environment of the node has secrets of its own.
	p.env = []string{program.Path(), "LC_ALL=C"}
	for _, name := range slices.Sorted(maps.Keys(o.Env)) {
		p.env = append(p.env, name+"="+o.Env[name])
	}
	for _, name := range o.Secrets {
		p.secrets = append(p.secrets, o.Env[name])
	}
	return p, nil
}

type scriptProber struct {
	script  Script
	env     []string
	secrets []string
	slots   slots
}

func (p *scriptProber) Probe(ctx context.Context, t Target) Result {
	start := time.Now()
	release, waited, f := p.slots.take(ctx)
	if f.failed() {
		return f.result(start, 0)
	}
	if ctx.Err() != nil {
		release()
		return classify(ctx, ctx.Err(), "before the script was started").result(start, 0)
	}
	args, env := p.about(ctx, t)
	e := program.Run(ctx, program.Command{Path: p.script.Command, Args: args, Env: env, Dir: p.script.Dir}, release)
	f, degraded := p.judge(ctx, e)
	r := lateness(ctx, f, start, waited).result(start, 0)
	r.Degraded = degraded
	return r
}

// about is the arguments and the environment for a target.
func (p *scriptProber) about(ctx context.Context, t Target) (args, env []string) {
	values := map[string]string{"address": t.name(), "host": t.Host, "priority": strconv.Itoa(t.Priority), "check": p.script.Name, "port": "", "timeout": ""}
	if t.Port != 0 {
		values["port"] = strconv.Itoa(int(t.Port))
	}
	if deadline, limited := ctx.Deadline(); limited {
		values["timeout"] = strconv.FormatFloat(max(time.Until(deadline)-program.Grace(ctx), 0).Seconds(), 'f', 3, 64)
	}
	env = slices.Clone(p.env)
	pairs := make([]string, 0, 2*len(Placeholders))
	for _, name := range Placeholders {
		env = append(env, "RHUMB_"+strings.ToUpper(name)+"="+values[name])
		pairs = append(pairs, "{"+name+"}", values[name])
	}
	replace := strings.NewReplacer(pairs...)
	for _, a := range p.script.Args {
		args = append(args, replace.Replace(a))
	}
	return args, env
}

// judge is what an ending means.
func (p *scriptProber) judge(ctx context.Context, e program.Ending) (f failure, degraded bool) {
	said := ""
	if line := firstLine(redact(e.Said, p.secrets, e.Cut)); line != "" {
		said = ": " + line
	}
	switch {
	case e.Err != nil:
		return fail(ClassLocal, "the script cannot be started: %s", program.Reason(e.Err)), false
	case e.Stopped && errors.Is(ctx.Err(), context.Canceled):
		return fail(ClassCanceled, "canceled while the script ran"), false
	case e.Lost:
		return fail(ClassTimeout, "timeout of the script, which cannot be killed"), false
	case e.Stopped:
		return fail(ClassTimeout, "timeout of the script%s", said), false
	case e.Oversize:
		return fail(ClassOversize, "the script wrote more than %d bytes", program.MaxWritten), false
	case e.Status < 0:
		return fail(ClassScript, "the script was ended by %s%s", e.Signal, said), false
	case e.Status == 0:
		return failure{}, false
	case e.Status == 1 && p.script.Nagios:
		return failure{detail: "warning" + said}, true
	}
	return fail(ClassValue, "exit status %d%s", e.Status, said), false
}

// firstLine is the first line with something in it, of a Nagios plugin without the
// figures behind the bar.
func firstLine(s string) string {
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "|")
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}
