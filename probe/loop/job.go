package loop

import (
	"net/netip"
	"time"
)

// Stage is how far a job has come.
type Stage uint8

// The stages.
const (
	Connecting Stage = iota
	Sending
	Hearing
)

// Talk is what a job says once it is connected, and whom it listens to.
type Talk interface {
	// Send is the bytes to send, which nobody may change until the job has ended.
	Send() []byte
	// Heard is told all that has come so far, each time that more has, and says
	// whether it has heard enough. With err it is the last time: the peer has ended
	// (io.EOF), the connection has, the time is over, or the Loop is. The bytes are the Loop's own again after it.
	Heard(b []byte, err error) (enough bool)
}

// Job is one connection. Its owner sets the first fields, leaves it alone from Start
// until it has ended, and may use it again after that.
type Job struct {
	// To is the address. One with a zone is reached without regard to it.
	To netip.AddrPort
	// Timeout is how long the job may take from when its connection is begun.
	Timeout time.Duration
	// Talk is nil for a job that is done when it is connected, and be it that the peer
	// has reset it by then. Such a connection is reset: the peer sees SYN, ACK, RST, and
	// neither side keeps it in TIME_WAIT.
	Talk Talk
	// Owner is whatever Ended has to know.
	Owner any

	// What came of it.

	// Stage is where it ended.
	Stage Stage
	// Err is nil when the job is done: connected, without a Talk; else when Heard has
	// had enough. It is os.ErrDeadlineExceeded when the time was over,
	// context.Canceled when the Loop's was, io.EOF when the peer had no more to say,
	// and else an *os.SyscallError.
	Err error
	// Began is when the connection was begun.
	Began time.Time
	// Connect is how long it took to be made; 0 when it was not.
	Connect time.Duration
	// Took is how long the whole took.
	Took time.Duration

	began      time.Duration // by the Loop's clock
	deadline   time.Duration
	fd         int
	sent       int
	buf        []byte // what has come and was not enough
	prev, next *Job   // in a slot of the wheel
	slot       int32  // of the wheel; -1: in none
	version    uint8  // of IP: 0 is IPv4, 1 IPv6
	readable   bool   // something may have come that was not read
}
