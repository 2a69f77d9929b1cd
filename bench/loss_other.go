//go:build !linux

package main

import (
	"context"
	"errors"
	"time"
)

var errLossLinux = errors.New("loss: it needs the network namespaces of Linux")

func lossProcess(context.Context, *settings, string, time.Duration) ([]byte, error) {
	return nil, errLossLinux
}

func lossCommand(string) error { return errLossLinux }
