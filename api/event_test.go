package api_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

// mute is a node that says something and then, without hanging up, nothing more.
type mute struct{ says []string }

func (m mute) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if m.says == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	out, in := io.Pipe()
	go func() {
		for _, s := range m.says {
			_, _ = io.WriteString(in, s)
			time.Sleep(50 * time.Second)
		}
		<-ctx.Done()
		_ = in.CloseWithError(ctx.Err())
	}()
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: out,
	}, nil
}

// Who follows a node that has gone without a word is told so, and not before it is
// longer than a node is silent.
func TestFollowSilence(t *testing.T) {
	for _, c := range []struct {
		name string
		says []string
		took time.Duration
	}{
		{"no answer", nil, 5 * time.Second},
		{"no word", []string{}, time.Minute},
		{"signs of life, then none", []string{":\n\n", "data: {\"id\":1}\n\n", ":\n\n"}, 50*time.Second + 30*time.Minute + time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, err := api.New("http://127.0.0.1:1", api.Options{Timeout: 5 * time.Second, HTTP: &http.Client{Transport: mute{c.says}}})
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				_, err = n.Follow(context.Background(), api.HistoryQuery{}, func(api.Event, *api.Gap) error {
					time.Sleep(30 * time.Minute) // that is not the node's silence
					return nil
				})
				var away *api.Unreachable
				if took := time.Since(begun); !errors.As(err, &away) || !strings.Contains(err.Error(), "no answer within") || took != c.took {
					t.Errorf("%v after %v", err, took)
				}
			})
		})
	}
}
