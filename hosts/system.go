package hosts

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// The files of the system's resolver.
const (
	resolvConf = "/etc/resolv.conf"
	hostsFile  = "/etc/hosts"
)

// lookGap is how often they are looked at for changes. A look is a stat of each.
const lookGap = 5 * time.Second

// maxFile bounds what is read of a file; lists of blocked names in /etc/hosts
// are a few megabytes.
const maxFile = 16 << 20

// The bounds of resolv.conf(5): glibc asks at most three servers, and takes no
// higher numbers than these.
const (
	maxServers  = 3
	maxTimeout  = 30 * time.Second
	maxAttempts = 5
)

// addresses is what a file says of a name, packed.
type addresses struct{ v4, v6 []byte }

// localTTL is the TTL of addresses from a file and of localhost.
const localTTL = 60 // seconds

// system is the resolver that this machine is configured with. It belongs to
// whoever runs the Resolver.
type system struct {
	conf, hosts watched
	current     *upstream
}

// watched is a file as it was last looked at.
type watched struct {
	path string
	seen fs.FileInfo // nil: it could not be read
	read bool        // at least once
}

// changed is whether the file is not as it was at the last look.
func (w *watched) changed() bool {
	now, err := os.Stat(w.path)
	same := w.read && (err == nil) == (w.seen != nil) &&
		(err != nil || os.SameFile(now, w.seen) && now.ModTime().Equal(w.seen.ModTime()) && now.Size() == w.seen.Size())
	w.read, w.seen = true, nil
	if err == nil {
		w.seen = now
	}
	return !same
}

// look reads the files that have changed and makes the servers that they state,
// nil when none has. The errors are of files that could be read before and
// cannot now: what they said stays.
func (s *system) look() (u *upstream, errs []error) {
	conf, hosts := s.conf.changed(), s.hosts.changed()
	if !conf && !hosts {
		return nil, nil
	}
	old := s.current
	next := &upstream{}
	if old != nil {
		next.servers, next.timeout, next.attempts, next.files, next.broken = old.servers, old.timeout, old.attempts, old.files, old.broken
	}
	if conf {
		err := withFile(s.conf.path, next.configure)
		switch {
		case err == nil:
			next.broken = ""
		case len(next.servers) > 0:
			errs = append(errs, err)
		default:
			next.broken = fmt.Sprintf("no servers to ask: %v; state dns.resolvers", err)
		}
	}
	if hosts {
		err := withFile(s.hosts.path, func(r io.Reader) (err error) {
			next.files, err = readHosts(r)
			return err
		})
		// A machine without such a file has no names of its own.
		if err != nil && len(next.files) > 0 {
			errs = append(errs, err)
		}
	}
	next.state = make([]standing, len(next.servers))
	s.current = next
	return next, errs
}

func withFile(path string, read func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := read(io.LimitReader(f, maxFile)); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// configure reads resolv.conf(5). Search domains and ndots are not for absolute
// names.
func (u *upstream) configure(r io.Reader) error {
	c, err := dns.ClientConfigFromReader(r)
	if err != nil {
		return err
	}
	var servers []netip.AddrPort
	for _, text := range c.Servers {
		// What is no address is passed over, as the C library does.
		if a, err := netip.ParseAddr(text); err == nil && len(servers) < maxServers {
			servers = append(servers, netip.AddrPortFrom(a, 53))
		}
	}
	if len(servers) == 0 {
		// resolv.conf(5): "the default is to use the name server on the local machine".
		servers = append(servers, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 53))
	}
	u.servers = servers
	u.timeout = min(time.Duration(min(c.Timeout, 60))*time.Second, maxTimeout)
	u.attempts = min(c.Attempts, maxAttempts)
	return nil
}

// readHosts reads hosts(5).
func readHosts(r io.Reader) (map[dnswire.Name]addresses, error) {
	all := map[dnswire.Name]addresses{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) < 2 {
			continue
		}
		a, err := netip.ParseAddr(fields[0])
		if err != nil || a.Zone() != "" {
			continue // an address with a zone means nothing to anybody else
		}
		a = a.Unmap()
		for _, text := range fields[1:] {
			name, err := dnswire.ParseName(text)
			if err != nil {
				continue
			}
			of := all[name]
			if a.Is4() {
				of.v4 = append(of.v4, a.AsSlice()...)
			} else {
				of.v6 = append(of.v6, a.AsSlice()...)
			}
			all[name] = of
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	for name, of := range all {
		all[name] = addresses{arrange(of.v4, 4), arrange(of.v6, 16)}
	}
	return all, nil
}

// localhost is what names within localhost. are (RFC 6761 section 6.3).
const localhost dnswire.Name = "\x09localhost\x00"

var loopback = addresses{v4: []byte{127, 0, 0, 1}, v6: []byte{15: 1}}

// knows is whether local has something to say of a name because of a file.
func (u *upstream) knows(name dnswire.Name) bool {
	if u == nil {
		return false
	}
	_, ok := u.files[name]
	return ok
}

// local reads what this machine says of a name itself, without asking anybody.
// A name that it knows has the families that it states, and no others.
func (u *upstream) local(name dnswire.Name, v6 bool) (r reading, ok bool) {
	of, ok := u.files[name]
	switch {
	case ok:
	case name.Within(localhost):
		of = loopback
	default:
		return reading{}, false
	}
	packed := of.v4
	if v6 {
		packed = of.v6
	}
	if len(packed) == 0 {
		return reading{verdict: nodata, result: resultNoData, reason: "none of this family in the system's hosts file"}, true
	}
	return reading{verdict: found, packed: packed, ttl: localTTL, result: resultOK}, true
}
