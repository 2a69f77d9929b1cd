//go:build !linux

package main

import (
	"net/netip"
	"time"
)

func farmCommand() error { return errLinux }

func dialCommand([]string) error { return errLinux }

type refusals struct{}

func watchRefusals() (*refusals, error)                                 { return nil, errLinux }
func (*refusals) close()                                                {}
func (*refusals) forget()                                               {}
func (*refusals) next(netip.AddrPort, time.Time) (t time.Time, _ error) { return t, errLinux }
