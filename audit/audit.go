package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// FileName is the log's file in a node's data directory. The file before it has
// .1 behind it, the one before that .2, up to .3.
const FileName = "audit.jsonl"

const (
	// Recent is how many entries are in memory.
	Recent = 1000
	// maxFile is how long a file becomes before the next one begins; with those
	// before it that is some 100,000 entries.
	maxFile = 8 << 20
	// olds is how many files are kept besides the one that is written.
	olds = 3
	// maxLine is more than any entry takes.
	maxLine = 64 << 10
)

// Node is who did what the node did by itself, because it was time. No token is
// called that.
const Node = "(node)"

// What may be done.
const (
	OverrideSet          = "override set"
	OverrideCleared      = "override cleared"
	OverrideLapsed       = "override lapsed"
	DrainSet             = "drain set"
	MaintenanceAdded     = "maintenance added"
	MaintenanceBegan     = "maintenance began"
	MaintenanceEnded     = "maintenance ended"
	MaintenanceCancelled = "maintenance cancelled"
	Failback             = "failback"
	Reload               = "reload"
)

// By is who asks for something.
type By struct {
	Who    string // the name of a token, or an address where there are none; whom an admin states
	Token  string // the name of the token that was used
	From   string // the address that the request came from
	Stated string // who the request says it is from, where that is not to be believed
	Why    string // in the operator's words
}

// Entry is one thing that was done. Its zero fields are not known, or not of its
// kind.
type Entry struct {
	ID     uint64    `json:"id"` // one more than that of the entry before
	At     time.Time `json:"at"`
	Who    string    `json:"who"`
	Token  string    `json:"token,omitempty"`
	From   string    `json:"from,omitempty"`
	Stated string    `json:"stated,omitempty"`
	What   string    `json:"what"`             // one of the constants
	On     string    `json:"on,omitempty"`     // service and endpoint, pool, or number of a maintenance
	How    string    `json:"how,omitempty"`    // the rest of it, in words
	Why    string    `json:"why,omitempty"`    // in the operator's words
	Failed string    `json:"failed,omitempty"` // why nothing came of it; it follows the entry that announced it
}

// Entry is what somebody does to something.
func (b By) Entry(what, on, how string) Entry {
	return Entry{Who: b.Who, Token: b.Token, From: b.From, Stated: b.Stated, Why: b.Why, What: what, On: on, How: how}
}

// Log is an open log. It is safe for concurrent use. A nil one takes entries and
// forgets them.
type Log struct {
	path string // empty: memory only

	mu     sync.Mutex
	file   *os.File
	size   int64
	torn   bool // the last line has no end
	last   uint64
	recent []Entry // at most Recent, the oldest first
}

// Open opens the log in a directory, which is there; dir "" is in memory only.
// What is not understood of the file is left out and stays in it: skipped is how
// many lines that was, as after a crash in the middle of one.
func Open(dir string) (l *Log, skipped int, err error) {
	l = &Log{}
	if dir == "" {
		return l, 0, nil
	}
	l.path = filepath.Join(dir, FileName)
	for _, path := range []string{l.old(1), l.path} { // right after a new one began, most are in the old one
		n, err := l.read(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, 0, fmt.Errorf("audit: %w", err)
		}
		skipped += n
	}
	if err := l.open(); err != nil {
		return nil, 0, fmt.Errorf("audit: %w", err)
	}
	return l, skipped, nil
}

func (l *Log) old(n int) string { return l.path + "." + strconv.Itoa(n) }

// read takes the entries of a file into memory.
func (l *Log) read(path string) (skipped int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewReaderSize(f, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		var e Entry
		if long := errors.Is(err, bufio.ErrBufferFull); long || len(bytes.TrimSpace(line)) > 0 && (json.Unmarshal(line, &e) != nil || e.ID == 0) {
			skipped++
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = lines.ReadSlice('\n')
			}
		} else if e.ID > 0 {
			l.remember(e)
		}
		switch {
		case errors.Is(err, io.EOF):
			return skipped, nil
		case err != nil:
			return skipped, err
		}
	}
}

func (l *Log) remember(e Entry) {
	l.last = max(l.last, e.ID)
	if len(l.recent) == Recent {
		copy(l.recent, l.recent[1:])
		l.recent = l.recent[:Recent-1]
	}
	l.recent = append(l.recent, e)
}

// open opens the file that is written, and finds out whether a crash has left a line
// without an end. It writes nothing: a disk without room keeps no node from starting.
func (l *Log) open() error {
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size, l.torn = f, st.Size(), false
	if l.size == 0 {
		return nil
	}
	end := make([]byte, 1)
	_, err = f.ReadAt(end, l.size-1)
	l.torn = err == nil && end[0] != '\n'
	return nil
}

// write writes a line, and takes back what was written of it when it fails.
func (l *Log) write(line []byte) error {
	if l.torn {
		line = append([]byte{'\n'}, line...)
	}
	_, err := l.file.Write(line)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		return errors.Join(err, l.file.Truncate(l.size))
	}
	l.size += int64(len(line))
	l.torn = false
	return nil
}

// Append writes an entry down, with its ID and, when it has none, its time. When
// it fails, the entry is nowhere.
func (l *Log) Append(e Entry) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.ID = l.last + 1
	if e.At.IsZero() {
		e.At = time.Now()
	}
	e.At = e.At.UTC().Round(0)
	if l.path != "" {
		line, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		if err := l.turn(); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		if err := l.write(append(line, '\n')); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	l.remember(e)
	return nil
}

// Announce does what an entry says, which is written first: when that fails,
// nothing is done. An entry that nothing came of is followed by one that says why.
func (l *Log) Announce(e Entry, do func() error) error {
	if err := l.Append(e); err != nil {
		return err
	}
	err := do()
	if err == nil {
		return nil
	}
	e.Failed = err.Error()
	if len(e.Failed) > maxFailed {
		e.Failed = strings.ToValidUTF8(e.Failed[:maxFailed], "") + "..."
	}
	if unwritten := l.Append(e); unwritten != nil {
		return errors.Join(err, unwritten)
	}
	return err
}

// maxFailed is how much of an error an entry has: those of a reload are many.
const maxFailed = 1000

// turn begins a new file when the one that is written is long enough, or was
// not opened the last time.
func (l *Log) turn() error {
	if l.file != nil && l.size < maxFile {
		return nil
	}
	if l.file != nil {
		err := l.file.Close()
		l.file = nil
		if err != nil {
			return err
		}
		for n := olds; n > 0; n-- {
			from := l.path
			if n > 1 {
				from = l.old(n - 1)
			}
			if err := os.Rename(from, l.old(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return errors.Join(err, l.open())
			}
		}
	}
	return l.open()
}

// Query selects entries of those in memory. Its zero value selects all.
type Query struct {
	After uint64    // those with a higher ID
	Since time.Time // those of this time and later
	// Limit is how many at most; 0 is all. They are the first ones after After or
	// Since, and the last ones when neither is stated.
	Limit int
}

// Read gives entries, the oldest first. more is whether Limit left some out.
func (l *Log) Read(q Query) (entries []Entry, more bool) {
	if l == nil {
		return nil, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.recent {
		if e.ID > q.After && !e.At.Before(q.Since) {
			entries = append(entries, e)
		}
	}
	if n := len(entries); q.Limit > 0 && n > q.Limit {
		more = true
		if q.After == 0 && q.Since.IsZero() {
			return entries[n-q.Limit:], more
		}
		return entries[:q.Limit], more
	}
	return entries, false
}

// Close closes the file.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
