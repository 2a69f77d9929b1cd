package controller

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/edge/lines"
	"github.com/rhumb-dns/rhumb/spec"
)

// TestDeadConnection: a connection of HTTP/2 that has gone dead without a word is given up
// while deliveries go into it, and the next one takes another.
func TestDeadConnection(t *testing.T) {
	id := lines.NewIdentity()
	synctest.Test(t, func(t *testing.T) {
		s := id.Serve(func(http.ResponseWriter, *http.Request) {})
		defer s.Stop()
		e, err := newEdge(&spec.Edge{URL: "https://example.com", Secret: "shared-with-edges", Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		wire := e.client.Transport.(*http.Transport)
		wire.DialContext, wire.TLSClientConfig = s.Dial, s.Client
		tell := func() error {
			_, err := e.notify(t.Context(), &api.Notification{})
			return err
		}
		if err := tell(); err != nil {
			t.Fatal(err)
		}
		s.Alone(t).Die()
		begun := time.Now()
		for range 100 { // each takes its timeout
			if tell() == nil {
				break
			}
		}
		if took := time.Since(begun); took > 3*pingAfter || len(s.Dialed()) != 2 {
			t.Errorf("deliveries fail for %v after it is dead, %d dialed", took, len(s.Dialed()))
		}
	})
}
