package edge

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

// What is done while a snapshot is on its way, before its first octet and after it, is in
// force once it is there; but an event that is in it is not done again.
func TestMeanwhile(t *testing.T) {
	a := func(n int) string {
		return fmt.Sprintf(`{"name":"a.gslb.elchi","type":"A","ttl":20,"ips":["192.0.2.%d"]}`, n)
	}
	push := func(body string) func(*testing.T, *Edge) {
		return func(t *testing.T, e *Edge) {
			if w := (call{method: http.MethodPost, path: "/notify", body: body}).do(e.Handler()); w.Code != 200 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
	}
	event := func(from, to int, records string) func(*testing.T, *Edge) {
		return func(t *testing.T, e *Edge) {
			if err := e.event(api.EventChange, fmt.Appendf(nil, `{"from":"%d","version_hash":"%d","records":[%s]}`, from, to, records)); err != nil {
				t.Error(err)
			}
		}
	}
	for _, c := range []struct {
		name              string
		begins            bool   // the answer has begun before anything is done
		snapshot, version string // what comes, and the version that is there then
		do, later         []func(*testing.T, *Edge)
		want              []string
		again             bool // it asks once more, for something is not known
	}{
		{
			name: "a notification while the controller thinks", snapshot: snapshot("2", two), version: "2", do: []func(*testing.T, *Edge){push(`{"records":[` + a(9) + `]}`)},
			want: []string{"a.gslb.elchi. 20 A 192.0.2.9", "b.gslb.elchi. 20 A 192.0.2.2"},
		},
		{
			name: "a notification while it answers", begins: true, snapshot: snapshot("2", one, two), version: "2", do: []func(*testing.T, *Edge){push(`{"deletes":[{"name":"a.gslb.elchi","type":"A"}]}`)},
			want: []string{"b.gslb.elchi. 20 A 192.0.2.2"},
		},
		{
			name: "one that takes away what comes", snapshot: snapshot("2", one, two), version: "2", do: []func(*testing.T, *Edge){push(`{"deletes":[{"name":"b.gslb.elchi","type":"A"}]}`)},
			want: []string{"a.gslb.elchi. 20 A 192.0.2.1"},
		},
		{
			name: "an event that is in the snapshot, and one that comes later", begins: true, snapshot: snapshot("3", a(3)), version: "3",
			do: []func(*testing.T, *Edge){event(1, 2, a(2))}, later: []func(*testing.T, *Edge){event(2, 3, a(3))},
			want: []string{"a.gslb.elchi. 20 A 192.0.2.3"}, again: true,
		},
		{
			name: "an event that is in the snapshot, and one that is not", snapshot: snapshot("2", a(2)), version: "3",
			do: []func(*testing.T, *Edge){event(1, 2, a(2)), push(`{"records":[` + two + `]}`), event(2, 3, a(3))}, later: []func(*testing.T, *Edge){event(3, 4, a(4))},
			want: []string{"a.gslb.elchi. 20 A 192.0.2.4", "b.gslb.elchi. 20 A 192.0.2.2"},
		},
		{
			name: "a notification, and an event of the same record that is in the snapshot", snapshot: snapshot("2", a(2)), version: "3",
			do:   []func(*testing.T, *Edge){push(`{"records":[` + a(9) + `,` + two + `]}`), event(1, 2, a(2)), event(2, 3, "")},
			want: []string{"a.gslb.elchi. 20 A 192.0.2.2", "b.gslb.elchi. 20 A 192.0.2.2"},
		},
		{
			name: "an event that is in the snapshot, and a notification of the same record", snapshot: snapshot("2", a(2)), version: "2",
			do: []func(*testing.T, *Edge){event(1, 2, a(2)), push(`{"records":[` + a(9) + `]}`)}, want: []string{"a.gslb.elchi. 20 A 192.0.2.9"},
		},
		{
			name: "events after the version that was there", snapshot: snapshot("1", one), version: "3",
			do: []func(*testing.T, *Edge){event(1, 2, a(2)), event(2, 3, "")}, want: []string{"a.gslb.elchi. 20 A 192.0.2.2"},
		},
		{
			name: "the same version twice", snapshot: snapshot("1", one), version: "1",
			do: []func(*testing.T, *Edge){event(1, 2, a(2)), event(2, 1, a(1))}, want: []string{"a.gslb.elchi. 20 A 192.0.2.1"},
		},
		{
			name: "too much", snapshot: snapshot("2", two), version: "2", again: true,
			do:   []func(*testing.T, *Edge){push(`{"records":[` + strings.Repeat(a(9)+",", maxMeanwhile) + a(9) + `]}`)},
			want: []string{"b.gslb.elchi. 20 A 192.0.2.2"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, more := true, make(chan struct{})
				e := start(t, options(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					text := c.snapshot
					if first {
						text = snapshot("1", one)
					} else if c.begins {
						_, _ = io.WriteString(w, text[:40])
						text = text[40:]
					}
					if !first {
						<-more
					}
					first = false
					_, _ = io.WriteString(w, text)
				}))
				if err := e.sync(t.Context()); err != nil {
					t.Fatal(err)
				}
				done := make(chan error)
				go func() { done <- e.sync(t.Context()) }()
				synctest.Wait()
				for _, do := range c.do {
					do(t, e)
				}
				close(more)
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				if e.version() != c.version || e.while.steps != nil {
					t.Errorf("version %s, %d steps are still remembered", e.version(), len(e.while.steps))
				}
				for _, do := range c.later {
					do(t, e)
				}
				same(t, "after it", holds(e.st.data), c.want)
				if again := len(e.wake) > 0; again != c.again {
					t.Errorf("it asks again: %v", again)
				}
			})
		})
	}
}

// An event that changes nothing is remembered over a crash as well.
func TestVersionOfAnEmptyEventIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.DataDir = t.TempDir()
		e := start(t, o, says(snapshot("1", one)))
		stop := run(t, e)
		time.Sleep(time.Minute)
		if err := e.event(api.EventChange, []byte(`{"from":"1","version_hash":"2","records":[]}`)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if kept, _, err := e.disk.load(t.Context()); err != nil || kept.hash != "2" {
			t.Errorf("%+v, %v", kept, err)
		}
		stop()
	})
}
