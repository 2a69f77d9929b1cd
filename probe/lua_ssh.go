package probe

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

const (
	// defaultSSH is how long ssh_exec takes at most unless the script says so, or
	// the probe ends before.
	defaultSSH = 5 * time.Second
	maxOutput  = 64 << 10 // of a command
	// maxSSH is all that a server may send. The window of a channel is 2 MiB, so that of a
	// command that writes without end is told by maxOutput.
	maxSSH = 4 << 20
)

// sshExec is ssh_exec(host, user, password, command, timeout). What the command
// writes, to its errors as well, is the output where it ends with 0, and "" else.
func (r *luaRun) sshExec(ctx context.Context, args []any) []any {
	ctx, cancel := argTimeout(ctx, args, 4, defaultSSH)
	defer cancel()
	login := sshLogin{host: argText(args, 0), user: argText(args, 1), password: r.password(args, 2)}
	out, f := r.ssh(ctx, login, argText(args, 3))
	if f.failed() {
		return []any{"", oneLine(f.detail, maxDetail)}
	}
	return []any{out}
}

type sshLogin struct{ host, user, password string }

func (r *luaRun) ssh(ctx context.Context, login sshLogin, command string) (string, failure) {
	if r.hostKeys == nil {
		return "", fail(ClassError, "the check states no known_hosts, without which no host is trusted")
	}
	name, port, ok := splitAuthority(login.host)
	if !ok {
		return "", fail(ClassError, "the host is not a host name or address with or without a port")
	}
	if port == 0 {
		port = 22
	}
	authority := joinPort(name, port)
	var algorithms []string // all that there are
	if !r.anyHost {
		var f failure
		if algorithms, f = r.hostAlgorithms(authority); f.failed() {
			return "", f
		}
	}
	l, f := r.net.connect(ctx, resolvable(name, port))
	if f.failed() {
		return "", f
	}
	defer l.release()
	in := &measured{Conn: l.Conn, left: maxSSH}
	conn, channels, requests, err := ssh.NewClientConn(in, authority, &ssh.ClientConfig{
		User: login.user,
		Auth: []ssh.AuthMethod{
			ssh.Password(login.password),
			ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
				return slices.Repeat([]string{login.password}, len(questions)), nil
			}),
		},
		HostKeyCallback:   r.hostKeys,
		HostKeyAlgorithms: algorithms,
		ClientVersion:     "SSH-2.0-" + userAgent,
	})
	if err != nil {
		return "", in.failure(ctx, err)
	}
	client := ssh.NewClient(conn, channels, requests)
	// Its goroutines end when the connection does.
	defer func() { _ = client.Close(); _ = client.Wait() }()
	session, err := client.NewSession()
	if err != nil {
		return "", in.failure(ctx, err)
	}
	out := &bounded{limit: maxOutput, full: func() { _ = l.Close() }}
	session.Stdout, session.Stderr = out, out
	if err = session.Start(command); err == nil {
		limit := endRemote(ctx, session.Signal)
		err = session.Wait()
		if limit.stop() {
			return "", fail(ClassTimeout, "timeout of the command")
		}
	}
	if out.over() {
		return "", fail(ClassOversize, "the command wrote more than %d bytes", maxOutput)
	}
	var exit *ssh.ExitError
	switch {
	case errors.As(err, &exit) && exit.Signal() != "":
		return "", fail(ClassValue, "the command was ended by a signal")
	case errors.As(err, &exit):
		return "", fail(ClassValue, "the command ended with status %d", exit.ExitStatus())
	case err != nil:
		return "", in.failure(ctx, err)
	}
	return out.String(), failure{}
}

// remoteLimit ends a command that takes too long.
type remoteLimit struct {
	asked      atomic.Bool // to end
	term, kill *time.Timer
}

// endRemote has a command that runs for nine tenths of its time ended, by TERM and then by
// KILL. A server lets commands run on whose connection has gone: one that hangs would
// stay there, one more with each probe.
func endRemote(ctx context.Context, signal func(ssh.Signal) error) *remoteLimit {
	l := &remoteLimit{}
	if deadline, limited := ctx.Deadline(); limited {
		left := time.Until(deadline)
		l.term = time.AfterFunc(left/10*9, func() { l.asked.Store(true); _ = signal(ssh.SIGTERM) })
		l.kill = time.AfterFunc(left/20*19, func() { _ = signal(ssh.SIGKILL) })
	}
	return l
}

// stop is for when the command is over. It is true where it had been asked to end.
func (l *remoteLimit) stop() bool {
	if l.term != nil {
		l.term.Stop()
		l.kill.Stop()
	}
	return l.asked.Load()
}

// measured is a connection of which only so much is read. SSH has messages that mean
// nothing, of which a server may send any number.
type measured struct {
	net.Conn
	left int
	over atomic.Bool
}

func (m *measured) Read(b []byte) (int, error) {
	if m.left <= 0 {
		m.over.Store(true)
		return 0, errOversize
	}
	n, err := m.Conn.Read(b[:min(len(b), m.left)])
	m.left -= n
	return n, err
}

// failure is that of an error of the SSH library.
func (m *measured) failure(ctx context.Context, err error) failure {
	if m.over.Load() {
		return fail(ClassOversize, "the server sent more than %d KiB", maxSSH>>10)
	}
	return sshFailure(ctx, err)
}

// hostAlgorithms are those of the keys that are known of a host. A server that has
// others as well would show one of them, which nobody could verify.
func (r *luaRun) hostAlgorithms(authority string) ([]string, failure) {
	var known *knownhosts.KeyError
	err := r.hostKeys(authority, &net.TCPAddr{IP: net.IPv4zero, Port: 1}, noKey{})
	if !errors.As(err, &known) || len(known.Want) == 0 {
		return nil, fail(ClassTLS, "the host's key is not in known_hosts")
	}
	var out []string
	for _, k := range known.Want {
		switch t := k.Key.Type(); t {
		case ssh.KeyAlgoRSA:
			out = append(out, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			out = append(out, t)
		}
	}
	return out, failure{}
}

// noKey is a key that no host has.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return nil }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }

// sshFailure is an error of the SSH library. Their texts quote the server, and
// none is passed on.
func sshFailure(ctx context.Context, err error) failure {
	var (
		key     *knownhosts.KeyError
		revoked *knownhosts.RevokedError
		none    *ssh.AlgorithmNegotiationError
	)
	switch {
	case errors.As(err, &key):
		return fail(ClassTLS, "the host shows another key than known_hosts has")
	case errors.As(err, &revoked):
		return fail(ClassTLS, "the host's key is revoked in known_hosts")
	case errors.As(err, &none):
		return fail(ClassTLS, "the host has no key of the kind that known_hosts has, or no common algorithm")
	case strings.Contains(err.Error(), "unable to authenticate"):
		return fail(ClassAuth, "the login was refused")
	}
	if f := classify(ctx, err, "in the SSH session"); f.class != ClassError && f.class != ClassTLS {
		return f
	}
	if ctx.Err() != nil {
		return classify(ctx, ctx.Err(), "in the SSH session")
	}
	return fail(ClassProtocol, "the SSH session failed")
}

// bounded keeps the first bytes of what is written to it. Beyond, it calls full
// once and takes no more.
type bounded struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	limit int
	full  func()
	ended bool
}

func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf.Len()+len(p) > b.limit {
		if !b.ended {
			b.ended = true
			b.full()
		}
		return 0, errOversize
	}
	return b.buf.Write(p)
}

func (b *bounded) over() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

func (b *bounded) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
