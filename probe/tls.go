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
	// Certificate is shown to a server that asks for one, if it is the one under
	// probe; nil: none.
	Certificate *tls.Certificate
}

// TLS is the check that a port completes a TLS handshake with a certificate
// that holds, and for a while yet.
type TLS struct {
	TLSConfig
	// Talk is held over the encrypted connection.
	Talk
	// MinDays is for how many days the certificate must still be valid; 0: until now.
	// Of a chain that was verified, its certificate that ends first counts; where
	// several chains hold, the longest lived; without verification the server's own
	// certificate.
	MinDays int
	// WarnDays is the same for a success that is degraded.
	WarnDays int
}

// NewTLS makes the prober of a TLS check. It fails when the SNI is not a host
// name or an address.
func NewTLS(o TLS) (Prober, error) {
	s, err := newSecurity(o.TLSConfig, nil)
	if err != nil {
		return nil, err
	}
	return &tlsProber{net: &system, tls: s, talk: o.Talk, minimum: days(o.MinDays), warning: days(o.WarnDays)}, nil
}

type tlsProber struct {
	net              *network
	tls              *security
	talk             Talk
	minimum, warning time.Duration
}

func (p *tlsProber) Probe(ctx context.Context, t Target) Result {
	start := time.Now()
	l, f := p.net.connect(ctx, t)
	if f.failed() {
		return f.result(start, 0)
	}
	defer l.release()
	v := &acceptance{conn: l.Conn}
	secure, f := p.tls.shake(ctx, l.Conn, v.watch(p.tls.of(t.name(), true)))
	if f.failed() {
		return f.result(start, l.took)
	}
	f = p.lifetime(secure.ConnectionState(), time.Now())
	if !f.failed() && p.talk.any() {
		if said := p.talk.over(ctx, secure); said.failed() {
			f = said
		}
	}
	if !f.failed() && p.talk.Expect == nil {
		if refused := v.await(ctx, secure, l.took); refused.failed() {
			f = refused
		}
	}
	r := f.result(start, l.took)
	_ = secure.Close()
	return r
}

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

// lifetime judges for how long the certificate is valid.
func (p *tlsProber) lifetime(s tls.ConnectionState, now time.Time) failure {
	if p.minimum == 0 && p.warning == 0 {
		return failure{}
	}
	end := chainEnd(s.PeerCertificates[:1])
	for i, chain := range s.VerifiedChains {
		if e := chainEnd(chain); i == 0 || e.After(end) {
			end = e
		}
	}
	left := end.Sub(now)
	words := fmt.Sprintf("certificate ends in %d days, on %s", int(left/days(1)), end.UTC().Format(time.DateOnly))
	switch {
	case left < 0: // it was not verified
		return fail(ClassTLS, "certificate expired on %s", end.UTC().Format(time.DateOnly))
	case left < p.minimum:
		return fail(ClassTLS, "%s", words)
	case left < p.warning:
		return degraded("%s", words)
	}
	return failure{}
}

// chainEnd is when the first certificate of a chain ends.
func chainEnd(chain []*x509.Certificate) time.Time {
	end := chain[0].NotAfter
	for _, c := range chain[1:] {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

// security is a TLSConfig made ready once for all probes of a check.
type security struct {
	// base has everything but the name. Nothing changes it, and it has no
	// session cache: a resumed session would not show the certificate.
	base *tls.Config
	// named is base with the name that was configured; nil when the name is
	// the target's.
	named *tls.Config
	// own is the client's certificate, for the server under probe.
	own *tls.Certificate
	// secrets are what the check tells the server. It could have them in the names of
	// its next certificate.
	secrets []string
}

func newSecurity(o TLSConfig, alpn []string) (*security, error) {
	s := &security{base: &tls.Config{
		RootCAs:            o.Roots,
		InsecureSkipVerify: o.SkipVerify, //nolint:gosec // asked for, and off by default
		NextProtos:         alpn,
	}, own: o.Certificate}
	if o.SNI != "" {
		if _, err := netip.ParseAddr(o.SNI); err != nil && !validName(o.SNI) {
			return nil, fmt.Errorf("sni: %q is neither a host name nor an address", o.SNI)
		}
		s.named = s.config(o.SNI, true)
	}
	return s, nil
}

func (s *security) config(name string, own bool) *tls.Config {
	c := s.base.Clone()
	c.ServerName = strings.TrimSuffix(name, ".")
	if own && s.own != nil {
		// Not Certificates, of which none is shown where the server names authorities
		// and this one's is not among them: the file may lack what is between the
		// two, and a server says better than we why it does not like a certificate.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return s.own, nil }
	}
	return c
}

// of is the configuration for the server of that name. own says that it is the one
// the check is about, for which a configured name comes first.
func (s *security) of(name string, own bool) *tls.Config {
	if s.named != nil && own {
		return s.named
	}
	return s.config(name, own)
}

// handshake makes the handshake over conn, whose deadline ctx governs, as of has it.
func (s *security) handshake(ctx context.Context, conn net.Conn, name string, own bool) (*tls.Conn, failure) {
	c, f := s.shake(ctx, conn, s.of(name, own))
	return c, s.discreet(f, name, own)
}

// shake is handshake with a configuration that is made of this one's.
func (s *security) shake(ctx context.Context, conn net.Conn, cfg *tls.Config) (*tls.Conn, failure) {
	below := &strict{Conn: conn}
	c := tls.Client(below, cfg)
	// Not HandshakeContext: it starts a goroutine to do what the connection's
	// own deadline does already.
	if err := c.Handshake(); err != nil {
		return nil, late(classify(ctx, err, handshaking), below.heard)
	}
	return c, failure{}
}

// discreet hides secrets in what a handshake failed by that was made as handshake makes it.
func (s *security) discreet(f failure, name string, own bool) failure {
	if !f.failed() {
		return f
	}
	known := "" // another host's is the server's word
	if own {
		known = s.of(name, own).ServerName
	}
	f.detail = blot(f.detail, s.secrets, known)
	return f
}

// strict keeps the TLS layer from setting deadlines of its own. On closing, it
// would give a peer that reads nothing five seconds more than ctx does.
type strict struct {
	net.Conn
	heard bool // something has been read
}

func (s *strict) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	s.heard = s.heard || n > 0
	return n, err
}

func (*strict) SetWriteDeadline(time.Time) error { return nil }
