package controller

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/bits"
	"sync"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/resolve"
)

// State is the records of a view at one instant. It is immutable.
type State struct {
	Zone string // without the final dot
	// Hash is one of what the records say, in whatever order they stand. It is the same
	// on every node and after every restart.
	Hash string

	snapshot *resolve.Snapshot
	setting  *setting
	census   *census
	shared   []*content         // by number of the plan
	own      map[int32]*content // by number of the service, where it is not that of its plan
	sum      sum
	count    int

	packed *packed
}

// packed is the records of a state as JSON, compressed: made when somebody asks.
type packed struct{ snapshot, changes packet }

type packet struct {
	once sync.Once
	json []byte
}

// Len is the number of records.
func (s *State) Len() int { return s.count }

// content is that of a service.
func (s *State) content(i int32) *content {
	if c, own := s.own[i]; own {
		return c
	}
	return s.shared[s.census.services[i].plan]
}

// names is how many names a state has.
func (s *State) names() int { return len(s.census.services) + s.census.static.len() }

// named is a name of the state by its number, and what there is to say of it.
func (s *State) named(i int) (string, *content) {
	if n := len(s.census.services); i >= n {
		f := s.census.static.at(i - n)
		return f.name, f.says
	}
	return s.census.services[i].name, s.content(int32(i))
}

// number is that of a name, -1 when the state has none of the kind.
func (s *State) number(name string) int {
	if i := s.census.find(name); i >= 0 {
		return int(i)
	}
	if i := s.census.static.find(name); i >= 0 {
		return len(s.census.services) + i
	}
	return -1
}

// each calls f with every name and what there is to say of it until it returns false.
func (s *State) each(f func(name string, c *content) bool) {
	for i := range s.census.services {
		if !f(s.census.services[i].name, s.content(int32(i))) {
			return
		}
	}
	s.census.static.each(f)
}

// Records calls f with every record until it returns false.
func (s *State) Records(f func(api.Record) bool) {
	s.each(func(name string, c *content) bool {
		for i := range c.records {
			r := c.records[i].Record
			r.Name = name
			if !f(r) {
				return false
			}
		}
		return true
	})
}

// WriteJSON writes the records as the answer to a request: an api.Snapshot, or with
// changes an api.Changes.
func (s *State) WriteJSON(w io.Writer, changes bool) error {
	b := bufio.NewWriterSize(w, 64<<10)
	_ = b.WriteByte('{')
	if changes {
		_, _ = b.WriteString(`"unchanged":false,`)
	}
	_, _ = b.WriteString(`"zone":` + quoted(s.Zone) + `,"version_hash":"` + s.Hash + `","records":[`)
	first := true
	s.each(func(name string, c *content) bool {
		for i := range c.records {
			if !first {
				_ = b.WriteByte(',')
			}
			first = false
			_, _ = b.WriteString(`{"name":`)
			if plain(name) {
				_ = b.WriteByte('"')
				_, _ = b.WriteString(name)
				_ = b.WriteByte('"')
			} else {
				_, _ = b.WriteString(quoted(name))
			}
			_, _ = b.WriteString(c.records[i].tail)
		}
		return !failed(b)
	})
	_, _ = b.WriteString("]}\n")
	return b.Flush() // of whichever write failed first
}

// failed is whether a write has failed: then the rest is in vain.
func failed(b *bufio.Writer) bool {
	_, err := b.Write(nil)
	return err != nil
}

// plain is whether a name is the same as JSON.
func plain(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// quoted is a name as JSON.
func quoted(name string) string {
	b, err := json.Marshal(name)
	if err != nil {
		panic(err) // text
	}
	return string(b)
}

// Compressed is what WriteJSON writes, compressed by gzip. It is made once, however many
// ask, and not to be changed.
func (s *State) Compressed(changes bool) []byte {
	p := &s.packed.snapshot
	if changes {
		p = &s.packed.changes
	}
	p.once.Do(func() {
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // a level that there is
		_ = s.WriteJSON(z, changes)                     // memory takes it
		_ = z.Close()
		p.json = b.Bytes()
	})
	return p.json
}

// sum is the sum of the hashes of records, modulo 2^256: in whatever order they are added,
// and less those that are taken away, it is the same.
type sum [4]uint64

// hashed is the hash of a record.
func hashed(name string, r *record, buf []byte) (sum, []byte) {
	buf = append(append(append(buf[:0], name...), ' '), r.key...)
	h := sha256.Sum256(buf)
	var s sum
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(h[8*i:])
	}
	return s, buf
}

func (s *sum) add(o *sum) {
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], o[i], carry)
	}
}

func (s *sum) take(o *sum) {
	var borrow uint64
	for i := range s {
		s[i], borrow = bits.Sub64(s[i], o[i], borrow)
	}
}

// hash is the text of a version: 128 bits of a hash of the zone and its records.
func (s *State) hash() string {
	b := append([]byte(s.Zone), 0)
	for _, w := range s.sum {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	h := sha256.Sum256(binary.LittleEndian.AppendUint64(b, uint64(s.count)))
	return hex.EncodeToString(h[:16])
}
