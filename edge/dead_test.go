package edge

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/edge/lines"
)

// A connection of HTTP/2 that has gone dead without a word is given up: requests would be
// sent into it for as long as TCP believes in it.
func TestDeadConnection(t *testing.T) {
	id := lines.NewIdentity()
	synctest.Test(t, func(t *testing.T) {
		s := id.Serve(says(snapshot("1", one)))
		defer s.Stop()
		o := options()
		o.Endpoints, o.SyncInterval, o.TLS = []string{"https://example.com"}, 10*time.Second, s.Client
		e, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		e.client.http.Transport.(*http.Transport).DialContext = s.Dial
		stop := run(t, e)
		defer stop()
		<-e.Tried()
		if h := e.Health(); h.LastSyncStatus != "success" {
			t.Fatalf("%+v", h)
		}
		s.Alone(t).Die()
		time.Sleep(time.Minute)
		if h := e.Health(); h.LastSyncStatus != "success" || len(s.Dialed()) != 2 {
			t.Errorf("a minute after it is dead: %+v, %d dialed", h, len(s.Dialed()))
		}
	})
}
