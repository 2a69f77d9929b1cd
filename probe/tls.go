package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// TLSConfig is the TLS side of a check. Its zero value verifies against the
// system's roots and the target's own name or address.
type TLSConfig struct {
	// SNI is the name that is sent in the handshake and that the certificate
	// must be for. When it is empty, it is the Host of an HTTP check, else the
	// target's host name, else the target's address. An address is verified
	// like a name but, as RFC 6066 section 3 has it, not sent.
	SNI string
	// Roots are the authorities to trust; nil means the system's.
	Roots *x509.CertPool
	// SkipVerify accepts every certificate. The handshake must still succeed.
	SkipVerify bool
}

// TLS is the check that a port completes a TLS handshake with a certificate
// that holds.
type TLS TLSConfig

// NewTLS makes the prober of a TLS check. It fails when the SNI is not a host
// name or an address.
func NewTLS(o TLS) (Prober, error) {
	s, err := newSecurity(TLSConfig(o), nil)
	if err != nil {
		return nil, err
	}
	return &tlsProber{net: &system, tls: s}, nil
}

type tlsProber struct {
	net *network
	tls *security
}

func (p *tlsProber) Probe(ctx context.Context, t Target) Result {
	start := time.Now()
	l, f := p.net.connect(ctx, t)
	if f.failed() {
		return f.result(start, 0)
	}
	defer l.release()
	secure, f := p.tls.handshake(ctx, l.Conn, t.name(), true)
	r := f.result(start, l.took)
	if !f.failed() {
		_ = secure.Close()
	}
	return r
}

// security is a TLSConfig made ready once for all probes of a check.
type security struct {
	// base has everything but the name. Nothing changes it, and it has no
	// session cache: a resumed session would not show the certificate.
	base *tls.Config
	// named is base with the name that was configured; nil when the name is
	// the target's.
	named *tls.Config
}

func newSecurity(o TLSConfig, alpn []string) (*security, error) {
	s := &security{base: &tls.Config{
		RootCAs:            o.Roots,
		InsecureSkipVerify: o.SkipVerify, //nolint:gosec // asked for, and off by default
		NextProtos:         alpn,
	}}
	if o.SNI != "" {
		if _, err := netip.ParseAddr(o.SNI); err != nil && !validName(o.SNI) {
			return nil, fmt.Errorf("sni: %q is neither a host name nor an address", o.SNI)
		}
		s.named = s.config(o.SNI)
	}
	return s, nil
}

func (s *security) config(name string) *tls.Config {
	c := s.base.Clone()
	c.ServerName = strings.TrimSuffix(name, ".")
	return c
}

// handshake makes the handshake over conn, whose deadline ctx governs, with the
// server of that name. own says that it is the one the check is about, for
// which a configured name comes first.
func (s *security) handshake(ctx context.Context, conn net.Conn, name string, own bool) (*tls.Conn, failure) {
	cfg := s.named
	if cfg == nil || !own {
		cfg = s.config(name)
	}
	c := tls.Client(strict{conn}, cfg)
	// Not HandshakeContext: it starts a goroutine to do what the connection's
	// own deadline does already.
	if err := c.Handshake(); err != nil {
		return nil, classify(ctx, err, handshaking)
	}
	return c, failure{}
}

// strict keeps the TLS layer from setting deadlines of its own. On closing, it
// would give a peer that reads nothing five seconds more than ctx does.
type strict struct{ net.Conn }

func (strict) SetWriteDeadline(time.Time) error { return nil }
