package history

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// FileName is the file of the list in a node's data directory. While it is written
// anew, it has .new behind it.
const FileName = "history.jsonl"

const (
	// maxLine is more than any event takes.
	maxLine = 64 << 10
	// A file is written anew when it has so many lines that are no longer in memory
	// and as many again as there are.
	maxStale = 20_000
	// syncEvery is how often what was written is made to survive a loss of power. A
	// node that is killed loses none of it.
	syncEvery = 5 * time.Second
	// retryEvery is how long after a failure it is tried again.
	retryEvery = 10 * time.Second
	// chunkLen is how many events are written at a time.
	chunkLen = 1000
)

// file is of one goroutine after it was opened.
type file struct {
	path    string
	f       sink
	size    int64
	lines   int
	enough  int  // it is not written anew before it has more lines than that
	dirty   bool // not synced
	bad     bool // it is not what it should be: it is to be written anew
	failing bool // what was written last failed
	buf     bytes.Buffer
}

// sink is what is needed of an open file.
type sink interface {
	io.WriteCloser
	Truncate(size int64) error
	Sync() error
}

// openFile reads the file, if there is one, and opens it. restore is given every event
// in it, and says whether it can be one.
func openFile(dir string, log *slog.Logger, restore func(*Event) bool) (*file, error) {
	f := &file{path: filepath.Join(dir, FileName)}
	_ = os.Remove(f.path + ".new") // of a node that died meanwhile
	old, err := os.Open(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		lines, skipped, err := read(old, restore)
		_ = old.Close()
		if err != nil {
			return nil, err
		}
		f.lines = lines
		if skipped > 0 {
			log.Warn("lines of the history not understood", "file", FileName, "lines", skipped)
		}
	}
	return f, f.open()
}

// read gives the events of a file to f, which says whether it takes them. skipped are
// the lines that are none, as after a crash in the middle of one.
func read(from io.Reader, f func(*Event) bool) (lines, skipped int, err error) {
	r := bufio.NewReaderSize(from, maxLine)
	for {
		line, err := r.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		if len(bytes.TrimSpace(line)) > 0 {
			lines++
			var e Event
			if long || json.Unmarshal(line, &e) != nil || !f(&e) {
				skipped++
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return lines, skipped, nil
		case err != nil:
			return lines, skipped, err
		}
	}
}

// open opens the file to be written on, and ends a line that a crash has left.
func (f *file) open() error {
	w, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	st, err := w.Stat()
	if err != nil {
		return errors.Join(err, w.Close())
	}
	f.f, f.size = w, st.Size()
	if f.size == 0 {
		return nil
	}
	end := make([]byte, 1)
	if _, err := w.ReadAt(end, f.size-1); err == nil && end[0] != '\n' {
		f.buf.WriteByte('\n')
		f.bad = f.flush() != nil // a full disk keeps no node from starting
	}
	return nil
}

// add writes events behind the others.
func (f *file) add(events []Event) error {
	enc := json.NewEncoder(&f.buf)
	for i := range events {
		if err := enc.Encode(&events[i]); err != nil {
			return err
		}
	}
	if err := f.flush(); err != nil {
		return err
	}
	f.lines += len(events)
	return nil
}

// flush writes what there is in one piece, and takes back what was written of it when
// it fails. Where that fails too, the file is bad.
func (f *file) flush() error {
	n, err := f.f.Write(f.buf.Bytes())
	f.buf.Reset()
	if err != nil {
		undone := f.f.Truncate(f.size)
		f.bad = f.bad || undone != nil
		return errors.Join(err, undone)
	}
	f.size += int64(n)
	f.dirty = true
	return nil
}

func (f *file) sync() error {
	if !f.dirty {
		return nil
	}
	f.dirty = false
	err := f.f.Sync()
	f.bad = f.bad || err != nil // nobody knows what of it is on the disk
	return err
}

// anew writes all that is remembered into a new file that takes the place of the old
// one, and gives a reader that is past that.
func (f *file) anew(l *Log) (*Reader, error) {
	w, err := os.OpenFile(f.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	next := &file{path: f.path, f: w, failing: f.failing}
	r := l.Reader(0)
	for {
		p := r.Next(Query{}, chunkLen)
		if err = next.add(p.Events); err != nil || p.More != nil {
			break
		}
	}
	if err == nil {
		err = next.sync()
	}
	if err == nil {
		err = os.Rename(w.Name(), f.path)
	}
	if err != nil {
		return nil, errors.Join(err, w.Close(), os.Remove(w.Name()))
	}
	if f.f != nil {
		_ = f.f.Close() // it is no longer there
	}
	*f = *next
	return r, syncDir(filepath.Dir(f.path))
}

// syncDir makes a new name of a file survive a loss of power, where that can be asked.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	_ = d.Sync()
	return d.Close()
}

// write writes down what is taken in until ctx ends, and then what is left.
func (l *Log) write(ctx context.Context) {
	f, r := l.file, l.Reader(l.first-1)
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	var tried time.Time
	for {
		p := Part{More: make(chan struct{})}
		if !f.failing || time.Since(tried) >= retryEvery {
			tried = time.Now()
			var err error
			p, err = l.writeNext(&r)
			l.wrote(err)
		}
		if p.More == nil {
			continue
		}
		select {
		case <-ctx.Done():
			// What happened last is taken in before all is over.
			l.take()
			for p.More = nil; p.More == nil; {
				var err error
				if p, err = l.writeNext(&r); err != nil {
					l.wrote(err)
					break
				}
			}
			l.wrote(errors.Join(f.sync(), f.close()))
			return
		case <-p.More:
		case <-tick.C:
			if err := f.sync(); err != nil {
				l.wrote(err)
			}
		}
	}
}

// writeNext writes what comes next down, or all anew. When it fails, the reader is where
// it was.
func (l *Log) writeNext(r **Reader) (Part, error) {
	f := l.file
	l.mu.RLock()
	stale := f.lines > max(2*len(l.records)+maxStale, f.enough)
	l.mu.RUnlock()
	if f.bad || stale {
		next, err := f.anew(l)
		switch {
		case err == nil:
			*r = next
		case f.bad:
			return Part{}, err
		default: // there may be no room for another one, and some in this one
			f.enough = f.lines + maxStale
			l.meters.failed.Inc()
			l.log.Warn("history not written anew: what nobody remembers stays in it", "file", FileName, "lines", f.lines, "error", err)
		}
	}
	at := **r
	p := (*r).Next(Query{}, chunkLen)
	if len(p.Events) == 0 {
		return p, nil
	}
	if err := f.add(p.Events); err != nil {
		**r = at
		return Part{}, err
	}
	return p, nil
}

// wrote says how writing goes, once.
func (l *Log) wrote(err error) {
	switch f := l.file; {
	case err != nil:
		l.meters.failed.Inc()
		if !f.failing {
			l.log.Error("history not written: it is tried again", "file", FileName, "error", err)
		}
		f.failing = true
	case f.failing:
		f.failing = false
		l.log.Info("history written again", "file", FileName)
	}
}

func (f *file) close() error {
	if err := f.f.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}
