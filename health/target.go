package health

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/rhumb-dns/rhumb/spec"
)

// Target is one endpoint to be judged.
type Target struct {
	Addr   netip.Addr
	Host   string  // when Addr is not valid: a name without its final dot
	Checks []Check // all must pass but those that only degrade; empty: nobody judges it
	// Priority is the endpoint's, if one of the checks is scripted and is told of it.
	Priority int
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

// request says what a probe asks of an address; with equal addresses, equal
// requests are the same probe. Only its type and port can be read: headers may
// hold secrets, and the request is the name of the verdict on disk.
func (c Check) request() string {
	if c.Type == spec.CheckExternal {
		return "external " + c.Name
	}
	h := sha256.New()
	fmt.Fprintf(h, "host=%q", c.Host)
	// Maps are written by key, so that equal parameters are equal bytes. What a
	// configuration can state has a JSON form.
	for _, asked := range []any{c.TLS, c.Ask} {
		raw, _ := json.Marshal(asked)
		h.Write(append(raw, 0))
	}
	return fmt.Sprintf("%s:%d %x", c.Type, c.Port, h.Sum(nil)[:16])
}

// cadence says how often a probe is made and judged; probes that differ in it
// are apart although they ask the same.
func (c Check) cadence() string {
	if c.Type == spec.CheckExternal {
		return c.Variant
	}
	return fmt.Sprintf("%v %v %v %d %d %v", c.Interval, c.Timeout, c.Confirm, c.Rise, c.Fall, c.DegradedAbove)
}

// role says what a probe is to its endpoint, whatever its parameters: a check
// whose path or interval is changed takes over the verdict it had.
func (c Check) role(target string) string {
	return c.Name + " " + target + " " + c.Host
}
