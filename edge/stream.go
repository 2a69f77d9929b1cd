package edge

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

const (
	// quietFor is how long a stream may say nothing: a controller says something every 15
	// seconds.
	quietFor = 45 * time.Second
	// askAgain is how long after a controller said that it has no stream it is asked again.
	askAgain = 10 * time.Minute
)

// errNoStream is the error of a controller that has no stream of events.
var errNoStream = errors.New("it has no stream of events")

// follow takes changes as the controller that answers tells them, for as long as it does,
// until ctx ends. It goes on polling meanwhile: that mends what is lost.
func (e *Edge) follow(ctx context.Context) {
	failures := 0
	wait := time.Duration(-1) // for ever
	for {
		if !e.movedWithin(ctx, wait) {
			return
		}
		endpoint := e.endpoint()
		if endpoint == "" {
			wait = -1
			continue
		}
		begun := time.Now()
		err := e.followOne(ctx, endpoint)
		if ctx.Err() != nil {
			return
		}
		switch {
		case e.endpoint() != endpoint: // whatever else it was
			failures, wait = 0, 0
		case errors.Is(err, errNoStream):
			failures, wait = 0, askAgain
		default:
			if failures++; time.Since(begun) > e.o.SyncInterval {
				failures = 1 // it had worked
			}
			wait = backoff(failures, e.o.SyncInterval)
		}
	}
}

// movedWithin waits until another controller answers, or for a time when that is not
// negative. It is false when ctx ends.
func (e *Edge) movedWithin(ctx context.Context, wait time.Duration) bool {
	var after <-chan time.Time
	if wait >= 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		after = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-e.moved:
	case <-after:
	}
	return ctx.Err() == nil
}

// endpoint is the controller that answered last.
func (e *Edge) endpoint() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current
}

// errMoved ends a stream when another controller answers.
var errMoved = errors.New("another controller answers")

// followOne follows one stream to its end.
func (e *Edge) followOne(ctx context.Context, endpoint string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over := make(chan struct{})
	defer func() { <-over }()
	defer cancel(nil)
	go func() {
		defer close(over)
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-e.moved:
				if e.endpoint() != endpoint {
					cancel(errMoved)
				}
			}
		}
	}()
	quiet := time.AfterFunc(e.o.Timeout, func() { cancel(errSilent) })
	defer quiet.Stop()

	req, err := e.client.request(ctx, endpoint, api.EventsPath, e.version())
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := e.client.http.Do(req)
	if err != nil {
		return bare(ctx, err)
	}
	defer resp.Body.Close()
	switch media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); {
	case resp.StatusCode == http.StatusOK && media == "text/event-stream":
	case resp.StatusCode/100 == 5, resp.StatusCode == http.StatusTooManyRequests:
		return &StatusError{Status: resp.StatusCode}
	default:
		return errNoStream
	}
	quiet.Reset(quietFor)
	e.setStream(true)
	defer e.setStream(false)
	e.log.Info("The controller tells changes as they happen", "endpoint", shown(endpoint))
	body := &watched{ctx: ctx, r: resp.Body, timer: quiet, timeout: quietFor, left: 1 << 62, most: 1 << 62}
	err = readEvents(body, e.lim.event, e.event)
	if cause := context.Cause(ctx); cause != nil {
		err = cause // whatever the end of it looked like
	}
	if ctx.Err() == nil || errors.Is(err, errSilent) {
		e.log.Warn("The stream of events has ended", "endpoint", shown(endpoint), "error", err)
		e.soon() // what has changed since is not in it
	}
	return err
}

func (e *Edge) setStream(on bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.streams = on
}

// event takes one event. An error ends the stream.
func (e *Edge) event(kind string, data []byte) error {
	switch kind {
	case api.EventReset:
		d := newDecoder(bytes.NewReader(data))
		if h, err := d.decode(); err == nil && h.hash != "" && h.hash == e.version() {
			return nil // that is what there is
		}
		e.soon()
		return nil
	case api.EventChange:
		if err := e.changeEvent(data); err != nil {
			return fmt.Errorf("event: %w", err)
		}
	}
	return nil // other kinds may be added
}

// changeEvent does what a change says, if it is about the version that is there.
func (e *Edge) changeEvent(data []byte) error {
	c := checker{rules: e.rules}
	rep := report{most: 10}
	var ops, gone []op
	d := newDecoder(bytes.NewReader(data))
	d.record = func(it *item) error {
		if r, ok := c.check(it, &rep); ok {
			ops = append(ops, operation(it, &r))
		}
		return nil
	}
	d.gone = func(it *item) error {
		if o, ok := c.removal(it, &rep); ok {
			gone = append(gone, o)
		}
		return nil
	}
	h, err := d.decode()
	if err != nil {
		return err
	}
	if h.hash == "" || h.from == "" {
		return errors.New("it does not say from which version to which it leads")
	}
	e.work.Lock()
	defer e.work.Unlock()
	switch e.version() {
	case h.hash:
		return nil // a poll was faster
	case h.from:
	default:
		e.soon()
		return nil
	}
	ops = append(ops, gone...)
	if _, err := e.applyHeld(ops); err != nil {
		return err
	}
	if e.meters.refuse(rep.n); rep.n > 0 {
		e.log.Warn("Items of an event were refused", "items", rep.n, "reasons", rep.String())
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hash, e.good, e.status, e.failure, e.source = h.hash, time.Now(), api.SyncSuccess, nil, api.FromController
	e.while.note(ops, h.hash)
	e.strays.settle(ops)
	e.changed = true
	poke(e.unsaved)
	return nil
}

// readEvents reads a stream of server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html) to its end and calls f
// with each: its type, and its data, which are good until f returns. An event of more
// octets than most ends it, as does an error of f.
func readEvents(r io.Reader, most int, f func(kind string, data []byte) error) error {
	in := bufio.NewReaderSize(r, windowLen)
	var kind string
	var data []byte
	some := false
	for begin := true; ; begin = false {
		line, err := readLine(in, most)
		if err != nil {
			return err
		}
		if begin {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if len(line) == 0 {
			if some {
				if err := f(kind, data); err != nil {
					return err
				}
			}
			kind, data, some = "", data[:0], false
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			kind = string(value[:min(len(value), maxAddress)])
		case "data":
			if some {
				data = append(data, '\n')
			}
			if len(data)+len(value) > most {
				return errLarge
			}
			data, some = append(data, value...), true
		}
	}
}

// readLine reads a line without its end: LF or CRLF.
func readLine(in *bufio.Reader, most int) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		long := bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			line, err = in.ReadSlice('\n')
			if long = append(long, line...); len(long) > most {
				return nil, errLarge
			}
		}
		line = long
	}
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}
