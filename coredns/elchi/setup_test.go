package elchi

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/coredns/rig"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/edge"
	"github.com/rhumb-dns/rhumb/zone"
)

// TestAwait has three blocks whose controllers say nothing: CoreDNS waits for them once,
// and not for each.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := &blocks{n: 3}
		begun := time.Now()
		for i := range all.n {
			var edges []*edge.Edge
			for j := range 2 {
				z, err := dnswire.ParseName(fmt.Sprintf("z%d.b%d.test", j, i))
				if err != nil {
					t.Fatal(err)
				}
				e, err := edge.New(edge.Options{Zone: z, Endpoints: []string{"http://none.test"}, Secret: secret, Put: func(*zone.Data) error { return nil }})
				if err != nil {
					t.Fatal(err)
				}
				edges = append(edges, e) // which nobody runs
			}
			b := &block{statement: &statement{timeout: 4 * time.Second}, all: all}
			s := &site{}
			s.current.Store(&edges)
			b.site.Store(s)
			all.started = append(all.started, started{b, time.Now()})
			all.await()
			want := time.Duration(0)
			if i == all.n-1 {
				want = 4 * time.Second
			}
			if took := time.Since(begun); took != want {
				t.Errorf("block %d is started after %v, want %v", i, took, want)
			}
		}
	})
}

// TestWebhookDuringReload asks for both zones of a webhook while a reload waits for the
// controller of the first, which is a new one and does not answer yet.
func TestWebhookDuringReload(t *testing.T) {
	c := newController(t, records)
	asked, goOn := make(chan struct{}, 9), make(chan struct{})
	slow := newController(t, records)
	handler := slow.Config.Handler
	slow.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-goOn
		handler.ServeHTTP(w, r)
	})
	text := func(first string) string {
		text := ""
		for _, b := range [][2]string{{"one.test", first}, {"two.test", c.URL}} {
			text += fmt.Sprintf("%s:0 {\n bind 127.0.0.1\n elchi {\n  endpoint %s\n  secret %s\n  timeout 4m\n webhook 127.0.0.1:0\n }\n}\n", b[0], b[1], secret)
		}
		return text
	}
	i := rig.Start(t, text(c.URL))
	over := make(chan error)
	go func() { over <- i.Reload(text(slow.URL)) }()
	<-asked
	for _, zone := range []string{"one.test", "two.test"} {
		resp, err := http.Get(rig.Door(t, doors.Each) + api.HealthPath + "?zone=" + zone)
		if code, v := decode[api.Health](t, resp, err); code != http.StatusOK || v.Zone != zone {
			t.Errorf("%s: %d %+v", zone, code, v)
		}
	}
	close(goOn)
	if err := <-over; err != nil {
		t.Error(err)
	}
}
