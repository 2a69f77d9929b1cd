package admin_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/history"
)

// recording is a node whose history runs. readTimeout is of its server; 0: none.
func recording(t *testing.T, readTimeout time.Duration) (*node, *httptest.Server) {
	t.Helper()
	n := newNode(t, configuration)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.history.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	s := httptest.NewUnstartedServer(n.handler)
	s.Config.ReadTimeout = readTimeout
	s.Start()
	t.Cleanup(s.Close)
	return n, s
}

var errEnough = errors.New("enough")

// Who comes back with the last id that it saw misses nothing and sees nothing twice,
// while things happen all the time.
func TestEventsResume(t *testing.T) {
	n, s := recording(t, 0)
	client, err := api.New(s.URL, api.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const all = 5000
	after := n.history.Last()
	var telling sync.WaitGroup
	for k := range 2 {
		telling.Go(func() {
			for i := range all / 2 {
				n.history.Tell(history.Event{Type: history.Down, Endpoint: fmt.Sprintf("192.0.2.%d", i%100), Reason: fmt.Sprint(k)})
			}
		})
	}
	seen := 0
	for part := 1; seen < all; part++ {
		got := 0
		_, err := client.Follow(t.Context(), api.HistoryQuery{After: after}, func(e api.Event, missing *api.Gap) error {
			if missing != nil {
				t.Errorf("%+v", missing)
			}
			if e.ID != after+1 {
				t.Fatalf("%d after %d", e.ID, after)
			}
			after = e.ID
			seen++
			if got++; got == 97*part || seen == all {
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
	}
	telling.Wait()
}

// lines reads a stream.
func lines(t *testing.T, url string, headers ...string) (next func() string, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" {
		t.Fatal(resp.Status, got)
	}
	r := bufio.NewScanner(resp.Body)
	return func() string {
			for r.Scan() {
				if r.Text() != "" {
					return r.Text()
				}
			}
			return "end"
		}, func() {
			cancel()
			_ = resp.Body.Close()
		}
}

func TestEvents(t *testing.T) {
	n, s := recording(t, time.Second) // which must not end a stream
	next, end := lines(t, s.URL+"/api/v1/events?type=down&endpoint=192.0.2.10")
	defer end()
	if got := []string{next(), next()}; got[0] != "retry: 3000" || got[1] != fmt.Sprint("id: ", n.history.Last()) {
		t.Fatal(got)
	}
	// Longer than the time that is for reading requests.
	time.AfterFunc(1500*time.Millisecond, func() {
		n.history.Tell(history.Event{Type: history.Up, Endpoint: "192.0.2.10"})
		n.history.Tell(history.Event{Type: history.Down, Endpoint: "192.0.2.99"})
		n.history.Tell(history.Event{Type: history.Down, Endpoint: "192.0.2.10", Reason: "a\nb"})
	})
	id := next()
	if kind, data := next(), next(); !strings.HasPrefix(id, "id: ") || kind != "event: down" || !strings.Contains(data, `"endpoint":"192.0.2.10"`) || !strings.Contains(data, `a\nb`) {
		t.Error(id, kind, data)
	}
	// A browser states the last id by itself, and it is what counts.
	again, stop := lines(t, s.URL+"/api/v1/events?after=1", "Last-Event-ID: "+fmt.Sprint(n.history.First()))
	defer stop()
	if got := []string{again(), again(), again(), again()}; got[2] != fmt.Sprint("id: ", n.history.First()+1) || got[3] != "event: down" {
		t.Error(got)
	}
	// Of what nobody knows any more that is said.
	lost, halt := lines(t, s.URL+"/api/v1/events?after=1")
	defer halt()
	if got := []string{lost(), lost(), lost(), lost()}; got[2] != "event: gap" || got[3] != `data: {"lost":0,"unknown":true}` {
		t.Error(got)
	}
	early, cease := lines(t, s.URL+"/api/v1/events?since=2020-01-01T00:00Z&service=www.gslb.example.com")
	defer cease()
	if got := []string{early(), early(), early(), early(), early()}; got[2] != "event: gap" || !strings.HasPrefix(got[4], "id: ") {
		t.Error(got)
	}
	// A clock that is set back hides nothing.
	late, halted := lines(t, s.URL+"/api/v1/events?type=up&since="+time.Now().UTC().Add(-time.Hour).Format(time.RFC3339))
	defer halted()
	for got := late(); got != "end" && (!strings.HasPrefix(got, "data: ") || !strings.Contains(got, `"up"`)); got = late() {
	}
	n.history.Tell(history.Event{At: time.Now().Add(-48 * time.Hour), Type: history.Up, Endpoint: "192.0.2.77"})
	if got := []string{late(), late(), late()}; !strings.Contains(got[2], "192.0.2.77") {
		t.Error(got)
	}
	if resp := n.ask("HEAD", "/api/v1/events", ""); resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Error(resp.Status)
	}
	n.admin.EndStreams()
	for _, f := range []func() string{next, lost} {
		for got := f(); got != "end"; got = f() {
			if strings.HasPrefix(got, "event: gap") {
				t.Error(got)
			}
		}
	}
}

// There are no more streams than there may be, and those that end make room.
func TestEventsBound(t *testing.T) {
	n, s := recording(t, 0)
	var nexts []func() string
	for range 100 {
		next, end := lines(t, s.URL+"/api/v1/events")
		defer end()
		next()
		nexts = append(nexts, next)
	}
	resp := n.ask("GET", "/api/v1/events", "")
	if got := refused(t, resp, http.StatusServiceUnavailable); !strings.Contains(got, "100 streams") || resp.Header.Get("Retry-After") == "" {
		t.Error(got)
	}
	n.admin.EndStreams()
	for _, next := range nexts {
		for next() != "end" {
		}
	}
	next, end := lines(t, s.URL+"/api/v1/events")
	next()
	end()
}

func TestHistory(t *testing.T) {
	n := newNode(t, configuration)
	n.history.Tell(history.Event{Type: history.Down, Endpoint: "192.0.2.10", State: "down", Was: "up", Lasted: 90 * time.Second})
	n.history.Tell(history.Event{Type: history.OverrideSet, Endpoint: "192.0.2.10", Service: "www.gslb.example.com.", Who: "ops"})
	n.history.Tell(history.Event{Type: history.OverrideSet, Endpoint: "192.0.2.10", Service: "other.gslb.example.com."})
	n.history.Tell(history.Event{Type: history.Down, Endpoint: "203.0.113.99"})
	n.history.Tell(history.Event{Type: history.Reloaded})
	for query, want := range map[string]string{
		"":                                  "down override-set override-set down reloaded",
		"service=www.gslb.example.com":      "down override-set",
		"endpoint=203.0.113.99":             "down",
		"pool=eu":                           "down override-set override-set",
		"type=reloaded,down&limit=2":        "down reloaded",
		"type=down&since=2026-01-01T00:00Z": "down down",
		"since=2126-01-01T00:00Z":           "",
		"after=" + fmt.Sprint(n.history.Last()-1): "reloaded",
	} {
		var got []string
		for _, e := range decode[api.History](t, n.ask("GET", "/api/v1/history?"+query, ""), 200).Events {
			got = append(got, e.Type)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, not %q", query, got, want)
		}
	}
	// What there is not is said, to who asks for what happened and to who would wait for it.
	for query, want := range map[string]string{
		"service=nowhere.example.com": `service: there is no service "nowhere.example.com"`,
		"pool=nowhere":                `pool: there is no pool "nowhere"`,
		"endpoint=203.0.113.98":       `endpoint: no pool has an endpoint "203.0.113.98"`,
	} {
		for _, path := range []string{"history", "events"} {
			if got := refused(t, n.ask("GET", "/api/v1/"+path+"?"+query, ""), 404); got != want {
				t.Errorf("%s: %s", path, got)
			}
		}
	}
	// What was there once is asked for as ever.
	for _, query := range []string{"service=other.gslb.example.com", "endpoint=203.0.113.99", "service=www.gslb.example.com&pool=eu&endpoint=127.0.0.1"} {
		if resp := n.ask("HEAD", "/api/v1/events?"+query, ""); resp.StatusCode != 200 {
			t.Errorf("%s: %s", query, resp.Status)
		}
	}
	for query, want := range map[string]string{
		"type=sideways": `type: there is no type "sideways"; there are ` + strings.Join(slices.Collect(history.Names), ", "),
		"limit=0":       `limit: "0" is not a number from 1 to 10000`,
		"after=-1":      `after: "-1" is not the id of an event`,
		"service=a..b":  "service: ",
		"server=x":      `query: no parameter "server"; there are service, endpoint, pool, type, since, after, limit`,
	} {
		if got := refused(t, n.ask("GET", "/api/v1/history?"+query, ""), 400); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", query, got)
		}
	}
}
