package edge

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
)

const (
	// saveGap is how long after one file was written the next one is, at least.
	saveGap = 30 * time.Second
	// saveShare is how many times as long as it took it is until then.
	saveShare = 20
	// abandoned is how old a file has to be that somebody began and left.
	abandoned = time.Hour
)

// disk keeps the records of a zone over a restart: gzip, whose checksum tells what has
// been damaged, of a line that says what they are and a snapshot like a controller's.
// The file's time is when a controller last said that they are so.
type disk struct {
	path  string
	o     *Options
	rules *rules
	lim   limits

	mu   sync.Mutex
	hash string // of the records in the file
}

// preface is the first line of a file.
type preface struct {
	Format  int      `json:"format"`
	Regions []string `json:"regions"`
}

// format is the form of the files that are written and read.
const format = 1

func newDisk(o *Options, r *rules, lim limits) *disk {
	return &disk{path: filepath.Join(o.DataDir, fileName(o.Zone)), o: o, rules: r, lim: lim}
}

// fileName is the name of a zone's file: letters, digits, dots, '-', '_' and, for every
// other octet, '%' and two digits.
func fileName(zone dnswire.Name) string {
	var b strings.Builder
	b.WriteString("zone-")
	for _, c := range []byte(dotless(zone)) {
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	b.WriteString(".json.gz")
	return b.String()
}

// load reads the file. At is when a controller last said that the records are so. Absent
// files are nil and no error.
func (d *disk) load(ctx context.Context) (t *taken, at time.Time, err error) {
	d.tidy()
	st, err := os.Stat(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, at, nil
	}
	if err != nil {
		return nil, at, err
	}
	if !st.Mode().IsRegular() {
		return nil, at, fmt.Errorf("%s is no regular file", d.path)
	}
	f, err := os.Open(d.path)
	if err != nil {
		return nil, at, err
	}
	defer f.Close()
	if t, err = d.read(ctx, f); err != nil {
		return nil, at, fmt.Errorf("%s: %w", d.path, err)
	}
	at = st.ModTime()
	if now := time.Now(); at.After(now) {
		at = now
	}
	return t, at, nil
}

// read reads what a file holds.
func (d *disk) read(ctx context.Context, r io.Reader) (*taken, error) {
	z, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return nil, err
	}
	const longest = 64 << 10
	in := bufio.NewReaderSize(&io.LimitedReader{R: z, N: d.lim.body}, longest)
	line, err := in.ReadSlice('\n')
	if err != nil {
		return nil, fmt.Errorf("its first line: %w", err)
	}
	var p preface
	if err := json.Unmarshal(line, &p); err != nil {
		return nil, fmt.Errorf("its first line: %w", err)
	}
	if p.Format != format {
		return nil, fmt.Errorf("it has format %d, and %d is known", p.Format, format)
	}
	if !slices.Equal(p.Regions, d.o.Regions) {
		return nil, fmt.Errorf("it is of the regions %q, and %q are wanted", p.Regions, d.o.Regions)
	}
	t, err := gather(in, gatherOptions{rules: d.rules, apex: d.o.Apex, most: d.o.MaxRecords, ended: ctx.Err})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.hash = t.hash
	d.mu.Unlock()
	return t, nil
}

// tidy removes files that somebody began to write and left.
func (d *disk) tidy() {
	left, _ := filepath.Glob(escapeGlob(d.path) + ".*.new")
	for _, p := range left {
		if st, err := os.Stat(p); err == nil && time.Since(st.ModTime()) > abandoned {
			_ = os.Remove(p)
		}
	}
}

// escapeGlob is a path as a pattern that matches it alone.
func escapeGlob(path string) string {
	if filepath.Separator == '\\' {
		return path // there are no escapes
	}
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(path)
}

// write writes the records in place of what is there.
func (d *disk) write(st *standing, hash string, at time.Time) (err error) {
	if err := os.MkdirAll(d.o.DataDir, 0o750); err != nil {
		return err
	}
	f, err := os.CreateTemp(d.o.DataDir, filepath.Base(d.path)+".*.new")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := d.encode(f, st, hash); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Chtimes(f.Name(), at, at); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), d.path); err != nil {
		return err
	}
	syncDir(d.o.DataDir)
	d.mu.Lock()
	d.hash = hash
	d.mu.Unlock()
	return nil
}

// syncDir makes a new name of a file survive a loss of power, where that can be asked.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}

func (d *disk) encode(f io.Writer, st *standing, hash string) error {
	z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(z, windowLen)
	first, err := json.Marshal(preface{Format: format, Regions: d.o.Regions})
	if err != nil {
		return err
	}
	head, err := json.Marshal(api.Snapshot{Zone: dotless(d.o.Zone), VersionHash: hash, Records: []api.Record{}})
	if err != nil {
		return err
	}
	_, _ = w.Write(append(first, '\n'))
	_, _ = w.Write(head[:len(head)-len("]}")])
	comma := false
	st.list(func(_ string, _ kind, json []byte) bool {
		if comma {
			_ = w.WriteByte(',')
		}
		comma = true
		_ = w.WriteByte('\n')
		_, err = w.Write(json)
		return err == nil
	})
	_, _ = w.WriteString("]}\n")
	if err := w.Flush(); err != nil { // what a write has failed with
		return err
	}
	return z.Close()
}

// confirm notes that a controller has said that the records are still those of the file.
func (d *disk) confirm(hash string, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if hash != "" && d.hash == hash {
		_ = os.Chtimes(d.path, at, at) // at worst they look older than they are
	}
}

// restore takes what was kept.
func (e *Edge) restore(ctx context.Context) {
	if e.disk == nil {
		return
	}
	t, at, err := e.disk.load(ctx)
	if err == nil && t != nil {
		err = e.take(ctx, t, api.FromDisk)
		spare(e.size() >= manyRecords)
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		e.log.Error("The snapshot of an earlier run cannot be used", "error", err)
	case t != nil:
		e.mu.Lock()
		e.good = at
		e.mu.Unlock()
	}
}

// save writes the records when they have changed, until ctx ends, and then once more.
func (e *Edge) save(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			e.saveNow()
			return
		case <-e.unsaved:
		}
		begun := time.Now()
		e.saveNow()
		select {
		case <-ctx.Done():
		case <-time.After(max(saveGap, saveShare*time.Since(begun))):
		}
	}
}

func (e *Edge) saveNow() {
	e.mu.Lock()
	changed, at := e.changed, e.good
	e.changed = false
	e.mu.Unlock()
	if !changed {
		return
	}
	st, hash := e.listing()
	if st == nil {
		return
	}
	if at.IsZero() {
		at = time.Now()
	}
	err := e.disk.write(st, hash, at)
	if err != nil {
		e.mu.Lock()
		e.changed = true
		e.mu.Unlock()
		poke(e.unsaved) // there may be room the next time
	}
	switch failed := err != nil; {
	case failed && !e.unkept:
		e.log.Error("The snapshot cannot be kept: a start without a controller would have an older one, or none", "error", err)
	case !failed && e.unkept:
		e.log.Info("The snapshot is kept again")
	}
	e.unkept = err != nil
}
