package resolve

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// maxDebug is how long the records of a debug answer may be together: those of a service
// with more endpoints than that are the first of them.
const maxDebug = 60_000

// debug answers with a TXT record for each endpoint of a service, in the words that
// CoreDNS-GSLB has for it. It is for people, and the one answer that allocates; of what
// it says the times of the last checks alone are not the snapshot's.
func (s *Snapshot) debug(m *message, at *question, p *table.Plan, c *Scratch) {
	type name struct {
		addr netip.Addr
		host dnswire.Name
	}
	told := map[name]bool{}
	line := func(e *spec.Endpoint, up, enabled bool, checked time.Time) bool {
		is := name{e.Address, e.Host}
		if told[is] {
			return true // an address of several pools
		}
		told[is] = true
		status, last := "unhealthy", ""
		if up {
			status = "healthy"
		}
		if !checked.IsZero() {
			last = checked.UTC().Format(time.RFC3339)
		}
		m.text(at, p.Policy.TTL, fmt.Sprintf("Backend: %s | Priority: %d | Status: %s | Enabled: %t | LastHealthcheck: %s", e, e.Priority, status, enabled, last))
		return len(m.buf)-m.start < maxDebug
	}
	for f := range p.Members {
		ms := &p.Members[f]
		for i, t := range ms.Targets {
			if p.Reserved(ms, i) {
				continue
			}
			up := s.state(c, p, ms, i) == health.Up
			if !line(ms.Endpoints[i], up, true, s.Health.LastCheck(int(t))) {
				return
			}
		}
	}
	for _, pool := range p.Policy.Pools {
		for e := range pool.Idle {
			if !line(e, false, false, time.Time{}) {
				return
			}
		}
	}
	if c.trace != nil {
		c.trace.note("debug_txt", "the service tells of its endpoints, and chooses none")
	}
}

// text appends a TXT record, in strings of at most 255 octets (RFC 1035 section 3.3).
func (m *message) text(at *question, ttl uint32, s string) {
	const most = 255
	m.head(at.Offset, dnswire.TypeTXT, ttl, len(s)+max(1, (len(s)+most-1)/most))
	for {
		n := min(len(s), most)
		m.buf = append(append(m.buf, byte(n)), s[:n]...)
		if s = s[n:]; s == "" {
			break
		}
	}
	m.answer++
}
