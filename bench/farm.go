package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strings"
)

// The kinds of endpoints of a farm.
const (
	farmTCP  = "tcp"  // accepts and closes
	farmHTTP = "http" // answers 200
)

// farm is a process that plays endpoints: listeners on loopback addresses. It is
// ordered about by lines of text.
type farm struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// everywhere is all of 127.0.0.0/8, on a port that the system chooses.
var everywhere = netip.MustParseAddrPort("0.0.0.0:0")

// startFarm starts one on the client's core.
func startFarm(ctx context.Context, s *settings) (*farm, error) {
	f := &farm{cmd: pinned(ctx, []int{s.clientCore}, s.self, "farm")}
	var err error
	if f.in, err = f.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	f.out = bufio.NewReader(out)
	return f, f.cmd.Start()
}

func (f *farm) end() {
	_ = f.in.Close()
	_ = f.cmd.Wait()
}

func (f *farm) order(format string, args ...any) (string, error) {
	if _, err := fmt.Fprintf(f.in, format+"\n", args...); err != nil {
		return "", fmt.Errorf("farm: %w", err)
	}
	line, err := f.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("farm: %w", err)
	}
	line = strings.TrimSpace(line)
	if why, bad := strings.CutPrefix(line, "error: "); bad {
		return "", errors.New("farm: " + why)
	}
	return line, nil
}

// open has endpoints of a kind listen on an address, or on all (everywhere), and
// returns where they do.
func (f *farm) open(kind string, at netip.AddrPort) (netip.AddrPort, error) {
	line, err := f.order("open %s %s", kind, at)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.ParseAddrPort(line)
}

// close has nothing listen there any more, when it returns.
func (f *farm) close(at netip.AddrPort) error {
	_, err := f.order("close %s", at)
	return err
}

// farmAddr is endpoint n of a block of 65,536 loopback addresses: 127.block.x.y, and
// on into the next blocks.
func farmAddr(block, n int) netip.Addr {
	n += block << 16
	return netip.AddrFrom4([4]byte{127, byte(n >> 16), byte(n >> 8), byte(n)})
}
