package spec

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec/document"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// static collects the static records of one zone: of its file, of its records,
// and those that follow from nameservers, soa and services.
type static struct {
	d      *decoder
	zone   *Zone
	b      *zone.Builder
	path   *path
	key    document.Node // the zone's
	begun  time.Time
	files  []string     // of the zone file, as errors name them
	paths  []string     // the same, absolute
	stated []statement  // what else records come from
	faults []zone.Fault // so far
}

// stating is what the configuration says of a zone's static records.
type stating struct {
	file, records, servers *entry
	fixed                  []fixed
	sound                  bool // nothing is wrong with the rest of the zone
}

// make makes the zone's data.
func (s *static) make(from stating) {
	print, comparable := s.print(from.records, from.servers != nil, from.fixed)
	comparable = comparable && from.file != nil && from.sound
	if comparable {
		if name, ok := s.d.text(from.file.val(), s.path.dot("file")); ok {
			if k, ok := s.d.kept.find(s.zone.Name, beside(from.file.val(), name), print); ok {
				s.files, s.zone.Data = k.files, k.data
				s.d.kept.keepFile(s.zone.Name, s.d.kept.file(s.zone.Name, k.paths[0]))
				s.d.looked = append(s.d.looked, k.paths...)
				s.doubts(k.doubts)
				s.d.kept.put(s.zone.Name, k)
				return
			}
		}
	}
	if from.file != nil && s.byParts(&from, print, comparable) {
		return
	}
	s.b = zone.NewBuilder(s.zone.Name)
	before := len(s.d.errs)
	if from.file != nil {
		s.file(from.file, s.zone.SOA.TTL)
	}
	if from.records != nil {
		s.records(from.records, s.zone.SOA.TTL)
	}
	for _, f := range from.fixed {
		s.service(f)
	}
	sound := from.sound && len(s.d.errs) == before
	if from.servers != nil && sound {
		sound = s.own(from.servers, s.zone)
	}
	doubts := s.build(sound)
	if from.file != nil && len(s.paths) == 1 && !s.b.Scattered() && s.zone.Data != nil && !s.zone.Data.Signed {
		s.d.kept.byPartsAgain(s.zone.Name)
	}
	switch data := s.zone.Data; {
	case data == nil:
	case data.Signed && from.file != nil && from.records != nil:
		s.d.fail(from.records.key, s.path.dot("records"), "the zone file is signed, and its signatures deny what is not in it: put the records into the file before it is signed")
	case comparable:
		s.keep(print, doubts)
	}
}

// statement is a place in the configuration that records come from.
type statement struct {
	at   document.Node
	path *path
}

// configured is the first file number of records that come from the
// configuration and not from a zone file.
const configured = 1 << 24

// from is the place of records that the configuration states.
func (s *static) from(at document.Node, p *path) text.Pos {
	s.stated = append(s.stated, statement{at, p})
	return text.Pos{File: configured + int32(len(s.stated)-1), Line: int32(at.Line())}
}

func (s *static) add(at text.Pos, owner dnswire.Name, t dnswire.Type, ttl uint32, data []byte) {
	s.put(&text.Record{Owner: owner, Type: t, TTL: ttl, Data: data, Pos: at})
}

func (s *static) put(r *text.Record) {
	if err := s.b.Add(r); err != nil {
		s.fault(r.Pos, "%s", err)
	}
}

func (s *static) fault(at text.Pos, format string, args ...any) {
	s.faults = append(s.faults, zone.Fault{Pos: at, Msg: fmt.Sprintf(format, args...)})
}

// error is a fault, where it was written.
func (s *static) error(f zone.Fault) Error {
	switch at := f.Pos; {
	case at.File >= configured:
		st := s.stated[at.File-configured]
		return Error{File: st.at.Name(), Line: st.at.Line(), Col: st.at.Col(), Path: st.path.String(), Msg: f.Msg}
	case at.Line == 0 || int(at.File) >= len(s.files):
		return Error{File: s.key.Name(), Line: s.key.Line(), Col: s.key.Col(), Path: s.path.String(), Msg: f.Msg}
	default:
		return Error{File: s.files[at.File], Line: int(at.Line), Msg: f.Msg}
	}
}

// maxFaults is how many errors of one zone file are shown.
const maxFaults = 100

// file reads the zone file. What is wrong with it is among the errors.
func (s *static) file(e *entry, ttl uint32) {
	p := s.path.dot("file")
	name, ok := s.d.text(e.val(), p)
	if !ok {
		return
	}
	abs := beside(e.val(), name)
	if st, err := os.Stat(abs); err != nil || !st.Mode().IsRegular() {
		why := notRegular
		if err != nil {
			why = reason(err)
		}
		s.d.looked = append(s.d.looked, abs)
		s.d.fail(e.val(), p, "%s: %s", name, why)
		return
	}
	shown := name
	if !filepath.IsAbs(name) { // as the configuration file itself was named
		shown = filepath.Join(filepath.Dir(e.val().Name()), name)
	}
	before := s.b.Len()
	files, errs := text.ReadFile(shown, text.Options{Origin: s.zone.Name, TTL: ttl}, s.put)
	s.files, s.paths = append([]string{shown}, files[1:]...), files
	s.d.looked = append(s.d.looked, files...)
	for i, path := range files {
		if st, err := os.Stat(path); err == nil && everybody(st, 0o002) {
			s.d.errs = append(s.d.errs, Error{File: s.files[i], Msg: "everybody can write this file: chmod o-w " + path})
		}
	}
	for _, one := range errs {
		if one.Line == 0 && one.File == shown { // the file as a whole
			s.d.fail(e.val(), p, "%s: %s", name, one.Msg)
			continue
		}
		s.d.errs = append(s.d.errs, Error{File: one.File, Line: one.Line, Msg: one.Msg})
	}
	if len(errs) == 0 && len(s.faults) == 0 && s.b.Len() == before {
		s.d.fail(e.val(), p, "%s: the file has no records: perhaps it is being written; replace it by renaming a whole one into its place", name)
	}
}

// records reads the records of the configuration itself.
func (s *static) records(e *entry, ttl uint32) {
	p := s.path.dot("records")
	for _, list := range e.vals {
		for i, it := range s.d.list(list, p) {
			line, ok := s.d.text(it, p.at(i))
			if !ok {
				continue
			}
			at := s.from(it, p.at(i))
			err := text.ReadRecord(line, text.Options{Origin: s.zone.Name, TTL: ttl}, func(r *text.Record) {
				r.Pos = at
				s.put(r)
			})
			if err != nil {
				s.d.fail(it, p.at(i), "%s", err)
			}
		}
	}
}

// own adds the records that follow from nameservers and soa.
func (s *static) own(e *entry, z *Zone) bool {
	at := s.from(e.key, s.path.dot("nameservers"))
	if pos, twice := s.b.HasApex(dnswire.TypeSOA); twice {
		s.fault(pos, "an SOA record beside nameservers, which make one: remove nameservers and soa, or the record")
		return false
	}
	if pos, twice := s.b.HasApex(dnswire.TypeNS); twice {
		s.fault(pos, "NS records of the zone's own name beside nameservers, which make them: remove one of the two")
		return false
	}
	s.b.Implies()
	o := &z.SOA
	if !o.stated { // then it tells the newest of the files
		for _, p := range s.paths {
			o.Serial = max(o.Serial, uint32(stampOf(p).modified.Unix()&math.MaxUint32))
		}
	}
	z.apex(func(owner dnswire.Name, t dnswire.Type, data []byte) { s.add(at, owner, t, o.TTL, data) })
	return true
}

// apex calls add with the records that follow from nameservers and soa.
func (z *Zone) apex(add func(owner dnswire.Name, t dnswire.Type, data []byte)) {
	o := &z.SOA
	data := append([]byte(z.Nameservers[0].Name), o.Mbox...)
	for _, v := range []uint32{o.Serial, o.Refresh, o.Retry, o.Expire, o.Minimum} {
		data = binary.BigEndian.AppendUint32(data, v)
	}
	add(z.Name, dnswire.TypeSOA, data)
	for _, ns := range z.Nameservers {
		add(z.Name, dnswire.TypeNS, []byte(ns.Name))
		for _, a := range ns.Addrs {
			t := dnswire.TypeA
			if a.Is6() {
				t = dnswire.TypeAAAA
			}
			add(ns.Name, t, a.AsSlice())
		}
	}
}

// fixed is a service that has static records of its own, and where it stands.
type fixed struct {
	label  string
	policy *Policy
	key    document.Node
}

// service adds the static records of a service: its texts, and the names that
// its SRV records have for addresses.
func (s *static) service(f fixed) {
	at := s.from(f.key, s.path.dot("services").dot(f.label))
	name := dnswire.Name(appendWire(nil, f.label, s.zone.Name))
	sole := func(owner dnswire.Name, t dnswire.Type, ttl uint32, data []byte) {
		if err := s.b.AddSole(&text.Record{Owner: owner, Type: t, TTL: ttl, Data: data, Pos: at}); err != nil {
			s.fault(at, "%s", err)
		}
	}
	for _, t := range f.policy.TXT {
		sole(name, dnswire.TypeTXT, f.policy.TTL, characterStrings(t))
	}
	if !f.policy.SRV {
		return
	}
	for _, pool := range f.policy.all() {
		for i := range pool.Endpoints {
			if e := &pool.Endpoints[i]; e.Host == "" {
				t := dnswire.TypeA
				if e.Address.Is6() {
					t = dnswire.TypeAAAA
				}
				target := dnswire.Name(AppendTarget(nil, e.Address, []byte(name), len(s.zone.Name)))
				sole(target, t, s.d.spec.DNS.TTL, e.Address.AsSlice())
			}
		}
	}
}

// AppendTarget appends, in wire form, the name that the SRV records of a service
// have for an address: 192-0-2-1, or 2001-0db8-0000-0000-0000-0000-0000-0001,
// below the service's name without the labels of service and protocol before it,
// since a host's name has no underscore (RFC 1123 section 2.1). Zone is the
// length of the zone's name, which the service's ends in.
func AppendTarget(dst []byte, a netip.Addr, service []byte, zone int) []byte {
	for len(service) > zone && service[1] == '_' {
		service = service[1+int(service[0]):]
	}
	return append(appendAddress(dst, a), service...)
}

// appendAddress appends an address as a label.
func appendAddress(dst []byte, a netip.Addr) []byte {
	at := len(dst)
	dst = append(dst, 0)
	if b := a.AsSlice(); len(b) == 4 {
		for _, c := range b {
			dst = append(strconv.AppendUint(dst, uint64(c), 10), '-')
		}
	} else {
		const digits = "0123456789abcdef"
		for i, c := range b {
			dst = append(dst, digits[c>>4], digits[c&15])
			if i%2 == 1 {
				dst = append(dst, '-')
			}
		}
	}
	dst = dst[:len(dst)-1]
	dst[at] = byte(len(dst) - at - 1)
	return dst
}

// characterStrings is a text as the data of a TXT record: strings of 255 octets
// and what is left (RFC 1035 section 3.3.14).
func characterStrings(s string) []byte {
	var out []byte
	for {
		n := min(len(s), 255)
		out = append(append(out, byte(n)), s[:n]...)
		if s = s[n:]; s == "" {
			return out
		}
	}
}

// build makes the zone's data, unless something is wrong with it. Whole says
// that nothing has been left out that was to be stated.
func (s *static) build(whole bool) (doubts []zone.Fault) {
	var data *zone.Data
	var faults []zone.Fault
	data, faults, doubts = s.b.Build()
	faults = append(s.faults, faults...)
	shown := 0
	for _, f := range faults {
		if f.Absent && !whole {
			continue
		}
		if shown++; shown > maxFaults {
			s.d.errs = append(s.d.errs, s.error(zone.Fault{Msg: fmt.Sprintf("more is wrong with the records: only the first %d errors are shown", maxFaults)}))
			break
		}
		s.d.errs = append(s.d.errs, s.error(f))
	}
	s.doubts(doubts)
	if len(faults) == 0 && whole {
		s.zone.Data = data
	}
	return doubts
}

func (s *static) doubts(doubts []zone.Fault) {
	for i, f := range doubts {
		if i == maxFaults {
			f = zone.Fault{Msg: fmt.Sprintf("more is doubtful about the records: only the first %d warnings are shown", maxFaults)}
		}
		s.d.spec.Warnings = append(s.d.spec.Warnings, s.error(f))
		if i == maxFaults {
			return
		}
	}
}

// beneath finds the services that static records stand in the way of. Those of
// runs, and those beside records that were read by parts, are left to whoever
// puts all names together.
func (s *static) beneath(scope *zoneScope) {
	data := s.zone.Data
	if data == nil || s.zone.Services.Len() == 0 || len(s.files) == 0 && scope.keys == nil && len(s.zone.Nameservers) > 0 {
		return
	}
	if data.Signed {
		for svc := range s.zone.Services.All() {
			f := s.d.spec.Fault(s.zone, &svc, "the zone file is signed, and answers of services would have no signature, so that validating resolvers would refuse them: take the signatures out of the file, or the services out of the zone")
			f.Path = s.path.dot("services").String()
			s.d.errs = append(s.d.errs, f)
			return
		}
	}
	lowest := uint32(maxTTL)
	for policy := range s.zone.Services.Policies() {
		lowest = min(lowest, policy.TTL)
	}
	if _, ttl := data.SOA(); ttl > lowest {
		s.d.doubt(s.key, s.path, "the SOA record lets resolvers remember for %d s that a service has no data, longer than the %d s of its answers", ttl, lowest)
	}
	if len(scope.keys) == 0 || data.Joined() {
		return
	}
	tree := zone.NewTree([]*zone.Data{data}, 0)
	var wire []byte
	i := -1
	for svc := range s.zone.Services.All() {
		i++
		wire = appendWire(wire[:0], svc.Label, s.zone.Name)
		at, p := scope.keys[i], s.path.dot("services").dot(svc.Label)
		m := tree.Find(wire, dnswire.TypeA)
		switch m.Kind {
		case zone.Delegation:
			s.d.fail(at, p, "nobody asks for it here: %s is delegated by NS records", bare(dnswire.Name(tree.Text(m.Node))))
		case zone.Redirect:
			s.d.fail(at, p, "nobody asks for it here: %s has a DNAME record, which renames all that is below it", bare(dnswire.Name(tree.Text(m.Node))))
		case zone.Wildcard:
			s.d.doubt(at, p, "the records of %s no longer answer for this name", bare(dnswire.Name(tree.Text(m.Node))))
		case zone.Exact:
			m.Each(func(set zone.Set) bool {
				why := svc.Policy.Clash(set.Type)
				if why != "" {
					s.d.fail(at, p, "%s", why)
				}
				return why == ""
			})
		}
	}
}

// Clash is why a service cannot share its name with a static record set of a
// type; empty when it can.
func (p *Policy) Clash(t dnswire.Type) string {
	switch {
	case t == dnswire.TypeCNAME:
		return "it has a CNAME record, which stands alone: remove the record or the service"
	case t == dnswire.TypeA, t == dnswire.TypeAAAA:
		return fmt.Sprintf("it has static %s records, and a service answers for A and AAAA: remove the records or the service", t)
	case t == dnswire.TypeHTTPS && p.HTTPS != nil, t == dnswire.TypeSVCB && p.SVCB != nil, t == dnswire.TypeSRV && p.SRV, t == dnswire.TypeTXT && p.DebugTXT:
		return fmt.Sprintf("it has static %s records, and the service makes its own: remove one of the two", t)
	case p.redirects():
		return fmt.Sprintf("it has static %s records, and a service of host names answers with CNAME, which stands alone: state flatten: true, or remove the records", t)
	}
	return ""
}

// redirects is whether the service is answered as CNAME.
func (p *Policy) redirects() bool {
	return !p.Flatten && slices.ContainsFunc(p.all(), func(pool *Pool) bool {
		return slices.ContainsFunc(pool.Endpoints, func(e Endpoint) bool { return e.Host != "" })
	})
}
