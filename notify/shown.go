package notify

import (
	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/history"
)

// Shown is an event as others are shown it.
func Shown(e *history.Event) api.Event {
	out := api.Event{
		ID: e.ID, At: e.At, Type: e.Type, Endpoint: e.Endpoint, Host: e.Host, Service: e.Service, Pools: e.Pools,
		State: e.State, Was: e.Was, Check: e.Check, Share: e.Share, Class: e.Class, Reason: e.Reason, Who: e.Who, On: e.On,
	}
	if e.Lasted > 0 {
		out.Lasted = e.Lasted.String()
	}
	return out
}
