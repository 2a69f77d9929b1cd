package probe

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// Target is what a probe is aimed at.
type Target struct {
	// Addr is the address to connect to. While it is not valid, Host is
	// resolved instead.
	Addr netip.Addr
	// Host is the host name of an endpoint without a fixed address. The
	// system's resolver is asked at each probe, and the addresses it gives, the first
	// 16 of them, are tried in its order until one accepts a connection.
	Host string
	// Port is the TCP port, or that of UDP; 0 is an error where the check has one.
	Port uint16
	// Priority is that of the endpoint, for scripts.
	Priority int
}

// String gives the target as host:port, an IPv6 address in brackets.
func (t Target) String() string {
	return joinPort(t.name(), t.Port)
}

// name is the address, or the host name where there is no address.
func (t Target) name() string {
	if t.Addr.IsValid() {
		// A zone means something on this machine only; it has no place in a
		// Host header (RFC 6874 section 1) or a certificate.
		return t.Addr.Unmap().WithZone("").String()
	}
	return t.Host
}

// Class says in one word how a probe failed, for metrics and for rules. The
// set is closed: it can be a metric's label.
type Class string

const (
	ClassNone        Class = ""            // the probe succeeded
	ClassTimeout     Class = "timeout"     // the context's deadline passed, or the kernel gave up connecting
	ClassRefused     Class = "refused"     // nothing listens on the port
	ClassReset       Class = "reset"       // the peer hung up before it had answered
	ClassUnreachable Class = "unreachable" // no route to the host or the network
	ClassDNS         Class = "dns"         // the host name did not resolve
	ClassTLS         Class = "tls"         // the handshake or the certificate
	ClassStatus      Class = "status"      // a status or reply code that was not expected
	ClassBody        Class = "body"        // a body that does not match
	ClassValue       Class = "value"       // what came back is well formed, and not what was expected
	ClassAuth        Class = "auth"        // the login was refused
	ClassRedirect    Class = "redirect"    // redirects without end
	ClassOversize    Class = "oversize"    // more came back than a probe reads
	ClassSlow        Class = "slow"        // an answer had begun, and had not ended at the deadline
	ClassProtocol    Class = "protocol"    // an answer that is not of the protocol
	ClassScript      Class = "script"      // the check's own script broke, or took more than it may
	ClassCanceled    Class = "canceled"    // the context was canceled: no verdict on the endpoint
	ClassLocal       Class = "local"       // this machine lacks descriptors, ports or memory: no verdict on the endpoint
	ClassReported    Class = "reported"    // no probe: somebody else says that the endpoint fails
	ClassError       Class = "error"       // everything else
)

// Result is what one probe found out.
type Result struct {
	OK bool
	// Degraded says that the endpoint serves, and not as well as it should: OK is
	// true, and Detail says why.
	Degraded bool
	Class    Class
	// Detail is for people: one line, without secrets. It is empty after a
	// success that is not degraded.
	Detail string
	// RTT is the time from the start of the probe to its verdict; of echo requests
	// the mean of their round trips.
	RTT time.Duration
	// Connect is how long the connection took to be made, of the redirects' the
	// first: one round trip over the network, whatever the type of the check and
	// however long the service thinks. Resolving a host name is not part of it. It
	// is zero where no connection was made. Of echo requests it is the shortest round
	// trip.
	Connect time.Duration
}

// Prober probes one target once. Implementations are safe for concurrent use
// and hold no state between probes.
//
// The context's deadline is the probe's timeout. Without a deadline a probe
// takes as long as the peer likes.
type Prober interface {
	Probe(ctx context.Context, t Target) Result
}

// failure is a verdict on its way up; its zero value is success. It is not an
// error, so that no path can return one without having chosen its class.
type failure struct {
	class    Class
	detail   string
	degraded bool // of a success: not as good as it should be
}

func (f failure) failed() bool { return f.class != ClassNone }

func fail(c Class, format string, args ...any) failure {
	return failure{class: c, detail: fmt.Sprintf(format, args...)}
}

// degraded is a success that is not as good as it should be.
func degraded(format string, args ...any) failure {
	return failure{degraded: true, detail: fmt.Sprintf(format, args...)}
}

// result ends a probe that began at start, whose connection took that long.
func (f failure) result(start time.Time, connect time.Duration) Result {
	return f.timed(time.Since(start), connect)
}

// timed is the result of a probe that took so long.
func (f failure) timed(took, connect time.Duration) Result {
	return Result{
		OK:       !f.failed(),
		Class:    f.class,
		Degraded: f.degraded,
		Detail:   oneLine(f.detail, maxDetail),
		RTT:      took,
		Connect:  connect,
	}
}

// maxDetail is enough for a sentence with two host names in it; a peer's
// certificate can hold thousands of names.
const maxDetail = 200

// oneLine makes printable ASCII of s and cuts it to limit bytes. Names in a
// certificate or a redirect are the peer's words: they must not write lines
// of their own, or escape sequences, into an operator's terminal.
func oneLine(s string, limit int) string {
	clean := len(s) <= limit
	for i := 0; clean && i < len(s); i++ {
		clean = s[i] >= ' ' && s[i] < 0x7f
	}
	if clean {
		return s
	}
	const dots = "..."
	b := []byte(s)
	if len(b) > limit {
		b = append(b[:limit-len(dots)], dots...)
	}
	for i, c := range b {
		if c < ' ' || c >= 0x7f {
			b[i] = '?'
		}
	}
	return string(b)
}
