//go:build unix

package interop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// peer is an authoritative server over the zones of a batch.
type peer struct {
	name string
	port string
	log  func() string
	stop func() // nil for a node of ours
}

// batch is zones on disk for several servers.
type batch struct {
	dir   string
	zones []zoneOnDisk
}

type zoneOnDisk struct{ origin, file string }

func newBatch(t testing.TB, zones []*authority) *batch {
	t.Helper()
	b := &batch{dir: t.TempDir()}
	for _, z := range zones {
		b.add(t, z.origin, z.text())
	}
	return b
}

func (b *batch) add(t testing.TB, origin, text string) {
	t.Helper()
	file := filepath.Join(b.dir, strings.ReplaceAll(origin, "*", "_")+"zone")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.zones = append(b.zones, zoneOnDisk{origin, file})
}

// zoneKeys is what a zone of a batch is in our configuration.
const zoneKeys = "  %q: {file: %q}\n"

// each writes a line per zone.
func (b *batch) each(format string) string {
	var s strings.Builder
	for _, z := range b.zones {
		origin := strings.TrimSuffix(z.origin, ".")
		if origin == "" {
			origin = "."
		}
		fmt.Fprintf(&s, format, origin, z.file)
	}
	return s.String()
}

func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// start runs a server on a port of its own and waits until it has loaded every
// zone of the batch.
func (b *batch) start(t testing.TB, name, binary string, args func(dir, port string) []string) *peer {
	t.Helper()
	path := program(t, binary)
	dir := filepath.Join(b.dir, binary)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p := &peer{name: name, port: freePort(t)}
	var logs logBuffer
	p.log = logs.String
	cmd := exec.Command(path, args(dir, p.port)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &logs, &logs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(p.stop)
	p.ready(t, b)
	return p
}

// ready waits until the last zone is there, and fails where one is not then.
func (p *peer) ready(t testing.TB, b *batch) {
	t.Helper()
	a := newAsker(t, p)
	defer a.close()
	var bad []string
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-tick.C {
		bad = nil
		for _, z := range b.zones {
			m, err := a.ask(question{name: z.origin, qtype: dns.TypeSOA})
			if err != nil || m.Rcode != dns.RcodeSuccess || len(m.Answer) == 0 {
				bad = append(bad, z.origin)
				if err != nil {
					break // it does not listen yet
				}
			}
		}
		if len(bad) == 0 {
			return
		}
	}
	t.Fatalf("%s has not loaded %d zones, such as %s:\n%s", p.name, len(bad), bad[0], p.log())
}

func (b *batch) nsd(t testing.TB) *peer {
	return b.start(t, "NSD", "nsd", func(dir, port string) []string {
		return []string{"-d", "-c", write(t, filepath.Join(dir, "nsd.conf"), fmt.Sprintf(`server:
  ip-address: 127.0.0.1@%s
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: %q
  pidfile: "%[3]s/pid"
  xfrdfile: "%[3]s/xfrd"
  zonelistfile: "%[3]s/zones"
  database: ""
  rrl-ratelimit: 0
  ipv4-edns-size: 4096
  minimal-responses: yes
remote-control:
  control-enable: no
`, port, b.dir, dir)+b.each("zone:\n  name: %s\n  zonefile: %q\n"))}
	})
}

func (b *batch) knot(t testing.TB) *peer {
	return b.start(t, "Knot DNS", "knotd", func(dir, port string) []string {
		return []string{"-c", write(t, filepath.Join(dir, "knot.conf"), fmt.Sprintf(`server:
    rundir: %q
    listen: 127.0.0.1@%s
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    udp-max-payload: 4096
log:
  - target: stderr
    any: warning
database:
    storage: %q
template:
  - id: default
    zonefile-sync: -1
    journal-content: none
zone:
`, dir, port, dir)+b.each("  - domain: %s\n    file: %q\n"))}
	})
}

func (b *batch) bind(t testing.TB) *peer {
	return b.start(t, "BIND", "named", func(dir, port string) []string {
		return []string{"-g", "-n", "1", "-c", write(t, filepath.Join(dir, "named.conf"), fmt.Sprintf(`options {
  directory %q;
  listen-on port %s { 127.0.0.1; };
  listen-on-v6 { none; };
  pid-file none;
  session-keyfile none;
  managed-keys-directory %q;
  recursion no;
  notify no;
  dnssec-validation no;
  empty-zones-enable no;
  minimal-responses yes;
  zero-no-soa-ttl no;
  max-udp-size 4096;
  edns-udp-size 4096;
  check-integrity no;
  check-names primary ignore;
  check-mx ignore;
  check-mx-cname ignore;
  check-srv-cname ignore;
  check-spf ignore;
};
controls { };
`, dir, port, dir)+b.each("zone \"%s\" { type primary; file %q; };\n"))}
	})
}

// rhumb is a node of ours, with the same zones.
func (b *batch) rhumb(t testing.TB) *peer {
	n := serve(t, config(t, "zones:\n"+b.each(zoneKeys)))
	p := &peer{name: "Rhumb", port: n.port, log: n.logs}
	p.ready(t, b)
	return p
}

// asker asks one server, one question at a time: over UDP, and over TCP what does
// not fit.
type asker struct {
	udp, tcp net.Conn
	port     string
	id       uint16
	buf      [1 << 16]byte
}

func newAsker(t testing.TB, p *peer) *asker {
	t.Helper()
	conn, err := net.Dial("udp", "127.0.0.1:"+p.port)
	if err != nil {
		t.Fatal(err)
	}
	return &asker{udp: conn, port: p.port}
}

func (a *asker) close() {
	_ = a.udp.Close()
	if a.tcp != nil {
		_ = a.tcp.Close()
	}
}

// ask asks thrice before it gives up.
func (a *asker) ask(q question) (*dns.Msg, error) {
	m := &dns.Msg{Question: []dns.Question{{Name: q.name, Qtype: q.qtype, Qclass: dns.ClassINET}}}
	m.SetEdns0(4096, q.do)
	var err error
	for range 3 {
		a.id++
		m.Id = a.id
		wire, err2 := m.Pack()
		if err2 != nil {
			return nil, err2
		}
		var r *dns.Msg
		if r, err = a.exchange(wire); err == nil && r.Truncated {
			r, err = a.stream(wire)
		}
		if err == nil {
			return r, nil
		}
	}
	return nil, err
}

// patience is how long an answer may take. A server that has just started and
// does not listen yet refuses at once.
const patience = 2 * time.Second

// exchange asks over UDP.
func (a *asker) exchange(wire []byte) (*dns.Msg, error) {
	_ = a.udp.SetDeadline(time.Now().Add(patience))
	if _, err := a.udp.Write(wire); err != nil {
		return nil, err
	}
	for {
		n, err := a.udp.Read(a.buf[:])
		if err != nil {
			return nil, err
		}
		if r, err := unpack(a.buf[:n]); err != nil || r.Id == a.id {
			return r, err
		}
	}
}

// stream asks over TCP, on a connection that is kept while it works.
func (a *asker) stream(wire []byte) (r *dns.Msg, err error) {
	if a.tcp == nil {
		if a.tcp, err = net.Dial("tcp", "127.0.0.1:"+a.port); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			_ = a.tcp.Close()
			a.tcp = nil
		}
	}()
	_ = a.tcp.SetDeadline(time.Now().Add(patience))
	if _, err = a.tcp.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)); err != nil {
		return nil, err
	}
	if _, err = io.ReadFull(a.tcp, a.buf[:2]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(a.buf[:2])
	if _, err = io.ReadFull(a.tcp, a.buf[:n]); err != nil {
		return nil, err
	}
	return unpack(a.buf[:n])
}

func unpack(wire []byte) (*dns.Msg, error) {
	r := new(dns.Msg)
	if err := r.Unpack(wire); err != nil {
		return nil, fmt.Errorf("the answer cannot be read: %w", err)
	}
	return r, nil
}

// askAll asks a server all questions, over a few sockets at a time.
func askAll(t testing.TB, p *peer, qs []question) []*dns.Msg {
	t.Helper()
	answers := make([]*dns.Msg, len(qs))
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for w := range errs {
		a := newAsker(t, p)
		wg.Go(func() {
			defer a.close()
			for i := w; i < len(qs); i += len(errs) {
				var err error
				if answers[i], err = a.ask(qs[i]); err != nil {
					errs[w] = fmt.Errorf("%s: %s: %w", p.name, qs[i], err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("%v\n%s", err, p.log())
	}
	return answers
}

// logBuffer is what a program printed.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
