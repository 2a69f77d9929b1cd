package mouth

import (
	"encoding/binary"
	"iter"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
)

// Mouth answers queries of CoreDNS from the snapshots of one engine. Its zero
// value is ready.
type Mouth struct{ drafts sync.Pool }

// Draft is an answer that has been decided and not been sent: whoever holds it
// looks at it, sends it or not, and then calls Done. It is made of memory that
// the next query is answered with.
type Draft struct {
	*desk
	mouth *Mouth
}

// desk is where answers are decided, one after the other: memory, and a stack.
//
// CoreDNS answers each query on a goroutine that has just begun, with a stack of
// some 4 KiB, half of which its own plugins fill. To decide an answer takes a few
// KiB more, and a stack that grows is copied, frame by frame, for each query anew: it
// took a third of all the time. So answers are decided on a stack that stays, by a
// coroutine, to which the switch is some ten times as cheap.
type desk struct {
	scratch *resolve.Scratch
	snap    *resolve.Snapshot
	q       dnswire.Query
	packet  []byte // the query
	out     []byte // the answer; empty when silence is due

	decide func() (struct{}, bool) // goes on with decisions until the next one
}

// room is what most queries and answers fit in.
const (
	roomQuery  = 512
	roomAnswer = 2048
)

// newDraft makes the memory of a draft. Its coroutine ends when nobody holds the
// draft any more, which is why it knows the desk and not the draft.
func newDraft(m *Mouth) *Draft {
	k := &desk{
		scratch: resolve.NewScratch(rand.Uint64(), rand.Uint64()),
		packet:  make([]byte, 0, roomQuery), out: make([]byte, 0, roomAnswer),
	}
	decide, end := iter.Pull(k.decisions)
	k.decide = decide
	d := &Draft{k, m}
	runtime.AddCleanup(d, func(end func()) { end() }, end)
	return d
}

// decisions decides the answers to one query after the other.
func (k *desk) decisions(decided func(struct{}) bool) {
	for {
		k.q.Parse(k.packet)
		k.out = k.snap.Append(k.out[:0], &k.q, k.scratch)
		if !decided(struct{}{}) {
			return
		}
	}
}

// Ours is like Draft, and nil as well when no zone of ours has the answer: there is no
// snapshot yet, it is no query, or its name is elsewhere.
func (m *Mouth) Ours(s *resolve.Snapshot, w dns.ResponseWriter, r *dns.Msg) *Draft {
	if s == nil || r.Opcode != dns.OpcodeQuery {
		return nil
	}
	d := m.Draft(s, w, r)
	if d != nil && d.Zone() < 0 {
		d.Done()
		return nil
	}
	return d
}

// Draft decides the answer to r, which has come by w, from a snapshot that is not
// nil. It is nil when r has no single question, which CoreDNS lets nobody ask.
func (m *Mouth) Draft(s *resolve.Snapshot, w dns.ResponseWriter, r *dns.Msg) *Draft {
	d, ok := m.drafts.Get().(*Draft)
	if !ok {
		d = newDraft(m)
	}
	d.packet = appendQuery(d.packet[:0], r)
	if len(d.packet) == 0 {
		d.Done()
		return nil
	}
	whence(&d.q, w.RemoteAddr())
	if d.q.Transport == dnswire.TCP && pads(r) && secure(w) {
		d.q.Transport = dnswire.TLS
	}
	d.snap = s
	d.decide() // when it panics, so does this, and nobody gets the draft again
	return d
}

// secure is whether a query over TCP has come by TLS.
func secure(w dns.ResponseWriter) bool {
	for range maxWriters {
		if c, ok := w.(dns.ConnectionStater); ok {
			return c.ConnectionState() != nil
		}
		inner, known := tracking.within(w)
		if !known {
			return false
		}
		w = inner
	}
	return false
}

// pads is whether a query is padded, or asks for it: over TLS the answer is then.
func pads(r *dns.Msg) bool {
	for _, rr := range r.Extra {
		if o, ok := rr.(*dns.OPT); ok {
			for _, option := range o.Option {
				if option.Option() == dns.EDNS0PADDING {
					return true
				}
			}
		}
	}
	return false
}

// Done gives the memory of the draft back.
func (d *Draft) Done() {
	d.snap = nil // which must not outlive a change because nobody asks
	d.mouth.drafts.Put(d)
}

// Zone is the index in Table.Zones of the zone that answers, -1 for none of ours.
func (d *Draft) Zone() int { return d.scratch.Outcome.Zone }

// Snapshot is what the answer was decided from.
func (d *Draft) Snapshot() *resolve.Snapshot { return d.snap }

// RCode is the code of the answer.
func (d *Draft) RCode() dnswire.RCode { return d.scratch.Outcome.RCode }

// Type is what is asked for.
func (d *Draft) Type() dnswire.Type { return d.q.Type }

// Name is the name that is asked for, in lower-case wire form. It is good until
// Done.
func (d *Draft) Name() []byte { return d.q.Name() }

// Wild is whether the name is there by a wildcard of ours alone. Where it is an alias the
// code may be that of its target. With one of failure, as of a zone whose records have not
// come yet, it is not known what is there.
func (d *Draft) Wild() bool {
	there := d.RCode() == dnswire.NoError || d.RCode() == dnswire.NXDomain && d.Has()
	return there && d.Zone() >= 0 && d.Outcome().Named < len(d.Name())
}

// Outcome says more of the answer, good until Done.
func (d *Draft) Outcome() *resolve.Outcome { return &d.scratch.Outcome }

// Answers is how many records the answer section has.
func (d *Draft) Answers() int {
	if len(d.out) < dnswire.HeaderLen {
		return 0
	}
	return int(binary.BigEndian.Uint16(d.out[6:]))
}

// Truncated is whether there is more than the client takes.
func (d *Draft) Truncated() bool {
	return len(d.out) >= dnswire.HeaderLen && binary.BigEndian.Uint16(d.out[2:])&dnswire.FlagTC != 0
}

// Has is whether there are records, be they too many for the client.
func (d *Draft) Has() bool { return d.Answers() > 0 || d.Truncated() }

// Send sends the answer to whom r came from, and returns what a plugin returns
// then: that it has written, whatever the code of the answer is.
func (d *Draft) Send(w dns.ResponseWriter) (int, error) {
	if len(d.out) < dnswire.HeaderLen {
		return dns.RcodeSuccess, nil // silence
	}
	_, rec, ok := bottom(w)
	if !ok {
		m, err := d.message()
		if err != nil {
			return dns.RcodeServerFailure, err
		}
		return dns.RcodeSuccess, w.WriteMsg(m)
	}
	if rec != nil {
		rec.Rcode = int(d.RCode())
	}
	_, err := w.Write(d.out)
	return dns.RcodeSuccess, err
}

// message is the answer as the DNS library has it.
func (d *Draft) message() (*dns.Msg, error) {
	m := new(dns.Msg)
	if err := m.Unpack(d.out); err != nil {
		return nil, err
	}
	m.Compress = true
	return m, nil
}
