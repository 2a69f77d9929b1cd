package admin

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// Served is every method and path that a surface answers, and the role it needs.
func Served() []string {
	var all []string
	for _, r := range (&Admin{log: slog.New(slog.DiscardHandler)}).routes(prometheus.NewRegistry()) {
		for method, d := range r.methods {
			all = append(all, method+" "+r.path+" "+d.need.String())
		}
	}
	return all
}

// EdgeRequest is what a query of an edge asks for.
func EdgeRequest(query string) (zone dnswire.Name, since, node string, regions []string, err error) {
	r, err := edgeRequestOf(query)
	if err != nil {
		return "", "", "", nil, err
	}
	return r.zone, r.since, r.node, r.regions, nil
}
