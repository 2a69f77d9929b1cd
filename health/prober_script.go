package health

import (
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

func scriptProber(c Check) (probe.Prober, error) {
	a := c.Ask.(*spec.ScriptCheck)
	return probe.NewScript(probe.Script{
		Command: a.Command, Args: a.Args, Env: a.Env, Secrets: a.Secrets, Dir: a.Dir,
		Name: a.Name, Nagios: a.Nagios, Parallel: a.Parallel,
	})
}

func luaProber(c Check) (probe.Prober, error) {
	a := c.Ask.(*spec.LuaCheck)
	return probe.NewLua(probe.Lua{
		Source: a.Source, Env: a.Env, Secrets: a.Secrets, KnownHosts: a.KnownHosts, AnyHost: a.AnyHost, Parallel: a.Parallel,
	})
}
