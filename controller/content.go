package controller

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// says is what there is to say of a name, by family: A, then AAAA.
type says struct {
	addrs [2][]netip.Addr
	ttl   [2]uint32
	has   [2]bool      // there is a record of the type, be it without addresses
	host  dnswire.Name // in place of addresses: where a CNAME leads
	off   bool         // nothing is to be answered
	to    dnswire.Name // where clients are sent then; none: nowhere
	// fixed is that the addresses are answered in their order.
	fixed bool
}

// content is the records of a name, without the name: services of one plan share it.
type content struct{ records []record }

// record is one of them.
type record struct {
	api.Record        // without its name
	tail       string // the end of its JSON, behind the name
	key        string // what it says, the same for the same addresses in any order unless fixed
	fixed      bool   // the order counts
}

// same is whether two say the same. None says nothing.
func (c *content) same(o *content) bool {
	if c == o {
		return true
	}
	return c != nil && o != nil && slices.EqualFunc(c.records, o.records, func(a, b record) bool { return a.key == b.key })
}

// contents makes contents, each once.
type contents struct{ known map[string]*content }

func newContents() *contents { return &contents{known: map[string]*content{}} }

// kept is what is worth knowing for what comes: nothing, when of so many names few say the same,
// or most of it is what they said once.
func (k *contents) kept(names int) *contents {
	if len(k.known) > 1000+names/4 {
		return newContents()
	}
	return k
}

// of is the content that says it. A TTL of 0 goes as 1: in the protocol 0 asks for the
// edge's own.
func (k *contents) of(s *says) *content {
	c := &content{}
	switch {
	case s.off:
		no := false
		for f := range s.has {
			if s.has[f] {
				r := api.Record{Type: types[f], TTL: max(1, s.ttl[f]), IPs: []string{}, Enabled: &no}
				if s.to != "" {
					r.Failover = text(s.to)
				}
				c.add(r, false)
			}
		}
	case s.host != "":
		// A CNAME, which edges answer for whatever type is asked.
		c.add(api.Record{Type: types[0], TTL: max(1, s.ttl[0]), IPs: []string{}, Failover: text(s.host)}, false)
	default:
		for f := range s.addrs {
			if len(s.addrs[f]) > 0 {
				r := api.Record{Type: types[f], TTL: max(1, s.ttl[f])}
				for _, a := range s.addrs[f] {
					r.IPs = append(r.IPs, a.String())
				}
				c.add(r, s.fixed)
			}
		}
	}
	var id strings.Builder
	for i := range c.records {
		id.WriteString(c.records[i].tail)
	}
	if known := k.known[id.String()]; known != nil {
		return known
	}
	k.known[id.String()] = c
	return c
}

var types = [2]string{"A", "AAAA"}

func (c *content) add(r api.Record, fixed bool) {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // our own type
	}
	_, tail, _ := bytes.Cut(b, []byte(`"name":""`))
	ips := slices.Clone(r.IPs)
	if !fixed {
		slices.Sort(ips)
	}
	key := r.Type + " " + strconv.FormatUint(uint64(r.TTL), 10) + " " + strconv.FormatBool(r.Enabled == nil || *r.Enabled) + " " + r.Failover + " " + strings.Join(ips, ",")
	c.records = append(c.records, record{Record: r, tail: string(tail), key: key, fixed: fixed})
}

// steered is what a service answers to clients at places, one after the other: without
// any, to a client of whom nothing is known.
type steered struct {
	snapshot *resolve.Snapshot
	places   []geo.Place
	scratch  *resolve.Scratch
	contents *contents
}

var nowhere = []geo.Place{{}}

// of is what there is to say of a service: with n nil, of all of a plan on which there is
// no operator's word. To is where its clients are sent when there is nothing, or
// operators have taken all of it out.
func (s *steered) of(n *table.Node, p *table.Plan, to dnswire.Name) *content {
	var out says
	taken := false
	places := s.places
	if len(places) == 0 {
		places = nowhere
	}
	hosts := len(p.Members[table.Hosts].Candidates) > 0
	for i := range places {
		if hosts {
			st := s.snapshot.Standing(n, p, table.Hosts, &places[i], s.scratch)
			taken, out.has[0] = st.Out, true
			if st.Host != "" && out.host == "" { // a name has one CNAME
				out.host, out.ttl[0] = st.Host, st.TTL
			}
			continue
		}
		for f := range out.addrs {
			st := s.snapshot.Standing(n, p, table.Family(f), &places[i], s.scratch)
			taken, out.has[f] = taken || st.Out, out.has[f] || st.Has
			for _, a := range st.Addrs {
				if len(out.addrs[f]) == 0 || st.TTL < out.ttl[f] {
					out.ttl[f] = st.TTL
				}
				if !slices.Contains(out.addrs[f], a) {
					out.addrs[f] = append(out.addrs[f], a)
				}
			}
		}
	}
	if out.has == [2]bool{} {
		out.has[0] = true // without any endpoints the name is there all the same
	}
	nothing := out.host == "" && len(out.addrs[0])+len(out.addrs[1]) == 0
	reserve := p.Policy.AllDown.Rule == spec.OtherPool
	if nothing || taken && to != "" && !reserve {
		out.off, out.to = true, to
		out.ttl = [2]uint32{p.Policy.TTL, p.Policy.TTL}
	}
	return s.contents.of(&out)
}
