package spec

import (
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// scripts is a folder with a configuration that makes a script judge, and more
// files beside it.
func scripts(t *testing.T, check string, files map[string]string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no scripts on this system")
	}
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "x.yaml")
	if err := os.WriteFile(file, []byte("checks:\n  x: {"+check+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A program that somebody else can change, or put another in the place of, is
// refused.
func TestScriptInTheWrongPlace(t *testing.T) {
	for name, c := range map[string]struct {
		check string
		spoil func(dir string) error
		want  string // with DIR for the folder; empty: it is fine
	}{
		"fine": {"type: script, command: bin/check", func(string) error { return nil }, ""},
		"sticky": {
			"type: script, command: bin/check",
			func(dir string) error { return os.Chmod(filepath.Join(dir, "bin"), 0o777|os.ModeSticky) }, "",
		},
		"file that all may write": {
			"type: script, command: bin/check",
			func(dir string) error { return os.Chmod(filepath.Join(dir, "bin/check"), 0o777) },
			"checks.x.command: everybody can write this file: chmod o-w bin/check",
		},
		"directory that all may write": {
			"type: script, command: bin/check",
			func(dir string) error { return os.Chmod(filepath.Join(dir, "bin"), 0o777) },
			"checks.x.command: everybody can write the directory DIR/bin, and so put another file there: chmod o-w DIR/bin",
		},
		"directory above": {
			"type: script, command: a/bin/check",
			func(dir string) error { return os.Chmod(filepath.Join(dir, "a"), 0o777) },
			"checks.x.command: everybody can write the directory DIR/a, and",
		},
		"link to such a place": {
			"type: script, command: link",
			func(dir string) error {
				return joined(os.Symlink(filepath.Join(dir, "bin/check"), filepath.Join(dir, "link")), os.Chmod(filepath.Join(dir, "bin"), 0o777))
			},
			"checks.x.command: everybody can write the directory DIR/bin, and",
		},
		"link in such a place": {
			"type: script, command: open/link",
			func(dir string) error {
				return joined(os.Mkdir(filepath.Join(dir, "open"), 0o700), os.Symlink("../bin/check", filepath.Join(dir, "open/link")), os.Chmod(filepath.Join(dir, "open"), 0o777))
			},
			"checks.x.command: everybody can write the directory DIR/open, and",
		},
		"not executable": {
			"type: script, command: bin/check",
			func(dir string) error { return os.Chmod(filepath.Join(dir, "bin/check"), 0o600) },
			"checks.x.command: nobody can execute this file: chmod +x bin/check",
		},
		"Lua that all may write": {
			"type: lua, file: bin/check.lua",
			func(dir string) error { return os.Chmod(filepath.Join(dir, "bin/check.lua"), 0o666) },
			"checks.x.file: everybody can write this file: chmod o-w bin/check.lua",
		},
		"hosts that all may write": {
			"type: lua, script: return true, known_hosts: hosts",
			func(dir string) error { return os.Chmod(filepath.Join(dir, "hosts"), 0o666) },
			"checks.x.known_hosts: everybody can write this file: chmod o-w hosts",
		},
		"Lua in a directory that all may write": {
			"type: lua, file: bin/check.lua",
			func(dir string) error { return os.Chmod(filepath.Join(dir, "bin"), 0o777) },
			"checks.x.file: everybody can write the directory DIR/bin, and",
		},
		"environment that all may read": {
			"type: lua, script: return true, env_file: env",
			func(dir string) error { return os.Chmod(filepath.Join(dir, "env"), 0o644) },
			"checks.x.env_file: everybody can read the secrets: chmod o-r env",
		},
		"environment with a line that is none": {
			"type: lua, script: return true, env_file: env",
			func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "env"), []byte("A=b\n\nhunter22\n"), 0o600)
			},
			"checks.x.env_file: line 3 of the file: NAME=value is expected",
		},
		"environment with a name that is none": {
			"type: lua, script: return true, env_file: env",
			func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "env"), []byte("RHUMB_X=b\n"), 0o600)
			},
			"checks.x.env_file: line 1 of the file: variables with RHUMB_",
		},
		"environment twice": {
			"type: lua, script: return true, env_file: env, env: {TOKEN: x}",
			func(string) error { return nil },
			"checks.x.env_file: line 2 of the file: TOKEN is stated twice",
		},
		"Lua that is too long": {
			"type: lua, file: bin/check.lua",
			func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "bin/check.lua"), make([]byte, 1<<16+1), 0o600)
			},
			"checks.x.file: bin/check.lua has 65537 bytes, and 65536 at most may be",
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := scripts(t, c.check, map[string]string{
				"bin/check": "#!/bin/sh\n", "a/bin/check": "#!/bin/sh\n", "bin/check.lua": "return true", "hosts": "", "env": "# of the queue\nTOKEN=a b\n",
			})
			dir := filepath.Dir(file)
			if err := os.Chmod(filepath.Join(dir, "env"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(dir); err != nil {
				t.Fatal(err)
			}
			_, watch, err := Load(file, Options{Env: testEnv})
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(c.want, "DIR", dir))):
				t.Errorf("%v, want %s", err, c.want)
			case err != nil && strings.Contains(err.Error(), "hunter22"):
				t.Error("the message shows a secret")
			}
			if len(watch) < 2 {
				t.Errorf("%v is watched", watch)
			}
		})
	}
}

func joined(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestScriptChecks(t *testing.T) {
	file := scripts(t, `type: script, command: check, args: ["{address}"], env: {A: b, DB_PASS: c, D: "${TEST_WORD}"}, env_file: env, exit: nagios, port: 7, parallel: 3`,
		map[string]string{"check": "#!/bin/sh\n", "env": "E=f = g\n"})
	dir := filepath.Dir(file)
	s, _, err := Load(file, Options{Env: testEnv})
	if err != nil {
		t.Fatal(err)
	}
	want := &ScriptCheck{
		Name: "x", Command: filepath.Join(dir, "check"), Args: []string{"{address}"}, Nagios: true, Parallel: 3,
		Environment: Environment{Env: map[string]string{"A": "b", "DB_PASS": "c", "D": "soon", "E": "f = g"}, Secrets: []string{"D", "DB_PASS", "E"}},
	}
	if c := s.Checks["x"]; !reflect.DeepEqual(c.Ask, want) || c.Port != 7 || !c.Type.Scripted() || c.Type.Named() {
		t.Errorf("%+v %+v", c, c.Ask)
	}
	file = scripts(t, `type: lua, file: check.lua, known_hosts: hosts, env: {A: b}`, map[string]string{"check.lua": "return ssh_exec()", "hosts": ""})
	dir = filepath.Dir(file)
	if s, _, err = Load(file, Options{Env: testEnv}); err != nil {
		t.Fatal(err)
	}
	lua := &LuaCheck{
		Source: "return ssh_exec()", File: filepath.Join(dir, "check.lua"), KnownHosts: filepath.Join(dir, "hosts"), Parallel: 64,
		Environment: Environment{Env: map[string]string{"A": "b"}},
	}
	if c := s.Checks["x"]; !reflect.DeepEqual(c.Ask, lua) || c.Port != 0 {
		t.Errorf("%+v %+v", c, c.Ask)
	}
}
