package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// nap is how long the farm sleeps when there is nothing to do. It never waits in the
// kernel for a connection: whoever connects would have to wake it up, which the
// endpoints of a real node do not make it pay for.
const nap = 5 * time.Millisecond

// farmer is the process of a farm.
type farmer struct {
	listeners map[netip.AddrPort]*listener
	asked     []int // connections whose request has not come yet
	buf       []byte
}

type listener struct {
	fd   int
	http bool
}

// farmCommand plays endpoints until its input ends.
func farmCommand() error {
	orders := make(chan string)
	go func() {
		defer close(orders)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			orders <- in.Text()
		}
	}()
	f := &farmer{listeners: map[netip.AddrPort]*listener{}, buf: make([]byte, 4096)}
	for {
		select {
		case line, more := <-orders:
			if !more {
				return nil
			}
			answer, err := f.obey(strings.Fields(line))
			if err != nil {
				answer = "error: " + err.Error()
			}
			fmt.Println(answer)
		default:
		}
		busy := false
		for _, l := range f.listeners {
			busy = f.accept(l) || busy
		}
		busy = f.answer() || busy
		if !busy {
			time.Sleep(nap)
		}
	}
}

func (f *farmer) obey(order []string) (string, error) {
	if len(order) < 2 {
		return "", errors.New("what?")
	}
	at, err := netip.ParseAddrPort(order[len(order)-1])
	if err != nil {
		return "", err
	}
	if order[0] == "open" {
		at, err = f.open(order[1] == farmHTTP, at)
		return at.String(), err
	}
	l := f.listeners[at]
	if l == nil {
		return "", fmt.Errorf("%v is not open", at)
	}
	delete(f.listeners, at)
	return "closed", unix.Close(l.fd)
}

func (f *farmer) open(http bool, at netip.AddrPort) (netip.AddrPort, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return at, err
	}
	const queue = 1 << 16 // the system's limit is less
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		// All addresses of this machine, and nobody from elsewhere.
		unix.BindToDevice(fd, "lo"),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}),
		unix.Listen(fd, queue))
	if err != nil {
		_ = unix.Close(fd)
		return at, err
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return at, err
	}
	at = netip.AddrPortFrom(at.Addr(), uint16(sa.(*unix.SockaddrInet4).Port))
	f.listeners[at] = &listener{fd, http}
	return at, nil
}

// accept takes the connections that are there, and says whether there were some.
func (f *farmer) accept(l *listener) bool {
	for n := 0; ; n++ {
		fd, _, err := unix.Accept4(l.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case err != nil:
			return n > 0
		case l.http:
			f.asked = append(f.asked, fd)
		default:
			_ = unix.Close(fd)
		}
	}
}

const farmAnswer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"

// answer answers the requests that are there.
func (f *farmer) answer() (some bool) {
	left := f.asked[:0]
	for _, fd := range f.asked {
		n, err := unix.Read(fd, f.buf)
		if err == unix.EAGAIN { //nolint:errorlint // a number
			left = append(left, fd)
			continue
		}
		if some = true; err == nil && bytes.HasSuffix(f.buf[:n], []byte("\r\n\r\n")) {
			_, _ = unix.Write(fd, []byte(farmAnswer))
		}
		_ = unix.Close(fd)
	}
	f.asked = left
	return some
}
