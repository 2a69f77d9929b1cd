package edge

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/api"
)

// A controller whose version is what it was says nothing of records that notifications
// have changed: a notification of the change back may have been lost. The second poll that
// would find nothing asks for a snapshot, unless an event has said how these records are.
func TestStrays(t *testing.T) {
	const (
		a1, b2 = "a.gslb.elchi. 20 A 192.0.2.1", "b.gslb.elchi. 20 A 192.0.2.2"
		polled = "/dns/changes"
		whole  = "/dns/snapshot"
	)
	other := strings.ReplaceAll(one, "192.0.2.1", "192.0.2.9")
	push := func(body string) func(*testing.T, *Edge) {
		return func(t *testing.T, e *Edge) {
			if w := (call{method: http.MethodPost, path: "/notify", body: body}).do(e.Handler()); w.Code != http.StatusOK {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
	}
	event := func(from, to int, body string) func(*testing.T, *Edge) {
		return func(t *testing.T, e *Edge) {
			if err := e.event(api.EventChange, fmt.Appendf(nil, `{"from":"%d","version_hash":"%d",%s}`, from, to, body)); err != nil {
				t.Error(err)
			}
		}
	}
	many := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"name":"n%d.gslb.elchi","type":"A","ips":["192.0.2.1"]}`, i))
		}
		return `{"records":[` + strings.Join(all, ",") + `]}`
	}
	for _, c := range []struct {
		name  string
		do    []func(*testing.T, *Edge)
		asked []string // by three polls
		want  []string
	}{
		{"nothing", nil, []string{polled, polled, polled}, []string{a1, b2}},
		{"one that is no more", []func(*testing.T, *Edge){push(`{"records":[` + other + `]}`)}, []string{polled, whole, polled}, []string{a1, b2}},
		{"one that is back", []func(*testing.T, *Edge){push(`{"deletes":[{"name":"b.gslb.elchi","type":"A"}]}`)}, []string{polled, whole, polled}, []string{a1, b2}},
		{"one that changes nothing", []func(*testing.T, *Edge){push(`{"records":[` + one + `],"deletes":[{"name":"b.gslb.elchi","type":"CNAME"}]}`)}, []string{polled, polled, polled}, []string{a1, b2}},
		{"more than are told apart", []func(*testing.T, *Edge){push(many(maxStrays + 1))}, []string{polled, whole, polled}, []string{a1, b2}},
		{
			"one of which an event says the same",
			[]func(*testing.T, *Edge){push(`{"records":[` + other + `]}`), event(1, 2, `"records":[`+other+`]`), event(2, 1, `"records":[`+one+`]`)},
			[]string{polled, polled, polled},
			[]string{a1, b2},
		},
		{
			"one of which an event says nothing",
			[]func(*testing.T, *Edge){push(`{"records":[` + other + `]}`), event(1, 1, `"records":[`+two+`]`), event(1, 2, `"deletes":[{"name":"b.gslb.elchi","type":"A"}]`), event(2, 1, `"records":[`+two+`]`)},
			[]string{polled, whole, polled},
			[]string{a1, b2},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked []string
			e := start(t, options(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.URL.Path)
				if r.URL.Path == api.ChangesPath {
					_, _ = io.WriteString(w, `{"unchanged":true}`)
					return
				}
				_, _ = io.WriteString(w, snapshot("1", one, two))
			}))
			poll := func() {
				if err := e.sync(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			poll()
			asked = nil
			for _, do := range c.do {
				do(t, e)
			}
			for range 3 {
				poll()
			}
			same(t, "asked", asked, c.asked)
			same(t, "there is", holds(e.st.data), c.want)
		})
	}
}

// A notification while a snapshot comes in is done again after it, and is no more certain
// then.
func TestStraysOfMeanwhile(t *testing.T) {
	answers := []string{snapshot("1", one), snapshot("2", one), `{"unchanged":true}`, snapshot("2", one)}
	var e *Edge
	polls := 0
	e = start(t, options(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if polls == 1 {
			if w := (call{method: http.MethodPost, path: "/notify", body: `{"records":[` + two + `]}`}).do(e.Handler()); w.Code != http.StatusOK {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
		if whole := r.URL.Path == api.SnapshotPath; whole != (polls == 0 || polls == 3) {
			t.Errorf("poll %d asks for %s", polls, r.URL.Path)
		}
		_, _ = io.WriteString(w, answers[polls])
	}))
	for polls = range answers {
		if err := e.sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(holds(e.st.data)); got != []int{1, 2, 2, 1}[polls] {
			t.Errorf("%d records after poll %d", got, polls)
		}
	}
}

// An event while a snapshot comes in is done again after it as well, and is certain: were it
// doubted, an edge of a zone in which something changes all the time would ask for it as a
// whole with every second poll.
func TestStraysOfEventsMeanwhile(t *testing.T) {
	type word func(t *testing.T, e *Edge, version int)
	push := func(body string) word {
		return func(t *testing.T, e *Edge, _ int) {
			if w := (call{method: http.MethodPost, path: "/notify", body: body}).do(e.Handler()); w.Code != http.StatusOK {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
	}
	event := func(body string) word {
		return func(t *testing.T, e *Edge, version int) {
			if err := e.event(api.EventChange, fmt.Appendf(nil, `{"from":"%s","version_hash":"%d",%s}`, e.version(), version, body)); err != nil {
				t.Error(err)
			}
		}
	}
	inIt := event(`"records":[]`) // the snapshot has what leads up to it
	three, other := strings.ReplaceAll(one, "192.0.2.1", "192.0.2.3"), strings.ReplaceAll(two, "192.0.2.2", "192.0.2.4")
	gone := `{"deletes":[{"name":"a.gslb.elchi","type":"CNAME"}]}`
	alias := `"records":[{"name":"a.gslb.elchi","type":"A","ttl":20,"ips":[],"failover":"x.elchi"}]`
	for _, c := range []struct {
		name   string
		words  []word
		doubts bool
	}{
		{"an event", []word{inIt, event(`"records":[` + three + `]`)}, false},
		{"a notification, and an event", []word{inIt, push(`{"records":[` + two + `]}`), event(`"records":[` + two + `]`)}, false},
		{"an event, and a notification that changes nothing", []word{inIt, event(`"records":[` + three + `]`), push(`{"deletes":[{"name":"b.gslb.elchi","type":"A"}]}`)}, false},
		{"an event, and a notification of something else", []word{inIt, event(`"records":[` + three + `]`), push(`{"records":[` + two + `]}`)}, true},
		{"an event, and a notification that says otherwise", []word{inIt, event(`"records":[` + two + `]`), push(`{"records":[` + other + `]}`)}, true},
		{"an event of an alias, and a notification that takes it away", []word{inIt, event(alias), push(gone)}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e *Edge
			polls := 0
			answers := []string{snapshot("1", one), snapshot("2", one), `{"unchanged":true}`, snapshot("3", one)}
			e = start(t, options(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for i, s := range c.words {
					if polls == 1 {
						s(t, e, i+2)
					}
				}
				if polls == 3 && (r.URL.Path == api.SnapshotPath) != c.doubts {
					t.Errorf("the last poll asks for %s", r.URL.Path)
				}
				_, _ = io.WriteString(w, answers[polls])
			}))
			for polls = range answers {
				if err := e.sync(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
