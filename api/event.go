package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Event is one thing that happened to an endpoint, a pool or the node. What is absent
// is not known, or not of its type.
type Event struct {
	ID       uint64    `json:"id"` // higher than that of every event before
	At       time.Time `json:"at"`
	Type     string    `json:"type"` // up, degraded, down, unknown, or another one of the document
	Endpoint string    `json:"endpoint,omitempty"`
	Host     string    `json:"host,omitempty"`    // that the checks asked for, where it is the service's
	Service  string    `json:"service,omitempty"` // the one alone that it is about
	Pools    []string  `json:"pools,omitempty"`
	State    string    `json:"state,omitempty"`
	Was      string    `json:"was,omitempty"`
	Lasted   string    `json:"lasted,omitempty"` // how long it was that, such as 1h2m3s
	Check    string    `json:"check,omitempty"`  // that made it so
	Share    float64   `json:"share,omitempty"`  // of its traffic that it is left while it is degraded, above 0 to 1
	Class    string    `json:"class,omitempty"`  // of the failure, such as timeout
	Reason   string    `json:"reason,omitempty"`
	Who      string    `json:"who,omitempty"`
	On       string    `json:"on,omitempty"` // id of a maintenance
}

// Gap says that events are missing in a stream.
type Gap struct {
	Lost    uint64 `json:"lost"`    // how many, of those since the node started
	Unknown bool   `json:"unknown"` // whether there may have been more, of an earlier run
}

// History is what happened, the oldest first.
type History struct {
	Events      []Event   `json:"events"`
	More        bool      `json:"more"` // the limit left some out
	GeneratedAt time.Time `json:"generated_at"`
}

// HistoryQuery selects events; empty fields select all.
type HistoryQuery struct {
	Service  string
	Endpoint string
	Pool     string
	Type     string    // one or several, with commas between
	Since    time.Time // those of this time and later
	After    uint64    // those with a higher ID
	Limit    int       // 0: the node's default; not of a stream
}

func (q *HistoryQuery) values() url.Values {
	v := values("service", q.Service, "endpoint", q.Endpoint, "pool", q.Pool, "type", q.Type)
	if !q.Since.IsZero() {
		v.Set("since", q.Since.UTC().Format(time.RFC3339))
	}
	if q.After != 0 {
		v.Set("after", strconv.FormatUint(q.After, 10))
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// History is what happened.
func (c *Client) History(ctx context.Context, q HistoryQuery) (*History, error) {
	return call[History](ctx, c, request{path: "history", query: q.values()})
}

// Destination is who is told what happens.
type Destination struct {
	Name      string    `json:"name"`
	Kind      string    `json:"kind"`               // webhook or script
	Waiting   int       `json:"waiting"`            // events that it has not taken yet
	Oldest    time.Time `json:"oldest,omitzero"`    // when the first of them was
	Delivered time.Time `json:"delivered,omitzero"` // when it last took some
	Failures  int       `json:"failures"`           // tries in a row that failed
	Error     string    `json:"error,omitempty"`    // of the last of them
}

// Destinations are all who are told.
type Destinations struct {
	Destinations []Destination `json:"destinations"`
	Total        int           `json:"total"`
	GeneratedAt  time.Time     `json:"generated_at"`
}

// NotifyTested says how a destination took an event that was made for that.
type NotifyTested struct {
	Name   string `json:"name"`
	Took   string `json:"took"` // such as 12ms
	Result string `json:"result"`
}

// Destinations are all who are told what happens.
func (c *Client) Destinations(ctx context.Context) (*Destinations, error) {
	return call[Destinations](ctx, c, request{path: "notify"})
}

// TestNotify sends a test event to a destination.
func (c *Client) TestNotify(ctx context.Context, name string) (*NotifyTested, error) {
	return call[NotifyTested](ctx, c, request{method: http.MethodPost, path: "notify/" + url.PathEscape(name) + "/test"})
}

const (
	// maxEvent is more than an event of a stream takes.
	maxEvent = 64 << 10
	// maxSilence is for how long a stream says nothing at most: a node sends a sign of
	// life every 15 s.
	maxSilence = time.Minute
)

// Follow gives the events that the query selects to f as they happen, until ctx ends or
// f fails: without After and Since those from now on. missing is not nil where events
// are missing; the event counts for nothing then. The error is an Unreachable when the
// stream ends, or nothing is heard of the node for a minute. reached is how far the
// stream has come, which is what to state as After to go on from there, or 0 when
// nothing was heard.
func (c *Client) Follow(ctx context.Context, q HistoryQuery, f func(e Event, missing *Gap) error) (reached uint64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := time.Duration(maxSilence)
	if c.timeout > 0 {
		patience = c.timeout
	}
	silence := time.AfterFunc(patience, func() { cancel(tooSlow(patience)) })
	defer func() { silence.Stop() }()
	q.Limit = 0
	u := *c.base
	u.RawQuery = q.values().Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath("api/v1/events").String(), nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", "text/event-stream, "+ProblemType)
	req.Header.Set("User-Agent", c.agent)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode != http.StatusOK || media != "text/event-stream" {
		p := &Problem{}
		b, _ := io.ReadAll(io.LimitReader(resp.Body, maxEvent))
		if media != ProblemType || json.Unmarshal(b, p) != nil {
			return 0, fmt.Errorf("%s is not the API of a node: it answered %s with %q", c.text, resp.Status, media)
		}
		p.Status = resp.StatusCode
		return 0, p
	}
	silence.Stop()
	silence = time.AfterFunc(maxSilence, func() { cancel(tooSlow(maxSilence)) })
	reached, err = stream(heard{resp.Body, silence}, func(e Event, missing *Gap) error {
		silence.Stop() // whatever f takes is not the node's
		defer silence.Reset(maxSilence)
		return f(e, missing)
	})
	switch slow := tooSlow(0); {
	case errors.As(context.Cause(ctx), &slow):
		return reached, c.unreachable(ctx, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return reached, &Unreachable{Base: c.text, Err: errors.New("the stream has ended")}
	}
	return reached, err
}

// heard starts a timer again whenever something is read.
type heard struct {
	io.Reader
	silence *time.Timer
}

// Read implements io.Reader.
func (h heard) Read(b []byte) (int, error) {
	n, err := h.Reader.Read(b)
	if n > 0 {
		h.silence.Reset(maxSilence)
	}
	return n, err
}

// stream reads server-sent events as a node writes them, and returns the last id.
func stream(r io.Reader, f func(Event, *Gap) error) (reached uint64, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 4096), maxEvent)
	kind, at := "", uint64(0)
	for lines.Scan() {
		name, value, _ := bytes.Cut(lines.Bytes(), []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "id":
			id, err := strconv.ParseUint(string(value), 10, 64)
			if err != nil {
				return reached, fmt.Errorf("an id is not understood: %w", err)
			}
			at = id
		case "":
			// The end of an event, or a comment: what came is dealt with.
			reached = max(reached, at)
		case "event":
			kind = string(value)
		case "data":
			var e Event
			var gap *Gap
			into := any(&e)
			if kind == "gap" {
				gap = &Gap{}
				into = gap
			}
			if err := json.Unmarshal(value, into); err != nil {
				return reached, fmt.Errorf("an event is not understood: %w", err)
			}
			if err := f(e, gap); err != nil {
				return reached, err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return reached, err
	}
	return reached, io.ErrUnexpectedEOF
}
