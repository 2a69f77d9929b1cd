package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/program"
	"github.com/rhumb-dns/rhumb/spec"
)

type script struct {
	command program.Command
	secrets []string
}

func newScript(o *spec.Notifier) (*script, error) {
	if !program.Supported {
		return nil, errors.New("scripts cannot be run on this system")
	}
	s := &script{command: program.Command{
		Path: o.Command, Args: o.Args, Dir: o.Dir, Env: []string{program.Path(), "LC_ALL=C"},
	}}
	if s.command.Dir == "" {
		s.command.Dir = filepath.Dir(o.Command)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Env)) {
		s.command.Env = append(s.command.Env, name+"="+o.Env[name])
	}
	for _, name := range o.Secrets {
		if v := o.Env[name]; v != "" {
			s.secrets = append(s.secrets, v)
		}
	}
	return s, nil
}

func (s *script) kind() string { return "script" }

// send implements sender.
func (s *script) send(ctx context.Context, d *delivery) (string, error) {
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for i := range d.Events {
		if err := enc.Encode(&d.Events[i]); err != nil {
			return "", refusal{err}
		}
	}
	c := s.command
	c.Stdin = lines.Bytes()
	c.Env = append(slices.Clone(c.Env),
		"RHUMB_DELIVERY="+d.ID, "RHUMB_TYPE="+d.Type, "RHUMB_NODE="+d.Node,
		"RHUMB_EVENTS="+strconv.Itoa(len(d.Events)), "RHUMB_LOST="+strconv.FormatUint(d.Lost, 10))
	e := program.Run(ctx, c, func() {})
	said := e.Said
	for _, secret := range s.secrets {
		said = strings.ReplaceAll(said, secret, "(secret)")
	}
	if said = oneLine(said); said != "" {
		said = ": " + said
	}
	switch {
	case e.Err != nil:
		return "", fmt.Errorf("the script cannot be started: %s", program.Reason(e.Err))
	case e.Lost:
		return "", errors.New("the script did not end in time and cannot be killed")
	case e.Stopped:
		return "", fmt.Errorf("the script did not end in time%s", said)
	case e.Oversize:
		return "", fmt.Errorf("the script wrote more than %d bytes", program.MaxWritten)
	case e.Status < 0:
		return "", fmt.Errorf("the script was ended by %s%s", e.Signal, said)
	case e.Status > 0:
		return "", fmt.Errorf("exit status %d%s", e.Status, said)
	}
	return "exit status 0" + said, nil
}
