package controller

import (
	"net/http"
	"testing"

	"github.com/rhumb-dns/rhumb/spec"
)

// Connections of HTTP/2 are asked whether they are alive: edge's TestDeadConnection shows
// what becomes of those that are not.
func TestPushPings(t *testing.T) {
	e, err := newEdge(&spec.Edge{})
	if err != nil {
		t.Fatal(err)
	}
	if c := e.client.Transport.(*http.Transport).HTTP2; c == nil || c.SendPingTimeout <= 0 || c.PingTimeout <= 0 {
		t.Errorf("%+v", c)
	}
}
