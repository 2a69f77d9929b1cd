package admin

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// maxStreams is how many may follow what happens at once, and maxEdgeStreams how many
	// edges what a zone answers: a stream is for one zone.
	maxStreams     = 100
	maxEdgeStreams = 4096
	// heartbeat keeps proxies from ending a stream in which nothing happens.
	heartbeat = 15 * time.Second
	// maxStall is how long a client may take to take in what is written to it.
	maxStall = 30 * time.Second
)

// streams are those who follow.
type streams struct {
	of   string // what they follow
	most int

	mu     sync.Mutex
	open   int
	ending chan struct{} // closed when those that are open shall end
}

func newStreams(of string, most int) *streams {
	return &streams{of: of, most: most, ending: make(chan struct{})}
}

// enter is false when the request has been refused, for there are too many; else leave is to
// be called.
func (s *streams) enter(w http.ResponseWriter) (ending <-chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == s.most {
		w.Header().Set("Retry-After", "10")
		refuse(w, http.StatusServiceUnavailable, "%d streams of %s are open, and more there may not be: end one", s.most, s.of)
		return nil, false
	}
	s.open++
	return s.ending, true
}

func (s *streams) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

// EndStreams ends the responses that would never end by themselves. Clients ask again.
func (a *Admin) EndStreams() {
	a.streams.end()
	a.edgeStreams.end()
}

func (s *streams) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ending)
	s.ending = make(chan struct{})
}

// stream is what is written to a client.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	out     [][]byte // what is to be written; not to be changed
}

// newStream writes the head of a stream. It is false when nothing else is asked for.
func newStream(w http.ResponseWriter, r *http.Request) (s *stream, ok bool) {
	s = &stream{w: w, control: http.NewResponseController(w)}
	_ = s.control.SetReadDeadline(time.Time{}) // it was for the request, which has been read
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx
	w.WriteHeader(http.StatusOK)
	s.say("retry: 3000\n")
	return s, r.Method != http.MethodHead
}

// say adds to what is to be written.
func (s *stream) say(format string, v ...any) { s.out = append(s.out, fmt.Appendf(nil, format, v...)) }

// flush writes what there is, or fails when the client takes too long to take it.
func (s *stream) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(maxStall)) // not of every writer
	for _, b := range s.out {
		if _, err := s.w.Write(b); err != nil {
			return err
		}
	}
	clear(s.out)
	s.out = s.out[:0]
	return s.control.Flush()
}
