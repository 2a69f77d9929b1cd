package edge

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

// streamer is a controller with a stream of events.
type streamer struct {
	hash    string
	records []string
	asked   []string // but for streams
	opened  []string // since of each stream
	feed    chan string
	refuse  int // status of the stream; 0 for a stream
}

func (s *streamer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if r.URL.Path != api.EventsPath {
		s.asked = append(s.asked, r.URL.Path)
		if q.Get("since") == s.hash {
			_, _ = io.WriteString(w, `{"unchanged":true}`)
			return
		}
		_, _ = io.WriteString(w, snapshot(s.hash, s.records...))
		return
	}
	s.opened = append(s.opened, q.Get("since"))
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

func changeText(from, to, rest string) string {
	return fmt.Sprintf("event: change\ndata: {\"from\":%q,\"version_hash\":%q,%s}\n\n", from, to, rest)
}

func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &streamer{hash: "1", records: []string{one}, feed: make(chan string)}
		e := start(t, options(), s)
		stop := run(t, e)
		synctest.Wait()
		if h := e.Health(); !h.Stream || len(s.asked) != 1 || s.opened[0] != "1" {
			t.Fatalf("%+v, asked %v, opened %q", h, s.asked, s.opened)
		}
		begun := time.Now()
		tell := func(text string) { s.feed <- text; synctest.Wait() }
		s.hash = "2"
		tell(changeText("1", "2", `"records":[`+two+`],"deletes":[{"name":"a.gslb.elchi","type":"A"}]`))
		same(t, "after a change", holds(e.st.data), []string{"b.gslb.elchi. 20 A 192.0.2.2"})
		if e.version() != "2" || time.Since(begun) > 0 || len(s.asked) != 1 {
			t.Errorf("version %s after %v, asked %v", e.version(), time.Since(begun), s.asked)
		}
		// The same once more, as after a poll that was faster.
		tell(changeText("1", "2", `"deletes":[{"name":"b.gslb.elchi","type":"A"}]`))
		same(t, "after a change that is known", holds(e.st.data), []string{"b.gslb.elchi. 20 A 192.0.2.2"})
		// What applies to another version is asked for.
		s.hash, s.records = "4", []string{one, two}
		tell(changeText("3", "4", `"records":[]`))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if e.version() != "4" || len(s.asked) != 2 {
			t.Errorf("version %s, asked %v", e.version(), s.asked)
		}
		// A reset is asked for as well, unless it is known.
		tell("event: reset\ndata: {\"version_hash\":\"4\"}\n\n")
		time.Sleep(2 * time.Second)
		if len(s.asked) != 2 {
			t.Errorf("asked %v", s.asked)
		}
		s.hash = "5"
		tell(": keep-alive\n\n\nevent: other\ndata: x\n\nevent: reset\ndata: {\"version_hash\":\"5\"}\n\n")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if e.version() != "5" || len(s.asked) != 3 {
			t.Errorf("version %s, asked %v", e.version(), s.asked)
		}
		// However many, one request a second.
		for i := range 20 {
			s.hash = fmt.Sprint("r", i)
			tell("event: reset\ndata: {}\n\n")
		}
		time.Sleep(1500 * time.Millisecond)
		if n := len(s.asked); n < 4 || n > 6 {
			t.Errorf("%d requests", n-3)
		}
		// An event that is none ends the stream; the edge asks, and comes back.
		opened := len(s.opened)
		tell("event: change\ndata: {\"from\":\n\n")
		if e.Health().Stream {
			t.Error("the stream goes on after half an event")
		}
		time.Sleep(3 * time.Second)
		if h := e.Health(); !h.Stream || len(s.opened) != opened+1 {
			t.Errorf("%+v, opened %q", h, s.opened)
		}
		// One that is silent is given up.
		time.Sleep(50 * time.Second)
		if len(s.opened) != opened+2 {
			t.Errorf("opened %q", s.opened)
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
			if n := len(s.opened); n < 3 || n > most || refuse == 503 && n < 20 {
				t.Errorf("%d: asked for a stream %d times", refuse, n)
			}
			if n := len(s.asked); n < 25 || n > 35 {
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
		down := false
		o := options()
		o.Endpoints = []string{"http://one.test", "http://two.test"}
		e := start(t, o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Host == "two.test":
				two.ServeHTTP(w, r)
			case down && r.URL.Path != api.EventsPath:
				http.Error(w, "", 500)
			default:
				one.ServeHTTP(w, r)
			}
		}))
		stop := run(t, e)
		synctest.Wait()
		if len(one.opened) != 1 || len(two.opened) != 0 {
			t.Fatalf("%v %v", one.opened, two.opened)
		}
		down = true
		e.soon()
		time.Sleep(2 * time.Second)
		if len(one.opened) != 1 || len(two.opened) != 1 || !e.Health().Stream {
			t.Errorf("%v %v", one.opened, two.opened)
		}
		down = false
		e.soon()
		time.Sleep(2 * time.Second)
		if len(one.opened) != 2 || len(two.opened) != 1 || !e.Health().Stream {
			t.Errorf("%v %v", one.opened, two.opened)
		}
		stop()
	})
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
			if err != io.EOF { //nolint:errorlint // the reader's own
				t.Errorf("%.40q: %v", c.text, err)
			}
			same(t, fmt.Sprintf("%.40q", c.text), got, c.want)
		}
	}
	for _, large := range []string{"data: " + long, "data: " + long + "\n\n", strings.Repeat("data: x\n", 1000)} {
		if _, err := parts(strings.NewReader(large), 500); err != errLarge { //nolint:errorlint // it is that
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
