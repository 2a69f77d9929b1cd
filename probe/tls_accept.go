package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"
)

// acceptance is whether a server that asks for a client certificate takes the one that
// it was shown, or that there was none. In TLS 1.3 that is no part of the handshake as the
// client sees it: the server refuses afterwards, by an alert (RFC 8446 section 4.4.2.4).
// Whoever goes on to read is told; this is for those who would not.
//
// A server that takes it says nothing that has to come, but nearly all of them send a
// ticket for the next session to clients that want one. So the probe wants one, goes by
// its arrival, and never uses it.
type acceptance struct {
	conn  net.Conn
	asked bool // for a certificate
	waits bool // for the server to take it
	taken bool // a ticket has come
}

const (
	// acceptTrips is how many times as long as for the connection, which is one round
	// trip, is waited for a server that sends neither ticket nor alert, and
	// leastPatience how long at least.
	acceptTrips   = 4
	leastPatience = 250 * time.Millisecond
)

// watch is cfg, and notes what the server does.
func (a *acceptance) watch(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	show := cfg.GetClientCertificate
	cfg.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		a.asked = true
		if show == nil {
			return &tls.Certificate{}, nil
		}
		return show(r)
	}
	cfg.ClientSessionCache = a
	return cfg
}

// Get implements tls.ClientSessionCache: a session that is resumed would not show the
// certificate.
func (a *acceptance) Get(string) (*tls.ClientSessionState, bool) { return nil, false }

// Put implements tls.ClientSessionCache.
func (a *acceptance) Put(string, *tls.ClientSessionState) {
	if a.taken = true; a.waits {
		_ = a.conn.SetReadDeadline(longAgo) // that is enough
	}
}

// await reads until the server has shown what it makes of the certificate, if it asked for
// one. One that keeps silent has taken it.
func (a *acceptance) await(ctx context.Context, secure *tls.Conn, trip time.Duration) failure {
	if !a.asked || secure.ConnectionState().Version < tls.VersionTLS13 {
		return failure{}
	}
	wait := max(acceptTrips*trip, leastPatience)
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)/2)
	}
	enough := time.AfterFunc(wait, func() { _ = a.conn.SetReadDeadline(longAgo) })
	defer enough.Stop()
	a.waits = true
	_, err := secure.Read(make([]byte, 1))
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return classify(ctx, ctx.Err(), handshaking)
	case err == nil, a.taken, errors.Is(err, os.ErrDeadlineExceeded):
		return failure{}
	}
	if f := classify(ctx, err, handshaking); f.class == ClassTLS {
		return f
	}
	return failure{} // it hangs up on who says nothing
}
