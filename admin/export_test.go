package admin

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
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
