package spec

import (
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec/document"
)

// services decodes the services of a zone, of which there may be a million:
// labels are pieces of one string, names are looked up in a table of indices,
// and services with the same text share one policy. lowest is the lowest TTL.
//
// Names of services in runs are not compared with others here.
func (d *decoder) services(e *entry, p *path, scope *zoneScope) (stated Services, lowest uint32) {
	lowest = d.spec.DNS.TTL
	d.nests.zone = scope.zone
	count, size := 0, 0
	for _, r := range e.vals {
		if r.Kind() != document.Mapping {
			if !r.Null() {
				d.fail(r, p, "a map is expected, not %s", d.describe(r))
			}
			continue
		}
		for k := range r.Pairs() {
			count++
			size += len(k.Raw())
		}
	}
	out := make([]Service, 0, count)
	var text strings.Builder
	text.Grow(size) // so that it never moves and labels can point into it
	seen := newLabelSet(count)
	names := make([]document.Node, 0, count)
	for _, r := range e.vals {
		var runs []stretchedRun
		cut := d.cuts[r]
		if cut != nil {
			runs, scope.keys = cut.runs, nil
			stated = slices.Grow(stated, len(runs)+1)
		}
		// until adds the runs before a line of the file.
		until := func(line int) {
			for len(runs) > 0 && runs[0].line < line {
				stated = append(stated, StateServices(out)...)
				out = out[:0]
				s, ttl := d.run(runs[0], p, scope)
				s.File, s.Col = r.File(), cut.at.child+1
				stated, lowest = append(stated, s), min(lowest, ttl)
				runs = runs[1:]
			}
		}
		if r.Kind() != document.Mapping {
			until(math.MaxInt)
			continue
		}
		for k, v := range r.Pairs() {
			until(k.Line())
			start := text.Len()
			why := appendLabel(&text, k.Raw(), len(scope.zone))
			label := text.String()[start:]
			if why != "" {
				d.fail(k, p.dot(string(k.Raw())), "not the name of a service: %s", why)
				continue
			}
			if i, twice := seen.add(label); twice {
				d.fail(k, p.dot(string(k.Raw())), "stated twice; first at %s", where(names[i]))
				continue
			}
			names = append(names, k)
			use := d.policyOf(v, k, p, label == "@")
			if use == nil {
				continue
			}
			if d.clear(k, label, p, scope) && d.fits(use, k, label, p, scope) {
				use.services++
				lowest = min(lowest, use.policy.TTL)
				out = append(out, Service{Label: label, Policy: use.policy, Line: k.Line(), Col: k.Col(), File: k.File()})
				if scope.keys != nil {
					scope.keys = append(scope.keys, k)
				}
				if use.policy.SRV || len(use.policy.TXT) > 0 {
					scope.fixed = append(scope.fixed, fixed{label, use.policy, k})
				}
			}
		}
		until(math.MaxInt)
	}
	return append(stated, StateServices(out)...), lowest
}

// run decodes a run of services, but for its file and column. lowest is the
// lowest TTL. What is wrong with it, or may be, leads to the file being read
// whole.
func (d *decoder) run(r stretchedRun, p *path, scope *zoneScope) (s Stretch, lowest uint32) {
	v := d.vocabulary(r.words)
	s = Stretch{Block: r.Block, Policies: v.policies, Line: r.line}
	lowest = math.MaxUint32
	d.unsure = d.unsure || r.longest+1+len(scope.zone) > 255
	for _, u := range r.uses {
		n := u.number
		if v.policies[n] == nil && !d.mean(v, r.words, n, p) {
			continue
		}
		v.services[n] += int(u.services)
		lowest = min(lowest, v.ttl[n])
		if v.hosts[n] {
			d.unsure = d.unsure || r.answersItself(v.policies[n], int(n), scope.zone)
		}
	}
	return s, lowest
}

// vocabulary is what words mean in a load: all stretches that have them share
// one list of policies, in which those that nobody has are nil. What is looked
// at for every use of a word stands in lists of its own, since there may be a
// million uses.
type vocabulary struct {
	policies []*Policy
	uses     []*policyUse
	services []int
	ttl      []uint32
	hosts    []bool
}

func (d *decoder) vocabulary(w *words) *vocabulary {
	v := d.vocabs[w]
	if v == nil {
		n := len(w.texts)
		v = &vocabulary{
			policies: make([]*Policy, n), uses: make([]*policyUse, n),
			services: make([]int, n), ttl: make([]uint32, n), hosts: make([]bool, n),
		}
		d.vocabs[w] = v
	}
	return v
}

// mean finds what a word means. It is false when it means nothing good.
func (d *decoder) mean(v *vocabulary, w *words, n uint16, p *path) bool {
	use := d.policyIn(w.texts[n], "", p)
	if use == nil {
		return false
	}
	d.unsure = d.unsure || use.policy.SRV || len(use.policy.TXT) > 0
	v.uses[n], v.policies[n], v.ttl[n], v.hosts[n] = use, use.policy, use.policy.TTL, use.hosts
	return true
}

// count adds the services of runs to those of their policies.
func (d *decoder) count() {
	for _, v := range d.vocabs {
		for i, use := range v.uses {
			if use != nil {
				use.services += v.services[i]
			}
		}
	}
}

// manyWords is from how many on it matters that most of them are no longer used.
const manyWords = 1024

// wordy is whether most of the words are not used any more.
func (d *decoder) wordy(w *words) bool {
	if w == nil || len(w.texts) < manyWords {
		return false
	}
	used := 0
	for _, p := range d.vocabulary(w).policies {
		if p != nil {
			used++
		}
	}
	return 2*used < len(w.texts)
}

// answersItself is whether a host that the policy answers with is one of the
// services that have it.
func (r stretchedRun) answersItself(policy *Policy, number int, zone dnswire.Name) bool {
	for _, pool := range policy.all() {
		for i := range pool.Endpoints {
			host := pool.Endpoints[i].Host
			if host == "" || !host.Within(zone) {
				continue
			}
			found := false
			var wire []byte
			r.Each(func(label string, policy int) bool {
				wire = appendWire(wire[:0], label, zone)
				found = policy == number && string(host) == string(wire)
				return !found
			})
			if found {
				return true
			}
		}
	}
	return false
}

// appendLabel checks the name of a service and appends it in lower case. zone
// is the length of the zone's name in wire form.
func appendLabel(out *strings.Builder, raw []byte, zone int) string {
	if len(raw) == 1 && raw[0] == '@' {
		out.WriteByte('@')
		return ""
	}
	size := 0
	for i, c := range raw {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			size++
		case c >= 'A' && c <= 'Z':
			size++
			c += 'a' - 'A'
		case c == '.' && size == 0:
			return "it has an empty label"
		case c == '.' && i == len(raw)-1:
			return "it is relative to the zone: remove the final dot"
		case c == '.':
			size = 0
		case c == '*' && i == 0 && (len(raw) == 1 || raw[1] == '.'):
			size++
		case c == '*':
			return "* can only be the whole first label"
		default:
			return fmt.Sprintf("%q is not a letter, digit, hyphen or underscore", []rune(string(raw[i:]))[0])
		}
		if size > 63 {
			return "a label is longer than 63 characters"
		}
		out.WriteByte(c)
	}
	if len(raw) == 0 {
		return `it is empty: the zone itself is "@"`
	}
	if len(raw)+1+zone > 255 {
		return "the whole name is longer than 255 bytes"
	}
	return ""
}

// clear is whether a service's name is free: no nameserver has it and no zone
// below this one holds it.
func (d *decoder) clear(k document.Node, label string, p *path, scope *zoneScope) bool {
	if len(scope.children) == 0 && len(scope.servers) == 0 {
		return true
	}
	var buf [256]byte
	wire := appendWire(buf[:0], label, scope.zone)
	if at, taken := scope.servers[dnswire.Name(wire)]; taken {
		d.fail(k, p.dot(label), "the nameserver at %s has this name: rename one of them", where(at))
		return false
	}
	if child := scope.child(dnswire.Name(wire)); child != "" {
		d.fail(k, p.dot(label), "belongs to the zone %s: state it there", bare(child))
		return false
	}
	return true
}

// appendWire appends the name of a service in wire form.
func appendWire(wire []byte, label string, zone dnswire.Name) []byte {
	for label != "@" && label != "" {
		var l string
		l, label, _ = strings.Cut(label, ".")
		wire = append(wire, byte(len(l)))
		wire = append(wire, l...)
	}
	return append(wire, zone...)
}

// fits is whether a policy can be that of this service: what it answers with
// depends on the name as well, and no host name may be the service's own.
func (d *decoder) fits(use *policyUse, k document.Node, label string, p *path, scope *zoneScope) bool {
	if label[0] == '*' {
		if pool, check := hostless(use.policy); check != nil {
			d.fail(k, p.dot(label), "the check %s of the pool %s asks for the service's name, and a wildcard has none to ask for: state host: in the check", check.Name, pool.Name)
			return false
		}
	}
	if use.policy.SRV && !d.srvFits(use.policy, k, label, p, scope.zone) {
		return false
	}
	if !use.hosts {
		return true
	}
	name := dnswire.Name(appendWire(nil, label, scope.zone))
	for _, pool := range use.policy.all() {
		for i := range pool.Endpoints {
			if pool.Endpoints[i].Host == name {
				d.fail(k, p.dot(label), "the endpoint %s of the pool %s is the service itself", pool.Endpoints[i].String(), pool.Name)
				return false
			}
		}
	}
	return true
}

// hostless is a check that takes its host from the service, and its pool.
func hostless(policy *Policy) (*Pool, *Check) {
	for _, pool := range policy.judged() {
		for i := range pool.Endpoints {
			for _, c := range pool.Endpoints[i].Checks {
				if c.NeedsHost() {
					return pool, c
				}
			}
		}
	}
	return nil, nil
}

// all are the pools that a policy may answer with.
func (p *Policy) all() []*Pool {
	if p.AllDown.Pool == nil {
		return p.Pools
	}
	return append(p.Pools[:len(p.Pools):len(p.Pools)], p.AllDown.Pool)
}

// labelSet is a set of labels in the order of their arrival: an open hash table
// of their numbers, 8 bytes for each where a map would take 40.
type labelSet struct {
	seed   maphash.Seed
	labels []string
	slots  []uint32 // number + 1; 0 is free
}

func newLabelSet(n int) *labelSet {
	size := 16
	for size < 2*n {
		size *= 2
	}
	return &labelSet{seed: maphash.MakeSeed(), labels: make([]string, 0, n), slots: make([]uint32, size)}
}

// add gives the label the next number, or says which number has it already.
func (s *labelSet) add(label string) (int, bool) {
	mask := uint64(len(s.slots) - 1)
	for i := maphash.String(s.seed, label) & mask; ; i = (i + 1) & mask {
		n := s.slots[i]
		if n == 0 {
			s.labels = append(s.labels, label)
			s.slots[i] = uint32(len(s.labels))
			return len(s.labels) - 1, false
		}
		if s.labels[n-1] == label {
			return int(n - 1), true
		}
	}
}
