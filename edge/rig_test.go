package edge

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// many is a snapshot of so many records, some 100 octets each.
func many(n int) []byte {
	b := []byte(`{"zone":"gslb.example","version_hash":"v1","records":[`)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"name":"service-%07d.gslb.example","type":"A","ttl":300,"ips":["10.%d.%d.%d"]}`, i, i>>16&255, i>>8&255, i&255)
	}
	return append(b, "]}"...)
}

func name(s string) dnswire.Name {
	n, err := dnswire.ParseName(s)
	if err != nil {
		panic(err)
	}
	return n
}

// apex are the records of a zone that its statement has.
func apex(zone string) []text.Record {
	z, ns := name(zone), name("ns1."+zone)
	soa := append(append([]byte(ns), name("hostmaster."+zone)...), 0, 0, 0, 1, 0, 0, 14, 16, 0, 0, 3, 132, 0, 9, 58, 128, 0, 0, 0, 30)
	return []text.Record{
		{Owner: z, Type: dnswire.TypeSOA, TTL: 30, Data: soa},
		{Owner: z, Type: dnswire.TypeNS, TTL: 3600, Data: []byte(ns)},
		{Owner: ns, Type: dnswire.TypeA, TTL: 3600, Data: []byte{192, 0, 2, 53}},
	}
}

func gatherWith(zone string) gatherOptions {
	o := &Options{Zone: name(zone), TTL: DefaultTTL, Apex: apex(zone)}
	return gatherOptions{rules: newRules(o), apex: o.Apex, most: DefaultMaxRecords}
}

// options are those of an edge of gslb.elchi.
func options() Options {
	return Options{
		Zone: name("gslb.elchi"), Endpoints: []string{"http://controller.test"}, Secret: "my-shared-secret",
		NodeIP: "192.0.2.9", Put: func(*zone.Data) error { return nil }, Apex: apex("gslb.elchi"),
	}
}

// start makes an edge whose controllers are a handler, without any socket.
func start(t *testing.T, o Options, controllers http.Handler) *Edge {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	e.client.http.Transport = wire{controllers}
	return e
}

// run has an edge run until the function that it returns is called, or the test ends.
func run(t *testing.T, e *Edge) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// wire is a network in memory: it hands requests to a handler, and what that writes goes
// back as it is written.
type wire struct{ h http.Handler }

type answer struct {
	head   http.Header
	status chan int
	out    *io.PipeWriter
	once   sync.Once
}

func (a *answer) Header() http.Header { return a.head }
func (a *answer) Flush()              { a.WriteHeader(http.StatusOK) }

func (a *answer) WriteHeader(code int) { a.once.Do(func() { a.status <- code }) }

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.out.Write(b)
}

// RoundTrip implements http.RoundTripper.
func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	in, out := io.Pipe()
	a := &answer{head: http.Header{}, status: make(chan int, 1), out: out}
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(ctx, func() { _ = in.CloseWithError(ctx.Err()); _ = out.CloseWithError(ctx.Err()) })
	go func() {
		defer stop()
		defer out.Close()
		defer a.WriteHeader(http.StatusOK)
		w.h.ServeHTTP(a, r.WithContext(ctx))
	}()
	select {
	case code := <-a.status:
		return &http.Response{StatusCode: code, Status: http.StatusText(code), Header: a.head.Clone(), Body: body{in, cancel}, Request: r}, nil
	case <-ctx.Done():
		cancel()
		return nil, ctx.Err()
	}
}

type body struct {
	*io.PipeReader
	cancel func()
}

func (b body) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}

// says is a controller that answers every request with one text.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == api.EventsPath {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, text)
	}
}

// snapshot is a text of a snapshot of gslb.elchi.
func snapshot(hash string, records ...string) string {
	return `{"zone":"gslb.elchi","version_hash":"` + hash + `","records":[` + strings.Join(records, ",") + `]}`
}

// holds are the records of the data but for the zone's own, a line each, in order.
func holds(d *zone.Data) []string {
	var all []string
	d.All(func(owner dnswire.Name, t dnswire.Type, ttl uint32, data [][]byte) bool {
		if owner == d.Name && (t == dnswire.TypeSOA || t == dnswire.TypeNS) || owner.First() == "ns1" {
			return true
		}
		if t == 0 {
			all = append(all, owner.String()+" exists")
		}
		for _, b := range data {
			v := dnswire.Name(b).String
			if t != dnswire.TypeCNAME {
				a, _ := netip.AddrFromSlice(b)
				v = a.String
			}
			all = append(all, fmt.Sprintf("%s %d %s %s", owner, ttl, t, v()))
		}
		return true
	})
	slices.Sort(all)
	return all
}

// lists are the records of a standing as it lists them, in order.
func lists(st *standing) []string {
	var all []string
	st.list(func(_ string, _ kind, json []byte) bool { all = append(all, string(json)); return true })
	slices.Sort(all)
	return all
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// mustTake takes a snapshot of gslb.elchi.
func mustTake(t *testing.T, text string) *taken {
	t.Helper()
	o := gatherWith("gslb.elchi")
	got, err := gather(strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
