package spec

import (
	"crypto/tls"
	"encoding/pem"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/spec/document"
)

var tcpSection = section{
	title: "dns.tcp",
	intro: "What connections may take, those of DNS over TLS among them. Beyond `max_connections` the one that has been waiting for its client for longest makes room.",
	example: `dns:
  tcp: {idle_timeout: 10s, max_connections: 1000, max_per_client: 100}
`,
	fields: []field{
		{name: "idle_timeout", typ: "duration", def: "10s", lo: int64(time.Second), hi: int64(time.Hour), doc: "How long a connection may take for a whole query, for the TLS handshake, and for taking in the answers. A client that asks is told (RFC 7828). It goes down to 1s while fewer than a quarter of `max_connections` are free."},
		{name: "max_connections", typ: "integer", def: "1000", lo: 1, hi: 1_000_000, doc: "Connections in all. The process must be allowed as many files."},
		{name: "max_per_client", typ: "integer", def: "100", lo: 1, hi: 1_000_000, doc: "Connections of one IPv4 address or one IPv6 /64. Further ones are refused."},
		{name: "connections_per_second", typ: "integer", def: "1000", lo: 0, hi: maxPerSecond, doc: "New connections of one IPv4 address or one IPv6 /64. Further ones are closed at once. 0 is no limit."},
		{name: "queries_per_second", typ: "integer", def: "0", lo: 0, hi: maxPerSecond, doc: "Queries of one IPv4 address or one IPv6 /64, over all of its connections. Beyond it no more is read until the next may come, so that TCP slows the client down; nothing is lost. 0 is no limit."},
	},
}

var tlsSection = section{
	title: "dns.tls",
	intro: "DNS over TLS (RFC 7858), versions 1.2 and 1.3. Paths are relative to the file that states them. A key that everybody can read is refused. When the files change, new connections get the new certificate; see [Transports](transports.md).",
	fields: []field{
		{name: "listen", typ: "list of address:port", def: "[127.0.0.1:8853]", doc: "As `dns.listen`. The port of the world is 853."},
		{name: "cert", typ: "PEM file", need: true, doc: "The certificate, then those that signed it."},
		{name: "key", typ: "PEM file", need: true, doc: "Its private key."},
	},
}

var proxySection = section{
	title: "dns.proxy_protocol",
	intro: "Proxies that say in a header of the PROXY protocol, version 2, whom they speak for: dnsdist with `useProxyProtocol`, HAProxy with `send-proxy-v2`.",
	example: `dns:
  proxy_protocol: {trusted: [192.0.2.53/32, "2001:db8::53/128"]}
`,
	fields: []field{
		{name: "trusted", typ: "list of networks", need: true, doc: "Where the proxies are. From there every datagram and connection must begin with a header, or it is dropped; whoever sends from there can state any client. From elsewhere no header is taken."},
	},
}

// transports decodes how queries come in.
func (d *decoder) transports(dns *DNS, o *object) {
	dns.Listen = d.listen(o, "127.0.0.1:5300")
	dns.UDP = d.udp(d.below(o, "udp", &udpSection))
	tcp := d.below(o, "tcp", &tcpSection)
	dns.TCP = TCP{
		IdleTimeout:    tcp.duration("idle_timeout"),
		MaxConnections: int(tcp.integer("max_connections")), MaxPerClient: int(tcp.integer("max_per_client")),
		ConnectionsPerSecond: int(tcp.integer("connections_per_second")), QueriesPerSecond: int(tcp.integer("queries_per_second")),
	}
	if e := tcp.get("max_per_client"); e != nil && dns.TCP.MaxPerClient > dns.TCP.MaxConnections {
		d.doubt(e.val(), tcp.path.dot("max_per_client"), "more than max_connections, %d: one client can take them all", dns.TCP.MaxConnections)
	}
	if o.get("tls") != nil {
		dns.TLS = d.dnsTLS(d.below(o, "tls", &tlsSection), o, dns.Listen)
	}
	if o.get("proxy_protocol") != nil {
		dns.Proxies = d.proxies(d.below(o, "proxy_protocol", &proxySection))
	}
}

// below opens the map that the key called name of o holds, which may not be
// stated.
func (d *decoder) below(o *object, name string, sec *section) *object {
	p := o.path.dot(name)
	if e := o.get(name); e != nil {
		return d.object(sec, p, e.key, e.vals...)
	}
	return &object{d: d, sec: sec, path: p}
}

// listen is the addresses of the key "listen", or the default.
func (d *decoder) listen(o *object, def string) []netip.AddrPort {
	e := o.get("listen")
	if e == nil {
		return []netip.AddrPort{netip.MustParseAddrPort(def)}
	}
	var out []netip.AddrPort
	p := o.path.dot("listen")
	items := d.list(e.val(), p)
	if items != nil && len(items) == 0 {
		d.fail(e.val(), p, "the list is empty: state at least one address:port")
	}
	first := map[netip.AddrPort]document.Node{}
	for i, it := range items {
		ap, ok := d.addrPort(it, p.at(i))
		if !ok {
			continue
		}
		if at, twice := first[ap]; twice && ap.Port() != 0 {
			d.fail(it, p.at(i), "%s is stated twice; first at %s", ap, where(at))
			continue
		}
		first[ap] = it
		out = append(out, ap)
	}
	return out
}

// dnsTLS is dns.tls, of which all is there or there are errors.
func (d *decoder) dnsTLS(o, dns *object, plain []netip.AddrPort) *DNSTLS {
	before := len(d.errs)
	t := &DNSTLS{Listen: d.listen(o, "127.0.0.1:8853")}
	for _, ap := range t.Listen {
		if ap.Port() != 0 && slices.Contains(plain, ap) {
			at := dns.get("tls").key
			if e := o.get("listen"); e != nil {
				at = e.val()
			}
			d.fail(at, o.path.dot("listen"), "%s is in dns.listen already: TLS needs a port of its own, 853 for the world", ap)
		}
	}
	t.Cert, t.Key = d.file(o, "cert"), d.file(o, "key")
	if len(d.errs) > before || t.Cert == "" || t.Key == "" {
		return nil
	}
	d.keyPair(o, t.Cert, t.Key)
	return t
}

// proxies is dns.proxy_protocol.
func (d *decoder) proxies(o *object) []netip.Prefix {
	e := o.get("trusted")
	if e == nil {
		return nil
	}
	p := o.path.dot("trusted")
	before := len(d.errs)
	out := d.networks(e.val(), p)
	if len(out) == 0 && len(d.errs) == before {
		d.fail(e.val(), p, "the list is empty: state the networks of the proxies, or remove dns.proxy_protocol")
	}
	for _, n := range out {
		if n.Bits() == 0 {
			d.everybody = e.val()
		}
	}
	return out
}

// file is the absolute path of the PEM file that a key names, "" when it is not
// stated.
func (d *decoder) file(o *object, name string) string {
	e := o.get(name)
	if e == nil {
		return ""
	}
	return d.pemFile(e.val(), o.path.dot(name))
}

// keyPair checks that a certificate and the private key of o's key "key" belong
// together, and that the key is private.
func (d *decoder) keyPair(o *object, cert, key string) {
	at, p := o.get("key").val(), o.path.dot("key")
	if st, err := os.Stat(key); err == nil && runtime.GOOS != "windows" && st.Mode()&0o004 != 0 {
		d.fail(at, p, "everybody can read the private key: chmod o-r %s", key)
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		d.fail(at, p, "%s", strings.TrimPrefix(err.Error(), "tls: "))
	}
}

// maxPEM is more than all the world's certificate authorities take.
const maxPEM = 16 << 20

// pemFile is the absolute path of a PEM file that can be read.
func (d *decoder) pemFile(r document.Node, p *path) string {
	name, ok := d.text(r, p)
	if !ok {
		return ""
	}
	abs := beside(r, name)
	d.looked = append(d.looked, abs)
	st, err := os.Stat(abs)
	var b []byte
	switch {
	case err != nil:
	case !st.Mode().IsRegular() || st.Size() > maxPEM:
		d.fail(r, p, "%s is not a file of PEM blocks", name)
		return ""
	default:
		b, err = os.ReadFile(abs)
	}
	if err != nil {
		d.fail(r, p, "%s: %s", name, reason(err))
		return ""
	}
	if block, _ := pem.Decode(b); block == nil {
		d.fail(r, p, "%s holds no PEM block (-----BEGIN ...)", name)
		return ""
	}
	return abs
}
