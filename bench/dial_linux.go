package main

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dialEvery is how often the dialler goes to work: what is due in that time it does at
// once, as a node does.
const dialEvery = 5 * time.Millisecond

// dialCommand makes checks without a thought: so many a second of endpoints 0 to n of
// a block, for so long, and nothing of what they come to is remembered. What they cost
// then is the kernel's, which no checker can avoid. It prints how many it made, and
// their CPU time in nanoseconds.
func dialCommand(args []string) error {
	if len(args) != 6 {
		return errors.New("dial KIND PORT BLOCK N RATE DURATION")
	}
	var num [4]int
	for i := range num {
		n, err := strconv.Atoi(args[1+i])
		if err != nil {
			return err
		}
		num[i] = n
	}
	port, block, n, rate := num[0], num[1], num[2], num[3]
	took, err := time.ParseDuration(args[5])
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	d := &dialler{http: args[0] == farmHTTP, buf: make([]byte, 4096)}
	each := max(rate*int(dialEvery)/int(time.Second), 1)
	made := 0
	for begin, tick := time.Now(), 1; time.Since(begin) < took; tick++ {
		for range each {
			if err := d.dial(netip.AddrPortFrom(farmAddr(block, made%n), uint16(port))); err != nil {
				return err
			}
			made++
		}
		time.Sleep(time.Until(begin.Add(time.Duration(tick) * dialEvery)))
		d.hear()
	}
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return err
	}
	fmt.Println(made, u.Utime.Nano()+u.Stime.Nano())
	return nil
}

type dialler struct {
	http    bool
	idle    int   // a socket without a connection; 0: none
	waiting []int // for an answer
	buf     []byte
}

const dialRequest = "GET /health HTTP/1.1\r\nHost: www.bench.test\r\nConnection: close\r\n\r\n"

// dial makes a connection, which over loopback is there when connect returns. One that
// is to do no more is dissolved, and its socket used again.
func (d *dialler) dial(to netip.AddrPort) (err error) {
	fd := d.idle
	d.idle = 0
	if fd == 0 {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return fmt.Errorf("socket: %w", err)
		}
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if d.http {
		if _, err := unix.Write(fd, []byte(dialRequest)); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		d.waiting = append(d.waiting, fd)
		return nil
	}
	var nowhere unix.RawSockaddrInet4 // AF_UNSPEC is 0
	if _, _, e := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&nowhere)), unix.SizeofSockaddrInet4); e != 0 {
		return fmt.Errorf("dissolve: %w", e)
	}
	_, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	d.idle = fd
	return err
}

// hear takes the answers that have come.
func (d *dialler) hear() {
	left := d.waiting[:0]
	for _, fd := range d.waiting {
		if _, _, err := unix.Recvfrom(fd, d.buf, unix.MSG_DONTWAIT); err == unix.EAGAIN { //nolint:errorlint // a number
			left = append(left, fd)
			continue
		}
		_ = unix.Close(fd)
	}
	d.waiting = left
}
