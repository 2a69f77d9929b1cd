package health

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/spec"
)

// Target is one endpoint to be judged.
type Target struct {
	Addr   netip.Addr
	Host   string  // when Addr is not valid: a name without its final dot
	Checks []Check // all must pass; empty: nobody judges it
}

// String is the target's address or host name.
func (t *Target) String() string {
	if t.Addr.IsValid() {
		return t.Addr.String()
	}
	return t.Host
}

// Check is a check with the host it is made for.
type Check struct {
	*spec.Check
	Host string // the Host header and SNI; the service's host unless the check states one
}

// request says what a probe asks for; two equal requests are the same probe.
func (t *Target) request(c Check) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s:%d host=%s", c.Type, t, c.Port, c.Host)
	switch c.Type {
	case spec.CheckHTTP, spec.CheckHTTPS:
		fmt.Fprintf(&b, " %s %s status=%v body=%q redirects=%t", c.Method, c.Path, c.Status, c.Body, c.FollowRedirects)
		for _, k := range slices.Sorted(maps.Keys(c.Headers)) {
			fmt.Fprintf(&b, " %q=%q", k, c.Headers[k])
		}
	}
	switch c.Type {
	case spec.CheckHTTPS, spec.CheckTLS:
		fmt.Fprintf(&b, " verify=%t ca=%s", c.Verify, c.CA)
	}
	return b.String()
}

// cadence says how often a probe is made and judged; probes that differ in it
// are apart although they ask the same.
func cadence(c Check) string {
	return fmt.Sprintf("%v %v %d %d", c.Interval, c.Timeout, c.Rise, c.Fall)
}

// role says what a probe is to its endpoint, whatever its parameters: a check
// whose path or interval is changed takes over the verdict it had.
func (t *Target) role(c Check) string {
	return c.Name + " " + t.String() + " host=" + c.Host
}
