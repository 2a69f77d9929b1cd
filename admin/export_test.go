package admin

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
)

// Served is every method and path that a surface answers.
func Served() []string {
	var all []string
	for _, r := range (&Admin{log: slog.New(slog.DiscardHandler)}).routes(prometheus.NewRegistry()) {
		for method := range r.methods {
			all = append(all, method+" "+r.path)
		}
	}
	return all
}
