package loop

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// kept is how large a buffer a job may keep for its next use.
const kept = 4 << 10

// begin sets what came of a job to nothing yet.
func (j *Job) begin(now time.Duration, epoch time.Time) {
	j.Stage, j.Err, j.Began, j.Connect, j.Took = Connecting, nil, epoch.Add(now), 0, 0
	j.began, j.deadline = now, now+j.Timeout
	j.slot, j.sent, j.readable, j.buf = -1, 0, false, j.buf[:0]
}

// begin has the connection of a job made.
func (l *Loop) begin(j *Job) {
	j.begin(l.now(), l.epoch)
	family, version := unix.AF_INET, 0
	if !j.To.Addr().Unmap().Is4() {
		family, version = unix.AF_INET6, 1
	}
	idle := l.idle[version]
	fresh := len(idle) == 0
	if fresh {
		var err error
		if j.fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			j.Err = os.NewSyscallError("socket", err)
			l.done = append(l.done, j)
			return
		}
	} else {
		j.fd = idle[len(idle)-1]
		l.idle[version] = idle[:len(idle)-1]
	}
	j.version = uint8(version)
	for len(l.jobs) <= j.fd {
		l.jobs, l.turns = append(l.jobs, nil), append(l.turns, 0)
	}
	if fresh {
		l.turns[j.fd]++
	}
	l.jobs[j.fd] = j
	l.wheel.add(j)
	l.flying++
	// With a socket that is bound to nothing the kernel chooses the port for each
	// destination; a bound one would take it from all.
	to, size := l.to.set(j.To)
	switch err := connect(j.fd, to, size); err { //nolint:errorlint // a number
	case 0, unix.EINPROGRESS, unix.EINTR:
	default:
		l.end(j, os.NewSyscallError("connect", err), j.began)
		return
	}
	if fresh {
		// Not before connect: a socket that is not connecting has hung up.
		if err := l.watch(j.fd, interest); err != nil {
			l.end(j, os.NewSyscallError("epoll_ctl", err), j.began)
		}
	}
}

// happened deals with an event of a job.
func (l *Loop) happened(j *Job, events uint32, now time.Duration) {
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		j.readable = true
	}
	if j.Stage == Connecting && !l.connected(j, events, now) {
		return
	}
	if j.Stage == Sending && !l.send(j, now) {
		return
	}
	if j.readable {
		l.hear(j, now)
	}
}

// connected is whether a job goes on after an event while it was connecting.
func (l *Loop) connected(j *Job, events uint32, now time.Duration) bool {
	if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		err, asked := pending(j.fd)
		if asked != 0 {
			err = asked
		}
		if err == 0 {
			if _, gone := unix.Getpeername(j.fd); gone != nil {
				err = unix.ECONNRESET // it was connected, and is no longer
			}
		}
		// What refuses a connection says so by another number.
		reset := err == unix.ECONNRESET || err == unix.EPIPE
		if err != 0 && (j.Talk != nil || !reset) {
			l.end(j, os.NewSyscallError("connect", err), now)
			return false
		}
	} else if events&unix.EPOLLOUT == 0 {
		return false
	}
	if p := j.To.Port(); l.ports[0] <= p && p <= l.ports[1] && j.toItself() {
		l.end(j, os.NewSyscallError("connect", unix.ECONNREFUSED), now)
		return false
	}
	j.Connect = max(now-j.began, 1)
	if j.Talk == nil {
		l.end(j, nil, now)
		return false
	}
	j.Stage = Sending
	return true
}

// toItself is whether the connection leads to its own socket, which happens on one
// machine when nothing listens on a port and the kernel chooses the same for this
// side (RFC 9293 section 3.5, simultaneous open).
func (j *Job) toItself() bool {
	local, err := localAddress(j.fd)
	return err == 0 && local.Port() == j.To.Port() && local.Addr().Unmap() == j.To.Addr().WithZone("").Unmap()
}

// localPorts are the ports that the kernel chooses from, the lowest and the highest.
func localPorts() (ports [2]uint16) {
	b, _ := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if n, _ := fmt.Sscan(string(b), &ports[0], &ports[1]); n < len(ports) {
		return [2]uint16{1, 65535}
	}
	return ports
}

// send sends what is left to be sent, and is whether that was all.
func (l *Loop) send(j *Job, now time.Duration) bool {
	for b := j.Talk.Send(); j.sent < len(b); {
		n, err := write(j.fd, b[j.sent:])
		switch {
		case err == unix.EAGAIN: //nolint:errorlint // a number
			return false
		case err == unix.EINTR: //nolint:errorlint // a number
		case err != 0:
			l.end(j, os.NewSyscallError("write", err), now)
			return false
		default:
			j.sent += n
		}
	}
	j.Stage = Hearing
	return true
}

// hear reads until there is nothing more or the job has heard enough.
func (l *Loop) hear(j *Job, now time.Duration) {
	for {
		n, err := read(j.fd, l.buf)
		switch {
		case err == unix.EAGAIN: //nolint:errorlint // a number
			j.readable = false
			return
		case err == unix.EINTR: //nolint:errorlint // a number
			continue
		case err != 0:
			l.giveUp(j, os.NewSyscallError("read", err))
			return
		case n == 0:
			l.giveUp(j, io.EOF)
			return
		}
		b := l.buf[:n]
		if len(j.buf) > 0 {
			j.buf = append(j.buf, b...)
			b = j.buf
		}
		if j.Talk.Heard(b, nil) {
			l.end(j, nil, now)
			return
		}
		if len(j.buf) == 0 {
			j.buf = append(j.buf, b...)
		}
	}
}

// late ends a job whose time is over.
func (l *Loop) late(j *Job) { l.giveUp(j, os.ErrDeadlineExceeded) }

// giveUp ends a job that nothing more will come of, unless what has come is enough.
func (l *Loop) giveUp(j *Job, err error) {
	if j.Stage == Hearing && j.Talk.Heard(j.buf, err) {
		err = nil
	}
	l.end(j, err, l.now())
}

// end ends a job and lets go of its socket.
func (l *Loop) end(j *Job, err error, now time.Duration) {
	l.wheel.remove(j)
	l.jobs[j.fd] = nil
	l.flying--
	j.Err, j.Took = err, max(now-j.began, j.Connect)
	j.buf = j.buf[:0]
	if cap(j.buf) > kept {
		j.buf = nil
	}
	if err != nil || j.Talk != nil || !l.rest(j) {
		shut(j.fd)
	}
	l.done = append(l.done, j)
}

// rest keeps the socket of a connection that was only to be made for the next one,
// which saves the kernel a quarter of all it has to do for a probe. The connection is
// dissolved, by a reset. Without room for it the
// socket is for the caller to close, by a reset too.
func (l *Loop) rest(j *Job) bool {
	if len(l.idle[j.version]) < spare {
		if dissolve(j.fd) == 0 {
			// The kernel notes the reset as an error of the socket until somebody asks.
			if _, asked := pending(j.fd); asked == 0 {
				l.idle[j.version] = append(l.idle[j.version], j.fd)
				return true
			}
		}
	}
	_ = unix.SetsockoptLinger(j.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	return false
}
