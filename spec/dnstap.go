package spec

import (
	"cmp"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/spec/document"
)

const (
	// maxSocketPath is what sun_path holds on every system, with its final zero.
	maxSocketPath = 103
	// maxTapWord bounds what is repeated in every message of dnstap.
	maxTapWord = 255

	minTapBuffer, defaultTapBuffer, maxTapBuffer = 512 << 10, 1 << 20, 64 << 20
)

var dnstapSection = section{
	title: "dns.dnstap",
	intro: "Records queries and answers for a receiver of dnstap. Exactly one of `socket` and `tcp` says where it is. No answer ever waits for it: what it does not take is dropped and counted. See [dnstap](dnstap.md).",
	example: `dns:
  dnstap: {socket: /run/dnstap/rhumb.sock, messages: [query, response], sample: 0.1}
`,
	fields: []field{
		{name: "socket", typ: "file", doc: "The unix socket that the receiver listens on, relative to the file that states it; at most 103 bytes."},
		{name: "tcp", typ: "host:port", doc: "Where the receiver listens over TCP, such as `192.0.2.60:6000` or `\"[2001:db8::60]:6000\"`. Nothing is encrypted."},
		{name: "messages", typ: "list of words", def: "[query, response]", words: []string{"query", "response"}, doc: "What is recorded: `query` is AUTH_QUERY, `response` AUTH_RESPONSE."},
		{name: "sample", typ: "number", def: "1", doc: "From 0 to 1, and not 0: the share of queries that is recorded, each with its answer."},
		{name: "identity", typ: "text", prose: "`node.name`", doc: "Which server it is from, at most 255 bytes."},
		{name: "version", typ: "text", prose: "`rhumb` and its version", doc: "What the server is, at most 255 bytes."},
		{name: "buffer", typ: "bytes", prose: "1MiB", doc: "The memory for messages that wait to be written, for each processor, from 512KiB to 64MiB; rounded up to a power of two."},
	},
}

// Dnstap is who is told of queries and answers.
type Dnstap struct {
	// Network is "unix" or "tcp", Address an absolute path or host:port.
	Network, Address   string
	Queries, Responses bool
	Sample             float64 // above 0, to 1
	Identity           string
	Version            string // empty: that of the program
	Buffer             int    // bytes for each processor
}

// dnstap is dns.dnstap, nil when it is wrong.
func (d *decoder) dnstap(o *object) *Dnstap {
	before := len(d.errs)
	t := &Dnstap{
		Queries: true, Responses: true, Sample: 1,
		Identity: d.spec.Node.Name,
		Buffer:   cmp.Or(o.bytes("buffer", minTapBuffer, maxTapBuffer), defaultTapBuffer),
	}
	socket, tcp := o.get("socket"), o.get("tcp")
	switch {
	case socket != nil && tcp != nil:
		d.fail(tcp.key, o.path.dot("tcp"), "there is one receiver, and socket at %s says where: remove one of the two", where(socket.key))
	case socket != nil:
		t.Network, t.Address = "unix", d.socketPath(socket.val(), o.path.dot("socket"))
	case tcp != nil:
		t.Network, t.Address = "tcp", d.hostPort(tcp.val(), o.path.dot("tcp"))
	case len(o.meant) == 0:
		d.fail(o.at, o.path, "the receiver is missing: state socket or tcp")
	}
	if e := o.get("messages"); e != nil {
		t.Queries, t.Responses = d.tapMessages(o, e)
	}
	if e := o.get("sample"); e != nil {
		p := o.path.dot("sample")
		if v, ok := d.number(e.val(), p, 0, 1); ok {
			if t.Sample = v; v == 0 {
				d.fail(e.val(), p, "0 records nothing: remove dns.dnstap, or state a share above 0")
			}
		}
	}
	if e := o.get("identity"); e != nil {
		t.Identity = d.tapWord(e.val(), o.path.dot("identity"))
	}
	if e := o.get("version"); e != nil {
		t.Version = d.tapWord(e.val(), o.path.dot("version"))
	}
	if len(d.errs) > before || t.Address == "" {
		return nil
	}
	return t
}

func (d *decoder) socketPath(r document.Node, p *path) string {
	s, ok := d.text(r, p)
	if !ok {
		return ""
	}
	if s == "" {
		d.fail(r, p, "a value is missing")
		return ""
	}
	abs := beside(r, s)
	if len(abs) > maxSocketPath {
		d.fail(r, p, "%s has %d bytes, too many for a socket: at most %d", abs, len(abs), maxSocketPath)
	} else if st, err := os.Stat(abs); err == nil && st.IsDir() { // what is not there yet may come
		d.fail(r, p, "%s is a directory: state the socket in it", s)
	}
	return abs
}

func (d *decoder) hostPort(r document.Node, p *path) string {
	s, ok := d.text(r, p)
	if !ok {
		return ""
	}
	host, port, cut := strings.Cut(s, ":")
	if ap, err := netip.ParseAddrPort(s); err == nil {
		host, port = ap.Addr().String(), strconv.Itoa(int(ap.Port()))
	} else if !cut || host == "" || strings.ContainsAny(s, "[]/ ") || strings.Contains(port, ":") {
		d.fail(r, p, "host:port such as 192.0.2.60:6000 or [2001:db8::60]:6000 is expected, not %q", s)
		return ""
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		d.fail(r, p, "%q is no port of %s: 1 to 65535", port, host)
	}
	return s
}

// tapMessages is the list of what is recorded.
func (d *decoder) tapMessages(o *object, e *entry) (queries, responses bool) {
	p := o.path.dot("messages")
	items := d.list(e.val(), p)
	if items != nil && len(items) == 0 {
		d.fail(e.val(), p, "the list is empty: state query, response or both, or remove dns.dnstap")
	}
	known := o.sec.field("messages").words
	before := len(d.errs)
	words := d.words(items, p)
	for i, w := range words {
		if len(d.errs) == before && !slices.Contains(known, w) {
			d.fail(items[i], p.at(i), "%q is not one of %s", w, strings.Join(known, ", "))
			break
		}
	}
	return slices.Contains(words, "query"), slices.Contains(words, "response")
}

func (d *decoder) tapWord(r document.Node, p *path) string {
	s, ok := d.text(r, p)
	switch {
	case !ok:
	case s == "":
		d.fail(r, p, "a value is missing")
	case len(s) > maxTapWord:
		d.fail(r, p, "%d bytes are too long: at most %d", len(s), maxTapWord)
	}
	return s
}
