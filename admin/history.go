package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/history"
	"github.com/rhumb-dns/rhumb/notify"
)

const (
	// historyLimit is how many events an answer has when the request does not say.
	historyLimit = 100
	// maxHistory is how many it has at most.
	maxHistory = 10_000
)

// happened is what a request selects of the history.
func (a *Admin) happened(r *http.Request, also ...string) (sel history.Query, q func(string) string, err error) {
	q, err = parameters(r, append([]string{"service", "endpoint", "pool", "type", "since", "after"}, also...)...)
	if err != nil {
		return sel, nil, err
	}
	sel.Pool = q("pool")
	if text := q("endpoint"); text != "" {
		if sel.Endpoint, err = endpoint(text); err != nil {
			return sel, nil, fmt.Errorf("endpoint: %w", err)
		}
	}
	var service dnswire.Name
	if text := q("service"); text != "" {
		if service, err = dnswire.ParseName(text); err != nil {
			return sel, nil, fmt.Errorf("service: %w", err)
		}
		sel.Also = a.engine.Concerns(service)
	}
	if text := q("type"); text != "" {
		for name := range strings.SplitSeq(text, ",") {
			if !history.Known(name) {
				return sel, nil, fmt.Errorf("type: there is no type %.40q; there are %s", name, strings.Join(slices.Collect(history.Names), ", "))
			}
			sel.Types = append(sel.Types, name)
		}
	}
	if text := q("after"); text != "" {
		if sel.After, err = strconv.ParseUint(text, 10, 64); err != nil {
			return sel, nil, fmt.Errorf("after: %.40q is not the id of an event", text)
		}
	}
	if text := q("since"); text != "" {
		if sel.Since, err = moment("since", text); err != nil {
			return sel, nil, err
		}
	}
	return sel, q, a.heard(&sel, service)
}

// unheard is the error of a request that selects by what there is not.
type unheard struct{ error }

// heard is whether the configuration has what a request selects by, or the history has
// had it: who follows a name that is misspelt would wait in silence.
func (a *Admin) heard(sel *history.Query, service dnswire.Name) error {
	s, now, log := a.engine.Spec(), a.engine.Snapshot(), a.engine.History()
	if s == nil || now == nil {
		return nil
	}
	never := func(q history.Query) bool {
		found, _ := log.Read(q, 1)
		return len(found) == 0
	}
	if service != "" && endpointsOf(now, service) == nil && never(history.Query{Also: func(e *history.Event) bool { return e.Service == service.String() }}) {
		return unheard{fmt.Errorf("service: there is no service %.80q", strings.TrimSuffix(service.String(), "."))}
	}
	if sel.Pool != "" && s.Pools[sel.Pool] == nil && never(history.Query{Pool: sel.Pool}) {
		return unheard{fmt.Errorf("pool: there is no pool %.80q", sel.Pool)}
	}
	if sel.Endpoint == "" || !never(history.Query{Endpoint: sel.Endpoint}) {
		return nil
	}
	for _, p := range s.Pools {
		for i := range p.Endpoints {
			if p.Endpoints[i].String() == sel.Endpoint {
				return nil
			}
		}
	}
	return unheard{fmt.Errorf("endpoint: no pool has an endpoint %.80q", sel.Endpoint)}
}

// refuseQuery answers a request that selects nothing there can be.
func refuseQuery(w http.ResponseWriter, err error) {
	code := http.StatusBadRequest
	var nobody unheard
	if errors.As(err, &nobody) {
		code = http.StatusNotFound
	}
	refuse(w, code, "%s", err)
}

// history lists what happened.
func (a *Admin) history(w http.ResponseWriter, r *http.Request) {
	sel, q, err := a.happened(r, "limit")
	limit := historyLimit
	if err == nil && q("limit") != "" {
		if limit, err = strconv.Atoi(q("limit")); err != nil || limit < 1 || limit > maxHistory {
			err = fmt.Errorf("limit: %.40q is not a number from 1 to %d", q("limit"), maxHistory)
		}
	}
	if err != nil {
		refuseQuery(w, err)
		return
	}
	events, more := a.engine.History().Read(sel, limit)
	out := api.History{Events: make([]api.Event, len(events)), More: more, GeneratedAt: time.Now().UTC()}
	for i := range events {
		out.Events[i] = notify.Shown(&events[i])
	}
	respond(w, http.StatusOK, out)
}

// streamed is how many events are written in one piece.
const streamed = 256

// events tells what happens as it does, as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
func (a *Admin) events(w http.ResponseWriter, r *http.Request) {
	sel, _, err := a.happened(r)
	id := r.Header.Get("Last-Event-ID")
	if err == nil && id != "" { // what a browser saw last is later than where it began
		sel.Since = time.Time{}
		if sel.After, err = strconv.ParseUint(id, 10, 64); err != nil {
			err = fmt.Errorf("the header Last-Event-ID: %.40q is not the id of an event", id)
		}
	}
	log := a.engine.History()
	switch {
	case err != nil:
		refuseQuery(w, err)
		return
	case log == nil:
		refuse(w, http.StatusServiceUnavailable, "this node has no history")
		return
	}
	ending, ok := a.streams.enter(w)
	if !ok {
		return
	}
	defer a.streams.leave()
	s, ok := newStream(w, r)
	if !ok {
		return
	}
	reader, gap := begin(log, &sel)
	// An id without an event is where the stream is: who is cut off before the first
	// event comes back to there (section 9.2.6, "dispatch the event").
	s.say("id: %d\n\n", reader.At())
	if gap {
		s.missing(api.Gap{Unknown: true})
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		part := reader.Next(sel, streamed)
		if part.Lost > 0 || part.Gap {
			a.meters.lost.Add(float64(part.Lost))
			s.missing(api.Gap{Lost: part.Lost, Unknown: part.Gap})
		}
		for i := range part.Events {
			s.tell(&part.Events[i])
		}
		if s.flush() != nil {
			return
		}
		if part.More == nil {
			continue
		}
		select {
		case <-r.Context().Done():
			return
		case <-ending:
			return
		case <-part.More:
		case <-beat.C:
			s.say(":\nid: %d\n\n", reader.At())
		}
	}
}

// begin finds where a stream begins, and whether something from before is missing.
func begin(log *history.Log, sel *history.Query) (r *history.Reader, gap bool) {
	switch {
	case sel.After > 0:
		return log.Reader(sel.After), false
	case sel.Since.IsZero():
		return log.Reader(log.Last()), false
	}
	since := sel.Since
	// From there on it goes by the ids: a clock that is set back hides nothing.
	sel.Since = time.Time{}
	at := log.Last()
	if first, _ := log.Read(history.Query{Since: since, After: 1}, 1); len(first) > 0 {
		at = first[0].ID - 1
	}
	_, oldest := log.Waiting(history.Query{After: 1})
	return log.Reader(at), oldest.At.After(since)
}

func (s *stream) tell(e *history.Event) {
	b, err := json.Marshal(notify.Shown(e))
	if err != nil {
		panic(err) // our own type
	}
	s.say("id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Type, b)
}

func (s *stream) missing(g api.Gap) {
	b, err := json.Marshal(g)
	if err != nil {
		panic(err) // our own type
	}
	s.say("event: gap\ndata: %s\n\n", b)
}
