package mouth

import (
	"context"
	"encoding/binary"
	"strings"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// Leave leaves a query to the plugin behind one of ours. Where there is none, nobody
// knows other opcodes.
func Leave(ctx context.Context, name string, next plugin.Handler, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	if next == nil && r.Opcode != dns.OpcodeQuery {
		return dns.RcodeNotImplemented, nil
	}
	return plugin.NextOrFailure(name, next, ctx, w, r)
}

// Yield lets the next plugin answer where it may have what we have not: a name, or records
// of another type, or the whole zone in many messages. It reports whether the client has been
// answered, by that or, where we have but aliases of a name that it may have, by these. Else the
// answer is ours, and not yet sent.
func (d *Draft) Yield(ctx context.Context, name string, next plugin.Handler, w dns.ResponseWriter, r *dns.Msg) (yielded bool, code int, err error) {
	if t := d.Type(); t == dnswire.TypeAXFR || t == dnswire.TypeIXFR || d.RCode() == dnswire.NXDomain && !d.Has() {
		code, err = Leave(ctx, name, next, w, r)
		return true, code, err
	}
	// Also of names that are there for the records below them, such as the zone's own,
	// which the plugin file says do not exist when its file has only SOA and NS records.
	m, code, err := Beyond(ctx, name, next, w, r, d.Wild())
	switch {
	case m != nil:
		return true, dns.RcodeSuccess, w.WriteMsg(m) // whatever its code: by another one CoreDNS would answer once more
	case code != dns.RcodeSuccess:
		return true, code, err
	case d.Dangles():
		code, err = d.SendOpen(w)
		return true, code, err
	}
	return false, dns.RcodeSuccess, nil
}

// Dangles is whether the answer is an alias of a name of our zones, or a chain that ends
// at one, and says that this is not there or has nothing of the type.
func (d *Draft) Dangles() bool {
	return d.Answers() > 0 && binary.BigEndian.Uint16(d.out[8:]) > 0
}

// Target is the name that the chain of an answer that dangles ends at; empty when there is
// none.
func (d *Draft) Target() string {
	m, err := d.message()
	if err != nil || len(m.Answer) == 0 {
		return ""
	}
	alias, ok := m.Answer[len(m.Answer)-1].(*dns.CNAME)
	if !ok {
		return ""
	}
	return alias.Target
}

// SendOpen sends of an answer that dangles the aliases alone: what is said of their target
// is not ours to say where the next plugin may know it. Whoever has asked then asks for it.
func (d *Draft) SendOpen(w dns.ResponseWriter) (int, error) {
	m, err := d.message()
	if err != nil {
		return dns.RcodeServerFailure, err
	}
	m.Rcode, m.Ns = dns.RcodeSuccess, nil
	return dns.RcodeSuccess, w.WriteMsg(m)
}

// Beyond asks the next plugin for records of a name that we have and a type that
// we do not: a zone file beside us may state its SOA, NS or TXT records. Without a
// message, and with RcodeSuccess, nobody has any. That the next plugin does not know the
// name says nothing: passed on, its NXDOMAIN would take our records from resolvers with
// it (RFC 8020). That it failed says that there may be some, and is passed on as its
// message, or else its code and error: a denial would be remembered, and mail for a name
// without MX goes to its address. A wildcard of ours is for names that nobody has
// (RFC 4592): with wild, that the next plugin has the name without such records, or has
// delegated it, is passed on as well, and so is an alias of a name that is not there, the
// code of which is of the target.
func Beyond(ctx context.Context, name string, next plugin.Handler, w dns.ResponseWriter, r *dns.Msg, wild bool) (m *dns.Msg, code int, err error) {
	if next == nil {
		return nil, dns.RcodeSuccess, nil
	}
	over := &overheard{ResponseWriter: w}
	code, err = plugin.NextOrFailure(name, next, ctx, over, r)
	switch m = over.msg; {
	case m == nil && code == dns.RcodeServerFailure && !unanswered(err):
		return nil, code, err
	case m == nil:
		return nil, dns.RcodeSuccess, nil
	case m.Rcode == dns.RcodeServerFailure, m.Rcode == dns.RcodeSuccess && (len(m.Answer) > 0 || m.Truncated || wild):
		return m, dns.RcodeSuccess, nil // one that is cut short has records, which the client asks for by TCP then
	case wild && m.Rcode == dns.RcodeNameError && (len(m.Answer) > 0 || m.Truncated):
		return m, dns.RcodeSuccess, nil
	}
	return nil, dns.RcodeSuccess, nil
}

// unanswered is whether an error is of plugin.NextOrFailure, for want of a plugin that
// answers for the zone: nobody has failed.
func unanswered(err error) bool {
	return err != nil && strings.HasSuffix(err.Error(), "no next plugin found")
}

// overheard is a writer that keeps what is written.
type overheard struct {
	dns.ResponseWriter
	msg *dns.Msg
}

// WriteMsg implements dns.ResponseWriter.
func (o *overheard) WriteMsg(m *dns.Msg) error {
	o.msg = m
	return nil
}

// Write implements dns.ResponseWriter.
func (o *overheard) Write(b []byte) (int, error) {
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		return 0, err
	}
	o.msg = m
	return len(b), nil
}
