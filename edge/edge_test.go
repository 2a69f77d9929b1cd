package edge

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/zone"
)

const (
	one = `{"name":"a.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.1"]}`
	two = `{"name":"b.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.2"]}`
)

func TestOptions(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"":                     func(*Options) {},
		"endpoint is required": func(o *Options) { o.Endpoints = nil },
		"secret is required":   func(o *Options) { o.Secret = "" },
		"secret must be at least 8 characters long":                                                     func(o *Options) { o.Secret = "1234567" },
		"sync_interval must be at least 5s":                                                             func(o *Options) { o.SyncInterval = 4 * time.Second },
		"timeout must be at least 1s":                                                                   func(o *Options) { o.Timeout = 999 * time.Millisecond },
		"sync_interval must be greater than timeout":                                                    func(o *Options) { o.SyncInterval, o.Timeout = 5*time.Second, 5*time.Second },
		"ttl must be at most 2147483647":                                                                func(o *Options) { o.TTL = 1 << 31 },
		"nobody takes the data":                                                                         func(o *Options) { o.Put = nil },
		"zone is required (specify zone in server block, e.g., gslb.elchi)":                             func(o *Options) { o.Zone = "" },
		`endpoint "controller:8080" is no URL of a controller, such as http://controller:8080`:          func(o *Options) { o.Endpoints = []string{"controller:8080"} },
		`endpoint "ftp://u:xxxxx@controller" is no URL of a controller, such as http://controller:8080`: func(o *Options) { o.Endpoints = []string{"ftp://u:secret@controller"} },
		`region "a,b": a region is a word without commas`:                                               func(o *Options) { o.Regions = []string{"a,b"} },
		"secret goes into a header: it can have no control characters, and no white space at its ends":  func(o *Options) { o.Secret = "12345678\n" },
	} {
		o := options()
		change(&o)
		_, err := New(o)
		if got := errorText(err); got != want {
			t.Errorf("error %q, want %q", got, want)
		}
	}
	o := options()
	o.Regions = []string{"all"}
	o.Endpoints = []string{"http://controller.test/"}
	e, err := New(o)
	if err != nil || e.o.TTL != 300 || e.o.SyncInterval != 5*time.Minute || e.o.Timeout != 4*time.Second || e.o.Regions != nil || e.o.Endpoints[0] != "http://controller.test" {
		t.Errorf("%v, %+v", err, e.o)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// What is asked is what the documents have, and a poll that says unchanged changes
// nothing.
func TestAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		var when []time.Time
		answers := []string{snapshot("h1", one), `{"unchanged":true}`, "304", snapshot("h/2 &", two), `{"unchanged":true}`}
		o := options()
		o.Regions = []string{"asya", "avrupa"}
		var put []*zone.Data
		o.Put = func(d *zone.Data) error { put = append(put, d); return nil }
		e := start(t, o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == api.EventsPath {
				http.NotFound(w, r)
				return
			}
			for header, want := range map[string]string{"X-Elchi-Secret": "my-shared-secret", "Accept": "application/json"} {
				if got := r.Header.Get(header); got != want {
					t.Errorf("header %s is %q, want %q", header, got, want)
				}
			}
			asked, when = append(asked, strings.TrimPrefix(r.URL.String(), "http://")+" "+r.Header.Get("If-None-Match")), append(when, time.Now())
			a := answers[0]
			if len(answers) > 1 {
				answers = answers[1:]
			}
			if a == "304" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			if strings.Contains(a, "records") {
				w.Header().Set("ETag", `"etag`+a[len(`{"zone":"gslb.elchi","version_hash":"`):][:2]+`"`)
			}
			_, _ = io.WriteString(w, a)
		}))
		if e.Ready() {
			t.Error("ready before there is anything")
		}
		stop := run(t, e)
		<-e.Tried()
		if !e.Ready() {
			t.Error("not ready after the first snapshot")
		}
		time.Sleep(22*time.Minute + 10*time.Second) // four gaps at most, and less than five at least
		stop()
		same(t, "asked", asked, []string{
			"controller.test/dns/snapshot?node_ip=192.0.2.9&regions=asya%2Cavrupa&zone=gslb.elchi ",
			`controller.test/dns/changes?node_ip=192.0.2.9&regions=asya%2Cavrupa&since=h1&zone=gslb.elchi "etagh1"`,
			`controller.test/dns/changes?node_ip=192.0.2.9&regions=asya%2Cavrupa&since=h1&zone=gslb.elchi "etagh1"`,
			`controller.test/dns/changes?node_ip=192.0.2.9&regions=asya%2Cavrupa&since=h1&zone=gslb.elchi "etagh1"`,
			`controller.test/dns/changes?node_ip=192.0.2.9&regions=asya%2Cavrupa&since=h%2F2+%26&zone=gslb.elchi "etagh/"`,
		}[:len(asked)])
		if len(asked) < 5 {
			t.Errorf("it asked %d times in 22 minutes", len(asked))
		}
		for i := range when[1:] {
			if d := when[i+1].Sub(when[i]); d < 270*time.Second || d > 330*time.Second {
				t.Errorf("it asked again after %v", d)
			}
		}
		if len(put) != 2 {
			t.Fatalf("%d times data were put in force", len(put))
		}
		same(t, "at first", holds(put[0]), []string{"a.gslb.elchi. 20 A 192.0.2.1"})
		same(t, "then", holds(put[1]), []string{"b.gslb.elchi. 20 A 192.0.2.2"})
	})
}

func TestStatusesAreDistinct(t *testing.T) {
	for status, want := range map[int]error{400: ErrRequest, 401: ErrSecret, 403: ErrSecret, 404: ErrZone, 500: ErrController, 503: ErrController, 302: nil, 418: nil} {
		e := start(t, options(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://elsewhere.test/")
			http.Error(w, "some\x07thing\nmore", status)
		}))
		_, err := e.client.ask(t.Context(), "http://controller.test", "")
		var s *StatusError
		if !errors.As(err, &s) || s.Status != status || s.Said != "something" {
			t.Fatalf("%d: %v", status, err)
		}
		if kind := s.kind(); kind != nil != (want != nil) || !errors.Is(kind, want) {
			t.Errorf("%d: %v is %v", status, err, kind)
		}
		for _, kind := range []error{ErrRequest, ErrSecret, ErrZone, ErrController} {
			if errors.Is(err, kind) != errors.Is(want, kind) {
				t.Errorf("%d: %v is %v", status, err, kind)
			}
		}
	}
}

// What a controller says goes into the log and to whoever asks for /health: without the
// secret, and without what moves a cursor.
func TestSaidIsHarmless(t *testing.T) {
	for body, want := range map[string]string{
		"wrong secret: my-shared-secret":                         "wrong secret: ...",
		strings.Repeat("x", 195) + "my-shared-secret and more":   strings.Repeat("x", 195) + "... a",
		"a\x1b[2Jb\u009b31mc\u2028d\u202ee\xffff\r\nsecond line": "a[2Jb31mcdeff",
	} {
		e := start(t, options(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, body, http.StatusUnauthorized) }))
		_ = e.sync(t.Context())
		if got := e.Health().Error; got != "controller http://controller.test: it does not take the secret: it answered 401 Unauthorized ("+want+")" {
			t.Errorf("%q: %q", body, got)
		}
	}
}

// What elchi's documents show of a debug log is there.
func TestDebugLog(t *testing.T) {
	answers := []string{snapshot("abc123", one), `{"unchanged":true}`}
	o := options()
	var log bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e := start(t, o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, answers[0])
		answers = answers[1:]
	}))
	for range 2 {
		if err := e.sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var said []string
	for line := range strings.Lines(log.String()) {
		_, line, _ = strings.Cut(line, "level=")
		said = append(said, strings.TrimSpace(line))
	}
	same(t, "the log", said, []string{
		`INFO msg="Initial snapshot loaded" zone=gslb.elchi records=1 hash=abc123`,
		`DEBUG msg="Checking for changes" zone=gslb.elchi hash=abc123`,
		`DEBUG msg="No changes detected" zone=gslb.elchi`,
	})
}

// A failure that comes again is the same error, whatever port was asked from: it is logged
// once.
func TestSameFailureIsTheSameError(t *testing.T) {
	said := map[string]bool{}
	for port := range 3 {
		at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000 + port}
		for _, op := range []string{"read", "write"} {
			err := &url.Error{Op: "Get", URL: "http://controller.test", Err: &net.OpError{Op: op, Net: "tcp", Source: at, Addr: at, Err: io.ErrClosedPipe}}
			said[bare(t.Context(), err).Error()] = true
		}
	}
	if len(said) != 1 {
		t.Errorf("%v", said)
	}
}

// An ETag is that of one version, and said to none but who has that: a controller that has
// gone back to it would say that nothing has changed.
func TestETagIsOfOneVersion(t *testing.T) {
	off := `{"name":"a.gslb.elchi","type":"A","enabled":false}`
	now := func(t *testing.T, e *Edge, want string) {
		t.Helper()
		if err := e.sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		same(t, "in force", holds(e.st.data), []string{want})
	}
	state := func(hash string, records ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"`+hash+`"`)
			if r.Header.Get("If-None-Match") == `"`+hash+`"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			_, _ = io.WriteString(w, snapshot(hash, records...))
		}
	}
	t.Run("of what was there before an event", func(t *testing.T) {
		e := start(t, options(), state("1", one))
		now(t, e, "a.gslb.elchi. 20 A 192.0.2.1")
		if err := e.event(api.EventChange, []byte(`{"from":"1","version_hash":"2","records":[`+off+`]}`)); err != nil {
			t.Fatal(err)
		}
		same(t, "after the event", holds(e.st.data), []string{"a.gslb.elchi. exists"})
		now(t, e, "a.gslb.elchi. 20 A 192.0.2.1")
	})
	t.Run("of another controller's records", func(t *testing.T) {
		var w watch
		o := options()
		o.Endpoints = []string{"http://one.test", "http://two.test"}
		e := start(t, o, &w)
		down := func(w http.ResponseWriter, r *http.Request) {
			if r.Host == "one.test" {
				http.Error(w, "no", 500)
				return
			}
			state("2", off)(w, r)
		}
		w.set(state("1", one))
		now(t, e, "a.gslb.elchi. 20 A 192.0.2.1")
		w.set(down)
		now(t, e, "a.gslb.elchi. exists")
		w.set(state("1", one))
		now(t, e, "a.gslb.elchi. 20 A 192.0.2.1")
	})
	t.Run("that is too long", func(t *testing.T) {
		e := start(t, options(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.Header.Get("If-None-Match")) > maxHash {
				http.Error(w, "", http.StatusRequestHeaderFieldsTooLarge)
				return
			}
			w.Header().Set("ETag", `"`+strings.Repeat("x", maxHash)+`"`)
			_, _ = io.WriteString(w, snapshot("1", one))
		}))
		now(t, e, "a.gslb.elchi. 20 A 192.0.2.1")
		now(t, e, "a.gslb.elchi. 20 A 192.0.2.1")
	})
}

// watch records when requests come.
type watch struct {
	mu   sync.Mutex
	when []time.Time
	h    atomic.Pointer[http.HandlerFunc]
}

func (w *watch) set(h http.HandlerFunc) { w.h.Store(&h) }

func (w *watch) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path != api.EventsPath {
		w.mu.Lock()
		w.when = append(w.when, time.Now())
		w.mu.Unlock()
	}
	(*w.h.Load())(rw, r)
}

// After a failure it is tried again after a second, two, four, up to the interval; the
// last good data stay; and the edge is degraded when that has lasted for two intervals.
func TestBacksOffAndDegrades(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w watch
		w.set(says(snapshot("1", one)))
		o := options()
		o.SyncInterval = time.Minute
		var log bytes.Buffer
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		puts := 0
		o.Put = func(*zone.Data) error { puts++; return nil }
		e := start(t, o, &w)
		stop := run(t, e)
		<-e.Tried()
		began := time.Now()
		if h := e.Health(); h.Status != "healthy" || h.LastSyncStatus != "success" || h.RecordsCount != 1 || h.VersionHash != "1" || h.Zone != "gslb.elchi" || h.Source != "controller" || !h.LastSync.Equal(began.UTC().Truncate(time.Second)) {
			t.Errorf("%+v", h)
		}
		w.set(says(`{"zone":"gslb.elchi","version_hash":"2","records":[{"name":"half`))
		time.Sleep(67 * time.Second)
		if h := e.Health(); h.Status != "healthy" || h.LastSyncStatus != "failed" || !strings.Contains(h.Error, "it ends in the middle") || h.VersionHash != "1" {
			t.Errorf("after one failure: %+v", h)
		}
		time.Sleep(54 * time.Second) // 121 s since the last success
		if h := e.Health(); h.Status != "degraded" || !h.LastSync.Equal(began.UTC().Truncate(time.Second)) || *h.AgeSeconds < 120 {
			t.Errorf("after two intervals: %+v", h)
		}
		time.Sleep(3 * time.Minute)
		if !e.Ready() || puts != 1 {
			t.Errorf("ready %v, %d times put", e.Ready(), puts)
		}
		w.mu.Lock()
		var gaps []time.Duration
		for i := range w.when[2:] {
			gaps = append(gaps, w.when[i+2].Sub(w.when[i+1]))
		}
		w.mu.Unlock()
		for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			if want *= time.Second; i >= len(gaps) || gaps[i] < want-want/10 || gaps[i] > want+want/10 {
				t.Errorf("it tried again after %v", gaps)
				break
			}
		}
		w.set(says(snapshot("3", two)))
		time.Sleep(67 * time.Second)
		if h := e.Health(); h.Status != "healthy" || h.LastSyncStatus != "success" || h.Error != "" || h.VersionHash != "3" {
			t.Errorf("after it came back: %+v", h)
		}
		stop()
		for _, want := range []string{"Initial snapshot loaded", "Change check failed", "The controller answers again"} {
			if n := strings.Count(log.String(), want); n != 1 {
				t.Errorf("the log says %q %d times:\n%s", want, n, &log)
			}
		}
	})
}

// What a controller states of the configuration's own names is said once, and not at all
// when both say the same; a zone of nothing else is one without records.
func TestOwnNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const same, other = `{"name":"ns1.gslb.elchi","type":"A","ips":["192.0.2.53"]}`, `{"name":"ns1.gslb.elchi","type":"A","ips":["192.0.2.99"]}`
		var w watch
		w.set(says(snapshot("1", same)))
		o := options()
		o.SyncInterval = time.Minute
		var log bytes.Buffer
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		e := start(t, o, &w)
		stop := run(t, e)
		<-e.Tried()
		if h := e.Health(); h.LastSyncStatus != "success" || h.Refused != 0 {
			t.Errorf("%+v", h)
		}
		var said []int
		for i, records := range []string{one + "," + same, one + "," + other, two + "," + other, one + "," + same, other} {
			w.set(says(snapshot(strconv.Itoa(i+2), records)))
			time.Sleep(67 * time.Second)
			if h := e.Health(); h.LastSyncStatus != "success" || h.VersionHash != strconv.Itoa(i+2) {
				t.Errorf("%s: %+v", records, h)
			}
			said = append(said, strings.Count(log.String(), "were refused"))
		}
		stop()
		if want := []int{0, 1, 1, 1, 2}; !slices.Equal(said, want) {
			t.Errorf("said %v times, want %v:\n%s", said, want, &log)
		}
	})
}

// An edge that has never reached a controller is not healthy for ever.
func TestDegradesWithoutAnyController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, options(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", 500) }))
		if h := e.Health(); h.LastSyncStatus != "initial" || h.Status != "healthy" || h.Source != "none" || h.AgeSeconds != nil {
			t.Errorf("%+v", h)
		}
		stop := run(t, e)
		<-e.Tried()
		time.Sleep(10*time.Minute + time.Second)
		stop()
		if h := e.Health(); h.Status != "degraded" || h.LastSyncStatus != "failed" || e.Ready() || !h.LastSync.IsZero() {
			t.Errorf("%+v", h)
		}
	})
}

// The controllers are asked in their order, each time from the first on.
func TestSeveralControllers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var asked []string
		down := map[string]bool{"one.test": true}
		// were are the requests since it was last called; from now on these are down.
		were := func(now ...string) []string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			a := asked
			asked = nil
			clear(down)
			for _, host := range now {
				down[host] = true
			}
			return a
		}
		o := options()
		o.Endpoints = []string{"http://one.test", "http://two.test", "http://three.test"}
		e := start(t, o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == api.EventsPath {
				http.NotFound(w, r)
				return
			}
			mu.Lock()
			asked = append(asked, r.Host+r.URL.Path)
			fails := down[r.Host]
			mu.Unlock()
			if fails {
				http.Error(w, "no", 500)
				return
			}
			says(snapshot(r.Host, one))(w, r)
		}))
		stop := run(t, e)
		<-e.Tried()
		same(t, "asked", were(), []string{"one.test/dns/snapshot", "two.test/dns/snapshot"})
		time.Sleep(331 * time.Second)
		same(t, "asked", were("one.test", "two.test", "three.test"), []string{"one.test/dns/changes"})
		if e.version() != "one.test" {
			t.Errorf("the records are those of %s", e.version())
		}
		time.Sleep(331 * time.Second)
		stop()
		same(t, "asked", were()[:3], []string{"one.test/dns/changes", "two.test/dns/changes", "three.test/dns/changes"})
		if h := e.Health(); strings.Count(h.Error, "it has failed itself: it answered 500 Internal Server Error (no)") != 3 {
			t.Errorf("error %s", h.Error)
		}
	})
}

// A version that a controller does not understand is no reason to stay with it.
func TestVersionThatIsNotUnderstood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		e := start(t, options(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.Path)
			if r.URL.Path != api.SnapshotPath {
				http.Error(w, "what?", http.StatusBadRequest)
				return
			}
			says(snapshot("1", one))(w, r)
		}))
		for range 2 {
			if err := e.sync(t.Context()); err != nil {
				t.Error(err)
			}
		}
		same(t, "asked", asked, []string{api.SnapshotPath, api.ChangesPath, api.SnapshotPath})
	})
}

// What a controller may not do to an edge: hang, before or within its answer, drip, send
// without end, lead elsewhere.
func TestHostileControllers(t *testing.T) {
	forEver := func(w http.ResponseWriter, r *http.Request, every time.Duration, s string) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, s); err != nil {
				return
			}
			select {
			case <-r.Context().Done():
			case <-time.After(every):
			}
		}
	}
	for _, c := range []struct {
		name, want string
		most       time.Duration
		h          http.HandlerFunc
	}{
		{"hangs", "nothing came in time", 4 * time.Second, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"hangs in the middle", "nothing came in time", 7 * time.Second, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(3 * time.Second)
			_, _ = io.WriteString(w, `{"zone":"gslb.elchi",`)
			<-r.Context().Done()
		}},
		{"drips", "the answer takes too long", time.Minute, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"zone":`)
			forEver(w, r, time.Second, " ")
		}},
		{"sends without end", "the answer is too large: it has more than", time.Second, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"extra":"`)
			forEver(w, r, 0, strings.Repeat("x", 1<<16))
		}},
		{"sends too many records", "it has more than 1000 names", time.Second, func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(bytes.ReplaceAll(many(1001), []byte("gslb.example"), []byte("gslb.elchi")))
		}},
		{"leads elsewhere", "redirects are not followed", time.Second, func(w http.ResponseWriter, r *http.Request) {
			if r.Host != "controller.test" {
				t.Error("the redirect was followed")
			}
			http.Redirect(w, r, "http://elsewhere.test/", http.StatusFound)
		}},
		{"says unchanged to who has nothing", "was asked for everything", time.Second, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotModified) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options()
				o.MaxRecords, o.SyncInterval = 1000, 30*time.Second
				e := start(t, o, c.h)
				e.lim.body = 4 << 20
				e.client.lim.body = 4 << 20
				begun := time.Now()
				err := e.sync(t.Context())
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want %s", err, c.want)
				}
				if took := time.Since(begun); took > c.most {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// What is refused by who answers is not in force.
func TestPutRefuses(t *testing.T) {
	o := options()
	refuse := errors.New("no such zone is fed")
	var err error
	o.Put = func(*zone.Data) error { return err }
	e := start(t, o, says(snapshot("1", one)))
	err = refuse
	if got := e.sync(t.Context()); got == nil || !strings.Contains(got.Error(), "no such zone is fed") || e.Ready() || e.version() != "" {
		t.Errorf("%v; ready %v, version %q", got, e.Ready(), e.version())
	}
	err = nil
	if got := e.sync(t.Context()); got != nil || !e.Ready() {
		t.Errorf("%v; ready %v", got, e.Ready())
	}
	err = refuse
	if _, got := e.apply([]op{{name: name("a.gslb.elchi"), kind: kindA, gone: true}}); got == nil {
		t.Error("a change that was refused")
	}
	same(t, "records", holds(e.st.data), []string{"a.gslb.elchi. 20 A 192.0.2.1"})
}

// What is changed while a snapshot comes in is in force after it.
func TestChangeWhileASnapshotComesIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		more := make(chan struct{})
		first := true
		e := start(t, options(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text := snapshot("2", one, two)
			if first {
				text = snapshot("1", one)
			}
			_, _ = io.WriteString(w, text[:40])
			if !first {
				<-more
			}
			first = false
			_, _ = io.WriteString(w, text[40:])
		}))
		if err := e.sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- e.sync(t.Context()) }()
		synctest.Wait()
		if _, err := e.apply([]op{{name: name("a.gslb.elchi"), kind: kindA, gone: true}}); err != nil {
			t.Fatal(err)
		}
		same(t, "before", holds(e.st.data), nil)
		close(more)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		same(t, "after", holds(e.st.data), []string{"b.gslb.elchi. 20 A 192.0.2.2"})
		if e.version() != "2" || e.while.steps != nil {
			t.Errorf("version %s, %d changes are still remembered", e.version(), len(e.while.steps))
		}
	})
}

// A controller over sockets: TLS with a certificate of its own, and gzip.
func TestOverSockets(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("gzip is not accepted")
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, snapshot("1", one, two))
		_ = z.Close()
	}))
	defer srv.Close()
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	for _, c := range []struct {
		conf *tls.Config
		good bool
	}{{nil, false}, {&tls.Config{InsecureSkipVerify: true}, true}, {&tls.Config{RootCAs: roots, ServerName: "example.com"}, true}} {
		o := options()
		o.Endpoints, o.TLS = []string{srv.URL}, c.conf
		e, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		err = e.sync(t.Context())
		if (err == nil) != c.good {
			t.Errorf("%+v: %v", c.conf, err)
		}
		if err != nil && !strings.Contains(err.Error(), "certificate") {
			t.Errorf("error %v", err)
		}
		if c.good && e.size() != 2 {
			t.Errorf("%d records", e.size())
		}
		e.client.http.CloseIdleConnections()
	}
}

// A bomb of gzip is as large as what it unpacks to.
func TestGzipBomb(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = io.WriteString(z, `{"x":"`)
	for range 64 {
		_, _ = z.Write(bytes.Repeat([]byte("x"), 1<<16))
	}
	_ = z.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	}))
	defer srv.Close()
	o := options()
	o.Endpoints = []string{srv.URL}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	e.client.lim.body = 1 << 20
	if err := e.sync(t.Context()); err == nil || !strings.Contains(err.Error(), "the answer is too large") {
		t.Errorf("error %v", err)
	}
	e.client.http.CloseIdleConnections()
}

// Run ends when it is told to, whatever goes on.
func TestRunEnds(t *testing.T) {
	for _, h := range []http.HandlerFunc{
		func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		func(w http.ResponseWriter, r *http.Request) { http.Error(w, "", 500) },
		says(snapshot("1", one)),
	} {
		synctest.Test(t, func(t *testing.T) {
			o := options()
			o.DataDir = t.TempDir()
			e := start(t, o, h)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- e.Run(ctx) }()
			time.Sleep(time.Second)
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// A snapshot that nobody wants any more is not worked on, nor put in force.
func TestRunEndsInTheMidstOfASnapshot(t *testing.T) {
	o := gatherWith("gslb.example")
	for _, most := range []int{0, 5, 10, 11, 15, 20, 21, 22} { // records, then names, then the zone
		n := 0
		o.ended = func() error {
			if n++; n > most {
				return context.Canceled
			}
			return nil
		}
		if _, err := gather(bytes.NewReader(many(10)), o); errors.Is(err, context.Canceled) != (most < 21) {
			t.Errorf("ended after %d: %v", most, err)
		}
	}
	op := options()
	op.Put = func(*zone.Data) error {
		t.Error("put in force")
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := start(t, op, noController).take(ctx, mustTake(t, snapshot("1", one)), api.FromController); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestBackoff(t *testing.T) {
	for failures, want := range []time.Duration{60, 1, 2, 4, 8, 16, 32, 60, 60} {
		var seen []time.Duration
		for range 50 {
			seen = append(seen, backoff(failures, time.Minute))
		}
		want *= time.Second
		if low, high := slices.Min(seen), slices.Max(seen); low < want*9/10 || high > want*11/10+1 || low == high {
			t.Errorf("after %d failures: %v to %v", failures, low, high)
		}
	}
	if d := backoff(1<<30, time.Minute); d > 66*time.Second {
		t.Errorf("after very many failures: %v", d)
	}
}
