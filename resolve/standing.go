package resolve

import (
	"encoding/binary"
	"net/netip"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
)

// Standing is what the endpoints of one family of a service come to for clients at a
// place: everything that one of them may be answered with. Where chance, turns or the
// client's subnet choose, that is all that they choose from, without what has no weight;
// where nothing does, as many as the service answers. It depends on the snapshot and the
// place and on nothing else.
type Standing struct {
	// Addrs are addresses of the family, each once, in the order of preference where
	// there is one.
	Addrs []netip.Addr
	// Host is where a CNAME leads, of family Hosts: the first choice.
	Host dnswire.Name
	TTL  uint32 // seconds
	// Has is whether the service has endpoints of the family, whatever their state.
	Has bool
	// Out is whether operators have taken every endpoint of the service out: by an
	// override, by a drain that has ended, or by maintenance.
	Out bool
}

const (
	// Where chance has a say within what is nested, what it leaves is not simply all that
	// it may leave: it is tried out, until dry tries in a row have found nothing new, and
	// no more than maxTries times.
	dry      = 64
	maxTries = 1024
)

// Standing asks for a service, or with n nil for all the services of plan p on whose own
// endpoints there is no operator's word. Working memory is c's.
func (s *Snapshot) Standing(n *table.Node, p *table.Plan, f table.Family, place *geo.Place, c *Scratch) Standing {
	ms := &p.Members[f]
	if len(ms.Candidates) == 0 {
		return Standing{}
	}
	c.trace = nil
	c.begin(nil)
	c.node, c.place, c.torn, c.named = n, *place, false, false
	out := Standing{Has: true, Out: s.takenOut(p, c)}
	if ms.Hosts != nil {
		if has, _ := s.resolved(ms); !has {
			return out
		}
	}
	c.everything, c.tries = true, nestsChance(p)
	defer func() { c.everything, c.tries = false, false }()
	found := gathered{f: f, seen: map[netip.Addr]bool{}}
	for try, last := uint64(0), uint64(0); try == 0 || c.tries && try < maxTries && try-last <= dry; try++ {
		c.begin(nil)
		c.Seed(try, try) // so that it is the same wherever it is asked
		c.query.Seq, c.query.Subnet = uint32(try), mix(try)
		if s.gather(&out, p, &found, c) {
			last = try
		}
	}
	return out
}

// gathered is what has been found of a family.
type gathered struct {
	f    table.Family
	seen map[netip.Addr]bool
}

// gather adds to out what p comes to, and says whether there is anything new.
func (s *Snapshot) gather(out *Standing, p *table.Plan, g *gathered, c *Scratch) (news bool) {
	c.opt, c.lapsed, c.drawn = dnswire.OPT{}, false, false
	ms, picked := s.consider(p, g.f, c)
	if len(picked) == 0 || c.Outcome.RCode != dnswire.NoError {
		return false
	}
	ttl := s.ttl(p, c)
	if out.TTL > 0 {
		ttl = min(ttl, out.TTL)
	}
	if g.f == table.Hosts {
		news = out.Host == ""
		if news {
			out.Host = ms.Endpoints[picked[0].Index].Host
		}
		out.TTL = ttl
		return news
	}
	size := g.f.Size()
	for _, cand := range picked {
		packed := ms.Addr(g.f, cand.Index)
		if ms.Flat(int(cand.Index)) {
			own, lower := s.addrs(ms.Hosts[cand.Index], g.f)
			packed, ttl = own[:min(len(own), maxFlat*size)], min(ttl, lower)
		}
		for ; len(packed) > 0; packed = packed[size:] {
			if a, _ := netip.AddrFromSlice(packed[:size]); !g.seen[a] {
				g.seen[a], news = true, true
				out.Addrs = append(out.Addrs, a)
			}
		}
	}
	out.TTL = ttl
	return news
}

// nestsChance is whether chance or subnets have a say within what is nested in a plan.
func nestsChance(p *table.Plan) bool { return p.Inner&(steer.Chance|steer.Subnets) != 0 }

// all is whether all that a chain may leave is wanted of it, and not what it leaves now.
func (c *Scratch) all() bool { return c.everything && (c.depth == 0 || !c.tries) }

// takenOut is whether operators have forced every endpoint of a plan down, reserves not
// counted.
func (s *Snapshot) takenOut(p *table.Plan, c *Scratch) bool {
	found := false
	for f := range p.Members {
		ms := &p.Members[f]
		for i := range ms.Candidates {
			if p.Reserved(ms, i) {
				continue
			}
			if !s.forcedDown(c, p, ms, i) {
				return false
			}
			found = true
		}
	}
	return found
}

// Alike is whether the Standing of the services of a plan, on whose own endpoints there
// is no operator's word, is what it was in a snapshot before. False may be said in vain.
func (s *Snapshot) Alike(prev *Snapshot, p *table.Plan) bool {
	k := settler{s: s, prev: prev}
	return k.unchanged(p)
}

// Answers is every record of the answer section of a message that Append made, with its
// owner, type, TTL in seconds and data; names in the data of CNAME are whole, other data is
// as the message has it. It stops when f is false.
func Answers(msg []byte, f func(owner dnswire.Name, t dnswire.Type, ttl uint32, data []byte) bool) {
	if len(msg) < dnswire.HeaderLen {
		return
	}
	at := dnswire.HeaderLen
	for range binary.BigEndian.Uint16(msg[4:]) {
		_, at = nameAt(msg, at)
		at += 4
	}
	for range binary.BigEndian.Uint16(msg[6:]) {
		var owner dnswire.Name
		owner, at = nameAt(msg, at)
		t, ttl := dnswire.Type(binary.BigEndian.Uint16(msg[at:])), binary.BigEndian.Uint32(msg[at+4:])
		from := at + 10
		at = from + int(binary.BigEndian.Uint16(msg[at+8:]))
		data := msg[from:at]
		if t == dnswire.TypeCNAME {
			to, _ := nameAt(msg, from)
			data = []byte(to)
		}
		if !f(owner, t, ttl, data) {
			return
		}
	}
}

// possible is what the chain may leave: chain without what goes by chance.
func (c *Scratch) possible(p *table.Plan, ms *table.Members, set []steer.Candidate) []steer.Candidate {
	if p.Link.Needs&(steer.Latencies|steer.Loads) != 0 {
		c.query.Targets = ms.Targets
	}
	c.drawn = false
	set = c.sift(p.Link.Filters, set)
	c.among, c.mean, c.thinned = len(set), steer.Whole, false
	return set
}

// sift applies the filters that neither chance nor subnets have a say in, and of the
// others what they never leave.
func (c *Scratch) sift(filters []steer.Filter, set []steer.Candidate) []steer.Candidate {
	for _, f := range filters {
		if len(set) == 0 {
			break
		}
		c.query.Want = 0
		switch f := f.(type) {
		case *steer.First:
			set = c.siftFirst(f, set)
			continue
		case *steer.Shed:
			sure := *f
			sure.Thins = false
			set = sure.Apply(&c.query, set)
			continue
		case *steer.Spill:
			divides := false
			set, divides = f.Reach(set)
			c.drawn = c.drawn || divides
			continue
		case steer.Limit:
			if !c.drawn { // else any of them may be among the first
				set = f.Apply(&c.query, set)
			}
			continue
		}
		needs := f.Needs()
		if needs&(steer.Chance|steer.Subnets) == 0 {
			set = f.Apply(&c.query, set)
			continue
		}
		c.drawn = true
		switch f.(type) {
		case steer.Weighted, *steer.Balanced, *steer.Sticky: // a shuffle has its own idea of weights
			set = weighed(f, set)
		}
	}
	return set
}

// siftFirst is sift for what the first of the chains leaves that leaves anything.
func (c *Scratch) siftFirst(f *steer.First, set []steer.Candidate) []steer.Candidate {
	given, drawn := append([]steer.Candidate(nil), set...), c.drawn
	for _, chain := range f.Chains() {
		c.drawn = drawn
		if kept := c.sift(chain, append(set[:0], given...)); len(kept) > 0 {
			return kept
		}
	}
	return set[:0]
}

// weighed drops what has no chance under a filter that goes by weight.
func weighed(f steer.Filter, set []steer.Candidate) []steer.Candidate {
	pools, _ := f.(*steer.Balanced)
	kept := set[:0]
	for _, cand := range set {
		none := pools != nil && int(cand.Pool) < len(pools.Weights) && pools.Weights[cand.Pool] == 0
		if cand.Weight > 0 && !none {
			kept = append(kept, cand)
		}
	}
	return kept
}
