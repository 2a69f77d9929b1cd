package probe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"time"
)

// ICMP is the check that an address answers echo requests (RFC 792, RFC 4443).
type ICMP struct {
	// Count is how many requests a probe sends; default 5, at most 20.
	Count int
	// MaxLoss is what share of them may stay without a reply, from 0 to 1. When none
	// is answered the probe fails in any case.
	MaxLoss float64
	// MaxRTT is how long the replies may take, in the mean; 0: as long as they like.
	MaxRTT time.Duration
	// DegradedLoss and DegradedRTT are the same for a success that is degraded; 0 is
	// none for the time, while the loss is stated with WarnLoss.
	DegradedLoss float64
	DegradedRTT  time.Duration
	// WarnLoss is whether DegradedLoss counts.
	WarnLoss bool
}

const (
	pingCount    = 5
	maxPingCount = 20
	// pingGap is the time from one request to the next, where the timeout leaves it:
	// packets that are sent together are lost together.
	pingGap = 200 * time.Millisecond
)

const pinging stage = "while sending an echo request"

// NewICMP makes the prober of an ICMP check. It opens nothing: that there may be no
// socket for it here is found out by its probes, which are then of class local.
func NewICMP(o ICMP) (Prober, error) {
	if o.Count == 0 {
		o.Count = pingCount
	}
	if o.Count < 1 || o.Count > maxPingCount {
		return nil, fmt.Errorf("count: %d is out of range: 1 to %d", o.Count, maxPingCount)
	}
	for _, share := range []float64{o.MaxLoss, o.DegradedLoss} {
		if !(share >= 0 && share <= 1) {
			return nil, errors.New("max_loss: a share is from 0 to 1")
		}
	}
	return &icmpProber{net: &system, v4: echoes4, v6: echoes6, o: o}, nil
}

type icmpProber struct {
	net    *network
	v4, v6 *echoes
	o      ICMP
}

func (p *icmpProber) Probe(ctx context.Context, t Target) Result {
	start := time.Now()
	addrs, f := p.net.addresses(ctx, t)
	var s pingSum
	for _, a := range addrs {
		// The next one only where this machine has no way to the one before it.
		if s, f = p.ping(ctx, a); f.class != ClassUnreachable || s.sent > 0 || ctx.Err() != nil {
			break
		}
	}
	r := f.result(start, s.best)
	if s.replies > 0 {
		r.RTT = s.mean()
	}
	return r
}

// addresses are those of a target.
func (n *network) addresses(ctx context.Context, t Target) ([]netip.Addr, failure) {
	if err := ctx.Err(); err != nil {
		at := pinging
		if !t.Addr.IsValid() {
			at = resolving
		}
		return nil, classify(ctx, err, at)
	}
	switch {
	case t.Addr.IsValid():
		return []netip.Addr{t.Addr}, failure{}
	case t.Host == "":
		return nil, fail(ClassError, "target has neither an address nor a host name")
	}
	addrs, err := n.lookup(ctx, t.Host)
	if err != nil {
		return nil, classify(ctx, err, resolving)
	}
	if len(addrs) == 0 {
		return nil, fail(ClassDNS, "host name has no address")
	}
	return addrs, failure{}
}

// pingSum is what the replies of a probe add up to.
type pingSum struct {
	sent, replies, refused int
	total, best            time.Duration
}

func (s *pingSum) mean() time.Duration { return s.total / time.Duration(max(s.replies, 1)) }

// loss is the share without a reply.
func (s *pingSum) loss() float64 { return float64(s.sent-s.replies) / float64(max(s.sent, 1)) }

func (p *icmpProber) ping(ctx context.Context, to netip.Addr) (s pingSum, f failure) {
	to = to.Unmap()
	all := p.v4
	if to.Is6() {
		all = p.v6
	}
	line, err := all.join()
	if err != nil {
		return s, unopened(ctx, err, to)
	}
	defer line.leave()
	gap := pingGap
	deadline, limited := ctx.Deadline()
	whole := time.Until(deadline)
	if limited {
		gap = min(gap, whole/time.Duration(2*p.o.Count))
	}
	trips, err := line.series(ctx, to, p.o.Count, gap)
	if err != nil {
		return s, unsent(ctx, err)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return s, fail(ClassCanceled, "canceled while waiting for echo replies")
	}
	// The last request is due in the first half of the time. When this process did not
	// run for so long that it had no chance of a reply, nothing was lost on the way.
	busy := limited && (len(trips) < p.o.Count || time.Since(deadline) > min(whole/10, 20*time.Millisecond))
	for _, t := range trips {
		if limited && t.took == 0 && deadline.Sub(t.sent) < whole/4 {
			busy = true
			continue
		}
		s.sent++
		switch {
		case t.refused:
			s.refused++
		case t.took > 0:
			s.replies++
			s.total += t.took
			if s.best == 0 || t.took < s.best {
				s.best = t.took
			}
		}
	}
	f = p.judge(&s)
	if busy && (f.failed() || f.degraded) {
		f = fail(ClassLocal, "this machine was too busy for %d echo requests in %s", p.o.Count, whole.Round(time.Millisecond))
	}
	return s, f
}

func (p *icmpProber) judge(s *pingSum) failure {
	loss := fmt.Sprintf("%d of %d echo requests without a reply (%d%%)", s.sent-s.replies, s.sent, int(math.Round(100*s.loss())))
	mean := s.mean().Round(10 * time.Microsecond)
	switch {
	case s.replies == 0 && s.refused > 0:
		return fail(ClassUnreachable, "host unreachable, says a router on the way or the host")
	case s.replies == 0:
		return fail(ClassTimeout, "no reply to %d echo requests", s.sent)
	case s.loss() > p.o.MaxLoss+1e-9:
		return fail(ClassValue, "%s, at most %s", loss, percent(p.o.MaxLoss))
	case p.o.MaxRTT > 0 && s.mean() > p.o.MaxRTT:
		return fail(ClassValue, "echo replies took %s in the mean, at most %s", mean, p.o.MaxRTT)
	case p.o.WarnLoss && s.loss() > p.o.DegradedLoss+1e-9:
		return degraded("%s, more than %s", loss, percent(p.o.DegradedLoss))
	case p.o.DegradedRTT > 0 && s.mean() > p.o.DegradedRTT:
		return degraded("echo replies took %s in the mean, more than %s", mean, p.o.DegradedRTT)
	}
	return failure{}
}

func percent(share float64) string { return fmt.Sprintf("%g%%", 100*share) }

// errForbidden is that neither kind of socket may be had.
var errForbidden = errors.New("icmp sockets are not permitted to this process: put its group into net.ipv4.ping_group_range, or give it CAP_NET_RAW")

// unopened is the failure of a socket that could not be had. It says nothing of the
// endpoint.
func unopened(ctx context.Context, err error, to netip.Addr) failure {
	if errors.Is(err, errForbidden) {
		return fail(ClassLocal, "%s", err)
	}
	if f := classify(ctx, err, pinging); f.class == ClassLocal {
		return f
	}
	family := "IPv4"
	if to.Is6() {
		family = "IPv6"
	}
	return fail(ClassLocal, "no %s socket for echo requests: %s", family, err)
}

// unsent is the failure of a request that did not leave.
func unsent(ctx context.Context, err error) failure {
	switch {
	case errors.Is(err, errBroken):
		return fail(ClassLocal, "%s", err)
	case errors.Is(err, os.ErrPermission):
		return fail(ClassLocal, "this machine forbids echo requests: its firewall, or the route")
	}
	return classify(ctx, err, pinging)
}
