package spec

import (
	"fmt"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone"
)

// Kept is what one Load leaves for the next: the records of zone files, which
// are not read again while the files stay as they are, and the services of large
// files, of which only what has changed is parsed again. The zero value is
// ready. It is for one Load at a time.
type Kept struct {
	zones map[dnswire.Name]keptZone
	texts map[string]keptText       // by the absolute path
	words *words                    // of texts
	parts map[dnswire.Name]keptFile // of zones, for the next reading of their files
	// next, nextTexts and nextParts are what the Load under way has found.
	next      map[dnswire.Name]keptZone
	nextTexts map[string]keptText
	nextParts map[dnswire.Name]keptFile
	// now is the clock; nil: the system's.
	now func() time.Time
}

// clock is the time by which files are old or new.
func (k *Kept) clock() time.Time {
	if k == nil || k.now == nil {
		return time.Now()
	}
	return k.now()
}

// keptZone is the data of a zone and all that it was made of.
type keptZone struct {
	data   *zone.Data
	doubts []zone.Fault
	files  []string // as errors name them
	paths  []string // absolute
	stamps []stamp  // of paths
	print  string   // of what the configuration states
}

// stamp tells one state of a file from another.
type stamp struct {
	size     int64
	inode    uint64 // 0 where there are none
	modified time.Time
	changed  time.Time // of what is known of the file, its content included
	known    bool
}

// Stamp is the state of a file as text, another one when it is written or
// another file takes its place; empty when it cannot be seen.
func Stamp(path string) string {
	st := stampOf(path)
	if !st.known {
		return ""
	}
	return fmt.Sprintf("%d %d %d", st.size, st.inode, st.modified.UnixNano())
}

func (k *Kept) begin() {
	if k != nil {
		k.next, k.nextTexts, k.nextParts = map[dnswire.Name]keptZone{}, map[string]keptText{}, map[dnswire.Name]keptFile{}
	}
}

// end keeps what a Load has found when it was sound, and otherwise what there
// was.
func (k *Kept) end(sound bool) {
	if k == nil {
		return
	}
	if sound {
		k.zones, k.texts, k.parts = k.next, k.nextTexts, k.nextParts
	}
	k.next, k.nextTexts, k.nextParts = nil, nil, nil
}

// find is what was kept of a zone, if it is still so.
func (k *Kept) find(name dnswire.Name, path, print string) (keptZone, bool) {
	if k == nil {
		return keptZone{}, false
	}
	z, ok := k.zones[name]
	if !ok || z.print != print || z.paths[0] != path {
		return z, false
	}
	for i, p := range z.paths {
		if now := stampOf(p); !now.known || now != z.stamps[i] {
			return z, false
		}
	}
	return z, true
}

// vocabulary are the words that go on from load to load.
func (k *Kept) vocabulary() *words {
	if k == nil {
		return newWords()
	}
	if k.words == nil {
		k.words = newWords()
	}
	return k.words
}

// text is what was kept of a large file.
func (k *Kept) text(path string) keptText {
	if k == nil {
		return keptText{}
	}
	return k.texts[path]
}

func (k *Kept) keepText(path string, t keptText) {
	if k != nil && (t.stamp.known || len(t.parts) > 0) {
		k.nextTexts[path] = t
	}
}

func (k *Kept) put(name dnswire.Name, z keptZone) {
	if k != nil {
		k.next[name] = z
	}
}

// print is all that the configuration itself states of a zone's static records.
// Not ok: it states what is not worth comparing.
func (s *static) print(records *entry, servers bool, fixed []fixed) (print string, ok bool) {
	if len(fixed) > 0 {
		return "", false
	}
	var b strings.Builder
	if servers {
		fmt.Fprintf(&b, "%v %v\n", s.zone.Nameservers, s.zone.SOA)
	}
	fmt.Fprintln(&b, s.zone.SOA.TTL)
	if records != nil {
		for _, list := range records.vals {
			for item := range list.Children() {
				line, err := item.Text(s.d.env)
				if err != nil {
					return "", false
				}
				fmt.Fprintf(&b, "%q\n", line)
			}
		}
	}
	return b.String(), true
}

// clockStep is how far behind the time may be that a file system gives a change.
const clockStep = 10 * time.Millisecond

// before is whether a file that is read from a time on was written before it.
func (st stamp) before(begun time.Time) bool {
	last := begun.Add(-clockStep)
	return st.known && !st.modified.After(last) && !st.changed.After(last)
}

// keep puts what has been made of a zone aside for the next Load.
func (s *static) keep(print string, doubts []zone.Fault) {
	z := keptZone{data: s.zone.Data, doubts: doubts, files: s.files, paths: s.paths, print: print}
	for _, f := range doubts {
		if f.Pos.File >= configured {
			return // its place is of this configuration alone
		}
	}
	for _, p := range s.paths {
		st := stampOf(p)
		if !st.before(s.begun) {
			return // it may have been written while it was read
		}
		z.stamps = append(z.stamps, st)
	}
	s.d.kept.put(s.zone.Name, z)
}
