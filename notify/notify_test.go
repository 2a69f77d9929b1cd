package notify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rhumb-dns/rhumb/history"
	"github.com/rhumb-dns/rhumb/spec"
)

// disk is a Keeper.
type disk struct {
	mu   sync.Mutex
	kept map[string][]byte
}

func (d *disk) Load(string) (map[string][]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[string][]byte{}
	for k, v := range d.kept {
		out[k] = v
	}
	return out, nil
}

func (d *disk) Save(_ string, values map[string][]byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, v := range values {
		if d.kept[k] = v; v == nil {
			delete(d.kept, k)
		}
	}
	return nil
}

// fake is a sender that does what it is told.
type fake struct {
	mu   sync.Mutex
	do   func(d *delivery) error
	got  []string // what was taken, a delivery each
	ids  []string // of every try
	lost uint64
}

func (f *fake) kind() string { return "webhook" }

func (f *fake) send(_ context.Context, d *delivery) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ids = append(f.ids, d.ID)
	if f.do != nil {
		if err := f.do(d); err != nil {
			return "", err
		}
	}
	var all []string
	for _, e := range d.Events {
		all = append(all, e.Endpoint+" "+e.Type)
	}
	f.got = append(f.got, strings.Join(all, ","))
	f.lost += d.Lost
	return "ok", nil
}

func (f *fake) set(do func(*delivery) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.do = do
}

func (f *fake) took() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := strings.Join(f.got, "; ")
	f.got = nil
	return s
}

// rig is a notifier at work inside a bubble, with one destination.
type rig struct {
	*Notifier
	t    *testing.T
	log  *history.Log
	fake *fake
	stop func()
}

func newRig(t *testing.T, l *history.Log, k Keeper, dest spec.Destination) *rig {
	t.Helper()
	n, err := New(Options{History: l, Registerer: prometheus.NewRegistry(), Keeper: k})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Notifier: n, t: t, log: l, fake: &fake{}}
	r.apply(dest)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = n.Run(ctx) })
	running.Go(func() { _ = l.Run(ctx) })
	r.stop = func() {
		stop()
		running.Wait()
	}
	synctest.Wait()
	return r
}

func (r *rig) apply(dest spec.Destination) {
	if dest.Batch == 0 {
		dest.Batch = 100
	}
	dest.Name, dest.MaxAge, dest.Timeout = "ops", 24*time.Hour, 10*time.Second
	if dest.Events == nil {
		dest.Events = []string{history.Down, history.Up, history.Degraded, history.Reloaded}
	}
	q := history.Query{Types: dest.Events, Also: r.also(&dest)}
	r.Apply(&Change{[]*setting{{Destination: &dest, node: "ns1", query: q, sender: r.fake}}})
}

func memory(t *testing.T) *history.Log {
	t.Helper()
	l, err := history.Open(history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (r *rig) tell(endpoint, state, was string) {
	r.log.Tell(history.Event{Type: state, Endpoint: endpoint, State: state, Was: was})
}

func (r *rig) want(after time.Duration, want string) {
	r.t.Helper()
	time.Sleep(after)
	synctest.Wait()
	if got := r.fake.took(); got != want {
		r.t.Errorf("at %s got %q, want %q", time.Now().Format(time.TimeOnly), got, want)
	}
}

func (r *rig) count(name, label string) float64 {
	v := r.meters.deliveries
	if name == "dropped" {
		v = r.meters.dropped
	}
	return testutil.ToFloat64(v.WithLabelValues("ops", label))
}

// What fails is told again, later and later, in order and with one id; what is refused
// is not, is counted, and is said to be missing.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory(t), nil, spec.Destination{})
		defer r.stop()
		r.tell("a", history.Down, history.Up)
		r.want(time.Second, "a down")
		r.fake.set(func(*delivery) error { return fmt.Errorf("down") })
		r.tell("b", history.Down, history.Up)
		time.Sleep(time.Second)
		r.tell("c", history.Down, history.Up)
		r.want(10*time.Minute, "")
		r.fake.mu.Lock()
		tries, ids := len(r.fake.ids), map[string]bool{}
		for _, id := range r.fake.ids {
			ids[id] = true
		}
		r.fake.mu.Unlock()
		if tries < 7 || tries > 20 || len(ids) != 2 {
			t.Errorf("%d tries with %d ids in ten minutes", tries, len(ids))
		}
		if s := r.Status()[0]; s.Waiting != 2 || s.Failures != tries-1 || s.Error != "down" || time.Since(s.Oldest) < 10*time.Minute {
			t.Errorf("%+v", s)
		}
		r.fake.set(nil)
		r.want(10*time.Minute, "b down; c down")

		r.fake.set(func(*delivery) error { return refusal{fmt.Errorf("410 Gone")} })
		r.tell("d", history.Down, history.Up)
		r.want(time.Minute, "")
		r.fake.set(nil)
		r.tell("e", history.Down, history.Up)
		r.want(time.Minute, "e down")
		if r.fake.lost != 1 || r.count("dropped", "refused") != 1 || r.count("deliveries", "refused") != 1 || r.count("deliveries", "delivered") != 4 {
			t.Errorf("%d lost", r.fake.lost)
		}

		r.fake.set(func(*delivery) error { return pause{fmt.Errorf("429"), 20 * time.Minute} })
		r.tell("f", history.Down, history.Up)
		time.Sleep(time.Second)
		r.fake.set(nil)
		r.want(19*time.Minute, "")
		r.want(2*time.Minute, "f down")

		r.fake.set(func(*delivery) error { return fmt.Errorf("down") })
		r.tell("g", history.Down, history.Up)
		time.Sleep(20 * time.Hour)
		r.tell("h", history.Down, history.Up)
		time.Sleep(5 * time.Hour)
		r.fake.set(nil)
		r.want(10*time.Minute, "h down")
		if r.fake.lost != 2 || r.count("dropped", "expired") != 1 {
			t.Errorf("%d lost, %v expired", r.fake.lost, r.count("dropped", "expired"))
		}
		// Each counts once, however often what follows it is tried.
		r.fake.set(func(*delivery) error { return fmt.Errorf("down") })
		r.tell("i", history.Down, history.Up)
		time.Sleep(23 * time.Hour)
		r.tell("j", history.Down, history.Up)
		time.Sleep(2 * time.Hour)
		r.apply(spec.Destination{})
		time.Sleep(time.Hour)
		r.apply(spec.Destination{})
		r.fake.set(nil)
		r.want(10*time.Minute, "j down")
		if r.count("dropped", "expired") != 2 {
			t.Errorf("%v expired", r.count("dropped", "expired"))
		}
	})
}

// Many changes at once are few deliveries, in order.
func TestBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory(t), nil, spec.Destination{Batch: 1000})
		defer r.stop()
		var want []string
		for i := range 10_000 {
			r.tell(fmt.Sprint(i), history.Down, history.Up)
			want = append(want, fmt.Sprint(i, " down"))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		n := len(r.fake.ids)
		if got := strings.ReplaceAll(r.fake.took(), "; ", ","); n > 12 || got != strings.Join(want, ",") {
			t.Errorf("%d deliveries of %d bytes", n, len(got))
		}
	})
}

// A restart goes on where the destination was; so does another configuration.
func TestGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, k := t.TempDir(), &disk{kept: map[string][]byte{"gone": []byte("7")}}
		open := func() *history.Log {
			l, err := history.Open(history.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		r := newRig(t, open(), k, spec.Destination{})
		r.fake.set(func(*delivery) error { return fmt.Errorf("down") }) // it has taken nothing ever
		r.tell("a", history.Down, history.Up)
		time.Sleep(time.Minute)
		r.stop()
		r = newRig(t, open(), k, spec.Destination{})
		r.want(time.Second, "a down")
		r.fake.set(func(*delivery) error { return fmt.Errorf("down") })
		r.tell("b", history.Down, history.Up)
		time.Sleep(time.Minute)
		r.stop()
		if len(k.kept) != 1 {
			t.Errorf("%v is kept", k.kept)
		}
		r = newRig(t, open(), k, spec.Destination{})
		defer r.stop()
		r.tell("c", history.Down, history.Up)
		r.want(time.Second, "b down; c down")

		r.fake.set(func(*delivery) error { return fmt.Errorf("down") })
		r.tell("d", history.Down, history.Up)
		r.tell("d", history.Up, history.Down)
		time.Sleep(time.Minute)
		r.fake.set(nil)
		r.apply(spec.Destination{Events: []string{history.Up}}) // and at once, whatever it waited for
		r.want(time.Millisecond, "d up")
		r.Apply(&Change{})
		r.tell("e", history.Up, history.Down)
		time.Sleep(time.Minute)
		r.apply(spec.Destination{})
		r.want(time.Minute, "")
		r.Apply(&Change{})
		if len(k.kept) != 0 {
			t.Errorf("%v is kept", k.kept)
		}
	})
}

// Whose events are told.
func TestWhose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory(t), nil, spec.Destination{Pools: []string{"eu"}})
		defer r.stop()
		r.log.Tell(history.Event{Type: history.Down, Endpoint: "a", Pools: []string{"us"}})
		r.log.Tell(history.Event{Type: history.Down, Endpoint: "b", Pools: []string{"eu", "us"}})
		r.log.Tell(history.Event{Type: history.OverrideSet, Endpoint: "b", Pools: []string{"eu"}})
		r.want(time.Second, "b down")
	})
}

func TestHold(t *testing.T) {
	// Changes of one endpoint: after how many seconds, to what. hold is 30 s.
	type step struct {
		at int
		to string
	}
	for _, c := range []struct {
		name, want string
		steps      []step
	}{
		{"lasts", "down from up", []step{{0, "down"}}},
		{"comes back in time", "", []step{{0, "down"}, {29, "up"}}},
		{"comes back later", "down from up, up from down", []step{{0, "down"}, {31, "up"}}},
		{"flaps and is up", "", []step{{0, "down"}, {5, "up"}, {10, "down"}, {15, "up"}}},
		{"flaps and is down", "down from up", []step{{0, "down"}, {5, "up"}, {10, "down"}}},
		{"flaps after it went down", "down from up", []step{{0, "down"}, {40, "up"}, {45, "down"}}},
		{"by way of another", "degraded from up", []step{{0, "down"}, {5, "degraded"}}},
		{"flaps for long", "", []step{{0, "down"}, {20, "up"}, {40, "down"}, {60, "up"}, {80, "down"}, {100, "up"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, memory(t), nil, spec.Destination{Hold: 30 * time.Second})
				defer r.stop()
				var told []string
				r.fake.set(func(d *delivery) error {
					for _, e := range d.Events {
						told = append(told, e.Type+" from "+e.Was)
					}
					return nil
				})
				begun, was := time.Now(), "up"
				for _, s := range c.steps {
					time.Sleep(time.Until(begun.Add(time.Duration(s.at) * time.Second)))
					r.tell("a", s.to, was)
					r.tell("b", "up", "down") // of another
					was = s.to
				}
				r.fake.took()
				time.Sleep(29 * time.Second)
				synctest.Wait()
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				var of []string
				for _, s := range told {
					if s != "up from down" || strings.Contains(c.want, s) && !strings.Contains(strings.Join(of, ","), s) {
						of = append(of, s)
					}
				}
				if got := strings.Join(of, ", "); got != c.want {
					t.Errorf("%q, not %q", got, c.want)
				}
			})
		})
	}
}

// An address is judged by others in another pool: that it is down there as well does
// not make either of them come and go.
func TestHoldOfTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory(t), nil, spec.Destination{Hold: 30 * time.Second})
		defer r.stop()
		for _, to := range []string{history.Down, history.Up} {
			was := map[string]string{history.Down: history.Up, history.Up: history.Down}[to]
			r.log.Tell(history.Event{Type: to, Endpoint: "a", Pools: []string{"web"}, State: to, Was: was})
			time.Sleep(5 * time.Second)
			r.log.Tell(history.Event{Type: to, Endpoint: "a", Pools: []string{"mail"}, State: to, Was: was})
			r.want(26*time.Second, "a "+to)
			r.want(10*time.Second, "a "+to)
		}
	})
}

// An endpoint that stays degraded is another when its share is.
func TestHoldOfShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory(t), nil, spec.Destination{Hold: 30 * time.Second})
		defer r.stop()
		var told []string
		r.fake.set(func(d *delivery) error {
			for _, e := range d.Events {
				told = append(told, fmt.Sprintf("%s>%s %v", e.Was, e.Type, e.Share))
			}
			return nil
		})
		was := history.Up
		degraded := func(shares ...float64) {
			for _, s := range shares {
				r.log.Tell(history.Event{Type: history.Degraded, Endpoint: "a", State: history.Degraded, Was: was, Share: s})
				was = history.Degraded
				time.Sleep(5 * time.Second)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		degraded(0.5)
		degraded(0.2, 0.1)
		degraded(0.5, 0.1) // again what it was
		if got := strings.Join(told, ", "); got != "up>degraded 0.5, degraded>degraded 0.1" {
			t.Error(got)
		}
	})
}

// A clock that is set holds up nothing, and makes nothing too old.
func TestHoldOverClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory(t), nil, spec.Destination{Hold: 30 * time.Second})
		defer r.stop()
		for i, off := range []time.Duration{time.Hour, 0, -50 * 365 * 24 * time.Hour, 100 * time.Hour, 0, -20 * time.Second} {
			to, was := history.Down, history.Up
			if i%2 == 1 {
				to, was = was, to
			}
			r.log.Tell(history.Event{At: time.Now().Add(off), Type: to, Endpoint: "a", State: to, Was: was})
			r.want(29*time.Second, "")
			r.want(2*time.Second, "a "+to)
		}
		if r.count("dropped", "expired") != 0 {
			t.Errorf("%v expired", r.count("dropped", "expired"))
		}
	})
}

// What came and went before a restart is not missing after it, however long ago.
func TestHoldOverRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, k := t.TempDir(), &disk{kept: map[string][]byte{}}
		open := func() *history.Log {
			l, err := history.Open(history.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		r := newRig(t, open(), k, spec.Destination{Hold: 30 * time.Second})
		r.tell("a", history.Down, history.Up)
		r.want(time.Minute, "a down")
		r.tell("b", history.Down, history.Up)
		r.tell("b", history.Up, history.Down)
		r.want(25*time.Hour, "")
		r.stop()
		r = newRig(t, open(), k, spec.Destination{Hold: 30 * time.Second})
		defer r.stop()
		r.tell("c", history.Down, history.Up)
		r.want(time.Minute, "c down")
		if r.fake.lost != 0 {
			t.Errorf("%d lost", r.fake.lost)
		}
	})
}

// receiver is a webhook as others write them: it verifies what it is sent.
func receiver(t *testing.T, secret []byte, answer http.HandlerFunc) (*webhook, chan body) {
	t.Helper()
	got := make(chan body, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		id, stamp := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
		if want := "v1," + Sign(secret, id, stamp, raw); r.Header.Get("webhook-signature") != want {
			t.Errorf("signature %q, want %q", r.Header.Get("webhook-signature"), want)
		}
		var b body
		if err := json.Unmarshal(raw, &b); err != nil {
			t.Error(err)
		}
		got <- b
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	w, err := newWebhook(&spec.Webhook{URL: s.URL + "/secret/path", Secret: secret, Headers: map[string]string{"X-Team": "ops"}}, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return w, got
}

func testDelivery(t *testing.T) *delivery {
	t.Helper()
	s := &setting{Destination: &spec.Destination{Name: "ops"}, node: "ns1"}
	d, err := s.delivery("rhumb.events", []history.Event{{ID: 7, Type: history.Down, Endpoint: "192.0.2.10"}}, 3, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The example of https://github.com/standard-webhooks/standard-webhooks, signed by its
// libraries.
func TestSign(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := Sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

func TestWebhook(t *testing.T) {
	secret := []byte("a key of twenty-four byte")
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   string // of the error; "" when it is taken
		kind   string // refusal, pause or neither
	}{
		{"takes it", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "", ""},
		{"fails", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "answered 500 Internal Server Error", "pause"},
		{"has had enough", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "17"); w.WriteHeader(429) }, "answered 429 Too Many Requests", "pause 17s"},
		{"refuses", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(422) }, "answered 422 Unprocessable Entity", "refusal"},
		{"is gone", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) }, "answered 410 Gone", "refusal"},
		{"does not know us", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "answered 401 Unauthorized", "pause"},
		{"is not there yet", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "answered 404 Not Found", "pause"},
		{"redirects", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, "redirects are not followed", "pause"},
		{"hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer in time", ""},
		{"a byte at a time", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("x"))
				_ = http.NewResponseController(w).Flush()
			}
		}, "", ""},
		{"goes away", func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, "it hung up without an answer", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, got := receiver(t, secret, c.answer)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if c.name != "hangs" {
				ctx = t.Context()
			}
			_, err := w.send(ctx, testDelivery(t))
			kind := ""
			var no refusal
			var later pause
			switch {
			case errors.As(err, &no):
				kind = "refusal"
			case errors.As(err, &later):
				kind = strings.TrimSuffix("pause "+later.after.String(), " 0s")
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || kind != c.kind {
				t.Errorf("%v (%s)", err, kind)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the path is shown: %v", err)
			}
			b := <-got
			if b.Type != "rhumb.events" || b.Data.Node != "ns1" || b.Data.Lost != 3 || len(b.Data.Events) != 1 || b.Data.Events[0].Endpoint != "192.0.2.10" {
				t.Errorf("%+v", b)
			}
			if len(got) != 0 {
				t.Error("asked again")
			}
		})
	}
	w, err := newWebhook(&spec.Webhook{URL: "http://" + closed(t) + "/secret"}, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.send(t.Context(), testDelivery(t)); err == nil || strings.Contains(err.Error(), "secret") || !strings.HasSuffix(err.Error(), ": connect: connection refused") || strings.Contains(err.Error(), "dial") {
		t.Error(err)
	}
}

// closed is an address where nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestScript(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "tell")
	run := func(body string, timeout time.Duration) (string, error) {
		t.Helper()
		if err := os.WriteFile(file, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		s, err := newScript(&spec.Notifier{
			Command: file, Args: []string{"one two"}, Environment: spec.Environment{Env: map[string]string{"PAGER_KEY": "hush-hush", "TEAM": "ops"}, Secrets: []string{"PAGER_KEY"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		return s.send(ctx, testDelivery(t))
	}
	out := filepath.Join(dir, "out")
	if _, err := run(`cat >`+out+`; echo "$1 $RHUMB_EVENTS $RHUMB_LOST $RHUMB_NODE $RHUMB_TYPE $TEAM" >>`+out, time.Minute); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil || !strings.HasPrefix(string(b), `{"id":7,`) || !strings.HasSuffix(string(b), "}\none two 1 3 ns1 rhumb.events ops\n") {
		t.Errorf("%s %v", b, err)
	}
	for _, c := range []struct {
		body, want string
		timeout    time.Duration
	}{
		{"echo no route with $PAGER_KEY; exit 3", "exit status 3: no route with (secret)", time.Minute},
		{"exec sleep 600", "did not end in time", 300 * time.Millisecond},
		{"(sleep 600 & sleep 600 &) ; trap '' TERM; sleep 600", "did not end in time", 300 * time.Millisecond},
		{"cat /dev/zero", "wrote more than", time.Minute},
		{"kill -9 $$", "ended by killed", time.Minute},
	} {
		if _, err := run(c.body, c.timeout); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.body, err)
		}
	}
	// What reads nothing of much is no fault.
	s, err := newScript(&spec.Notifier{Command: "/bin/true"})
	if err != nil {
		t.Fatal(err)
	}
	d := testDelivery(t)
	for range 10_000 {
		d.Events = append(d.Events, d.Events[0])
	}
	if _, err := s.send(t.Context(), d); err != nil {
		t.Error(err)
	}
}

func TestNotFound(t *testing.T) {
	var n *Notifier
	if _, err := n.Test(t.Context(), "ops"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if n.Status() != nil {
		t.Error("a nil notifier has destinations")
	}
}
