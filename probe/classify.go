package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// stage says where a probe was when it failed, as it reads after "timeout".
type stage string

const (
	resolving   stage = "while resolving the host name"
	connecting  stage = "while connecting"
	handshaking stage = "during the TLS handshake"
	sending     stage = "while sending the request"
	awaiting    stage = "while waiting for the response's header"
	reading     stage = "while reading the response's body"
)

// classify gives an error of a network operation its class and its words. The
// text of an unknown error is passed on only from the operating system and the
// TLS stack; errors of the HTTP parser quote the peer and never come here.
func classify(ctx context.Context, err error, at stage) failure {
	// The resolver's own timeout looks like the context's, so its errors are
	// told apart first.
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return classifyDNS(ctx, dns)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		// The deadline of a connection is how both arrive, so only the
		// context knows which it was.
		if errors.Is(ctx.Err(), context.Canceled) {
			return fail(ClassCanceled, "canceled %s", at)
		}
		return outOfTime(at)
	}

	switch {
	case isAny(err, errnoLocal):
		return fail(ClassLocal, "this machine is out of descriptors, ports or memory %s", at)
	case isAny(err, errnoRefused):
		return fail(ClassRefused, "connection refused")
	case isAny(err, errnoTimeout):
		return fail(ClassTimeout, "timeout %s (by the operating system)", at)
	case isAny(err, errnoNetUnreachable):
		return fail(ClassUnreachable, "network unreachable")
	case isAny(err, errnoHostUnreachable):
		return fail(ClassUnreachable, "no route to host")
	case isAny(err, errnoReset):
		return fail(ClassReset, "connection reset %s", at)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe):
		return fail(ClassReset, "connection closed %s", at)
	}

	if f := classifyTLS(err); f.failed() {
		return f
	}
	// The operation and the address in front of it are known to whoever
	// reads this.
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		return fail(ClassError, "%s %s", sys.Err, at)
	}
	// What else the TLS stack says has no type, behind the handshake as well, where a
	// server can go on with messages of its own.
	if words, said := strings.CutPrefix(err.Error(), "tls: "); said || at == handshaking {
		return fail(ClassTLS, "%s", words)
	}
	return fail(ClassError, "%s", err)
}

// outOfTime is the failure of a probe whose time is over. Where no address was known
// yet it is the name servers that were late, and not the endpoint.
func outOfTime(at stage) failure {
	if at == resolving {
		return fail(ClassDNS, "timeout %s", at)
	}
	return fail(ClassTimeout, "timeout %s", at)
}

func classifyDNS(ctx context.Context, err *net.DNSError) failure {
	deadline, limited := ctx.Deadline()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fail(ClassCanceled, "canceled %s", resolving)
	case limited && !time.Now().Before(deadline):
		// Not by ctx.Err: the resolver sees the deadline by a timer of its
		// own, which may be the first to fire.
		return outOfTime(resolving)
	case err.IsNotFound:
		return fail(ClassDNS, "no such host: %s", err.Name)
	case err.IsTimeout:
		return fail(ClassDNS, "resolver did not answer for %s", err.Name)
	case err.Err == "server misbehaving": // package net's words for all codes but NXDOMAIN
		return fail(ClassDNS, "the name server answers with an error for %s", err.Name)
	case err.Err == "lame referral":
		return fail(ClassDNS, "the name server gives no address for %s, and does not ask others", err.Name)
	}
	return fail(ClassDNS, "host name %s: %s", err.Name, err.Err)
}

// classifyTLS tells what the TLS stack said; the zero failure when it was not
// the TLS stack.
func classifyTLS(err error) failure {
	var (
		header    tls.RecordHeaderError
		invalid   x509.CertificateInvalidError
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		verify    *tls.CertificateVerificationError
		op        *net.OpError
	)
	switch {
	case errors.As(err, &header):
		if string(header.RecordHeader[:]) == "HTTP/" {
			return fail(ClassTLS, "the server speaks plain http, not TLS")
		}
		return fail(ClassTLS, "the server does not speak TLS")
	case errors.As(err, &invalid):
		return fail(ClassTLS, "%s", describeInvalid(invalid))
	case errors.As(err, &authority):
		if c := authority.Cert; c != nil && c.Issuer.String() == c.Subject.String() {
			return fail(ClassTLS, "certificate signed by unknown authority (self-signed)")
		}
		return fail(ClassTLS, "certificate signed by unknown authority")
	case errors.As(err, &name):
		return fail(ClassTLS, "%s", describeName(name))
	case errors.As(err, &verify):
		return fail(ClassTLS, "certificate: %s", strings.TrimPrefix(verify.Err.Error(), "x509: "))
	case errors.As(err, &op) && op.Op == "remote error":
		return fail(ClassTLS, "the server refused the handshake: %s", strings.TrimPrefix(op.Err.Error(), "tls: "))
	case errors.As(err, &op) && op.Op == "local error":
		return fail(ClassTLS, "%s", strings.TrimPrefix(op.Err.Error(), "tls: "))
	}
	return failure{}
}

func describeInvalid(err x509.CertificateInvalidError) string {
	if err.Reason != x509.Expired || err.Cert == nil {
		return "certificate: " + strings.TrimPrefix(err.Error(), "x509: ")
	}
	// The one reason stands for both ends of the validity period.
	if from := err.Cert.NotBefore; time.Now().Before(from) {
		return "certificate not valid before " + from.UTC().Format(time.DateOnly)
	}
	return "certificate expired on " + err.Cert.NotAfter.UTC().Format(time.DateOnly)
}

// describeName names what the certificate is for, a few names at most: some
// hold hundreds.
func describeName(err x509.HostnameError) string {
	const most = 3
	var names []string
	for _, n := range err.Certificate.DNSNames {
		names = append(names, oneLine(n, 60))
	}
	for _, ip := range err.Certificate.IPAddresses {
		names = append(names, ip.String())
	}
	switch {
	case len(names) == 0:
		return "certificate is for no name at all, not for " + err.Host
	case len(names) > most:
		names = append(names[:most], "...")
	}
	// The wanted name goes first, so that a cut at the end takes none of it.
	return "certificate is not for " + err.Host + " but for " + strings.Join(names, ", ")
}

func isAny(err error, among []syscall.Errno) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	for _, e := range among {
		if errno == e {
			return true
		}
	}
	return false
}
