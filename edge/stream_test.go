package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

// streamer is a controller with a stream of events.
type streamer struct {
	sync.Mutex
	hash    string
	records []string
	asked   []string // but for streams
	opened  []string // since of each stream
	feed    chan string
	refuse  int // status of the stream; 0 for a stream
}

func (s *streamer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.Lock()
	text := `{"unchanged":true}`
	if q.Get("since") != s.hash {
		text = snapshot(s.hash, s.records...)
	}
	if r.URL.Path != api.EventsPath {
		s.asked = append(s.asked, r.URL.Path)
		s.Unlock()
		_, _ = io.WriteString(w, text)
		return
	}
	s.opened = append(s.opened, q.Get("since"))
	s.Unlock()
	if s.refuse != 0 {
		http.Error(w, "no", s.refuse)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.(http.Flusher).Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case text := <-s.feed:
			if text == "" {
				return
			}
			_, _ = io.WriteString(w, text)
		}
	}
}

// state says which version and records there are.
func (s *streamer) state(hash string, records ...string) {
	s.Lock()
	defer s.Unlock()
	s.hash, s.records = hash, records
}

// seen are the requests and the streams so far.
func (s *streamer) seen() (asked, opened []string) {
	s.Lock()
	defer s.Unlock()
	return slices.Clone(s.asked), slices.Clone(s.opened)
}

func changeText(from, to, rest string) string {
	return fmt.Sprintf("event: change\ndata: {\"from\":%q,\"version_hash\":%q,%s}\n\n", from, to, rest)
}

func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &streamer{hash: "1", records: []string{one}, feed: make(chan string)}
		e := start(t, options(), s)
		stop := run(t, e)
		synctest.Wait()
		if asked, opened := s.seen(); !e.Health().Stream || len(asked) != 1 || opened[0] != "1" {
			t.Fatalf("asked %v, opened %q", asked, opened)
		}
		begun := time.Now()
		tell := func(text string) { s.feed <- text; synctest.Wait() }
		s.state("2")
		tell(changeText("1", "2", `"records":[`+two+`],"deletes":[{"name":"a.gslb.elchi","type":"A"}]`))
		same(t, "after a change", holds(e.st.data), []string{"b.gslb.elchi. 20 A 192.0.2.2"})
		if asked, _ := s.seen(); e.version() != "2" || time.Since(begun) > 0 || len(asked) != 1 {
			t.Errorf("version %s after %v, asked %v", e.version(), time.Since(begun), asked)
		}
		// The same once more, as after a poll that was faster.
		tell(changeText("1", "2", `"deletes":[{"name":"b.gslb.elchi","type":"A"}]`))
		same(t, "after a change that is known", holds(e.st.data), []string{"b.gslb.elchi. 20 A 192.0.2.2"})
		// What applies to another version is asked for.
		s.state("4", one, two)
		tell(changeText("3", "4", `"records":[]`))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if asked, _ := s.seen(); e.version() != "4" || len(asked) != 2 {
			t.Errorf("version %s, asked %v", e.version(), asked)
		}
		// A reset is asked for as well, unless it is known.
		tell("event: reset\ndata: {\"version_hash\":\"4\"}\n\n")
		time.Sleep(2 * time.Second)
		if asked, _ := s.seen(); len(asked) != 2 {
			t.Errorf("asked %v", asked)
		}
		s.state("5")
		tell(": keep-alive\n\n\nevent: other\ndata: x\n\nevent: reset\ndata: {\"version_hash\":\"5\"}\n\n")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if asked, _ := s.seen(); e.version() != "5" || len(asked) != 3 {
			t.Errorf("version %s, asked %v", e.version(), asked)
		}
		// However many, one request a second.
		for i := range 20 {
			s.state(fmt.Sprint("r", i))
			tell("event: reset\ndata: {}\n\n")
		}
		time.Sleep(3500 * time.Millisecond)
		asked, before := s.seen()
		if n := len(asked); n < 4 || n > 6 {
			t.Errorf("%d requests", n-3)
		}
		// An event that is none ends the stream; the edge asks, and comes back.
		tell("event: change\ndata: {\"from\":\n\n")
		if e.Health().Stream {
			t.Error("the stream goes on after half an event")
		}
		time.Sleep(3 * time.Second)
		if _, opened := s.seen(); !e.Health().Stream || len(opened) != len(before)+1 {
			t.Errorf("opened %q", opened)
		}
		// One that is silent is given up.
		time.Sleep(50 * time.Second)
		again, opened := s.seen()
		if len(opened) != len(before)+2 {
			t.Errorf("opened %q", opened)
		}
		// Each time it asked what it had missed.
		if n := len(again) - len(asked); n != 2 {
			t.Errorf("it asked %d times after two streams", n)
		}
		stop()
	})
}

// A controller without a stream is polled, and asked for one again rarely; one that
// fails is asked sooner.
func TestNoStream(t *testing.T) {
	for refuse, most := range map[int]int{404: 7, 200: 7, 503: 40} {
		synctest.Test(t, func(t *testing.T) {
			s := &streamer{hash: "1", records: []string{one}, refuse: refuse}
			o := options()
			o.SyncInterval = time.Minute
			e := start(t, o, s)
			stop := run(t, e)
			time.Sleep(30 * time.Minute)
			stop()
			asked, opened := s.seen()
			if n := len(opened); n < 3 || n > most || refuse == 503 && n < 20 {
				t.Errorf("%d: asked for a stream %d times", refuse, n)
			}
			if n := len(asked); n < 25 || n > 35 {
				t.Errorf("%d: polled %d times", refuse, n)
			}
		})
	}
}

// The stream is that of the controller that answers.
func TestStreamFollowsTheController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := &streamer{hash: "1", feed: make(chan string)}
		two := &streamer{hash: "2", feed: make(chan string)}
		var down atomic.Bool
		o := options()
		o.Endpoints = []string{"http://one.test", "http://two.test"}
		e := start(t, o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Host == "two.test":
				two.ServeHTTP(w, r)
			case down.Load() && r.URL.Path != api.EventsPath:
				http.Error(w, "", 500)
			default:
				one.ServeHTTP(w, r)
			}
		}))
		stop := run(t, e)
		want := func(ofOne, ofTwo int) {
			t.Helper()
			synctest.Wait()
			_, first := one.seen()
			_, second := two.seen()
			if len(first) != ofOne || len(second) != ofTwo || !e.Health().Stream {
				t.Errorf("streams of the first: %v, of the second: %v", first, second)
			}
		}
		want(1, 0)
		down.Store(true)
		e.soon()
		time.Sleep(2 * time.Second)
		want(1, 1)
		down.Store(false)
		e.soon()
		time.Sleep(2 * time.Second)
		want(2, 1)
		stop()
	})
}

// A controller that has no stream, and by then is not the one that answers, is no reason
// to wait with the stream of that one.
func TestNoStreamOfWhoAnswersNoMore(t *testing.T) {
	for range 300 { // which of the two is noticed first is chance
		synctest.Test(t, func(t *testing.T) {
			two := &streamer{feed: make(chan string)}
			var e *Edge
			e = start(t, options(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Host == "two.test" {
					two.ServeHTTP(w, r)
					return
				}
				e.went("http://two.test")
				http.NotFound(w, r)
			}))
			ctx, stop := context.WithCancel(t.Context())
			over := make(chan struct{})
			go func() {
				defer close(over)
				e.follow(ctx)
			}()
			e.went("http://one.test")
			time.Sleep(time.Second)
			if _, opened := two.seen(); len(opened) != 1 {
				t.Errorf("a second later the stream was asked for %d times", len(opened))
			}
			stop()
			<-over
		})
	}
}

// parts are the events of a stream.
func parts(r io.Reader, most int) (all []string, err error) {
	err = readEvents(r, most, func(kind string, data []byte) error {
		all = append(all, kind+"|"+string(data))
		return nil
	})
	return all, err
}

func TestReadEvents(t *testing.T) {
	long := strings.Repeat("x", windowLen+10)
	for _, c := range []struct {
		text string
		want []string
	}{
		{"event: a\ndata: 1\n\n", []string{"a|1"}},
		{"event:a\r\ndata:1\r\ndata: 2\r\n\r\n", []string{"a|1\n2"}},
		{"\xef\xbb\xbfdata: 1\n\n", []string{"|1"}},
		{": comment\n\nid: 7\nretry: 1\n\nevent: a\n\ndata\n\n", []string{"|"}},
		{"data: 1\n\ndata: cut short\n", []string{"|1"}},
		{"data: " + long + "\n\n", []string{"|" + long}},
	} {
		for _, r := range []io.Reader{strings.NewReader(c.text), iotest.OneByteReader(strings.NewReader(c.text))} {
			got, err := parts(r, 1<<20)
			if !errors.Is(err, io.EOF) {
				t.Errorf("%.40q: %v", c.text, err)
			}
			same(t, fmt.Sprintf("%.40q", c.text), got, c.want)
		}
	}
	for _, large := range []string{"data: " + long, "data: " + long + "\n\n", strings.Repeat("data: x\n", 1000)} {
		if _, err := parts(strings.NewReader(large), 500); !errors.Is(err, errLarge) {
			t.Errorf("%.40q: %v", large, err)
		}
	}
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("event: a\ndata: {\"from\":\"1\",\"version_hash\":\"2\",\"records\":[]}\n\n"))
	f.Add([]byte(": x\r\n\r\nevent:reset\ndata\ndata: \n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, err := parts(bytes.NewReader(b), 100)
		slow, err2 := parts(iotest.OneByteReader(bytes.NewReader(b)), 100)
		if fmt.Sprint(whole, err) != fmt.Sprint(slow, err2) {
			t.Errorf("%q, %v; octet by octet %q, %v", whole, err, slow, err2)
		}
	})
}
