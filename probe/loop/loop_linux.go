package loop

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhumb-dns/rhumb/yield"
)

const (
	// few is how many connections are begun before it is looked whether some are
	// made, so that what is measured of the first is not the time of the others.
	few = 8
	// hand is how many ended jobs are handed over together, while more are to be
	// begun.
	hand = 64
	// spare is how many idle sockets are kept for the next connections.
	spare = 64
	// most is how much is read at once.
	most = 16 << 10
	// interest of all sockets: what happens on them is told once.
	interest = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
)

// Loop makes connections. Start is for any goroutine.
type Loop struct {
	ended func([]*Job)

	mu    sync.Mutex
	inbox []*Job
	over  bool // Run has ended its jobs; descriptors are closed or will be

	fd    int // the epoll set of the sockets
	gate  int // an epoll set of that one alone, which is told of events while it is open
	set   *os.File
	raw   syscall.RawConn // the gate, for the runtime to wait for it
	look  func(fd uintptr) bool
	alarm int // an eventfd that says that there is something in the inbox

	ports  [2]uint16 // that the kernel chooses for this side
	epoch  time.Time
	armed  time.Duration // when waiting ends without an event, as the runtime was told
	wheel  wheel
	jobs   []*Job  // by descriptor
	turns  []int32 // by descriptor: how many sockets have had it
	flying int
	idle   [2][]int // sockets without a connection, IPv4 and IPv6
	to     address
	events []unix.EpollEvent
	got    int   // how many of them there are
	failed error // of looking for some
	buf    []byte
	done   []*Job // ended, and not handed over yet
	todo   []*Job // taken out of the inbox; empty but in Run
}

// New makes a Loop that hands jobs over to ended when they are: in batches, from the
// goroutine of Run or, of those that are started when it is over, of Start, which may be
// meanwhile. The slice is the Loop's own again when ended returns. Whoever has
// made one runs it, which closes it.
func New(ended func([]*Job)) (*Loop, error) {
	l := &Loop{
		ended: ended, ports: localPorts(), epoch: time.Now(), armed: never,
		events: make([]unix.EpollEvent, 256), buf: make([]byte, most),
	}
	l.look = func(fd uintptr) bool {
		l.poll()
		return l.got > 0 || l.failed != nil
	}
	var err error
	if l.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("loop: %w", os.NewSyscallError("epoll_create1", err))
	}
	if err := l.openGate(); err != nil {
		_ = unix.Close(l.fd)
		return nil, fmt.Errorf("loop: %w", err)
	}
	if l.raw, err = l.set.SyscallConn(); err == nil {
		// It fails when the runtime does not wait for the set.
		err = l.set.SetReadDeadline(time.Time{})
	}
	if err != nil {
		l.closeSets()
		return nil, fmt.Errorf("loop: %w", err)
	}
	if l.alarm, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		l.closeSets()
		return nil, fmt.Errorf("loop: %w", os.NewSyscallError("eventfd", err))
	}
	// Each writing to it is an event of its own, so that nobody has to read it.
	if err := l.watch(l.alarm, unix.EPOLLIN|unix.EPOLLET); err != nil {
		_ = unix.Close(l.alarm)
		l.closeSets()
		return nil, fmt.Errorf("loop: %w", os.NewSyscallError("epoll_ctl", err))
	}
	return l, nil
}

// openGate makes what the runtime waits for. Were that the set of the sockets, a
// thread that waits for the whole process would wake up for each of their events,
// while this one is dealing with them.
func (l *Loop) openGate() (err error) {
	if l.gate, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	// The runtime waits for descriptors that do not block.
	if err = os.NewSyscallError("fcntl", unix.SetNonblock(l.gate, true)); err == nil {
		err = os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.gate, unix.EPOLL_CTL_ADD, l.fd, &unix.EpollEvent{}))
	}
	if err != nil {
		_ = unix.Close(l.gate)
		return err
	}
	l.set = os.NewFile(uintptr(l.gate), "epoll")
	return nil
}

// pass opens the gate for events, those that there are included, or closes it.
func (l *Loop) pass(events uint32) {
	if e := control(l.gate, unix.EPOLL_CTL_MOD, l.fd, &unix.EpollEvent{Events: events}); e != 0 && l.failed == nil {
		l.failed = e
	}
}

func (l *Loop) closeSets() {
	_ = l.set.Close()
	_ = unix.Close(l.fd)
}

// Start has jobs done, in their order. When Run has ended they have as well, at once.
func (l *Loop) Start(jobs []*Job) {
	if len(jobs) == 0 {
		return
	}
	l.mu.Lock()
	if !l.over {
		l.inbox = append(l.inbox, jobs...)
		l.ring()
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	for _, j := range jobs {
		j.begin(l.now(), l.epoch)
		j.Err = context.Canceled
	}
	l.ended(jobs)
}

// ring has the loop look into the inbox; mu is held.
func (l *Loop) ring() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(l.alarm, one[:])
}

func (l *Loop) now() time.Duration { return time.Since(l.epoch) }

// Run does jobs until ctx ends, and ends those under way. It returns nil unless the
// system denies it what it needs.
func (l *Loop) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.over {
			l.ring()
		}
	})
	defer stop()
	defer l.finish()
	for ctx.Err() == nil {
		l.wait()
		if l.failed != nil {
			return fmt.Errorf("loop: %w", os.NewSyscallError("epoll_wait", l.failed))
		}
		l.meanwhile()
		// What rang meanwhile was among the events that burst has seen, so the inbox
		// is empty before anything is waited for.
		for l.take() {
			for at := 0; at < len(l.todo); at += few {
				l.burst(l.todo[at:min(at+few, len(l.todo))])
			}
			clear(l.todo)
			l.todo = l.todo[:0]
		}
		l.deliver()
	}
	return nil
}

// finish ends all jobs and closes all there is.
func (l *Loop) finish() {
	for _, j := range l.jobs {
		if j != nil {
			l.giveUp(j, context.Canceled)
		}
	}
	l.mu.Lock()
	l.over = true
	left := l.inbox
	l.inbox = nil
	_ = unix.Close(l.alarm)
	l.mu.Unlock()
	for _, j := range left {
		j.begin(l.now(), l.epoch)
		j.Err = context.Canceled
		l.done = append(l.done, j)
	}
	l.deliver()
	for _, fds := range l.idle {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}
	l.closeSets()
}

func (l *Loop) deliver() {
	if len(l.done) == 0 {
		return
	}
	l.ended(l.done)
	clear(l.done)
	l.done = l.done[:0]
}

// burst begins a few jobs and deals with what happens meanwhile.
func (l *Loop) burst(jobs []*Job) {
	for i, j := range jobs {
		if l.begin(j); i%2 == 1 {
			yield.Thread()
		}
	}
	l.poll()
	l.happen()
	if len(l.done) >= hand {
		l.deliver()
	}
}

// meanwhile deals with what has happened, all of it, and then with what has not in time.
func (l *Loop) meanwhile() {
	more := l.got == len(l.events)
	l.happen()
	for left := l.flying; more && left > 0; left -= len(l.events) {
		l.poll()
		more = l.got == len(l.events)
		l.happen()
	}
	l.wheel.expire(l.now(), l.late)
}

// take empties the inbox, and says whether anything was in it.
func (l *Loop) take() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.todo, l.inbox = l.inbox, l.todo
	return len(l.todo) > 0
}

// wait waits until something has happened or a deadline has passed.
func (l *Loop) wait() {
	if l.poll(); l.got > 0 || l.failed != nil {
		return
	}
	l.pass(unix.EPOLLIN)
	defer l.pass(0)
	if next := l.wheel.next(); next < l.armed {
		l.armed = next
		_ = l.set.SetReadDeadline(l.epoch.Add(next))
	}
	err := l.raw.Read(l.look)
	if err == nil {
		return
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		l.failed = err
		return
	}
	l.armed = never
	_ = l.set.SetReadDeadline(time.Time{})
	l.poll()
}

// poll gets the events that are there.
func (l *Loop) poll() {
	n, err := happening(l.fd, l.events)
	if err != 0 {
		n = 0
		if err != unix.EINTR { //nolint:errorlint // a number
			l.failed = err
		}
	}
	l.got = n
}

// happen deals with the events that there are. Nothing is begun meanwhile: the number
// of a descriptor that is closed, or at rest, stands for no other connection. Of one that
// was closed before there may be events still, while a process that is being started
// has it: they have another turn.
func (l *Loop) happen() {
	now := l.now()
	for i, e := range l.events[:l.got] {
		if i%4 == 3 {
			yield.Thread()
		}
		if fd := int(e.Fd); fd < len(l.jobs) && l.jobs[fd] != nil && l.turns[fd] == e.Pad {
			l.happened(l.jobs[fd], e.Events, now)
		}
	}
	l.got = 0
}

func (l *Loop) watch(fd int, events uint32) error {
	var turn int32
	if fd < len(l.turns) {
		turn = l.turns[fd]
	}
	e := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: turn}
	if e := control(l.fd, unix.EPOLL_CTL_ADD, fd, &e); e != 0 {
		return e
	}
	return nil
}
