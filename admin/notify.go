package admin

import (
	"errors"
	"net/http"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/notify"
)

// destinations lists who is told what happens.
func (a *Admin) destinations(w http.ResponseWriter, _ *http.Request) {
	out := api.Destinations{Destinations: []api.Destination{}, GeneratedAt: time.Now().UTC()}
	for _, s := range a.tells.Status() {
		out.Destinations = append(out.Destinations, api.Destination(s))
	}
	out.Total = len(out.Destinations)
	respond(w, http.StatusOK, out)
}

// testDestination sends a destination an event that is none.
func (a *Admin) testDestination(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	begun := time.Now()
	result, err := a.tells.Test(r.Context(), name)
	switch {
	case errors.Is(err, notify.ErrNotFound):
		refuse(w, http.StatusNotFound, "no destination %.40q", name)
	case err != nil:
		refuse(w, http.StatusBadGateway, "%s did not take it: %s", name, err)
	default:
		respond(w, http.StatusOK, api.NotifyTested{Name: name, Took: time.Since(begun).Round(time.Millisecond).String(), Result: result})
	}
}
