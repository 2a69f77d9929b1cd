package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/rhumb-dns/rhumb/lua"
)

// Lua is the check that a script judges. It succeeds when the script returns true,
// and with the text "degraded" the endpoint serves, and not well; a second value,
// if it is a text, is the detail. All else is a failure.
//
// The script has the sandbox of package lua, and:
//
//	backend        address, host, port, priority of the endpoint
//	env            Env
//	json_decode(text)
//	http_get(url, timeout, user, password, tls_verify)          body, status, error
//	metric_get(url, name, timeout, tls_verify, user, password)  value, error
//	ssh_exec(host, user, password, command, timeout)            output, error
//
// They may go wherever the node can. What fails gives "" or nil, and the reason
// behind it.
type Lua struct {
	// Source is the script.
	Source string
	// Env is what the script has as the table env. Its values may be secrets.
	Env map[string]string
	// Secrets are the names of those of Env that are, which no detail shows.
	Secrets []string
	// KnownHosts is the file with the keys of the hosts that ssh_exec may log in to,
	// in OpenSSH's format; empty: none.
	KnownHosts string
	// AnyHost is that ssh_exec logs in to every host, whatever key it shows, where
	// there is no KnownHosts.
	AnyHost bool
	// Parallel is how many runs there may be at once; 0: 64.
	Parallel int
}

// NewLua makes the prober of a Lua check. It reads KnownHosts. It fails when the
// script does not compile.
func NewLua(o Lua) (Prober, error) {
	program, err := lua.Compile(o.Source)
	if err != nil {
		return nil, fmt.Errorf("script: %w", err)
	}
	p := &luaProber{net: &system, program: program, env: maps.Clone(o.Env), tls: map[bool]*security{}, slots: newSlots(o.Parallel, 64, luaSlots)}
	for _, name := range o.Secrets {
		p.secrets = append(p.secrets, o.Env[name])
	}
	if p.anyHost = o.AnyHost && o.KnownHosts == ""; p.anyHost {
		p.hostKeys = ssh.InsecureIgnoreHostKey()
	}
	if o.KnownHosts != "" {
		// The callback reads the file once, here.
		if p.hostKeys, err = knownhosts.New(o.KnownHosts); err != nil {
			var missing *os.PathError
			if errors.As(err, &missing) {
				return nil, fmt.Errorf("known_hosts: %w", err)
			}
			return nil, err
		}
	}
	for _, verify := range []bool{true, false} {
		s, err := newSecurity(TLSConfig{SkipVerify: !verify}, []string{"http/1.1"})
		if err != nil {
			return nil, err
		}
		p.tls[verify] = s
	}
	return p, nil
}

type luaProber struct {
	net      *network
	program  *lua.Program
	env      map[string]string
	secrets  []string
	hostKeys ssh.HostKeyCallback // nil: ssh_exec trusts nobody
	anyHost  bool                // hostKeys takes every key
	tls      map[bool]*security  // by whether certificates are verified
	slots    slots
}

// luaRun is one run of a script.
type luaRun struct {
	*luaProber
	secrets []string // what it has passed as passwords as well
}

func (p *luaProber) Probe(ctx context.Context, t Target) Result {
	start := time.Now()
	release, waited, f := p.slots.take(ctx)
	if f.failed() {
		return f.result(start, 0)
	}
	defer release()
	r := &luaRun{luaProber: p, secrets: slices.Clone(p.secrets)}
	values, err := p.program.Run(ctx, r.world(t))
	if err != nil {
		return lateness(ctx, r.broken(err), start, waited).result(start, 0)
	}
	return r.verdict(values, start)
}

func (r *luaRun) world(t Target) lua.World {
	backend := map[string]any{"address": t.name(), "priority": float64(t.Priority)}
	if t.Host != "" {
		backend["host"] = t.Host
	}
	if t.Port != 0 {
		backend["port"] = float64(t.Port)
	}
	env := make(map[string]any, len(r.env))
	for name, value := range r.env {
		env[name] = value
	}
	return lua.World{
		Values:    map[string]any{"backend": backend, "env": env},
		Functions: map[string]lua.Function{"http_get": r.httpGet, "metric_get": r.metricGet, "ssh_exec": r.sshExec},
	}
}

// broken is the verdict on a script that did not come to one.
func (r *luaRun) broken(err error) failure {
	var e *lua.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fail(ClassTimeout, "timeout in the script%s", at(err))
	case errors.Is(err, context.Canceled):
		return fail(ClassCanceled, "canceled in the script%s", at(err))
	case errors.As(err, &e) && e.Stopped != nil:
		return fail(ClassScript, "the script took %s%s", e.Stopped, at(err))
	}
	return fail(ClassScript, "%s", redact(err.Error(), r.secrets, false))
}

// at is where a script was, as it reads at the end.
func at(err error) string {
	var e *lua.Error
	if errors.As(err, &e) && e.Line > 0 {
		return fmt.Sprintf(", line %d", e.Line)
	}
	return ""
}

// verdict is what the values that a script returned mean.
func (r *luaRun) verdict(values []any, start time.Time) Result {
	if len(values) == 0 {
		return fail(ClassScript, "the script returned nothing").result(start, 0)
	}
	reason := ""
	if len(values) > 1 {
		reason, _ = values[1].(string)
		reason = redact(reason, r.secrets, false)
	}
	switch values[0] {
	case true:
		return failure{}.result(start, 0)
	case "degraded":
		if reason == "" {
			reason = "the script returned degraded"
		}
		res := failure{detail: reason}.result(start, 0)
		res.Degraded = true
		return res
	}
	if reason == "" {
		reason = "the script did not return true"
	}
	return fail(ClassValue, "%s", reason).result(start, 0)
}

// The arguments of the helpers, which are of other types, or not there, where the
// script has it so.

func argText(args []any, i int) string {
	if i < len(args) {
		switch v := args[i].(type) {
		case string:
			return v
		case float64:
			return fmt.Sprint(v)
		}
	}
	return ""
}

func argBool(args []any, i int, standard bool) bool {
	if i < len(args) && args[i] != nil {
		v, is := args[i].(bool)
		return v || !is // as Lua has it: all but false and nil is true
	}
	return standard
}

// argTimeout is a context that ends after so many seconds, but not later than the
// probe.
func argTimeout(ctx context.Context, args []any, i int, standard time.Duration) (context.Context, context.CancelFunc) {
	d := standard
	if i < len(args) {
		if v, is := args[i].(float64); is && v > 0 && v < 1e6 {
			d = time.Duration(v * float64(time.Second))
		}
	}
	return context.WithTimeout(ctx, d)
}

// password is an argument that no detail shows from then on.
func (r *luaRun) password(args []any, i int) string {
	s := argText(args, i)
	if s != "" && !slices.Contains(r.secrets, s) && len(r.secrets) < maxSecrets {
		r.secrets = append(r.secrets, s)
	}
	return s
}

// maxSecrets bounds those of one run.
const maxSecrets = 100
