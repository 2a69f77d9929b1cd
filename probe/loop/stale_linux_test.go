package loop

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// byHand is a Loop that the test runs by hand, step by step.
func byHand(t *testing.T) *Loop {
	t.Helper()
	l, err := New(func([]*Job) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.finish)
	return l
}

// listening is a socket that listens, with room for few that nobody has accepted.
func listening(t *testing.T, room int) (fd int, at netip.AddrPort) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, room)); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(sa.(*unix.SockaddrInet4).Port))
}

// TestEventOfAnother: a socket that was closed while a process that is being started
// still had it tells its events under a number that is another's by now.
func TestEventOfAnother(t *testing.T) {
	l := byHand(t)
	_, open := listening(t, 8)
	_, full := listening(t, 0)
	fill := Job{To: full, Timeout: time.Minute}
	l.begin(&fill)
	l.poll()
	l.happen()
	var was, is Job
	was = Job{To: open, Timeout: time.Minute, Talk: &silence{}}
	l.begin(&was)
	child, err := unix.Dup(was.fd)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(child)
	number := was.fd
	l.end(&was, errors.New("its time is over"), l.now())
	is = Job{To: full, Timeout: time.Minute}
	if l.begin(&is); is.fd != number {
		t.Skipf("SKIPPED: the number is %d, was %d", is.fd, number)
	}
	l.poll()
	l.happen()
	if is.Connect > 0 || l.jobs[number] != &is {
		t.Errorf("connected by what happened to another: %+v", is)
	}
}

// silence is a Talk that says and hears nothing.
type silence struct{}

func (silence) Send() []byte                 { return nil }
func (silence) Heard(b []byte, _ error) bool { return false }

// TestManyAnswersBeforeTheClock: who has answered while the process was kept from its
// processor is not late, however many there are.
func TestManyAnswersBeforeTheClock(t *testing.T) {
	l := byHand(t)
	_, open := listening(t, 4096)
	jobs := make([]Job, 3*len(l.events))
	for i := range jobs {
		jobs[i] = Job{To: open, Timeout: time.Nanosecond}
		l.begin(&jobs[i])
	}
	l.wait()
	l.meanwhile()
	late := 0
	for i := range jobs {
		if jobs[i].Err != nil {
			late++
		}
	}
	if late > 0 {
		t.Errorf("%d of %d are late", late, len(jobs))
	}
}
