package spec

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// keptFile is what the reading of a zone file by parts leaves for the next one.
type keptFile struct {
	path  string
	read  []text.Part
	parts []*zone.Part // what each of read has come to
	data  *zone.Data   // what they have come to together
	whole bool         // the file is not to be read so
}

// file is what was kept of a zone's file.
func (k *Kept) file(name dnswire.Name, path string) keptFile {
	if k == nil || k.parts[name].path != path {
		return keptFile{path: path}
	}
	return k.parts[name]
}

func (k *Kept) keepFile(name dnswire.Name, f keptFile) {
	if k != nil && (f.whole || len(f.parts) > 0) {
		k.nextParts[name] = f
	}
}

// Whole has the file of a zone read as a whole from now on, because two parts of
// it have records of one name.
func (k *Kept) Whole(name dnswire.Name) {
	f := k.parts[name]
	f = keptFile{path: f.path, whole: true}
	if k.parts == nil {
		k.parts = map[dnswire.Name]keptFile{}
	}
	k.parts[name] = f
	delete(k.zones, name)
}

// byPartsAgain has the file of a zone read by parts at the next Load, since
// nothing is in the way of it any more.
func (k *Kept) byPartsAgain(name dnswire.Name) {
	if k != nil {
		delete(k.nextParts, name)
	}
}

// byPartsFrom is the size in octets of a file from which on it is read by parts:
// a smaller one is read in some milliseconds.
var byPartsFrom int64 = 1 << 20

// byParts makes the zone's data of a large file, part by part, of which those
// are kept that have not changed. It is false, and nothing has happened, when the
// file is to be read as a whole: to say what is wrong, or since its parts cannot
// be told apart.
//
// What names servers lack is not looked for: they may be in any part.
func (s *static) byParts(from *stating, print string, comparable bool) bool {
	name, ok := from.file.val().Text(s.d.env)
	if ok != nil || !from.sound {
		return false
	}
	abs := beside(from.file.val(), name)
	st, err := os.Stat(abs)
	if err != nil || !st.Mode().IsRegular() || st.Size() < byPartsFrom || everybody(st, 0o002) {
		return false
	}
	kept := s.d.kept.file(s.zone.Name, abs)
	if kept.whole {
		s.d.kept.keepFile(s.zone.Name, kept)
		return false
	}
	shown := name
	if !filepath.IsAbs(name) {
		shown = filepath.Join(filepath.Dir(from.file.val().Name()), name)
	}
	whole := keptFile{path: abs, whole: true} // which counts if the reading as a whole finds nothing wrong
	r := s.read(shown, &kept)
	if r == nil {
		s.d.kept.keepFile(s.zone.Name, whole)
		return false
	}
	s.files, s.paths = []string{shown}, []string{abs}
	errs, stated := len(s.d.errs), len(s.stated)
	data, doubts := s.join(from, r, kept.data)
	if data == nil {
		s.d.errs, s.stated, s.faults = s.d.errs[:errs], s.stated[:stated], nil
		s.d.kept.keepFile(s.zone.Name, whole)
		return false
	}
	s.d.looked = append(s.d.looked, abs)
	s.doubts(doubts)
	s.zone.Data = data
	s.d.kept.keepFile(s.zone.Name, keptFile{path: abs, read: r.read, parts: r.parts, data: data})
	if comparable {
		s.keep(print, doubts)
	}
	return true
}

// partly is a zone file that was read by parts.
type partly struct {
	read  []text.Part
	parts []*zone.Part
	lines []int // of the first record of each
}

// read reads the parts of a file. It is nil when the file is to be read as a
// whole.
func (s *static) read(path string, kept *keptFile) *partly {
	r := &partly{}
	b := zone.NewBuilder(s.zone.Name)
	if len(s.zone.Nameservers) > 0 {
		b.Implies()
	}
	open, sound := false, true
	finish := func() {
		if open {
			p, ok := b.Part()
			sound = sound && ok
			r.parts = append(r.parts, p)
		}
		open = false
	}
	at := 0
	read, errs, ok := text.ReadParts(path, text.Options{Origin: s.zone.Name, TTL: s.zone.SOA.TTL}, kept.read, text.Handler{
		Part: func(was, line int) {
			finish()
			at = line
			r.lines = append(r.lines, line)
			if was >= 0 {
				r.parts = append(r.parts, kept.parts[was])
			} else {
				open = true
			}
		},
		Record: func(rec *text.Record) {
			moved := *rec
			moved.Pos.Line -= int32(at)
			sound = b.Add(&moved) == nil && sound
		},
	})
	finish()
	if !ok || len(errs) > 0 || !sound || len(r.parts) == 0 {
		return nil
	}
	r.read = read
	return r
}

// join makes the data of parts and of what else the configuration states. They
// are nil when something is wrong.
func (s *static) join(from *stating, r *partly, prev *zone.Data) (data *zone.Data, doubts []zone.Fault) {
	s.b = zone.NewBuilder(s.zone.Name)
	for i, p := range r.parts {
		for _, rec := range p.Apex {
			rec.Pos.Line += int32(r.lines[i])
			s.put(&rec)
		}
		for _, f := range p.Doubts {
			f.Pos.Line += int32(r.lines[i])
			doubts = append(doubts, f)
		}
	}
	errs := len(s.d.errs)
	if from.records != nil {
		s.records(from.records, s.zone.SOA.TTL)
	}
	for _, f := range from.fixed {
		s.service(f)
	}
	if from.servers != nil && !s.own(from.servers, s.zone) || len(s.d.errs) > errs || len(s.faults) > 0 {
		return nil, nil
	}
	data, faults, more, ok := s.b.Join(prev, r.parts)
	if !ok || len(faults) > 0 || data == nil {
		return nil, nil
	}
	return data, slices.Concat(doubts, more)
}
