package controller_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/audit"
)

// webhook is an edge of somebody else's.
type webhook struct {
	t testing.TB
	*httptest.Server
	secret string

	mu       sync.Mutex
	has      map[api.Key]api.Record
	posts    [][]string // what each told
	lists    int
	status   []int // of the next posts; then 200
	unlisted bool  // it has no /records
	most     int   // records in a post; 0: any number
	refuses  []api.Refusal
	news     chan struct{}
}

func newWebhook(t testing.TB, secret string, has ...api.Record) *webhook {
	w := &webhook{t: t, secret: secret, has: map[api.Key]api.Record{}, news: make(chan struct{}, 1)}
	for _, r := range has {
		w.has[api.Key{Name: r.Name, Type: r.Type}] = r
	}
	w.Server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.Close)
	return w
}

func (w *webhook) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() {
		select {
		case w.news <- struct{}{}:
		default:
		}
	}()
	switch {
	case r.Header.Get("X-Elchi-Secret") != w.secret:
		rw.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == "/records" && !w.unlisted:
		w.lists++
		l := api.Listing{Zone: "gslb.test"}
		for _, rec := range w.has {
			l.Records = append(l.Records, rec)
		}
		_ = json.NewEncoder(rw).Encode(l)
	case r.URL.Path == "/notify" && r.Method == http.MethodPost:
		w.notify(rw, r)
	default:
		rw.WriteHeader(http.StatusNotFound)
	}
}

// away is the status of a connection that breaks.
const away = 0

func (w *webhook) notify(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Error(err)
	}
	h := hmac.New(sha256.New, []byte(w.secret))
	fmt.Fprintf(h, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
	if want := "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil)); r.Header.Get("webhook-signature") != want || r.Header.Get("webhook-id") == "" {
		w.t.Errorf("signed %q, want %q", r.Header.Get("webhook-signature"), want)
	}
	var n api.Notification
	if err := json.Unmarshal(body, &n); err != nil {
		w.t.Error(err)
	}
	if w.most > 0 && len(n.Records)+len(n.Deletes) > w.most {
		rw.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	if len(w.status) > 0 {
		status := w.status[0]
		w.status = w.status[1:]
		if status == away {
			panic(http.ErrAbortHandler)
		}
		rw.WriteHeader(status)
		return
	}
	var told []string
	for _, rec := range n.Records {
		told = append(told, line(rec))
		w.has[api.Key{Name: rec.Name, Type: rec.Type}] = rec
	}
	for _, k := range n.Deletes {
		told = append(told, "- "+strings.TrimSuffix(k.Name, ".gslb.test")+" "+k.Type)
		delete(w.has, k)
	}
	slices.Sort(told)
	w.posts = append(w.posts, told)
	_ = json.NewEncoder(rw).Encode(api.Notified{Status: "ok", Updated: len(n.Records), Deleted: len(n.Deletes), Refused: w.refuses})
}

// until waits for something to be true of the webhook, which is asked under its lock.
func (w *webhook) until(what string, is func() bool) {
	w.t.Helper()
	end := time.After(30 * time.Second)
	for {
		w.mu.Lock()
		ok := is()
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-w.news:
		case <-end:
			w.mu.Lock()
			w.t.Fatalf("%s does not come about: told %q", what, w.posts)
		}
	}
}

// told is whether the posts are these; each is its lines with commas between.
func (w *webhook) told(want ...string) func() bool {
	return func() bool {
		return slices.EqualFunc(w.posts, want, func(post []string, s string) bool { return strings.Join(post, ", ") == s })
	}
}

const pushed = `
pools:
  a: {place: {region: r0}, endpoints: [192.0.2.1, 192.0.2.2]}
  b: {place: {region: r1}, endpoints: [192.0.2.3, "2001:db8::3"]}
zones:
  gslb.test:
    nameservers: {ns1.example.net.: []}
    services:
      x: {pools: [a, b], steer: [geofence: region, rotate]}
      y: {pools: [b], all_down: nodata}
controller:
  secret: shared-with-edges
  zones: [gslb.test]
  failover: {y.gslb.test: y.example.net}
  edges: [%s]
`

// TestPush: an edge is told at first what differs from what it has, and then every change
// in order, again where it failed.
func TestPush(t *testing.T) {
	w := newWebhook(t, "shared-with-edges",
		api.Record{Name: "y.gslb.test", Type: "A", TTL: 30, IPs: []string{"192.0.2.3"}},
		api.Record{Name: "y.gslb.test", Type: "AAAA", TTL: 30, IPs: []string{"2001:DB8:0::3"}},
		api.Record{Name: "x.gslb.test", Type: "A", TTL: 30, IPs: []string{"192.0.2.1"}},
		api.Record{Name: "old.gslb.test", Type: "AAAA", TTL: 30, IPs: []string{"2001:db8::9"}},
		api.Record{Name: "alias.gslb.test", Type: "CNAME", TTL: 30, Failover: "z.example.net"},
		api.Record{Name: "other.test", Type: "A", TTL: 30, IPs: []string{"192.0.2.1"}},
	)
	n := start(t, fmt.Sprintf(pushed, `{url: "`+w.URL+`", regions: [r0]}`))
	first := "- alias CNAME, - old AAAA, x A 30 192.0.2.1,192.0.2.2, x AAAA 30 2001:db8::3"
	w.until("what differs", w.told(first))

	w.mu.Lock()
	w.status = []int{503, 500, 429}
	w.mu.Unlock()
	n.override("x.gslb.test", "192.0.2.1", false)
	second := "x A 30 192.0.2.2"
	w.until("the change after three failures", w.told(first, second))

	n.override("y.gslb.test", "192.0.2.3", false)
	n.now() // else both changes might be told as one
	w.until("one family goes", w.told(first, second, "- y A"))
	n.override("y.gslb.test", "2001:db8::3", false)
	off := "y A 30  enabled=false failover=y.example.net, y AAAA 30  enabled=false failover=y.example.net"
	w.until("all of it is taken out", w.told(first, second, "- y A", off))
	if err := n.engine.ClearOverride("y.gslb.test.", "192.0.2.3", audit.By{}); err != nil {
		t.Fatal(err)
	}
	w.until("one family comes", w.told(first, second, "- y A", off, "- y AAAA, y A 30 192.0.2.3"))
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lists != 1 {
		t.Errorf("asked %d times what it has", w.lists)
	}
}

// TestPushAway: an edge that was away is asked what it has, and told what it missed.
func TestPushAway(t *testing.T) {
	w := newWebhook(t, "its-own-secret")
	n := start(t, fmt.Sprintf(pushed, `{url: "`+w.URL+`/", secret: its-own-secret}`))
	w.until("everything", w.told("x A 30 192.0.2.1,192.0.2.2,192.0.2.3, x AAAA 30 2001:db8::3, y A 30 192.0.2.3, y AAAA 30 2001:db8::3"))
	w.mu.Lock() // it breaks off, and has forgotten something when it is back
	n.override("x.gslb.test", "192.0.2.1", false)
	delete(w.has, api.Key{Name: "y.gslb.test", Type: "A"})
	w.status = []int{away, away}
	w.mu.Unlock()
	w.until("what it lacks", func() bool {
		return fmt.Sprint(w.has[api.Key{Name: "y.gslb.test", Type: "A"}].IPs) == "[192.0.2.3]" &&
			fmt.Sprint(w.has[api.Key{Name: "x.gslb.test", Type: "A"}].IPs) == "[192.0.2.2 192.0.2.3]"
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lists < 2 {
		t.Errorf("asked %d times what it has", w.lists)
	}
}

// TestPushWhole: an edge that does not say what it has is told everything, in deliveries
// as small as it takes them.
func TestPushWhole(t *testing.T) {
	w := newWebhook(t, "shared-with-edges")
	w.unlisted, w.most = true, 1
	start(t, fmt.Sprintf(pushed, `{url: "`+w.URL+`"}`))
	w.until("everything", w.told("x A 30 192.0.2.1,192.0.2.2,192.0.2.3", "x AAAA 30 2001:db8::3", "y A 30 192.0.2.3", "y AAAA 30 2001:db8::3"))
}

// TestPushRefused: what an edge does not take is logged, but for an alias that was gone
// before it was told so, since addresses have taken its place.
func TestPushRefused(t *testing.T) {
	w := newWebhook(t, "shared-with-edges", api.Record{Name: "x.gslb.test", Type: "CNAME", TTL: 30, Failover: "z.example.net"})
	alias := api.Refusal{Name: "x.gslb.test", Type: "CNAME", Reason: "there is no such record"}
	w.refuses = []api.Refusal{alias}
	var log strings.Builder
	mu := &sync.Mutex{}
	n := startLogged(t, fmt.Sprintf(pushed, `{url: "`+w.URL+`"}`), slog.New(slog.NewTextHandler(locked{mu, &log}, nil)))
	w.until("everything", func() bool { return len(w.posts) == 1 })
	w.mu.Lock()
	w.refuses = []api.Refusal{alias, {Name: "x.gslb.test", Type: "A", Reason: "no"}}
	w.mu.Unlock()
	n.override("x.gslb.test", "192.0.2.1", false)
	w.until("the change", func() bool { return len(w.posts) == 2 })
	n.override("x.gslb.test", "192.0.2.2", false)
	w.until("the next one", func() bool { return len(w.posts) == 3 }) // what was logged of the one before is there
	mu.Lock()
	defer mu.Unlock()
	if got := log.String(); !strings.Contains(got, "records=2") || strings.Contains(got, "records=1") {
		t.Errorf("logged:\n%s", got)
	}
}

// locked is written to under a lock.
type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// TestPushEnds: an edge that is no longer listed is not told any more.
func TestPushEnds(t *testing.T) {
	gone, stays := newWebhook(t, "shared-with-edges"), newWebhook(t, "shared-with-edges")
	n := start(t, fmt.Sprintf(pushed, `{url: "`+gone.URL+`"}, {url: "`+stays.URL+`"}`))
	for _, w := range []*webhook{gone, stays} {
		w.until("everything", func() bool { return len(w.posts) == 1 })
	}
	n.configure(fmt.Sprintf(pushed, `{url: "`+stays.URL+`"}`))
	n.override("x.gslb.test", "192.0.2.1", false)
	stays.until("the change", func() bool { return len(stays.posts) == 2 })
	gone.mu.Lock()
	defer gone.mu.Unlock()
	if len(gone.posts) != 1 {
		t.Errorf("told %q", gone.posts)
	}
	stays.mu.Lock()
	defer stays.mu.Unlock()
	if stays.lists != 1 {
		t.Errorf("what stays was asked %d times what it has", stays.lists)
	}
}
