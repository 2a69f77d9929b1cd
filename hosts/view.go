package hosts

import (
	"net/netip"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// Detail is what is known of a host name, and how.
type Detail struct {
	Name   dnswire.Name
	V4, V6 Records
}

// Records are the addresses of one family of a host name.
type Records struct {
	Addrs    []netip.Addr  // sorted and unique
	TTL      time.Duration // as it is given to clients, in whole seconds
	Resolved time.Time     // when Addrs were last confirmed; zero: never
	Next     time.Time     // when they are asked for again; zero: not known
	// Error is why there are no addresses or why they are old, one line; empty while
	// all is well. That a name simply has none of this family is said here as well.
	Error string
	// Stale is whether Addrs are kept beyond their TTL because no answer confirms
	// them: resolution fails, or the servers say that there are none.
	Stale bool
	// Restored is whether Addrs are from before the restart and no answer has
	// confirmed them since.
	Restored bool
}

// fact is one family of a host at one instant. It is immutable.
type fact struct {
	packed   []byte // 4 or 16 octets for each address, sorted and unique
	reason   string
	resolved time.Time
	next     time.Time
	ttl      uint32 // seconds, as it is given to clients
	stale    bool
	restored bool
}

// unknown is what is known of a name that has never been asked for.
var unknown fact

// View is the addresses of every host name at one instant. It is immutable, and
// aligned with the names of one Apply: name i of those is Addrs(i).
type View struct {
	generation uint64
	names      []dnswire.Name
	pages      []*page
}

// pageLen is how many names share a page. A change copies one page and the list
// of pages.
const pageLen = 128

// page is the facts of names, IPv4 first.
type page [pageLen][2]*fact

// Generation is the number of the Apply that the view is aligned with; 0 before
// the first.
func (v *View) Generation() uint64 { return v.generation }

// Len is the number of names.
func (v *View) Len() int { return len(v.names) }

// Addrs is the addresses of one family of name i, 4 or 16 octets each, sorted
// and unique, and the TTL to give them, in seconds. They must not be changed.
// There are none when nothing is known. It allocates nothing.
func (v *View) Addrs(i int, v6 bool) (packed []byte, ttl uint32) {
	family := 0
	if v6 {
		family = 1
	}
	f := v.pages[uint(i)/pageLen][uint(i)%pageLen][family]
	return f.packed, f.ttl
}

// Detail is what is behind the addresses of name i.
func (v *View) Detail(i int) Detail {
	facts := &v.pages[i/pageLen][i%pageLen]
	return Detail{Name: v.names[i], V4: facts[0].records(false), V6: facts[1].records(true)}
}

func (f *fact) records(v6 bool) Records {
	return Records{
		Addrs: unpack(f.packed, v6), TTL: time.Duration(f.ttl) * time.Second,
		Resolved: f.resolved, Next: f.next, Error: f.reason, Stale: f.stale, Restored: f.restored,
	}
}

// Fixed is a view of stated names, for who resolves them by other means, as tests
// do. The addresses are put in order.
func Fixed(details ...Detail) *View {
	v := &View{names: make([]dnswire.Name, len(details)), pages: blank(len(details))}
	for i, d := range details {
		v.names[i] = d.Name
		v.pages[i/pageLen][i%pageLen] = [2]*fact{d.V4.fact(false), d.V6.fact(true)}
	}
	return v
}

func (r *Records) fact(v6 bool) *fact {
	return &fact{
		packed: pack(r.Addrs, v6), ttl: uint32(r.TTL / time.Second), resolved: r.Resolved, next: r.Next,
		reason: r.Error, stale: r.Stale, restored: r.Restored,
	}
}

// blank is the pages of n names of which nothing is known.
func blank(n int) []*page {
	pages := make([]*page, (n+pageLen-1)/pageLen)
	for i := range pages {
		p := new(page)
		for k := range p {
			p[k] = [2]*fact{&unknown, &unknown}
		}
		pages[i] = p
	}
	return pages
}
