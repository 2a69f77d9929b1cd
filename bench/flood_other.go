//go:build !linux

package main

import (
	"errors"
	"os/exec"
)

func floodLacks() string          { return "It needs network namespaces, which Linux has." }
func apart(*exec.Cmd)             {}
func floodCommand([]string) error { return errors.New("only on Linux") }
