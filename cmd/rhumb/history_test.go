package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

// Who follows a node goes on where it was when the node is back, says once that it
// is away, and ends when it is refused.
func TestStay(t *testing.T) {
	gone := &api.Unreachable{Base: "http://127.0.0.1:1", Err: errors.New("connection refused")}
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		c := &cli{err: &said, now: time.Now}
		type step struct {
			reached uint64
			err     error
		}
		steps := []step{
			{7, gone},
			{0, gone},
			{0, &api.Problem{Status: http.StatusServiceUnavailable}},
			{9, gone},
			{0, &api.Problem{Status: http.StatusNotFound, Title: "no such pool"}},
		}
		var asked []string
		err := c.stay(t.Context(), api.HistoryQuery{Pool: "eu", Since: time.Now()}, func(_ context.Context, q api.HistoryQuery) (uint64, error) {
			asked = append(asked, fmt.Sprintf("%s%d%t", q.Pool, q.After, q.Since.IsZero()))
			s := steps[0]
			steps = steps[1:]
			return s.reached, s.err
		})
		var refused *api.Problem
		if !errors.As(err, &refused) || len(steps) != 0 {
			t.Errorf("%v with %d steps left", err, len(steps))
		}
		if got, want := fmt.Sprint(asked), "[eu0false eu7true eu7true eu7true eu9true]"; got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
		const once = "rhumb: cannot reach http://127.0.0.1:1: connection refused; trying again until it is back\n"
		if said.String() != once+once {
			t.Errorf("said %q", said.String())
		}
	})
	c := &cli{err: &bytes.Buffer{}}
	err := c.stay(t.Context(), api.HistoryQuery{}, func(context.Context, api.HistoryQuery) (uint64, error) { return 0, gone })
	if !errors.Is(err, error(gone)) {
		t.Errorf("the first time: %v", err)
	}
}
