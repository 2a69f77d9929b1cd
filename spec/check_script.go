package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/lua"
	"github.com/rhumb-dns/rhumb/spec/document"
)

// The check types whose judge is a program of the operator's.
const (
	CheckScript CheckType = "script"
	CheckLua    CheckType = "lua"
)

// ScriptCheck is what script checks run. Paths are absolute.
type ScriptCheck struct {
	Name    string // of the check
	Command string
	Args    []string
	Environment
	Dir      string // empty: where Command is
	Nagios   bool   // exit status 1 is a warning
	Parallel int    `json:"-"` // runs at once; not part of what is asked
}

// LuaCheck is what lua checks run.
type LuaCheck struct {
	Source     string
	File       string // an absolute path; empty: Source was stated as it is
	KnownHosts string // an absolute path; empty: none
	AnyHost    bool   `json:",omitempty"` // ssh_exec logs in wherever it is told to, whatever key is shown
	Environment
	Parallel int `json:"-"`
}

// Environment is what a script is given besides its endpoint.
type Environment struct {
	Env     map[string]string
	Secrets []string // the names of those in Env that nobody is shown, sorted
}

var scriptKind = &checkKind{
	types: []CheckType{CheckScript}, section: &scriptSection, scripted: true,
	decode: (*decoder).scriptCheck,
}

var luaKind = &checkKind{
	types: []CheckType{CheckLua}, section: &luaSection, scripted: true,
	decode: (*decoder).luaCheck,
}

// environmentFields are the keys of both.
var environmentFields = []field{
	{name: "port", typ: "integer", prose: "none", lo: 1, hi: 65535, doc: "Given to the script."},
	{name: "env", typ: "map of text", def: "{}", doc: "Given to the script. Values that are taken from the environment (`${VAR}`) and those whose names have PASS, SECRET, TOKEN, KEY, AUTH or CREDENTIAL in them are secrets, which no log, API or explanation shows."},
	{name: "env_file", typ: "file", prose: "none", doc: "More of `env`, all of them secrets: lines of `NAME=value`, taken as they stand; empty lines and those that begin with `#` are left out. One that everybody can read is refused. When it changes, the node reloads."},
}

var scriptSection = section{
	title: "checks: script",
	intro: "A program says how the endpoint is; see [Health](health.md#script). It is started without a shell, in a process group of its own, which ends with the probe.",
	fields: append([]field{
		{name: "command", typ: "executable file", need: true, doc: "Relative to the file that states it. It is refused where everybody can write it or a directory that it is in."},
		{name: "args", typ: "list of text", def: "[]", doc: "In which `{address}`, `{host}`, `{port}`, `{priority}`, `{check}` and `{timeout}` stand for those of the probe."},
		{name: "dir", typ: "directory", prose: "that of `command`", doc: "Where it runs; relative to the file that states it."},
		{name: "exit", typ: "word", def: "plain", words: []string{"plain", "nagios"}, doc: "What its exit status means: 0 is up; with `nagios`, 1 is degraded; all else is down."},
		{name: "parallel", typ: "integer", def: "8", lo: 1, hi: 64, doc: "How many runs of it there may be at once; of all scripts of a node, 64."},
	}, environmentFields...),
}

var luaSection = section{
	title: "checks: lua",
	intro: "A script in Lua 5.1 says how the endpoint is, within the node, in a sandbox; see [Health](health.md#lua).",
	example: `checks:
  cluster:
    type: lua
    script: |
      local health = json_decode(http_get("http://" .. backend.address .. ":9200/_cluster/health"))
      if not health then return false, "no answer" end
      if health.status == "yellow" then return "degraded", "yellow" end
      return health.status == "green", health.status
`,
	fields: append([]field{
		{name: "script", typ: "text", need: true, unless: "file", doc: "The script, at most 64 KiB. In it `${VAR}` is a variable, as everywhere, and `$${` stands for `${`."},
		{name: "file", typ: "file", prose: "`script`", doc: "The file with the script, relative to the file that states it. It is refused where everybody can write it. When it changes, the node reloads."},
		{name: "known_hosts", typ: "file", prose: "none", doc: "The keys of the hosts that `ssh_exec` may log in to, in OpenSSH's format."},
		{name: "host_keys", typ: "word", def: "known", words: []string{"known", "any"}, doc: "With `any`, `ssh_exec` logs in without `known_hosts` to whoever answers, and so tells them the password. `rhumb check` warns of it."},
		{name: "parallel", typ: "integer", def: "64", lo: 1, hi: 256, doc: "How many runs of it there may be at once, each of which may take 64 MiB; of all Lua scripts of a node, 256."},
	}, environmentFields...),
}

// Scripted is whether checks of the type are told of the endpoint besides its
// address, so that endpoints of one address and different priorities have probes
// of their own.
func (t CheckType) Scripted() bool {
	k := kindOf(t)
	return k != nil && k.scripted
}

func (d *decoder) scriptCheck(c *Check, o *object) {
	a := &ScriptCheck{
		Name: c.Name, Nagios: o.word("exit") == "nagios", Parallel: int(o.integer("parallel")), Environment: d.environment(o),
	}
	c.Ask = a
	if runtime.GOOS == "windows" {
		d.fail(o.get("type").val(), o.path.dot("type"), "scripts cannot be run on this system")
	}
	if e := o.get("command"); e != nil {
		a.Command = d.program(e.val(), o.path.dot("command"))
	}
	for i, it := range o.list("args") {
		if s, ok := d.text(it, o.path.dot("args").at(i)); ok {
			d.placeholders(it, o.path.dot("args").at(i), s)
			a.Args = append(a.Args, s)
		}
	}
	if e := o.get("dir"); e != nil {
		a.Dir = d.directory(e.val(), o.path.dot("dir"))
	}
}

// placeholders are what may stand in braces in an argument.
var placeholders = []string{"address", "host", "port", "priority", "check", "timeout"}

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

// placeholders refuses words in braces that stand for nothing, and texts that no
// program can be given.
func (d *decoder) placeholders(r document.Node, p *path, s string) {
	for _, word := range placeholder.FindAllString(s, -1) {
		if name := strings.Trim(word, "{}"); !slices.Contains(placeholders, name) {
			d.fail(r, p, "%s", unknown("placeholder", name, slices.Values(placeholders)))
		}
	}
	d.passable(r, p, s)
}

// passable is whether a program can be given a text.
func (d *decoder) passable(r document.Node, p *path, s string) bool {
	if strings.ContainsRune(s, 0) {
		d.fail(r, p, "a text without zero bytes is expected")
		return false
	}
	return true
}

// program is the absolute path of a program that nobody else can put another in
// the place of.
func (d *decoder) program(r document.Node, p *path) string {
	name, ok := d.text(r, p)
	if !ok {
		return ""
	}
	if name == "" {
		d.fail(r, p, "a value is missing")
		return ""
	}
	abs := beside(r, name)
	d.looked = append(d.looked, abs)
	st, err := os.Stat(abs)
	switch {
	case err != nil:
		d.fail(r, p, "%s: %s", name, reason(err))
	case !st.Mode().IsRegular():
		d.fail(r, p, "%s is not a file", name)
	case runtime.GOOS != "windows" && st.Mode()&0o111 == 0:
		d.fail(r, p, "nobody can execute this file: chmod +x %s", name)
	case everybody(st, 0o002):
		d.fail(r, p, "everybody can write this file: chmod o-w %s", name)
	default:
		d.guarded(r, p, abs)
		return abs
	}
	return ""
}

// guarded refuses a file in a directory in which everybody can put another in its
// place: one that all may write, unless only owners may remove what is there.
func (d *decoder) guarded(r document.Node, p *path, file string) {
	if runtime.GOOS == "windows" {
		return
	}
	files := []string{file}
	if real, err := filepath.EvalSymlinks(file); err == nil && real != file {
		files = append(files, real)
	}
	for _, file := range files {
		for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
			st, err := os.Stat(dir)
			if err == nil && st.Mode()&0o002 != 0 && st.Mode()&fs.ModeSticky == 0 {
				d.fail(r, p, "everybody can write the directory %s, and so put another file there: chmod o-w %s", dir, dir)
				return
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
}

func (d *decoder) directory(r document.Node, p *path) string {
	name, ok := d.text(r, p)
	if !ok {
		return ""
	}
	abs := beside(r, name)
	st, err := os.Stat(abs)
	switch {
	case name == "":
		d.fail(r, p, "a value is missing")
	case err != nil:
		d.fail(r, p, "%s: %s", name, reason(err))
	case !st.IsDir():
		d.fail(r, p, "%s is not a directory", name)
	default:
		return abs
	}
	return ""
}

func (d *decoder) luaCheck(c *Check, o *object) {
	a := &LuaCheck{Parallel: int(o.integer("parallel")), Environment: d.environment(o)}
	c.Ask = a
	if e := o.get("known_hosts"); e != nil {
		a.KnownHosts, _ = d.fileContent(e.val(), o.path.dot("known_hosts"), maxKnownHosts, 0o002)
	}
	if e := o.get("host_keys"); e != nil && o.word("host_keys") == "any" {
		a.AnyHost = true
		if known := o.get("known_hosts"); known != nil {
			d.fail(e.val(), o.path.dot("host_keys"), "known_hosts is stated as well: remove one of them")
		}
	}
	at := o.get("script")
	if file := o.get("file"); file != nil && at != nil {
		d.fail(file.key, o.path.dot("file"), "script is stated as well: remove one of them")
		return
	} else if file != nil {
		at = file
	}
	if at == nil {
		return
	}
	p := o.path.dot(at.name)
	where := "line %d of the script: "
	if at.name == "file" {
		var b []byte
		a.File, b = d.fileContent(at.val(), p, lua.MaxSource, 0o002)
		if a.File == "" {
			return
		}
		d.guarded(at.val(), p, a.File)
		a.Source = string(b)
		where = strings.ReplaceAll(string(at.val().Raw()), "%", "%%") + ":%d: "
	} else if s, ok := d.text(at.val(), p); ok {
		a.Source = s
	}
	program, err := lua.Compile(a.Source)
	var e *lua.SyntaxError
	if errors.As(err, &e) && e.Line > 0 {
		d.fail(at.val(), p, where+"%s", e.Line, e.Msg)
		return
	} else if err != nil {
		d.fail(at.val(), p, "%s", err)
		return
	}
	switch {
	case o.get("known_hosts") != nil || !program.Names("ssh_exec"):
	case a.AnyHost:
		d.doubt(at.val(), p, "ssh_exec tells its password to whoever answers at the address: state known_hosts, a file such as that of ssh-keyscan")
	default:
		d.fail(at.val(), p, "ssh_exec logs in to no host whose key is not known: state known_hosts, a file such as that of ssh-keyscan")
	}
}

const (
	maxKnownHosts = 1 << 20
	maxEnvFile    = 64 << 10
)

// fileContent is the absolute path of a file and what is in it, unless everybody may
// do what the bit says.
func (d *decoder) fileContent(r document.Node, p *path, most int64, bit fs.FileMode) (string, []byte) {
	name, ok := d.text(r, p)
	if !ok {
		return "", nil
	}
	if name == "" {
		d.fail(r, p, "a value is missing")
		return "", nil
	}
	abs := beside(r, name)
	d.looked = append(d.looked, abs)
	st, err := os.Stat(abs)
	switch {
	case err != nil:
		d.fail(r, p, "%s: %s", name, reason(err))
		return "", nil
	case !st.Mode().IsRegular():
		d.fail(r, p, "%s is not a file", name)
		return "", nil
	case st.Size() > most:
		d.fail(r, p, "%s has %d bytes, and %d at most may be", name, st.Size(), most)
		return "", nil
	case everybody(st, bit) && bit == 0o002:
		d.fail(r, p, "everybody can write this file: chmod o-w %s", name)
		return "", nil
	case everybody(st, bit):
		d.fail(r, p, "everybody can read the secrets: chmod o-r %s", name)
		return "", nil
	}
	b, err := os.ReadFile(abs)
	if err != nil {
		d.fail(r, p, "%s: %s", name, reason(err))
		return "", nil
	}
	return abs, b
}

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	secretName   = regexp.MustCompile(`(?i)PASS|SECRET|TOKEN|KEY|AUTH|CREDENTIAL`)
)

// badVariable is why a variable may not be called so, "" where it may.
func badVariable(name string) string {
	switch {
	case !variableName.MatchString(name):
		return fmt.Sprintf("%q is not the name of a variable: letters, digits and _ are expected, and no digit first", name)
	case strings.HasPrefix(name, "RHUMB_"):
		return "variables with RHUMB_ before them are the node's own: choose another name"
	}
	return ""
}

// environment decodes env and env_file.
func (d *decoder) environment(o *object) Environment {
	out := Environment{Env: map[string]string{}}
	if e := o.get("env"); e != nil {
		p := o.path.dot("env")
		for _, v := range d.entries(p, e.vals, func(string) bool { return false }) {
			at := p.dot(v.name)
			s, ok := d.text(v.val(), at)
			if !ok || !d.passable(v.val(), at, s) {
				continue
			}
			if why := badVariable(v.name); why != "" {
				d.fail(v.key, at, "%s", why)
				continue
			}
			name := strings.Clone(v.name)
			out.Env[name] = s
			if v.val().Variable() || secretName.MatchString(name) {
				out.Secrets = append(out.Secrets, name)
			}
		}
	}
	if e := o.get("env_file"); e != nil {
		d.environmentFile(&out, e.val(), o.path.dot("env_file"))
	}
	slices.Sort(out.Secrets)
	return out
}

func (d *decoder) environmentFile(out *Environment, r document.Node, p *path) {
	file, b := d.fileContent(r, p, maxEnvFile, 0o004)
	if file == "" {
		return
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		// A message may not show the line: it holds a secret.
		name, value, found := strings.Cut(line, "=")
		_, twice := out.Env[name]
		switch {
		case !found:
			d.fail(r, p, "line %d of the file: NAME=value is expected", n)
		case badVariable(name) != "":
			d.fail(r, p, "line %d of the file: %s", n, badVariable(name))
		case twice:
			d.fail(r, p, "line %d of the file: %s is stated twice", n, name)
		case d.passable(r, p, value):
			out.Env[name] = value
			out.Secrets = append(out.Secrets, name)
		}
	}
}
