package edge

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/zone"
)

// What is told while a snapshot is made ready is answered from at once, and is in force
// after it as well.
func TestToldWhileSnapshotIsMadeReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine, o := fed(t, "gslb.elchi")
		ahead, first, more := o.Ahead, true, make(chan struct{})
		o.Ahead = func(d *zone.Data) (func(*zone.Data) error, error) {
			if !first {
				<-more
			}
			first = false
			return ahead(d)
		}
		text := snapshot("1", one)
		e := start(t, o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { says(text)(w, r) }))
		if err := e.sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		text = snapshot("3", two, `{"name":"c.gslb.elchi","type":"A","ips":["192.0.2.3"]}`)
		done := make(chan error)
		go func() { done <- e.sync(t.Context()) }()
		synctest.Wait() // it is being made ready
		push := func(body string) {
			t.Helper()
			if w := (call{method: http.MethodPost, path: "/notify", body: body}).do(e.Handler()); w.Code != 200 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		want := func(when, question, want string) {
			t.Helper()
			if got := ask(t, engine, question); got != want {
				t.Errorf("%s: %s: %s, want %s", when, question, got, want)
			}
		}
		push(`{"records":[{"name":"b.gslb.elchi","type":"A","ips":["192.0.2.9"]}],"deletes":[{"name":"c.gslb.elchi","type":"A"}]}`)
		if err := e.event(api.EventChange, []byte(`{"from":"1","version_hash":"2","records":[{"name":"d.gslb.elchi","type":"A","ips":["192.0.2.4"]}]}`)); err != nil {
			t.Error(err)
		}
		if err := e.event(api.EventChange, []byte(`{"from":"2","version_hash":"3","records":[]}`)); err != nil {
			t.Error(err)
		}
		if err := e.event(api.EventChange, []byte(`{"from":"3","version_hash":"4","records":[{"name":"e.gslb.elchi","type":"A","ips":["192.0.2.5"]}]}`)); err != nil {
			t.Error(err)
		}
		want("meanwhile", "b.gslb.elchi A", "NOERROR A 192.0.2.9")
		want("meanwhile", "a.gslb.elchi A", "NOERROR A 192.0.2.1")
		want("meanwhile", "d.gslb.elchi A", "NOERROR A 192.0.2.4")
		close(more)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		want("after it", "a.gslb.elchi A", "NXDOMAIN")
		want("after it", "b.gslb.elchi A", "NOERROR A 192.0.2.9")
		want("after it", "c.gslb.elchi A", "NXDOMAIN")
		want("after it", "d.gslb.elchi A", "NXDOMAIN") // the snapshot is of a later version
		want("after it", "e.gslb.elchi A", "NOERROR A 192.0.2.5")
		if e.version() != "4" {
			t.Errorf("version %s", e.version())
		}
	})
}

// A snapshot that cannot be made ready is refused, and what there is stays.
func TestSnapshotThatCannotBeMadeReady(t *testing.T) {
	o := options()
	o.Ahead = func(*zone.Data) (func(*zone.Data) error, error) { return nil, errors.New("no room") }
	e := start(t, o, says(snapshot("1", one)))
	if err := e.sync(t.Context()); err == nil || e.Ready() {
		t.Errorf("%v, ready: %v", err, e.Ready())
	}
}
