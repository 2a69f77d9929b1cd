package edge

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/zone"
)

// fed is an engine with a zone that is fed, and the options of an edge for it.
func fed(t testing.TB, zoneName string) (*rhumb.Engine, Options) {
	t.Helper()
	s, err := spec.Parse("test.yaml", fmt.Appendf(nil, "zones:\n  %s:\n    nameservers: {ns1: 192.0.2.53}\n", zoneName))
	if err != nil {
		t.Fatal(err)
	}
	s.Zones[0].Fed = true
	e, err := rhumb.New(rhumb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.Prepare(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Commit(c); err != nil {
		t.Fatal(err)
	}
	o := options()
	o.Zone = name(zoneName)
	o.Put = func(d *zone.Data) error { return e.Feed(o.Zone, d) }
	o.Ahead = func(d *zone.Data) (func(*zone.Data) error, error) { return e.FeedAhead(o.Zone, d) }
	o.Apex = e.Apex(o.Zone)
	return e, o
}

// ask is what the engine answers, without TTLs.
func ask(t testing.TB, e *rhumb.Engine, question string) string {
	t.Helper()
	name, typ, _ := strings.Cut(question, " ")
	tr, err := e.Explain(rhumb.Question{Name: name, Type: typ})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(tr.Answers)
	return strings.TrimSpace(tr.RCode + " " + strings.Join(tr.Answers, ", "))
}

// What the edge says of its zone is what is answered.
func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine, o := fed(t, "gslb.elchi")
		want := func(when string, answers map[string]string) {
			t.Helper()
			for q, want := range answers {
				if got := ask(t, engine, q); got != want {
					t.Errorf("%s: %s: %s, want %s", when, q, got, want)
				}
			}
		}
		want("before there is anything", map[string]string{"a.gslb.elchi A": "SERVFAIL"})
		e := start(t, o, says(snapshot("1", one, away, hid,
			`{"name":"off.gslb.elchi","type":"A","enabled":false}`,
			`{"name":"x.deep.gslb.elchi","type":"A","ips":["192.0.2.8"]}`,
			`{"name":"v6.gslb.elchi","type":"AAAA","ips":["2001:db8::1"]}`)))
		stop := run(t, e)
		<-e.Tried()
		want("a snapshot", map[string]string{
			"a.gslb.elchi A": "NOERROR A 192.0.2.1", "A.Gslb.ELCHI A": "NOERROR A 192.0.2.1",
			"a.gslb.elchi AAAA": "NOERROR", "a.gslb.elchi TXT": "NOERROR", "v6.gslb.elchi A": "NOERROR", "deep.gslb.elchi A": "NOERROR",
			"off.gslb.elchi A": "NOERROR", "off.gslb.elchi AAAA": "NOERROR",
			"s.gslb.elchi A": "NOERROR CNAME x.elchi.", "s.gslb.elchi AAAA": "NOERROR CNAME x.elchi.",
			"no.gslb.elchi A": "NXDOMAIN", "evilgslb.elchi A": "REFUSED",
			"gslb.elchi NS": "NOERROR NS ns1.gslb.elchi.", "gslb.elchi A": "NOERROR", "ns1.gslb.elchi A": "NOERROR A 192.0.2.53",
		})
		w := call{method: http.MethodPost, path: "/notify", body: `{"records":[{"name":"a.gslb.elchi","type":"A","ips":["192.0.2.7"]},{"name":"s.gslb.elchi","type":"A","ips":["192.0.2.9"]}],"deletes":[{"name":"off.gslb.elchi","type":"A"}]}`}.do(e.Handler())
		if w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		want("a notification", map[string]string{
			"a.gslb.elchi A": "NOERROR A 192.0.2.7", "s.gslb.elchi A": "NOERROR A 192.0.2.9", "s.gslb.elchi AAAA": "NOERROR AAAA 2001:db8::1",
			"off.gslb.elchi A": "NXDOMAIN", "gslb.elchi NS": "NOERROR NS ns1.gslb.elchi.",
		})
		stop()
	})
}

// BenchmarkFeed is from the first octet of a snapshot of a million records to its answers.
func BenchmarkFeed(b *testing.B) {
	text := many(1_000_000)
	for b.Loop() {
		_, o := fed(b, "gslb.example")
		e, err := New(o)
		if err != nil {
			b.Fatal(err)
		}
		t, err := gather(bytes.NewReader(text), gatherOptions{rules: e.rules, apex: o.Apex, most: DefaultMaxRecords})
		if err != nil {
			b.Fatal(err)
		}
		if err := e.take(b.Context(), t, api.FromController); err != nil {
			b.Fatal(err)
		}
	}
}

// ofMillion is an edge with a million records in force, and more of the same.
func ofMillion(b *testing.B) (e *Edge, snapshot func() *taken) {
	b.Helper()
	_, o := fed(b, "gslb.example")
	e, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	text := many(1_000_000)
	snapshot = func() *taken {
		t, err := gather(bytes.NewReader(text), gatherOptions{rules: e.rules, apex: o.Apex, most: DefaultMaxRecords})
		if err != nil {
			b.Fatal(err)
		}
		return t
	}
	if err := e.take(b.Context(), snapshot(), api.FromController); err != nil {
		b.Fatal(err)
	}
	return e, snapshot
}

// notified is how long a notification of one record took.
func notified(b *testing.B, h http.Handler, format string, i int) time.Duration {
	b.Helper()
	c := call{method: http.MethodPost, path: "/notify", body: fmt.Sprintf(`{"records":[{"name":"`+format+`.gslb.example","type":"A","ips":["192.0.2.%d"]}]}`, i, i%256)}
	begun := time.Now()
	w := c.do(h)
	took := time.Since(begun)
	if w.Code != 200 {
		b.Fatalf("%d %s", w.Code, w.Body)
	}
	return took
}

// reportNotified says how long notifications took.
func reportNotified(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
	b.ReportMetric(float64(took[len(took)*9999/10_000].Microseconds()), "µs-p99.99")
	b.ReportMetric(float64(took[len(took)-1].Microseconds()), "µs-worst")
}

// BenchmarkNotify is from a notification of one record in a zone of a million to its
// answer, put in force.
func BenchmarkNotify(b *testing.B) {
	e, _ := ofMillion(b)
	h, i := e.Handler(), 0
	for b.Loop() {
		i++
		notified(b, h, "service-%07d", i*7919%1_000_000)
	}
}

// BenchmarkNotifyNew is notifications of 500,000 new names, one by one, in a zone of a
// million; an op is all of them.
func BenchmarkNotifyNew(b *testing.B) {
	for _, c := range []struct{ name, format string }{
		{"names", "new-%07d"},
		{"dotted", "web.new-%07d"}, // each with an empty non-terminal
	} {
		b.Run(c.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				b.StopTimer()
				e, _ := ofMillion(b)
				h := e.Handler()
				b.StartTimer()
				for i := range 500_000 {
					took = append(took, notified(b, h, c.format, i))
				}
			}
			reportNotified(b, took)
		})
	}
}

// BenchmarkNotifyMeanwhile is notifications of one record, one after the other, while a
// snapshot of a million other records takes the place of a million.
func BenchmarkNotifyMeanwhile(b *testing.B) {
	e, snapshot := ofMillion(b)
	h, i := e.Handler(), 0
	var took []time.Duration
	var whole time.Duration
	for b.Loop() {
		e.while.begin("v1") // as for a question
		t := snapshot()
		done := make(chan error)
		begun := time.Now()
		go func() { done <- e.take(b.Context(), t, api.FromController) }()
		for over := false; !over; {
			i++
			took = append(took, notified(b, h, "service-%07d", i*7919%1_000_000))
			select {
			case err := <-done:
				if err != nil {
					b.Fatal(err)
				}
				over = true
			case <-time.After(time.Millisecond):
			}
		}
		whole += time.Since(begun)
		e.while.end()
	}
	b.ReportMetric(float64(whole.Milliseconds())/float64(b.N), "ms-snapshot")
	reportNotified(b, took)
	b.ReportMetric(float64(len(took)), "notified")
}
