package spec

import (
	"math/bits"
	"regexp"
	"strconv"
)

// UDP is how the sockets of UDP are laid out.
type UDP struct {
	Workers       int // sockets of one address, each with a worker; 0: one for each core
	Pin           bool
	ReceiveBuffer int // bytes, of each socket; 0: not stated
}

const (
	minBuffer = 64 << 10
	maxBuffer = 512 << 20
)

var udpSection = section{
	title: "dns.udp",
	intro: "How the sockets of UDP are laid out. A reload that changes it replaces the sockets, and no query is lost; see [Transports](transports.md#udp).",
	example: `dns:
  udp: {workers: 4, pin: true, receive_buffer: 8MiB}
`,
	fields: []field{
		{name: "workers", typ: "integer", prose: "one for each core", lo: 1, hi: 1024, doc: "Sockets of one address, each with a worker of its own. More than 1 needs Linux."},
		{name: "pin", typ: "true or false", def: "false", doc: "Whether the first worker of every address keeps to the first core that the process may use, the second to the second, and so on, around. Needs Linux."},
		{name: "receive_buffer", typ: "bytes", prose: "4MiB, or what the system allows", doc: "What each socket holds while its worker is busy, from 64KiB to 512MiB: `512KiB`, `4MiB`. Beyond `net.core.rmem_max` it takes CAP_NET_ADMIN; a warning is logged when the system gives less."},
	},
}

func (d *decoder) udp(o *object) UDP {
	return UDP{Workers: int(o.integer("workers")), Pin: o.boolean("pin"), ReceiveBuffer: o.bytes("receive_buffer", minBuffer, maxBuffer)}
}

var byteSize = regexp.MustCompile(`^([0-9]+)(KiB|MiB|GiB)?$`)

// bytes is a number of bytes between lo and hi, 0 when it is not stated.
func (o *object) bytes(name string, lo, hi uint64) int {
	e := o.get(name)
	if e == nil {
		return 0
	}
	p := o.path.dot(name)
	s, ok := o.d.plain(e.val(), p, "a number of bytes")
	if !ok {
		return 0
	}
	m := byteSize.FindStringSubmatch(s)
	if m == nil {
		o.d.fail(e.val(), p, "a number of bytes such as 512KiB or 4MiB is expected, not %q", s)
		return 0
	}
	unit := map[string]uint64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[m[2]]
	n, err := strconv.ParseUint(m[1], 10, 64)
	over, size := bits.Mul64(n, unit)
	if err != nil || over > 0 || size < lo || size > hi {
		o.d.fail(e.val(), p, "%s is out of range: %s to %s", s, inUnits(lo), inUnits(hi))
		return 0
	}
	return int(size)
}

// inUnits is n, a whole number of KiB at least, as it would be written.
func inUnits(n uint64) string {
	switch {
	case n%(1<<30) == 0:
		return strconv.FormatUint(n>>30, 10) + "GiB"
	case n%(1<<20) == 0:
		return strconv.FormatUint(n>>20, 10) + "MiB"
	}
	return strconv.FormatUint(n>>10, 10) + "KiB"
}
